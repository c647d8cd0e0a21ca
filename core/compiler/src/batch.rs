//! Proof that the rows of a batch are independent.
//!
//! A buffer that grows with the batch consists of ranges of equal length, one per row in turn: element `e` belongs to
//! row `(e / stretch) % rows`. With the batch on the first axis a row has one range; with a sequence of steps before
//! it, one for each step. Rows are independent if every step fills a row's ranges of its output only from the same
//! row's ranges of its inputs and from data that do not change with the batch, for any number of rows.
//!
//! A buffer with a constant length may still contain the number of rows, such as a sum of ones over them. So a step
//! that fills such a buffer may only read others like it, and must not use extents, strides or offsets that grow: then
//! its content is the same for every batch.

use crate::{extent::Extent, value};
use std::collections::BTreeMap;
use tradewind_core::plan::{Access, BufferId, Dim, Operand, Step, Touch};

/// Whether every step computes rows independently, given the length of each buffer, and of the ranges of `ports`.
pub(crate) fn independent(buffers: &[Dim], ports: &[(BufferId, u64)], steps: &[Step]) -> bool {
    let mut rows = Rows { buffers, stretches: BTreeMap::new() };
    let agree = ports.iter().all(|(port, stretch)| *rows.stretches.entry(*port).or_insert(*stretch) == *stretch);
    // A buffer with a fixed part besides the rows has no ranges.
    agree && buffers.iter().all(|len| len.per_row == 0 || len.fixed == 0) && steps.iter().all(|step| rows.apart(step))
}

/// Length of a row's ranges in a tensor of this shape; 0 if it does not grow with the batch. `None` if its elements do
/// not belong to rows: the batch is one axis, without a fixed part.
pub(crate) fn stretch(shape: &[Dim]) -> Option<u64> {
    let Some(axis) = shape.iter().position(|dim| dim.per_row > 0) else { return Some(0) };
    let (batch, rest) = shape[axis..].split_first()?;
    let alone = batch.fixed == 0 && rest.iter().all(|dim| dim.per_row == 0);
    alone.then(|| rest.iter().fold(batch.per_row.into(), |len: u64, dim| len.saturating_mul(dim.fixed.into())))
}

struct Rows<'a> {
    buffers: &'a [Dim],
    /// Ranges of buffers that grow with the batch, once steps have written more than one value.
    stretches: BTreeMap<BufferId, u64>,
}

impl Rows<'_> {
    /// Elements per row; 0 for data that do not change with the batch.
    fn width(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Buffer(BufferId(id)) => self.buffers.get(id as usize).map_or(0, |len| len.per_row.into()),
            Operand::Weight(_) => 0,
        }
    }

    /// Length of the ranges that a step reads; 0 for data that do not change with the batch. A buffer with a single
    /// value may be split in any way.
    fn stretch(&mut self, operand: Operand) -> u64 {
        let width = self.width(operand);
        match operand {
            Operand::Buffer(id) if width > 0 => *self.stretches.entry(id).or_insert(width),
            _ => 0,
        }
    }

    fn apart(&mut self, step: &Step) -> bool {
        let inputs: Vec<u64> = step.inputs.iter().map(|input| self.stretch(*input)).collect();
        let width = self.width(Operand::Buffer(step.output));
        let len = self.buffers.get(usize::from(step.output.0)).copied().unwrap_or(Dim::fixed(0));
        let Some(access) = step.kernel.access(len) else { return false };
        if width == 0 {
            // Data shared by all rows must depend neither on rows nor on their number.
            return inputs.iter().all(|stretch| *stretch == 0) && !access.grows();
        }
        if access.output == Touch::Alike {
            return inputs.iter().all(|stretch| *stretch == 0);
        }
        let Some(walk) = walk(&access) else { return false };
        let known = self.stretches.get(&step.output).copied();
        // Index `j` of the batch's axis belongs to row `(j / run) % rows`.
        let run = match inputs.iter().zip(&walk.inputs).find(|(stretch, _)| **stretch > 0) {
            Some((stretch, reach)) => stretch.checked_div(reach.stride),
            None => known.map_or(Some(walk.extent), |stretch| stretch.checked_div(walk.output.stride)),
        };
        let Some(run) = run.filter(|run| *run > 0 && walk.extent % run == 0) else { return false };
        let output = run.saturating_mul(walk.output.stride);
        self.stretches.insert(step.output, output);
        known.is_none_or(|stretch| stretch == output)
            && walk.output.keeps(output, run)
            && inputs.len() == walk.inputs.len()
            && inputs.iter().zip(&walk.inputs).all(|(stretch, reach)| reach.keeps(*stretch, run))
    }
}

