//! `Slice`. tract compares a bound with the extent of its axis only if both are known: along the batch it reads a bound
//! that means "to the end" as a number of rows.

use super::{Built, axis_of, integers};
use crate::{
    attributes::Attributes,
    refusal::{Reason, Reasoned},
};
use tract_onnx::{
    model::{ParsingContext, optional_inputs},
    pb::NodeProto,
    tract_core::{
        internal::*,
        ops::{
            array::{Slice as Part, StridedSlice},
            downsample::Downsample,
        },
    },
    tract_hir::internal::{Expansion, InferenceResult, Solver, TensorProxy, expand},
};

/// Larger than any axis: a bound from here on means the end of the axis.
const FAR: i64 = i32::MAX as i64;

pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if context.onnx_operator_set_version < 10 {
        let list = |name| Attributes(node).ints(name).to_vec();
        let axes = Some(list("axes")).filter(|axes| !axes.is_empty());
        return Ok((expand(Slice::Fixed { starts: list("starts"), ends: list("ends"), axes }), Vec::new()));
    }
    let mut inputs = optional_inputs(node).skip(3);
    Ok((expand(Slice::Given { axes: inputs.next().flatten(), steps: inputs.next().flatten() }), Vec::new()))
}

#[derive(Debug, Clone)]
enum Slice {
    /// Bounds in attributes.
    Fixed { starts: Vec<i64>, ends: Vec<i64>, axes: Option<Vec<i64>> },
    /// Bounds in inputs: starts, ends, and optionally axes and steps.
    Given { axes: Option<usize>, steps: Option<usize> },
}

/// Every `step`-th of the elements `first..end` of an axis; from last to first if `step` is negative.
struct Range {
    axis: usize,
    first: TDim,
    end: TDim,
    step: i64,
}

impl Slice {
    /// Range of each axis, given the inputs after the first.
    fn ranges(&self, shape: &[TDim], given: &[Arc<Tensor>]) -> TractResult<Vec<Range>> {
        let rank = shape.len();
        let at = |n: usize| given.get(n - 1).context("an input is missing");
        let (starts, ends, axes, steps) = match self {
            Self::Fixed { starts, ends, axes } => (extents(starts), extents(ends), axes.clone(), None),
            Self::Given { axes, steps } => {
                let list = |n: &Option<usize>| n.map(|n| integers(at(n)?)).transpose();
                (dims(at(1)?)?, dims(at(2)?)?, list(axes)?, list(steps)?)
            }
        };
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
        ensure!(
            starts.len() == ends.len() && starts.len() == axes.len() && starts.len() == steps.len(),
            "{} starts, {} ends, {} axes and {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        );
        let bounds = starts.iter().zip(&ends).zip(axes.iter().zip(&steps));
        bounds.map(|((start, end), (axis, step))| range(axis_of(*axis, rank)?, shape, start, end, *step)).collect()
    }

    /// Inputs after the first, if all are known.
    fn given(&self, model: &TypedModel, inputs: &[OutletId]) -> TractResult<Option<Vec<Arc<Tensor>>>> {
        inputs.iter().skip(1).map(|input| Ok(model.outlet_fact(*input)?.konst.clone())).collect()
    }
}

fn extents(numbers: &[i64]) -> Vec<TDim> {
    numbers.iter().map(|number| number.to_dim()).collect()
}

fn dims(tensor: &Tensor) -> TractResult<Vec<TDim>> {
    if tensor.datum_type() == TDim::datum_type() {
        return Ok(tensor.try_as_plain_ram()?.as_slice::<TDim>()?.to_vec());
    }
    Ok(extents(&integers(tensor)?))
}

fn range(axis: usize, shape: &[TDim], start: &TDim, end: &TDim, step: i64) -> TractResult<Range> {
    let dim = shape.get(axis).context("an axis is missing")?;
    let step = step.clamp(-FAR, FAR);
    ensure!(step != 0, Reason("a step of 0; take every element with 1, or every second with 2".into()));
    let (start, end) = (within(start, dim, step > 0), within(end, dim, step > 0));
    let (first, end) = if step > 0 { (start, end) } else { (end + 1, start + 1) };
    let empty = (end.clone() - &first).to_i64().is_ok_and(|len| len <= 0);
    let (first, end) = if empty { (0.to_dim(), 0.to_dim()) } else { (first, end) };
    Ok(Range { axis, first, end, step })
}

/// Position of a bound: from 0 to the extent, or one less for both if it goes backwards.
fn within(bound: &TDim, dim: &TDim, forward: bool) -> TDim {
    let (low, high) = if forward { (0, dim.clone()) } else { (-1, dim.clone() - 1) };
    let position = match bound.to_i64() {
        Ok(bound) if bound >= FAR => return high,
        Ok(bound) if bound <= -FAR => return low.to_dim(),
        Ok(bound) if bound < 0 => dim.clone() + bound,
        Err(_) if is_negative(bound) => dim.clone() + bound,
        _ => bound.clone(),
    };
    match (position.to_i64(), high.to_i64()) {
        (Ok(position), Ok(high)) => position.clamp(low, high).to_dim(),
        (Ok(position), Err(_)) => position.max(low).to_dim(),
        _ => position,
    }
}

/// Whether a bound that depends on the batch is negative for a large one.
fn is_negative(bound: &TDim) -> bool {
    let values =
        bound.symbols().into_iter().fold(SymbolValues::default(), |values, symbol| values.with(&symbol, 1 << 26));
    bound.eval(&values).to_i64().is_ok_and(|bound| bound < 0)
}

impl Range {
    fn len(&self) -> Reasoned<TDim> {
        let len = self.end.clone() - &self.first;
        match (len.to_i64(), self.step.unsigned_abs()) {
            (_, 1) => Ok(len),
            (Ok(len), step) => Ok((len.unsigned_abs().div_ceil(step) as i64).to_dim()),
            _ => Reason::err(format!(
                "it takes every {}th of `{len}` rows, a number that depends on the batch; take all of them, or select \
                 them outside the model",
                self.step
            )),
        }
    }

