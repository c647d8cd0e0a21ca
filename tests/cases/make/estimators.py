"""scikit-learn's estimators and pipelines through skl2onnx."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn import ensemble as many
from sklearn import linear_model as linear
from sklearn import preprocessing as scale
from sklearn import tree
from sklearn.base import BaseEstimator, is_classifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from .corpus import REGISTRY, Array, Case, Draw, Feed, batches, nasty_rows

FEATURES = 5
OPSET = {"": 18, "ai.onnx.ml": 3}
DIFFERS = {"sklearn-normalizer-max-ridge"}
"""The exporter's fault: scikit-learn divides by the largest magnitude, onnxruntime by the largest number."""
LARGE = {"sklearn-logistic-multinomial", "sklearn-random-forest-regressor", "sklearn-ridge"}
"""These have a thousand rows in one set."""
NAMES = np.array(["dormant", "loyal", "new"])


def rows(rng: Generator, n: int) -> Array:
    """Ordinary rows."""
    return rng.normal(0, 1, (n, FEATURES)).astype(np.float32)


def target(rng: Generator, x: Array, kind: str) -> Array:
    """Something learnable: `binary`, `three`, `names`, `amount` or `count`."""
    x = np.nan_to_num(x)
    signal = x[:, 0] - 0.7 * x[:, 1] + np.where(x[:, 2] > 0.3, 1.0, -0.5) * x[:, 3] + rng.normal(0, 0.3, len(x))
    match kind:
        case "binary":
            return (signal > 0).astype(np.int64)
        case "three":
            return np.digitize(signal, [-0.7, 0.7]).astype(np.int64)
        case "names":
            return NAMES[np.digitize(signal, [-0.7, 0.7])]
        case "count":
            return rng.poisson(np.exp(np.clip(signal, -3, 2))).astype(np.float64)
    return signal


def export(model: BaseEstimator, name: str) -> ModelProto:
    """skl2onnx without ZipMap, under a fixed graph name."""
    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    inputs = [("X", FloatTensorType([None, FEATURES]))]
    return to_onnx(model, initial_types=inputs, options=options, target_opset=OPSET, name=name)


def answers(model: BaseEstimator, found: ModelProto) -> Callable[[Feed], dict[str, Array]]:
    """scikit-learn's predictions, by the names of the graph's outputs."""
    outputs = [output.name for output in found.graph.output]

    def expect(feed: Feed) -> dict[str, Array]:
        x = feed["X"]
        if not is_classifier(model):
            return {outputs[0]: np.asarray(model.predict(x)).reshape(len(x), -1)}
        if hasattr(model, "predict_proba"):
            return {outputs[0]: model.predict(x), outputs[1]: model.predict_proba(x)}
        scores = model.decision_function(x)
        return {outputs[0]: model.predict(x)} | ({outputs[1]: scores} if scores.ndim == 2 else {})

    return expect


def fitted(rng: Generator, name: str, make: Callable[[], BaseEstimator], kind: str, missing: bool, trees: bool) -> Case:
    """Fits on 300 rows, exports, and asks scikit-learn for its opinion."""
    x = rows(rng, 300)
    holes = lambda r, a: np.where(r.random(a.shape) < 0.15, np.float32(np.nan), a) if missing else a
    y = target(rng, x, kind)
    x = holes(rng, x)
    model = make().fit(x, y)
    found = export(model, name)
    draw: Draw = lambda r, n: {"X": holes(r, rows(r, n))}
    if trees:
        nasty = nasty_rows(rng, found, FEATURES)
    else:
        values = [0.0, -0.0, 1e-40, -1e-40, 1e-30, 30.0, -30.0]
        nasty = np.repeat(np.array(values, np.float32)[:, None], FEATURES, axis=1)
    checked = () if name in DIFFERS else ("ordinary", "one", "many")
    many = 1000 if name in LARGE else 200
    return Case(found, batches(rng, draw, {"X": nasty}, many=many), answers(model, found), checked, 2e-5)


