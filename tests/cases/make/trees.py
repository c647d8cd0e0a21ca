"""Tree ensembles written by hand: every node mode, missing value, aggregate, transform and base value."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from onnx import ModelProto, numpy_helper

from . import rules
from .corpus import REGISTRY, Array, Case, Draw, batches, nasty_rows
from .graph import ML, Graph
from .rules import Node, Tree

Rule = Callable[[Array], dict[str, Array]]

FEATURES = 4
GRID = np.arange(-8, 9) / 4
MODES = tuple(rules.COMPARE)
TRANSFORMS = tuple(rules.TRANSFORM)


def grow(
    rng: Generator, depth: int, modes: Sequence[str], columns: Sequence[int], low: float, high: float, missing: str
) -> Tree:
    """A random tree with thresholds on a grid of quarters and leaf weights in sixteenths."""
    tree: Tree = []

    def node(level: int) -> int:
        at = len(tree)
        if level == 0 or (level < depth and rng.random() < 0.15):
            weights = {c: round(float(rng.uniform(low, high)) * 16) / 16 for c in columns}
            tree.append(Node("LEAF", weights=weights, missing=None if missing == "absent" else 0))
            return at
        tracked = {"absent": None, "none": 0, "all": 1, "mixed": int(rng.integers(2))}[missing]
        tree.append(Node(str(rng.choice(modes)), int(rng.integers(FEATURES)), float(rng.choice(GRID)), missing=tracked))
        tree[at].true = node(level - 1)
        tree[at].false = node(level - 1)
        return at

    node(depth)
    return tree


def forest(
    rng: Generator,
    columns: Sequence[int] = (0,),
    modes: Sequence[str] = ("BRANCH_LEQ",),
    low: float = -1,
    high: float = 1,
    missing: str = "absent",
    trees: int = 5,
    depth: int = 3,
) -> list[Tree]:
    """Random trees whose leaves carry a weight for each of `columns`."""
    return [grow(rng, depth, modes, columns, low, high, missing) for _ in range(trees)]


def attributes(trees: Sequence[Tree], prefix: str) -> dict[str, Any]:
    """The parallel arrays of TreeEnsembleRegressor (`target`) and TreeEnsembleClassifier (`class`)."""
    nodes = [(t, i, n) for t, tree in enumerate(trees) for i, n in enumerate(tree)]
    found: dict[str, Any] = {
        "nodes_treeids": [t for t, _, _ in nodes],
        "nodes_nodeids": [i for _, i, _ in nodes],
        "nodes_modes": [n.mode for _, _, n in nodes],
        "nodes_featureids": [n.feature for _, _, n in nodes],
        "nodes_values": [n.value for _, _, n in nodes],
        "nodes_truenodeids": [n.true for _, _, n in nodes],
        "nodes_falsenodeids": [n.false for _, _, n in nodes],
    }
    if nodes[0][2].missing is not None:
        found["nodes_missing_value_tracks_true"] = [n.missing for _, _, n in nodes]
    weights = [(t, i, c, w) for t, i, n in nodes for c, w in n.weights.items()]
    for key, values in zip(("treeids", "nodeids", "ids", "weights"), zip(*weights, strict=True), strict=True):
        found[f"{prefix}_{key}"] = list(values)
    return found


def rows(kind: str = "f32") -> Draw:
    """Ordinary rows: half of the numbers are on the grid, so that thresholds are matched."""
    dtype = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32}[kind]

    def draw(rng: Generator, n: int) -> dict[str, Array]:
        x = np.where(
            rng.random((n, FEATURES)) < 0.5, rng.choice(GRID, (n, FEATURES)), rng.normal(0, 1.2, (n, FEATURES))
        )
        return {"X": np.round(x).astype(dtype) if kind.startswith("i") else x.astype(dtype)}

    return draw


def nasty(rng: Generator, model: ModelProto, kind: str = "f32") -> dict[str, Array]:
    """Rows that test the comparisons; for integer inputs also integers too large for f32."""
    if kind.startswith("i"):
        edge = np.array([0, 1, -1, 2**24, 2**24 + 1, -(2**24) - 1, 2**31 - 1, -(2**31)])
        return {"X": rng.choice(edge, (16, FEATURES)).astype({"i64": np.int64, "i32": np.int32}[kind])}
    return {"X": nasty_rows(rng, model, FEATURES, dtype=np.float64 if kind == "f64" else np.float32)}


def finish(rng: Generator, g: Graph, expect: Rule, kind: str = "f32", many: int = 200, ml: int = 3) -> Case:
    """The usual sets, every one of them checked against the rules."""
    model = g.model(ml=ml)
    sets = batches(rng, rows(kind), nasty(rng, model, kind), many=many)
    return Case(model, sets, lambda feed: expect(feed["X"]), ("ordinary", "one", "many", "nasty", "empty"), 2e-6)


def regress(
    g: Graph,
    trees: Sequence[Tree],
    out: str,
    targets: int = 1,
    aggregate: str | None = None,
    bases: Sequence[float] = (),
    transform: str | None = None,
) -> Rule:
    """Appends a TreeEnsembleRegressor; returns its rule."""
    extra: dict[str, Any] = {}
    if bases:
        extra["base_values"] = list(bases)
    if aggregate:
        extra["aggregate_function"] = aggregate
    if transform:
        extra["post_transform"] = transform
    g.op("TreeEnsembleRegressor", "X", out=out, domain=ML, n_targets=targets, **attributes(trees, "target"), **extra)
    g.output(out, [None, targets])
    return lambda x: {out: rules.regressor(trees, x, targets, aggregate or "SUM", bases, transform or "NONE")}


def classify(
    g: Graph,
    trees: Sequence[Tree],
    out: str,
    labels: Sequence[int] | Sequence[str],
    bases: Sequence[float],
    transform: str,
) -> Rule:
    """Appends a TreeEnsembleClassifier with outputs `OUT_label` and `OUT_scores`; returns its rule."""
    text = isinstance(labels[0], str)
    extra: dict[str, Any] = {"classlabels_strings" if text else "classlabels_int64s": list(labels)}
    if bases:
        extra["base_values"] = list(bases)
    names = [f"{out}_label", f"{out}_scores"]
    g.op_n("TreeEnsembleClassifier", ["X"], names, ML, post_transform=transform, **attributes(trees, "class"), **extra)
    g.output(names[0], [None], "str" if text else "i64")
    g.output(names[1], [None, len(labels)])
    return lambda x: dict(zip(names, rules.classifier(trees, x, labels, bases, transform), strict=True))


def all_of(expects: Sequence[Rule]) -> Rule:
    """The rules of several nodes of one graph."""
    return lambda x: {name: values for expect in expects for name, values in expect(x).items()}


def mode_case(rng: Generator, modes: Sequence[str], missing: str) -> Case:
    """One regressor."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    return finish(rng, g, regress(g, forest(rng, modes=modes, missing=missing), "variable"))


