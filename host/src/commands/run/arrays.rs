//! Named arrays and tables in files.

use super::{elements::Elements, npz};
use anyhow::{Context, bail, ensure};
use npyz::{DType as NpyType, NpyFile, Order, TypeChar, WriterBuilder};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    path::Path,
};
use tradewind_compiler::Declared;
use tradewind_core::{
    plan::{DType, Plan, Port},
    tensor::{Tensor, TensorData},
};

/// Byte order mark that some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Contents of a file, before the model's types are known.
#[derive(Debug)]
pub struct Arrays {
    arrays: Vec<(String, Array)>,
    /// Whether they are columns of a table, in its order.
    is_table: bool,
}

/// Array with elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    elements: Elements,
}

/// Names of an object's fields, in order.
struct Row(Vec<String>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Row(names))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Arrays {
    /// Reads a file, with the format given by its extension.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let ending = ending(path);
        // Its reader reads parts of the file.
        let bytes = if ending == "parquet" { Vec::new() } else { fs::read(path)? };
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let read = match ending {
            "npz" => Self::from_npz(&bytes),
            "csv" => Self::from_csv(text, delimiter(text)),
            "tsv" => Self::from_csv(text, b'\t'),
            "json" => Self::from_json(text),
            "jsonl" | "ndjson" => Self::from_json_lines(text),
            "parquet" => Self::from_parquet(File::open(path)?),
            _ => bail!("unknown extension (expected .npz, .json, .jsonl, .csv, .tsv or .parquet)"),
        }?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = read.arrays.iter().find(|(name, _)| !names.insert(name)) {
            bail!("it has two {} named `{twice}`", if read.is_table { "columns" } else { "arrays" });
        }
        Ok(read)
    }

    fn from_npz(bytes: &[u8]) -> anyhow::Result<Self> {
        let arrays = npz::read(bytes)?.into_iter().map(|(file, npy)| {
            let name = file.strip_suffix(".npy").unwrap_or(&file).to_owned();
            let array = Array::from_npy(&npy).with_context(|| format!("array `{name}`"))?;
            Ok((name, array))
        });
        let arrays = arrays.collect::<anyhow::Result<_>>()?;
        Ok(Self { arrays, is_table: false })
    }

    fn from_json(bytes: &[u8]) -> anyhow::Result<Self> {
        match serde_json::from_slice(bytes)? {
            Value::Object(object) => {
                let arrays = object.iter().map(|(name, value)| {
                    Ok((name.clone(), Array::from_json(value).with_context(|| format!("array `{name}`"))?))
                });
                Ok(Self { arrays: arrays.collect::<anyhow::Result<_>>()?, is_table: false })
            }
            Value::Array(rows) => {
                // Columns have the order of the first row, which a `Value` does not keep.
                let Some(Row(names)) = serde_json::from_slice::<Vec<Row>>(bytes)?.into_iter().next() else {
                    bail!("a list must contain at least one row object");
                };
                Self::from_rows(names, &rows)
            }
            _ => bail!("it contains neither an object of arrays nor a list of rows"),
        }
    }

    fn from_json_lines(text: &[u8]) -> anyhow::Result<Self> {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
        let rows =
            lines.iter().map(|(n, line)| serde_json::from_slice(line).with_context(|| format!("line {}", n + 1)));
        let rows = rows.collect::<anyhow::Result<Vec<Value>>>()?;
        let (n, first) = lines.first().context("it has no rows")?;
        let Row(names) = serde_json::from_slice(first).with_context(|| format!("line {}", n + 1))?;
        Self::from_rows(names, &rows)
    }

    fn from_parquet(file: File) -> anyhow::Result<Self> {
        let reader = SerializedFileReader::new(file)?;
        let fields = reader.metadata().file_metadata().schema().get_fields().iter();
        let names = fields.map(|field| field.name().to_owned()).collect();
        let rows = reader.get_row_iter(None)?.map(|row| Ok(row?.to_json_value()));
        Self::from_rows(names, &rows.collect::<anyhow::Result<Vec<_>>>()?)
    }

    /// Columns of row objects.
    fn from_rows(names: Vec<String>, rows: &[Value]) -> anyhow::Result<Self> {
        ensure!(!rows.is_empty(), "it has no rows");
        for (n, row) in (1..).zip(rows) {
            let fields = row.as_object().with_context(|| format!("row {n} is not an object"))?;
            if let Some(extra) = fields.keys().find(|field| !names.contains(field)) {
                bail!("row {n} has `{extra}`, which row 1 lacks");
            }
        }
        let column = |name: String| {
            let cells = (1..).zip(rows).map(|(n, row)| {
                row.get(&name).cloned().with_context(|| format!("row {n} has no `{name}`, which row 1 has"))
            });
            let cells = Value::Array(cells.collect::<anyhow::Result<_>>()?);
            let array = Array::from_json(&cells).with_context(|| format!("column `{name}`"))?;
            Ok((name, array))
        };
        Ok(Self { arrays: names.into_iter().map(column).collect::<anyhow::Result<_>>()?, is_table: true })
    }

    fn from_csv(bytes: &[u8], delimiter: u8) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
        let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        for record in reader.records() {
            for (column, cell) in columns.iter_mut().zip(&record?) {
                column.push(cell.to_owned());
            }
        }
        if columns.iter().all(Vec::is_empty) {
            bail!("it has no rows");
        }
        let arrays =
            columns.into_iter().map(|cells| Array { shape: vec![cells.len()], elements: Elements::Cells(cells) });
        Ok(Self { arrays: names.into_iter().zip(arrays).collect(), is_table: true })
    }

    /// Names of all arrays or columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.iter().map(|(name, _)| name.as_str())
    }

    /// Columns of a table that a plan does not use, given the `defaults` that could be inputs.
    ///
    /// # Errors
    /// If they are arrays instead of columns, because each array is meant for the model.
    pub fn unused(&self, plan: &Plan, defaults: &[Declared]) -> anyhow::Result<Vec<&str>> {
        let taken = |name: &str| plan.inputs.iter().any(|port| port.name == name);
        // A single input may have another name, or be all columns together.
        if let [port] = &plan.inputs[..]
            && (self.arrays.len() == 1 || self.is_table)
            && self.names().all(|name| name != port.name)
        {
            return Ok(Vec::new());
        }
        let unused: Vec<&str> = self.names().filter(|name| !taken(name)).collect();
        if !unused.is_empty() && !self.is_table {
            let ports = plan.inputs.iter().map(|port| port.name.as_str());
            let inputs: BTreeSet<&str> = ports.chain(defaults.iter().map(|input| input.name.as_str())).collect();
            let inputs: Vec<&str> = inputs.into_iter().collect();
            bail!("the model has no input `{}`; it takes `{}`", unused.join("`, `"), inputs.join("`, `"));
        }
        Ok(unused)
    }

    /// Tensors for a plan's inputs.
    pub fn inputs(&self, plan: &Plan) -> anyhow::Result<Vec<Tensor>> {
        plan.inputs.iter().map(|port| self.input(plan, port)).collect()
    }

    fn input(&self, plan: &Plan, port: &Port) -> anyhow::Result<Tensor> {
        let name = &port.name;
        let matrix;
        let (array, columns) = match self.arrays.iter().find(|(known, _)| known == name) {
            Some((_, array)) => (array, 1),
            None if plan.inputs.len() == 1 && self.is_table => {
                matrix = self.matrix()?;
                (&matrix, self.arrays.len())
            }
            None => match &self.arrays[..] {
                [(_, only)] if plan.inputs.len() == 1 => (only, 1),
                _ => {
                    let names = self.names().collect::<Vec<_>>().join("`, `");
                    bail!("the model takes `{name}` {}; the file has `{names}`", taken(plan, port));
                }
            },
        };
        let wanted = || format!("input `{name}` is {}; the model takes {}", array.describe(), taken(plan, port));
        let shape = fitted(port, &array.shape).with_context(wanted)?;
        let data = array.elements.converted(dtype(plan, port), |at| match self.is_table {
            true if columns > 1 => {
                let column = self.arrays.get(at % columns).map_or("", |(name, _)| name);
                format!("row {}, column `{column}`", at / columns + 1)
            }
            true => format!("row {}", at / array.shape.iter().skip(1).product::<usize>().max(1) + 1),
            false => format!("element {:?}", place(at, &array.shape)),
        });
        Ok(Tensor::new(name.clone(), shape, data.with_context(wanted)?)?)
    }

    /// Concatenates all columns of a table to a matrix.
    fn matrix(&self) -> anyhow::Result<Array> {
        fn interleaved<T: Clone>(columns: &[&Vec<T>], rows: usize) -> Vec<T> {
            (0..rows).flat_map(|row| columns.iter().map(move |column| column[row].clone())).collect()
        }
        if let Some((name, _)) = self.arrays.iter().find(|(_, column)| column.shape.len() > 1) {
            bail!("column `{name}` contains lists, but the model takes all columns as one matrix");
        }
        let columns = || self.arrays.iter().map(|(_, column)| &column.elements);
        let rows = columns().next().map_or(0, Elements::len);
        let json = columns().filter_map(|column| if let Elements::Json(cells) = column { Some(cells) } else { None });
        let cells = columns().filter_map(|column| if let Elements::Cells(cells) = column { Some(cells) } else { None });
        let (json, cells): (Vec<_>, Vec<_>) = (json.collect(), cells.collect());
        let elements = match cells.is_empty() {
            true => Elements::Json(interleaved(&json, rows)),
            false => Elements::Cells(interleaved(&cells, rows)),
        };
        Ok(Array { shape: vec![rows, self.arrays.len()], elements })
    }
}

