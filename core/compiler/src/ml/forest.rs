//! Tables of the kernel for tree ensembles: which trees also get bit vectors, which share columns, and their layout.

use super::{
    ensemble::{Ensemble, Node},
    threshold::Split,
};
use crate::{
    builder::Forest,
    refusal::{Reason, Reasoned},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};
use tradewind_core::plan::{Aggregate, TREE_BYTES, TREE_COLUMNS, TREE_GROUP, TREE_THRESHOLDS, TreeBlock};

/// Leaves per byte of a bit vector.
const BYTE: usize = 8;

/// Maximum leaves of a tree with bit vectors: for larger trees, a path has so few tests that testing many rows at once
/// no longer pays.
const MOST_LEAVES: usize = 8 * BYTE;

/// Cost of a step of a walk and of ranking a column, for thirty-two rows, in units of bit vector tests; measured in V8.
const STEP_COST: usize = 28;
const COLUMN_COST: usize = 130;

/// Tables of `ensemble`. All leaves of a tree get votes for the same targets, padded with values that `aggregate`
/// ignores.
pub(super) fn forest(ensemble: &Ensemble, aggregate: Aggregate) -> Reasoned<Forest> {
    let graph = Graph::new(ensemble);
    let trees = ensemble.roots.iter().map(|root| graph.tree(*root)).collect::<Reasoned<Vec<_>>>()?;
    let mut by_bits: Vec<bool> = trees.iter().map(|tree| tree.small.is_some()).collect();
    for run in runs(&by_bits) {
        let worthwhile = worthwhile(&trees[run.clone()]);
        by_bits[run].iter_mut().for_each(|by_bits| *by_bits &= worthwhile);
    }
    let mut forest = Forest::default();
    let mut packer = Packer { ensemble, graph: &graph, aggregate, forest: &mut forest };
    for run in runs(&by_bits) {
        let by_bits = by_bits[run.start];
        let mut block = Block::default();
        for tree in &trees[run] {
            let wider = block.with(&graph, tree, by_bits);
            block = if wider.fits() {
                wider
            } else {
                packer.append(std::mem::take(&mut block));
                block.with(&graph, tree, by_bits)
            };
            if !block.fits() {
                return Reason::err(format!(
                    "a tree has more than {TREE_COLUMNS} features or more than {} nodes",
                    1 << TreeBlock::CHILD_BITS
                ));
            }
        }
        packer.append(block);
    }
    // All possible first targets of a bit vector's leaf are in the table.
    let windows = forest
        .trees
        .iter()
        .map(|[_, _, bytes, first, _, count]| *first as usize + *bytes as usize * BYTE * *count as usize);
    let end = windows.max().unwrap_or(0);
    forest.votes.resize(forest.votes.len().max(end), 0.0);
    let most = [forest.votes.len(), forest.slots.len() * 2, forest.tests.len()];
    if most.iter().any(|len| i32::try_from(*len).is_err()) {
        return Reason::err("an ensemble of more nodes than a plan can number");
    }
    Ok(forest)
}

/// Runs of equal elements.
fn runs(flags: &[bool]) -> Vec<Range<usize>> {
    let mut start = 0;
    let lens = flags.chunk_by(|a, b| a == b).map(<[bool]>::len);
    lens.map(|len| {
        start += len;
        start - len..start
    })
    .collect()
}

/// Whether bit vectors are faster than walks.
fn worthwhile(trees: &[Tree]) -> bool {
    let mut columns: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut cost = 0;
    for test in trees.iter().filter_map(|tree| tree.small.as_ref()).flat_map(|small| &small.tests) {
        columns.entry(column(&test.split)).or_default().insert(test.split.threshold.to_bits());
        cost += test.bytes().len();
    }
    cost += columns.values().map(|thresholds| thresholds.len().div_ceil(TREE_THRESHOLDS) * COLUMN_COST).sum::<usize>();
    cost <= STEP_COST * trees.iter().map(|tree| tree.depth as usize).sum::<usize>()
}

/// Column of a test.
fn column(split: &Split) -> u32 {
    split.feature << 1 | u32::from(split.flipped)
}

/// Nodes of an ensemble, each with one test in the plan's form; `None` is a leaf.
struct Graph {
    splits: Vec<Option<Split>>,
}

