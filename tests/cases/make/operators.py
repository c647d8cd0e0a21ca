"""Operators of ONNX that move, scatter and accumulate, a few in one graph, over a free batch."""

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Case, Feed, batches
from .graph import Graph

case = REGISTRY.family("operators")


def register() -> None:
    """The decorators below have already done it."""


def rows_and_picks(width: int, picks: int, values: int = 4) -> Feed:
    """Picks at both ends of an axis of `width`, from either side, each element more than once."""
    ends = np.array([[0, -1, width - 1], [-width, 0, 0], [1, 1, 1]], dtype=np.int64)
    x = np.array([[0.0, -0.0, 1e-40, 3e38, -3e38, 1.0][:width]] * 3, dtype=np.float32)
    return {"x": x, "at": ends[:, :picks], "new": np.full((3, values), 2.0, dtype=np.float32)[:, :picks]}


@case("scatter-in-rows")
def scatter_in_rows(rng: Generator) -> Case:
    """ScatterElements within each row, by every reduction."""
    g = Graph("scatter")
    x, at, new = g.input("x", ["N", 6]), g.input("at", ["N", 3], "i64"), g.input("new", ["N", 3])
    for reduction in ("none", "add", "mul", "min", "max"):
        g.op("ScatterElements", x, at, new, out=reduction, axis=1, reduction=reduction)
        g.output(reduction, ["N", 6])

    def draw(rng: Generator, rows: int) -> Feed:
        at = np.argsort(rng.random((rows, 6)), axis=1)[:, :3].astype(np.int64)
        at -= 6 * rng.integers(0, 2, at.shape)
        return {
            "x": rng.normal(size=(rows, 6)).astype(np.float32),
            "at": at,
            "new": rng.normal(size=(rows, 3)).astype(np.float32),
        }

    return Case(g.model(18), batches(rng, draw, rows_and_picks(6, 3)))


@case("scatter-into-table")
def scatter_into_table(rng: Generator) -> Case:
    """ScatterND of a whole batch into one table, as in histograms."""
    g = Graph("histogram")
    at, new = g.input("at", ["N", 2], "i64"), g.input("new", ["N", 3])
    table = g.weight("table", rng.normal(size=(4, 5, 3)))
    g.op("ScatterND", table, at, new, out="sums", reduction="add")
    g.output("sums", [4, 5, 3])

    def draw(rng: Generator, rows: int) -> Feed:
        at = np.stack([rng.integers(-4, 4, rows), rng.integers(-5, 5, rows)], axis=1).astype(np.int64)
        return {"at": at, "new": rng.normal(size=(rows, 3)).astype(np.float32)}

    return Case(g.model(18), batches(rng, draw))


@case("running-sums")
def running_sums(rng: Generator) -> Case:
    """CumSum in every direction, of floats and integers, over the batch, and of what comes before a single position."""
    g = Graph("running")
    x, n = g.input("x", ["N", 3, 4]), g.input("n", ["N", 4], "i64")
    one, zero = g.weight("one", 1, np.int64), g.weight("zero", 0, np.int64)
    for exclusive in (0, 1):
        for reverse in (0, 1):
            out = f"sum_{exclusive}{reverse}"
            g.op("CumSum", x, one, out=out, exclusive=exclusive, reverse=reverse)
            g.output(out, ["N", 3, 4])
    g.op("CumSum", n, g.weight("last", -1, np.int64), out="counts", reverse=1)
    g.output("counts", ["N", 4], "i64")
    g.op("CumSum", n, zero, out="before", exclusive=1)
    g.output("before", ["N", 4], "i64")
    single = g.op("Slice", x, g.ints("start", 0), g.ints("end", 1), g.ints("axis", 1))
    nothing = g.op("CumSum", single, one, exclusive=1)
    g.op("Mul", single, nothing, out="times_nothing")
    g.op("Reciprocal", g.op("Sub", single, g.weight("minus_zero", -0.0)), out="less_nothing")
    for output in ("times_nothing", "less_nothing"):
        g.output(output, ["N", 1, 4])

    def draw(rng: Generator, rows: int) -> Feed:
        return {
            "x": rng.normal(size=(rows, 3, 4)).astype(np.float32),
            "n": rng.integers(-9, 9, (rows, 4)).astype(np.int64),
        }

    special = draw(rng, 2)
    special["x"][:, 0] = [[np.nan, np.inf, -np.inf, 1e-30], [0.0, -0.0, 1.0, -1e30]]
    return Case(g.model(17), batches(rng, draw, special))