impl Array {
    fn from_npy(bytes: &[u8]) -> anyhow::Result<Self> {
        let npy = NpyFile::new(bytes)?;
        let shape: Vec<usize> = npy.shape().iter().map(|&extent| extent as usize).collect();
        let order = npy.order();
        let NpyType::Plain(kind) = npy.dtype() else { bail!("it is a structured array; save its fields separately") };
        let elements = match (kind.type_char(), kind.size_field()) {
            (TypeChar::Float, 8) => Elements::Float(npy.into_vec()?),
            (TypeChar::Float, 4) => Elements::Float(npy.into_vec::<f32>()?.into_iter().map(f64::from).collect()),
            (TypeChar::Int, 8) => Elements::Integer(npy.into_vec()?),
            (TypeChar::Int, 4) => Elements::Integer(npy.into_vec::<i32>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Int, 2) => Elements::Integer(npy.into_vec::<i16>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Int, 1) => Elements::Integer(npy.into_vec::<i8>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Uint, 4) => Elements::Integer(npy.into_vec::<u32>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Uint, 2) => Elements::Integer(npy.into_vec::<u16>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Uint, 1) => Elements::Integer(npy.into_vec::<u8>()?.into_iter().map(i64::from).collect()),
            (TypeChar::Bool, _) => Elements::Bool(npy.into_vec()?),
            (TypeChar::UnicodeStr | TypeChar::ByteStr, _) => Elements::Text(npy.into_vec()?),
            _ => bail!("it has type {kind}; save it as float32, int64, bool or str"),
        };
        let array = Self { shape, elements };
        Ok(if order == Order::Fortran { array.transposed() } else { array })
    }

