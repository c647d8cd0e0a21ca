"""LinearClassifier, LinearRegressor, Scaler and Normalizer written by hand."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.random import Generator

from . import rules
from .corpus import REGISTRY, Array, Case, Draw, batches
from .graph import ML, Graph

FEATURES = 5
EVERY = ("ordinary", "one", "many", "nasty", "empty")
DTYPES = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32}

Expect = Callable[[Array], dict[str, Array]]


def rows(kind: str) -> Draw:
    """Small numbers, integers for integer inputs."""
    scale = 3 if kind.startswith("i") else 1
    return lambda rng, n: {"X": (rng.normal(0, scale, (n, FEATURES))).astype(DTYPES[kind])}


def zeros_and_signs(kind: str) -> dict[str, Array]:
    """Rows of zero, of one sign, of cancelling signs, denormal and large."""
    some = [
        [0, 0, 0, 0, 0],
        [-0.0, -0.0, -0.0, -0.0, -0.0],
        [-1, -2, -3, -4, -5],
        [-1, 0, -3, 0, -5],
        [1, -1, 2, -2, 0],
        [0, 0, 7, 0, 0],
        [1000, -2000, 3, 4, 5],
    ]
    real = [[1e-40, 0, 0, 0, 0], [1e-25, -1e-25, 0, 0, 0], [0.5, 0.25, -0.125, 1e6, -1e6]]
    return {"X": np.array(some + ([] if kind.startswith("i") else real), dtype=DTYPES[kind])}


def finish(rng: Generator, g: Graph, expects: Sequence[Expect], kind: str = "f32", many: int = 200) -> Case:
    """The usual sets, checked against the rules."""

    def expect(feed: dict[str, Array]) -> dict[str, Array]:
        return {name: values for rule in expects for name, values in rule(feed["X"]).items()}

    return Case(g.model(ml=3), batches(rng, rows(kind), zeros_and_signs(kind), many=many), expect, EVERY, 2e-6)


def classify(
    g: Graph, rng: Generator, out: str, rows_of: int, labels: Sequence[int] | Sequence[str], transform: str, multi: int
) -> Expect:
    """Appends a LinearClassifier with `rows_of` rows of weights."""
    w, b = (rng.normal(0, 0.4, size).astype(np.float32) for size in ((rows_of, FEATURES), rows_of))
    text = isinstance(labels[0], str)
    key = "classlabels_strings" if text else "classlabels_ints"
    names = [f"{out}_label", f"{out}_scores"]
    g.op_n(
        "LinearClassifier", ["X"], names, ML, coefficients=w.ravel().tolist(), intercepts=b.tolist(),
        multi_class=multi, post_transform=transform, **{key: list(labels)},
    )  # fmt: skip
    g.output(names[0], [None], "str" if text else "i64")
    g.output(names[1], [None, len(labels)])
    return lambda x: dict(zip(names, rules.linear_classifier(x, w, b, labels, transform), strict=True))


def classifier_case(rng: Generator, transform: str) -> Case:
    """One row of weights (two labels), two rows and three rows, with `multi_class` 0 and 1."""
    g = Graph("linear")
    g.input("X", [None, FEATURES])
    found = [classify(g, rng, "pair", 2, [3, -4], transform, 1), classify(g, rng, "three", 3, [5, 0, 9], transform, 1)]
    found.append(classify(g, rng, "three_ovr", 3, ["a", "b", "c"], transform, 0))
    if transform != "PROBIT":
        found.append(classify(g, rng, "single", 1, [3, -4], transform, 0))
        found.append(classify(g, rng, "single_text", 1, ["stay", "leave"], transform, 1))
    return finish(rng, g, found, many=60)


def regressor_rule(x: Array, out: str, weights: Array, intercepts: Array, transform: str) -> dict[str, Array]:
    """Expected output of a LinearRegressor."""
    return {out: rules.linear_regressor(x, weights, intercepts, transform)}


def regressor_case(rng: Generator, transform: str) -> Case:
    """One target and three, with and without intercepts; PROBIT gets numbers inside (0, 1)."""
    g = Graph("linear")
    g.input("X", [None, FEATURES])
    scale, middle = (0.02, 0.5) if transform == "PROBIT" else (0.5, 0.0)
    found: list[Expect] = []
    for targets in (1, 3):
        for name, intercepts in (("plain", False), ("shifted", True)):
            if transform == "PROBIT" and not intercepts:
                continue
            w = rng.normal(0, scale, (targets, FEATURES)).astype(np.float32)
            b = (middle + rng.normal(0, scale, targets) * intercepts).astype(np.float32)
            out = f"{name}_{targets}"
            extra = {"intercepts": b.tolist()} if intercepts else {}
            g.op(
                "LinearRegressor", "X", out=out, domain=ML, targets=targets, coefficients=w.ravel().tolist(),
                post_transform=transform, **extra,
            )  # fmt: skip
            g.output(out, [None, targets])
            found.append(partial(regressor_rule, out=out, weights=w, intercepts=b, transform=transform))
    made = finish(rng, g, found, many=60)
    return Case(made.model, [s for s in made.sets if s[0] != "nasty"], made.expect, EVERY, 2e-6)


def typed_case(rng: Generator, kind: str) -> Case:
    """LinearClassifier, Scaler and Normalizer on f64, i64 or i32."""
    g = Graph("linear")
    g.input("X", [None, FEATURES], kind)
    found = [classify(g, rng, "class", 3, [0, 1, 2], "SOFTMAX", 1), scale(g, rng, "scaled", FEATURES), norm(g, "L1")]
    return finish(rng, g, found, kind, many=60)


def scale(g: Graph, rng: Generator, out: str, size: int) -> Expect:
    """Appends a Scaler with an offset and scale per feature, or one for all."""
    offset, by = (rng.normal(0, 1, size).astype(np.float32) for _ in range(2))
    g.op("Scaler", "X", out=out, domain=ML, offset=offset.tolist(), scale=by.tolist())
    g.output(out, [None, FEATURES])
    return lambda x: {out: rules.scaler(x, offset, by)}


def norm(g: Graph, kind: str) -> Expect:
    """Appends a Normalizer."""
    out = g.op("Normalizer", "X", out=f"norm_{kind.lower()}", domain=ML, norm=kind)
    g.output(out, [None, FEATURES])
    return lambda x: {out: rules.normalizer(x, kind)}


case = REGISTRY.family("linear")


@case("linear-scaler")
def scaler(rng: Generator) -> Case:
    """Per feature and one for all; NaN and infinities go through."""
    g = Graph("linear")
    g.input("X", [None, FEATURES])
    made = finish(rng, g, [scale(g, rng, "each", FEATURES), scale(g, rng, "same", 1)])
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40], dtype=np.float32)
    sets = [(k, {"X": np.stack([np.roll(odd, i) for i in range(5)])} if k == "nasty" else f) for k, f in made.sets]
    return Case(made.model, sets, made.expect, EVERY, 2e-6)


def normalizer_case(rng: Generator, kind: str) -> Case:
    """Rows of zeros are kept; MAX divides by the largest number even when that is negative or tiny."""
    g = Graph("linear")
    g.input("X", [None, FEATURES])
    return finish(rng, g, [norm(g, kind)])


def register() -> None:
    """Adds the cases that differ in one word."""
    add = partial(REGISTRY.add, "linear")
    for transform in rules.TRANSFORM:
        short = transform.lower().replace("_", "-")
        add(f"linear-classifier-{short}", partial(classifier_case, transform=transform))
        add(f"linear-regressor-{short}", partial(regressor_case, transform=transform))
    for kind in ("f64", "i64", "i32"):
        add(f"linear-input-{kind}", partial(typed_case, kind=kind))
    for kind in ("MAX", "L1", "L2"):
        add(f"linear-normalizer-{kind.lower()}", partial(normalizer_case, kind=kind))
