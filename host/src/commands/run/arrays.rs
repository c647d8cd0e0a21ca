//! Named arrays in files: .npz, .json and .csv.

use super::npz;
use anyhow::{Context, bail, ensure};
use npyz::{DType as NpyType, NpyFile, Order, TypeChar, WriterBuilder};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{fmt, fs, path::Path};
use tradewind_core::{
    plan::{DType, Plan, Port},
    tensor::{Tensor, TensorData},
};

/// What a file holds, before it is known what the model takes.
#[derive(Debug)]
pub struct Arrays {
    arrays: Vec<(String, Array)>,
    /// Whether they are the columns of a table, in its order.
    is_table: bool,
}

/// Elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    elements: Elements,
}

#[derive(Debug, Clone, PartialEq)]
enum Elements {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<String>),
}

/// The names of an object's fields, in order.
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
    /// Reads a file; the ending of its name says what it is.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path)?;
        match ending(path)? {
            "npz" => Self::from_npz(&bytes),
            "csv" => Self::from_csv(&bytes),
            _ => Self::from_json(&bytes),
        }
    }

    fn from_npz(bytes: &[u8]) -> anyhow::Result<Self> {
        let arrays = npz::read(bytes)?.into_iter().map(|(file, npy)| {
            let name = file.trim_end_matches(".npy").to_owned();
            let array = Array::from_npy(npy).with_context(|| format!("array `{name}`"))?;
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
                // The order of the columns is that of the first row, which a `Value` does not keep.
                let Some(Row(names)) = serde_json::from_slice::<Vec<Row>>(bytes)?.into_iter().next() else {
                    bail!("a list must hold one row object at least");
                };
                let column = |name: String| {
                    let cells = rows.iter().enumerate().map(|(n, row)| {
                        row.get(&name).cloned().with_context(|| format!("row {n} has no `{name}`, which row 0 has"))
                    });
                    let cells = Value::Array(cells.collect::<anyhow::Result<_>>()?);
                    let array = Array::from_json(&cells).with_context(|| format!("column `{name}`"))?;
                    Ok((name, array))
                };
                Ok(Self { arrays: names.into_iter().map(column).collect::<anyhow::Result<_>>()?, is_table: true })
            }
            _ => bail!("it holds neither an object of arrays nor a list of rows"),
        }
    }

    fn from_csv(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(bytes);
        let names: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        for record in reader.records() {
            for (column, cell) in columns.iter_mut().zip(&record?) {
                column.push(cell.trim().to_owned());
            }
        }
        if columns.iter().all(Vec::is_empty) {
            bail!("it has no rows");
        }
        let arrays = columns.into_iter().map(|cells| Array { shape: vec![cells.len()], elements: parsed(cells) });
        Ok(Self { arrays: names.into_iter().zip(arrays).collect(), is_table: true })
    }

    /// The tensors that a plan takes.
    pub fn inputs(&self, plan: &Plan) -> anyhow::Result<Vec<Tensor>> {
        plan.inputs.iter().map(|port| self.input(plan, port)).collect()
    }

    fn input(&self, plan: &Plan, port: &Port) -> anyhow::Result<Tensor> {
        let name = &port.name;
        let array = match self.arrays.iter().find(|(known, _)| known == name) {
            Some((_, array)) => array.clone(),
            None if plan.inputs.len() == 1 && self.is_table => self.matrix()?,
            None => match &self.arrays[..] {
                [(_, only)] if plan.inputs.len() == 1 => only.clone(),
                _ => {
                    let names: Vec<&str> = self.arrays.iter().map(|(name, _)| name.as_str()).collect();
                    let names = names.join("`, `");
                    bail!("the model takes `{name}` {}; the file has `{names}`", taken(plan, port));
                }
            },
        };
        let wanted = || format!("input `{name}` is {}; the model takes {}", array.describe(), taken(plan, port));
        let shape = fitted(port, &array.shape).with_context(wanted)?;
        let data = array.elements.clone().converted(dtype(plan, port)).with_context(wanted)?;
        Ok(Tensor::new(name.clone(), shape, data)?)
    }

    /// All columns of a table side by side.
    fn matrix(&self) -> anyhow::Result<Array> {
        let rows = self.arrays.first().map_or(0, |(_, column)| column.shape.iter().product());
        let mut columns = Vec::new();
        for (name, column) in &self.arrays {
            let TensorData::F32(numbers) = column.elements.clone().converted(Some(DType::F32)).with_context(|| {
                format!("column `{name}` is {}, and the model takes all columns as one matrix", column.describe())
            })?
            else {
                bail!("column `{name}` holds no numbers");
            };
            ensure!(numbers.len() == rows, "column `{name}` holds lists; the model takes all columns as one matrix");
            columns.push(numbers);
        }
        let elements = (0..rows).flat_map(|row| columns.iter().map(move |column| f64::from(column[row]))).collect();
        Ok(Array { shape: vec![rows, columns.len()], elements: Elements::Float(elements) })
    }
}

