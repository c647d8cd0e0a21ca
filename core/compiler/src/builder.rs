//! Construction of a plan: one method per kernel, in terms of [`Value`]s.

use crate::{
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Home, Value, broadcast_shape, show, view},
    walk::{folded, folded_strides, limited},
    weights::Weights,
};
use std::{collections::BTreeSet, sync::Arc};
use tradewind_core::plan::{
    self, Activation, Aggregate, AxisShape, Binary, BinaryOp, BufferId, Cast, Compare, CompareOp, Contract, Couple,
    Cumulate, DENSE_PANEL, DType, Dense, Distances, Fill, Gather, GatherElements, Kernel, Lookup, Operand, Recurrent,
    Reduce, ReduceOp, Scatter, Select, Softmax, Step, TopK, TreeBlock, Trees, Unary, UnaryOp,
};

/// Plan under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    /// Element type and length of every buffer.
    pub buffers: Vec<(DType, Extent)>,
    pub weights: Weights,
    pub steps: Vec<Step>,
    /// Notes for the user.
    pub notes: BTreeSet<String>,
    /// ONNX node of the steps being added.
    pub node: String,
}

/// Tables of [`Trees`], in the order of its inputs.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    pub blocks: Vec<TreeBlock>,
    pub trees: Vec<[u32; 6]>,
    pub columns: Vec<[u32; 3]>,
    pub thresholds: Vec<f32>,
    pub tests: Vec<u32>,
    pub slots: Vec<[u32; 2]>,
    pub votes: Vec<f32>,
}

impl Builder {
    /// Adds a tensor to the arena; a step must write to it.
    pub fn tensor(&mut self, dtype: DType, shape: &[Extent]) -> Reasoned<Value> {
        let len = Extent::product(shape)?;
        len.dim()?;
        let Ok(id) = u16::try_from(self.buffers.len()) else {
            return Reason::err("a plan holds at most 65,536 tensors; reduce the model");
        };
        self.buffers.push((dtype, len));
        Value::whole(dtype, shape.to_vec(), Home::Buffer(BufferId(id), len))
    }

