//! Folder outside the checkout for tools and data, in one sub-folder per version.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::steps::Steps;

/// Folder for tools and data, kept between runs and shared by checkouts.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Returns `$TRADEWIND_CACHE`, or `tradewind` in the user's cache folder. It need not exist.
    pub fn locate() -> Result<Self> {
        let dir = if let Some(dir) = set("TRADEWIND_CACHE") {
            dir
        } else if let Some(dir) = set("XDG_CACHE_HOME") {
            dir.join("tradewind")
        } else if let Some(home) = set("HOME") {
            home.join(".cache/tradewind")
        } else {
            bail!("no cache folder for tools: set TRADEWIND_CACHE")
        };
        let dir =
            std::path::absolute(&dir).with_context(|| format!("`{}` is not a usable cache folder", dir.display()))?;
        Ok(Self { dir })
    }

    /// Path of the cache folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of `name`, installed or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the path of `name`, and installs it if it is missing: `fill`, run as the step `what`, writes it into the
    /// given folder.
    pub fn obtain(
        &self,
        name: &str,
        steps: &mut Steps,
        what: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        if place.exists() {
            return Ok(place);
        }
        let _lock = self.lock()?;
        if place.exists() {
            return Ok(place); // installed by another run, while this one waited
        }
        steps.run(what, || self.install(name, fill))
    }

    /// Installs `name`: `fill` writes into a fresh folder, which replaces the old one if `fill` succeeds. So an
    /// interrupted installation is never mistaken for a complete one.
    pub fn install(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let (place, partial) = (self.path(name), self.path(&format!("{name}.partial")));
        clear(&partial)?;
        create(&partial)?;
        fill(&partial)?;
        clear(&place)?;
        fs::rename(&partial, &place).with_context(|| format!("`{}` could not be renamed", place.display()))?;
        Ok(place)
    }

    /// Keeps other runs from installing, until the returned file is dropped.
    pub fn lock(&self) -> Result<File> {
        create(&self.dir)?;
        let path = self.path(".lock");
        let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                println!("    waiting for another `cargo xtask` that is setting up");
                file.lock().with_context(|| format!("`{}`", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("`{}`", path.display()));
            }
        }
        Ok(file)
    }
}

/// Creates a folder and its parents.
pub fn create(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("`{}` could not be created", dir.display()))
}

/// Removes a folder, if it exists.
fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("`{}` could not be removed", dir.display()))?;
    }
    Ok(())
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_installation_does_not_count() -> Result<()> {
        let dir = env::temp_dir().join(format!("tradewind-cache-{}", std::process::id()));
        let cache = Cache { dir: dir.clone() };

        let interrupted = cache.install("tool-1", |partial| {
            fs::write(partial.join("half"), "")?;
            bail!("the network is gone")
        });
        assert!(interrupted.is_err());
        assert!(!cache.path("tool-1").exists());

        let place = cache.install("tool-1", |partial| Ok(fs::write(partial.join("whole"), "")?))?;
        assert!(place.join("whole").exists());
        assert!(!place.join("half").exists(), "left over from the interrupted installation");
        fs::remove_dir_all(dir)?;
        Ok(())
    }
}
