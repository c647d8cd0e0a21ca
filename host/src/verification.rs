//! Test cases in the ONNX project's layout: a folder with `model.onnx` and `test_data_set_N/input_K.pb`, `output_K.pb`.

use crate::{
    AskError, BuildError, Runtime, Tradewind, Trust, Unavailable, Verified,
    comparison::compare_outputs,
    data_sets::{DataSet, Fault, File, data_sets},
    packing::{PackError, pack_model},
    tradewind::unanswered,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};
use tradewind_compiler::{
    Declared, Interface, Options, ReadError, Refusal, TensorError, bind_input, compile, fit_input, read_input,
    read_model, read_tensor, write_tensor,
};
use tradewind_core::{
    ErrorKind,
    guest::{ClientError, GuestError},
    message::InferRequest,
    plan::{Batch, Plan},
    tensor::Tensor,
};

/// Name of a case's pack.
const PACK: &str = "case";

/// Case to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Name: the path of its folder below the searched folder.
    pub name: String,
    /// Path of its folder.
    pub folder: PathBuf,
}

/// Options for running cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settings {
    /// Whether a data set determines what a refused model lacks: extents of open input axes, and integer inputs that
    /// determine a shape.
    pub bind: bool,
    /// Extents of axes, as in [`Options::bind`].
    pub extents: BTreeMap<String, i64>,
    /// Output folder, for `CASE/test_data_set_N/output_K.pb`.
    pub out: Option<PathBuf>,
}

/// Outcome of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Its outputs match the recorded ones.
    Ok {
        /// Inputs that became constants, by their role in the operator, and axes with extents from the data.
        bound: Vec<String>,
    },
    /// It was refused before it ran.
    Refused {
        /// Reason and advice.
        reason: String,
    },
    /// Its outputs differ from the recorded ones, or it failed while running.
    Wrong {
        /// First difference.
        difference: String,
    },
    /// It is not a test case: a file is missing or damaged.
    Unusable {
        /// File and reason.
        reason: String,
    },
}

/// All cases in a folder and its subfolders, by name; the folder itself may be one.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_cases(folder: &Path) -> io::Result<Vec<Case>> {
    fn search(folder: &Path, name: String, cases: &mut Vec<Case>) -> io::Result<()> {
        if folder.join("model.onnx").exists() {
            cases.push(Case { name, folder: folder.to_owned() });
            return Ok(());
        }
        let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for path in entries.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()) {
            let own = file_name(&path);
            search(&path, if name.is_empty() { own } else { format!("{name}/{own}") }, cases)?;
        }
        Ok(())
    }
    let mut cases = Vec::new();
    if folder.join("model.onnx").exists() {
        cases.push(Case { name: file_name(&folder.canonicalize()?), folder: folder.to_owned() });
    } else {
        search(folder, String::new(), &mut cases)?;
    }
    Ok(cases)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "case".into(), |name| name.to_string_lossy().into_owned())
}

/// Compiles and runs a case in the module.
pub fn verify(runtime: &Runtime, case: &Case, settings: &Settings) -> Outcome {
    match run(runtime, case, settings) {
        Ok(bound) => Outcome::Ok { bound },
        Err(outcome) => outcome,
    }
}

/// Compiled form of a model for a data set; sets with the same form share a plan.
#[derive(Debug, PartialEq)]
struct Variant {
    options: Options,
    /// Inputs that are constants: name and `TensorProto`.
    constants: Vec<(String, Vec<u8>)>,
}

