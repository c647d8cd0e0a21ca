//! Binding of axes: the batch becomes one symbol, and every other axis of the inputs a number.

use super::BATCH;
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{
    GraphProto, TensorShapeProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Extent of an axis in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Axis {
    Fixed(i64),
    Named(String),
    Unnamed,
}

impl Axis {
    fn new(dim: &Dimension) -> Self {
        match &dim.value {
            Some(dimension::Value::DimValue(value)) if *value >= 0 => Self::Fixed(*value),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() && name != "?" => Self::Named(name.clone()),
            _ => Self::Unnamed,
        }
    }

    /// Whether it is the batch, given the batch's names: the leading axis, or one with its name.
    fn is_batch(&self, place: usize, batch: &BTreeSet<String>) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Named(name) => batch.contains(name),
            Self::Unnamed => place == 0,
        }
    }
}

/// Bindings of open axes.
#[derive(Debug, Default)]
struct Extents {
    /// By name: the number, and the binding that set it.
    named: BTreeMap<String, (i64, String)>,
    /// For axes without a name: by input and axis.
    unnamed: BTreeMap<(String, usize), i64>,
    /// For leading axes without a name.
    leading: Option<i64>,
}

/// Gives every input's leading axis one symbol, or the number of a binding; all other axes must have a number.
pub(super) fn bind(graph: &mut GraphProto, bindings: &BTreeMap<String, i64>) -> Result<(), Refusal> {
    let mut shapes = Vec::new();
    for ValueInfoProto { name, r#type, .. } in &mut graph.input {
        let Some(type_proto::Value::TensorType(tensor)) = r#type.as_mut().and_then(|kind| kind.value.as_mut()) else {
            return Err(Refusal::whole(format!("input `{name}` is not a tensor; export the model with tensors only")));
        };
        let Some(shape) = tensor.shape.as_mut() else {
            return Err(Refusal::whole(format!(
                "input `{name}` has no shape; export it with its number of axes and their extents"
            )));
        };
        shapes.push((name.clone(), shape));
    }
    let axes: Vec<(&str, Vec<Axis>)> =
        shapes.iter().map(|(name, shape)| (name.as_str(), shape.dim.iter().map(Axis::new).collect())).collect();
    let extents = extents(&axes, bindings)?;
    let batch = batch_names(axes.iter().map(|(_, axes)| &axes[..]), &extents.named);
    let bound = axes.iter().map(|(input, axes)| bound(input, axes, &extents, &batch)).collect::<Result<Vec<_>, _>>()?;
    for ((_, shape), bound) in shapes.into_iter().zip(bound) {
        for (dim, value) in shape.dim.iter_mut().zip(bound) {
            dim.value = Some(value);
        }
    }
    Ok(())
}

/// Axes of some inputs that need a number: input and axis.
pub(crate) fn open_axes<'a>(inputs: impl Iterator<Item = &'a ValueInfoProto>) -> Vec<(String, usize)> {
    let shape = |info: &ValueInfoProto| -> Option<TensorShapeProto> {
        let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
        tensor.shape.clone()
    };
    let axes: Vec<(&str, Vec<Axis>)> = inputs
        .map(|info| (info.name.as_str(), shape(info).unwrap_or_default().dim.iter().map(Axis::new).collect()))
        .collect();
    let batch = batch_names(axes.iter().map(|(_, axes)| &axes[..]), &BTreeMap::<String, ()>::new());
    let open = axes.iter().flat_map(|(input, axes)| {
        let open = axes.iter().enumerate();
        let open = open.filter(|(place, axis)| !matches!(axis, Axis::Fixed(_)) && !axis.is_batch(*place, &batch));
        open.map(|(place, _)| ((*input).to_owned(), place))
    });
    open.collect()
}

/// Names of leading axes that are not bound. If all leading axes have a number, as with steps before rows, those of
/// other axes that are called like a batch.
fn batch_names<'a, T>(inputs: impl Iterator<Item = &'a [Axis]>, bound: &BTreeMap<String, T>) -> BTreeSet<String> {
    let inputs: Vec<&[Axis]> = inputs.collect();
    let named = |axis: &Axis| match axis {
        Axis::Named(name) if !bound.contains_key(name) => Some(name.clone()),
        _ => None,
    };
    let is_fixed = |axes: &&[Axis]| axes.first().is_none_or(|axis| matches!(axis, Axis::Fixed(_)));
    if inputs.iter().all(is_fixed) {
        let called_so = |name: &String| name == BATCH || name == "rows" || name.to_lowercase().contains("batch");
        return inputs.into_iter().flatten().filter_map(named).filter(called_so).collect();
    }
    inputs.into_iter().filter_map(|axes| axes.first().and_then(named)).collect()
}