    /// Adds a note for the user; duplicates are dropped.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.insert(text.into());
    }

    fn push(&mut self, kernel: impl Into<Kernel>, inputs: &[&Value], output: &Value) -> Reasoned<()> {
        let inputs = inputs.iter().map(|input| self.operand(input)).collect::<Reasoned<_>>()?;
        let Home::Buffer(output, _) = output.home else {
            return Reason::err("a constant cannot be written");
        };
        self.steps.push(Step { kernel: kernel.into(), inputs, output, node: self.node.clone() });
        Ok(())
    }

    fn operand(&mut self, value: &Value) -> Reasoned<Operand> {
        match &value.home {
            Home::Buffer(id, _) => Ok(Operand::Buffer(*id)),
            Home::Constant(constant) => Ok(Operand::Weight(self.weights.id(constant)?)),
        }
    }

    pub fn fill(&mut self, target: &Value, value: f64) -> Reasoned<()> {
        self.push(Fill { value }, &[], target)
    }

    /// Copies `from` to the view `target` of a buffer.
    pub fn copy(&mut self, from: &Value, target: &Value) -> Reasoned<()> {
        let (shape, views) = folded(&from.shape, &[from, target])?;
        let [source, into] = views;
        self.push(plan::Copy { shape, source, target: into }, &[from], target)
    }

    /// Returns `value` as a row-major tensor that fills its buffer or constant.
    pub fn packed(&mut self, value: &Value) -> Reasoned<Value> {
        if value.is_packed() {
            return Ok(value.clone());
        }
        if let Some(known) = value.known() {
            return Ok(Value::whole(value.dtype, value.shape.clone(), Home::Constant(known))?
                .with_categories(value.categories.clone()));
        }
        self.copied(value)
    }

    /// Copies `value` into its own buffer, row-major.
    pub fn copied(&mut self, value: &Value) -> Reasoned<Value> {
        let copy = self.tensor(value.dtype, &value.shape)?;
        self.copy(value, &copy)?;
        Ok(copy.with_categories(value.categories.clone()))
    }

    /// Replaces axes `at..at + count` of `value` by `to`, with a copy only if necessary.
    pub fn reshape(&mut self, value: &Value, at: usize, count: usize, to: &[Extent]) -> Reasoned<Value> {
        let (from, into) = (Extent::product(&value.shape[at..at + count])?, Extent::product(to)?);
        if from != into {
            return Reason::err(format!("cannot reshape {} into {}", show(&value.shape[at..at + count]), show(to)));
        }
        if let Some(view) = value.reshaped(at, count, to) {
            return Ok(view);
        }
        let packed = self.packed(value)?;
        packed.reshaped(at, count, to).ok_or_else(|| Reason(format!("cannot reshape {}", show(&value.shape))))
    }

    pub fn reshape_all(&mut self, value: &Value, to: &[Extent]) -> Reasoned<Value> {
        self.reshape(value, 0, value.rank(), to)
    }

    pub fn cast(&mut self, value: &Value, dtype: DType) -> Reasoned<Value> {
        if value.dtype == dtype {
            return Ok(value.clone());
        }
        // Doubles are cast to and from F32 and I64, and to other types through these.
        let (double, other) =
            if dtype == DType::F64 { (true, value.dtype) } else { (value.dtype == DType::F64, dtype) };
        if double && dtype == DType::Bool {
            return self.compare(CompareOp::NotEqual, value, &Value::double(0.0));
        }
        if double && !matches!(other, DType::F32 | DType::I64) {
            let between = self.cast(value, DType::I64)?;
            return self.cast(&between, dtype);
        }
        let value = self.packed(value)?;
        let output = self.tensor(dtype, &value.shape)?;
        self.push(Cast, &[&value], &output)?;
        Ok(output)
    }

    pub fn unary(&mut self, op: UnaryOp, value: &Value) -> Reasoned<Value> {
        let integers = matches!(op, UnaryOp::Abs | UnaryOp::Neg | UnaryOp::Sign);
        match value.dtype {
            DType::F32 if op != UnaryOp::Not => {}
            DType::I64 | DType::I32 if integers => {}
            DType::Bool if op == UnaryOp::Not => {}
            dtype => return Reason::err(format!("{op:?} of {dtype:?} is not supported; cast to float first")),
        }
        let dtype = match op {
            UnaryOp::IsNan | UnaryOp::IsInf => DType::Bool,
            _ => value.dtype,
        };
        let value = self.packed(value)?;
        let output = self.tensor(dtype, &value.shape)?;
        self.push(Unary { op }, &[&value], &output)?;
        Ok(output)
    }

    /// Applies `op` to two tensors, with broadcasting.
    pub fn binary(&mut self, op: BinaryOp, left: &Value, right: &Value) -> Reasoned<Value> {
        let logic = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        let shift = matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight);
        let fits = match left.dtype {
            DType::F32 => !logic && !shift,
            DType::I64 => op != BinaryOp::Prelu,
            DType::I32 => !shift && op != BinaryOp::Prelu,
            DType::Bool | DType::U8 => logic,
            DType::F64 => matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div),
        };
        if !fits || left.dtype != right.dtype {
            return Reason::err(format!(
                "{op:?} of {:?} and {:?} is not supported; cast both to float, i32 or i64",
                left.dtype, right.dtype
            ));
        }
        let shape = broadcast_shape(&[&left.shape, &right.shape])?;
        let (left, right) = (left.broadcast(&shape)?, right.broadcast(&shape)?);
        let output = self.tensor(left.dtype, &shape)?;
        let (shape, [l, r]) = folded(&shape, &[&left, &right])?;
        self.push(Binary { op, shape, left: l, right: r }, &[&left, &right], &output)?;
        Ok(output)
    }

    pub fn compare(&mut self, op: CompareOp, left: &Value, right: &Value) -> Reasoned<Value> {
        if left.dtype != right.dtype {
            return Reason::err(format!(
                "{op:?} of {:?} and {:?} is not supported; cast both to one type",
                left.dtype, right.dtype
            ));
        }
        let shape = broadcast_shape(&[&left.shape, &right.shape])?;
        let (left, right) = (left.broadcast(&shape)?, right.broadcast(&shape)?);
        let output = self.tensor(DType::Bool, &shape)?;
        let (shape, [l, r]) = folded(&shape, &[&left, &right])?;
        self.push(Compare { op, shape, left: l, right: r }, &[&left, &right], &output)?;
        Ok(output)
    }

    pub fn select(&mut self, condition: &Value, on_true: &Value, on_false: &Value) -> Reasoned<Value> {
        if on_true.dtype != on_false.dtype || condition.dtype != DType::Bool {
            return Reason::err(format!(
                "a selection between {:?} and {:?} is not supported; cast both to one type",
                on_true.dtype, on_false.dtype
            ));
        }
        let shape = broadcast_shape(&[&condition.shape, &on_true.shape, &on_false.shape])?;
        let [condition, on_true, on_false] = [condition, on_true, on_false].map(|value| value.broadcast(&shape));
        let (condition, on_true, on_false) = (condition?, on_true?, on_false?);
        let output = self.tensor(on_true.dtype, &shape)?;
        let (shape, [c, t, f]) = folded(&shape, &[&condition, &on_true, &on_false])?;
        let kernel = Select { shape, condition: c, on_true: t, on_false: f };
        self.push(kernel, &[&condition, &on_true, &on_false], &output)?;
        Ok(output)
    }

    /// Reduces `axes` with `op`; they keep one element.
    pub fn reduce(&mut self, op: ReduceOp, value: &Value, axes: &[usize]) -> Reasoned<Value> {
        if !matches!(value.dtype, DType::F32 | DType::I64 | DType::I32) {
            return Reason::err(format!("{op:?} of {:?} is not supported; cast to float first", value.dtype));
        }
        let arg = matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMaxLast | ReduceOp::ArgMin | ReduceOp::ArgMinLast);
        let dtype = if arg { DType::I64 } else { value.dtype };
        let (over, kept): (Vec<usize>, Vec<usize>) = (0..value.rank()).partition(|axis| axes.contains(axis));
        let shape: Vec<Extent> = value
            .shape
            .iter()
            .enumerate()
            .map(|(axis, extent)| if axes.contains(&axis) { Extent::ONE } else { *extent })
            .collect();
        let output = self.tensor(dtype, &shape)?;
        // Elements that are one row apart are contiguous in a batch of one row, where they would be rounded in another
        // order than in others.
        let one_row =
            |&axis: &usize| !value.shape[axis].is_one() && value.strides[axis] == Extent { fixed: 0, per_row: 1 };
        let mut source = value.permuted(&[&kept[..], &over].concat());
        if over.iter().any(one_row) && !arg {
            source = self.copied(&source)?;
        }
        let (outer, inner) = source.strides.split_at(kept.len());
        let (shape, [outer]) = folded_strides(&source.shape[..kept.len()], [outer])?;
        let (over, [inner]) = folded_strides(&source.shape[kept.len()..], [inner])?;
        let view = view(source.offset, &[outer, inner].concat())?;
        let (shape, over) = (limited(shape, over.len())?, Extent::dims(&over)?);
        self.push(Reduce { op, shape, over, source: view }, &[&source], &output)?;
        Ok(output)
    }

    /// Sums `left × right` over the last `over` axes of two values with the same shape.
    pub fn contract(&mut self, left: &Value, right: &Value, over: usize) -> Reasoned<Value> {
        if left.dtype != right.dtype || !matches!(left.dtype, DType::F32 | DType::I64) {
            return Reason::err(format!(
                "a product of {:?} and {:?} is not supported; cast both to one type",
                left.dtype, right.dtype
            ));
        }
        let kept = left.rank() - over;
        let output = self.tensor(left.dtype, &left.shape[..kept])?;
        let (shape, outer) = folded_strides(&left.shape[..kept], [&left.strides[..kept], &right.strides[..kept]])?;
        let (over, inner) = folded_strides(&left.shape[kept..], [&left.strides[kept..], &right.strides[kept..]])?;
        let kernel = Contract {
            shape: limited(shape, over.len())?,
            over: Extent::dims(&over)?,
            left: view(left.offset, &[&outer[0][..], &inner[0]].concat())?,
            right: view(right.offset, &[&outer[1][..], &inner[1]].concat())?,
        };
        self.push(kernel, &[left, right], &output)?;
        Ok(output)
    }

    /// Computes `rows × matrix + bias`, where `rows` is `[rows, inner]` and `matrix` row-major `[inner, columns]`.
    pub fn dense(&mut self, rows: &Value, matrix: &[f32], columns: usize, bias: Option<&[f32]>) -> Reasoned<Value> {
        let rows = self.packed(rows)?;
        let [_, inner] = rows.shape[..] else {
            return Reason::err(format!("a matrix product of {}", show(&rows.shape)));
        };
        let inner = inner.constant().ok_or_else(|| Reason("a matrix product over the batch".into()))?;
        if inner == 0 || columns == 0 || matrix.len() != inner * columns {
            return Reason::err(format!("a matrix of {} elements, not {inner} × {columns}", matrix.len()));
        }
        let panels = panels(matrix, inner, columns);
        let panels = Value::constant(Constant::f32(&panels), &[panels.len()])?;
        let mut padded = bias.map_or_else(|| vec![0.0; columns], <[f32]>::to_vec);
        padded.resize(columns.next_multiple_of(DENSE_PANEL), 0.0);
        let bias = Value::constant(Constant::f32(&padded), &[padded.len()])?;
        self.dense_panels(&rows, &panels, columns, &bias)
    }

    /// Like [`dense`](Self::dense), with the matrix in panels and the bias padded to full panels, as in [`Dense`]; both
    /// may be computed.
    pub fn dense_panels(&mut self, rows: &Value, panels: &Value, columns: usize, bias: &Value) -> Reasoned<Value> {
        let rows = self.packed(rows)?;
        let [count, inner] = rows.shape[..] else {
            return Reason::err(format!("a matrix product of {}", show(&rows.shape)));
        };
        let inner = inner.constant().ok_or_else(|| Reason("a matrix product over the batch".into()))?;
        let output = self.tensor(DType::F32, &[count, Extent::fixed(columns as i64)])?;
        let kernel =
            Dense { rows: count.dim()?, inner: inner as u32, columns: columns as u32, activation: Activation::None };
        self.push(kernel, &[&rows, panels, bias], &output)?;
        Ok(output)
    }

    /// Adds one direction of a recurrent layer; returns the output of [`Recurrent`], `[rows, stretch]`.
    pub fn recurrent(&mut self, layer: Recurrent, inputs: &[&Value]) -> Reasoned<Value> {
        let stretch = Extent::fixed(layer.stretch() as i64);
        let output = self.tensor(DType::F32, &[layer.rows.into(), stretch])?;
        self.push(layer, inputs, &output)?;
        Ok(output)
    }

    /// Returns positions of elements among ascending keys, or the number of keys.
    pub fn lookup(&mut self, value: &Value, keys: &Constant) -> Reasoned<Value> {
        let value = self.packed(value)?;
        let keys = Value::constant(keys.clone(), &[keys.len()])?;
        let output = self.tensor(DType::I64, &value.shape)?;
        self.push(Lookup, &[&value, &keys], &output)?;
        Ok(output)
    }

    /// Returns squared Euclidean or Manhattan distances between `rows` and `points`, both `[count, coordinates]`.
    pub fn distances(&mut self, rows: &Value, points: &Value, squared: bool) -> Reasoned<Value> {
        let (&[count, inner], &[extent, coordinates]) = (&rows.shape[..], &points.shape[..]) else {
            return Reason::err("distances need two matrices");
        };
        let (Some(inner), Some(points_count)) = (inner.constant(), extent.constant()) else {
            return Reason::err("distances between the rows of a batch are not supported");
        };
        if coordinates.constant() != Some(inner) || rows.dtype != DType::F32 || points.dtype != DType::F32 {
            return Reason::err(format!(
                "rows {} and points {} need f32 and equally many coordinates",
                show(&rows.shape),
                show(&points.shape)
            ));
        }
        let (rows, columns) = (self.packed(rows)?, self.packed(&points.permuted(&[1, 0]))?);
        let output = self.tensor(DType::F32, &[count, extent])?;
        let kernel = Distances { rows: count.dim()?, inner: inner as u32, points: points_count as u32, squared };
        self.push(kernel, &[&rows, &columns], &output)?;
        Ok(output)
    }

    /// Returns probabilities of classes, `[rows, classes]`, from those of pairs, `[rows, classes²]`.
    pub fn couple(&mut self, pairs: &Value, classes: usize) -> Reasoned<Value> {
        let pairs = self.packed(pairs)?;
        let (rows, width) = (pairs.shape[0], Extent::fixed(classes as i64));
        let output = self.tensor(DType::F32, &[rows, width.scaled(2)?])?;
        let kernel = Couple { rows: rows.dim()?, classes: classes as u32 };
        self.push(kernel, &[&pairs], &output)?;
        output.slice(1, Extent::ZERO, width, 1)
    }

    /// Recodes strings so that an index means the same string in all values.
    pub fn same_text(&mut self, values: Vec<Value>) -> Reasoned<Vec<Value>> {
        let lists: Vec<_> = values.iter().filter_map(|value| value.categories.as_ref()).collect();
        if lists.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(values);
        }
        let all: BTreeSet<&String> = lists.iter().flat_map(|list| list.iter()).collect();
        let all: Arc<[String]> = all.into_iter().cloned().collect();
        values.iter().map(|value| self.recoded(value, &all)).collect()
    }

    /// Recodes strings as indices into another list; −1 for unknown strings.
    fn recoded(&mut self, value: &Value, list: &Arc<[String]>) -> Reasoned<Value> {
        let Some(from) = value.categories.as_ref().filter(|from| *from != list) else { return Ok(value.clone()) };
        let place = |string: &String| list.binary_search(string).map_or(-1, |n| n as i64);
        // Index −1 is the last entry of the table.
        let table: Vec<i64> = from.iter().map(place).chain([-1]).collect();
        let recoded = match value.known().and_then(|known| known.as_integers()) {
            Some(known) => {
                let at = |index: &i64| usize::try_from(*index).ok().and_then(|n| table.get(n)).copied().unwrap_or(-1);
                let shape = value.shape.clone();
                let known = Constant::i64(&known.iter().map(at).collect::<Vec<_>>());
                Value::whole(DType::I64, shape, Home::Constant(Arc::new(known)))?
            }
            None => {
                let table = Value::constant(Constant::i64(&table), &[table.len()])?;
                self.gather(&table, 0, value)?
            }
        };
        Ok(recoded.with_categories(Some(list.clone())))
    }

    /// Softmax along one axis.
    pub fn softmax(&mut self, value: &Value, axis: usize, log: bool, zero_stays: bool) -> Reasoned<Value> {
        if value.dtype != DType::F32 {
            return Reason::err(format!("softmax of {:?}", value.dtype));
        }
        let value = self.packed(value)?;
        let output = self.tensor(DType::F32, &value.shape)?;
        let shape = around(&value.shape, axis)?;
        self.push(Softmax { shape, log, zero_stays }, &[&value], &output)?;
        Ok(output)
    }

    /// Selects elements of `data` at the positions `picks` along an axis, which the axes of `picks` replace.
    pub fn gather(&mut self, data: &Value, axis: usize, picks: &Value) -> Reasoned<Value> {
        if axis > 0 && data.known().is_some() && picks.shape.iter().any(|extent| extent.varies()) {
            // Rows of a constant table: each pick reads one range, and rows of the batch stay independent.
            let mut found = self.gather(&data.clone().move_axis(axis, 0), 0, picks)?;
            for n in 0..axis {
                found = found.move_axis(picks.rank() + n, n);
            }
            return Ok(found);
        }
        let (data, picks) = (self.packed(data)?, self.packed(picks)?);
        let shape = [&data.shape[..axis], &picks.shape, &data.shape[axis + 1..]].concat();
        let output = self.tensor(data.dtype, &shape)?;
        let kernel = Gather { data: around(&data.shape, axis)?, picks: picks.len()?.dim()? };
        self.push(kernel, &[&data, &picks], &output)?;
        Ok(output.with_categories(data.categories))
    }

    /// `output[.., p, ..] = data[.., picks[.., p, ..], ..]`; all axes except `axis` have the same extents.
    pub fn gather_elements(&mut self, data: &Value, axis: usize, picks: &Value) -> Reasoned<Value> {
        let mut data = data.clone();
        for (n, extent) in picks.shape.iter().enumerate().filter(|(n, _)| *n != axis) {
            data = data.slice(n, Extent::ZERO, *extent, 1)?;
        }
        let (data, picks) = (self.packed(&data)?, self.packed(picks)?);
        let output = self.tensor(data.dtype, &picks.shape)?;
        let kernel = GatherElements { data: around(&data.shape, axis)?, picks: picks.shape[axis].dim()? };
        self.push(kernel, &[&data, &picks], &output)?;
        Ok(output.with_categories(data.categories))
    }

    /// Scatters `updates` into an already written buffer, at the positions `picks` along the last axis of its view
    /// `place`. `picks` and `updates` have the shape of the axes before.
    pub fn scatter(&mut self, op: Option<BinaryOp>, place: &Value, picks: &Value, updates: &Value) -> Reasoned<()> {
        let axis = place.rank() - 1;
        let (extent, stride) = (place.shape[axis].dim()?, place.strides[axis].dim()?);
        let (shape, views) = folded(&picks.shape, &[picks, updates, &place.clone().remove_axis(axis)])?;
        let [index, source, mut target] = views;
        limited(Vec::new(), shape.len() + 1)?;
        target.strides.push(stride);
        self.push(Scatter { op, shape, axis: extent, index, source, target }, &[picks, updates], place)
    }

    /// Running `op` (Add or Mul) along an axis.
    pub fn cumulate(
        &mut self,
        op: BinaryOp,
        value: &Value,
        axis: usize,
        exclusive: bool,
        reverse: bool,
    ) -> Reasoned<Value> {
        if !matches!(value.dtype, DType::F32 | DType::I64 | DType::I32) {
            return Reason::err(format!("a running {op:?} of {:?}; cast to float first", value.dtype));
        }
        let value = self.packed(value)?;
        let output = self.tensor(value.dtype, &value.shape)?;
        self.push(Cumulate { op, data: around(&value.shape, axis)?, exclusive, reverse }, &[&value], &output)?;
        Ok(output)
    }

    /// Returns positions of the `k` largest or smallest elements along an axis.
    pub fn top_k(&mut self, value: &Value, axis: usize, k: u32, largest: bool) -> Reasoned<Value> {
        if !matches!(value.dtype, DType::F32 | DType::I64 | DType::I32) {
            return Reason::err(format!(
                "the largest elements of {:?} are not supported; cast to float first",
                value.dtype
            ));
        }
        let value = self.packed(value)?;
        let mut shape = value.shape.clone();
        if shape[axis].constant().is_some_and(|extent| k as usize > extent) {
            return Reason::err(format!("the {k} largest elements of an axis of {}", shape[axis]));
        }
        shape[axis] = Extent::fixed(k.into());
        let output = self.tensor(DType::I64, &shape)?;
        self.push(TopK { data: around(&value.shape, axis)?, k, largest }, &[&value], &output)?;
        Ok(output)
    }

    /// Returns the scores `[rows, targets]` of a tree ensemble over `rows`, `[rows, features]`; `base` has one value
    /// for each target.
    pub fn trees(&mut self, rows: &Value, forest: &Forest, base: &[f32], aggregate: Aggregate) -> Reasoned<Value> {
        let rows = self.packed(rows)?;
        let [count, features] = rows.shape[..] else {
            return Reason::err(format!("trees over a tensor of shape {}; they need a matrix", show(&rows.shape)));
        };
        let features = features.dim()?.fixed;
        let targets = base.len();
        let output = self.tensor(DType::F32, &[count, Extent::fixed(targets as i64)])?;
        let integers = |values: &[u32]| {
            let values: Vec<i32> = values.iter().map(|value| value.cast_signed()).collect();
            Value::constant(Constant::i32(&values), &[values.len()])
        };
        let floats = |values: &[f32]| Value::constant(Constant::f32(values), &[values.len()]);
        let tables = [
            integers(forest.trees.as_flattened())?,
            integers(forest.columns.as_flattened())?,
            floats(&forest.thresholds)?,
            integers(&forest.tests)?,
            integers(forest.slots.as_flattened())?,
            floats(&forest.votes)?,
            floats(base)?,
        ];
        let inputs: Vec<&Value> = std::iter::once(&rows).chain(&tables).collect();
        let blocks = forest.blocks.clone();
        let kernel = Trees { rows: count.dim()?, features, targets: targets as u32, aggregate, blocks };
        self.push(kernel, &inputs, &output)?;
        Ok(output)
    }

    /// Concatenates values along an axis.
    pub fn concat(&mut self, values: &[Value], axis: usize) -> Reasoned<Value> {
        let [first, rest @ ..] = values else { return Reason::err("a concatenation of nothing") };
        if rest.iter().any(|value| value.dtype != first.dtype || value.categories != first.categories) {
            return Reason::err("a concatenation of tensors of different kinds");
        }
        let mut shape = first.shape.clone();
        for value in rest {
            shape[axis] = shape[axis].plus(value.shape[axis])?;
        }
        let output = self.tensor(first.dtype, &shape)?;
        let mut start = Extent::ZERO;
        for value in values {
            let place = output.clone().slice(axis, start, value.shape[axis], 1)?;
            self.copy(value, &place)?;
            start = start.plus(value.shape[axis])?;
        }
        Ok(output.with_categories(first.categories.clone()))
    }

    /// Creates a constant from `values`.
    pub fn f32s(values: &[f32], shape: &[usize]) -> Reasoned<Value> {
        Value::constant(Constant::f32(values), shape)
    }
}

