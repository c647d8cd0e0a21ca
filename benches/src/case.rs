//! Measured cases: models with inputs, and decisions.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tradewind_compiler::Options;
use tradewind_core::{Money, message};
use tradewind_json as json;
use tradewind_tests::{
    allocation::{made_up, shop},
    dist, pack_of, root,
};

/// Computation that competitors repeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// Name of the model in files and plots.
    pub model: String,
    /// Model and number of rows; unique.
    pub name: String,
    /// Title of the model.
    pub title: String,
    /// Rows per answer.
    pub rows: usize,
    /// Target speed, as a multiple of onnxruntime-web's.
    pub target: Option<f64>,
    /// ONNX file; `None` for a decision.
    pub onnx: Option<PathBuf>,
    /// Pack; `None` if the compiler refuses the model.
    pub pack: Option<PathBuf>,
    /// Model in the format of the library that trained it.
    pub native: Option<PathBuf>,
    /// That library.
    pub library: Option<String>,
    /// Snapshot to load as well.
    pub snapshot: Option<PathBuf>,
    /// Encoded request, if it is the whole input.
    pub request: Option<PathBuf>,
    /// Inputs of the model.
    pub inputs: Vec<Input>,
}

/// An input of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Element type: `f32` or `i64`.
    #[serde(rename = "type")]
    pub dtype: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Little-endian elements, at least as many as in the shape.
    pub file: PathBuf,
}

impl Case {
    /// Whether a competitor supports the case: libraries run models they trained, only Tradewind makes decisions.
    pub fn concerns(&self, competitor: &str) -> bool {
        match competitor {
            "lightgbm" | "xgboost" => self.library.as_deref() == Some(competitor),
            "tradewind" | "wasmtime" | "native" => true,
            _ => self.onnx.is_some(),
        }
    }
}

/// Entry of `models.json`, which `models.py` writes.
#[derive(Deserialize)]
struct Model {
    name: String,
    title: String,
    library: Option<String>,
    inputs: Vec<Column>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    dtype: String,
    row: Vec<usize>,
}

#[derive(Deserialize)]
struct Target {
    rows: usize,
    ratio: f64,
}

/// Reads the cases of a folder written by `models.py`, and writes their packs to `packs`; also returns the refusals
/// by title.
///
/// # Errors
/// If a file cannot be read or written.
pub fn cases(models: &Path, packs: &Path) -> Result<(Vec<Case>, BTreeMap<String, String>)> {
    let list = models.join("models.json");
    let list = fs::read(&list).with_context(|| list.display().to_string())?;
    let (mut cases, mut refusals) = (Vec::new(), BTreeMap::new());
    for model in serde_json::from_slice::<Vec<Model>>(&list)? {
        let onnx = models.join(format!("{}.onnx", model.name));
        let pack = match compiled(&onnx, &packs.join(format!("{}.pack", model.name))) {
            Ok(pack) => Some(pack),
            Err(refusal) => {
                refusals.insert(model.title.clone(), format!("{refusal:#}"));
                None
            }
        };
        for Target { rows, ratio } in &model.targets {
            let input = |Column { name, dtype, row }: &Column| Input {
                name: name.clone(),
                dtype: dtype.clone(),
                shape: [&[*rows], &row[..]].concat(),
                file: models.join(format!("{}.{name}.bin", model.name)),
            };
            cases.push(Case {
                model: model.name.clone(),
                name: format!("{} × {rows}", model.name),
                title: model.title.clone(),
                rows: *rows,
                target: Some(*ratio),
                onnx: Some(onnx.clone()),
                pack: pack.clone(),
                native: model.library.as_ref().map(|_| models.join(format!("{}.native", model.name))),
                library: model.library.clone(),
                snapshot: None,
                request: None,
                inputs: model.inputs.iter().map(input).collect(),
            });
        }
    }
    Ok((cases, refusals))
}

/// Compiles a model into a pack.
fn compiled(onnx: &Path, pack: &Path) -> Result<PathBuf> {
    let onnx = fs::read(onnx).with_context(|| onnx.display().to_string())?;
    let case = tradewind_tests::Case { name: String::new(), onnx, options: Options::default(), sets: Vec::new() };
    fs::write(pack, pack_of(&case)?)?;
    Ok(pack.to_owned())
}

/// Returns cases for decisions, which only Tradewind makes: the ranking of the first real household of the test cases, and
/// the allocation of generated orders. Writes their requests and snapshots to `folder`.
///
/// # Errors
/// If the reference packs are not built.
pub fn decisions(folder: &Path) -> Result<Vec<Case>> {
    let requests = fs::read_to_string(root().join("tests/cases/rank/requests.jsonl"))?;
    let request: json::RankRequest = serde_json::from_str(requests.lines().next().context("no requests")?)?;
    let request = message::request(&request.message("recommend", &Default::default())?);
    let title = "One household's ranking, 170 candidates";
    let mut cases = vec![decision(folder, "rank", title, 1, "recommend", &request, None)?];
    for (name, title, late, problem) in [
        ("allocate-400", "One order from 400 nodes", 0, made_up(1, 400, 20, 9, 100_000)),
        ("allocate-400-late", "One order from 400 nodes, by their lateness", 400, made_up(1, 400, 20, 9, 100_000)),
        ("allocate-50", "10,000 orders from 50 nodes, ample stock", 0, made_up(10_000, 50, 1_000, 8, 300)),
        ("allocate-50-tight", "10,000 orders from 50 nodes, tight stock", 0, made_up(10_000, 50, 1_000, 8, 100)),
    ] {
        let (snapshot, request) = shop(&problem, Money(late))?;
        let request = message::request(&request);
        cases.push(decision(folder, name, title, problem.orders.len(), "late", &request, Some(snapshot))?);
    }
    Ok(cases)
}

fn decision(
    folder: &Path,
    name: &str,
    title: &str,
    rows: usize,
    pack: &str,
    request: &[u8],
    snapshot: Option<Vec<u8>>,
) -> Result<Case> {
    let file = folder.join(format!("{name}.request"));
    fs::write(&file, request)?;
    let over = folder.join(format!("{name}.snapshot"));
    Ok(Case {
        model: name.into(),
        name: name.into(),
        title: title.into(),
        rows,
        target: None,
        onnx: None,
        pack: Some(dist(&format!("packs/{pack}.pack"))?),
        native: None,
        library: None,
        snapshot: snapshot.map(|bytes| fs::write(&over, bytes).map(|()| over)).transpose()?,
        request: Some(file),
        inputs: Vec::new(),
    })
}