    /// Transposes an array whose elements are in column-major order.
    fn transposed(self) -> Self {
        fn reordered<T: Clone>(shape: &[usize], elements: &[T]) -> Vec<T> {
            let strides = || {
                shape.iter().scan(1, |stride, extent| {
                    let this = *stride;
                    *stride *= extent;
                    Some(this)
                })
            };
            let from = |flat| place(flat, shape).iter().zip(strides()).map(|(at, stride)| at * stride).sum::<usize>();
            (0..elements.len()).map(|flat| elements[from(flat)].clone()).collect()
        }
        let elements = match &self.elements {
            Elements::Float(elements) => Elements::Float(reordered(&self.shape, elements)),
            Elements::Integer(elements) => Elements::Integer(reordered(&self.shape, elements)),
            Elements::Bool(elements) => Elements::Bool(reordered(&self.shape, elements)),
            Elements::Text(elements) => Elements::Text(reordered(&self.shape, elements)),
            Elements::Json(_) | Elements::Cells(_) => self.elements,
        };
        Self { elements, ..self }
    }

    fn from_json(value: &Value) -> anyhow::Result<Self> {
        fn flatten<'v>(
            value: &'v Value,
            depth: usize,
            shape: &mut Vec<usize>,
            leaves: &mut Vec<&'v Value>,
        ) -> anyhow::Result<()> {
            let Value::Array(items) = value else {
                ensure!(depth == shape.len(), "some of its lists are nested deeper than others");
                leaves.push(value);
                return Ok(());
            };
            if depth == shape.len() {
                ensure!(leaves.is_empty(), "some of its lists are nested deeper than others");
                shape.push(items.len());
            }
            ensure!(shape[depth] == items.len(), "its lists have {} and {} elements", shape[depth], items.len());
            items.iter().try_for_each(|item| flatten(item, depth + 1, shape, leaves))
        }
        let (mut shape, mut leaves) = (Vec::new(), Vec::new());
        flatten(value, 0, &mut shape, &mut leaves)?;
        Ok(Self { shape, elements: Elements::Json(leaves.into_iter().cloned().collect()) })
    }

    fn describe(&self) -> String {
        format!("{} {:?}", self.elements.kinds(), self.shape)
    }
}

