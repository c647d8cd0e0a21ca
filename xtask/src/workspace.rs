//! Locations: the checkout, its build results, and the cache outside it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::shell::Run;

/// Checkout that this program works on.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// Tools and data, kept outside the checkout.
    pub cache: Cache,
}

impl Workspace {
    /// Finds the checkout of this `cargo xtask`.
    pub fn locate() -> Result<Self> {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().context("xtask has no parent folder")?.to_owned();
        Ok(Self { root, cache: Cache::locate()? })
    }

    /// Root of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of a file or folder of the checkout.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Path of a build result: `dist/NAME`.
    pub fn dist(&self, name: &str) -> PathBuf {
        self.root.join("dist").join(name)
    }

    /// Returns a native cargo command at the root, with the user's own toolchain.
    pub fn cargo(&self) -> Run {
        Run::cargo().dir(&self.root)
    }

    /// Returns cargo's target folder, which `CARGO_TARGET_DIR` or a configuration may have moved.
    pub fn target_dir(&self) -> Result<PathBuf> {
        let metadata = self
            .cargo()
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .advice("cargo metadata --no-deps, to see what is wrong with the manifests")
            .output()?;
        let dir =
            text_field(&metadata, "target_directory").context("`cargo metadata` does not name the target folder")?;
        Ok(dir.into())
    }
}

/// Returns a text field of a JSON object, if it has no escapes. A JSON parser would slow down a program that everything
/// waits for.
fn text_field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    let (value, _) = rest.split_once('"')?;
    (!value.contains('\\')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_read_from_the_metadata() {
        let json = r#"{"packages":[],"target_directory":"/some/target","version":1}"#;
        assert_eq!(text_field(json, "target_directory"), Some("/some/target"));
        assert_eq!(text_field(json, "workspace_root"), None);
        assert_eq!(text_field(r#"{"target_directory":"C:\\t"}"#, "target_directory"), None);
    }
}
