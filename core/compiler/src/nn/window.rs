//! Sliding windows over the spatial axes of a tensor, shared by convolutions and pools.
//!
//! Overlapping windows are a view: one axis for the window's position and one for the position inside it. Padding is a
//! separate tensor, filled and then written in the middle.

use super::{Node, known};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tract_onnx::prelude::TDim;

/// Window, from the attributes; empty lists mean the defaults.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    pub automatic: Automatic,
    /// Whether the last window may extend past the padding.
    ceil: bool,
}

/// Attribute `auto_pad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Automatic {
    /// Padding from `pads`.
    Explicit,
    /// No padding.
    Valid,
    /// Padding that keeps the extent; an odd element goes to the end.
    SameUpper,
    /// Padding that keeps the extent; an odd element goes to the start.
    SameLower,
}

/// Window along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slide {
    pub extent: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Padding of the operator.
    pub pads: [usize; 2],
    /// Number of window positions.
    pub places: usize,
}

impl Window {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        let numbers = |name: &str| -> Reasoned<Vec<usize>> {
            let numbers = attributes.ints(name).iter().map(|&n| usize::try_from(n));
            numbers.collect::<Result<_, _>>().map_err(|_| Reason(format!("`{name}` has a negative number")))
        };
        let automatic = match attributes.string("auto_pad", "NOTSET")?.as_str() {
            "NOTSET" | "" => Automatic::Explicit,
            "VALID" => Automatic::Valid,
            "SAME_UPPER" => Automatic::SameUpper,
            "SAME_LOWER" => Automatic::SameLower,
            other => return Reason::err(format!("unknown padding `{other}`")),
        };
        let window = Self {
            kernel: numbers("kernel_shape")?,
            strides: numbers("strides")?,
            dilations: numbers("dilations")?,
            pads: numbers("pads")?,
            automatic,
            ceil: attributes.int("ceil_mode") == Some(1),
        };
        let positive = [&window.kernel, &window.strides, &window.dilations];
        if positive.into_iter().flatten().any(|n| *n == 0) {
            return Reason::err("a kernel, stride or dilation of 0");
        }
        Ok(window)
    }

    pub fn stride(&self, axis: usize) -> usize {
        self.strides.get(axis).copied().unwrap_or(1)
    }

    pub fn dilation(&self, axis: usize) -> usize {
        self.dilations.get(axis).copied().unwrap_or(1)
    }

    /// Padding along an axis from `pads`.
    pub fn pads(&self, axis: usize) -> [usize; 2] {
        let axes = self.pads.len() / 2;
        [axis, axis + axes].map(|n| self.pads.get(n).copied().unwrap_or(0))
    }

    /// Sliding of a kernel over axes of these extents.
    pub fn slides(&self, extents: &[usize], kernel: &[usize]) -> Reasoned<Vec<Slide>> {
        if kernel.len() != extents.len() {
            return Reason::err(format!("a kernel of {} axes over {} spatial axes", kernel.len(), extents.len()));
        }
        (0..extents.len()).map(|axis| self.slide(axis, extents[axis], kernel[axis])).collect()
    }

    fn slide(&self, axis: usize, extent: usize, kernel: usize) -> Reasoned<Slide> {
        let (stride, dilation) = (self.stride(axis), self.dilation(axis));
        let reach = (kernel.max(1) - 1) * dilation + 1;
        let pads = match self.automatic {
            Automatic::Explicit => self.pads(axis),
            Automatic::Valid => [0, 0],
            same => {
                let missing = ((extent.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(extent);
                let (less, more) = (missing / 2, missing.div_ceil(2));
                if same == Automatic::SameUpper { [less, more] } else { [more, less] }
            }
        };
        let Some(room) = (extent + pads[0] + pads[1]).checked_sub(reach) else {
            return Reason::err(format!("a window of {reach} is larger than {extent} elements and their padding"));
        };
        let mut places = room / stride + 1;
        if self.ceil {
            places = room.div_ceil(stride) + 1;
            // The last window must start inside, or in the padding before.
            if (places - 1) * stride >= extent + pads[0] {
                places -= 1;
            }
        }
        Ok(Slide { extent, kernel, stride, dilation, pads, places })
    }
}

impl Slide {
    /// Padding at the end, including the last window's excess.
    fn after(&self) -> usize {
        let reach = (self.places - 1) * self.stride + (self.kernel - 1) * self.dilation + 1;
        self.pads[1].max(reach.saturating_sub(self.extent + self.pads[0]))
    }

    /// Number of elements of each window between `start` and `end`, counted from the padding's start.
    pub fn counts(&self, start: usize, end: usize) -> impl Iterator<Item = usize> {
        let slide = *self;
        (0..slide.places).map(move |place| {
            let positions = (0..slide.kernel).map(|n| place * slide.stride + n * slide.dilation);
            positions.filter(|position| (start..end).contains(position)).count()
        })
    }
}

/// Extents of the axes from `first` on.
pub(super) fn spatial(shape: &[TDim], first: usize) -> Reasoned<Vec<usize>> {
    shape.get(first..).unwrap_or_default().iter().map(|dim| known(dim, "the extent of a spatial axis")).collect()
}

/// Adds `padding` around the axes of `value` from `first` on.
pub(super) fn padded(
    builder: &mut Builder,
    value: &Value,
    first: usize,
    slides: &[Slide],
    padding: f64,
) -> Reasoned<Value> {
    if slides.iter().all(|slide| slide.pads[0] == 0 && slide.after() == 0) {
        return Ok(value.clone());
    }
    let mut shape = value.shape.clone();
    for (axis, slide) in slides.iter().enumerate() {
        shape[first + axis] = Extent::fixed((slide.pads[0] + slide.extent + slide.after()) as i64);
    }
    let whole = builder.tensor(value.dtype, &shape)?;
    builder.fill(&whole, padding)?;
    let mut place = whole.clone();
    for (axis, slide) in slides.iter().enumerate() {
        place = place.slice(first + axis, Extent::fixed(slide.pads[0] as i64), value.shape[first + axis], 1)?;
    }
    builder.copy(value, &place)?;
    Ok(whole)
}

/// Splits the axes from `first` on into the window's position and, after all others of these, the position in the
/// window.
pub(super) fn windows(value: &Value, first: usize, slides: &[Slide]) -> Reasoned<Value> {
    let mut result = value.clone();
    for (axis, slide) in slides.iter().enumerate() {
        let (at, stride) = (first + axis, value.strides[first + axis]);
        result.shape[at] = Extent::fixed(slide.places as i64);
        result.strides[at] = stride.scaled(slide.stride as i64)?;
        let place = first + slides.len() + axis;
        result.shape.insert(place, Extent::fixed(slide.kernel as i64));
        result.strides.insert(place, stride.scaled(slide.dilation as i64)?);
    }
    Ok(result)
}
