//! Passes from a draft to a finished plan: fold, drop, number, decide on the batch, lay out.

use crate::{
    Compiled, Options, batch,
    extent::Extent,
    fuse::fuse,
    layout::layout,
    lower::Draft,
    refusal::{Reason, Reasoned},
    value::{Home, Value},
    vectorize,
};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{
    plan::{Batch, Buffer, BufferId, DType, Dim, Operand, Plan, Port, Step},
    text::TextFeatures,
};

/// Possible tiles of plans of independent rows, largest first.
const TILES: [u32; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Maximum working memory of a tile, to stay in a core's own cache,
const ARENA_GOAL: u64 = 256 << 10;

/// and for eight rows, which share their weights, to leave room for other plans.
const ARENA_MOST: u64 = 8 << 20;

/// Finishes a draft.
pub(crate) fn finish(draft: Draft, options: &Options) -> Reasoned<Compiled> {
    let Draft { mut builder, inputs, outputs, vectorized } = draft;
    let kept: BTreeSet<BufferId> = inputs.iter().chain(&outputs).filter_map(|(_, value)| home(value)).collect();
    fuse(&mut builder, &kept)?;
    let mut steps = alive(std::mem::take(&mut builder.steps), outputs.iter().filter_map(|(_, value)| home(value)));

    let numbers = renumber(&mut steps, &kept);
    let mut buffers: Vec<(DType, Dim)> = vec![(DType::U8, Dim::fixed(0)); numbers.len()];
    for (old, new) in &numbers {
        let (dtype, len) = builder.buffers[old.0 as usize];
        buffers[new.0 as usize] = (dtype, len.dim()?);
    }
    let ports = |values: Vec<(String, Value)>| {
        values.into_iter().map(|(name, value)| port(name, &value, &numbers)).collect::<Reasoned<Vec<Port>>>()
    };
    let (mut inputs, outputs) = (ports(inputs)?, ports(outputs)?);
    let texts = vectorize::take(&vectorized, &mut inputs);
    let (weights, section) = builder.weights.pack(&mut steps)?;

    let ids = |ports: &[Port]| ports.iter().map(|port| port.buffer).collect::<BTreeSet<_>>();
    let (mut input_ids, output_ids) = (ids(&inputs), ids(&outputs));
    input_ids.extend(texts.iter().map(|text| text.buffer));
    let lay = |tile| layout(&buffers, &steps, &input_ids, &output_ids, tile);
    let (batch, tile) = if rows_apart(&buffers, &steps, &inputs, &outputs, &texts) {
        let fits = |tile: &u32| lay(*tile).1 <= if *tile > 8 { ARENA_GOAL } else { ARENA_MOST };
        (Batch::Independent, TILES.into_iter().find(fits).unwrap_or(1))
    } else if buffers.iter().any(|(_, len)| len.per_row > 0) {
        (Batch::Joint, options.joint_rows.max(1))
    } else {
        (Batch::Joint, 1)
    };
    if batch == Batch::Joint && tile > 1 {
        builder.note(format!("rows are computed together, in batches of at most {tile}"));
    }
    let (offsets, arena) = lay(tile);
    let arena_bytes = u32::try_from(arena).map_err(|_| {
        Reason(format!(
            "{tile} rows need {arena} bytes of working memory, which is above the limit; pack it for fewer rows at once"
        ))
    })?;
    let buffers = buffers
        .into_iter()
        .zip(offsets)
        .map(|((dtype, len), offset)| Buffer { dtype, len, offset: offset as u32 })
        .collect();
    let plan = Plan { batch, tile, arena_bytes, inputs, outputs, buffers, weights, steps, texts };
    Ok(Compiled { plan, weights: section, notes: builder.notes.into_iter().collect() })
}

fn home(value: &Value) -> Option<BufferId> {
    match value.home {
        Home::Buffer(id, _) => Some(id),
        Home::Constant(_) => None,
    }
}

/// Steps that the outputs depend on.
fn alive(steps: Vec<Step>, outputs: impl Iterator<Item = BufferId>) -> Vec<Step> {
    let mut needed: BTreeSet<BufferId> = outputs.collect();
    let mut kept: Vec<Step> = Vec::new();
    for step in steps.into_iter().rev() {
        if needed.contains(&step.output) {
            needed.extend(step.inputs.iter().filter_map(|input| match input {
                Operand::Buffer(id) => Some(*id),
                Operand::Weight(_) => None,
            }));
            kept.push(step);
        }
    }
    kept.reverse();
    kept
}

/// Numbers the used buffers from 0: ports first, then in order of first use.
fn renumber(steps: &mut [Step], kept: &BTreeSet<BufferId>) -> BTreeMap<BufferId, BufferId> {
    let mut numbers = BTreeMap::new();
    let mut number = |old: BufferId| {
        let next = BufferId(numbers.len() as u16);
        *numbers.entry(old).or_insert(next)
    };
    for id in kept {
        number(*id);
    }
    for step in steps {
        for input in &mut step.inputs {
            if let Operand::Buffer(id) = input {
                *id = number(*id);
            }
        }
        step.output = number(step.output);
    }
    numbers
}

fn port(name: String, value: &Value, numbers: &BTreeMap<BufferId, BufferId>) -> Reasoned<Port> {
    let buffer = home(value).and_then(|id| numbers.get(&id)).copied();
    let buffer = buffer.ok_or_else(|| Reason(format!("tensor `{name}` has no buffer")))?;
    let categories = value.categories.as_deref().map(<[String]>::to_vec).unwrap_or_default();
    Ok(Port { name, shape: Extent::dims(&value.shape)?, buffer, categories })
}

fn rows_apart(
    buffers: &[(DType, Dim)],
    steps: &[Step],
    inputs: &[Port],
    outputs: &[Port],
    texts: &[TextFeatures],
) -> bool {
    let lens: Vec<Dim> = buffers.iter().map(|(_, len)| *len).collect();
    let ports = inputs.iter().chain(outputs).map(|port| Some((port.buffer, batch::stretch(&port.shape)?)));
    let texts = texts.iter().map(|text| Some((text.buffer, u64::from(text.columns))));
    let Some(ports) = ports.chain(texts).collect::<Option<Vec<_>>>() else { return false };
    let is_batched = |port: &Port| port.shape.iter().any(|dim| dim.per_row > 0);
    !outputs.is_empty() && outputs.iter().all(is_batched) && batch::independent(&lens, &ports, steps)
}