/// A tree.
struct Tree {
    root: usize,
    /// Nodes, every parent before its children.
    order: Vec<usize>,
    /// Maximum number of tests on a path.
    depth: u32,
    /// As tests in any order, if it has few leaves.
    small: Option<Small>,
}

/// Tree as tests in any order.
#[derive(Default)]
struct Small {
    tests: Vec<Test>,
    /// Leaf nodes, those of tests that hold first.
    leaves: Vec<usize>,
}

/// Test, and the leaves that it excludes if it fails.
struct Test {
    split: Split,
    clears: Range<usize>,
}

impl Test {
    /// Bytes of the tree's bit vector in which it clears leaves.
    fn bytes(&self) -> Range<usize> {
        self.clears.start / BYTE..self.clears.end.div_ceil(BYTE)
    }
}

impl Graph {
    fn new(ensemble: &Ensemble) -> Self {
        let mut splits = vec![None; ensemble.nodes.len()];
        for (n, node) in ensemble.nodes.iter().enumerate() {
            if let Node::Branch { test, threshold, on_true, on_false } = node {
                let (first, second) = test.splits(*threshold, *on_true, *on_false, splits.len());
                splits[n] = Some(first);
                if second.is_some() {
                    splits.push(second);
                }
            }
        }
        Self { splits }
    }

    fn tree(&self, root: usize) -> Reasoned<Tree> {
        let order = self.ordered(root)?;
        let mut small = Small::default();
        let is_small = self.expand(root, &mut small).is_some();
        let mut depths: BTreeMap<usize, u32> = BTreeMap::new();
        for (n, split) in order.iter().filter_map(|n| Some((*n, self.splits[*n]?))) {
            let depth = depths.get(&n).copied().unwrap_or(0) + 1;
            for child in [split.holds, split.fails] {
                let known = depths.entry(child).or_default();
                *known = depth.max(*known);
            }
        }
        let depth = depths.values().max().copied().unwrap_or(0);
        Ok(Tree { root, order, depth, small: is_small.then_some(small) })
    }

    /// Adds the tests and leaves below `n`; a node with several parents counts several times. `None` if there are too
    /// many.
    fn expand(&self, n: usize, small: &mut Small) -> Option<()> {
        let Some(split) = self.splits[n] else {
            small.leaves.push(n);
            return (small.leaves.len() <= MOST_LEAVES).then_some(());
        };
        let (at, first) = (small.tests.len(), small.leaves.len());
        small.tests.push(Test { split, clears: 0..0 });
        // A tree has one leaf more than tests.
        if small.tests.len() >= MOST_LEAVES {
            return None;
        }
        self.expand(split.holds, small)?;
        small.tests[at].clears = first..small.leaves.len();
        self.expand(split.fails, small)
    }

    /// Nodes below `root`, every parent before its children.
    fn ordered(&self, root: usize) -> Reasoned<Vec<usize>> {
        // Reversed post-order: the child for "holds" comes right after its parent. A node on the path to itself is a
        // cycle.
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states: BTreeMap<usize, State> = BTreeMap::new();
        let mut order = Vec::new();
        let mut path = vec![root];
        while let Some(&n) = path.last() {
            let children = self.splits[n].map_or_else(Vec::new, |split| vec![split.holds, split.fails]);
            match states.get(&n).copied().unwrap_or(State::New) {
                State::New => {
                    states.insert(n, State::Open);
                    for child in children {
                        match states.get(&child) {
                            Some(State::Open) => return Reason::err("a tree whose nodes form a cycle"),
                            Some(State::Done) => {}
                            _ => path.push(child),
                        }
                    }
                }
                State::Open => {
                    states.insert(n, State::Done);
                    order.push(n);
                    path.pop();
                }
                State::Done => {
                    path.pop();
                }
            }
        }
        order.reverse();
        Ok(order)
    }
}

/// Trees that share columns.
#[derive(Clone, Default)]
struct Block<'a> {
    trees: Vec<&'a Tree>,
    /// With the bits of the thresholds, if they are ranked.
    columns: BTreeMap<u32, BTreeSet<u32>>,
    slots: usize,
    /// Bytes of bit vectors.
    bytes: usize,
}