fn extents(inputs: &[(&str, Vec<Axis>)], bindings: &BTreeMap<String, i64>) -> Result<Extents, Refusal> {
    let mut extents = Extents::default();
    for (key, &number) in bindings {
        let refused = |reason: String| Err(Refusal::whole(format!("`{key}={number}`: {reason}")));
        if number < 1 {
            return refused("an axis needs one element or more".into());
        }
        let name = match axis_of(key, inputs) {
            Some((input, _, place, None)) => {
                let count = inputs.iter().find(|(name, _)| *name == input).map_or(0, |(_, axes)| axes.len());
                return refused(format!("input `{input}` has {count} axes, counted from 0, and no axis {place}"));
            }
            Some((_, _, _, Some(Axis::Fixed(extent)))) if *extent == number => continue,
            Some((input, _, place, Some(Axis::Fixed(extent)))) => {
                return refused(format!("axis {place} of input `{input}` is {extent} in the model"));
            }
            Some((_, _, _, Some(Axis::Named(name)))) => name,
            Some((input, at, _, Some(Axis::Unnamed))) => {
                extents.unnamed.insert((input.to_owned(), at), number);
                continue;
            }
            None => key,
        };
        let mut known = inputs.iter().flat_map(|(_, axes)| axes).any(|axis| *axis == Axis::Named(name.clone()));
        if name == BATCH && inputs.iter().any(|(_, axes)| axes.first() == Some(&Axis::Unnamed)) {
            extents.leading = Some(number);
            known = true;
        }
        if !known {
            return refused(format!("no input has this axis; {}", listed(inputs)));
        }
        if let Some((other, by)) = extents.named.insert(name.clone(), (number, key.clone()))
            && other != number
        {
            return refused(format!("it is the same axis as in `{by}={other}`"));
        }
    }
    Ok(extents)
}

/// Axis of a key like `ids[1]`, if its input exists: the input, the axis as a number and as text, and its extent in the
/// model.
fn axis_of<'a>(key: &'a str, inputs: &'a [(&str, Vec<Axis>)]) -> Option<(&'a str, usize, &'a str, Option<&'a Axis>)> {
    let (input, place) = key.strip_suffix(']')?.rsplit_once('[')?;
    let (_, axes) = inputs.iter().find(|(name, _)| *name == input)?;
    let at = place.parse().unwrap_or(usize::MAX);
    Some((input, at, place, axes.get(at)))
}

/// Axes that can be bound, as text.
fn listed(inputs: &[(&str, Vec<Axis>)]) -> String {
    let open = inputs.iter().flat_map(|(input, axes)| {
        axes.iter().enumerate().filter_map(move |(place, axis)| match axis {
            Axis::Fixed(_) => None,
            Axis::Named(name) => Some(format!("`{input}[{place}]` (`{name}`)")),
            Axis::Unnamed => Some(format!("`{input}[{place}]`")),
        })
    });
    match open.collect::<Vec<_>>() {
        open if open.is_empty() => "all axes have their extent".into(),
        open => format!("axes without an extent: {}", open.join(", ")),
    }
}

