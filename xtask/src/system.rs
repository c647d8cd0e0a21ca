//! System packages: their names in each package manager, and their installation.
//!
//! Each command names its [`Need`]s. Missing ones are listed with the command line that installs them; on a terminal
//! the user is asked first. Nothing else is written outside the checkout, the cache and cargo's own folders.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::browsers;
use crate::cache::Cache;
use crate::shell::{Run, folders_on_path, program_on_path};
use crate::steps::Steps;

/// Program that a command needs from the system.
#[derive(Debug)]
pub struct Need {
    /// Name in messages.
    pub what: &'static str,
    /// Packages by manager; empty if the manager has none.
    packages: fn(Manager) -> &'static [&'static str],
    /// Whether a usable one is installed.
    is_met: fn() -> bool,
    /// Advice if no package helps.
    otherwise: &'static str,
}

/// Package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, RHEL.
    Dnf,
    /// macOS.
    Brew,
}

/// Node.js with npm, 20 or newer (Debian 12 has 18, Debian 13 has 20).
pub const NODE: Need = Need {
    what: "Node.js 20 or newer, with npm",
    packages: |manager| match manager {
        Manager::Apt | Manager::Dnf => &["nodejs", "npm"],
        Manager::Brew => &["node"],
    },
    is_met: node_is_there,
    otherwise: "https://nodejs.org/download has newer ones for every system",
};

/// Python with `venv`, 3.11 or newer.
pub const PYTHON: Need = Need {
    what: "Python 3.11 or newer, with venv",
    packages: |manager| match manager {
        Manager::Apt => &["python3", "python3-venv"],
        Manager::Dnf => &["python3"],
        Manager::Brew => &["python"],
    },
    is_met: || env::var_os("PYTHON").is_some() || python_is_there(),
    otherwise: "set PYTHON to a newer one",
};

/// Chromium or Chrome.
pub const CHROMIUM: Need = Need {
    what: "Chromium or Chrome",
    packages: |manager| match manager {
        Manager::Apt | Manager::Dnf => &["chromium"],
        Manager::Brew => &["google-chrome"],
    },
    is_met: || browsers::CHROMIUM.find().is_some(),
    otherwise: "set CHROMIUM to the program, or run `npx playwright install chromium`",
};

/// Firefox, whose engine differs from Chromium's.
pub const FIREFOX: Need = Need {
    what: "Firefox",
    packages: |manager| match manager {
        Manager::Apt => &["firefox-esr"],
        Manager::Dnf | Manager::Brew => &["firefox"],
    },
    is_met: || browsers::FIREFOX.find().is_some(),
    otherwise: "set FIREFOX to the program, or run `npx playwright install firefox`",
};

/// PostgreSQL's server programs, with which tests start their own servers.
pub const POSTGRESQL: Need = Need {
    what: "PostgreSQL",
    packages: |manager| match manager {
        Manager::Apt => &["postgresql"],
        Manager::Dnf => &["postgresql-server"],
        Manager::Brew => &["postgresql@17"],
    },
    is_met: || postgresql().is_some(),
    otherwise: "put the folder of `initdb` on PATH",
};

impl Manager {
    /// Detects the machine's package manager, if it is one of these.
    fn find() -> Option<Self> {
        let found = |program: &str| program_on_path(&[program]).is_some();
        if found("apt-get") {
            Some(Self::Apt)
        } else if found("dnf") {
            Some(Self::Dnf)
        } else if found("brew") {
            Some(Self::Brew)
        } else {
            None
        }
    }

    /// Command line that installs packages, without `sudo`.
    const fn install(self) -> &'static [&'static str] {
        match self {
            // Through `env`, because `sudo` does not pass variables on.
            Self::Apt => &[
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "--quiet",
                "-o",
                "DPkg::Lock::Timeout=600",
                "install",
                "-y",
                "--no-install-recommends",
            ],
            Self::Dnf => &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
            Self::Brew => &["brew", "install"],
        }
    }

    /// Command that a user would type to install packages.
    fn command(self, packages: &[&str]) -> String {
        let start = match self {
            Self::Apt => "sudo apt-get install --no-install-recommends",
            Self::Dnf => "sudo dnf install",
            Self::Brew => "brew install",
        };
        format!("{start} {}", packages.join(" "))
    }

    fn run(self, packages: &[&str]) -> Result<()> {
        if self == Self::Apt {
            as_root(&["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600", "update"])?
                .advice("check the network and /etc/apt/sources.list, then run the command again")
                .run()?;
        }
        let install = match self {
            Self::Brew => Run::new("brew").args(&self.install()[1..]), // Homebrew refuses to run as root
            Self::Apt | Self::Dnf => as_root(self.install())?,
        };
        let sources = match self {
            Self::Apt => "apt-cache policy",
            Self::Dnf => "dnf info",
            Self::Brew => "brew info",
        };
        install
            .args(packages)
            .advice(format!("`{sources} {}` shows the versions in this machine's sources", packages.join(" ")))
            .run()?;
        Ok(())
    }
}

/// Installs the packages of unmet `needs`, after asking on a terminal.
pub fn provide(cache: &Cache, steps: &mut Steps, needs: &[&Need]) -> Result<()> {
    if needs.iter().all(|need| (need.is_met)()) {
        return Ok(());
    }
    let _lock = cache.lock()?;
    install(steps, needs)
}