impl<'a> Block<'a> {
    /// Adds one more tree to the block.
    fn with(&self, graph: &Graph, tree: &'a Tree, by_bits: bool) -> Self {
        let mut wider = self.clone();
        wider.trees.push(tree);
        // No root is slot 0, because a leaf's child is the slot before it.
        wider.slots = self.slots.max(1) + 1;
        for split in tree.order.iter().filter_map(|n| graph.splits[*n]) {
            let thresholds = wider.columns.entry(column(&split)).or_default();
            if by_bits {
                thresholds.insert(split.threshold.to_bits());
            }
            wider.slots += 2;
        }
        if let Some(small) = tree.small.as_ref().filter(|_| by_bits) {
            wider.bytes += small.leaves.len().div_ceil(BYTE);
        }
        wider
    }

    fn fits(&self) -> bool {
        self.columns.len() <= TREE_COLUMNS
            && self.columns.values().all(|thresholds| thresholds.len() <= TREE_THRESHOLDS)
            && self.slots <= 1 << TreeBlock::CHILD_BITS
            && self.bytes <= TREE_BYTES
    }
}

/// Appends trees to the tables.
struct Packer<'a> {
    ensemble: &'a Ensemble,
    graph: &'a Graph,
    aggregate: Aggregate,
    forest: &'a mut Forest,
}

impl Packer<'_> {
    fn append(&mut self, block: Block<'_>) {
        let numbers: BTreeMap<u32, u32> = block.columns.keys().copied().zip(0..).collect();
        let mut tests: BTreeMap<u32, Vec<(f32, u32, u8)>> = BTreeMap::new();
        let (mut slots, mut bytes) = (vec![[0; 2]], 0);
        for tree in &block.trees {
            let small = tree.small.as_ref().filter(|_| block.bytes > 0);
            let mut leaves = small.map_or_else(Vec::new, |small| small.leaves.clone());
            let own = leaves.len().div_ceil(BYTE);
            for test in small.iter().flat_map(|small| &small.tests) {
                let clears = &test.clears;
                for byte in test.bytes() {
                    let within = |leaf: usize| leaf.clamp(byte * BYTE, (byte + 1) * BYTE) - byte * BYTE;
                    let cleared = ones(within(clears.end)) & !ones(within(clears.start));
                    let test_in_byte = (test.split.threshold, (bytes + byte) as u32, !cleared);
                    tests.entry(column(&test.split)).or_default().push(test_in_byte);
                }
            }
            bytes += own;
            let root = slots.len();
            self.walked(tree, &numbers, &mut leaves, &mut slots);
            self.tree([root as u32, tree.depth, own as u32], &leaves);
        }
        for (column, thresholds) in &block.columns {
            let mut thresholds: Vec<f32> = thresholds.iter().map(|bits| f32::from_bits(*bits)).collect();
            thresholds.sort_by(ascending);
            let mut tests = tests.remove(column).unwrap_or_default();
            tests.sort_by(|(a, ..), (b, ..)| ascending(a, b));
            let number = |threshold: &f32| thresholds.partition_point(|other| ascending(other, threshold).is_lt());
            let limit = |threshold: &f32| (number(threshold) as u8).wrapping_sub(127);
            let mut tests: Vec<u32> = tests
                .iter()
                .map(|(threshold, byte, kept)| byte << 16 | u32::from(limit(threshold)) << 8 | u32::from(*kept))
                .collect();
            // A test that fails and clears nothing fills the last group.
            let filler = tests.last().map_or(0, |test| test | 0xff);
            tests.resize(tests.len().next_multiple_of(TREE_GROUP), filler);
            self.forest.columns.push([*column, thresholds.len() as u32, (tests.len() / TREE_GROUP) as u32]);
            self.forest.thresholds.extend(thresholds);
            self.forest.tests.extend(tests);
        }
        self.forest.blocks.push(TreeBlock {
            trees: block.trees.len() as u32,
            columns: numbers.len() as u32,
            slots: slots.len() as u32,
            steps: block.trees.iter().map(|tree| tree.depth).sum(),
            bytes: bytes as u32,
        });
        self.forest.slots.extend(slots);
    }

    /// Appends a tree's slots, and missing leaves to `leaves`.
    fn walked(&self, tree: &Tree, columns: &BTreeMap<u32, u32>, leaves: &mut Vec<usize>, slots: &mut Vec<[u32; 2]>) {
        let root = slots.len();
        // Number of a leaf, or the first of the two slots of a node's children.
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, leaf) in leaves.iter().enumerate() {
            numbers.entry(*leaf).or_insert(number);
        }
        let mut end = root + 1;
        for &n in &tree.order {
            if self.graph.splits[n].is_some() {
                numbers.insert(n, end);
                end += 2;
            } else {
                numbers.entry(n).or_insert_with(|| {
                    leaves.push(n);
                    leaves.len() - 1
                });
            }
        }
        let slot = |n: usize, at: usize| match self.graph.splits[n] {
            None => [TreeBlock::LEAF | numbers[&n] as u32, at as u32 - 1],
            Some(split) => {
                let test = columns[&column(&split)] << TreeBlock::CHILD_BITS | numbers[&n] as u32;
                [split.threshold.to_bits(), test]
            }
        };
        slots.push(slot(tree.root, root));
        for split in tree.order.iter().filter_map(|n| self.graph.splits[*n]) {
            let at = slots.len();
            slots.extend([slot(split.holds, at), slot(split.fails, at + 1)]);
        }
    }

    /// Appends a tree's record and its leaves' votes.
    fn tree(&mut self, [root, depth, bytes]: [u32; 3], leaves: &[usize]) {
        let leaves: Vec<_> = leaves
            .iter()
            .map(|n| match &self.ensemble.nodes[*n] {
                Node::Leaf(votes) => votes.as_slice(),
                Node::Branch { .. } => &[],
            })
            .collect();
        let targets: BTreeSet<usize> = leaves.iter().flat_map(|votes| votes.iter().map(|vote| vote.target)).collect();
        let target = targets.first().copied().unwrap_or(0);
        let count = targets.last().map_or(1, |last| last + 1 - target);
        self.forest.trees.push([root, depth, bytes, self.forest.votes.len() as u32, target as u32, count as u32]);
        let sums = matches!(self.aggregate, Aggregate::Sum | Aggregate::Average);
        for votes in leaves {
            let start = self.forest.votes.len();
            // Adding zero does not change a sum, and NaN is no vote.
            self.forest.votes.resize(start + count, if sums { 0.0 } else { f32::NAN });
            for vote in votes {
                let weight = &mut self.forest.votes[start + vote.target - target];
                *weight = match self.aggregate {
                    Aggregate::Sum | Aggregate::Average => *weight + vote.weight,
                    Aggregate::Min => weight.min(vote.weight),
                    Aggregate::Max => weight.max(vote.weight),
                };
            }
        }
    }
}

