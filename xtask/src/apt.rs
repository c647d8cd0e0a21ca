//! Debian's packages, for what a machine lacks.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::Run;

/// Installs those of `packages` that are missing.
pub fn install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !available() {
        bail!(
            "this machine has no `apt-get`: install what Debian calls {} in its own way, then run \
             the command again",
            missing.join(", ")
        );
    }
    let what = || format!("Debian's {} must be installed", missing.join(", "));
    apt_get()
        .with_context(what)?
        .arg("update")
        .advice("check the network and /etc/apt/sources.list, then run the command again")
        .run()?;
    apt_get()?
        .args(["install", "-y", "--no-install-recommends"])
        .args(&missing)
        .advice(format!(
            "`apt-cache policy {}` shows what this machine's sources offer (Debian 12 with its \
             security updates has them all)",
            missing.join(" ")
        ))
        .run()?;
    Ok(())
}

/// Is this a machine with Debian's package manager?
pub fn available() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// A command that runs as root, through `sudo` where the user is somebody else.
pub fn as_root(program: &str) -> Result<Run> {
    if Run::new("id").arg("-u").output()?.trim() == "0" {
        Ok(Run::new(program))
    } else if Run::new("sudo").arg("--version").succeeds() {
        Ok(Run::new("sudo").arg(program))
    } else {
        bail!("this takes root, and there is no `sudo`: run the command again as root")
    }
}

fn installed(package: &str) -> bool {
    Run::new("dpkg-query")
        .args(["--show", "--showformat=${Status}", package])
        .output()
        .is_ok_and(|status| status == "install ok installed")
}

/// `apt-get` that asks nothing and waits for its turn. (Through `env`, as `sudo` passes none on.)
fn apt_get() -> Result<Run> {
    Ok(as_root("env")?.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600"]))
}
