"""onnxruntime's rules for the ai.onnx.ml operators, in numpy.

The README gives these rules in words; the hand-made cases are checked against them on every run.
Trees, thresholds and sums are f32, or f64 where the input is f64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
F = np.float32

COMPARE: dict[str, Callable[..., Any]] = {
    "BRANCH_LEQ": np.less_equal,
    "BRANCH_LT": np.less,
    "BRANCH_GTE": np.greater_equal,
    "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal,
    "BRANCH_NEQ": np.not_equal,
}


@dataclass
class Node:
    """A node of a tree; a leaf has weights by target, a branch has children by index."""

    mode: str
    feature: int = 0
    value: float = 0.0
    true: int = 0
    false: int = 0
    missing: int | None = None
    weights: dict[int, float] = field(default_factory=dict)


Tree = list[Node]


def leaves(tree: Tree, x: Array) -> list[Node]:
    """The leaf each row reaches: integers are compared as f32, NaN only ever passes NEQ or a tracked node."""
    kind = np.float64 if x.dtype == np.float64 else F
    x = x.astype(kind)
    reached = []
    for row in x:
        node = tree[0]
        while node.mode != "LEAF":
            value = row[node.feature]
            passed = bool(COMPARE[node.mode](value, kind(node.value)))
            passed = passed or (node.missing == 1 and bool(np.isnan(value)))
            node = tree[node.true if passed else node.false]
        reached.append(node)
    return reached


def sums(trees: Sequence[Tree], x: Array, targets: int, aggregate: str = "SUM") -> tuple[Array, Array]:
    """Scores [N, targets] in tree order, and whether any reached leaf names that target."""
    kind = np.float64 if x.dtype == np.float64 else F
    score, seen = np.zeros((len(x), targets), kind), np.zeros((len(x), targets), bool)
    for tree in trees:
        for row, leaf in enumerate(leaves(tree, x)):
            for target, weight in leaf.weights.items():
                w, old = kind(weight), score[row, target]
                if aggregate in ("SUM", "AVERAGE"):
                    score[row, target] = old + w
                elif not seen[row, target]:
                    score[row, target] = w
                else:
                    score[row, target] = min(old, w) if aggregate == "MIN" else max(old, w)
                seen[row, target] = True
    if aggregate == "AVERAGE":
        score = score / kind(len(trees))
    return score, seen


def logistic(x: Array) -> Array:
    """1 / (1 + e^-|x|), mirrored for negative numbers."""
    v = 1 / (1 + np.exp(-np.abs(x)))
    return np.where(x < 0, 1 - v, v)


def probit(p: Array) -> Array:
    """√2·erfinv(2p − 1) by Winitzki's approximation with a = .147, not the exact inverse."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x = F(2) * p.astype(F) - F(1)
        log = np.log((F(1) - x) * (F(1) + x))
        v = F(2) / (F(np.pi) * F(0.147)) + F(0.5) * log
        root = np.sqrt(-v + np.sqrt(v * v - log / F(0.147)))
        return np.where(x < 0, -1, 1).astype(F) * root * F(np.sqrt(2))


