"""The number of rows as a value, and slices of the batch: a tile must not be mistaken for the batch."""

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Case, Draw, Feed, batches
from .graph import Graph

case = REGISTRY.family("counts")


def register() -> None:
    """The decorators below have already done it."""


def normal(width: int) -> Draw:
    """Rows of `x`, normally distributed."""
    return lambda rng, rows: {"x": rng.normal(size=(rows, width)).astype(np.float32)}


def rows(g: Graph, x: str) -> str:
    """The extent of the first axis, a scalar of i64."""
    return g.op("Gather", g.op("Shape", x), g.weight("first", 0, np.int64))


@case("rows-as-a-divisor")
def rows_as_a_divisor(rng: Generator) -> Case:
    """Each row divided by the number of rows, from `Shape` and from `Size`."""
    g = Graph("divisor")
    x = g.input("x", ["N", 3])
    g.op("Div", x, g.cast(rows(g, x), "f32"), out="by_shape")
    g.op("Div", x, g.cast(g.op("Size", x), "f32"), out="by_size")
    for output in ("by_shape", "by_size"):
        g.output(output, ["N", 3])
    return Case(g.model(17), batches(rng, normal(3), empty=False))


@case("rows-by-adding-ones")
def rows_by_adding_ones(rng: Generator) -> Case:
    """The number of rows as a sum of ones: of an expanded constant, and of a tensor made in that shape."""
    g = Graph("ones")
    x = g.input("x", ["N", 3])
    count = g.op("Reshape", rows(g, x), g.ints("one", 1))
    made = g.op("ConstantOfShape", count)
    made = g.op("Add", made, g.weight("unit", 1.0))
    g.op("Mul", x, g.op("ReduceSum", made, keepdims=0), out="made")
    spread = g.op("Expand", g.weight("half", [[0.5]]), g.op("Concat", count, g.ints("three", 3), axis=0))
    g.op("Add", x, g.op("ReduceSum", spread, keepdims=0), out="spread")
    zeros = g.op("Mul", x, g.weight("nothing", 0.0))
    ones = g.op("Add", zeros, g.weight("ones", [1.0, 2.0, 3.0]))
    g.op("Sub", x, g.op("ReduceSum", ones, g.ints("axis", 0), keepdims=1), out="of_rows")
    for output in ("made", "spread", "of_rows"):
        g.output(output, ["N", 3])
    return Case(g.model(17), batches(rng, normal(3), empty=False))


@case("rows-beside-trees")
def rows_beside_trees(rng: Generator) -> Case:
    """A forest's score divided by the number of rows, without a second runtime for comparison."""
    g = Graph("trees")
    x = g.input("x", ["N", 2])
    score = g.op(
        "TreeEnsembleRegressor",
        x,
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.25, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[3.0, -5.0],
    )
    g.op("Div", score, g.cast(rows(g, x), "f32"), out="share")
    g.output("share", ["N", 1])
    return Case(g.model(17, ml=3), batches(rng, normal(2), empty=False))


@case("rows-beside-lengths")
def rows_beside_lengths(rng: Generator) -> Case:
    """A GRU over sequences, and the number of rows."""
    g = Graph("sequences")
    x = g.input("x", ["N", 4, 2])
    steps = g.op("Transpose", x, perm=[1, 0, 2])
    w, r = g.weight("w", rng.normal(size=(1, 9, 2))), g.weight("r", rng.normal(size=(1, 9, 3)))
    _, last = g.op_n("GRU", [steps, w, r], ["", "last"], hidden_size=3)
    state = g.op("Squeeze", last, g.ints("direction", 0))
    g.op("Div", state, g.cast(rows(g, x), "f32"), out="share")
    g.output("share", ["N", 3])

    def draw(rng: Generator, count: int) -> Feed:
        return {"x": rng.normal(size=(count, 4, 2)).astype(np.float32)}

    return Case(g.model(17), batches(rng, draw, empty=False))


