//! Where things are: the checkout, what it builds, and the cache outside it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::shell::Run;

/// The checkout that this program works on.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// Tools and data, kept outside the checkout.
    pub cache: Cache,
}

impl Workspace {
    /// Finds the checkout: the one whose `cargo xtask` this is.
    pub fn locate() -> Result<Self> {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().context("xtask has no parent folder")?.to_owned();
        Ok(Self { root, cache: Cache::locate()? })
    }

    /// The root of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the checkout.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A build's result: `dist/NAME`.
    pub fn dist(&self, name: &str) -> PathBuf {
        self.root.join("dist").join(name)
    }

    /// A native cargo command at the root, with the user's own toolchain.
    pub fn cargo(&self) -> Run {
        Run::cargo().dir(&self.root)
    }

    /// Where cargo puts what it builds: `CARGO_TARGET_DIR` or a configuration may have moved it.
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

/// The value of a text field of a JSON object, where it holds no escapes. Not worth a JSON parser
/// in a program that everything waits for.
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