def softmax(x: Array) -> Array:
    """Over the last axis, shifted by the largest."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_zero(x: Array) -> Array:
    """Softmax over the scores beyond ±1e-7; the others become (x·e^-max)/sum, in practice zero."""
    top = x.max(axis=-1, keepdims=True)
    used = np.abs(x) > 1e-7
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        e = np.where(used, np.exp(x - top), 0)
        return np.where(used, e, x * np.exp(-top)) / e.sum(axis=-1, keepdims=True)


TRANSFORM: dict[str, Callable[[Array], Array]] = {
    "NONE": lambda x: x,
    "LOGISTIC": logistic,
    "SOFTMAX": softmax,
    "SOFTMAX_ZERO": softmax_zero,
    "PROBIT": probit,
}


def regressor(
    trees: Sequence[Tree], x: Array, targets: int, aggregate: str, bases: Sequence[float], transform: str
) -> Array:
    """TreeEnsembleRegressor: one target knows only PROBIT; a target no leaf names stays 0 in spite of a base value."""
    score, seen = sums(trees, x, targets, aggregate)
    if bases:
        score = np.where(seen, score + np.asarray(bases, score.dtype), score.dtype.type(0))
    if targets == 1 and transform != "PROBIT":
        return score.astype(F)
    return TRANSFORM[transform](score.astype(F)).astype(F)


def classifier(
    trees: Sequence[Tree], x: Array, labels: Sequence[int] | Sequence[str], bases: Sequence[float], transform: str
) -> tuple[Array, Array]:
    """TreeEnsembleClassifier: labels and scores."""
    score, seen = sums(trees, x, len(labels))
    names = np.asarray(labels)
    if len(labels) > 2:
        for k, base in enumerate(bases):
            score[:, k] += score.dtype.type(base)
            seen[:, k] = True
        best = np.where(seen, score, -np.inf).argmax(axis=1)
        return names[best], TRANSFORM[transform](score).astype(F)
    weights = [w for tree in trees for node in tree for w in node.weights.items()]
    one_column = len({target for target, _ in weights}) == 1
    all_positive = all(w >= 0 for _, w in weights)
    chosen, scores = [], []
    for s, has in zip(score, seen, strict=True):
        label, pair = binary(s, has, bases, transform, one_column, all_positive)
        chosen.append(label)
        scores.append(pair)
    if not one_column and names.dtype.kind == "i":
        names = np.array([0, 1])
    return names[np.asarray(chosen, np.int64)], np.asarray(scores, F).reshape(-1, 2)


def binary(
    s: Array, has: Array, bases: Sequence[float], transform: str, one_column: bool, all_positive: bool
) -> tuple[int, Array]:
    """One row of a classifier of two labels: the label's index, and two scores."""
    (first, second), (has_first, has_second), kind = s, has, type(s[0])
    if len(bases) == 2 and has_second:
        second = kind(bases[1]) + first
        first = -second if has_first else kind(0)
    elif bases and has_first:
        first = first + kind(bases[0])
    deciding = second if has_second else first
    label = int(deciding > (0.5 if one_column and all_positive else 0))
    if len(bases) == 2 or has_second:
        return label, TRANSFORM[transform](np.array([first, second])).astype(F)
    if transform == "PROBIT" or (not one_column and len(bases) == 1):
        raise ValueError("onnxruntime leaves the second score unwritten here")
    if transform == "LOGISTIC":
        return label, logistic(np.array([-first, first])).astype(F)
    if one_column and all_positive:
        return label, np.array([1 - first, first], F)
    return label, np.array([-first, first], F)


def linear_classifier(
    x: Array, weights: Array, intercepts: Array, labels: Sequence[int] | Sequence[str], transform: str
) -> tuple[Array, Array]:
    """LinearClassifier: `multi_class` is ignored; one row of weights gives [σ(−s), σ(s)] or [1 − s, s]."""
    s = (x.astype(F) @ weights.T.astype(F) + intercepts.astype(F)).astype(F)
    names = np.asarray(labels)
    if len(weights) > 1:
        return names[s.argmax(axis=1)], TRANSFORM[transform](s).astype(F)
    label = names[(s[:, 0] > 0).astype(np.int64)]
    pair = (logistic(-s), logistic(s)) if transform == "LOGISTIC" else (1 - s, s)
    return label, np.concatenate(pair, axis=1).astype(F)


def linear_regressor(x: Array, weights: Array, intercepts: Array, transform: str) -> Array:
    """LinearRegressor: with one target only PROBIT is applied."""
    s = (x @ weights.T.astype(F) + intercepts.astype(F)).astype(F)
    return s if len(weights) == 1 and transform != "PROBIT" else TRANSFORM[transform](s).astype(F)


def normalizer(x: Array, norm: str) -> Array:
    """Normalizer: MAX divides by the largest number, not by the largest magnitude; a row of norm 0 is kept."""
    f = x.astype(F)
    size = {
        "MAX": lambda: f.max(axis=1, keepdims=True),
        "L1": lambda: np.abs(f).sum(axis=1, keepdims=True),
        "L2": lambda: (f * f).sum(axis=1, keepdims=True),
    }[norm]()
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(f < 0, -1, 1) * np.sqrt(f * f / size) if norm == "L2" else f / size
    return np.where(size == 0, f, scaled).astype(F)


def scaler(x: Array, offset: Array, scale: Array) -> Array:
    """Scaler: (x − offset) · scale in f32, or in f64 for f64 input and then rounded."""
    kind = np.float64 if x.dtype == np.float64 else F
    return ((x.astype(kind) - offset.astype(F)) * scale.astype(F)).astype(F)