Make = Callable[[], BaseEstimator]
LINEAR: list[tuple[str, Make, str]] = [
    ("mlp-classifier-binary", lambda: MLPClassifier((12, 6), max_iter=60, random_state=1), "binary"),
    ("mlp-classifier-three", lambda: MLPClassifier((8,), "tanh", max_iter=60, random_state=1), "three"),
    ("mlp-regressor", lambda: MLPRegressor(hidden_layer_sizes=(12, 6), max_iter=60, random_state=1), "amount"),
    ("mlp-regressor-logistic", lambda: MLPRegressor(activation="logistic", max_iter=9, random_state=1), "amount"),
    ("logistic-binary", lambda: LogisticRegression(), "binary"),
    ("logistic-multinomial", lambda: LogisticRegression(), "three"),
    ("logistic-multinomial-names", lambda: LogisticRegression(), "names"),
    ("logistic-ovr", lambda: OneVsRestClassifier(LogisticRegression()), "three"),
    ("linear-regression", lambda: linear.LinearRegression(), "amount"),
    ("ridge", lambda: Ridge(), "amount"),
    ("lasso", lambda: linear.Lasso(0.1), "amount"),
    ("linear-svc-binary", lambda: LinearSVC(random_state=1), "binary"),
    ("linear-svc-three", lambda: LinearSVC(random_state=1), "three"),
    ("sgd-classifier-log", lambda: linear.SGDClassifier(loss="log_loss", random_state=1), "three"),
    ("poisson", lambda: linear.PoissonRegressor(), "count"),
    ("tweedie", lambda: linear.TweedieRegressor(power=1.5, link="log"), "count"),
    ("standard-scaler-logistic", lambda: make_pipeline(scale.StandardScaler(), LogisticRegression()), "binary"),
    ("minmax-scaler-ridge", lambda: make_pipeline(scale.MinMaxScaler(), Ridge()), "amount"),
    ("minmax-scaler-clip-ridge", lambda: make_pipeline(scale.MinMaxScaler(clip=True), Ridge()), "amount"),
    ("maxabs-scaler-ridge", lambda: make_pipeline(scale.MaxAbsScaler(), Ridge()), "amount"),
    ("robust-scaler-logistic", lambda: make_pipeline(scale.RobustScaler(), LogisticRegression()), "three"),
    ("normalizer-l1-ridge", lambda: make_pipeline(scale.Normalizer("l1"), Ridge()), "amount"),
    ("normalizer-l2-logistic", lambda: make_pipeline(scale.Normalizer("l2"), LogisticRegression()), "binary"),
    ("normalizer-max-ridge", lambda: make_pipeline(scale.Normalizer("max"), Ridge()), "amount"),
    ("scaler-mlp", lambda: make_pipeline(scale.StandardScaler(), MLPClassifier((8,), random_state=1)), "three"),
]

SMALL = {"max_depth": 4, "random_state": 1}
HISTOGRAM = {"max_iter": 6, "max_leaf_nodes": 7, "min_samples_leaf": 5, "random_state": 1}
TREES: list[tuple[str, Callable[..., BaseEstimator], Callable[..., BaseEstimator], dict[str, int]]] = [
    ("decision-tree", tree.DecisionTreeClassifier, tree.DecisionTreeRegressor, SMALL),
    ("random-forest", many.RandomForestClassifier, many.RandomForestRegressor, SMALL | {"n_estimators": 6}),
    ("extra-trees", many.ExtraTreesClassifier, many.ExtraTreesRegressor, SMALL | {"n_estimators": 6}),
    (
        "gradient-boosting",
        many.GradientBoostingClassifier,
        many.GradientBoostingRegressor,
        {"n_estimators": 8, "random_state": 1},
    ),
    ("hist-gradient-boosting", many.HistGradientBoostingClassifier, many.HistGradientBoostingRegressor, HISTOGRAM),
]


def register() -> None:
    """Adds every estimator under its name."""

    def add(name: str, make: Make, kind: str, missing: bool = False, trees: bool = False) -> None:
        name = f"sklearn-{name}"
        REGISTRY.add("sklearn", name, partial(fitted, name=name, make=make, kind=kind, missing=missing, trees=trees))

    for name, make, kind in LINEAR:
        add(name, make, kind)
    for name, classifier, regressor, settings in TREES:
        missing = name.startswith("hist")
        add(f"{name}-binary", partial(classifier, **settings), "binary", missing, True)
        add(f"{name}-three", partial(classifier, **settings), "three", missing, True)
        add(f"{name}-regressor", partial(regressor, **settings), "amount", missing, True)
    add("random-forest-names", partial(many.RandomForestClassifier, 6, **SMALL), "names", trees=True)
    add("adaboost-regressor", lambda: many.AdaBoostRegressor(n_estimators=4, random_state=1), "amount", trees=True)
    add("adaboost-classifier", lambda: many.AdaBoostClassifier(n_estimators=4, random_state=1), "three", trees=True)
