use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_host::KeyPair;

#[derive(clap::Args)]
pub struct Keygen {
    /// Writes `NAME.key`, which must stay secret, and `NAME.pub`, for those who trust it.
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
}

impl Keygen {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        KeyPair::generate()?.write(&self.out)?;
        writeln!(out, "{0}.key signs packs: keep it secret. {0}.pub lets others trust them.", self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
