//! Browsers on this machine: from a variable, on `PATH`, in the usual folders, or installed by Playwright.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::program_on_path;

/// Browser, and where to look for it.
#[derive(Debug)]
pub struct Browser {
    /// Name in `dist/tools`.
    pub name: &'static str,
    /// Variables with the path of its program; the first one set is used.
    variables: &'static [&'static str],
    /// Names of its program on `PATH`.
    programs: &'static [&'static str],
    /// Paths outside `PATH`.
    places: &'static [&'static str],
    /// Playwright's folders, without the revision's number.
    playwright: &'static str,
    /// Path of the program in such a folder, by system.
    inside: &'static [&'static str],
}

/// Chromium or Chrome.
pub const CHROMIUM: Browser = Browser {
    name: "chromium",
    variables: &["CHROMIUM", "CHROME_PATH"],
    programs: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"],
    places: &[
        "/usr/bin/chromium",
        "/snap/bin/chromium",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    playwright: "chromium-",
    inside: &[
        "chrome-linux/chrome",
        "chrome-linux64/chrome",
        "chrome-mac/Chromium.app/Contents/MacOS/Chromium",
        "chrome-mac-x64/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
        "chrome-mac-arm64/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
    ],
};

/// Firefox, the extended support release first.
pub const FIREFOX: Browser = Browser {
    name: "firefox",
    variables: &["FIREFOX"],
    programs: &["firefox-esr", "firefox"],
    places: &["/usr/bin/firefox-esr", "/snap/bin/firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"],
    playwright: "firefox-",
    inside: &["firefox/firefox", "firefox/Nightly.app/Contents/MacOS/firefox"],
};

impl Browser {
    /// Finds the program. A variable is not checked: a wrong one fails when the browser is started.
    pub fn find(&self) -> Option<PathBuf> {
        let set = |name: &&str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let placed = || self.places.iter().map(PathBuf::from).find(|place| place.exists());
        self.variables
            .iter()
            .find_map(set)
            .or_else(|| program_on_path(self.programs))
            .or_else(placed)
            .or_else(|| playwright_folders().iter().find_map(|folder| self.in_playwright(folder)))
    }

    /// Finds the newest one in Playwright's folder.
    fn in_playwright(&self, folder: &Path) -> Option<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let revision = |name: &str| name.strip_prefix(self.playwright)?.parse::<u32>().ok();
        let found = entries.filter_map(|entry| Some((revision(&entry.file_name().to_string_lossy())?, entry.path())));
        let mut found: Vec<(u32, PathBuf)> = found.collect();
        found.sort();
        let programs = found.iter().rev().flat_map(|(_, path)| self.inside.iter().map(|inside| path.join(inside)));
        programs.into_iter().find(|program| program.exists())
    }
}

/// Folders of Playwright's browsers.
fn playwright_folders() -> Vec<PathBuf> {
    if let Some(folder) = env::var_os("PLAYWRIGHT_BROWSERS_PATH") {
        return vec![folder.into()];
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    [".cache/ms-playwright", "Library/Caches/ms-playwright"].map(|folder| home.join(folder)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;

    #[test]
    fn the_newest_of_playwrights_browsers_is_taken() -> Result<()> {
        let folder = env::temp_dir().join(format!("tradewind-playwright-{}", std::process::id()));
        let program = |revision: &str| folder.join(revision).join("chrome-linux/chrome");
        assert_eq!(CHROMIUM.in_playwright(&folder), None);
        for revision in ["chromium-999", "chromium-1208", "chromium_headless_shell-1300", "firefox-1500"] {
            fs::create_dir_all(folder.join(revision).join("chrome-linux"))?;
            fs::write(program(revision), "")?;
        }
        fs::create_dir_all(folder.join("chromium-1400"))?; // a download that was interrupted
        assert_eq!(CHROMIUM.in_playwright(&folder), Some(program("chromium-1208")));
        assert_eq!(FIREFOX.in_playwright(&folder), None);
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}