/// Byte with the lowest `count` bits set.
fn ones(count: usize) -> u8 {
    u8::MAX.checked_shr((BYTE - count) as u32).unwrap_or(0)
}

/// Order of thresholds: NaN first, which every row fails.
fn ascending(a: &f32, b: &f32) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Compiled, Options,
        builder::Builder,
        extent::Extent,
        lower::Draft,
        ml::{
            ensemble::Vote,
            threshold::{TreeMode, TreeTest},
        },
        plan::finish,
    };
    use proptest::prelude::*;
    use tradewind_core::{
        Executor,
        aligned::AlignedBytes,
        exec::{Data, DataMut},
        plan::DType,
    };

    /// Scores of a row as defined by ONNX.
    fn walked(ensemble: &Ensemble, aggregate: Aggregate, base: &[f32], x: &[f32]) -> Vec<f32> {
        let mut votes: Vec<Vec<f32>> = vec![Vec::new(); base.len()];
        for &root in &ensemble.roots {
            let mut n = root;
            while let Node::Branch { test, threshold, on_true, on_false } = &ensemble.nodes[n] {
                let x = x[test.feature as usize];
                let holds = match test.mode {
                    TreeMode::LessOrEqual => x <= *threshold,
                    TreeMode::Less => x < *threshold,
                    TreeMode::GreaterOrEqual => x >= *threshold,
                    TreeMode::Greater => x > *threshold,
                    TreeMode::Equal => x == *threshold,
                    TreeMode::NotEqual => x != *threshold,
                };
                n = if holds || test.missing_true && x.is_nan() { *on_true } else { *on_false };
            }
            if let Node::Leaf(leaf) = &ensemble.nodes[n] {
                leaf.iter().for_each(|vote| votes[vote.target].push(vote.weight));
            }
        }
        let score = |votes: &Vec<f32>| match aggregate {
            Aggregate::Sum => votes.iter().fold(0.0, |sum, vote| sum + vote),
            Aggregate::Average => votes.iter().fold(0.0, |sum, vote| sum + vote) / ensemble.roots.len() as f32,
            Aggregate::Min => votes.iter().copied().reduce(f32::min).unwrap_or(0.0),
            Aggregate::Max => votes.iter().copied().reduce(f32::max).unwrap_or(0.0),
        };
        votes.iter().zip(base).map(|(votes, base)| score(votes) + base).collect()
    }

    fn executor(forest: &Forest, features: usize, base: &[f32], aggregate: Aggregate) -> (Executor, AlignedBytes) {
        let mut builder = Builder::default();
        let rows = Extent { fixed: 0, per_row: 1 };
        let x = builder.tensor(DType::F32, &[rows, Extent::fixed(features as i64)]).expect("small");
        let y = builder.trees(&x, forest, base, aggregate).expect("a matrix");
        let draft =
            Draft { builder, inputs: vec![("x".into(), x)], outputs: vec![("y".into(), y)], vectorized: vec![] };
        let Compiled { plan, weights, .. } = finish(draft, &Options::default()).expect("a small plan");
        let weights = AlignedBytes::copy_of(&weights).expect("small");
        (Executor::new(plan, weights.as_slice()).expect("a sound plan"), weights)
    }

    fn assert_walked(ensemble: &Ensemble, features: usize, base: &[f32], aggregate: Aggregate, x: &[f32]) {
        let forest = forest(ensemble, aggregate).expect("trees");
        let (mut executor, weights) = executor(&forest, features, base, aggregate);
        let expected: Vec<f32> = x.chunks(features).flat_map(|x| walked(ensemble, aggregate, base, x)).collect();
        let mut found = vec![f32::NAN; expected.len()];
        let rows = x.len() / features;
        executor.run(weights.as_slice(), rows, &[Data::F32(x)], &mut [DataMut::F32(&mut found)]).expect("it runs");
        for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found.to_bits(), expected.to_bits(), "score {n}: {found}, not {expected}: {:?}", forest.blocks);
        }
    }

    /// Random choices, reproducible by seed.
    struct Choices(u64);

    impl Choices {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as usize) % end
        }

        fn value(&mut self) -> f32 {
            const EDGES: [f32; 8] = [
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                0.0,
                -0.0,
                f32::MAX,
                f32::from_bits(1),
                -f32::from_bits(1),
            ];
            if self.below(8) == 0 { EDGES[self.below(EDGES.len())] } else { self.below(13) as f32 * 0.25 - 1.5 }
        }

        fn split(&mut self, features: usize, ordered: bool, on_true: usize, on_false: usize) -> Node {
            use TreeMode::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
            let modes = [LessOrEqual, Less, GreaterOrEqual, Greater, Equal, NotEqual];
            let mode = modes[self.below(if ordered { 4 } else { 6 })];
            let test = TreeTest { feature: self.below(features) as u32, missing_true: self.below(2) == 0, mode };
            Node::Branch { test, threshold: self.value(), on_true, on_false }
        }

        fn leaf(&mut self, targets: usize, regular: bool) -> Node {
            let wanted = |choices: &mut Self| regular || choices.below(3) > 0;
            let targets: Vec<usize> = (0..targets).filter(|_| wanted(self)).collect();
            Node::Leaf(
                targets
                    .into_iter()
                    .map(|target| Vote { target, weight: self.below(1000) as f32 * 0.37 - 170.0 })
                    .collect(),
            )
        }

        /// Adds a tree with `leaves` leaves.
        fn grow(&mut self, ensemble: &mut Ensemble, leaves: usize, features: usize, targets: usize, plain: bool) {
            let root = ensemble.nodes.len();
            ensemble.roots.push(root);
            ensemble.nodes.push(self.leaf(targets, plain));
            let mut open = vec![root];
            while open.len() < leaves {
                let pick = self.below(open.len());
                let n = open.swap_remove(pick);
                let (on_true, on_false) = (ensemble.nodes.len(), ensemble.nodes.len() + 1);
                open.extend([on_true, on_false]);
                let pair = [self.leaf(targets, plain), self.leaf(targets, plain)];
                ensemble.nodes.extend(pair);
                // Occasionally, two parents share a child.
                let on_false = if !plain && self.below(20) == 0 { on_true } else { on_false };
                ensemble.nodes[n] = self.split(features, plain, on_true, on_false);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn scores_are_those_of_a_plain_walk(
            seed in any::<u64>(),
            sizes in prop::collection::vec(prop_oneof![1usize..6, 20usize..33, Just(32usize), 33usize..65, Just(64usize), 65usize..150], 1..40),
            features in 1usize..6,
            targets in 1usize..4,
            plain in any::<bool>(),
            rows in 0usize..40,
            aggregate in prop::sample::select(vec![Aggregate::Sum, Aggregate::Average, Aggregate::Min, Aggregate::Max]),
        ) {
            let mut choices = Choices(seed);
            let mut ensemble = Ensemble::default();
            sizes.iter().for_each(|leaves| choices.grow(&mut ensemble, *leaves, features, targets, plain));
            let base: Vec<f32> = (0..targets).map(|n| n as f32 * 0.5).collect();
            let x: Vec<f32> = (0..rows * features).map(|_| choices.value()).collect();
            assert_walked(&ensemble, features, &base, aggregate, &x);
        }
    }

    #[test]
    fn an_ensemble_of_more_bytes_than_a_block_is_several() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..800).for_each(|n| choices.grow(&mut ensemble, [31, 64][n % 2], 5, 1, true));
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert!(blocks.iter().all(|block| block.bytes > 0) && blocks.len() == 2, "{blocks:?}");
        let x: Vec<f32> = (0..300 * 5).map(|_| choices.value()).collect();
        assert_walked(&ensemble, 5, &[0.5], Aggregate::Sum, &x);
    }

    #[test]
    fn a_column_of_more_thresholds_than_a_byte_counts_is_several() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..40).for_each(|_| choices.grow(&mut ensemble, 31, 1, 1, true));
        for (n, node) in ensemble.nodes.iter_mut().enumerate() {
            if let Node::Branch { threshold, .. } = node {
                *threshold = n as f32;
            }
        }
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert!(blocks.iter().all(|block| block.bytes > 0) && blocks.len() > 1, "{blocks:?}");
        let x: Vec<f32> = (0..300).map(|n| n as f32 * 10.0).collect();
        assert_walked(&ensemble, 1, &[0.5], Aggregate::Sum, &x);
    }

    #[test]
    fn few_small_trees_over_many_features_are_walked() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..3).for_each(|_| choices.grow(&mut ensemble, 30, 100_000, 1, true));
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert!(matches!(blocks[..], [TreeBlock { trees: 3, bytes: 0, .. }]), "{blocks:?}");
    }

    #[test]
    fn trees_that_together_look_at_more_columns_than_a_block_has_are_several() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..3).for_each(|_| choices.grow(&mut ensemble, 3000, 10_000, 1, true));
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert_eq!(blocks.len(), 3, "{blocks:?}");
        let x: Vec<f32> = (0..20 * 10_000).map(|_| choices.value()).collect();
        assert_walked(&ensemble, 10_000, &[0.5], Aggregate::Sum, &x);
        choices.grow(&mut ensemble, 8000, 100_000, 1, true);
        assert!(forest(&ensemble, Aggregate::Sum).is_err());
    }

    #[test]
    fn a_circle_is_refused() {
        let test = TreeTest { feature: 0, missing_true: false, mode: TreeMode::LessOrEqual };
        let branch = |on_true, on_false| Node::Branch { test, threshold: 0.5, on_true, on_false };
        let ensemble = Ensemble { roots: vec![0], nodes: vec![branch(1, 1), branch(0, 0)], rounded: false };
        assert!(forest(&ensemble, Aggregate::Sum).is_err());
    }
}
