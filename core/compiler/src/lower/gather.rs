//! Selecting by index: lookups, and the greatest of an axis.

use super::Site;
use crate::{
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::tract_core::ops::array::{Gather, GatherElements, GatherNd, OneHot, Topk};
use tradewind_core::plan::{BinaryOp, CompareOp, DType};

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let value = if let Some(op) = site.node.op_as::<Gather>() {
        gather(site, op.axis)?
    } else if let Some(op) = site.node.op_as::<GatherElements>() {
        let (data, picks) = (site.input(0)?, site.input(1)?);
        site.builder.gather_elements(&data, op.axis, &picks)?
    } else if let Some(op) = site.node.op_as::<GatherNd>() {
        gather_nd(site, op.batch_dims)?
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
    // Known, evenly spaced picks are a slice, which costs nothing.
    if let (Some(known), Some(extent)) =
        (picks.known().and_then(|known| known.as_integers()), data.shape[axis].constant())
    {
        let extent = extent as i64;
        let known: Vec<i64> = known.iter().map(|&pick| if pick < 0 { pick + extent } else { pick }).collect();
        if let Some(wrong) = known.iter().find(|pick| !(0..extent).contains(pick)) {
            return Reason::err(format!("it takes element {wrong} of an axis of {extent}"));
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

/// One gather over the axes that an index names together.
fn gather_nd(site: &mut Site<'_>, batch_dims: usize) -> Reasoned<Value> {
    let (data, picks) = (site.input(0)?, site.input(1)?);
    let width = picks.shape.last().and_then(|extent| extent.constant());
    let Some(width) = width.filter(|_| batch_dims == 0) else {
        return Reason::err("batched or unknown indices are not supported; use Gather or GatherElements");
    };
    let picks = site.builder.cast(&picks, DType::I64)?;
    let extents = data.shape[..width].iter().map(|extent| extent.constant()).collect::<Option<Vec<_>>>();
    let extents = extents.ok_or_else(|| Reason("it selects from the batch; export the model without that".into()))?;
    let last = picks.rank() - 1;
    let mut flat: Option<Value> = None;
    for (n, extent) in extents.iter().enumerate() {
        let pick = picks.clone().slice(last, Extent::fixed(n as i64), Extent::ONE, 1)?.remove_axis(last);
        let pick = from_start(site, &pick, *extent)?;
        flat = Some(match flat {
            None => pick,
            Some(flat) => {
                let scaled = site.builder.binary(BinaryOp::Mul, &flat, &Value::integer(DType::I64, *extent as i64))?;
                site.builder.binary(BinaryOp::Add, &scaled, &pick)?
            }
        });
    }
    let flat = flat.ok_or_else(|| Reason("an index of no axes".into()))?;
    let merged = Extent::product(&data.shape[..width])?;
    let data = site.builder.reshape(&data, 0, width, &[merged])?;
    site.builder.gather(&data, 0, &flat)
}

/// Negative indices counted from the end of an axis.
fn from_start(site: &mut Site<'_>, picks: &Value, extent: usize) -> Reasoned<Value> {
    let negative = site.builder.compare(CompareOp::Less, picks, &Value::integer(picks.dtype, 0))?;
    let wrapped = site.builder.binary(BinaryOp::Add, picks, &Value::integer(picks.dtype, extent as i64))?;
    site.builder.select(&negative, &wrapped, picks)
}

/// The most columns of a one-hot encoding, whose numbers are a weight: eight bytes each.
const DEEPEST: usize = 1 << 22;

fn one_hot(site: &mut Site<'_>, op: &OneHot) -> Reasoned<Value> {
    if op.dim > DEEPEST {
        return Reason::err(format!("a one-hot encoding of {} columns; at most {DEEPEST} are made", op.dim));
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
