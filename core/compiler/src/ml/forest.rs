//! The tables of the plan's kernel for a tree ensemble: which trees become bit vectors and which are
//! walked, and how either is laid out.

use super::{
    ensemble::{Ensemble, Node},
    threshold::Split,
};
use crate::{
    builder::Forest,
    refusal::{Reason, Reasoned},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};
use tradewind_core::plan::{Aggregate, TREE_GROUP, TREE_WORDS, TreeBlock, TreeForm};

/// Leaves of one word of a bit vector.
const WORD: usize = 32;

/// Leaves of the largest tree that is worth bit vectors: beyond, fewer tests are made on the way to
/// a leaf than sixteen rows at once can make up for.
const MOST_LEAVES: usize = 2 * WORD;

/// What walking one tree costs, and what starting a list of tests costs, both in tests by bit
/// vectors; measured in V8.
const WALK_COST: usize = 80;
const LIST_COST: usize = 8;

/// The tables of `ensemble`. Leaves' votes are made up to the same targets for all leaves of a tree,
/// with what `aggregate` takes no notice of.
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
        if by_bits[run.start] { packer.bits(&trees[run]) } else { packer.slots(&trees[run])? }
    }
    // What a bit vector can name, whether it is a leaf or not, is in the table.
    let windows =
        forest.trees.iter().map(|[_, words, first, _, count]| (*first + *words * WORD as u32 * *count) as usize);
    let bits = by_bits.iter().zip(windows).filter(|(by_bits, _)| **by_bits);
    let end = bits.map(|(_, end)| end).max().unwrap_or(0);
    forest.votes.resize(forest.votes.len().max(end), 0.0);
    let most = [forest.votes.len(), forest.slots.len() * 2, forest.thresholds.len() * 2];
    if most.iter().any(|len| i32::try_from(*len).is_err()) {
        return Reason::err("an ensemble of more nodes than a plan can number");
    }
    Ok(forest)
}

/// Whether one slot can surely number any feature and any other slot of a tree.
pub(super) fn numbered(ensemble: &Ensemble) -> bool {
    let feature = ensemble.features().max().unwrap_or(0);
    // Two tests for a comparison for equality, two slots for a test.
    4 * ensemble.nodes.len() < 1 << child_bits(feature)
}

/// What a slot has for a child beside features up to `most`.
fn child_bits(most: u32) -> u32 {
    31 - (u32::BITS - most.leading_zeros()).min(31)
}

/// Stretches of equal elements.
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
    let mut lists: BTreeMap<u32, usize> = BTreeMap::new();
    for test in trees.iter().filter_map(|tree| tree.small.as_ref()).flat_map(|small| &small.tests) {
        *lists.entry(list(&test.split)).or_default() += 1;
    }
    let tests: usize = lists.values().map(|len| len.next_multiple_of(TREE_GROUP) + LIST_COST).sum();
    tests <= WALK_COST * trees.len()
}

/// The list of a test.
fn list(split: &Split) -> u32 {
    split.feature << 1 | u32::from(split.flipped)
}

/// The nodes of an ensemble, each with one test of the form that plans have; `None` is a leaf.
struct Graph {
    splits: Vec<Option<Split>>,
}

/// One tree.
struct Tree {
    root: usize,
    /// Its nodes, every parent before its children.
    order: Vec<usize>,
    /// As tests in any order, where it has few leaves.
    small: Option<Small>,
}

/// A tree as tests in any order.
#[derive(Default)]
struct Small {
    tests: Vec<Test>,
    /// The nodes that are leaves, from the side of the tests that hold.
    leaves: Vec<usize>,
}

/// A test, and the leaves that it rules out where it fails.
struct Test {
    split: Split,
    clears: Range<usize>,
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
        Ok(Tree { root, order, small: is_small.then_some(small) })
    }

    /// Adds the tests and leaves under `n`; nodes with several parents are as good as several nodes.
    /// `None` when there are too many.
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

    /// The nodes under `root`, every parent before its children.
    fn ordered(&self, root: usize) -> Reasoned<Vec<usize>> {
        // Reversed post-order: the child for "holds" comes right after its parent. A node on the
        // path to itself is a circle.
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
                            Some(State::Open) => return Reason::err("a tree whose nodes form a circle"),
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

/// Appends trees to the tables.
struct Packer<'a> {
    ensemble: &'a Ensemble,
    graph: &'a Graph,
    aggregate: Aggregate,
    forest: &'a mut Forest,
}