/// Iteration of a step over its tensors.
struct Walk {
    /// Indices per row on the only axis that grows with the batch.
    extent: u64,
    inputs: Vec<Reach>,
    output: Reach,
}

/// Elements of a tensor reached by one index of the batch's axis.
struct Reach {
    /// Distance between consecutive indices, in elements.
    stride: u64,
    /// Maximum offset from the other axes, excluding growth with the batch.
    reach: u64,
    /// Growth per row of the other axes' strides and of the offset.
    jumps: Vec<u64>,
}

impl Reach {
    /// Index `j` reaches elements `j × size..(j + 1) × size`.
    fn block(extents: &[Dim]) -> Option<Self> {
        let fixed = extents.iter().all(|extent| extent.per_row == 0);
        let size = extents.iter().fold(1, |size: u64, extent| size.saturating_mul(extent.fixed.into()));
        fixed.then_some(Self { stride: size, reach: size.saturating_sub(1), jumps: Vec::new() })
    }

    /// Every index reaches the same elements.
    const fn still() -> Self {
        Self { stride: 0, reach: 0, jumps: Vec::new() }
    }

    /// Extents with strides; `batch` is the axis that grows.
    fn strided(offset: Dim, extents: &[Dim], strides: &[Dim], batch: usize) -> Option<Self> {
        let along = strides.get(batch).filter(|stride| stride.per_row == 0)?;
        let mut found =
            Self { stride: along.fixed.into(), reach: offset.fixed.into(), jumps: vec![offset.per_row.into()] };
        for (axis, (extent, stride)) in extents.iter().zip(strides).enumerate().filter(|(axis, _)| *axis != batch) {
            if extent.per_row > 0 || axis >= strides.len() {
                return None;
            }
            let reach = u64::from(extent.fixed).saturating_sub(1).saturating_mul(stride.fixed.into());
            found.reach = found.reach.saturating_add(reach);
            found.jumps.push(stride.per_row.into());
        }
        Some(found)
    }

    /// Whether all elements reached by index `j` belong to row `(j / run) % rows`, for ranges of this length.
    ///
    /// With `j = (a × rows + row) × run + t`, and strides of full ranges for every row, an element is `(a' × rows +
    /// row) × stretch + t × stride + …`; the offset from the start of the range must stay inside it.
    fn keeps(&self, stretch: u64, run: u64) -> bool {
        if stretch == 0 {
            return self.stride == 0 && self.jumps.iter().all(|jump| *jump == 0);
        }
        self.stride.checked_mul(run) == Some(stretch)
            && self.jumps.iter().all(|jump| jump % stretch == 0)
            && (run - 1).saturating_mul(self.stride).saturating_add(self.reach) < stretch
    }
}

/// Iteration of a step, if exactly one axis grows with the batch and nothing else does.
fn walk(access: &Access) -> Option<Walk> {
    let batch = grows(&access.shape)?;
    let reach = |touch: &Touch| match touch {
        Touch::All | Touch::Alike => Some(Reach::still()),
        Touch::Element => Reach::strided(Dim::fixed(0), &access.shape, &row_major(&access.shape)?, batch),
        Touch::Block(extents) => Reach::block(extents),
        Touch::View { over, view } => {
            Reach::strided(view.offset, &[&access.shape[..], over].concat(), &view.strides, batch)
        }
    };
    Some(Walk {
        extent: access.shape[batch].per_row.into(),
        inputs: access.inputs.iter().map(reach).collect::<Option<_>>()?,
        output: reach(&access.output)?,
    })
}

/// The only axis that grows with the batch, if there is exactly one.
fn grows(shape: &[Dim]) -> Option<usize> {
    let axis = shape.iter().position(|extent| extent.per_row > 0)?;
    let alone = shape[axis].fixed == 0 && shape[axis + 1..].iter().all(|extent| extent.per_row == 0);
    alone.then_some(axis)
}