    fn wire(&self, name: &str, model: &mut TypedModel, mut wire: OutletId) -> TractResult<OutletId> {
        let Self { axis, first, end, step } = self;
        self.len()?;
        let part = Part::new(*axis, first.clone(), end.clone());
        wire = model.wire_node(format!("{name}.slice-axis-{axis}"), part, &[wire])?[0];
        if *step != 1 {
            let every = Downsample::new(*axis, *step as isize, 0);
            wire = model.wire_node(format!("{name}.stride-axis-{axis}"), every, &[wire])?[0];
        }
        Ok(wire)
    }
}

impl Expansion for Slice {
    fn name(&self) -> StaticName {
        "Slice".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let Some((first, bounds)) = inputs.split_first() else { bail!("an operator without input") };
        solver.equals(&first.datum_type, &outputs[0].datum_type)?;
        solver.equals(&first.rank, &outputs[0].rank)?;
        solver.given(&first.shape, move |solver, shape| {
            solver.given_all(bounds.iter().map(|bound| &bound.value), move |solver, given| {
                let mut sliced = shape.clone();
                for range in self.ranges(&shape, &given)? {
                    sliced[range.axis] = range.len()?;
                }
                solver.equals(&outputs[0].shape, sliced)
            })
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        let Some(given) = self.given(model, inputs)? else {
            // They may become known when the model is simplified.
            let Self::Given { axes, steps } = self else { bail!("an attribute is missing") };
            let op = StridedSlice {
                optional_axes_input: *axes,
                optional_steps_input: *steps,
                begin_mask: 0,
                end_mask: 0,
                shrink_axis_mask: 0,
            };
            return model.wire_node(name, op, inputs);
        };
        let mut wire = inputs[0];
        for range in self.ranges(&shape, &given)? {
            wire = range.wire(name, model, wire)?;
        }
        if wire != inputs[0] {
            model.rename_node(wire.node, name)?;
        }
        Ok(tvec!(wire))
    }
}

/// Reads slices left to tract whose bounds are known by now.
pub(super) fn pin(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<StridedSlice>() else { continue };
        let slice = Slice::Given { axes: op.optional_axes_input, steps: op.optional_steps_input };
        let Some(given) = slice.given(model, &node.inputs)? else { continue };
        let ranges = slice.ranges(&model.outlet_fact(node.inputs[0])?.shape.to_tvec(), &given)?;
        let mut patch = TypedModelPatch::default();
        let mut wire = patch.tap_model(model, node.inputs[0])?;
        for range in ranges {
            wire = range.wire(&node.name, &mut patch, wire)?;
        }
        patch.shunt_outside(model, id.into(), wire)?;
        patch.apply(model)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(extent: Option<i64>, start: i64, end: i64, step: i64) -> String {
        let scope = SymbolScope::default();
        let dim = extent.map_or_else(|| TDim::from(scope.sym("N")), |extent| extent.to_dim());
        match range(0, &[dim], &start.to_dim(), &end.to_dim(), step) {
            Ok(Range { first, end, .. }) => format!("{first}..{end}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn bounds_beyond_an_axis_mean_its_end() {
        for far in [FAR, i64::MAX] {
            for near in [-FAR, -FAR - 1, i64::MIN] {
                assert_eq!(taken(None, 0, far, 1), "0..N");
                assert_eq!(taken(None, near, far, 1), "0..N");
                assert_eq!(taken(None, far, near, -1), "0..N");
                assert_eq!(taken(None, -1, near, -1), "0..N");
                assert_eq!(taken(Some(5), far, near, -2), "0..5");
                assert_eq!(taken(Some(5), near, far, i64::MAX), "0..5");
                assert_eq!(taken(Some(5), 0, near, 1), "0..0");
                assert_eq!(taken(Some(5), 4, far, i64::MIN), "0..0");
            }
        }
    }

    #[test]
    fn bounds_count_from_either_end() {
        assert_eq!(taken(Some(5), 1, -1, 1), "1..4");
        assert_eq!(taken(Some(5), -9, 3, 1), "0..3");
        assert_eq!(taken(Some(5), 3, 1, 1), "0..0");
        assert_eq!(taken(Some(5), 3, 0, -1), "1..4");
        assert_eq!(taken(Some(5), 9, -9, -1), "0..5");
        assert_eq!(taken(Some(5), -9, 2, -1), "0..0");
        // In tract's notation of a difference.
        assert_eq!(taken(None, -2, FAR, 1), "N+-2..N");
        assert!(taken(None, 0, 4, 0).contains("a step of 0"));
    }
}