/// Index of an element, from its position in row-major order.
fn place(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = Vec::with_capacity(shape.len());
    for extent in shape.iter().rev() {
        index.push(flat % extent);
        flat /= extent;
    }
    index.reverse();
    index
}

/// Type of a port's elements; `None` for text.
fn dtype(plan: &Plan, port: &Port) -> Option<DType> {
    let buffer = plan.buffers.get(port.buffer.0 as usize).filter(|_| port.categories.is_empty());
    buffer.map(|buffer| buffer.dtype)
}

/// Description of a port, for messages.
fn taken(plan: &Plan, port: &Port) -> String {
    let kind = dtype(plan, port).map_or("text".to_owned(), |dtype| format!("{dtype:?}").to_lowercase());
    let dims = port.shape.iter().map(|dim| if dim.per_row == 0 { dim.fixed.to_string() } else { "rows".to_owned() });
    format!("{kind} [{}]", dims.collect::<Vec<_>>().join(", "))
}

/// Shape of the array for the port: axes of one element may be missing or extra.
fn fitted(port: &Port, shape: &[usize]) -> Option<Vec<u32>> {
    let mut left = shape.iter().copied().peekable();
    let mut fitted = Vec::with_capacity(port.shape.len());
    for dim in &port.shape {
        match left.peek() {
            Some(&extent) if dim.per_row > 0 || extent == dim.fixed as usize => {
                fitted.push(u32::try_from(extent).ok()?);
                left.next();
            }
            _ if dim.per_row == 0 && dim.fixed == 1 => fitted.push(1),
            _ => return None,
        }
    }
    left.all(|extent| extent == 1).then_some(fitted)
}

/// Writes tensors, with the format given by the extension.
pub fn write_arrays(path: &Path, tensors: &[Tensor]) -> anyhow::Result<()> {
    let bytes = match ending(path) {
        "npz" => {
            let files = tensors.iter().map(|tensor| Ok((format!("{}.npy", tensor.name), npy(tensor)?)));
            npz::write(&files.collect::<anyhow::Result<Vec<_>>>()?)?
        }
        "json" => {
            let named = tensors.iter().map(|tensor| (tensor.name.clone(), to_json(tensor)));
            serde_json::to_vec(&named.collect::<Map<String, Value>>())?
        }
        _ => bail!("unknown extension (expected .npz or .json)"),
    };
    Ok(fs::write(path, bytes)?)
}