impl Array {
    fn from_npy(bytes: &[u8]) -> anyhow::Result<Self> {
        let npy = NpyFile::new(bytes)?;
        let shape: Vec<usize> = npy.shape().iter().map(|&extent| extent as usize).collect();
        let order = npy.order();
        let NpyType::Plain(kind) = npy.dtype() else { bail!("it is a structured array; save its fields apart") };
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

    /// The same array, whose elements came in column-major order.
    fn transposed(self) -> Self {
        fn reordered<T: Clone>(shape: &[usize], elements: &[T]) -> Vec<T> {
            let place = |mut flat: usize| {
                let mut index: Vec<usize> = Vec::with_capacity(shape.len());
                for extent in shape.iter().rev() {
                    index.push(flat % extent);
                    flat /= extent;
                }
                let strides = shape.iter().scan(1, |stride, extent| {
                    let this = *stride;
                    *stride *= extent;
                    Some(this)
                });
                index.iter().rev().zip(strides).map(|(at, stride)| at * stride).sum::<usize>()
            };
            (0..elements.len()).map(|flat| elements[place(flat)].clone()).collect()
        }
        let elements = match &self.elements {
            Elements::Float(elements) => Elements::Float(reordered(&self.shape, elements)),
            Elements::Integer(elements) => Elements::Integer(reordered(&self.shape, elements)),
            Elements::Bool(elements) => Elements::Bool(reordered(&self.shape, elements)),
            Elements::Text(elements) => Elements::Text(reordered(&self.shape, elements)),
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
        let elements = if let Some(elements) = leaves.iter().map(|leaf| leaf.as_i64()).collect() {
            Elements::Integer(elements)
        } else if let Some(elements) = leaves.iter().map(|leaf| leaf.as_bool()).collect() {
            Elements::Bool(elements)
        } else if let Some(elements) = leaves.iter().map(|leaf| number(leaf)).collect() {
            Elements::Float(elements)
        } else if let Some(elements) = leaves.iter().map(|leaf| leaf.as_str().map(str::to_owned)).collect() {
            Elements::Text(elements)
        } else {
            bail!("it mixes numbers, text and booleans");
        };
        Ok(Self { shape, elements })
    }

    fn describe(&self) -> String {
        let kind = match self.elements {
            Elements::Float(_) => "float",
            Elements::Integer(_) => "integer",
            Elements::Bool(_) => "bool",
            Elements::Text(_) => "text",
        };
        format!("{kind} {:?}", self.shape)
    }
}

/// A number in JSON; `null` is one that is missing, and the infinities are words.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(f64::NAN),
        Value::Number(number) => number.as_f64(),
        Value::String(word) if ["NaN", "Infinity", "-Infinity"].contains(&word.as_str()) => word.parse().ok(),
        _ => None,
    }
}

/// The cells of a column, in the narrowest type that all of them have. An empty number is missing.
fn parsed(cells: Vec<String>) -> Elements {
    let float = |cell: &String| if cell.is_empty() { Some(f64::NAN) } else { cell.parse().ok() };
    let boolean = |cell: &String| cell.to_ascii_lowercase().parse().ok();
    if let Some(elements) = cells.iter().map(|cell| cell.parse().ok()).collect() {
        Elements::Integer(elements)
    } else if let Some(elements) = cells.iter().map(boolean).collect() {
        Elements::Bool(elements)
    } else if let Some(elements) = cells.iter().map(float).collect() {
        Elements::Float(elements)
    } else {
        Elements::Text(cells)
    }
}

