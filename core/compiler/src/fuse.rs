//! Folding of a bias per column, then a rectifier, into the preceding dense layer.

use crate::{builder::Builder, extent::Extent, refusal::Reasoned, value::Constant};
use std::{collections::BTreeSet, sync::Arc};
use tradewind_core::plan::{
    Activation, Binary, BinaryOp, BufferId, DENSE_PANEL, Dense, Dim, Kernel, Operand, Step, Unary, UnaryOp, View,
};

/// Folds biases and rectifiers into the dense layers before them. The buffers `kept` have readers other than steps.
pub(crate) fn fuse(builder: &mut Builder, kept: &BTreeSet<BufferId>) -> Reasoned<()> {
    let mut n = 0;
    while n < builder.steps.len() {
        while let Some(reader) = lone_reader(&builder.steps, n, kept) {
            let fused = match fold(builder, n, reader)? {
                Some(fused) => fused,
                None => break,
            };
            builder.steps[n] = Step { output: builder.steps[reader].output, ..fused };
            builder.steps.remove(reader);
        }
        n += 1;
    }
    Ok(())
}

/// The only step that reads the output of dense layer `n`, if there is exactly one.
fn lone_reader(steps: &[Step], n: usize, kept: &BTreeSet<BufferId>) -> Option<usize> {
    let output = steps[n].output;
    if !matches!(steps[n].kernel, Kernel::Dense(_)) || kept.contains(&output) {
        return None;
    }
    let mut readers = steps.iter().enumerate().filter(|(_, step)| step.inputs.contains(&Operand::Buffer(output)));
    let (reader, _) = readers.next()?;
    readers.next().is_none().then_some(reader)
}

/// Dense layer `n` with the step `reader` folded in.
fn fold(builder: &mut Builder, n: usize, reader: usize) -> Reasoned<Option<Step>> {
    let (dense, next) = (&builder.steps[n], &builder.steps[reader]);
    let Kernel::Dense(Dense { rows, inner, columns, activation: Activation::None }) = dense.kernel else {
        return Ok(None);
    };
    let mut fused = dense.clone();
    match &next.kernel {
        Kernel::Unary(Unary { op: UnaryOp::Relu }) => {
            fused.kernel = Kernel::Dense(Dense { rows, inner, columns, activation: Activation::Relu });
        }
        Kernel::Binary(Binary { op: BinaryOp::Add, shape, left, right }) => {
            let output = Operand::Buffer(dense.output);
            let (through, bias, other) = match next.inputs[..] {
                [a, Operand::Weight(b)] if a == output => (left, right, b),
                [Operand::Weight(a), b] if b == output => (right, left, a),
                _ => return Ok(None),
            };
            let (Some(bias), Some(Operand::Weight(present))) = (
                builder.weights.get(other).and_then(|values| bias_of(values, shape, through, bias, columns)),
                dense.inputs.get(2),
            ) else {
                return Ok(None);
            };
            // Only a zero bias is replaced: adding to another one would round twice.
            let is_zero = |constant: &Arc<Constant>| constant.bytes.iter().all(|byte| *byte == 0);
            if !builder.weights.get(*present).is_some_and(is_zero) {
                return Ok(None);
            }
            fused.inputs[2] = Operand::Weight(builder.weights.id(&Arc::new(Constant::f32(&bias)))?);
        }
        _ => return Ok(None),
    }
    Ok(Some(fused))
}

/// Bias of each column, if a binary step reads the layer's output in order through `through`, and one value per column
/// through `bias`.
fn bias_of(values: &Constant, shape: &[Dim], through: &View, bias: &View, columns: u32) -> Option<Vec<f32>> {
    let extents: Vec<Extent> = shape.iter().map(|dim| Extent::from(*dim)).collect();
    let in_order = Extent::dims(&crate::value::row_major(&extents).ok()?).ok()?;
    if through.strides != in_order || through.offset != Dim::fixed(0) {
        return None;
    }
    let values = values.as_f32()?;
    let start = bias.offset.at(0);
    let padded = columns.next_multiple_of(DENSE_PANEL as u32) as usize;
    // One value for all elements.
    if bias.strides.iter().all(|stride| *stride == Dim::fixed(0)) {
        let mut result = vec![*values.get(start)?; columns as usize];
        result.resize(padded, 0.0);
        return Some(result);
    }
    // One value per column: the last axis iterates over columns, the others have stride 0.
    let (width, rows) = shape.split_last()?;
    let (step, still) = bias.strides.split_last()?;
    let walks =
        *width == Dim::fixed(columns) && *step == Dim::fixed(1) && still.iter().all(|stride| *stride == Dim::fixed(0));
    if !walks || rows.is_empty() && columns != width.fixed {
        return None;
    }
    let mut result = values.get(start..start + columns as usize)?.to_vec();
    result.resize(padded, 0.0);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use tradewind_core::plan::DType;

    fn layer(builder: &mut Builder, bias: &[f32]) -> Value {
        let rows = Extent { fixed: 0, per_row: 1 };
        let x = builder.tensor(DType::F32, &[rows, Extent::fixed(2)]).expect("small");
        let product = builder.dense(&x, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, None).expect("a matrix");
        let bias = Builder::f32s(bias, &[1, bias.len()]).expect("small");
        let sum = builder.binary(BinaryOp::Add, &bias, &product).expect("same types");
        builder.unary(UnaryOp::Relu, &sum).expect("f32")
    }

    #[test]
    fn bias_and_rectifier_become_part_of_the_layer() {
        for bias in [&[0.5, 1.5, 2.5][..], &[0.5]] {
            let mut builder = Builder::default();
            layer(&mut builder, bias);
            fuse(&mut builder, &BTreeSet::new()).expect("few weights");
            let [step] = &builder.steps[..] else { unreachable!("{:?}", builder.steps) };
            assert!(matches!(step.kernel, Kernel::Dense(Dense { activation: Activation::Relu, .. })));
            let Operand::Weight(id) = step.inputs[2] else { unreachable!("a bias is a weight") };
            let expected = if bias.len() == 1 { [0.5; 3] } else { [0.5, 1.5, 2.5] };
            let found = builder.weights.get(id).and_then(|constant| constant.as_f32());
            assert_eq!(found.as_deref().map(|bias| &bias[..3]), Some(&expected[..]));
        }
    }

    #[test]
    fn an_output_of_the_model_is_not_folded_away() {
        let mut builder = Builder::default();
        layer(&mut builder, &[0.5]);
        let kept = BTreeSet::from([builder.steps[0].output]);
        fuse(&mut builder, &kept).expect("few weights");
        assert_eq!(builder.steps.len(), 3);
    }
}
