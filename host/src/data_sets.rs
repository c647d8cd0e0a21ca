//! Recorded inputs and outputs in the layout of the ONNX project: `test_data_set_N/input_K.pb` and
//! `output_K.pb`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tradewind_compiler::{Interface, read_tensor};

/// Data set, in files.
#[derive(Debug)]
pub(crate) struct DataSet {
    /// Name of its folder.
    pub name: String,
    pub inputs: Vec<File>,
    pub outputs: Vec<File>,
}

/// `TensorProto` in a file.
#[derive(Debug)]
pub(crate) struct File {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// Faulty file or folder, with the fault.
#[derive(Debug)]
pub(crate) struct Fault {
    pub path: PathBuf,
    pub message: String,
}

/// Data sets of a folder, in order.
pub(crate) fn data_sets(folder: &Path) -> Result<Vec<DataSet>, Fault> {
    let sets = numbered(folder, "test_data_set_", "")?.into_iter().map(|path| {
        let files = |side: &str| -> Result<Vec<File>, Fault> {
            let paths = numbered(&path, side, ".pb")?.into_iter();
            paths.map(|path| Ok(File { bytes: fs::read(&path).map_err(|error| fault(&path, error))?, path })).collect()
        };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(DataSet { name, inputs: files("input_")?, outputs: files("output_")? })
    });
    sets.collect()
}

/// Entries of a folder named `{before}{number}{after}`, numbered from 0 without gaps.
fn numbered(folder: &Path, before: &str, after: &str) -> Result<Vec<PathBuf>, Fault> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| fault(folder, error))? {
        let name = entry.map_err(|error| fault(folder, error))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(before)?.strip_suffix(after)?.parse().ok());
        found.extend(number.map(|number: usize| (number, folder.join(name))));
    }
    for (wanted, (number, path)) in found.iter().enumerate() {
        if *number != wanted {
            return Err(fault(path, format!("{before}{wanted}{after} is missing before it")));
        }
    }
    Ok(found.into_values().collect())
}

impl DataSet {
    /// Recorded inputs by the model's names. Tensors have these names, or, if none has one (or a name is unreadable),
    /// the order of the model's inputs.
    pub fn inputs_of(&self, interface: &Interface) -> Result<Vec<(String, &File)>, Fault> {
        let names: Vec<String> = self
            .inputs
            .iter()
            .map(|file| read_tensor(&file.bytes).map_or(String::new(), |tensor| tensor.name))
            .collect();
        let known: BTreeSet<&str> =
            interface.inputs.iter().chain(&interface.defaults).map(|input| input.name.as_str()).collect();
        let required: Vec<&str> = interface.inputs.iter().map(|input| input.name.as_str()).collect();
        let takes = || match known.is_empty() {
            true => "the model has no inputs".to_owned(),
            false => format!("the model takes `{}`", known.iter().copied().collect::<Vec<_>>().join("`, `")),
        };
        let named = names.iter().all(|name| !name.is_empty());
        if named && names.iter().any(|name| known.contains(name.as_str())) {
            let mut seen = BTreeSet::new();
            for (name, file) in names.iter().zip(&self.inputs) {
                if !known.contains(name.as_str()) {
                    return Err(fault(&file.path, format!("the model has no input `{name}`; {}", takes())));
                }
                if !seen.insert(name.as_str()) {
                    return Err(fault(&file.path, format!("it is a second tensor for the input `{name}`")));
                }
            }
            if let (Some(missing), Some(file)) =
                (required.iter().find(|name| !seen.contains(**name)), self.inputs.last())
            {
                return Err(fault(&file.path, format!("no input_K.pb beside it is called `{missing}`; {}", takes())));
            }
            return Ok(names.into_iter().zip(&self.inputs).collect());
        }
        if let Some(extra) = self.inputs.get(required.len()) {
            return Err(fault(&extra.path, format!("it is an extra input; {}", takes())));
        }
        if let Some(missing) = required.get(self.inputs.len()) {
            let path = PathBuf::from(&self.name).join(format!("input_{}.pb", self.inputs.len()));
            return Err(fault(&path, format!("it is missing, for the input `{missing}`")));
        }
        Ok(required.into_iter().map(str::to_owned).zip(&self.inputs).collect())
    }
}

fn fault(path: &Path, message: impl ToString) -> Fault {
    Fault { path: path.to_owned(), message: message.to_string() }
}