def aggregate_case(rng: Generator, aggregate: str, targets: int) -> Case:
    """One aggregate without and with base values."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    trees = forest(rng, range(targets))
    bases = [0.5, -1.25, 2.0][:targets]
    plain = regress(g, trees, "plain", targets, aggregate)
    return finish(rng, g, all_of([plain, regress(g, trees, "based", targets, aggregate, bases)]), many=60)


def transform_case(rng: Generator, transform: str) -> Case:
    """One transform on one target and on three; scores stay inside (0, 1) for PROBIT."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    low, high = (0.1, 0.9) if transform == "PROBIT" else (-1.0, 1.0)
    one, three = forest(rng, (0,), low=low, high=high), forest(rng, range(3), low=low, high=high)
    found = [
        regress(g, one, "one", 1, "AVERAGE", (), transform),
        regress(g, three, "three", 3, "AVERAGE", (), transform),
    ]
    return finish(rng, g, all_of(found), many=60)


COLUMNS = {"first": (0,), "second": (1,), "both": (0, 1)}


def binary_case(rng: Generator, column: str, transform: str) -> Case:
    """A classifier of two labels for each kind of weights and each number of base values.

    Left out is PROBIT with one score: onnxruntime leaves the second unwritten.
    """
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    found = []
    for sign, low, high in (("positive", 0.0, 0.36), ("mixed", -0.5, 0.4)):
        trees = forest(rng, COLUMNS[column], low=low, high=high, trees=3)
        for bases in ((), (0.125,), (0.25, 0.0625)):
            unwritten = transform == "PROBIT" and len(bases) < 2 and column == "first"
            if not unwritten:
                found.append(classify(g, trees, f"{sign}_{len(bases)}", [10, 20], bases, transform))
    return finish(rng, g, all_of(found), many=40)