fn npy(tensor: &Tensor) -> anyhow::Result<Vec<u8>> {
    fn written<T: npyz::Serialize + npyz::AutoSerialize>(shape: &[u64], data: &[T]) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd()?;
        data.iter().try_for_each(|element| writer.push(element))?;
        writer.finish()?;
        Ok(bytes)
    }
    let shape: Vec<u64> = tensor.shape.iter().map(|&extent| extent.into()).collect();
    match &tensor.data {
        TensorData::F32(data) => written(&shape, data),
        TensorData::I64(data) => written(&shape, data),
        TensorData::I32(data) => written(&shape, data),
        TensorData::U8(data) => written(&shape, data),
        TensorData::Bool(data) => written(&shape, &data.iter().map(|&byte| byte != 0).collect::<Vec<_>>()),
        TensorData::F64(data) => written(&shape, data),
        TensorData::Text(data) => {
            let longest = data.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            let mut bytes = Vec::new();
            let kind = NpyType::Plain(format!("<U{longest}").parse()?);
            let mut writer =
                npyz::WriteOptions::<str>::new().dtype(kind).shape(&shape).writer(&mut bytes).begin_nd()?;
            data.iter().try_for_each(|text| writer.push(text.as_str()))?;
            writer.finish()?;
            Ok(bytes)
        }
    }
}

/// Converts a tensor to nested lists; NaN becomes `null`, an infinity a string.
pub fn to_json(tensor: &Tensor) -> Value {
    fn nested(shape: &[u32], leaves: &mut impl Iterator<Item = Value>) -> Value {
        match shape.split_first() {
            None => leaves.next().unwrap_or_default(),
            Some((&extent, rest)) => Value::Array((0..extent).map(|_| nested(rest, leaves)).collect()),
        }
    }
    let float = |x: f32| match x {
        f32::INFINITY => "Infinity".into(),
        f32::NEG_INFINITY => "-Infinity".into(),
        // The shortest decimal of this f32, not the longer one of the nearest f64.
        x => x.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    };
    let leaves: Vec<Value> = match &tensor.data {
        TensorData::F32(data) => data.iter().map(|&x| float(x)).collect(),
        TensorData::I64(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::I32(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::U8(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::Bool(data) => data.iter().map(|&x| (x != 0).into()).collect(),
        TensorData::Text(data) => data.iter().map(|x| x.as_str().into()).collect(),
        TensorData::F64(data) => data.iter().map(|&x| x.into()).collect(),
    };
    nested(&tensor.shape, &mut leaves.into_iter())
}

/// Formats every element.
pub fn texts(data: &TensorData) -> Vec<String> {
    match data {
        TensorData::F32(data) => data.iter().map(|x| format!("{x:.6}")).collect(),
        TensorData::I64(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::I32(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::U8(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::Bool(data) => data.iter().map(|&x| (x != 0).to_string()).collect(),
        TensorData::Text(data) => data.clone(),
        TensorData::F64(data) => data.iter().map(ToString::to_string).collect(),
    }
}

/// Name of a tensor's element type.
pub const fn type_name(data: &TensorData) -> &'static str {
    match data {
        TensorData::F32(_) => "f32",
        TensorData::I64(_) => "i64",
        TensorData::I32(_) => "i32",
        TensorData::U8(_) => "u8",
        TensorData::Bool(_) => "bool",
        TensorData::Text(_) => "text",
        TensorData::F64(_) => "f64",
    }
}

/// Extension of a file; empty without one.
fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

/// Delimiter of a CSV file: the most frequent one in its header.
fn delimiter(text: &[u8]) -> u8 {
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| header.iter().filter(|byte| *byte == delimiter).count();
    // Of equals, the last one.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}
