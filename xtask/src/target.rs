//! The module's compilation target, for any toolchain.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Target of the module.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Compiler flags that replace this machine's folders in the file names of panic messages: `source` by `name`, and
/// those of registry crates by a name for each registry.
pub fn remaps(source: &Path, name: &str) -> Result<Vec<String>> {
    let registries = home("CARGO_HOME", ".cargo")?.join("registry/src");
    let mut crates: Vec<PathBuf> =
        fs::read_dir(registries).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    crates.sort();
    let remap = |folder: &Path, name: &str| format!("--remap-path-prefix={}={name}", folder.display());
    let crates = crates.iter().map(|folder| remap(folder, "/crates"));
    Ok(crates.chain([remap(source, name)]).collect())
}

/// Finds the standard library in a toolchain's folder of target libraries.
pub fn has_std(libraries: &Path) -> bool {
    fs::read_dir(libraries).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// Folder of the toolchain: from its variable, or in the user's home.
pub fn home(variable: &str, default: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(variable) {
        return Ok(dir.into());
    }
    let home = env::var_os("HOME").with_context(|| format!("set HOME or {variable}"))?;
    Ok(Path::new(&home).join(default))
}
