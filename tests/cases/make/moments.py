"""Numbers beyond f32: timestamps in milliseconds, with exporters' arithmetic in f64."""

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Case, Draw, Feed, batches
from .graph import Graph

case = REGISTRY.family("moments")

# Milliseconds from 1970 to November 2025, and of a day.
NOW = 1_764_000_000_000
DAY = 86_400_000


def register() -> None:
    """The decorators below have already done it."""


def moments(*names: str, width: int = 1, spread: int = 90 * DAY) -> Draw:
    """Moments of the last `spread` milliseconds for each name."""

    def draw(rng: Generator, rows: int) -> Feed:
        return {name: NOW - rng.integers(0, spread, (rows, width)).astype(np.int64) for name in names}

    return draw


def double(g: Graph, name: str, values: object) -> str:
    """A constant of f64."""
    return g.weight(name, values, np.float64)


@case("moments-difference")
def difference(rng: Generator) -> Case:
    """Two moments a second apart: as f64, as f32 after it, and divided."""
    g = Graph("difference")
    a, b = (g.cast(g.input(name, ["N", 1], "i64"), "f64") for name in ("a", "b"))
    between = g.op("Sub", a, b, out="between")
    g.output(between, ["N", 1], "f64")
    g.op("Div", g.cast(between, "f32"), g.weight("second", 1000.0), out="seconds")
    g.output("seconds", ["N", 1])
    g.op("Div", between, g.op("Add", g.op("Abs", between), double(g, "more", 1.0)), out="ratio")
    g.output("ratio", ["N", 1], "f64")

    def draw(rng: Generator, rows: int) -> Feed:
        feed = moments("a")(rng, rows)
        return feed | {"b": feed["a"] - rng.integers(-2000, 2000, (rows, 1))}

    far = {"a": np.array([[2**52 + 1], [-NOW], [NOW]]), "b": np.array([[2**52], [-NOW - 1], [NOW]])}
    return Case(g.model(17), batches(rng, draw, far))


@case("moments-since")
def since(rng: Generator) -> Case:
    """The age of a moment, in days: less a constant, in f64, and its logarithm in f32."""
    g = Graph("age")
    at = g.cast(g.input("at", ["N", 2], "i64"), "f64")
    days = g.op("Div", g.op("Sub", double(g, "now", NOW), at), double(g, "day", DAY), out="days")
    g.output("days", ["N", 2], "f64")
    small = g.cast(days, "f32")
    g.op("Log", g.op("Add", small, g.weight("one", 1.0)), out="log")
    g.output("log", ["N", 2])
    g.op("Exp", g.op("Neg", days), out="decay")
    g.output("decay", ["N", 2], "f64")
    return Case(g.model(17), batches(rng, moments("at", width=2)))


@case("moments-scaled")
def scaled(rng: Generator) -> Case:
    """Standardised milliseconds, of integers cast to f64: by Sub and Div, by a Scaler, and into a linear model."""
    g = Graph("scaler")
    x = g.cast(g.input("x", ["N", 3], "i64"), "f64")
    mean, scale = np.array([NOW - 45.5 * DAY, NOW - 3.25, 40.0]), np.array([26.5 * DAY, 7.5 * DAY, 12.5])
    normal = g.op("Div", g.op("Sub", x, double(g, "mean", mean)), double(g, "scale", scale), out="normal")
    g.output(normal, ["N", 3], "f64")
    product = g.op("MatMul", normal, double(g, "weights", rng.normal(size=(3, 2))))
    g.op("Add", product, double(g, "bias", [0.25, -1.5]), out="score")
    g.output("score", ["N", 2], "f64")
    offset = [float(np.float32(value)) for value in mean]
    g.op("Scaler", x, out="by_scaler", domain="ai.onnx.ml", offset=offset, scale=[float(1 / s) for s in scale])
    g.output("by_scaler", ["N", 3])

    def draw(rng: Generator, rows: int) -> Feed:
        moment = moments("x", width=2)(rng, rows)["x"]
        return {"x": np.concatenate([moment, rng.integers(0, 90, (rows, 1))], axis=1)}

    return Case(g.model(17, ml=3), batches(rng, draw))