fn run(runtime: &Runtime, case: &Case, settings: &Settings) -> Result<Vec<String>, Outcome> {
    let onnx = read_model(&case.folder.join("model.onnx")).map_err(|error| match error {
        ReadError::Refused(refusal) => refused(refusal.to_string()),
        error => unusable(error.to_string()),
    })?;
    // A fault with a node is about the model, any other about its bytes.
    let interface = Interface::read(&onnx).map_err(|refusal| match refusal.node() {
        "" => unusable(format!("model.onnx: {refusal}")),
        _ => refused(refusal.to_string()),
    })?;
    check_types("input", &interface.inputs)?;
    let sets = data_sets(&case.folder)?;
    if sets.is_empty() {
        return Err(unusable(format!("`{}` has no folder test_data_set_0", case.folder.display())));
    }

    let mut free = BTreeMap::new();
    let mut loaded: Option<(Variant, Plan, Tradewind)> = None;
    let mut bound = Vec::new();
    for set in &sets {
        let given = set.inputs_of(&interface)?;
        let defaults = interface.defaults.iter().map(|input| &input.name);
        let overrides: BTreeSet<String> =
            defaults.filter(|name| given.iter().any(|(given, _)| given == *name)).cloned().collect();
        let mut options =
            Options { bind: settings.extents.clone(), overrides: overrides.clone(), ..Options::default() };
        let free = free.entry(overrides).or_insert_with(|| compile(&onnx, &options));
        // A dictionary for each row, or a sequence, may be tensors in the plan.
        let outputs = match free {
            Ok(compiled) => compiled.plan.outputs.len(),
            Err(_) => check_types("output", &interface.outputs).map(|()| interface.outputs.len())?,
        };
        check_count(case, set, outputs)?;
        let mut constants = Vec::new();
        if let Err(refusal) = free {
            let fixable = !interface.shape_inputs.is_empty() || !interface.open_axes.is_empty();
            if !settings.bind || !fixable {
                return Err(refused(advice(refusal, &interface)));
            }
            options.bind.extend(extents(&interface, &given));
            constants = shape_constants(&interface, &given);
        }
        let inputs = inputs(&given, &constants)?;
        let variant = Variant { options, constants };
        let (_, plan, tradewind) = match &mut loaded {
            Some(held) if held.0 == variant && too_many(&held.1, &inputs).is_none() => held,
            slot => {
                let mut model = onnx.clone();
                for (name, tensor) in &variant.constants {
                    model = bind_input(&model, name, tensor)
                        .map_err(|error| unusable(format!("{}: input `{name}`: {error}", set.name)))?;
                }
                let again = |options| compile(&model, &options).map_err(|refusal| refused(refusal.to_string()));
                let mut compiled = match free {
                    Ok(compiled) => compiled.clone(),
                    Err(_) => {
                        bound.extend(interface.shape_inputs.values().cloned());
                        bound.extend(interface.open_axes.iter().map(|(input, axis)| format!("{input}[{axis}]")));
                        again(variant.options.clone())?
                    }
                };
                if let Some(joint_rows) = too_many(&compiled.plan, &inputs) {
                    compiled = again(Options { joint_rows, ..variant.options.clone() })?;
                }
                slot.insert((variant, compiled.plan.clone(), load(runtime, compiled)?))
            }
        };
        let inputs = inputs.into_iter().map(|input| fit_input(input, plan)).collect::<Result<_, _>>();
        let inputs = inputs.map_err(|error| refused(format!("{}: {error}", set.name)))?;
        run_set(tradewind, case, set, inputs, &interface, settings)?;
    }
    bound.sort();
    bound.dedup();
    Ok(bound)
}

/// Advice that may avoid a refusal.
fn advice(refusal: &Refusal, interface: &Interface) -> String {
    let mut advice = refusal.to_string();
    if !interface.shape_inputs.is_empty() {
        let names: Vec<String> = interface.shape_inputs.keys().map(|name| format!("`{name}`")).collect();
        advice += &format!("; shapes depend on {}, which `--bind` makes constant", names.join(", "));
    }
    if !interface.open_axes.is_empty() {
        let axes: Vec<String> = interface.open_axes.iter().map(|(input, axis)| format!("`{input}[{axis}]`")).collect();
        advice += &format!("; `--bind` without a value gives {} the extent of the data", axes.join(", "));
    }
    advice
}

fn shape_constants(interface: &Interface, given: &[(String, &File)]) -> Vec<(String, Vec<u8>)> {
    let bound = given.iter().filter(|(name, _)| interface.shape_inputs.contains_key(name));
    bound.map(|(name, file)| (name.clone(), file.bytes.clone())).collect()
}

/// Extents of the recorded inputs on the model's open axes.
fn extents(interface: &Interface, given: &[(String, &File)]) -> BTreeMap<String, i64> {
    let open = interface.open_axes.iter().filter_map(|(input, axis)| {
        let (_, file) = given.iter().find(|(name, _)| name == input)?;
        let extent = *read_tensor(&file.bytes).ok()?.shape.get(*axis)?;
        Some((format!("{input}[{axis}]"), extent.into()))
    });
    open.collect()
}

fn check_count(case: &Case, set: &DataSet, outputs: usize) -> Result<(), Outcome> {
    if let Some(extra) = set.outputs.get(outputs) {
        return Err(unusable(format!("`{}` is an extra output: the model has {outputs}", extra.path.display())));
    }
    if set.outputs.len() < outputs {
        let missing = case.folder.join(&set.name).join(format!("output_{}.pb", set.outputs.len()));
        return Err(unusable(format!("`{}` is missing: the model has {outputs} outputs", missing.display())));
    }
    Ok(())
}

fn load(runtime: &Runtime, compiled: tradewind_compiler::Compiled) -> Result<Tradewind, Outcome> {
    let pack = pack_model(PACK, compiled).map_err(|error| match error {
        PackError::Core(error) if error.kind() == ErrorKind::TooLarge => refused(error.to_string()),
        error => wrong(format!("it was compiled, but not packed: {error}")),
    })?;
    // The pack was just made by this process.
    let pack = Verified::pack(pack, &Trust::unsigned()).map_err(|error| wrong(error.to_string()))?;
    Tradewind::builder().runtime(runtime.clone()).verified_pack(pack).build().map_err(|error| match error {
        BuildError::Refused { error, .. } => failure("the module refuses it", unanswered(error)),
        error => unusable(error.to_string()),
    })
}