@case("pad-modes")
def pad_modes(rng: Generator) -> Case:
    """Every mode of Pad, negative pads, and a value that is computed."""
    g = Graph("pads")
    x = g.input("x", ["N", 5])
    pads = g.ints("pads", 2, 3)
    axes = g.ints("axes", 1)
    for mode in ("reflect", "edge", "wrap"):
        g.op("Pad", x, pads, "", axes, out=mode, mode=mode)
        g.output(mode, ["N", 10])
    g.op("Pad", x, g.ints("cut", 0, -2, 0, 1), g.weight("seven", 7.0), out="constant")
    g.output("constant", ["N", 4])
    value = g.op("ReduceSum", g.weight("parts", [1.5, 2.5]), keepdims=0)
    g.op("Pad", x, pads, value, axes, out="computed")
    g.output("computed", ["N", 10])
    return Case(g.model(19), batches(rng, lambda rng, rows: {"x": rng.normal(size=(rows, 5)).astype(np.float32)}))


@case("bits")
def bits(rng: Generator) -> Case:
    """Bitwise operators, shifts, and casts to narrow integers, which wrap around."""
    g = Graph("bits")
    x, y = g.input("x", ["N", 4], "i64"), g.input("y", ["N", 4], "i64")
    for operator in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        g.op(operator, x, y, out=operator)
        g.output(operator, ["N", 4], "i64")
    g.op("BitwiseNot", x, out="not")
    g.output("not", ["N", 4], "i64")
    for kind in ("u8", "i8", "u16", "i16", "u32"):
        g.cast(g.cast(x, kind), "i64", out=kind)
        g.output(kind, ["N", 4], "i64")
        if kind.startswith("i"):
            continue
        by = g.cast(g.op("BitwiseAnd", y, g.weight(f"seven_{kind}", 7, np.int64)), kind)
        if kind != "u16":
            for direction in ("LEFT", "RIGHT"):
                shifted = g.op("BitShift", g.cast(x, kind), by, direction=direction)
                g.cast(shifted, "i64", out=f"{kind}_{direction}")
                g.output(f"{kind}_{direction}", ["N", 4], "i64")

    def draw(rng: Generator, rows: int) -> Feed:
        return {name: rng.integers(-(2**40), 2**40, (rows, 4)).astype(np.int64) for name in ("x", "y")}

    edges = np.array([[0, -1, 127, 128], [255, 256, 32767, 32768], [65535, 2**32 - 1, 2**63 - 1, -(2**63)]])
    return Case(g.model(18), batches(rng, draw, {"x": edges.astype(np.int64), "y": edges[::-1].astype(np.int64)}))


@case("exact-arithmetic")
def exact_arithmetic(rng: Generator) -> Case:
    """Expressions that are not identities for negative or infinite numbers or signed zeros."""
    g = Graph("exact")
    x = g.input("x", ["N", 4])

    def known(number: float) -> str:
        return g.weight(f"w{len(g.weights)}", number)

    root = g.op("Sqrt", x)
    nodes: dict[str, tuple[str, list[str]]] = {
        "square_of_root": ("Mul", [root, root]),
        "power_of_root": ("Pow", [g.op("Sqrt", x), known(2.0)]),
        "inverted_root": ("Reciprocal", [g.op("Sqrt", x)]),
        "root_of_square": ("Sqrt", [g.op("Mul", x, x)]),
        "times_zero": ("Mul", [x, known(0.0)]),
        "zeros_times": ("Mul", [g.weight("zeros", np.zeros(4)), x]),
        "times_huge_twice": ("Mul", [g.op("Mul", x, known(1e30)), known(1e30)]),
        "times_tiny_and_huge": ("Mul", [g.op("Mul", x, known(1e-30)), known(-1e30)]),
        "sum_of_huge": ("ReduceSum", [g.op("Mul", x, known(1e30)), g.ints("last", 1)]),
        "plus_zero": ("Reciprocal", [g.op("Add", x, known(0.0))]),
        "less_itself": ("Sub", [x, x]),
        "by_itself": ("Div", [x, x]),
        "by_one": ("Div", [x, known(1.0)]),
        "times_one": ("Mul", [x, known(1.0)]),
        "inverted_twice": ("Reciprocal", [g.op("Reciprocal", x)]),
        "negative_twice": ("Neg", [g.op("Neg", x)]),
        "least_of_itself": ("Min", [x, x]),
        "greatest_of_itself": ("Max", [x, x]),
        "log_of_exp": ("Log", [g.op("Exp", x)]),
        "exp_of_log": ("Exp", [g.op("Log", x)]),
        "equals_itself": ("Equal", [x, x]),
        "mish": ("Mish", [g.op("Sub", x, known(12.0))]),
        "mean": ("Mean", [g.weight("row", [1.0, 2.0, 3.0, 4.0]), x, known(0.5)]),
        **{f"power_{power}": ("Pow", [x, known(power)]) for power in (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 3.0)},
        "power_of_one": ("Pow", [known(1.0), x]),
    }
    for name, (operator, inputs) in nodes.items():
        g.op(operator, *inputs, out=name)
        dims = ["N", 1] if operator == "ReduceSum" else ["N", 4]
        g.output(name, dims, "bool" if operator == "Equal" else "f32")
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-30, -1e30, 3e38, -3e38, 80.0]
    feed = {"x": np.reshape(np.array(special, np.float32), (3, 4))}
    return Case(
        g.model(18), batches(rng, lambda rng, rows: {"x": rng.normal(size=(rows, 4)).astype(np.float32)}, feed, many=20)
    )


