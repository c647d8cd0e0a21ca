//! Runs test cases in the layout of the ONNX project: a folder with `model.onnx` and
//! `test_data_set_N/input_K.pb`, `output_K.pb`.

use crate::{
    Runtime,
    comparison::compare_outputs,
    packing::{PackError, pack_model},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tradewind_compiler::{
    Declared, Interface, Options, Refusal, TensorError, bind_input, compile, read_tensor, write_tensor,
};
use tradewind_core::{
    ErrorKind,
    guest::{Client, ClientError, GuestError},
    message::InferRequest,
    tensor::Tensor,
};

/// What the pack of a case is called.
const PACK: &str = "case";

/// A case to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What it is called: the path of its folder below the one that was searched.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// How cases are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Integer inputs that determine a shape become constants, where the model is refused without.
    pub bind: bool,
    /// The folder into which outputs are written, as `CASE/test_data_set_N/output_K.pb`.
    pub out: Option<PathBuf>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Its outputs are the recorded ones.
    Ok {
        /// The inputs that were constants, by what they are to their operator.
        bound: Vec<String>,
    },
    /// It cannot be run, which was said before it was run.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Its outputs are others than the recorded ones, or it failed while it ran.
    Wrong {
        /// The first difference.
        difference: String,
    },
    /// It is no test case: a file is missing or damaged.
    Unusable {
        /// Which, and why.
        reason: String,
    },
}

/// Every case in a folder and the folders below it, by name; the folder itself may be one.
///
/// # Errors
/// When a folder cannot be read.
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

/// Inputs that are constants: name and `TensorProto`.
type Constants = Vec<(String, Vec<u8>)>;

/// One data set of a case, as it lies in files.
struct DataSet {
    name: String,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

fn run(runtime: &Runtime, case: &Case, settings: &Settings) -> Result<Vec<String>, Outcome> {
    let onnx = read(&case.folder.join("model.onnx"))?;
    let interface = Interface::read(&onnx).map_err(|refusal| unusable(format!("model.onnx: {refusal}")))?;
    check_types("input", &interface.inputs)?;
    let free = compile(&onnx, &Options::default());
    // A dictionary for each row, or a sequence, may be tensors in the plan.
    let outputs = match &free {
        Ok(compiled) => compiled.plan.outputs.len(),
        Err(_) => check_types("output", &interface.outputs).map(|()| interface.outputs.len())?,
    };
    let sets = data_sets(&case.folder, interface.inputs.len(), outputs)?;

    let mut client: Option<(Constants, Client<_>)> = None;
    let mut bound = Vec::new();
    for set in &sets {
        let constants: Constants = match &free {
            Err(refusal) if interface.shape_inputs.is_empty() => return Err(refused(refusal.to_string())),
            Err(refusal) if !settings.bind => return Err(refused(advice(refusal, &interface))),
            Err(_) => shape_constants(&interface, set),
            Ok(_) => Vec::new(),
        };
        // Sets whose constants are the same share a plan.
        let client = match &mut client {
            Some((known, client)) if *known == constants => client,
            slot => {
                let compiled = match &free {
                    Ok(compiled) => compiled.clone(),
                    Err(_) => {
                        let mut model = onnx.clone();
                        for (name, tensor) in &constants {
                            model = bind_input(&model, name, tensor)
                                .map_err(|error| unusable(format!("{}: input `{name}`: {error}", set.name)))?;
                        }
                        bound = interface.shape_inputs.values().cloned().collect();
                        compile(&model, &Options::default()).map_err(|refusal| refused(refusal.to_string()))?
                    }
                };
                &mut slot.insert((constants.clone(), load(runtime, compiled)?)).1
            }
        };
        run_set(client, case, set, &interface, &constants, settings)?;
    }
    bound.sort();
    bound.dedup();
    Ok(bound)
}

fn advice(refusal: &Refusal, interface: &Interface) -> String {
    let names: Vec<String> = interface.shape_inputs.keys().map(|name| format!("`{name}`")).collect();
    format!("{refusal}; shapes depend on {}, which `--bind` makes constant", names.join(", "))
}

fn shape_constants(interface: &Interface, set: &DataSet) -> Constants {
    let inputs = interface.inputs.iter().zip(&set.inputs);
    let bound = inputs.filter(|(input, _)| interface.shape_inputs.contains_key(&input.name));
    bound.map(|(input, bytes)| (input.name.clone(), bytes.clone())).collect()
}

fn load(runtime: &Runtime, compiled: tradewind_compiler::Compiled) -> Result<Client<crate::WasmGuest>, Outcome> {
    let pack = pack_model(PACK, compiled).map_err(|error| match error {
        PackError::Core(error) if error.kind() == ErrorKind::TooLarge => refused(error.to_string()),
        error => wrong(format!("it was compiled, but not packed: {error}")),
    })?;
    let mut client = Client::new(runtime.guest().map_err(|error| unusable(error.to_string()))?);
    client.load(&pack).map_err(|error| failure("the module does not load it", error))?;
    Ok(client)
}

fn run_set(
    client: &mut Client<crate::WasmGuest>,
    case: &Case,
    set: &DataSet,
    interface: &Interface,
    constants: &Constants,
    settings: &Settings,
) -> Result<(), Outcome> {
    let mut inputs = Vec::new();
    for (tensor, declared) in tensors(set, "input", &set.inputs)?.into_iter().zip(&interface.inputs) {
        if constants.iter().all(|(name, _)| *name != declared.name) {
            inputs.push(Tensor { name: declared.name.clone(), ..tensor });
        }
    }
    let found = client
        .infer(InferRequest { pack: PACK.into(), inputs })
        .map_err(|error| failure(&format!("{}: the module does not answer", set.name), error))?;
    if let Some(out) = &settings.out {
        write_outputs(&out.join(&case.name).join(&set.name), &found, interface)?;
    }
    let expected = tensors(set, "output", &set.outputs);
    if expected.is_err() {
        check_types("output", &interface.outputs)?;
    }
    let expected = expected?;
    compare_outputs(&found, &expected, interface.classifies)
        .map_err(|difference| wrong(format!("{}: {difference}", set.name)))
}

/// What limits refuse is refused; any other answer to good inputs is wrong.
fn failure(what: &str, error: ClientError<GuestError>) -> Outcome {
    match &error {
        ClientError::Fault(fault) if matches!(fault.kind(), Some(ErrorKind::TooLarge | ErrorKind::OutOfMemory)) => {
            refused(error.to_string())
        }
        ClientError::Guest(GuestError::OutOfMemory(_)) => refused(error.to_string()),
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
            Err(refused(format!("{side} `{}` is a sequence, a map or optional, and no tensor", declared.name)))
        }
    }
}