@case("moments-linear")
def linear(rng: Generator) -> Case:
    """A linear model of raw milliseconds in f64, whose bias subtracts nearly all of it."""
    g = Graph("linear")
    x = g.cast(g.input("x", ["N", 2], "i64"), "f64")
    weights = np.array([[1e-9], [-2e-9]])
    bias = -float(np.array([NOW, NOW]) @ weights[:, 0])
    g.op("Add", g.op("MatMul", x, double(g, "weights", weights)), double(g, "bias", [bias]), out="sum")
    g.output("sum", ["N", 1], "f64")
    g.op("ReduceMean", x, axes=[1], keepdims=1, out="mean_moment")
    g.op("Sub", "mean_moment", double(g, "now", NOW), out="mean")
    g.output("mean", ["N", 1], "f64")
    ends = g.op("Sub", g.op("ReduceMax", x, axes=[1]), g.op("ReduceMin", x, axes=[1]), out="range")
    g.output(ends, ["N", 1], "f64")
    return Case(g.model(13), batches(rng, moments("x", width=2)))


@case("moments-compared")
def compared(rng: Generator) -> Case:
    """Which of two moments comes first, in f64, f32 and as integers; and which is chosen by that."""
    g = Graph("order")
    a, b = g.input("a", ["N", 1], "i64"), g.input("b", ["N", 1], "i64")
    for kind in ("f64", "f32"):
        left, right = g.cast(a, kind), g.cast(b, kind)
        for operator in ("Less", "GreaterOrEqual", "Equal"):
            name = f"{operator}_{kind}"
            g.op(operator, left, right, out=name)
            g.output(name, ["N", 1], "bool")
    left, right = g.cast(a, "f64"), g.cast(b, "f64")
    g.op("Sub", g.op("Max", left, right), g.op("Min", left, right), out="apart")
    g.output("apart", ["N", 1], "f64")
    late = g.op("Where", g.op("Less", left, right), right, left)
    g.op("Sub", g.op("Clip", late, double(g, "low", NOW - 30 * DAY)), double(g, "epoch", NOW - 30 * DAY), out="late")
    g.output("late", ["N", 1], "f64")

    def draw(rng: Generator, rows: int) -> Feed:
        feed = moments("a")(rng, rows)
        return feed | {"b": feed["a"] - rng.integers(-2, 3, (rows, 1))}

    return Case(g.model(17), batches(rng, draw))


@case("moments-given")
def given(rng: Generator) -> Case:
    """Moments that come as f64: their difference, which is first, the age of one, standardised; and an amount."""
    g = Graph("given")
    a, b, x = (g.input(name, ["N", 1], "f64") for name in ("a", "b", "x"))
    g.op("Sub", a, b, out="between")
    g.output("between", ["N", 1], "f64")
    g.op("Less", b, a, out="first")
    g.output("first", ["N", 1], "bool")
    age = g.op("Sub", g.op("Squeeze", a, g.ints("last", 1)), double(g, "now", NOW), out="age")
    g.output(age, ["N"], "f64")
    mean = g.op("Sub", b, double(g, "mean", NOW - 45.5 * DAY))
    g.op("Div", mean, double(g, "scale", 26.5 * DAY), out="normal")
    g.output("normal", ["N", 1], "f64")
    # Nothing is lost of this one in f32.
    g.op("Div", g.op("Sub", x, double(g, "amount", 40.25)), double(g, "amounts", 12.5), out="amount_normal")
    g.output("amount_normal", ["N", 1], "f64")

    def draw(rng: Generator, rows: int) -> Feed:
        moment = moments("a")(rng, rows)["a"]
        near = moment - rng.integers(-2000, 2000, (rows, 1))
        return {"a": moment + 0.5, "b": near.astype(np.float64), "x": rng.uniform(0.0, 90.0, (rows, 1))}

    return Case(g.model(17), batches(rng, draw))


