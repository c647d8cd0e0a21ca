//! Tree ensembles, from their attributes.

use super::threshold::{Rounding, TreeMode, TreeTest};
use crate::{
    attributes::{Attributes, Numbers},
    refusal::{Reason, Reasoned},
};
use std::collections::BTreeMap;

/// Forest whose nodes are numbered from 0, for any ids in the model.
#[derive(Debug, Clone, Default)]
pub(super) struct Ensemble {
    pub roots: Vec<usize>,
    pub nodes: Vec<Node>,
    /// Whether a threshold or weight lost precision in f32.
    pub rounded: bool,
}

/// Node of a tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Branch { test: TreeTest, threshold: f32, on_true: usize, on_false: usize },
    Leaf(Vec<Vote>),
}

/// Contribution of a leaf to one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vote {
    pub target: usize,
    pub weight: f32,
}

impl Ensemble {
    /// Reads the parallel arrays of `TreeEnsembleClassifier` (`prefix` is `class`) or `TreeEnsembleRegressor`
    /// (`target`).
    pub fn read(attributes: &Attributes<'_>, prefix: &str, targets: usize) -> Reasoned<Self> {
        let trees = attributes.ints("nodes_treeids");
        let column = |name: &str| same_len(attributes.ints(name), trees.len(), name);
        let (ids, features) = (column("nodes_nodeids")?, column("nodes_featureids")?);
        let (on_true, on_false) = (column("nodes_truenodeids")?, column("nodes_falsenodeids")?);
        let modes = attributes.strings("nodes_modes")?;
        let modes = same_len(&modes, trees.len(), "nodes_modes")?;
        let missing = attributes.ints("nodes_missing_value_tracks_true");
        let thresholds = attributes.numbers("nodes_values")?;
        same_len(&thresholds.values, trees.len(), "nodes_values")?;

        let rounding = Rounding::read(attributes);
        let mut numbers: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        let mut roots = Vec::new();
        for (n, (tree, id)) in trees.iter().zip(ids).enumerate() {
            if numbers.insert((*tree, *id), n).is_some() {
                return Reason::err(format!("tree {tree} has two nodes {id}"));
            }
            // The first node of a tree is its root, as in onnxruntime.
            if n == 0 || trees[n - 1] != *tree {
                roots.push(n);
            }
        }
        let mut nodes = Vec::with_capacity(trees.len());
        for n in 0..trees.len() {
            let child = |id: i64| {
                numbers
                    .get(&(trees[n], id))
                    .copied()
                    .ok_or_else(|| Reason(format!("tree {} has no node {id}", trees[n])))
            };
            nodes.push(match mode(&modes[n])? {
                None => Node::Leaf(Vec::new()),
                Some(mode) => Node::Branch {
                    test: test(features[n], missing.get(n) == Some(&1), mode)?,
                    threshold: rounding.threshold(thresholds.values[n], mode),
                    on_true: child(on_true[n])?,
                    on_false: child(on_false[n])?,
                },
            });
        }

        let name = |suffix: &str| format!("{prefix}_{suffix}");
        let weights = attributes.numbers(&name("weights"))?;
        let vote_trees = attributes.ints(&name("treeids"));
        let column = |suffix: &str| same_len(attributes.ints(&name(suffix)), vote_trees.len(), &name(suffix));
        let (vote_nodes, vote_targets) = (column("nodeids")?, column("ids")?);
        same_len(&weights.values, vote_trees.len(), &name("weights"))?;
        for (n, key) in vote_trees.iter().copied().zip(vote_nodes.iter().copied()).enumerate() {
            let target = usize::try_from(vote_targets[n]).ok().filter(|target| *target < targets);
            let target = target.ok_or_else(|| Reason(format!("a leaf votes for {}, of {targets}", vote_targets[n])))?;
            let node = numbers.get(&key).ok_or_else(|| Reason(format!("tree {} has no node {}", key.0, key.1)))?;
            // Old exporters give weights to branches too; they are ignored.
            if let Node::Leaf(votes) = &mut nodes[*node] {
                votes.push(Vote { target, weight: weights.values[n] as f32 });
            }
        }
        let ensemble = Self { roots, nodes, rounded: !(thresholds.exact && weights.exact) };
        ensemble.checked(targets)
    }