fn data_sets(folder: &Path, inputs: usize, outputs: usize) -> Result<Vec<DataSet>, Outcome> {
    let names = (0..).map(|n| format!("test_data_set_{n}")).take_while(|name| folder.join(name).is_dir());
    let sets = names.map(|name| {
        let files = |side: &str, count: usize| -> Result<Vec<Vec<u8>>, Outcome> {
            let path = |n: usize| folder.join(&name).join(format!("{side}_{n}.pb"));
            let files = (0..count).map(|n| read(&path(n))).collect::<Result<_, _>>()?;
            if path(count).exists() {
                let extra = path(count);
                return Err(unusable(format!("`{}` is one too many: the model has {count} {side}s", extra.display())));
            }
            Ok(files)
        };
        let (inputs, outputs) = (files("input", inputs)?, files("output", outputs)?);
        Ok(DataSet { name, inputs, outputs })
    });
    let sets: Vec<DataSet> = sets.collect::<Result<_, _>>()?;
    if sets.is_empty() {
        return Err(unusable(format!("`{}` has no folder test_data_set_0", folder.display())));
    }
    Ok(sets)
}

fn tensors(set: &DataSet, side: &str, files: &[Vec<u8>]) -> Result<Vec<Tensor>, Outcome> {
    let tensors = files.iter().enumerate().map(|(n, bytes)| {
        read_tensor(bytes).map_err(|error| {
            let reason = format!("{}/{side}_{n}.pb: {error}", set.name);
            if matches!(error, TensorError::Unsupported(_)) { refused(reason) } else { unusable(reason) }
        })
    });
    tensors.collect()
}

fn read(path: &Path) -> Result<Vec<u8>, Outcome> {
    fs::read(path).map_err(|error| unusable(format!("cannot read `{}`: {error}", path.display())))
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