/// Like [`provide`], for callers that hold the cache's lock.
pub fn install(steps: &mut Steps, needs: &[&Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !(need.is_met)()).collect();
    if missing.is_empty() {
        return Ok(()); // installed by another run, while this one waited
    }
    let Some((manager, packages)) = Manager::find().and_then(|manager| Some((manager, packages(&missing, manager)?)))
    else {
        bail!("install these packages, then run the command again:\n{}", list(&missing));
    };
    println!("{}", notice(&missing, manager, &packages));
    if !steps.may("Install them?")? {
        bail!("nothing was installed; install the programs above, then run the command again");
    }
    steps.run("install system packages", || manager.run(&packages))?;
    let unmet: Vec<&Need> = missing.into_iter().filter(|need| !(need.is_met)()).collect();
    if unmet.is_empty() {
        return Ok(());
    }
    bail!("the system's packages are not sufficient:\n{}", list(&unmet))
}

/// Whether this is Debian, whose packages can replace rustup's downloads.
pub fn is_debian() -> bool {
    Manager::find() == Some(Manager::Apt)
}

/// Whether Debian's package manager has installed all of these.
pub fn are_installed(packages: &[&str]) -> bool {
    let status = Run::new("dpkg-query").args(["--show", "--showformat=${Status}\n"]).args(packages).output();
    status.is_ok_and(|status| status.lines().all(|line| line == "install ok installed"))
}

/// Need with packages only for Debian.
pub const fn debian(
    what: &'static str,
    packages: fn(Manager) -> &'static [&'static str],
    is_met: fn() -> bool,
) -> Need {
    Need { what, packages, is_met, otherwise: "Debian 12 with its security updates has all of these" }
}

/// Finds the folder with PostgreSQL's programs: on `PATH`, or in Debian's and Homebrew's versioned folders. A folder
/// without `initdb` contains only a client.
pub fn postgresql() -> Option<PathBuf> {
    let versions = |folder: &str, name: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
        found.sort();
        found
    };
    let kept = [("/usr/lib/postgresql", ""), ("/usr/local/opt", "postgresql@"), ("/opt/homebrew/opt", "postgresql@")];
    let kept = kept.into_iter().flat_map(|(folder, name)| versions(folder, name)).rev();
    folders_on_path().into_iter().chain(kept).find(|folder| folder.join("initdb").exists())
}

/// All packages of these needs; `None` if the manager has none for one of them.
fn packages(needs: &[&Need], manager: Manager) -> Option<Vec<&'static str>> {
    let each = needs.iter().map(|need| (need.packages)(manager));
    let each: Vec<&[&str]> = each.collect();
    each.iter().all(|packages| !packages.is_empty()).then(|| each.concat())
}

/// Notice of what will be installed, and how.
fn notice(missing: &[&Need], manager: Manager, packages: &[&str]) -> String {
    let what = missing.iter().map(|need| format!("  {}", need.what)).collect::<Vec<_>>().join("\n");
    format!("Missing from the system:\n{what}\nThis installs it:\n  {}", manager.command(packages))
}

/// List of missing programs, with advice if packages do not help.
fn list(needs: &[&Need]) -> String {
    needs.iter().map(|need| format!("  {}: {}", need.what, need.otherwise)).collect::<Vec<_>>().join("\n")
}

/// Command line run as root, through `sudo` if the user is not root.
fn as_root(line: &[&str]) -> Result<Run> {
    if Run::new("id").arg("-u").output()?.trim() == "0" {
        return Ok(Run::new(line[0]).args(&line[1..]));
    }
    if program_on_path(&["sudo"]).is_none() {
        bail!("this needs root, and `sudo` is missing: run the command again as root");
    }
    Ok(Run::new("sudo").args(line))
}

fn node_is_there() -> bool {
    let version = Run::new("node").arg("--version").output().unwrap_or_default();
    major(&version).is_some_and(|major| major >= 20) && Run::new("npm").arg("--version").dir(Path::new("/")).succeeds()
}

/// First number of a version like `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn python_is_there() -> bool {
    Run::new("python3").args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]).succeeds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_own_packages() {
        let all = [&NODE, &PYTHON, &CHROMIUM, &FIREFOX, &POSTGRESQL];
        let of = |manager| packages(&all, manager).unwrap_or_default().join(" ");
        assert_eq!(of(Manager::Apt), "nodejs npm python3 python3-venv chromium firefox-esr postgresql");
        assert_eq!(of(Manager::Dnf), "nodejs npm python3 chromium firefox postgresql-server");
        assert_eq!(of(Manager::Brew), "node python google-chrome firefox postgresql@17");
        let debian = debian("Debian's Rust", |manager| if manager == Manager::Apt { &["x"] } else { &[] }, || false);
        assert_eq!(packages(&[&NODE, &debian], Manager::Apt), Some(vec!["nodejs", "npm", "x"]));
        assert_eq!(packages(&[&NODE, &debian], Manager::Dnf), None);
    }

    #[test]
    fn the_notice_lists_what_is_missing_and_the_command_that_installs_it() {
        assert_eq!(
            notice(&[&NODE, &CHROMIUM], Manager::Dnf, &["nodejs", "npm", "chromium"]),
            "Missing from the system:\n  Node.js 20 or newer, with npm\n  Chromium or Chrome\n\
             This installs it:\n  sudo dnf install nodejs npm chromium"
        );
        assert!(list(&[&FIREFOX]).starts_with("  Firefox: set FIREFOX to the program"));
    }

    #[test]
    fn node_versions_are_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("18.0"), Some(18));
        assert_eq!(major(""), None);
    }
}