fn bound(
    input: &str,
    axes: &[Axis],
    extents: &Extents,
    batch: &BTreeSet<String>,
) -> Result<Vec<dimension::Value>, Refusal> {
    let bound = axes.iter().enumerate().map(|(place, axis)| {
        let number = match axis {
            Axis::Fixed(extent) => Some(*extent),
            Axis::Named(name) => extents.named.get(name).map(|(number, _)| *number),
            Axis::Unnamed => {
                let own = extents.unnamed.get(&(input.to_owned(), place)).copied();
                own.or(extents.leading.filter(|_| place == 0))
            }
        };
        match (number, axis) {
            (Some(number), _) => Ok(dimension::Value::DimValue(number)),
            _ if axis.is_batch(place, batch) => Ok(dimension::Value::DimParam(BATCH.into())),
            (None, Axis::Named(name)) => Err(Refusal::whole(format!(
                "axis {place} of input `{input}` is `{name}`, which is not the batch; bind it to a number \
                 (`--bind {name}=50` or `--bind \"{input}[{place}]=50\"`) or export it fixed"
            ))),
            (None, _) => Err(Refusal::whole(format!(
                "axis {place} of input `{input}` has no extent; bind it to a number (`--bind \"{input}[{place}]=50\"`) \
                 or export it fixed"
            ))),
        }
    });
    bound.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::TypeProto;

    fn fixed(extent: i64) -> Option<dimension::Value> {
        Some(dimension::Value::DimValue(extent))
    }

    fn named(name: &str) -> Option<dimension::Value> {
        Some(dimension::Value::DimParam(name.into()))
    }

    type Shape<'a> = (&'a str, &'a [Option<dimension::Value>]);

    /// Shapes of inputs after binding.
    fn shapes(inputs: &[Shape<'_>], bindings: &[(&str, i64)]) -> Result<Vec<Vec<dimension::Value>>, String> {
        let input = |(name, dims): &Shape<'_>| {
            let dim = dims.iter().map(|value| Dimension { value: value.clone(), ..Dimension::default() }).collect();
            let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
            let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
            ValueInfoProto { name: (*name).into(), r#type: Some(kind), ..ValueInfoProto::default() }
        };
        let mut graph = GraphProto { input: inputs.iter().map(input).collect(), ..GraphProto::default() };
        let bindings = bindings.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect();
        bind(&mut graph, &bindings).map_err(|refusal| refusal.reason().to_owned())?;
        let dims = graph.input.into_iter().filter_map(|input| match input.r#type?.value? {
            type_proto::Value::TensorType(tensor) => tensor.shape,
        });
        Ok(dims.map(|shape| shape.dim.into_iter().filter_map(|dim| dim.value).collect()).collect())
    }

    fn expected(dims: &[Option<dimension::Value>]) -> Vec<dimension::Value> {
        dims.iter().flatten().cloned().collect()
    }

    #[test]
    fn the_leading_axis_is_the_batch_whatever_its_name() {
        for first in [None, named(""), named("?"), named("batch_size"), fixed(-1)] {
            let found = shapes(&[("x", &[first, fixed(8)])], &[]);
            assert_eq!(found, Ok(vec![expected(&[named(BATCH), fixed(8)])]));
        }
    }

    #[test]
    fn the_batch_may_come_after_steps() {
        for name in ["N", "batch_size", "rows"] {
            let steps_first: Shape<'_> = ("x", &[fixed(7), named(name), fixed(8)]);
            let found = shapes(&[steps_first, ("scale", &[])], &[]);
            assert_eq!(found, Ok(vec![expected(&[fixed(7), named(BATCH), fixed(8)]), Vec::new()]));
        }
        // A number of steps is not a batch, and an open leading axis always is.
        assert!(shapes(&[("x", &[fixed(1), named("steps")])], &[]).is_err());
        assert!(shapes(&[("x", &[named("users"), named("batch")])], &[]).is_err());
    }

    #[test]
    fn other_axes_are_bound_by_name_or_by_input_and_place() {
        let (batch, steps) = (named("batch"), named("T"));
        let ids: Shape<'_> = ("ids", &[batch.clone(), steps.clone()]);
        let mask: Shape<'_> = ("mask", &[batch.clone(), steps]);
        let bound = expected(&[named(BATCH), fixed(50)]);
        for key in ["T", "ids[1]", "mask[1]"] {
            assert_eq!(shapes(&[ids, mask], &[(key, 50)]), Ok(vec![bound.clone(); 2]), "{key}");
        }
        let unnamed: Shape<'_> = ("ids", &[None, None, fixed(3)]);
        let found = shapes(&[unnamed], &[("ids[1]", 50), ("ids[2]", 3)]);
        assert_eq!(found, Ok(vec![expected(&[named(BATCH), fixed(50), fixed(3)])]));
        assert_eq!(shapes(&[unnamed], &[("ids[1]", 2), ("N", 9)]), Ok(vec![expected(&[fixed(9), fixed(2), fixed(3)])]));
        assert_eq!(shapes(&[("n", &[batch, named("N")])], &[("N", 4)]), Ok(vec![expected(&[named(BATCH), fixed(4)])]));
    }

    #[test]
    fn axes_that_are_left_open_and_bindings_that_do_not_fit_are_told() {
        let ids: Shape<'_> = ("ids", &[None, named("T")]);
        let mask: Shape<'_> = ("mask", &[None, named("T"), fixed(3), None]);
        for (bindings, words) in [
            (&[][..], "axis 1 of input `ids` is `T`"),
            (&[], "`--bind \"ids[1]=50\"`"),
            (&[("T", 50)], "axis 3 of input `mask` has no extent; bind it to a number (`--bind \"mask[3]=50\"`)"),
            (&[("S", 50)], "no input has this axis; axes without an extent: `ids[0]`, `ids[1]` (`T`)"),
            (&[("tokens[1]", 50)], "no input has this axis"),
            (&[("ids[2]", 50)], "input `ids` has 2 axes, counted from 0, and no axis 2"),
            (&[("ids[-1]", 50)], "no axis -1"),
            (&[("mask[2]", 50)], "axis 2 of input `mask` is 3 in the model"),
            (&[("T", 50), ("ids[1]", 40)], "it is the same axis as in `T=50`"),
            (&[("ids[1]", 50), ("mask[1]", 40)], "it is the same axis as in `ids[1]=50`"),
            (&[("T", 0)], "one element or more"),
        ] {
            let found = shapes(&[ids, mask], bindings);
            assert!(found.as_ref().is_err_and(|reason| reason.contains(words)), "{found:?} does not say `{words}`");
        }
    }
}
