//! The cases of `tests/cases`.

use crate::root;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, mem, path::Path};
use tradewind_compiler::{
    Interface, Options, Precision, TensorError, compile, fit_input, read_input, read_model, read_tensor,
};
use tradewind_core::tensor::{Tensor, TensorData};
use tradewind_host::packing::pack_model;

/// Open axes of a case's model besides the batch, with the extents used for packing.
const BOUND: [(&str, &str, i64); 3] = [
    ("two-tower-reduce-sum", "candidates", 9),
    ("gru-open-steps", "ids[1]", 12),
    ("transformer-open-steps", "steps", 12),
];

/// Data sets without comparable results, by case and kind, with the reason.
const EXEMPT: [(&str, &str, &str); 4] = [
    ("trees-input-f64", "nasty", "f64 rows that miss a threshold by less than a step of f32, in which plans compute"),
    ("trees-f64-as-tensor", "nasty", "as above"),
    ("trees-ensemble-5-f64", "nasty", "as above"),
    ("linear-regressor-probit", "many", "near one half PROBIT turns the last bit of a sum into the second digit"),
];

/// Model with onnxruntime's recorded outputs.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    /// The model.
    pub onnx: Vec<u8>,
    /// Options for compiling.
    pub options: Options,
    /// Recorded inputs and outputs.
    pub sets: Vec<DataSet>,
}

/// Recorded inputs and outputs.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// One tensor for each input.
    pub inputs: Vec<Tensor>,
    /// One tensor for each output.
    pub outputs: Vec<Tensor>,
}

/// Model that must be refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Name of its file.
    pub name: String,
    /// The bytes.
    pub onnx: Vec<u8>,
    /// Words that the refusal must contain.
    pub says: Vec<String>,
}

/// Reads all cases, sorted by name.
///
/// # Errors
/// If a file cannot be read.
pub fn cases() -> Result<Vec<Case>> {
    let folder = root().join("tests/cases/onnx");
    let index: Index = serde_json::from_slice(&read(&folder.join("index.json"))?)?;
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_listed = !entry.file_type()?.is_dir() || index.cases.contains_key(&name);
        ensure!(
            is_listed,
            "tests/cases/onnx/{name} is not in index.json, so nothing tests it; `make` writes the index"
        );
    }
    index.cases.iter().map(|(name, entry)| case(&folder.join(name), name, &entry.sets)).collect()
}

#[derive(Deserialize)]
struct Index {
    cases: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    kind: String,
}

fn case(folder: &Path, name: &str, listed: &[Set]) -> Result<Case> {
    let mut sets = Vec::new();
    for (n, set) in listed.iter().enumerate() {
        if EXEMPT.iter().any(|(case, kind, _)| *case == name && *kind == set.kind) {
            continue;
        }
        let set = folder.join(format!("test_data_set_{n}"));
        sets.push(DataSet {
            inputs: tensors(&set, "input", read_input)?,
            outputs: tensors(&set, "output", read_tensor)?,
        });
    }
    let bound = BOUND.iter().filter(|(case, ..)| *case == name);
    let bind = bound.map(|(_, symbol, number)| ((*symbol).to_owned(), *number)).collect();
    let onnx = read_model(&folder.join("model.onnx"))?;
    let defaults = Interface::read(&onnx)?.defaults.into_iter().map(|input| input.name);
    let overrides = defaults.filter(|name| sets.iter().any(|set| set.inputs.iter().any(|input| input.name == *name)));
    let options = Options { bind, overrides: overrides.collect(), ..Options::default() };
    if sets.iter().flat_map(|set| &set.inputs).any(|input| matches!(input.data, TensorData::F64(_))) {
        let plan = compile(&onnx, &options).with_context(|| name.to_owned())?.plan;
        for set in &mut sets {
            let inputs = mem::take(&mut set.inputs).into_iter().map(|input| fit_input(input, &plan));
            set.inputs = inputs.collect::<Result<_, _>>()?;
        }
    }
    Ok(Case { name: name.to_owned(), onnx, options, sets })
}

/// Reads the random graphs of `tests/cases/random.bin`, some of which may be refused.
///
/// # Errors
/// If the file cannot be read.
pub fn random() -> Result<Vec<Case>> {
    let bytes = read(&root().join("tests/cases/random.bin"))?;
    let mut rest = &bytes[..];
    let mut cases = Vec::new();
    while !rest.is_empty() {
        let [inputs, outputs, sets] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let onnx = text(&mut rest)?.to_vec();
        let mut tensors = |count| (0..count).map(|_| Ok(read_tensor(text(&mut rest)?)?)).collect::<Result<Vec<_>>>();
        let sets = (0..sets).map(|_| Ok(DataSet { inputs: tensors(inputs)?, outputs: tensors(outputs)? }));
        let sets = sets.collect::<Result<_>>()?;
        cases.push(Case { name: format!("random-{}", cases.len()), onnx, options: Options::default(), sets });
    }
    Ok(cases)
}

fn number(rest: &mut &[u8]) -> Result<u32> {
    let (number, after) = rest.split_first_chunk().context("`random.bin` ends early")?;
    *rest = after;
    Ok(u32::from_le_bytes(*number))
}

/// Reads length-prefixed bytes.
fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = number(rest)? as usize;
    let (text, after) = rest.split_at_checked(len).context("`random.bin` ends early")?;
    *rest = after;
    Ok(text)
}

fn tensors(set: &Path, side: &str, reader: fn(&[u8]) -> Result<Tensor, TensorError>) -> Result<Vec<Tensor>> {
    let files = (0..).map(|n| set.join(format!("{side}_{n}.pb"))).take_while(|path| path.exists());
    files.map(|path| reader(&read(&path)?).with_context(|| path.display().to_string())).collect()
}

/// Name of a case's pack; one name, so that a guest holds one case at a time.
pub const PACK: &str = "case";

/// Packs a case's model without other sections.
///
/// # Errors
/// The compiler's refusal.
pub fn pack_of(case: &Case) -> Result<Vec<u8>> {
    pack_at(case, Precision::F32)
}

/// Packs it with its large weights at a precision.
///
/// # Errors
/// The compiler's refusal.
pub fn pack_at(case: &Case, precision: Precision) -> Result<Vec<u8>> {
    Ok(pack_model(PACK, compile(&case.onnx, &case.options)?.at(precision))?)
}

/// Reads all models that must be refused, sorted by name.
///
/// # Errors
/// If a file cannot be read.
pub fn refused() -> Result<Vec<Refused>> {
    #[derive(Deserialize)]
    struct Entry {
        message_holds: Vec<String>,
    }
    let folder = root().join("tests/cases/refused");
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(&read(&folder.join("index.json"))?)?;
    let refused = entries.into_iter().map(|(name, entry)| {
        let onnx = read(&folder.join(format!("{name}.onnx")))?;
        Ok(Refused { name, onnx, says: entry.message_holds })
    });
    refused.collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