    /// Reads the arrays of `TreeEnsemble`, introduced with version 5.
    pub fn read_v5(attributes: &Attributes<'_>, targets: usize) -> Reasoned<Self> {
        let features = attributes.ints("nodes_featureids");
        let required = |name: &str| attributes.tensor(name)?.ok_or_else(|| Reason(format!("`{name}` is missing")));
        let (modes, splits) = (required("nodes_modes")?, required("nodes_splits")?);
        let weights = required("leaf_weights")?;
        let members = attributes.tensor("membership_values")?.unwrap_or_default();
        let column = |name: &str| same_len(attributes.ints(name), features.len(), name);
        let (on_true, on_false) = (column("nodes_truenodeids")?, column("nodes_falsenodeids")?);
        let (true_leaves, false_leaves) = (column("nodes_trueleafs")?, column("nodes_falseleafs")?);
        let missing = attributes.ints("nodes_missing_value_tracks_true");
        let vote_targets = attributes.ints("leaf_targetids");
        same_len(&modes.values, features.len(), "nodes_modes")?;
        same_len(&splits.values, features.len(), "nodes_splits")?;
        same_len(&weights.values, vote_targets.len(), "leaf_weights")?;

        let rounding = Rounding::read(attributes);
        // Leaves follow the branches, and the links of membership chains follow the leaves.
        let child = |leaf: i64, id: i64| {
            let (first, end) = if leaf == 0 { (0, features.len()) } else { (features.len(), vote_targets.len()) };
            let within = usize::try_from(id).ok().filter(|id| *id < end);
            within.map(|id| first + id).ok_or_else(|| Reason(format!("unknown node or leaf {id}")))
        };
        let mut nodes = vec![Node::Leaf(Vec::new()); features.len()];
        for (target, weight) in vote_targets.iter().zip(&weights.values) {
            let known = usize::try_from(*target).ok().filter(|target| *target < targets);
            let target = known.ok_or_else(|| Reason(format!("a leaf votes for {target}, of {targets}")))?;
            nodes.push(Node::Leaf(vec![Vote { target, weight: *weight as f32 }]));
        }
        let mut sets = members.values.split(|value| value.is_nan());
        for (n, &feature) in features.iter().enumerate() {
            let (on_true, on_false) = (child(true_leaves[n], on_true[n])?, child(false_leaves[n], on_false[n])?);
            let missing = missing.get(n) == Some(&1);
            if let Some(mode) = numbered_mode(modes.values[n])? {
                let threshold = rounding.threshold(splits.values[n], mode);
                nodes[n] = Node::Branch { test: test(feature, missing, mode)?, threshold, on_true, on_false };
                continue;
            }
            // Membership is a chain of equality tests.
            let equal = test(feature, missing, TreeMode::Equal)?;
            let set = sets.next().filter(|set| !set.is_empty()).unwrap_or(&[f64::NAN]);
            let mut rest = on_false;
            for value in set[1..].iter().rev() {
                let threshold = rounding.threshold(*value, TreeMode::Equal);
                nodes.push(Node::Branch { test: equal, threshold, on_true, on_false: rest });
                rest = nodes.len() - 1;
            }
            let threshold = rounding.threshold(set[0], TreeMode::Equal);
            nodes[n] = Node::Branch { test: equal, threshold, on_true, on_false: rest };
        }
        let roots = attributes.ints("tree_roots").iter().map(|root| child(0, *root)).collect::<Reasoned<_>>()?;
        let exact = [&splits, &weights].iter().all(|numbers: &&Numbers| numbers.exact) && members.exact_or_empty();
        Self { roots, nodes, rounded: !exact }.checked(targets)
    }

    fn checked(mut self, targets: usize) -> Reasoned<Self> {
        if self.roots.is_empty() || targets == 0 {
            return Reason::err("an ensemble without trees or targets");
        }
        // With one target, onnxruntime reads one weight of a leaf.
        if targets == 1 {
            for node in &mut self.nodes {
                if let Node::Leaf(votes) = node {
                    votes.truncate(1);
                }
            }
        }
        Ok(self)
    }

