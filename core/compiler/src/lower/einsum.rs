//! Products and sums over named axes.
//!
//! A product of rows with a constant matrix is [`Kernel::Dense`]; any other contraction of two
//! tensors is [`Kernel::Contract`] over strided views, so that no operand is ever transposed.
//!
//! [`Kernel::Dense`]: tradewind_core::plan::Kernel::Dense
//! [`Kernel::Contract`]: tradewind_core::plan::Kernel::Contract

use super::{Site, double};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tradewind_core::plan::{DType, ReduceOp};

/// Tensor with named axes.
#[derive(Debug, Clone)]
struct Named {
    value: Value,
    names: Vec<char>,
}

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let Some(op) = site.node.op_as::<EinSum>() else { return Ok(None) };
    if op.q_params.is_some() {
        return Reason::err("quantised products are not supported; export the model in f32");
    }
    let dtype = site.output_dtype()?;
    // Integers are multiplied as I64.
    let work = if matches!(dtype, DType::F32 | DType::F64) { dtype } else { DType::I64 };
    let mut terms = Vec::new();
    for (slot, value) in site.inputs.clone().into_iter().enumerate() {
        let value = site.builder.cast(&value, work)?;
        let axes = op.axes.iter_all_axes().map(|axis| (axis.repr, &axis.inputs[slot][..]));
        terms.push(Named::diagonal(&value, axes)?);
    }
    let mut output: Vec<(usize, char)> =
        op.axes.iter_all_axes().filter_map(|axis| Some((*axis.outputs[0].first()?, axis.repr))).collect();
    output.sort_unstable();
    let output: Vec<char> = output.into_iter().map(|(_, name)| name).collect();

    let mut terms = terms.into_iter();
    let mut product = terms.next().ok_or_else(|| Reason("a product without factors".into()))?;
    while let Some(next) = terms.next() {
        let wanted: Vec<char> =
            output.iter().chain(terms.as_slice().iter().flat_map(|term| &term.names)).copied().collect();
        product = multiply(site.builder, &product, &next, &wanted)?;
    }
    let value = summed(site.builder, product, &output)?;
    let value = site.builder.cast(&value, dtype)?;
    let datum_type = site.input_type(0)?;
    Ok(Some(vec![site.wrapped(&value, datum_type)?]))
}

impl Named {
    /// Names the axes of `value`; an axis named twice becomes its diagonal.
    fn diagonal<'a>(value: &Value, axes: impl Iterator<Item = (char, &'a [usize])>) -> Reasoned<Self> {
        let (mut names, mut shape, mut strides) = (Vec::new(), Vec::new(), Vec::new());
        for (name, positions) in axes {
            let Some(first) = positions.first() else { continue };
            let stride = positions.iter().try_fold(Extent::ZERO, |sum, &axis| sum.plus(value.strides[axis]))?;
            names.push(name);
            shape.push(value.shape[*first]);
            strides.push(stride);
        }
        Ok(Self { value: Value { shape, strides, ..value.clone() }, names })
    }

    fn position(&self, name: char) -> Option<usize> {
        self.names.iter().position(|&known| known == name)
    }

    fn extent(&self, name: char) -> Extent {
        self.position(name).map_or(Extent::ONE, |axis| self.value.shape[axis])
    }

    /// Arranges axes in this order; missing axes (or axes of one element) are broadcast.
    fn arranged(&self, names: &[char], shape: &[Extent]) -> Value {
        let strides = names.iter().zip(shape).map(|(&name, extent)| match self.position(name) {
            Some(axis) if self.value.shape[axis] == *extent => self.value.strides[axis],
            _ => Extent::ZERO,
        });
        Value { shape: shape.to_vec(), strides: strides.collect(), ..self.value.clone() }
    }
}

