//! Selection by index: lookups, scatters and top-k.

use super::Site;
use crate::{
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::tract_core::ops::array::{
    Gather, GatherElements, GatherNd, OneHot, ScatterElements, ScatterNd, ScatterReduction, Topk,
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType};

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let value = if let Some(op) = site.node.op_as::<Gather>() {
        gather(site, op.axis)?
    } else if let Some(op) = site.node.op_as::<GatherElements>() {
        let (data, picks) = (site.input(0)?, site.input(1)?);
        site.builder.gather_elements(&data, op.axis, &picks)?
    } else if let Some(op) = site.node.op_as::<GatherNd>() {
        gather_nd(site, op.batch_dims)?
    } else if let Some(op) = site.node.op_as::<ScatterElements>() {
        scatter_elements(site, op.axis, op.reduction)?
    } else if let Some(op) = site.node.op_as::<ScatterNd>() {
        scatter_nd(site, op.reduction)?
    } else if let Some(op) = site.node.op_as::<OneHot>() {
        one_hot(site, op)?
    } else if let Some(op) = site.node.op_as::<Topk>() {
        return top_k(site, op).map(Some);
    } else {
        return Ok(None);
    };
    Ok(Some(vec![value]))
}

fn gather(site: &mut Site<'_>, axis: usize) -> Reasoned<Value> {
    let (data, picks) = (site.input(0)?, site.input(1)?);
    // Known, evenly spaced indices are a slice, which costs nothing.
    if let (Some(known), Some(extent)) =
        (picks.known().and_then(|known| known.as_integers()), data.shape[axis].constant())
    {
        let extent = extent as i64;
        let known: Vec<i64> = known.iter().map(|&pick| if pick < 0 { pick + extent } else { pick }).collect();
        if let Some(wrong) = known.iter().find(|pick| !(0..extent).contains(pick)) {
            return Reason::err(format!("index {wrong} is outside an axis of {extent}"));
        }
        let step = known.get(1).map_or(1, |second| second - known[0]);
        if !known.is_empty() && step > 0 && known.windows(2).all(|pair| pair[1] - pair[0] == step) {
            let count = Extent::fixed(known.len() as i64);
            let slice = data.slice(axis, Extent::fixed(known[0]), count, step)?;
            if picks.rank() == 1 {
                return Ok(slice);
            }
            return site.builder.reshape(&slice, axis, 1, &picks.shape);
        }
    }
    site.builder.gather(&data, axis, &picks)
}

/// One gather over the axes that are indexed together.
fn gather_nd(site: &mut Site<'_>, batch_dims: usize) -> Reasoned<Value> {
    let (data, picks) = (site.input(0)?, site.input(1)?);
    let (flat, width) = flat_positions(site, &picks, &data.shape[batch_dims..])?;
    let merged = Extent::product(&data.shape[batch_dims..batch_dims + width])?;
    let data = site.builder.reshape(&data, batch_dims, width, &[merged])?;
    if batch_dims == 0 {
        return site.builder.gather(&data, 0, &flat);
    }
    // All axes except the indexed one must match.
    let (lead, rest) = (&data.shape[..batch_dims], &data.shape[batch_dims + 1..]);
    let count = Extent::product(&flat.shape[batch_dims..])?;
    let flat = site.builder.reshape(&flat, batch_dims, flat.rank() - batch_dims, &[count])?;
    let flat = rest.iter().fold(flat, |flat, _| {
        let rank = flat.rank();
        flat.insert_axis(rank)
    });
    let flat = flat.broadcast(&[lead, &[count], rest].concat())?;
    let found = site.builder.gather_elements(&data, batch_dims, &flat)?;
    let shape = site.output_shape(0)?;
    site.builder.reshape_all(&found, &shape)
}

/// Combines the indices along the last axis of `picks` into one position in the axes of `extents`; also returns the
/// number of these axes.
fn flat_positions(site: &mut Site<'_>, picks: &Value, extents: &[Extent]) -> Reasoned<(Value, usize)> {
    let last = picks.rank().checked_sub(1).ok_or_else(|| Reason("its indices have no axis".into()))?;
    let width = picks.shape[last].constant().filter(|width| (1..=extents.len()).contains(width));
    let width = width.ok_or_else(|| Reason("the number of axes that it names is not known when packing".into()))?;
    let picks = site.builder.cast(picks, DType::I64)?;
    let mut flat: Option<Value> = None;
    let mut scale = 1;
    for (n, extent) in extents[..width].iter().enumerate().rev() {
        let pick = picks.clone().slice(last, Extent::fixed(n as i64), Extent::ONE, 1)?.remove_axis(last);
        let part = if n == 0 {
            // The kernel checks the combined position, and so this index.
            site.builder.binary(BinaryOp::Mul, &pick, &Value::integer(DType::I64, scale))?
        } else {
            // Table of the positions, so that negative and invalid indices are handled as in any other gather.
            let Some(extent) = extent.constant() else {
                return Reason::err("it names the batch after another axis; transpose the batch to the front");
            };
            let table: Vec<i64> = (0..extent as i64).map(|index| index * scale).collect();
            scale *= extent as i64;
            let table = Value::constant(Constant::i64(&table), &[extent])?;
            site.builder.gather(&table, 0, &pick)?
        };
        flat = Some(match flat {
            None => part,
            Some(flat) => site.builder.binary(BinaryOp::Add, &flat, &part)?,
        });
    }
    let flat = flat.ok_or_else(|| Reason("an index of no axes".into()))?;
    Ok((flat, width))
}

