use super::{read, write};
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_host::KeyPair;

#[derive(clap::Args)]
pub struct Sign {
    /// Module, `tradewind.wasm`; packs are signed when they are made.
    module: PathBuf,
    /// Secret key for signing.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Sign {
    /// Writes the signature beside the module, as `MODULE.sig`.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let signature = KeyPair::read(&self.key)?.sign_module(&read(&self.module)?);
        let path = self.module.with_added_extension("sig");
        write(&path, format!("{signature}\n").as_bytes())?;
        writeln!(out, "{}: upload it with the module, or keep it beside the module", path.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
