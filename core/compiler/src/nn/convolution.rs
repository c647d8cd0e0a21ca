//! Convolutions: a product of each window with a matrix.
//!
//! A transposed convolution is a convolution over its input, with zeros between the elements, by the reversed kernel.

use super::{
    Node, Operator, Shapes, input, known, optional, shape,
    window::{Automatic, Slide, Window, padded, spatial, windows},
};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::prelude::{TDim, TVec, ToDim as _};
use tradewind_core::plan::{BinaryOp, DType};

/// Convolution, from its attributes.
#[derive(Debug, Clone)]
pub(super) struct Convolution {
    window: Window,
    groups: usize,
    transposed: Option<Transposed>,
}

/// Attributes of transposed convolutions.
#[derive(Debug, Clone)]
struct Transposed {
    output_shape: Vec<usize>,
    output_padding: Vec<usize>,
}

impl Convolution {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        let numbers = |name: &str| attributes.ints(name).iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
        let transposed = (attributes.0.op_type == "ConvTranspose")
            .then(|| Transposed { output_shape: numbers("output_shape"), output_padding: numbers("output_padding") });
        let groups = usize::try_from(attributes.int("group").unwrap_or(1)).unwrap_or(0).max(1);
        Ok(Self { window: Window::read(node)?, groups, transposed })
    }

    /// Sliding of the kernel over the spatial axes; for a transposed convolution over the input with zeros between its
    /// elements.
    fn slides(&self, extents: &[usize], kernel: &[usize]) -> Reasoned<Vec<Slide>> {
        let Some(transposed) = &self.transposed else { return self.window.slides(extents, kernel) };
        let automatic = self.window.automatic;
        let along = |axis: usize| {
            let (extent, kernel) = (extents[axis].max(1), kernel[axis]);
            let (stride, dilation) = (self.window.stride(axis), self.window.dilation(axis));
            let reach = (kernel - 1) * dilation + 1;
            let more = transposed.output_padding.get(axis).copied().unwrap_or(0);
            let full = (extent - 1) * stride + reach + more;
            let wanted = match (transposed.output_shape.get(axis), automatic) {
                (Some(extent), _) => Some(*extent),
                (None, Automatic::SameUpper | Automatic::SameLower) => Some(extent * stride),
                (None, _) => None,
            };
            let [before, after] = match wanted {
                Some(wanted) => {
                    let total = full.saturating_sub(wanted);
                    let (less, more) = (total / 2, total.div_ceil(2));
                    if automatic == Automatic::SameUpper { [less, more] } else { [more, less] }
                }
                None if automatic == Automatic::Valid => [0, 0],
                None => self.window.pads(axis),
            };
            // Elements beyond the full extent are zeros at the end.
            let more = more + wanted.map_or(0, |wanted| wanted.saturating_sub(full));
            let places = wanted.or_else(|| full.checked_sub(before + after));
            let pads = [(reach - 1).checked_sub(before), (reach - 1 + more).checked_sub(after)];
            let (Some(places @ 1..), [Some(before), Some(after)]) = (places, pads) else {
                return Reason::err("it removes more elements than the kernel's reach; export it with less padding");
            };
            let extent = (extent - 1) * stride + 1;
            Ok(Slide { extent, kernel, stride: 1, dilation, pads: [before, after], places })
        };
        if kernel.len() != extents.len() {
            return Reason::err(format!("a kernel of {} axes over {} spatial axes", kernel.len(), extents.len()));
        }
        (0..extents.len()).map(along).collect()
    }

    /// Inserts zeros between the elements of `[N, spatial.., channels]`.
    fn spread(&self, builder: &mut Builder, x: &Value, slides: &[Slide]) -> Reasoned<Value> {
        let strides: Vec<usize> = (0..slides.len()).map(|axis| self.window.stride(axis)).collect();
        if strides.iter().all(|stride| *stride == 1) {
            return Ok(x.clone());
        }
        let mut shape = x.shape.clone();
        for (axis, slide) in slides.iter().enumerate() {
            shape[1 + axis] = Extent::fixed(slide.extent as i64);
        }
        let whole = builder.tensor(x.dtype, &shape)?;
        builder.fill(&whole, 0.0)?;
        let mut places = whole.clone();
        for (axis, stride) in strides.into_iter().enumerate() {
            places = places.slice(1 + axis, Extent::ZERO, x.shape[1 + axis], stride as i64)?;
        }
        builder.copy(x, &places)?;
        Ok(whole)
    }

    /// Converts the weights of a transposed convolution, `[channels, outputs / groups, kernel..]`, to those of a plain
    /// one.
    fn turned(&self, builder: &mut Builder, weights: &Value) -> Reasoned<Value> {
        let mut weights = weights.clone();
        for axis in 2..weights.rank() {
            weights = reversed(builder, &weights, axis)?;
        }
        let (groups, shape) = (self.groups as i64, weights.shape.clone());
        let channels = Extent::fixed(shape[0].fixed / groups);
        let split = builder.reshape(&weights, 0, 1, &[Extent::fixed(groups), channels])?.move_axis(2, 1);
        builder.reshape(&split, 0, 2, &[shape[1].scaled(groups)?])
    }
}

