//! Detection of changes in a step's inputs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Hash of a step's inputs (64-bit FNV-1a). It detects changes and is not for security: external files are pinned by
/// SHA-256 or SHA-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Fingerprint of a text, such as a version or the flags of a tool.
    pub fn of(text: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).and_bytes(text.as_bytes())
    }

    /// Adds a file's content, or every file below a folder by name and content.
    pub fn and(self, path: &Path) -> Result<Self> {
        let error = || format!("`{}` could not be read", path.display());
        if !path.is_dir() {
            return Ok(self.and_bytes(&fs::read(path).with_context(error)?));
        }
        let mut entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(error)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        entries
            .iter()
            .try_fold(self, |sum, entry| sum.and_bytes(entry.file_name().as_encoded_bytes()).and(&entry.path()))
    }

    /// Whether `record` has written this fingerprint to `stamp`.
    pub fn is_recorded_in(self, stamp: &Path) -> bool {
        fs::read_to_string(stamp).is_ok_and(|text| text == self.to_string())
    }

    /// Writes the fingerprint to `stamp`.
    pub fn record(self, stamp: &Path) -> Result<()> {
        fs::write(stamp, self.to_string()).with_context(|| format!("`{}` could not be written", stamp.display()))
    }

    fn and_bytes(self, bytes: &[u8]) -> Self {
        // The length comes first, so that two inputs cannot exchange bytes at their border.
        let length = (bytes.len() as u64).to_le_bytes();
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(length.iter().chain(bytes).fold(self.0, step))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_both_count() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("tradewind-print-{}", std::process::id()));
        fs::create_dir_all(dir.join("inner"))?;
        let print = || Fingerprint::of("flags").and(&dir);

        fs::write(dir.join("inner/a"), "1")?;
        let first = print()?;
        assert_eq!(first, print()?);
        fs::write(dir.join("inner/a"), "2")?;
        let second = print()?;
        assert_ne!(first, second);
        fs::rename(dir.join("inner/a"), dir.join("inner/b"))?;
        assert_ne!(second, print()?);

        fs::remove_dir_all(dir)?;
        Ok(())
    }
}
