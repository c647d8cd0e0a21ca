use anyhow::Context;
use std::{fs, io::Write, path::PathBuf, process::ExitCode};
use tradewind_compiler::Options;
use tradewind_core::pack;
use tradewind_host::{KeyPair, packing::Source};

#[derive(clap::Args)]
pub struct Pack {
    /// A folder with pack.json and model.onnx, or an ONNX file.
    source: PathBuf,
    /// The pack to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The secret key to sign with.
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    key: Option<PathBuf>,
    /// Leave the pack unsigned.
    #[arg(long, conflicts_with = "key")]
    unsigned: bool,
    /// The most rows of a model whose rows look at each other.
    #[arg(long, value_name = "ROWS", default_value_t = Options::default().joint_rows)]
    joint_rows: u32,
    /// Fixes a symbol in the model's input shapes.
    #[arg(long, value_name = "NAME=NUMBER", value_parser = binding)]
    bind: Vec<(String, i64)>,
}

impl Pack {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let options = Options { joint_rows: self.joint_rows, bind: self.bind.into_iter().collect() };
        let packed = Source::read(&self.source)
            .and_then(|source| source.pack(&options))
            .with_context(|| format!("`{}` was not packed", self.source.display()))?;
        let mut bytes = packed.bytes;
        if let Some(key) = self.key {
            let signature = KeyPair::read(key)?.sign(&bytes[..pack::HEADER_LEN]);
            pack::sign(&mut bytes, &signature);
        }
        if let Some(folder) = self.out.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        fs::write(&self.out, &bytes).with_context(|| format!("cannot write `{}`", self.out.display()))?;
        for line in packed.notes.iter().chain(&packed.checks) {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "{}: {} bytes", self.out.display(), bytes.len())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A symbol and its number, from `NAME=NUMBER`.
pub(super) fn binding(text: &str) -> Result<(String, i64), String> {
    let (name, number) = text.split_once('=').ok_or("it needs the form NAME=NUMBER")?;
    Ok((name.to_owned(), number.parse().map_err(|_| format!("`{number}` is no whole number"))?))
}