impl Operator for Convolution {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        let (x, w) = (shape(inputs, 0)?, shape(inputs, 1)?);
        let slides = self.slides(&spatial(x, 2)?, &spatial(w, 2)?)?;
        let (Some(batch), [outputs, by_group, ..]) = (x.first(), w) else {
            return Reason::err("its input or weights have too few axes");
        };
        let outputs = if self.transposed.is_some() {
            known(by_group, "the channels")? * self.groups
        } else {
            known(outputs, "the channels")?
        };
        let places = slides.iter().map(|slide| slide.places.to_dim());
        Ok(vec![[batch.clone(), outputs.to_dim()].into_iter().chain(places).collect()])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let (x, mut weights) = (input(inputs, 0)?.clone(), input(inputs, 1)?.clone());
        if x.dtype != DType::F32 || weights.dtype != DType::F32 {
            return Reason::err("convolutions of integers are not supported; export the model in f32");
        }
        let constants = |shape: &[Extent]| shape.iter().map(|extent| extent.constant()).collect::<Option<Vec<_>>>();
        let (Some(extents), Some(kernel)) = (constants(&x.shape[2..]), constants(&weights.shape[2..])) else {
            return Reason::err("a spatial axis that grows with the batch");
        };
        let slides = self.slides(&extents, &kernel)?;
        let mut last = x.move_axis(1, extents.len() + 1);
        if self.transposed.is_some() {
            last = self.spread(builder, &last, &slides)?;
            weights = self.turned(builder, &weights)?;
        }
        let whole = padded(builder, &last, 1, &slides, 0.0)?;
        // [N, places.., kernel.., channels]
        let windows = windows(&whole, 1, &slides)?;
        let bias = optional(inputs, 2);
        let (rest, matrix) = (Rest { builder, groups: self.groups, axes: slides.len() }, &weights);
        Ok(vec![Some(rest.convolve(&windows, matrix, bias)?)])
    }
}

/// State of a convolution after its windows.
struct Rest<'a> {
    builder: &'a mut Builder,
    groups: usize,
    /// Number of spatial axes.
    axes: usize,
}