def multi_case(rng: Generator, transform: str) -> Case:
    """Three labels in no order, without base values and with three."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    low = 0.02 if transform == "PROBIT" else -0.5
    trees = forest(rng, range(3), low=low, high=0.12 if transform == "PROBIT" else 0.5)
    found = [
        classify(g, trees, "plain", [7, -2, 30], (), transform),
        classify(g, trees, "based", [7, -2, 30], (0.25, 0.125, 0.0625), transform),
    ]
    return finish(rng, g, all_of(found), many=60)


def typed_case(rng: Generator, kind: str) -> Case:
    """f64, i64 or i32 input: integers are compared as f32, and onnxruntime has no regressor for them."""
    g = Graph("trees")
    g.input("X", [None, FEATURES], kind)
    classes = forest(rng, range(3), missing="mixed" if kind == "f64" else "absent")
    if kind == "f64":
        found = [regress(g, forest(rng, missing="mixed"), "value")]
    else:
        classes[0] = [Node("BRANCH_EQ", 0, 2.0**24, 1, 2), *(Node("LEAF", weights={k: 3.0}) for k in (0, 1))]
        found = []
    found.append(classify(g, classes, "class", [0, 1, 2], (), "SOFTMAX"))
    return finish(rng, g, all_of(found), kind)


case = REGISTRY.family("trees")


@case("trees-mode-mixed-tracks-all")
def mode_mixed_all(rng: Generator) -> Case:
    """Every mode in one ensemble, every node sending NaN to its true branch."""
    return mode_case(rng, MODES, "all")


@case("trees-sparse-leaves")
def sparse_leaves(rng: Generator) -> Case:
    """Each tree speaks for one of three classes, as in boosting; labels are strings; a target without a tree is 0."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    trees = [tree for k in range(6) for tree in forest(rng, (k % 3,), trees=1)]
    found = [classify(g, trees, "class", ["none", "email", "push"], (), "SOFTMAX")]
    found.append(
        regress(g, [*forest(rng, (0,), trees=1), *forest(rng, (1,), trees=1)], "unseen", 3, "SUM", (1.0, 2.0, 4.0))
    )
    return finish(rng, g, all_of(found))


@case("trees-unseen-class")
def unseen_class(rng: Generator) -> Case:
    """No leaf names the third class: without a base value it cannot win, though its score of 0 is the largest."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    trees = forest(rng, (0, 1), low=-1, high=-0.1)
    found = [
        classify(g, trees, "plain", [0, 1, 2], (), "NONE"),
        classify(g, trees, "based", [0, 1, 2], (0.0, 0.0, -2.5), "NONE"),
    ]
    return finish(rng, g, all_of(found))


@case("trees-ties")
def ties(rng: Generator) -> Case:
    """Equal scores: the first of the largest wins; a binary score of exactly 0 or .5 is the negative label."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    stump = lambda yes, no: [Node("BRANCH_LEQ", 0, 0.0, 1, 2), Node("LEAF", weights=yes), Node("LEAF", weights=no)]
    found = [
        classify(g, [stump({0: 1.0, 1: 1.0, 2: 1.0}, {0: 0.0, 1: 2.0, 2: 2.0})], "three", [0, 1, 2], (), "NONE"),
        classify(g, [stump({0: 0.5}, {0: 0.75})], "half", [0, 1], (), "NONE"),
        classify(g, [stump({0: 0.0}, {0: -0.75})], "zero", [0, 1], (), "LOGISTIC"),
        classify(g, [stump({0: 0.5, 1: 0.5}, {0: 1.0, 1: 0.0})], "pair", [0, 1], (), "NONE"),
    ]
    return finish(rng, g, all_of(found), many=20)


