//! All runtimes, called with the same requests.

use crate::{Comparison, Subject, runtimes};
use anyhow::{Context, Result, ensure};
use std::fmt::{self, Display, Formatter};
use tradewind_core::guest::Guest;

/// All runtimes, and the number of replies of each by kind of case.
#[derive(Default)]
pub struct Ensemble {
    subjects: Vec<Subject>,
    /// Kinds of cases, with the number of replies of each runtime.
    kinds: Vec<(String, Vec<usize>)>,
}

/// Replies of all runtimes to a request.
#[derive(Debug)]
pub struct Answers {
    /// Bytes returned by all runtimes of the module.
    pub exact: Vec<u8>,
    /// Replies of the others, with their names.
    pub close: Vec<(&'static str, Vec<u8>)>,
}

impl Answers {
    /// Applies a rule to each reply.
    ///
    /// # Errors
    /// If a reply violates it.
    pub fn each(&self, rule: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        rule(&self.exact).context("on all runtimes of the module")?;
        self.close.iter().try_for_each(|(name, answer)| rule(answer).with_context(|| format!("on {name}")))
    }
}

impl Ensemble {
    /// Restarts every runtime for another kind of cases, counted in a separate row.
    ///
    /// # Errors
    /// If a runtime does not start.
    pub fn begin(&mut self, kind: String) -> Result<()> {
        self.subjects = runtimes()?;
        self.kinds.push((kind, vec![0; self.subjects.len()]));
        Ok(())
    }

    /// Loads a pack or snapshot in all runtimes.
    ///
    /// # Errors
    /// If a runtime fails, or replies differently from the first.
    pub fn load(&mut self, pack: &[u8]) -> Result<Answers> {
        self.ask(|guest| guest.load(pack))
    }

    /// Calls all runtimes.
    ///
    /// # Errors
    /// If a runtime fails, or replies differently from the first.
    pub fn call(&mut self, request: &[u8]) -> Result<Answers> {
        self.ask(|guest| guest.call(request))
    }

    /// Scores columns: each result is the scores, little-endian, followed by the reply.
    ///
    /// # Errors
    /// If a runtime fails, or replies differently from the first.
    pub fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: usize) -> Result<Answers> {
        self.ask(|guest| {
            let mut values = vec![f32::NAN; scores];
            let reply = guest.score(pack, rows, columns, &mut values)?;
            Ok(values.iter().flat_map(|value| value.to_le_bytes()).chain(reply).collect())
        })
    }

    fn ask(
        &mut self,
        mut ask: impl FnMut(&mut dyn Guest<Error = anyhow::Error>) -> Result<Vec<u8>>,
    ) -> Result<Answers> {
        let (_, counts) = self.kinds.last_mut().context("no kind has begun")?;
        let mut exact: Option<Vec<u8>> = None;
        let mut close = Vec::new();
        for (subject, count) in self.subjects.iter_mut().zip(counts) {
            let answer = ask(&mut *subject.guest).with_context(|| format!("{} fails", subject.name))?;
            match subject.comparison {
                Comparison::Close => close.push((subject.name, answer)),
                Comparison::Exact => match &exact {
                    None => exact = Some(answer),
                    Some(first) => {
                        let at = first.iter().zip(&answer).position(|(a, b)| a != b);
                        let at = at.unwrap_or(first.len().min(answer.len()));
                        ensure!(*first == answer, "{} gives other bytes than the first, from {at} on", subject.name);
                    }
                },
            }
            *count += 1;
        }
        Ok(Answers { exact: exact.context("no runtime has the module")?, close })
    }
}

/// Table of runtimes and cases.
impl Display for Ensemble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = self.kinds.iter().map(|(kind, _)| kind.len()).max().unwrap_or(0);
        write!(f, "{:width$}", "answers")?;
        self.subjects.iter().try_for_each(|subject| write!(f, "{:>10}", subject.name))?;
        for (kind, counts) in &self.kinds {
            write!(f, "\n{kind:width$}")?;
            counts.iter().try_for_each(|count| write!(f, "{count:>10}"))?;
        }
        write!(f, "\n{:width$}", "compared by")?;
        for subject in &self.subjects {
            let how = match subject.comparison {
                Comparison::Exact => "bytes",
                Comparison::Close => "tolerance",
            };
            write!(f, "{how:>10}")?;
        }
        writeln!(f)
    }
}
