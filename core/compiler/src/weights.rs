//! Weights section: constants of kernels, each stored once.

use crate::{
    refusal::{Reason, Reasoned},
    value::Constant,
};
use std::{collections::HashMap, sync::Arc};
use tradewind_core::plan::{Encoding, Operand, Step, Weight, WeightId};

/// Alignment of weights in the section.
const ALIGNMENT: usize = 16;

/// Constants requested so far.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    constants: Vec<Arc<Constant>>,
    ids: HashMap<Arc<Constant>, WeightId>,
}

impl Weights {
    /// Id of a constant; equal constants share one.
    pub fn id(&mut self, constant: &Arc<Constant>) -> Reasoned<WeightId> {
        if let Some(id) = self.ids.get(constant) {
            return Ok(*id);
        }
        let Ok(id) = u16::try_from(self.constants.len()) else {
            return Reason::err("a plan holds at most 65,536 constants; merge small initializers");
        };
        self.constants.push(constant.clone());
        self.ids.insert(constant.clone(), WeightId(id));
        Ok(WeightId(id))
    }

    pub fn get(&self, id: WeightId) -> Option<&Arc<Constant>> {
        self.constants.get(id.0 as usize)
    }

    /// Lays out the constants that `steps` read, in order of first use, and renumbers the steps' operands.
    pub fn pack(&self, steps: &mut [Step]) -> Reasoned<(Vec<Weight>, Vec<u8>)> {
        let (mut weights, mut bytes) = (Vec::new(), Vec::new());
        let mut placed: HashMap<WeightId, WeightId> = HashMap::new();
        for operand in steps.iter_mut().flat_map(|step| &mut step.inputs) {
            let Operand::Weight(id) = operand else { continue };
            if let Some(new) = placed.get(id) {
                *id = *new;
                continue;
            }
            let constant = self.get(*id).ok_or_else(|| Reason("a constant is missing".into()))?;
            let offset = u32::try_from(bytes.len()).ok().filter(|_| constant.bytes.len() <= u32::MAX as usize);
            let Some(offset) = offset else {
                return Reason::err("the constants take more than 4 GiB; reduce the model");
            };
            bytes.extend_from_slice(&constant.bytes);
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            let new = WeightId(weights.len() as u16);
            weights.push(Weight {
                dtype: constant.dtype,
                len: constant.len() as u32,
                offset,
                encoding: Encoding::Plain,
            });
            placed.insert(*id, new);
            *id = new;
        }
        Ok((weights, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_core::plan::{BufferId, Cast};

    #[test]
    fn equal_constants_are_stored_once_and_unread_ones_not_at_all() {
        let mut weights = Weights::default();
        let constants = [&[1.0][..], &[2.0, 3.0], &[1.0]].map(|values| Arc::new(Constant::f32(values)));
        let ids = constants.each_ref().map(|constant| weights.id(constant).expect("few constants"));
        assert_eq!(ids[0], ids[2]);
        let read = |id| Step {
            kernel: Cast.into(),
            inputs: vec![Operand::Weight(id)],
            output: BufferId(0),
            node: String::new(),
        };
        let mut steps = vec![read(ids[1])];
        let (placed, bytes) = weights.pack(&mut steps).expect("few constants");
        assert_eq!((placed.len(), bytes.len()), (1, 16));
        assert_eq!(steps[0].inputs, [Operand::Weight(WeightId(0))]);
    }
}
