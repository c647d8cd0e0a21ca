//! External data of a model.

use super::{MOST_DATA, ReadError, bytes_of, each_tensor, unreadable, width};
use crate::refusal::Refusal;
use std::{
    convert::Infallible,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path},
};
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataLocation};

/// Total size of constants so far.
#[derive(Debug, Default)]
pub(super) struct Data(u64);

impl Data {
    /// Adds a constant and returns its size in bytes, if the total is within the limit.
    pub fn add(&mut self, name: &str, dims: &[i64], width: u64) -> Result<u64, Refusal> {
        let bytes = bytes_of(dims, width);
        self.0 = bytes.and_then(|bytes| self.0.checked_add(bytes)).unwrap_or(u64::MAX);
        bytes.filter(|_| self.0 <= MOST_DATA).ok_or_else(|| {
            Refusal::whole(format!(
                "with `{name}` of shape {dims:?} its constants take more than {} MB, the limit",
                MOST_DATA >> 20
            ))
        })
    }
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// Whether any tensor is in another file.
pub(super) fn any(proto: &mut ModelProto) -> bool {
    let mut found = false;
    let visited: Result<(), Infallible> = each_tensor(proto, &mut |tensor| {
        found |= is_external(tensor);
        Ok(())
    });
    found && visited.is_ok()
}

/// Refuses external tensors if there is no folder to read them from.
pub(super) fn refuse(proto: &mut ModelProto) -> Result<(), Refusal> {
    each_tensor(proto, &mut |tensor| match is_external(tensor) {
        false => Ok(()),
        true => Err(Refusal::whole(format!(
            "the values of `{}` are in the file `{}`, which must lie beside the model; read the model by its path, or \
             save it with all its data in one file",
            tensor.name,
            value(tensor, "location").unwrap_or_default(),
        ))),
    })
}

/// Reads external tensors from files of `folder`.
pub(super) fn load(proto: &mut ModelProto, folder: &Path) -> Result<(), ReadError> {
    let mut data = Data::default();
    each_tensor(proto, &mut |tensor| {
        if !is_external(tensor) {
            return Ok(());
        }
        tensor.raw_data = read(tensor, folder, &mut data)?;
        tensor.data_location = None;
        tensor.external_data.clear();
        Ok(())
    })
}

fn read(tensor: &TensorProto, folder: &Path, data: &mut Data) -> Result<Vec<u8>, ReadError> {
    let name = &tensor.name;
    let refused = |reason: String| ReadError::Refused(Refusal::whole(reason));
    let location = value(tensor, "location").filter(|location| !location.is_empty());
    let location =
        location.ok_or_else(|| refused(format!("`{name}` is in another file, but its `location` is missing")))?;
    let outside = || {
        refused(format!(
            "`{name}` is in `{location}`, outside the model's folder; only files beside the model are read"
        ))
    };
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(inside) {
        return Err(outside());
    }
    let path = folder.join(location);
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
    // A link may lead elsewhere, and a pipe would never end.
    let real = path.canonicalize().map_err(|error| unreadable(&path, format!("{error}; it holds `{name}`")))?;
    if !real.starts_with(&folder) {
        return Err(outside());
    }
    let about = real.metadata().map_err(|error| unreadable(&path, error))?;
    if !about.is_file() {
        return Err(unreadable(&path, format!("it is not a regular file; it should contain `{name}`")));
    }
    let width = width(tensor.data_type);
    let width = width.ok_or_else(|| refused(format!("`{name}` has a type that cannot be in another file")))?;
    let bytes = data.add(name, &tensor.dims, width)?;
    let number = |key: &str| match value(tensor, key) {
        None => Ok(None),
        Some(text) => {
            text.parse::<u64>().map(Some).map_err(|_| refused(format!("`{name}` has the invalid {key} `{text}`")))
        }
    };
    let offset = number("offset")?.unwrap_or(0);
    if let Some(length) = number("length")?.filter(|length| *length != bytes) {
        return Err(refused(format!("`{name}` has {length} bytes in `{location}`, but its shape needs {bytes}")));
    }
    if offset.checked_add(bytes).is_none_or(|end| end > about.len()) {
        return Err(unreadable(
            &path,
            format!(
                "it has {} bytes, but `{name}` needs {bytes} from {offset} on; check that the file is complete",
                about.len()
            ),
        ));
    }
    let mut file = File::open(&real).map_err(|error| unreadable(&path, error))?;
    let mut values = Vec::new();
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(bytes).read_to_end(&mut values));
    match read {
        Ok(found) if found as u64 == bytes => Ok(values),
        Ok(_) => Err(unreadable(&path, "it became shorter while it was read")),
        Err(error) => Err(unreadable(&path, error)),
    }
}

fn value<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}