/// Strides of a dense tensor.
fn row_major(shape: &[Dim]) -> Option<Vec<Dim>> {
    let extents: Vec<Extent> = shape.iter().map(|extent| Extent::from(*extent)).collect();
    Extent::dims(&value::row_major(&extents).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        builder::Builder,
        extent::Extent,
        refusal::Reasoned,
        value::{Home, Value},
    };
    use tradewind_core::plan::{BinaryOp, DType, ReduceOp, UnaryOp};

    const N: Extent = Extent { fixed: 0, per_row: 1 };

    fn apart(build: impl FnOnce(&mut Builder, Value) -> Reasoned<Value>) -> bool {
        let mut builder = Builder::default();
        let x = builder.tensor(DType::F32, &[N, Extent::fixed(4), Extent::fixed(3)]).expect("small");
        let output = build(&mut builder, x.clone()).expect("it can be lowered");
        let buffers: Vec<Dim> = builder.buffers.iter().map(|(_, len)| len.dim().expect("small")).collect();
        let port = |value: Value| {
            let Home::Buffer(id, _) = value.home else { unreachable!("it was computed") };
            Some((id, stretch(&Extent::dims(&value.shape).expect("small"))?))
        };
        let Some(ports) = [x, output].into_iter().map(port).collect::<Option<Vec<_>>>() else { return false };
        independent(&buffers, &ports, &builder.steps)
    }

    #[test]
    fn what_stays_within_a_row_is_independent() {
        assert!(apart(|b, x| b.softmax(&x, 2, false, false)));
        assert!(apart(|b, x| b.reduce(ReduceOp::Sum, &x, &[1])));
        assert!(apart(|b, x| b.copied(&x.move_axis(1, 2))));
        assert!(apart(|b, x| b.copied(&x.move_axis(0, 1))));
        assert!(apart(|b, x| {
            let first = x.clone().slice(1, Extent::ZERO, Extent::ONE, 1)?;
            b.binary(BinaryOp::Sub, &x, &first)
        }));
        assert!(apart(|b, x| b.concat(&[x.clone(), x], 1)));
        assert!(apart(|b, x| b.binary(BinaryOp::Add, &x, &Builder::f32s(&[1.0, 2.0, 3.0], &[3])?)));
        assert!(apart(|b, x| {
            let flat = b.reshape_all(&x, &[Extent { fixed: 0, per_row: 4 }, Extent::fixed(3)])?;
            b.dense(&flat, &[1.0; 6], 2, None)
        }));
    }

    #[test]
    fn what_mixes_rows_is_joint() {
        assert!(!apart(|b, x| b.reduce(ReduceOp::Mean, &x, &[0])));
        assert!(!apart(|b, x| b.softmax(&x, 0, false, false)));
        assert!(!apart(|b, x| b.concat(&[x.clone(), x], 0)));
        assert!(!apart(|b, x| {
            let mean = b.reduce(ReduceOp::Mean, &x, &[0])?;
            b.binary(BinaryOp::Sub, &x, &mean)
        }));
        assert!(!apart(|b, x| {
            let first = x.clone().slice(0, Extent::ZERO, Extent::ONE, 1)?;
            b.binary(BinaryOp::Sub, &x, &first)
        }));
    }

    #[test]
    fn what_holds_the_number_of_rows_is_joint() {
        // A sum of ones over the rows.
        assert!(!apart(|b, x| {
            let rows = b.reduce(ReduceOp::Sum, &Value::scalar(1.0).broadcast(&[N])?, &[0])?;
            b.binary(BinaryOp::Div, &x, &rows)
        }));
        // The element of a table at the number of rows.
        assert!(!apart(|b, x| {
            let table = Builder::f32s(&[0.5; 300], &[300])?;
            let at = b.copied(&table.slice(0, N, Extent::ONE, 1)?)?;
            b.binary(BinaryOp::Mul, &x, &at)
        }));
        assert!(!apart(|b, x| {
            let table = Builder::f32s(&[0.5; 300], &[300])?;
            b.binary(BinaryOp::Mul, &x, &table.slice(0, N, Extent::ONE, 1)?)
        }));
        // The distance of a row from the last.
        assert!(!apart(|b, x| {
            let ones = Value::scalar(1.0).broadcast(&[N])?;
            let from_last = b.cumulate(BinaryOp::Add, &ones, 0, true, true)?;
            b.binary(BinaryOp::Mul, &x, &from_last.insert_axis(1).insert_axis(2))
        }));
        // The same ones, with a value for each row.
        assert!(apart(|b, x| {
            let ones = b.copied(&Value::scalar(1.0).broadcast(&[N, Extent::ONE, Extent::ONE])?)?;
            b.binary(BinaryOp::Mul, &x, &ones)
        }));
    }

    /// `x`, `[N, 4, 3]`, transposed so that steps precede rows, passed through `build`, and transposed back.
    fn apart_by_steps(build: impl FnOnce(&mut Builder, Value) -> Reasoned<Value>) -> bool {
        apart(|b, x| {
            let steps = b.copied(&x.move_axis(1, 0))?;
            let result = build(b, steps)?;
            b.copied(&result.move_axis(1, 0))
        })
    }

    #[test]
    fn steps_may_come_before_rows() {
        const FLAT: Extent = Extent { fixed: 0, per_row: 4 };
        assert!(apart_by_steps(|b, x| b.unary(UnaryOp::Tanh, &x)));
        assert!(apart_by_steps(|b, x| b.softmax(&x, 2, false, false)));
        assert!(apart_by_steps(|b, x| b.binary(BinaryOp::Add, &x, &Builder::f32s(&[0.5; 12], &[4, 1, 3])?)));
        assert!(apart_by_steps(|b, x| b.reduce(ReduceOp::Mean, &x, &[2])));
        assert!(apart_by_steps(|b, x| {
            let flat = b.reshape_all(&x, &[FLAT, Extent::fixed(3)])?;
            let product = b.dense(&flat, &[1.0; 6], 2, None)?;
            b.reshape_all(&product, &[Extent::fixed(4), N, Extent::fixed(2)])
        }));
        assert!(apart(|b, x| {
            let steps = b.copied(&x.move_axis(1, 0))?;
            b.reduce(ReduceOp::Mean, &steps, &[0])
        }));
        // A sum over steps is rounded in the same order for one row as for several.
        assert!(apart(|b, x| {
            let steps = b.copied(&x.move_axis(1, 0))?;
            let sums = b.reduce(ReduceOp::Sum, &steps, &[2])?;
            b.reduce(ReduceOp::Sum, &sums, &[0])
        }));
        // Attention of each step to all steps: `[N, 4, 4]` times `[N, 4, 3]`.
        assert!(apart_by_steps(|b, x| {
            let rows = x.clone().move_axis(1, 0);
            let shape = [N, Extent::fixed(4), Extent::fixed(4), Extent::fixed(3)];
            let (queries, keys) = (rows.clone().insert_axis(2), rows.clone().insert_axis(1));
            let scores = b.contract(&queries.broadcast(&shape)?, &keys.broadcast(&shape)?, 1)?;
            let weights = b.softmax(&scores, 2, false, false)?;
            let shape = [N, Extent::fixed(4), Extent::fixed(3), Extent::fixed(4)];
            let (weights, values) = (weights.insert_axis(2), rows.move_axis(2, 1).insert_axis(1));
            let mixed = b.contract(&weights.broadcast(&shape)?, &values.broadcast(&shape)?, 1)?;
            b.copied(&mixed.move_axis(1, 0))
        }));
    }

    #[test]
    fn steps_before_rows_do_not_hide_that_rows_mix() {
        assert!(!apart_by_steps(|b, x| b.softmax(&x, 1, false, false)));
        assert!(!apart_by_steps(|b, x| {
            let mean = b.reduce(ReduceOp::Mean, &x, &[1])?;
            b.binary(BinaryOp::Sub, &x, &mean)
        }));
        // Interpreted as `[N, 4, 3]`, the same elements belong to other rows.
        assert!(!apart_by_steps(|b, x| {
            let cut = b.reshape_all(&x, &[N, Extent::fixed(4), Extent::fixed(3)])?;
            let sums = b.softmax(&cut, 1, false, false)?;
            b.reshape_all(&sums, &[Extent::fixed(4), N, Extent::fixed(3)])
        }));
        // Steps of one row next to those of another.
        assert!(!apart(|b, x| {
            let steps = b.copied(&x.clone().move_axis(1, 0))?;
            b.concat(&[steps.reshaped(0, 2, &[N, Extent::fixed(4)]).expect("packed"), x], 1)
        }));
    }
}
