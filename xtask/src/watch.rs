//! Rebuilds the npm package whenever its sources change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};

use crate::browser;
use crate::dist;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Sources of the package, besides the files that `cargo xtask build` left in `dist/`.
const SOURCES: [&str; 9] = [
    "browser-sdk/src",
    "browser-sdk/ts",
    "browser-sdk/scripts",
    "browser-sdk/storefront",
    "browser-sdk/Cargo.toml",
    "browser-sdk/README.md",
    "browser-sdk/package.json",
    "browser-sdk/tsconfig.json",
    "core/js/src",
];

/// Interval between comparisons of the sources.
const INTERVAL: Duration = Duration::from_millis(300);

/// Files with their modification times.
type Times = BTreeMap<PathBuf, SystemTime>;

/// Runs `cargo xtask watch sdk` until it is interrupted. A failed build is reported, and the next change is built.
pub fn run(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    if args != ["sdk"] {
        bail!("`cargo xtask watch` takes `sdk`, but was given `{}`", args.join(" "));
    }
    let times = || -> Times {
        let mut times = Times::new();
        SOURCES.iter().for_each(|source| collect(&workspace.path(source), &mut times));
        times
    };
    let mut built = times();
    dist::build(workspace, steps)?;
    report(workspace);
    loop {
        thread::sleep(INTERVAL);
        let now = times();
        let changed = changes(&built, &now);
        if changed.is_empty() {
            continue;
        }
        for path in changed {
            println!("\nchanged: {}", path.strip_prefix(workspace.root()).unwrap_or(path).display());
        }
        match browser::build(workspace, steps) {
            Ok(()) => report(workspace),
            Err(error) => eprintln!("\nerror: {error:#}\nwaiting for the next change"),
        }
        built = now;
    }
}

/// Prints the built files and their uses.
fn report(workspace: &Workspace) {
    println!("\nup to date:");
    for entry in fs::read_dir(workspace.dist("npm")).into_iter().flatten().flatten() {
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        println!("  dist/npm/{} ({bytes} bytes), to install", entry.file_name().to_string_lossy());
    }
    println!("  dist/site, for `node browser-sdk/storefront/server.mjs`");
    println!("watching browser-sdk and core/js; Ctrl-C ends");
}

/// Adds a file, or the files below a folder. Files that disappear meanwhile are skipped.
fn collect(path: &Path, times: &mut Times) {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| collect(&entry.path(), times)),
        Err(_) => {
            if let Ok(time) = fs::metadata(path).and_then(|metadata| metadata.modified()) {
                times.insert(path.to_owned(), time);
            }
        }
    }
}

/// Files that were written, added or removed.
fn changes<'a>(before: &'a Times, now: &'a Times) -> Vec<&'a Path> {
    let written = now.iter().filter(|(path, time)| before.get(*path) != Some(time));
    let removed = before.iter().filter(|(path, _)| !now.contains_key(*path));
    written.chain(removed).map(|(path, _)| path.as_path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_adding_and_removing_files_are_changes() {
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let times = |files: &[(&str, u64)]| -> Times {
            files.iter().map(|(name, seconds)| (PathBuf::from(name), time(*seconds))).collect()
        };
        let before = times(&[("same", 1), ("written", 1), ("removed", 1)]);
        let now = times(&[("same", 1), ("written", 2), ("added", 1)]);
        assert_eq!(changes(&before, &now), ["added", "written", "removed"].map(Path::new));
        assert!(changes(&now, &now).is_empty());
    }
}