/// Rearranges `matrix`, row-major `[inner, columns]`, into panels of [`DENSE_PANEL`] columns.
pub(crate) fn panels(matrix: &[f32], inner: usize, columns: usize) -> Vec<f32> {
    let count = columns.div_ceil(DENSE_PANEL);
    let mut panels = vec![0.0; count * inner * DENSE_PANEL];
    for (panel, cells) in panels.chunks_exact_mut(inner * DENSE_PANEL).enumerate() {
        let first = panel * DENSE_PANEL;
        let width = DENSE_PANEL.min(columns - first);
        for (to, from) in cells.chunks_exact_mut(DENSE_PANEL).zip(matrix.chunks_exact(columns)) {
            to[..width].copy_from_slice(&from[first..first + width]);
        }
    }
    panels
}

/// Splits a shape around `axis`.
fn around(shape: &[Extent], axis: usize) -> Reasoned<AxisShape> {
    Ok(AxisShape {
        outer: Extent::product(&shape[..axis])?.dim()?,
        axis: shape[axis].dim()?,
        inner: Extent::product(&shape[axis + 1..])?.dim()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_hold_eight_columns_and_zeros() {
        let matrix: Vec<f32> = (0..20).map(|n| n as f32).collect();
        let packed = panels(&matrix, 2, 10);
        assert_eq!(packed.len(), 2 * 2 * DENSE_PANEL);
        assert_eq!(packed[..8], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(packed[8..16], [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]);
        assert_eq!(packed[16..26], [8.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 18.0, 19.0]);
    }
}