fn scatter_elements(site: &mut Site<'_>, axis: usize, reduction: ScatterReduction) -> Reasoned<Value> {
    let (op, data, picks, updates) = scatter_inputs(site, reduction)?;
    let fits = data
        .shape
        .iter()
        .zip(&picks.shape)
        .enumerate()
        .all(|(n, (extent, count))| n == axis || (count.fixed <= extent.fixed && count.per_row <= extent.per_row));
    if !fits || picks.shape != updates.shape {
        return Reason::err("its indices and updates are not within the tensor for every batch");
    }
    let picks = indices(site, &picks)?;
    let result = site.builder.copied(&data)?;
    let mut place = result.clone();
    place.shape.clone_from(&picks.shape);
    place.shape.push(result.shape[axis]);
    place.strides.push(result.strides[axis]);
    place.strides[axis] = Extent::ZERO;
    site.builder.scatter(op, &place, &picks, &updates)?;
    scattered(site, op, &result)
}

fn scatter_nd(site: &mut Site<'_>, reduction: ScatterReduction) -> Reasoned<Value> {
    let (op, data, picks, updates) = scatter_inputs(site, reduction)?;
    let (mut flat, width) = flat_positions(site, &picks, &data.shape)?;
    let result = site.builder.copied(&data)?;
    let mut place = site
        .builder
        .reshape(&result, 0, width, &[Extent::product(&data.shape[..width])?])?
        .move_axis(0, data.rank() - width);
    for extent in flat.shape.clone().into_iter().rev() {
        place = place.insert_axis(0);
        place.shape[0] = extent;
    }
    for _ in width..data.rank() {
        let rank = flat.rank();
        flat = flat.insert_axis(rank);
    }
    let flat = flat.broadcast(&updates.shape)?;
    site.builder.scatter(op, &place, &flat, &updates)?;
    scattered(site, op, &result)
}

/// Converts positions to an index type of the kernels.
fn indices(site: &mut Site<'_>, picks: &Value) -> Reasoned<Value> {
    if picks.dtype == DType::I32 { Ok(picks.clone()) } else { site.builder.cast(picks, DType::I64) }
}

/// Operation of a scatter, its data, indices and updates.
fn scatter_inputs(
    site: &mut Site<'_>,
    reduction: ScatterReduction,
) -> Reasoned<(Option<BinaryOp>, Value, Value, Value)> {
    let picks = site.input(1)?;
    let op = match reduction {
        ScatterReduction::None => return Ok((None, site.input(0)?, picks, site.input(2)?)),
        ScatterReduction::Add => BinaryOp::Add,
        ScatterReduction::Mul => BinaryOp::Mul,
        ScatterReduction::Min => BinaryOp::Min,
        ScatterReduction::Max => BinaryOp::Max,
    };
    Ok((Some(op), site.number(0)?, picks, site.number(2)?))
}

fn scattered(site: &mut Site<'_>, op: Option<BinaryOp>, result: &Value) -> Reasoned<Value> {
    let datum_type = site.input_type(0)?;
    if op.is_some() { site.wrapped(result, datum_type) } else { Ok(result.clone()) }
}

/// Converts negative indices to positions from the start.
fn from_start(site: &mut Site<'_>, picks: &Value, extent: usize) -> Reasoned<Value> {
    let negative = site.builder.compare(CompareOp::Less, picks, &Value::integer(picks.dtype, 0))?;
    let wrapped = site.builder.binary(BinaryOp::Add, picks, &Value::integer(picks.dtype, extent as i64))?;
    site.builder.select(&negative, &wrapped, picks)
}

/// Maximum columns of a one-hot encoding, whose numbers are a weight of eight bytes each.
const DEEPEST: usize = 1 << 22;

fn one_hot(site: &mut Site<'_>, op: &OneHot) -> Reasoned<Value> {
    if op.dim > DEEPEST {
        return Reason::err(format!("a one-hot encoding of {} columns (at most {DEEPEST})", op.dim));
    }
    let picks = site.input(0)?;
    let picks = site.builder.cast(&picks, DType::I64)?;
    let picks = from_start(site, &picks, op.dim)?.insert_axis(op.axis);
    let positions: Vec<i64> = (0..op.dim as i64).collect();
    let mut positions = Value::constant(Constant::i64(&positions), &[op.dim])?;
    for _ in op.axis + 1..picks.rank() {
        positions = positions.insert_axis(1);
    }
    let hot = site.builder.compare(CompareOp::Equal, &picks, &positions)?;
    let (on, off) = (super::constant(&op.on)?, super::constant(&op.off)?);
    site.builder.select(&hot, &on, &off)
}

fn top_k(site: &mut Site<'_>, op: &Topk) -> Reasoned<Vec<Value>> {
    let (data, k) = (site.input(0)?, site.input(1)?);
    let k = k.known().and_then(|k| k.as_integers());
    let k = k.as_deref().and_then(|k| k.first()).and_then(|k| u32::try_from(*k).ok());
    let k = k.ok_or_else(|| {
        Reason("the number of elements to find is not known when packing; make `K` a constant".into())
    })?;
    let positions = site.builder.top_k(&data, op.axis, k, op.largest)?;
    let values = site.builder.gather_elements(&data, op.axis, &positions)?;
    Ok(vec![values, positions])
}
