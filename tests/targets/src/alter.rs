//! Alteration of plans as plans: numbers, names and lists, for any kernels.

use serde_json::{Number, Value};
use tradewind_core::{
    Task,
    pack::{PackView, PackWriter, SectionKind},
    plan::Plan,
};

/// Boundary values.
const EDGES: [u64; 12] = [0, 1, 2, 3, 7, 8, 16, 255, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];

/// Names of variants, because a single plan does not contain all of them.
const NAMES: [&str; 8] = ["F32", "I64", "I32", "U8", "Bool", "F64", "Joint", "Independent"];

/// Pseudo-random numbers that depend only on the seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Number below `limit`; 0 if `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }
}

/// Alters a pack's plan or weights in one to four places; `None` for bytes without a plan, or if no alteration gave
/// another plan.
pub fn altered(pack: &[u8], seed: u64) -> Option<Vec<u8>> {
    let random = &mut Random(seed);
    let view = PackView::parse(pack).ok()?;
    let mut plan: Plan = view.read(SectionKind::Plan).ok()?;
    let mut weights = pack.get(view.section(SectionKind::Weights)?)?.to_vec();
    for _ in 0..=random.below(4) {
        if random.below(4) == 0 && !weights.is_empty() {
            alter_weights(&mut weights, random);
        } else {
            // Alterations that are no longer plans are retried.
            let tree = serde_json::to_value(&plan).ok()?;
            plan = (0..8).find_map(|_| serde_json::from_value(altered_tree(&tree, random)).ok()).unwrap_or(plan);
        }
    }
    write(&plan, weights)
}

/// Writes a pack with only a plan and its weights, without digests.
fn write(plan: &Plan, weights: Vec<u8>) -> Option<Vec<u8>> {
    let writer = PackWriter::new("fuzz", "0").postcard(SectionKind::Plan, plan).ok()?;
    let writer = writer.bytes(SectionKind::Weights, weights).postcard(SectionKind::Task, &Task::Infer).ok()?;
    writer.finish(|_| [0; 32]).ok()
}

fn alter_weights(weights: &mut Vec<u8>, random: &mut Random) {
    match random.below(8) {
        0 => weights.truncate(random.below(weights.len())),
        1 => weights.resize(weights.len() + random.below(64), 0xff),
        _ => {
            let at = random.below(weights.len()) & !3;
            let edges = [
                EDGES[random.below(EDGES.len())] as u32,
                f32::NAN.to_bits(),
                f32::INFINITY.to_bits(),
                f32::MAX.to_bits(),
                random.number() as u32,
                random.below(64) as u32,
            ];
            let value = edges[random.below(edges.len())].to_le_bytes();
            weights.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
        }
    }
}

/// Alters one node of the tree: a number, a name, or a list.
fn altered_tree(tree: &Value, random: &mut Random) -> Value {
    let mut tree = tree.clone();
    let mut numbers = Vec::new();
    visit(&mut tree, &mut |node| {
        if let Value::Number(number) = node {
            numbers.extend(number.as_u64());
        }
        false
    });
    let mut nodes = 0;
    visit(&mut tree, &mut |node| {
        nodes += usize::from(!matches!(node, Value::Object(_)));
        false
    });
    let mut wanted = random.below(nodes);
    visit(&mut tree, &mut |node| {
        if matches!(node, Value::Object(_)) {
            return false;
        }
        let found = wanted == 0;
        wanted = wanted.wrapping_sub(1);
        if found {
            alter(node, &numbers, random);
        }
        found
    });
    tree
}

fn alter(node: &mut Value, numbers: &[u64], random: &mut Random) {
    match node {
        Value::Number(number) => {
            let was = number.as_u64().unwrap_or(1);
            let now = match random.below(8) {
                0 => was.saturating_add(1),
                1 => was.saturating_sub(1),
                2 => was.saturating_mul(2),
                3 => was / 2,
                4 | 5 => numbers.get(random.below(numbers.len())).copied().unwrap_or(0),
                6 => was.saturating_add(16 * random.below(9) as u64),
                _ => EDGES[random.below(EDGES.len())],
            };
            *number = Number::from(now.min(u64::from(u32::MAX)));
        }
        Value::String(name) => *name = NAMES[random.below(NAMES.len())].into(),
        Value::Bool(value) => *value = !*value,
        Value::Array(list) if !list.is_empty() => {
            let (at, other) = (random.below(list.len()), random.below(list.len()));
            match random.below(4) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[other].clone()),
                2 => list[at] = list[other].clone(),
                _ => list.swap(at, other),
            }
        }
        Value::Array(_) | Value::Object(_) | Value::Null => {}
    }
}

/// Calls `f` for each node, parents first, until it returns true.
fn visit(node: &mut Value, f: &mut impl FnMut(&mut Value) -> bool) -> bool {
    f(node)
        || match node {
            Value::Array(list) => list.iter_mut().any(|node| visit(node, f)),
            Value::Object(map) => map.values_mut().any(|node| visit(node, f)),
            _ => false,
        }
}