impl Packer<'_> {
    /// Appends blocks of bit vectors.
    fn bits(&mut self, mut trees: &[Tree]) {
        while !trees.is_empty() {
            let (mut words, mut count) = (0, 0);
            let mut lists: BTreeMap<u32, Vec<(f32, u32, u16)>> = BTreeMap::new();
            for tree in trees {
                let Some(small) = &tree.small else { break };
                let taken = small.leaves.len().div_ceil(WORD);
                if words + taken > TREE_WORDS {
                    break;
                }
                for Test { split, clears } in &small.tests {
                    for word in clears.start / WORD..clears.end.div_ceil(WORD) {
                        let within = |leaf: usize| leaf.clamp(word * WORD, (word + 1) * WORD) - word * WORD;
                        let cleared = ones(within(clears.end)) & !ones(within(clears.start));
                        let test = (split.threshold, !cleared, (words + word) as u16);
                        lists.entry(list(split)).or_default().push(test);
                    }
                }
                self.tree([0, taken as u32], &small.leaves);
                words += taken;
                count += 1;
            }
            trees = &trees[count..];
            self.forest
                .blocks
                .push(TreeBlock { trees: count as u32, form: TreeForm::Bits { lists: lists.len() as u32 } });
            for (list, mut tests) in lists {
                tests.sort_by(|(a, ..), (b, ..)| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
                // What fails and clears nothing fills the last group.
                tests.resize(tests.len().next_multiple_of(TREE_GROUP), (f32::INFINITY, u32::MAX, 0));
                self.forest.lists.push([list, (tests.len() / TREE_GROUP) as u32]);
                for (threshold, keep, word) in tests {
                    self.forest.thresholds.push(threshold);
                    self.forest.keeps.push(keep);
                    self.forest.words.push(word);
                }
            }
        }
    }

    /// Appends blocks of slots.
    fn slots(&mut self, mut trees: &[Tree]) -> Reasoned<()> {
        let feature = self.graph.splits.iter().flatten().map(|split| split.feature).max().unwrap_or(0);
        let child_bits = child_bits(feature);
        while !trees.is_empty() {
            // No root is slot 0: a leaf's child is the slot before it.
            let mut slots = vec![[0; 2]];
            let mut count = 0;
            for tree in trees {
                let splits = tree.order.iter().filter(|n| self.graph.splits[**n].is_some()).count();
                let end = slots.len() + 1 + 2 * splits;
                if end > 1 << child_bits || splits >= TreeForm::LEAF_NUMBER as usize {
                    break;
                }
                self.walked(tree, child_bits, &mut slots);
                count += 1;
            }
            if count == 0 {
                return Reason::err(
                    "a tree of too many nodes for the number of features that trees look at; use fewer of either",
                );
            }
            trees = &trees[count..];
            let form = TreeForm::Slots { slots: slots.len() as u32, child_bits };
            self.forest.blocks.push(TreeBlock { trees: count as u32, form });
            self.forest.slots.extend(slots);
        }
        Ok(())
    }

    fn walked(&mut self, tree: &Tree, child_bits: u32, slots: &mut Vec<[u32; 2]>) {
        let root = slots.len();
        let (mut leaves, mut numbers) = (Vec::new(), BTreeMap::new());
        // The number of a leaf, or the first of the two slots of a node's children.
        let mut end = root + 1;
        for &n in &tree.order {
            match self.graph.splits[n] {
                None => {
                    numbers.insert(n, leaves.len());
                    leaves.push(n);
                }
                Some(_) => {
                    numbers.insert(n, end);
                    end += 2;
                }
            }
        }
        let slot = |n: usize, at: usize| match self.graph.splits[n] {
            None => [TreeForm::LEAF | numbers[&n] as u32, at as u32 - 1],
            Some(split) => {
                let test = u32::from(split.flipped) << 31 | split.feature << child_bits | numbers[&n] as u32;
                [split.threshold.to_bits(), test]
            }
        };
        slots.push(slot(tree.root, root));
        let mut depths: BTreeMap<usize, u32> = BTreeMap::new();
        for (n, split) in tree.order.iter().filter_map(|n| Some((*n, self.graph.splits[*n]?))) {
            let at = slots.len();
            slots.extend([slot(split.holds, at), slot(split.fails, at + 1)]);
            let depth = depths.get(&n).copied().unwrap_or(0) + 1;
            for child in [split.holds, split.fails] {
                let known = depths.entry(child).or_default();
                *known = depth.max(*known);
            }
        }
        self.tree([root as u32, depths.values().max().copied().unwrap_or(0)], &leaves);
    }

    /// Appends a tree's record and its leaves' votes.
    fn tree(&mut self, [first, second]: [u32; 2], leaves: &[usize]) {
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
        self.forest.trees.push([first, second, self.forest.votes.len() as u32, target as u32, count as u32]);
        let sums = matches!(self.aggregate, Aggregate::Sum | Aggregate::Average);
        for votes in leaves {
            let start = self.forest.votes.len();
            // Adding zero changes no sum, and NaN is no vote.
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

/// A word whose lowest `count` bits are set.
fn ones(count: usize) -> u32 {
    u32::MAX.checked_shr((WORD - count) as u32).unwrap_or(0)
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

    /// The scores of a row as ONNX describes them.
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
        let draft = Draft { builder, inputs: vec![("x".into(), x)], outputs: vec![("y".into(), y)] };
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

    /// A source of choices; the same for the same seed.
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

        /// Adds a tree of so many leaves.
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
                // Two parents of one child, now and then.
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
    fn an_ensemble_of_more_words_than_a_block_is_several() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..400).for_each(|n| choices.grow(&mut ensemble, [31, 64][n % 2], 5, 1, true));
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert!(
            blocks.iter().all(|block| matches!(block.form, TreeForm::Bits { .. })) && blocks.len() == 2,
            "{blocks:?}"
        );
        let x: Vec<f32> = (0..300 * 5).map(|_| choices.value()).collect();
        assert_walked(&ensemble, 5, &[0.5], Aggregate::Sum, &x);
    }

    #[test]
    fn few_small_trees_over_many_features_are_walked() {
        let (mut choices, mut ensemble) = (Choices(7), Ensemble::default());
        (0..3).for_each(|_| choices.grow(&mut ensemble, 30, 100_000, 1, true));
        let blocks = forest(&ensemble, Aggregate::Sum).expect("trees").blocks;
        assert!(matches!(blocks[..], [TreeBlock { trees: 3, form: TreeForm::Slots { .. } }]), "{blocks:?}");
    }

    #[test]
    fn a_circle_is_refused() {
        let test = TreeTest { feature: 0, missing_true: false, mode: TreeMode::LessOrEqual };
        let branch = |on_true, on_false| Node::Branch { test, threshold: 0.5, on_true, on_false };
        let ensemble = Ensemble { roots: vec![0], nodes: vec![branch(1, 1), branch(0, 0)], rounded: false };
        assert!(forest(&ensemble, Aggregate::Sum).is_err());
    }
}
