//! Plain words: phrases of the former dialect do not come back. `CONTRIBUTING.md` has the rules.

use anyhow::{Context, Result, ensure};
use std::{fs, process::Command};
use tradewind_tests::root;

/// Phrases to avoid, with plain replacements.
const DIALECT: [(&str, &str); 29] = [
    ("anew", "again"),
    ("are none", "are missing"),
    ("are told", "receive"),
    ("as dear as", "costs as much as"),
    ("as it came", "unchanged"),
    ("as it stands", "unchanged"),
    ("be had", "is available"),
    ("held against", "compared with"),
    ("in the manner of", "like"),
    ("is none", "is missing, or is not one"),
    ("is told", "receives"),
    ("look at", "check, examine, use"),
    ("look at each other", "depend on each other"),
    ("looked at", "checked, examined, used"),
    ("looking at", "checking, examining, using"),
    ("looks at", "checks, examines, uses"),
    ("of one's own", "your own, separate"),
    ("of ones own", "your own, separate"),
    ("of whom", "of which"),
    ("one a line", "one per line"),
    ("otherwise than", "differently from"),
    ("said otherwise", "rewritten"),
    ("so many", "a number of, this many"),
    ("so too", "likewise"),
    ("told of", "reported"),
    ("turned round", "reversed"),
    ("what is none", "invalid"),
    ("what there is", "the list"),
    ("whoever", "the client, the user, the caller"),
];

/// Extensions of text files.
const TEXTS: [&str; 10] = ["css", "html", "js", "md", "mjs", "py", "rs", "sql", "toml", "ts"];

#[test]
fn texts_are_in_plain_words() -> Result<()> {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output().context("git is needed")?;
    ensure!(listed.status.success(), "`git ls-files` fails: {}", String::from_utf8_lossy(&listed.stderr));
    let mut found = Vec::new();
    let mut read = 0;
    for path in String::from_utf8(listed.stdout)?.lines() {
        let is_text = path.rsplit_once('.').is_some_and(|(_, extension)| TEXTS.contains(&extension));
        if !is_text || path == file!() || !root().join(path).exists() {
            continue;
        }
        read += 1;
        let text = fs::read_to_string(root().join(path)).with_context(|| path.to_owned())?;
        let findings = findings(&text).into_iter();
        found.extend(findings.map(|(line, (phrase, plain))| format!("{path}:{line}: `{phrase}` (plain: {plain})")));
    }
    ensure!(read > 400, "only {read} files were read");
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// Phrases in a text, with their lines; also those that continue on the next line of a comment.
fn findings(text: &str) -> Vec<(usize, (&'static str, &'static str))> {
    let words = words(text);
    let mut found = Vec::new();
    for at in 0..words.len() {
        for (phrase, plain) in DIALECT {
            let mut expected = phrase.split(' ').enumerate();
            let matches = expected.all(|(n, expected)| {
                words.get(at + n).is_some_and(|(_, word)| {
                    // The first word may begin a sentence; `is None` is Python.
                    *word == expected || (n == 0 && word.to_lowercase() == expected)
                })
            });
            found.extend(matches.then_some((words[at].0, (phrase, plain))));
        }
    }
    found
}

/// Words of a text with their lines; punctuation is a word of its own, so that no phrase contains it.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '!', '#', '*', '-', ' ']);
        for part in line.split_whitespace() {
            for word in part.split_inclusive(|letter: char| !letter.is_alphanumeric() && !['\'', '_'].contains(&letter))
            {
                let plain =
                    word.trim_end_matches(|letter: char| !letter.is_alphanumeric() && !['\'', '_'].contains(&letter));
                words.extend((!plain.is_empty()).then_some((n + 1, plain)));
                words.extend((plain.len() < word.len()).then_some((n + 1, "")));
            }
        }
    }
    words
}

#[test]
fn phrases_are_found_across_lines_and_not_across_punctuation() {
    let found = |text: &str| findings(text).iter().map(|(line, (phrase, _))| (*line, *phrase)).collect::<Vec<_>>();
    assert_eq!(found("/// Rows that are looked\n/// at. Whoever asks"), [(1, "looked at"), (2, "whoever")]);
    assert_eq!(found("if best is None: so, many `looks` at"), []);
    assert_eq!(found("\"is none.\" so_many"), [(1, "is none")]);
}