@case("trees-one-leaf")
def one_leaf(rng: Generator) -> Case:
    """A tree that is a single leaf, first, between others and alone."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    leaf: Tree = [Node("LEAF", weights={0: 0.75})]
    others = forest(rng, trees=2)
    found = [regress(g, [leaf, others[0], leaf, others[1]], "mixed"), regress(g, [leaf], "alone")]
    return finish(rng, g, all_of(found), many=20)


@case("trees-shuffled-nodes")
def shuffled_nodes(rng: Generator) -> Case:
    """The nodes of each tree listed in another order, the root first; tree ids with gaps."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    trees = forest(rng)
    found = attributes(trees, "target")
    owner = np.asarray(found["nodes_treeids"])
    order = np.concatenate(
        [np.r_[at[:1], rng.permutation(at[1:])] for at in (np.flatnonzero(owner == t) for t in range(5))]
    )
    for key in [key for key in found if key.startswith("nodes_")]:
        found[key] = [found[key][i] for i in order]
    for key in ("nodes_treeids", "target_treeids"):
        found[key] = [3 * t + 2 for t in found[key]]
    mixed = rng.permutation(len(found["target_ids"]))
    for key in [key for key in found if key.startswith("target_")]:
        found[key] = [found[key][i] for i in mixed]
    g.op("TreeEnsembleRegressor", "X", out="variable", domain=ML, n_targets=1, **found)
    g.output("variable", [None, 1])
    return finish(rng, g, lambda x: {"variable": rules.regressor(trees, x, 1, "SUM", (), "NONE")})


@case("trees-equal-chain")
def equal_chain(rng: Generator) -> Case:
    """A category tested value by value with BRANCH_EQ that share a true branch; rows hold fractions and zeros too."""
    g = Graph("trees")
    g.input("X", [None, FEATURES])
    trees: list[Tree] = []
    for feature in range(3):
        values = sorted(int(v) for v in rng.choice(np.arange(0, 9), 4, replace=False))
        tree = [Node("BRANCH_EQ", feature, float(v), len(values), k + 1) for k, v in enumerate(values)]
        tree[-1].false = len(values) + 1
        trees.append([*tree, Node("LEAF", weights={0: 1.0 + feature}), Node("LEAF", weights={0: -0.5 * (feature + 1)})])
    expect = regress(g, trees, "variable")
    draw: Draw = lambda r, n: {"X": r.choice(np.arange(-2, 20) / 2, (n, FEATURES)).astype(np.float32)}
    model = g.model(ml=3)
    return Case(
        model,
        batches(rng, draw, nasty(rng, model)),
        lambda feed: expect(feed["X"]),
        ("ordinary", "one", "many", "nasty", "empty"),
        2e-6,
    )


@case("trees-f64-as-tensor")
def as_tensor(rng: Generator) -> Case:
    """f64 input with thresholds and weights in f64 tensors: .1 is not an f32 here."""
    g = Graph("trees")
    g.input("X", [None, FEATURES], "f64")
    trees = forest(rng)
    for tree in trees:
        for node in tree:
            node.value += 0.1
            node.weights = {c: w / 3 for c, w in node.weights.items()}
    found = attributes(trees, "target")
    for key in ("nodes_values", "target_weights"):
        found[f"{key}_as_tensor"] = numpy_helper.from_array(np.asarray(found.pop(key), np.float64), key)
    g.op("TreeEnsembleRegressor", "X", out="variable", domain=ML, n_targets=1, **found)
    g.output("variable", [None, 1], "f32")
    return finish(rng, g, lambda x: {"variable": rules.regressor(trees, x, 1, "SUM", (), "NONE")}, "f64")


