//! Regression tests for fuzzing findings, and random alterations of the plans of all cases.

use anyhow::{Context, Result, ensure};
use std::{fs, time::Instant};
use tradewind_targets::{Random, altered};
use tradewind_tests::{cases, pack_of, root};

/// Alterations of each case's plan. A fuzzer tries millions; these detect changes that break much.
const ALTERATIONS: usize = 40;

#[test]
fn the_corpora_of_the_fuzzers_are_answered() -> Result<()> {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 3] = [
        ("pack", tradewind_targets::pack),
        ("executor", tradewind_targets::executor),
        ("model", tradewind_targets::model),
    ];
    for (target, run) in targets {
        let folder = root().join("tests/fuzz/corpus").join(target);
        let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for file in files {
            let path = file?.path();
            let start = Instant::now();
            run(&fs::read(&path)?);
            ensure!(start.elapsed().as_secs() < 10, "{} took {:?}", path.display(), start.elapsed());
        }
    }
    Ok(())
}

#[test]
fn an_altered_plan_runs_faults_or_is_refused() -> Result<()> {
    let random = &mut Random(20_260_101);
    for case in cases()? {
        let mut pack = pack_of(&case)?;
        tradewind_targets::executor(&pack);
        tradewind_targets::pack(&pack);
        for _ in 0..ALTERATIONS {
            if let Some(other) = altered(&pack, random.number()) {
                let start = Instant::now();
                tradewind_targets::executor(&other);
                ensure!(start.elapsed().as_secs() < 10, "{}: a plan ran for {:?}", case.name, start.elapsed());
            }
        }
        // Also in the module, which trusts its shell.
        for _ in 0..ALTERATIONS {
            let at = random.below(pack.len());
            let was = std::mem::replace(&mut pack[at], random.number() as u8);
            tradewind_targets::pack(&pack);
            pack[at] = was;
        }
    }
    Ok(())
}
