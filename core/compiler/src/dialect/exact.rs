//! Arithmetic that tract would simplify as if all numbers were positive and finite and zero had no sign: `√x²` to `x`,
//! `x × 0` to 0, `x + 0` and `x − (−0)` to `x`, `x^½` to `√x`, and `x × a × b` to `x × (a × b)`, where `a × b` alone
//! may overflow. This includes zeros that tract finds later.

use tract_onnx::{
    prelude::{TypedModel, TypedNode},
    tract_core::{
        bin_to_super_type, element_wise,
        internal::*,
        ops::{
            array::CumSum,
            binary::TypedBinOp,
            element_wise::{ElementWiseMiniOp, ElementWiseOp},
            math::{Add, Mul, Pow, Recip, Sqrt, Sub},
        },
    },
};

element_wise!(root, Root, [f32] => |_, xs| {
    xs.iter_mut().for_each(|x| *x = x.sqrt());
    Ok(())
});

element_wise!(nought, Nought, [f32] => |_, xs| {
    xs.fill(0.0);
    Ok(())
});

bin_to_super_type!(plus, Plus, [f32, f64] => |c, a, b| *c = a + b);
bin_to_super_type!(minus, Minus, is_commutative: false, [f32, f64] => |c, a, b| *c = a - b);
bin_to_super_type!(times, Times, [f32, f64] => |c, a, b| *c = a * b);
bin_to_super_type!(raise, Raise, is_commutative: false, [f32] => |c, a, b| *c = a.powf(*b));

/// Range of magnitudes whose pairwise products are neither infinite nor subnormal: 2⁻⁶⁰ to 2⁶⁰.
const MODERATE: std::ops::RangeInclusive<f32> = 8.673_617e-19..=1.152_921_5e18;

/// Replaces tract's operators by ours wherever a simplification would change results.
pub(super) fn pin(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        if let Some(op) = exact(model, model.node(id))? {
            model.nodes[id].op = op;
        }
    }
    Ok(())
}

fn exact(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Box<dyn TypedOp>>> {
    let Some(output) = node.outputs.first() else { return Ok(None) };
    let double = output.fact.datum_type == f64::datum_type();
    if !double && output.fact.datum_type != f32::datum_type() {
        return Ok(None);
    }
    if is::<Sqrt>(node) && !double {
        // A reciprocal root is one function, and part of normalisations that tract recognises.
        let readers = &node.outputs[0].successors;
        let inverted = !readers.is_empty() && readers.iter().all(|reader| is::<Recip>(model.node(reader.node)));
        return Ok((!inverted).then(|| root().into()));
    }
    if let (Some(sum), [x, ..], false) = (node.op_as::<CumSum>(), &node.inputs[..], double) {
        // The sum over an axis with a single position.
        let is_single = model.outlet_fact(*x)?.shape[sum.axis].is_one();
        return Ok((sum.exclusive && is_single).then(|| nought().into()));
    }
    let (Some(TypedBinOp(op, _)), [left, right]) = (node.op_as(), &node.inputs[..]) else { return Ok(None) };
    let known = |input: &OutletId| {
        let uniform = &model.outlet_fact(*input)?.uniform;
        uniform.as_ref().map(|uniform| uniform.cast_to_scalar::<f32>()).transpose()
    };
    let (left, right) = (known(left)?, known(right)?);
    let either = |holds: fn(f32) -> bool| left.is_some_and(holds) || right.is_some_and(holds);
    let exact = if op.is::<Mul>() && either(|factor| !MODERATE.contains(&factor.abs())) {
        times()
    } else if op.is::<Add>() && either(|term| term == 0.0) {
        plus()
    } else if op.is::<Sub>() && either(|term| term == 0.0) {
        minus()
    } else if op.is::<Pow>() && right == Some(0.5) && !double {
        raise()
    } else {
        return Ok(None);
    };
    Ok(Some(exact.into()))
}

/// Whether a node is this function.
fn is<F: ElementWiseMiniOp>(node: &TypedNode) -> bool {
    node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<F>())
}