/// Number of rows, if it is more than a plan accepts at once.
fn too_many(plan: &Plan, inputs: &[Tensor]) -> Option<u32> {
    let ports = plan.inputs.iter().zip(inputs);
    let extents = ports.flat_map(|(port, tensor)| port.shape.iter().zip(&tensor.shape));
    let rows =
        extents.filter(|(dim, _)| dim.per_row > 0).map(|(dim, extent)| extent.saturating_sub(dim.fixed) / dim.per_row);
    rows.max().filter(|rows| plan.batch == Batch::Joint && *rows > plan.tile)
}

/// Inputs of a set that are not constants.
fn inputs(given: &[(String, &File)], constants: &[(String, Vec<u8>)]) -> Result<Vec<Tensor>, Outcome> {
    let mut inputs = Vec::new();
    for (name, file) in given {
        let tensor = read(file, read_input)?;
        if constants.iter().all(|(constant, _)| constant != name) {
            inputs.push(Tensor { name: name.clone(), ..tensor });
        }
    }
    Ok(inputs)
}

fn run_set(
    tradewind: &Tradewind,
    case: &Case,
    set: &DataSet,
    inputs: Vec<Tensor>,
    interface: &Interface,
    settings: &Settings,
) -> Result<(), Outcome> {
    let found = tradewind
        .infer(&InferRequest { pack: PACK.into(), inputs })
        .map_err(|error| failure(&format!("{}: the module failed", set.name), error))?;
    if let Some(out) = &settings.out {
        write_outputs(&out.join(&case.name).join(&set.name), &found, interface)?;
    }
    let expected = set.outputs.iter().map(tensor).collect::<Result<Vec<_>, _>>();
    if expected.is_err() {
        check_types("output", &interface.outputs)?;
    }
    let expected = expected?;
    compare_outputs(&found, &expected, interface.classifies)
        .map_err(|difference| wrong(format!("{}: {difference}", set.name)))
}

/// Exceeded limits are refusals; any other failure on valid inputs is wrong.
fn failure(what: &str, error: AskError) -> Outcome {
    match &error {
        ClientError::Fault(fault) if matches!(fault.kind(), Some(ErrorKind::TooLarge | ErrorKind::OutOfMemory)) => {
            refused(error.to_string())
        }
        ClientError::Guest(Unavailable::Guest(GuestError::OutOfMemory(_))) => refused(error.to_string()),
        _ => wrong(format!("{what}: {error}")),
    }
}

fn write_outputs(folder: &Path, found: &[Tensor], interface: &Interface) -> Result<(), Outcome> {
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).map_err(|error| unusable(format!("cannot write `{}`: {error}", path.display())))
    };
    fs::create_dir_all(folder).map_err(|error| unusable(format!("cannot make `{}`: {error}", folder.display())))?;
    for (n, tensor) in found.iter().enumerate() {
        let declared = interface.outputs.iter().find(|declared| declared.name == tensor.name);
        let element = declared.and_then(|declared| declared.element);
        let bytes = write_tensor(tensor, element).map_err(|error| wrong(error.to_string()))?;
        write(&folder.join(format!("output_{n}.pb")), &bytes)?;
    }
    Ok(())
}

fn check_types(side: &str, declared: &[Declared]) -> Result<(), Outcome> {
    match declared.iter().find(|declared| declared.element.is_none()) {
        None => Ok(()),
        Some(declared) => {
            Err(refused(format!("{side} `{}` is a sequence, a map or optional, not a tensor", declared.name)))
        }
    }
}

fn tensor(file: &File) -> Result<Tensor, Outcome> {
    read(file, read_tensor)
}

fn read(file: &File, reader: fn(&[u8]) -> Result<Tensor, TensorError>) -> Result<Tensor, Outcome> {
    reader(&file.bytes).map_err(|error| {
        let reason = format!("`{}`: {error}", file.path.display());
        if matches!(error, TensorError::Unsupported(_)) { refused(reason) } else { unusable(reason) }
    })
}

impl From<Fault> for Outcome {
    fn from(Fault { path, message }: Fault) -> Self {
        unusable(format!("`{}`: {message}", path.display()))
    }
}

fn refused(reason: String) -> Outcome {
    Outcome::Refused { reason }
}

fn wrong(difference: String) -> Outcome {
    Outcome::Wrong { difference }
}

fn unusable(reason: String) -> Outcome {
    Outcome::Unusable { reason }
}