@case("rows-as-an-index")
def rows_as_an_index(rng: Generator) -> Case:
    """A table is read at the number of rows, which a condition compares with 1 and with 100."""
    g = Graph("index")
    x = g.input("x", ["N", 2])
    count = rows(g, x)
    table = g.weight("table", rng.normal(size=300))
    g.op("Mul", x, g.op("Gather", table, count), out="looked_up")
    alone = g.op("Equal", count, g.weight("alone", 1, np.int64))
    g.op("Where", alone, x, g.op("Neg", x), out="alone_or_not")
    few = g.op("Less", count, g.weight("few", 100, np.int64))
    g.op("Where", few, x, g.op("Neg", x), out="few_or_many")
    for output in ("looked_up", "alone_or_not", "few_or_many"):
        g.output(output, ["N", 2])
    return Case(g.model(17), batches(rng, normal(2), empty=False))


@case("rows-in-shapes-only")
def rows_in_shapes_only(rng: Generator) -> Case:
    """The number of rows in shapes, and in a sum that cancels: rows stay independent."""
    g = Graph("shapes")
    x = g.input("x", ["N", 6])
    count = g.op("Reshape", rows(g, x), g.ints("one", 1))
    cut = g.op("Reshape", x, g.op("Concat", count, g.ints("sides", 2, 3), axis=0))
    bias = g.op("Expand", g.weight("bias", [0.5, 1.0, 1.5]), g.op("Concat", count, g.ints("sides_of_bias", 2, 3), axis=0))
    g.op("Reshape", g.op("Add", cut, bias), g.op("Concat", count, g.ints("rest", -1), axis=0), out="y")
    g.output("y", ["N", 6])
    return Case(g.model(17), batches(rng, normal(6)))


@case("slices-of-the-batch")
def slices_of_the_batch(rng: Generator) -> Case:
    """The batch from its end to its start, by every bound that stands for the start; and its first row."""
    g = Graph("reversal")
    x = g.input("x", ["N", 2])
    axis, back = g.ints("axis", 0), g.ints("back", -1)
    for name, start, end in (
        ("least_i32", -1, -(2**31)),
        ("least_i64", -1, -(2**63)),
        ("greatest", 2**63 - 1, -(2**63)),
        ("near", 2**31 - 1, -(2**31) + 1),
    ):
        bounds = (g.ints(f"{name}_start", start), g.ints(f"{name}_end", end))
        g.op("Slice", x, *bounds, axis, back, out=name)
        g.output(name, ["N", 2])
    whole = g.op("Slice", x, g.ints("low", -(2**63)), g.ints("high", 2**63 - 1), axis, g.ints("forth", 1))
    first = g.op("Slice", x, g.ints("start", 0), g.ints("one", 1), axis)
    g.op("Sub", whole, first, out="between")
    g.output("between", ["N", 2])
    return Case(g.model(17), batches(rng, normal(2), empty=False))


@case("slices-of-columns")
def slices_of_columns(rng: Generator) -> Case:
    """Columns by bounds of either sign, beyond either end, by steps of any size."""
    g = Graph("columns")
    x = g.input("x", ["N", 7])
    axis = g.ints("axis", -1)
    cuts = [
        (1, -1, 1), (-9, 4, 1), (5, 2**63 - 1, 1), (0, 7, 3), (-2, -(2**31), -2),
        (2**31, -(2**63), -1), (3, 0, -1), (1, 2**40, 2**40), (6, -100, -(2**63)),
    ]
    for at, (start, end, step) in enumerate(cuts):
        bounds = [g.ints(f"start_{at}", start), g.ints(f"end_{at}", end), axis, g.ints(f"step_{at}", step)]
        g.op("Slice", x, *bounds, out=f"y_{at}")
        g.output(f"y_{at}", ["N", None])
    return Case(g.model(17), batches(rng, normal(7), many=20))
