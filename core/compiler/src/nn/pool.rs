//! Pools: a reduction over each window.

use super::{
    Node, Operator, Shapes, input, shape,
    window::{Slide, Window, padded, spatial, windows},
};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tract_onnx::prelude::{TDim, TVec, ToDim as _};
use tradewind_core::plan::{BinaryOp, DType, ReduceOp, UnaryOp};

/// Pool, from its attributes.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    window: Window,
    kind: Kind,
    /// Whether the window is the whole tensor.
    global: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Max,
    Average {
        /// Whether padding is included.
        padding: bool,
    },
    /// `(Σ |x|^p)^(1/p)`
    Norm {
        p: i64,
    },
}

impl Pool {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        if node.used.get(1) == Some(&true) {
            return Reason::err("positions of maxima are not supported; export it without its second output");
        }
        let attributes = &node.attributes;
        let name = attributes.0.op_type.as_str();
        let kind = match name.trim_start_matches("Global") {
            "MaxPool" => Kind::Max,
            "AveragePool" => Kind::Average { padding: attributes.int("count_include_pad") == Some(1) },
            _ => Kind::Norm { p: attributes.int("p").unwrap_or(2) },
        };
        Ok(Self { window: Window::read(node)?, kind, global: name.starts_with("Global") })
    }

    fn slides(&self, extents: &[usize]) -> Reasoned<Vec<Slide>> {
        self.window.slides(extents, if self.global { extents } else { &self.window.kernel })
    }
}

impl Operator for Pool {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        let x = shape(inputs, 0)?;
        let slides = self.slides(&spatial(x, 2)?)?;
        let places = slides.iter().map(|slide| slide.places.to_dim());
        Ok(vec![x.iter().take(2).cloned().chain(places).collect()])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let x = input(inputs, 0)?;
        let extents: Option<Vec<usize>> = x.shape[2..].iter().map(|extent| extent.constant()).collect();
        let slides = self.slides(&extents.ok_or_else(|| Reason("a spatial axis that grows with the batch".into()))?)?;
        // Bytes are pooled as integers.
        let numbers = if x.dtype == DType::U8 { builder.cast(x, DType::I32)? } else { x.clone() };
        let padding = if matches!(self.kind, Kind::Max) { f64::NEG_INFINITY } else { 0.0 };
        let whole = padded(builder, &numbers, 2, &slides, padding)?;
        let windows = windows(&whole, 2, &slides)?;
        let over: Vec<usize> = (2 + slides.len()..windows.rank()).collect();
        let reduced = |builder: &mut Builder, op: ReduceOp, value: &Value| -> Reasoned<Value> {
            let mut result = builder.reduce(op, value, &over)?;
            for axis in over.iter().rev() {
                result = result.remove_axis(*axis);
            }
            Ok(result)
        };
        let pooled = match self.kind {
            Kind::Max => reduced(builder, ReduceOp::Max, &windows)?,
            Kind::Average { padding } => match counts(&slides, padding)? {
                None => reduced(builder, ReduceOp::Mean, &windows)?,
                Some(counts) => {
                    let sum = reduced(builder, ReduceOp::Sum, &windows)?;
                    builder.binary(BinaryOp::Div, &sum, &counts)?
                }
            },
            Kind::Norm { p: 1 } => reduced(builder, ReduceOp::SumOfMagnitudes, &windows)?,
            Kind::Norm { p: 2 } => {
                let sum = reduced(builder, ReduceOp::SumOfSquares, &windows)?;
                builder.unary(UnaryOp::Sqrt, &sum)?
            }
            Kind::Norm { p } => {
                let magnitudes = builder.unary(UnaryOp::Abs, &whole)?;
                let powers = builder.binary(BinaryOp::Pow, &magnitudes, &Value::scalar(p as f32))?;
                let sum = reduced(builder, ReduceOp::Sum, &self::windows(&powers, 2, &slides)?)?;
                builder.binary(BinaryOp::Pow, &sum, &Value::scalar(1.0 / p as f32))?
            }
        };
        Ok(vec![Some(builder.cast(&pooled, x.dtype)?)])
    }
}

/// Number of elements averaged by each window position; `None` if all windows are complete.
fn counts(slides: &[Slide], padding: bool) -> Reasoned<Option<Value>> {
    let mut counts = vec![1.0f32];
    let mut whole = 1;
    for slide in slides {
        let [before, after] = slide.pads;
        let (start, end) = if padding { (0, before + slide.extent + after) } else { (before, before + slide.extent) };
        let along: Vec<usize> = slide.counts(start, end).collect();
        counts = counts.iter().flat_map(|count| along.iter().map(move |&n| count * n as f32)).collect();
        whole *= slide.kernel;
    }
    if counts.iter().all(|&count| count == whole as f32) {
        return Ok(None);
    }
    let shape: Vec<usize> = slides.iter().map(|slide| slide.places).collect();
    Builder::f32s(&counts, &shape).map(Some)
}