impl Elements {
    /// The elements in a plan's type, `None` for text, where nothing is lost but digits of a float.
    fn converted(self, dtype: Option<DType>) -> anyhow::Result<TensorData> {
        let integers = |elements: Self| -> anyhow::Result<Vec<i64>> {
            match elements {
                Self::Integer(elements) => Ok(elements),
                Self::Bool(elements) => Ok(elements.into_iter().map(i64::from).collect()),
                Self::Float(elements) => {
                    let whole = |x: f64| if x.fract() == 0.0 { Ok(x as i64) } else { bail!("{x} is no whole number") };
                    elements.into_iter().map(whole).collect()
                }
                Self::Text(_) => bail!("text is no number"),
            }
        };
        Ok(match (dtype, self) {
            (None, Self::Text(elements)) => TensorData::Text(elements),
            (None, _) => bail!("numbers are no text"),
            (Some(DType::F32), Self::Float(elements)) => TensorData::F32(elements.iter().map(|&x| x as f32).collect()),
            (Some(DType::F32), elements) => TensorData::F32(integers(elements)?.iter().map(|&x| x as f32).collect()),
            (Some(DType::I64), elements) => TensorData::I64(integers(elements)?),
            (Some(DType::I32), elements) => TensorData::I32(narrowed(integers(elements)?)?),
            (Some(DType::U8), elements) => TensorData::U8(narrowed(integers(elements)?)?),
            (Some(DType::Bool), elements) => {
                let elements: Vec<u8> = narrowed(integers(elements)?)?;
                ensure!(elements.iter().all(|&x| x < 2), "a boolean is 0 or 1");
                TensorData::Bool(elements)
            }
        })
    }
}

fn narrowed<T: TryFrom<i64>>(numbers: Vec<i64>) -> anyhow::Result<Vec<T>> {
    numbers.into_iter().map(|x| T::try_from(x).map_err(|_| anyhow::anyhow!("{x} is out of range"))).collect()
}

/// The type of a port's elements; `None` for text.
fn dtype(plan: &Plan, port: &Port) -> Option<DType> {
    let buffer = plan.buffers.get(port.buffer.0 as usize).filter(|_| port.categories.is_empty());
    buffer.map(|buffer| buffer.dtype)
}

/// What a port takes, for a message.
fn taken(plan: &Plan, port: &Port) -> String {
    let kind = dtype(plan, port).map_or("text".to_owned(), |dtype| format!("{dtype:?}").to_lowercase());
    let dims = port.shape.iter().map(|dim| if dim.per_row == 0 { dim.fixed.to_string() } else { "rows".to_owned() });
    format!("{kind} [{}]", dims.collect::<Vec<_>>().join(", "))
}

/// The array's shape as the port has it: axes of one element may be left out or be too many.
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

/// Writes tensors; the ending of the name says how.
pub fn write_arrays(path: &Path, tensors: &[Tensor]) -> anyhow::Result<()> {
    if ending(path)? == "npz" {
        let files = tensors.iter().map(|tensor| Ok((format!("{}.npy", tensor.name), npy(tensor)?)));
        fs::write(path, npz::write(&files.collect::<anyhow::Result<Vec<_>>>()?)?)?;
        return Ok(());
    }
    ensure!(ending(path)? == "json", "outputs are written as .npz or .json");
    let named: Map<String, Value> = tensors.iter().map(|tensor| (tensor.name.clone(), to_json(tensor))).collect();
    Ok(fs::write(path, serde_json::to_vec(&named)?)?)
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

/// A tensor as nested lists; a float that is no number is `null`, an infinity a word.
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
        // The shortest decimal that is this f32, not the longer one of the f64 next to it.
        x => x.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    };
    let leaves: Vec<Value> = match &tensor.data {
        TensorData::F32(data) => data.iter().map(|&x| float(x)).collect(),
        TensorData::I64(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::I32(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::U8(data) => data.iter().map(|&x| x.into()).collect(),
        TensorData::Bool(data) => data.iter().map(|&x| (x != 0).into()).collect(),
        TensorData::Text(data) => data.iter().map(|x| x.as_str().into()).collect(),
    };
    nested(&tensor.shape, &mut leaves.into_iter())
}

/// Every element as it is shown.
pub fn texts(data: &TensorData) -> Vec<String> {
    match data {
        TensorData::F32(data) => data.iter().map(|x| format!("{x:.6}")).collect(),
        TensorData::I64(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::I32(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::U8(data) => data.iter().map(ToString::to_string).collect(),
        TensorData::Bool(data) => data.iter().map(|&x| (x != 0).to_string()).collect(),
        TensorData::Text(data) => data.clone(),
    }
}

/// What a tensor's element type is called.
pub const fn type_name(data: &TensorData) -> &'static str {
    match data {
        TensorData::F32(_) => "f32",
        TensorData::I64(_) => "i64",
        TensorData::I32(_) => "i32",
        TensorData::U8(_) => "u8",
        TensorData::Bool(_) => "bool",
        TensorData::Text(_) => "text",
    }
}

fn ending(path: &Path) -> anyhow::Result<&str> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending @ ("npz" | "json" | "csv")) => Ok(ending),
        _ => bail!("its name must end in .npz, .json or .csv, which says what it is"),
    }
}
