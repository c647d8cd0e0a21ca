//! File operations for assembling shells.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::shell::Run;
use crate::workspace::Workspace;

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("`{}` could not be copied to `{}`", from.display(), to.display()))?;
    Ok(())
}

/// Makes `link` point to a folder or program.
pub fn link(to: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|found| found == to) {
        return Ok(());
    }
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(to, link).with_context(|| format!("`{}` could not be linked", link.display()))
}

/// Returns the test scripts in a folder.
fn tests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut tests: Vec<_> = paths.into_iter().filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect();
    tests.sort();
    Ok(tests)
}

/// Node's tests in a folder; with a filter, those of the file of that name, or those with the filter in their names.
pub fn node_tests(workspace: &Workspace, folder: &str, filter: Option<&str>) -> Result<Run> {
    let mut files = tests(&workspace.path(folder))?;
    let mut pattern = None;
    if let Some(filter) = filter {
        let name = format!("{filter}.test.mjs");
        let file = files.iter().find(|path| path.ends_with(&name)).cloned();
        pattern = file.is_none().then(|| format!("--test-name-pattern={filter}"));
        files = match file {
            Some(file) => vec![file],
            None => {
                files.into_iter().filter(|path| fs::read_to_string(path).is_ok_and(|t| t.contains(filter))).collect()
            }
        };
        ensure!(!files.is_empty(), "no file of tests in `{folder}` is called `{filter}`, and none contains it");
    }
    // One file after the other, because parallel browsers and Workers would compete for processors.
    let node = Run::new("node").args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    Ok(node.args(pattern).args(files).dir(workspace.root()))
}
