//! `CumProd`, which tract lacks.

use super::axis_of;
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::Value,
    whole::{Node, Operator, Shapes, input, shape},
};
use tract_onnx::prelude::{TDim, TVec};
use tradewind_core::plan::{BinaryOp, DType};

/// Running product along an axis, which is the second input.
#[derive(Debug)]
pub(super) struct RunningProduct {
    exclusive: bool,
    reverse: bool,
}

impl RunningProduct {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let set = |name| node.attributes.int(name) == Some(1);
        Ok(Self { exclusive: set("exclusive"), reverse: set("reverse") })
    }
}

impl Operator for RunningProduct {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        Ok(vec![shape(inputs, 0)?.into()])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let (x, axis) = (input(inputs, 0)?, input(inputs, 1)?);
        let axis = match axis.known().and_then(|known| known.as_integers()).as_deref() {
            Some(&[axis]) => axis_of(axis, x.rank())?,
            _ => return Reason::err("its input `axis` is not known when packing; make it a constant"),
        };
        let x = if x.dtype == DType::U8 { builder.cast(x, DType::I32)? } else { x.clone() };
        Ok(vec![Some(builder.cumulate(BinaryOp::Mul, &x, axis, self.exclusive, self.reverse)?)])
    }

    fn wraps(&self) -> bool {
        true
    }
}