    /// Features used by branches.
    pub fn features(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Branch { test, .. } => Some(test.feature),
            Node::Leaf(_) => None,
        })
    }

    pub fn votes(&self) -> impl Iterator<Item = &Vote> {
        self.nodes.iter().flat_map(|node| match node {
            Node::Leaf(votes) => votes.as_slice(),
            Node::Branch { .. } => &[],
        })
    }

    /// For each target, whether rows reach a vote for it.
    pub fn reach(&self, targets: usize) -> Vec<Reach> {
        let mut reach = vec![Reach::Never; targets];
        for vote in self.votes() {
            reach[vote.target] = Reach::Sometimes;
        }
        for &root in &self.roots {
            // Targets that every leaf of this tree votes for.
            let mut always = vec![true; targets];
            let (mut pending, mut seen) = (vec![root], vec![false; self.nodes.len()]);
            while let Some(n) = pending.pop() {
                if std::mem::replace(&mut seen[n], true) {
                    continue;
                }
                match &self.nodes[n] {
                    Node::Branch { on_true, on_false, .. } => pending.extend([*on_true, *on_false]),
                    Node::Leaf(votes) => {
                        for (target, always) in always.iter_mut().enumerate() {
                            *always &= votes.iter().any(|vote| vote.target == target);
                        }
                    }
                }
            }
            for (reach, always) in reach.iter_mut().zip(always) {
                if always {
                    *reach = Reach::Always;
                }
            }
        }
        reach
    }

    /// The same trees, with votes of 1 for every target that a leaf voted for.
    pub fn presence(&self) -> Self {
        let mut presence = self.clone();
        for node in &mut presence.nodes {
            if let Node::Leaf(votes) = node {
                votes.iter_mut().for_each(|vote| vote.weight = 1.0);
            }
        }
        presence
    }
}

/// Whether rows reach a vote for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Never,
    Sometimes,
    Always,
}

impl Numbers {
    fn exact_or_empty(&self) -> bool {
        self.exact || self.values.is_empty()
    }
}

fn mode(name: &str) -> Reasoned<Option<TreeMode>> {
    Ok(Some(match name {
        "BRANCH_LEQ" => TreeMode::LessOrEqual,
        "BRANCH_LT" => TreeMode::Less,
        "BRANCH_GTE" => TreeMode::GreaterOrEqual,
        "BRANCH_GT" => TreeMode::Greater,
        "BRANCH_EQ" => TreeMode::Equal,
        "BRANCH_NEQ" => TreeMode::NotEqual,
        "LEAF" => return Ok(None),
        other => return Reason::err(format!("unknown node mode `{other}`")),
    }))
}

/// Mode of version 5; `None` is membership.
fn numbered_mode(number: f64) -> Reasoned<Option<TreeMode>> {
    const MODES: [TreeMode; 6] = [
        TreeMode::LessOrEqual,
        TreeMode::Less,
        TreeMode::GreaterOrEqual,
        TreeMode::Greater,
        TreeMode::Equal,
        TreeMode::NotEqual,
    ];
    match number as usize {
        n if n < MODES.len() => Ok(Some(MODES[n])),
        6 => Ok(None),
        n => Reason::err(format!("unknown node mode {n}")),
    }
}

/// Maximum features of a matrix for trees.
const MAX_FEATURES: u32 = 1 << 27;

fn test(feature: i64, missing_true: bool, mode: TreeMode) -> Reasoned<TreeTest> {
    let known = u32::try_from(feature).ok().filter(|feature| *feature < MAX_FEATURES);
    let feature = known.ok_or_else(|| Reason(format!("unknown feature {feature}")))?;
    Ok(TreeTest { feature, missing_true, mode })
}

fn same_len<'a, T>(values: &'a [T], len: usize, name: &str) -> Reasoned<&'a [T]> {
    if values.len() == len {
        return Ok(values);
    }
    Reason::err(format!("`{name}` has {} values (expected {len})", values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(feature: u32, on_true: usize, on_false: usize) -> Node {
        let test = TreeTest { feature, missing_true: false, mode: TreeMode::LessOrEqual };
        Node::Branch { test, threshold: 0.5, on_true, on_false }
    }

    fn leaf(target: usize, weight: f32) -> Node {
        Node::Leaf(vec![Vote { target, weight }])
    }

    #[test]
    fn reach_tells_which_targets_every_row_votes_for() {
        let nodes = vec![branch(0, 1, 2), leaf(0, 1.0), leaf(1, 1.0), leaf(2, 1.0)];
        let ensemble = Ensemble { roots: vec![0, 3], nodes, rounded: false };
        assert_eq!(ensemble.reach(4), [Reach::Sometimes, Reach::Sometimes, Reach::Always, Reach::Never]);
    }
}