@case("reverse-sequence")
def reverse_sequence(rng: Generator) -> Case:
    """The first elements of each sequence in reverse."""
    g = Graph("reverse")
    x, lens = g.input("x", ["N", 5, 2]), g.input("lens", ["N"], "i64")
    g.op("ReverseSequence", x, lens, out="y", batch_axis=0, time_axis=1)
    g.output("y", ["N", 5, 2])

    def draw(rng: Generator, rows: int) -> Feed:
        lens = rng.integers(1, 6, rows).astype(np.int64)
        return {"x": rng.normal(size=(rows, 5, 2)).astype(np.float32), "lens": lens}

    return Case(g.model(17), batches(rng, draw, empty=False))


@case("gather-nd")
def gather_nd(rng: Generator) -> Case:
    """GatherND within each row and of a table, from either end."""
    g = Graph("gather")
    x, at = g.input("x", ["N", 4, 3]), g.input("at", ["N", 2, 1], "i64")
    g.op("GatherND", x, at, out="rows", batch_dims=1)
    g.output("rows", ["N", 2, 3])
    table = g.weight("table", rng.normal(size=(4, 4, 2)))
    g.op("GatherND", table, g.op("Concat", at, at, axis=2), out="cells")
    g.output("cells", ["N", 2, 2])

    def draw(rng: Generator, rows: int) -> Feed:
        return {
            "x": rng.normal(size=(rows, 4, 3)).astype(np.float32),
            "at": rng.integers(-4, 4, (rows, 2, 1)).astype(np.int64),
        }

    return Case(g.model(17), batches(rng, draw, empty=False))


@case("best-of-batch")
def best_of_batch(rng: Generator) -> Case:
    """TopK over the batch: at least as many rows as are asked for."""
    g = Graph("best")
    x = g.input("x", ["N", 2])
    g.op_n("TopK", [x, g.ints("k", 3)], ["best", "rows"], axis=0)
    g.output("best", [3, 2])
    g.output("rows", [3, 2], "i64")
    sets = [(kind, {"x": rng.normal(size=(rows, 2)).astype(np.float32)}) for kind, rows in (("ordinary", 7), ("many", 200))]
    return Case(g.model(17), sets)


@case("computed-shapes")
def computed_shapes(rng: Generator) -> Case:
    """Shapes that are worked out from the shape of the input."""
    g = Graph("shapes")
    x = g.input("x", ["N", 3])
    shape = g.op("Shape", x)
    rows = g.op("Gather", shape, g.ints("first", 0))
    wide = g.op("Concat", rows, g.ints("four", 4), axis=0)
    g.op("Expand", g.weight("row", [[1.0, 2.0, 3.0, 4.0]]), wide, out="expanded")
    g.output("expanded", ["N", 4])
    filled = g.op("ConstantOfShape", wide)
    g.op("Concat", filled, x, out="beside", axis=1)
    g.output("beside", ["N", 7])
    g.op("Tile", x, g.ints("twice", 1, 2), out="tiled")
    g.output("tiled", ["N", 6])
    g.op("Reshape", g.op("Tile", x, g.ints("thrice", 1, 3)), g.op("Concat", rows, g.ints("three", 3, 3), axis=0), out="cube")
    g.output("cube", ["N", 3, 3])
    g.op("Tile", x, g.ints("again", 2, 1), out="doubled")
    g.output("doubled", [None, 3])
    return Case(g.model(17), batches(rng, lambda rng, rows: {"x": rng.normal(size=(rows, 3)).astype(np.float32)}))
