use super::{SignArgs, watch::watched, write};
use anyhow::{Context, bail};
use std::{collections::BTreeMap, io::Write, path::PathBuf, process::ExitCode};
use tradewind_compiler::{Options, Precision};
use tradewind_host::packing::{MAX_LOSS, Source, Storage};

#[derive(clap::Args)]
pub struct Pack {
    /// Folder with pack.json and model.onnx, or an ONNX file.
    source: PathBuf,
    /// Output file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Output file without recorded samples, for pages: the same pack, with the same root.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    #[command(flatten)]
    sign: SignArgs,
    /// Maximum batch of a model whose rows depend on each other.
    #[arg(long, value_name = "ROWS", default_value_t = Options::default().joint_rows)]
    joint_rows: u32,
    /// Extent of an input axis, by name (`steps=50`) or by input and axis number (`ids[1]=50`); may be repeated.
    #[arg(long, value_name = "AXIS=NUMBER", value_parser = binding)]
    bind: Vec<(String, i64)>,
    /// Input with a default (an initializer that is also listed as an input) to keep as an input of the pack; otherwise
    /// it is a constant, unless a recorded sample contains it. May be repeated.
    #[arg(long = "override", value_name = "INPUT")]
    overrides: Vec<String>,
    /// Storage of the model's tables and matrices.
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t = Weights::F32)]
    weights: Weights,
    /// Maximum change of an output caused by encoded weights, relative to its largest magnitude, and maximum share of
    /// changed labels.
    #[arg(long, value_name = "PART", default_value_t = MAX_LOSS)]
    max_loss: f32,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Weights {
    F32,
    F16,
    Int8,
}

impl Pack {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let options = Options {
            joint_rows: self.joint_rows,
            bind: bindings(&self.bind)?,
            overrides: self.overrides.into_iter().collect(),
        };
        let precision = match self.weights {
            Weights::F32 => Precision::F32,
            Weights::F16 => Precision::F16,
            Weights::Int8 => Precision::Int8,
        };
        let packed = Source::read(&self.source)
            .and_then(|source| {
                let compiled = watched(|| source.compile(&options))?;
                source.pack_compiled(
                    compiled,
                    &options,
                    Storage::default().precision(precision).max_loss(self.max_loss),
                )
            })
            .with_context(|| format!("cannot pack `{}`", self.source.display()))?;
        let mut bytes = packed.bytes;
        self.sign.sign(&mut bytes)?;
        write(&self.out, &bytes)?;
        for line in packed.notes.iter().chain(&packed.checks) {
            writeln!(out, "  {line}")?;
        }
        for loss in &packed.losses {
            writeln!(out, "  {loss}")?;
        }
        writeln!(out, "{}: {} bytes", self.out.display(), bytes.len())?;
        if let Some(path) = &self.page {
            let mut page = packed.page;
            self.sign.sign(&mut page)?;
            write(path, &page)?;
            writeln!(out, "{}: {} bytes, for pages", path.display(), page.len())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Parses an axis and its extent from `AXIS=NUMBER`.
pub(super) fn binding(text: &str) -> Result<(String, i64), String> {
    let (name, number) = text.rsplit_once('=').ok_or("expected AXIS=NUMBER")?;
    Ok((name.to_owned(), number.parse().map_err(|_| format!("`{number}` is not an integer"))?))
}

/// All bindings of a command, each axis once.
pub(super) fn bindings(given: &[(String, i64)]) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut bindings = BTreeMap::new();
    for (axis, number) in given {
        if let Some(other) = bindings.insert(axis.clone(), *number).filter(|other| other != number) {
            bail!("`--bind {axis}={number}` contradicts `--bind {axis}={other}`");
        }
    }
    Ok(bindings)
}