impl Rest<'_> {
    /// Multiplies windows `[N, places.., kernel.., channels]` by weights `[outputs, channels / groups, kernel..]`,
    /// giving `[N, outputs, places..]`.
    fn convolve(mut self, windows: &Value, weights: &Value, bias: Option<&Value>) -> Reasoned<Value> {
        let (channels, outputs) = (windows.shape[windows.rank() - 1], weights.shape[0]);
        let (Some(channels), Some(outputs), Some(by_group)) =
            (channels.constant(), outputs.constant(), weights.shape[1].constant())
        else {
            return Reason::err("channels that grow with the batch");
        };
        if by_group * self.groups != channels || outputs % self.groups != 0 {
            return Reason::err(format!("{channels} channels in {} groups of {by_group}", self.groups));
        }
        let known_bias = bias.map(|bias| bias.known().and_then(|known| known.as_f32()));
        // With few columns, the panels of a dense layer are inefficient.
        let wide = self.groups == 1 || outputs / self.groups >= 4;
        if wide && let (Some(cells), None | Some(Some(_))) = (weights.known(), &known_bias) {
            let bias = known_bias.flatten();
            let cells = cells.as_f32().unwrap_or_default();
            return self.dense(windows, &cells, outputs, bias.as_deref());
        }
        let product = self.contract(windows, weights, outputs)?;
        match bias {
            None => Ok(product),
            Some(bias) => {
                let bias = (0..self.axes).fold(bias.clone(), |bias, _| bias.insert_axis(1));
                self.builder.binary(BinaryOp::Add, &product, &bias)
            }
        }
    }

    /// Computes a dense layer for each group.
    fn dense(&mut self, windows: &Value, cells: &[f32], outputs: usize, bias: Option<&[f32]>) -> Reasoned<Value> {
        let (last, columns) = (windows.rank() - 1, outputs / self.groups);
        let by_group = windows.shape[last].fixed / self.groups as i64;
        let places = &windows.shape[..=self.axes];
        let count = Extent::product(places)?;
        let inner = Extent::product(&windows.shape[self.axes + 1..last])?.scaled(by_group)?;
        let size = columns * inner.fixed as usize;
        let mut parts = Vec::new();
        for group in 0..self.groups {
            // [columns, channels, kernel] → [kernel, channels, columns]
            let cells = cells.get(group * size..(group + 1) * size).unwrap_or_default();
            let kernel = inner.fixed as usize / by_group.max(1) as usize;
            let matrix = Builder::f32s(cells, &[columns, by_group as usize, kernel])?.permuted(&[2, 1, 0]).known();
            let matrix = matrix.and_then(|matrix| matrix.as_f32()).unwrap_or_default();
            let start = Extent::fixed(group as i64 * by_group);
            let part = windows.clone().slice(last, start, Extent::fixed(by_group), 1)?;
            let rows = self.builder.reshape_all(&part, &[count, inner])?;
            let bias = bias.and_then(|bias| bias.get(group * columns..(group + 1) * columns));
            let product = self.builder.dense(&rows, &matrix, columns, bias)?;
            let shape = [places, &[Extent::fixed(columns as i64)]].concat();
            parts.push(self.builder.reshape_all(&product, &shape)?);
        }
        let whole = if let [only] = &parts[..] { only.clone() } else { self.builder.concat(&parts, self.axes + 1)? };
        Ok(whole.move_axis(self.axes + 1, 1))
    }

    fn contract(&mut self, windows: &Value, weights: &Value, outputs: usize) -> Reasoned<Value> {
        let (axes, groups) = (self.axes, Extent::fixed(self.groups as i64));
        let columns = Extent::fixed((outputs / self.groups) as i64);
        let channels = weights.shape[1];
        // [N, groups, columns, places.., kernel.., channels]
        let last = windows.rank() - 1;
        let left = self.builder.reshape(windows, last, 1, &[groups, channels])?;
        let left = left.move_axis(last, 1).insert_axis(2);
        let mut shape = left.shape.clone();
        shape[2] = columns;
        let left = left.broadcast(&shape)?;
        let right = self.builder.reshape(weights, 0, 1, &[groups, columns])?;
        let mut right = right.move_axis(2, axes + 2);
        for _ in 0..axes {
            right = right.insert_axis(2);
        }
        let right = right.insert_axis(0).broadcast(&shape)?;
        let product = self.builder.contract(&left, &right, axes + 1)?;
        self.builder.reshape(&product, 1, 2, &[Extent::fixed(outputs as i64)])
    }
}

/// Reverses an axis of `value`.
fn reversed(builder: &mut Builder, value: &Value, axis: usize) -> Reasoned<Value> {
    let Some(extent) = value.shape[axis].constant() else { return Reason::err("a kernel that grows with the batch") };
    let extents: Option<Vec<usize>> = value.shape.iter().map(|extent| extent.constant()).collect();
    if let (Some(known), Some(shape)) = (value.known().and_then(|known| known.as_f32()), extents) {
        let inner: usize = shape[axis + 1..].iter().product();
        let blocks = known.chunks((inner * extent).max(1));
        let turned: Vec<f32> = blocks.flat_map(|block| block.chunks(inner).rev().flatten().copied()).collect();
        return Builder::f32s(&turned, &shape);
    }
    let picks: Vec<i64> = (0..extent as i64).rev().collect();
    builder.gather(value, axis, &Value::constant(Constant::i64(&picks), &[extent])?)
}