def ensemble5(
    g: Graph, trees: Sequence[Tree], out: str, targets: int, aggregate: int, transform: int, dtype: type
) -> None:
    """Appends ai.onnx.ml 5's TreeEnsemble: branches and leaves are numbered apart, each leaf has one weight."""
    modes = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GTE": 2, "BRANCH_GT": 3, "BRANCH_EQ": 4, "BRANCH_NEQ": 5}
    branches = [(t, i) for t, tree in enumerate(trees) for i, n in enumerate(tree) if n.mode != "LEAF"]
    ends = [(t, i) for t, tree in enumerate(trees) for i, n in enumerate(tree) if n.mode == "LEAF"]
    branch_at, leaf_at = ({key: at for at, key in enumerate(keys)} for keys in (branches, ends))
    nodes = [trees[t][i] for t, i in branches]
    child = {
        side: [(t, getattr(n, side)) for (t, _), n in zip(branches, nodes, strict=True)] for side in ("true", "false")
    }
    found: dict[str, Any] = {
        "tree_roots": [branch_at[(t, 0)] for t in range(len(trees))],
        "nodes_featureids": [n.feature for n in nodes],
        "nodes_splits": numpy_helper.from_array(np.array([n.value for n in nodes], dtype), "splits"),
        "nodes_modes": numpy_helper.from_array(np.array([modes[n.mode] for n in nodes], np.uint8), "modes"),
        "leaf_targetids": [next(iter(trees[t][i].weights)) for t, i in ends],
        "leaf_weights": numpy_helper.from_array(
            np.array([next(iter(trees[t][i].weights.values())) for t, i in ends], dtype), "weights"
        ),
    }
    for side, keys in child.items():
        found[f"nodes_{side}nodeids"] = [branch_at.get(key, leaf_at.get(key)) for key in keys]
        found[f"nodes_{side}leafs"] = [int(key in leaf_at) for key in keys]
    if nodes[0].missing is not None:
        found["nodes_missing_value_tracks_true"] = [n.missing for n in nodes]
    g.op(
        "TreeEnsemble",
        "X",
        out=out,
        domain=ML,
        n_targets=targets,
        aggregate_function=aggregate,
        post_transform=transform,
        **found,
    )


def ensemble5_case(rng: Generator, kind: str) -> Case:
    """One target with every mode, and three targets whose trees take turns, through the new operator."""
    g = Graph("trees")
    g.input("X", [None, FEATURES], kind)
    dtype = np.float64 if kind == "f64" else np.float32
    one = forest(rng, modes=MODES, missing="mixed")
    three = [tree for k in range(6) for tree in forest(rng, (k % 3,), trees=1, missing="mixed")]
    ensemble5(g, one, "sum", 1, 1, 0, dtype)
    ensemble5(g, three, "softmax", 3, 1, 2, dtype)
    ensemble5(g, three, "smallest", 3, 2, 0, dtype)
    g.output("sum", [None, 1], kind)
    g.output("softmax", [None, 3], kind)
    g.output("smallest", [None, 3], kind)

    def expect(x: Array) -> dict[str, Array]:
        return {
            "sum": rules.regressor(one, x, 1, "SUM", (), "NONE"),
            "softmax": rules.regressor(three, x, 3, "SUM", (), "SOFTMAX"),
            "smallest": rules.regressor(three, x, 3, "MIN", (), "NONE"),
        }

    return finish(rng, g, expect, kind, ml=5)


def register() -> None:
    """Adds the cases that differ in one word."""
    add = partial(REGISTRY.add, "trees")
    for mode in MODES:
        for missing in ("absent", "mixed"):
            name = f"trees-mode-{mode.removeprefix('BRANCH_').lower()}" + ("-tracks" if missing == "mixed" else "")
            add(name, partial(mode_case, modes=(mode,), missing=missing))
    add("trees-mode-mixed", partial(mode_case, modes=MODES, missing="absent"))
    add("trees-mode-mixed-tracks", partial(mode_case, modes=MODES, missing="mixed"))
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        for targets in (1, 3):
            add(f"trees-{aggregate.lower()}-{targets}", partial(aggregate_case, aggregate=aggregate, targets=targets))
    for transform in TRANSFORMS:
        short = transform.lower().replace("_", "-")
        add(f"trees-regressor-{short}", partial(transform_case, transform=transform))
        for column in COLUMNS:
            add(f"trees-binary-{column}-{short}", partial(binary_case, column=column, transform=transform))
        add(f"trees-multi-{short}", partial(multi_case, transform=transform))
    for kind in ("f64", "i64", "i32"):
        add(f"trees-input-{kind}", partial(typed_case, kind=kind))
    for kind in ("f32", "f64"):
        add(f"trees-ensemble-5-{kind}", partial(ensemble5_case, kind=kind))
