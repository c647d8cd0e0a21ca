use super::{TrustArgs, read};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};
use tradewind_core::{
    Source, Task,
    demand::{DemandSpec, PriceSpec},
    late::LateSpec,
    pack::{MAGIC, ModelCard, SectionKind},
    plan::{Batch, DType, Dim, Encoding, Plan, Port},
    rank::RankTables,
    snapshot::Snapshot,
    text::{TextFeatures, TextPart},
};
use tradewind_json::{Words, hex};

#[derive(clap::Args)]
pub struct Inspect {
    /// Pack or snapshot.
    pack: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

impl Inspect {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let bytes = read(&self.pack)?;
        if !bytes.starts_with(&MAGIC) {
            bail!("`{}` is not a pack or snapshot; `tradewind pack` makes a pack of an ONNX file", self.pack.display());
        }
        let view = self.trust.trust()?.verify(&bytes).with_context(|| format!("`{}`", self.pack.display()))?;
        let manifest = view.manifest();
        writeln!(out, "{} {}", manifest.name, manifest.version)?;
        writeln!(out, "  root       {}", hex(&view.root()))?;
        match view.signature() {
            Some(signature) => writeln!(out, "  signed by  {}", hex(&signature.key))?,
            None => writeln!(out, "  not signed")?,
        }
        if let Some(card) = view.read_optional::<ModelCard>(SectionKind::Card)? {
            show_card(out, &card)?;
        }
        writeln!(out, "\nsections")?;
        for section in &manifest.sections {
            writeln!(out, "  {:<10} {:>10}", format!("{:?}", section.kind).to_lowercase(), size(section.len as usize))?;
        }
        writeln!(out, "  {:<10} {:>10}", "total", size(bytes.len()))?;
        if view.section(SectionKind::Storefront).is_some() {
            return show_snapshot(out, &Snapshot::read(&bytes)?);
        }
        show_plan(out, &view.read(SectionKind::Plan)?)?;
        match view.read(SectionKind::Task)? {
            Task::Infer => writeln!(out, "\ntask  infer: tensors in, tensors out")?,
            Task::Demand(DemandSpec { features }) => show_features(out, "demand", &features)?,
            Task::Price(PriceSpec { features }) => show_features(out, "price", &features)?,
            Task::Late(LateSpec { features }) => show_features(out, "late", &features)?,
            Task::Insight(spec) => {
                show_features(out, "insight", &spec.inputs)?;
                writeln!(out, "  rows        {}", spec.rows.name())?;
                writeln!(out, "  output      {}", serde_json::to_string(&spec.output)?)?;
                let evidence: Vec<_> = spec.evidence.iter().map(|rule| rule.source.name()).collect();
                writeln!(out, "  evidence    {}", evidence.join(", "))?;
                if let Some(words) = view.bytes(SectionKind::Words) {
                    let words: Words = serde_json::from_slice(words)?;
                    writeln!(out, "  words       {}", words.languages().collect::<Vec<_>>().join(", "))?;
                }
            }
            Task::Rank(spec) => {
                show_features(out, "rank", &spec.features)?;
                let candidates = spec.candidates;
                writeln!(
                    out,
                    "  candidates  what the shopper knows, {} that go with it, {} popular",
                    candidates.neighbours, candidates.popular
                )?;
                let tables: RankTables = view.copied_columns(SectionKind::Tables)?;
                writeln!(out, "  catalogue   {} products", tables.catalog.len())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Task of a pack, and the features of its model.
fn show_features(out: &mut dyn Write, task: &str, features: &[Source]) -> io::Result<()> {
    writeln!(out, "\ntask  {task}")?;
    let names: Vec<_> = features.iter().map(|feature| feature.name()).collect();
    writeln!(out, "  features    {}", names.join(", "))
}

fn show_snapshot(out: &mut dyn Write, snapshot: &Snapshot) -> anyhow::Result<ExitCode> {
    let moment = |at| serde_json::to_string(&at).map(|text| text.trim_matches('"').to_owned());
    let storefront = &snapshot.storefront;
    writeln!(out, "\nsnapshot")?;
    writeln!(out, "  valid      from {} until {}", moment(storefront.issued)?, moment(storefront.expires)?)?;
    writeln!(out, "  products   {}, prices in {}", storefront.catalog.len(), storefront.currency)?;
    let published = storefront.published.as_ref().map_or(0, |pricing| pricing.products().len());
    writeln!(out, "  published  {published} products can be priced from the public part")?;
    writeln!(out, "  regions    {}", storefront.regions.len())?;
    if let Some(fulfilment) = &snapshot.fulfilment {
        writeln!(out, "  nodes      {}, {} lanes", fulfilment.nodes.len(), fulfilment.lanes.len())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show_card(out: &mut dyn Write, card: &ModelCard) -> io::Result<()> {
    writeln!(out, "\n{}", card.summary)?;
    writeln!(out, "  model      {}", card.model)?;
    writeln!(out, "  licence    {}", card.licence)?;
    writeln!(out, "  use        {}", card.intended_use)?;
    for data in &card.data {
        writeln!(out, "  data       {} ({}): {}", data.name, data.licence, data.note)?;
    }
    for limit in &card.limits {
        writeln!(out, "  limit      {limit}")?;
    }
    for metric in &card.metrics {
        writeln!(
            out,
            "  {:<10} {:.4} on {}; {} {:.4}; difference {:+.4} to {:+.4} (95 %)",
            metric.name,
            metric.value,
            metric.split,
            metric.baseline,
            metric.baseline_value,
            metric.difference_low,
            metric.difference_high
        )?;
    }
    Ok(())
}

fn show_plan(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    writeln!(out, "\nplan")?;
    for (side, ports) in [("input", &plan.inputs), ("output", &plan.outputs)] {
        for port in ports {
            writeln!(out, "  {side:<7} {:<24} {}", port.name, port_type(plan, port))?;
        }
    }
    for TextFeatures { columns, parts, vectorizer, .. } in &plan.texts {
        let part = |part: &TextPart| match part {
            TextPart::Input(n) => plan.inputs.get(usize::from(*n)).map(|port| port.name.clone()),
            TextPart::Text(text) => Some(format!("{text:?}")),
        };
        let parts: Vec<String> = parts.iter().filter_map(part).collect();
        let unit = if vectorizer.least > 0 { "words" } else { "characters" };
        let (least, most) = (vectorizer.shortest, vectorizer.longest);
        let grams = vectorizer.grams.len();
        writeln!(
            out,
            "  text     {columns} columns from {grams} n-grams of {least} to {most} {unit} of {}",
            parts.join(" + ")
        )?;
    }
    match plan.batch {
        Batch::Independent => writeln!(out, "  rows     independent, {} at once", plan.tile)?,
        Batch::Joint => writeln!(out, "  rows     together, at most {}", plan.tile)?,
    }
    writeln!(out, "  memory   {} to work in", size(plan.arena_bytes as usize))?;
    writeln!(out, "  work     {} operations a row", plan.work(plan.tile as usize) / u64::from(plan.tile.max(1)))?;
    let mut kernels: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &plan.steps {
        *kernels.entry(step.kernel.name()).or_default() += 1;
    }
    let kernels: Vec<_> = kernels.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    writeln!(out, "  kernels  {}", kernels.join(", "))?;
    let mut weights: Vec<_> = plan.weights.iter().map(|weight| (weight.stored_bytes() as usize, weight)).collect();
    weights.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    for (bytes, weight) in weights.iter().take(5) {
        let stored = match weight.encoding {
            Encoding::Plain => "",
            Encoding::F16 => " as f16",
            Encoding::Int8 { .. } => " as int8",
        };
        writeln!(out, "  weight   {:>10}  {} of {}{stored}", size(*bytes), weight.len, dtype_name(weight.dtype))?;
    }
    Ok(())
}

fn port_type(plan: &Plan, port: &Port) -> String {
    let dims = port.shape.iter().map(|dim| match dim {
        Dim { fixed, per_row: 0 } => fixed.to_string(),
        Dim { fixed: 0, per_row: 1 } => "rows".to_owned(),
        Dim { fixed, per_row } => format!("{per_row}·rows + {fixed}"),
    });
    let dtype = match plan.buffers.get(port.buffer.0 as usize) {
        _ if !port.categories.is_empty() => "text",
        Some(buffer) => dtype_name(buffer.dtype),
        None => "?",
    };
    format!("{dtype} [{}]", dims.collect::<Vec<_>>().join(", "))
}

const fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::I64 => "i64",
        DType::I32 => "i32",
        DType::U8 => "u8",
        DType::Bool => "bool",
        DType::F64 => "f64",
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