@case("moments-calendar")
def calendar(rng: Generator) -> Case:
    """The hour of the day and the day of the week, by Floor, Mod and division, in f64 and in i64; and as an angle."""
    g = Graph("calendar")
    at = g.input("at", ["N", 1], "i64")
    x = g.cast(at, "f64")
    days = g.op("Floor", g.op("Div", x, double(g, "day", DAY)), out="days")
    g.output(days, ["N", 1], "f64")
    rest = g.op("Sub", x, g.op("Mul", days, double(g, "of_day", DAY)))
    g.op("Floor", g.op("Div", rest, double(g, "hour_ms", 3_600_000)), out="hour")
    g.op("Mod", g.op("Add", days, double(g, "thursday", 4)), double(g, "week", 7), out="weekday", fmod=1)
    g.op("Mod", x, double(g, "minute", 60_000), out="in_minute", fmod=1)
    g.op("Ceil", g.op("Div", x, double(g, "hours", 3_600_000)), out="hours_begun")
    g.op("Round", g.op("Div", x, double(g, "half", DAY / 2)), out="half_days")
    for output in ("hour", "weekday", "in_minute", "hours_begun", "half_days"):
        g.output(output, ["N", 1], "f64")
    whole = g.op("Div", at, g.weight("day_i", DAY, np.int64))
    g.op("Mod", g.op("Add", whole, g.weight("four", 4, np.int64)), g.weight("seven", 7, np.int64), out="weekday_i")
    g.output("weekday_i", ["N", 1], "i64")
    g.cast(g.op("Floor", g.op("Div", x, double(g, "days_", DAY))), "i64", out="days_i")
    g.output("days_i", ["N", 1], "i64")
    angle = g.op("Mul", x, double(g, "turn", 2 * np.pi / DAY))
    for operator in ("Sin", "Cos"):
        g.op(operator, angle, out=operator)
        g.output(operator, ["N", 1], "f64")
    edges = np.array([[0], [DAY], [-1], [-DAY], [20_416 * DAY], [20_416 * DAY - 1], [20_417 * DAY + 3_600_000]])
    return Case(g.model(17), batches(rng, moments("at"), {"at": edges.astype(np.int64)}))


@case("moments-beside-trees")
def beside_trees(rng: Generator) -> Case:
    """Features from two moments, side by side with one of f32, into a forest of f64."""
    g = Graph("trees")
    a, b = (g.cast(g.input(name, ["N", 1], "i64"), "f64") for name in ("a", "b"))
    price = g.cast(g.input("price", ["N", 1]), "f64")
    features = g.op("Concat", g.op("Div", g.op("Sub", a, b), double(g, "hour", 3_600_000)), price, axis=1)
    g.op(
        "TreeEnsembleRegressor",
        features,
        out="score",
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0, 0, 0],
        nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[0, 1, 0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
        nodes_values=[0.2001, 0.5, 0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 3, 0, 0, 0],
        nodes_falsenodeids=[2, 4, 0, 0, 0],
        target_treeids=[0, 0, 0],
        target_nodeids=[2, 3, 4],
        target_ids=[0, 0, 0],
        target_weights=[1.0, -2.0, 4.0],
    )
    g.output("score", ["N", 1])

    def draw(rng: Generator, rows: int) -> Feed:
        feed = moments("a")(rng, rows)
        apart = rng.integers(-2_000_000, 2_000_000, (rows, 1))
        return feed | {"b": feed["a"] - apart, "price": rng.random((rows, 1)).astype(np.float32)}

    return Case(g.model(17, ml=3), batches(rng, draw))
