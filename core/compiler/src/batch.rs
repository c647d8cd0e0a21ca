//! Whether the rows of a batch can be computed apart.
//!
//! A buffer that changes with the batch holds, for each row, one stretch of `width` elements. Rows
//! are independent when every step fills a row's stretch of its output from the same row's
//! stretches of its inputs, and from what does not change with the batch.

use tradewind_core::plan::{AxisShape, BufferId, Dim, Kernel, Operand, Step, View};

/// Whether every step computes rows apart, given the length of each buffer.
pub(crate) fn independent(buffers: &[Dim], steps: &[Step]) -> bool {
    let rows = Rows { buffers };
    // A buffer with a fixed part beside the rows has no stretches.
    buffers.iter().all(|len| len.per_row == 0 || len.fixed == 0) && steps.iter().all(|step| rows.apart(step))
}

/// Whether a tensor of this shape is cut into rows along its first axis.
pub(crate) fn leads(shape: &[Dim]) -> bool {
    shape
        .split_first()
        .is_some_and(|(first, rest)| first.fixed == 0 && first.per_row > 0 && rest.iter().all(|dim| dim.per_row == 0))
}

struct Rows<'a> {
    buffers: &'a [Dim],
}

impl Rows<'_> {
    /// Elements for each row; 0 for what does not change with the batch.
    fn width(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Buffer(BufferId(id)) => self.buffers.get(id as usize).map_or(0, |len| len.per_row),
            Operand::Weight(_) => 0,
        }
    }

    fn apart(&self, step: &Step) -> bool {
        let output = self.width(Operand::Buffer(step.output));
        let inputs: Vec<u32> = step.inputs.iter().map(|input| self.width(*input)).collect();
        if output == 0 {
            // What is the same for all rows cannot be made from rows.
            return inputs.iter().all(|width| *width == 0);
        }
        let walks = |shape: &[Dim], over: &[Dim], views: &[(u32, &View)]| {
            over.iter().all(|extent| extent.per_row == 0)
                && leads(shape)
                && views.iter().all(|(width, view)| stays(shape, over, *width, view))
        };
        match (&step.kernel, &inputs[..]) {
            (Kernel::Fill { .. } | Kernel::Cast | Kernel::Unary { .. }, _) => true,
            (Kernel::Copy { shape, source, target }, &[from]) => walks(shape, &[], &[(from, source), (output, target)]),
            (Kernel::Binary { shape, left, right, .. } | Kernel::Compare { shape, left, right, .. }, &[l, r]) => {
                walks(shape, &[], &[(l, left), (r, right)])
            }
            (Kernel::Select { shape, condition, on_true, on_false }, &[c, t, f]) => {
                walks(shape, &[], &[(c, condition), (t, on_true), (f, on_false)])
            }
            (Kernel::Contract { shape, over, left, right }, &[l, r]) => walks(shape, over, &[(l, left), (r, right)]),
            (Kernel::Reduce { shape, over, source, .. }, &[from]) => walks(shape, over, &[(from, source)]),
            (
                Kernel::Dense { rows, .. }
                | Kernel::Trees { rows, .. }
                | Kernel::Couple { rows, .. }
                | Kernel::Distances { rows, .. },
                &[_, ref same @ ..],
            ) => rows.fixed == 0 && same.iter().all(|width| *width == 0),
            (Kernel::Lookup, &[_, ref tables @ ..]) => tables.iter().all(|width| *width == 0),
            (Kernel::Recurrent(layer), &[gates, weights, bias, initial, ref options @ ..]) => {
                let gate_columns = (layer.gates() * layer.padded()) as u32;
                let sequence = [layer.rows, Dim::fixed(layer.steps), Dim::fixed(gate_columns)];
                let states = [layer.rows, Dim::fixed(layer.states() as u32), Dim::fixed(layer.hidden)];
                let (lengths, peepholes) = options.split_at(usize::from(layer.lengths).min(options.len()));
                walks(&sequence, &[], &[(gates, &layer.source)])
                    && walks(&states, &[], &[(initial, &layer.initial)])
                    && lengths.iter().all(|width| *width == layer.rows.per_row)
                    && [weights, bias].iter().chain(peepholes).all(|width| *width == 0)
            }
            (Kernel::Scatter { shape, axis, index, source, target, .. }, &[i, from]) => {
                walks(shape, &[], &[(i, index), (from, source)]) && walks(shape, &[*axis], &[(output, target)])
            }
            (
                Kernel::Softmax { shape, .. } | Kernel::TopK { data: shape, .. } | Kernel::Cumulate { data: shape, .. },
                _,
            ) => outermost(*shape),
            (Kernel::GatherElements { data, picks }, _) => outermost(*data) && picks.per_row == 0,
            (Kernel::Gather { data, picks }, &[table, _]) => {
                if table == 0 {
                    data.outer == Dim::fixed(1) && picks.fixed == 0
                } else {
                    outermost(*data) && picks.per_row == 0
                }
            }
            _ => false,
        }
    }
}

/// Whether a view keeps to the stretch of the row that the first axis of `shape` stands at.
fn stays(shape: &[Dim], over: &[Dim], width: u32, view: &View) -> bool {
    let (Some(first), Some((stride, others))) = (shape.first(), view.strides.split_first()) else { return false };
    let fixed = view.offset.per_row == 0 && view.strides.iter().all(|stride| stride.per_row == 0);
    if width == 0 {
        return fixed && stride.fixed == 0;
    }
    // Each index of the first axis has `stride` elements of its own, and reaches no others.
    let reach = shape[1..]
        .iter()
        .chain(over)
        .zip(others)
        .map(|(extent, stride)| u64::from(extent.fixed).saturating_sub(1) * u64::from(stride.fixed));
    let last = reach.fold(u64::from(view.offset.fixed), u64::saturating_add);
    fixed && u64::from(stride.fixed) * u64::from(first.per_row) == u64::from(width) && last < u64::from(stride.fixed)
}

/// Whether the batch is in the outer axes alone.
fn outermost(shape: AxisShape) -> bool {
    shape.outer.fixed == 0 && shape.axis.per_row == 0 && shape.inner.per_row == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{builder::Builder, extent::Extent, refusal::Reasoned, value::Value};
    use tradewind_core::plan::{BinaryOp, DType, ReduceOp};

    const N: Extent = Extent { fixed: 0, per_row: 1 };

    fn apart(build: impl FnOnce(&mut Builder, Value) -> Reasoned<Value>) -> bool {
        let mut builder = Builder::default();
        let x = builder.tensor(DType::F32, &[N, Extent::fixed(4), Extent::fixed(3)]).expect("small");
        build(&mut builder, x).expect("it can be lowered");
        let buffers: Vec<Dim> = builder.buffers.iter().map(|(_, len)| len.dim().expect("small")).collect();
        independent(&buffers, &builder.steps)
    }

    #[test]
    fn what_stays_within_a_row_is_independent() {
        assert!(apart(|b, x| b.softmax(&x, 2, false, false)));
        assert!(apart(|b, x| b.reduce(ReduceOp::Sum, &x, &[1])));
        assert!(apart(|b, x| b.copied(&x.move_axis(1, 2))));
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
        assert!(!apart(|b, x| b.copied(&x.move_axis(0, 1))));
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
}