/// Multiplies two tensors and sums over the axes outside `wanted`.
fn multiply(builder: &mut Builder, left: &Named, right: &Named, wanted: &[char]) -> Reasoned<Named> {
    if let Some(product) = dense(builder, left, right, wanted)? {
        return Ok(product);
    }
    if let Some(product) = dense(builder, right, left, wanted)? {
        return Ok(product);
    }
    let mut names: Vec<char> = left.names.clone();
    names.extend(right.names.iter().filter(|name| !left.names.contains(name)));
    let extent = |name: char| if left.extent(name).is_one() { right.extent(name) } else { left.extent(name) };
    let (mut kept, over): (Vec<char>, Vec<char>) = names.into_iter().partition(|name| wanted.contains(name));
    // In the order of the output, so that nothing is transposed afterwards.
    kept.sort_by_key(|name| wanted.iter().position(|wanted| wanted == name));
    let order = [&kept[..], &over].concat();
    let shape: Vec<Extent> = order.iter().map(|&name| extent(name)).collect();
    let (left, right) = (left.arranged(&order, &shape), right.arranged(&order, &shape));
    let value = match left.dtype {
        DType::F64 => double::contract(builder, &left, &right, over.len())?,
        _ => builder.contract(&left, &right, over.len())?,
    };
    Ok(Named { value, names: kept })
}

/// Computes `rows × matrix`, if the matrix is constant and shares no output axis with the rows.
fn dense(builder: &mut Builder, rows: &Named, matrix: &Named, wanted: &[char]) -> Reasoned<Option<Named>> {
    if rows.value.dtype != DType::F32 || rows.value.known().is_some() {
        return Ok(None);
    }
    let real = |tensor: &Named, name: &char| !tensor.extent(*name).is_one();
    let (over, lines): (Vec<char>, Vec<char>) = rows.names.iter().partition(|name| !wanted.contains(name));
    let columns: Vec<char> = matrix.names.iter().copied().filter(|name| wanted.contains(name)).collect();
    let shared = lines.iter().any(|name| real(rows, name) && real(matrix, name));
    let same = over.iter().all(|name| rows.extent(*name) == matrix.extent(*name))
        && matrix.names.iter().all(|name| wanted.contains(name) || over.contains(name));
    if shared || !same || over.is_empty() {
        return Ok(None);
    }
    // Shared axes of one element belong to the rows.
    let columns: Vec<char> = columns.into_iter().filter(|name| !lines.contains(name) || real(matrix, name)).collect();
    let lines: Vec<char> = lines.into_iter().filter(|name| !columns.contains(name)).collect();
    let extents = |tensor: &Named, names: &[char]| names.iter().map(|&name| tensor.extent(name)).collect::<Vec<_>>();
    let (rows_shape, over_shape, columns_shape) =
        (extents(rows, &lines), extents(rows, &over), extents(matrix, &columns));

    let arranged = matrix.arranged(&[&over[..], &columns].concat(), &[&over_shape[..], &columns_shape].concat());
    let Some(cells) = arranged.known().and_then(|known| known.as_f32()) else { return Ok(None) };
    let (inner, width) = (Extent::product(&over_shape)?, Extent::product(&columns_shape)?);
    let (Some(1..), Some(width @ 1..)) = (inner.constant(), width.constant()) else { return Ok(None) };

    let arranged = rows.arranged(&[&lines[..], &over].concat(), &[&rows_shape[..], &over_shape].concat());
    let count = Extent::product(&rows_shape)?;
    let flat = builder.reshape_all(&arranged, &[count, inner])?;
    let product = builder.dense(&flat, &cells, width, None)?;
    let value = builder.reshape_all(&product, &[&rows_shape[..], &columns_shape].concat())?;
    Ok(Some(Named { value, names: [lines, columns].concat() }))
}

/// Sums over the axes that the output lacks, and arranges the others in its order.
fn summed(builder: &mut Builder, term: Named, output: &[char]) -> Reasoned<Value> {
    let over: Vec<usize> = (0..term.names.len()).filter(|&axis| !output.contains(&term.names[axis])).collect();
    let mut term = term;
    if over.iter().any(|&axis| !term.value.shape[axis].is_one()) {
        term.value = match term.value.dtype {
            DType::F64 => double::reduce(builder, ReduceOp::Sum, &term.value, &over)?,
            _ => builder.reduce(ReduceOp::Sum, &term.value, &over)?,
        };
    }
    for axis in over.into_iter().rev() {
        term.value = term.value.remove_axis(axis);
        term.names.remove(axis);
    }
    for &name in output {
        // An output axis that no input has has one element.
        if term.position(name).is_none() {
            term.value = term.value.insert_axis(term.names.len());
            term.names.push(name);
        }
    }
    let order: Vec<usize> = output.iter().filter_map(|&name| term.position(name)).collect();
    Ok(term.value.permuted(&order))
}
