"""LightGBM and XGBoost through onnxmltools, CatBoost by itself."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnx
import onnxmltools
import xgboost
from numpy.random import Generator
from onnx import ModelProto
from onnxmltools.convert.common.data_types import FloatTensorType

from .corpus import REGISTRY, Array, Case, Draw, Feed, batches, nasty_rows

FEATURES = 5
TYPES = [("input", FloatTensorType([None, FEATURES]))]
OPSET = 15
DIFFERS = {"lightgbm-regression-zero-as-missing"}
"""The exporter's fault: LightGBM routes zeros as missing, the exported trees compare them."""


LARGE = {"lightgbm-regression", "xgboost-binary"}
"""These have a thousand rows in one set."""


def rows(rng: Generator, n: int, missing: bool = False, zeros: bool = False, category: bool = False) -> Array:
    """Ordinary rows, with holes, many zeros, or a category from 0 to 7 in the last column."""
    x = rng.normal(0, 1, (n, FEATURES))
    if zeros:
        x[rng.random(x.shape) < 0.3] = 0.0
    if category:
        x[:, -1] = rng.integers(0, 8, n)
    if missing:
        x[rng.random(x.shape) < 0.15] = np.nan
    return x.astype(np.float32)


def target(rng: Generator, x: Array, kind: str) -> Array:
    """Something learnable: `amount`, `binary`, `three`, `count` or `grade` (relevance 0 to 3)."""
    x = np.nan_to_num(x)
    signal = x[:, 0] - 0.7 * x[:, 1] + np.where(x[:, 2] > 0.3, 1.0, -0.5) * x[:, 3] + 0.4 * np.sin(3 * x[:, 4])
    signal = signal + rng.normal(0, 0.2, len(x))
    match kind:
        case "binary":
            return (signal > 0).astype(np.int64)
        case "three":
            return np.digitize(signal, [-0.7, 0.7]).astype(np.int64)
        case "grade":
            return np.digitize(signal, [-1.0, 0.0, 1.0]).astype(np.int64)
        case "count":
            return rng.poisson(np.exp(np.clip(signal, -3, 2))).astype(np.float64)
    return signal


def answers(found: ModelProto, predict: Callable[[Array], Array]) -> Callable[[Feed], dict[str, Array]]:
    """The library's own predictions under the names of the graph's outputs."""
    outputs = [output.name for output in found.graph.output]

    def expect(feed: Feed) -> dict[str, Array]:
        y = np.asarray(predict(feed["input"]))
        if len(outputs) == 1:
            return {outputs[0]: y.reshape(len(y), -1)}
        if y.ndim == 1:
            y = np.stack([1 - y, y], axis=1)
        return {outputs[0]: y.argmax(axis=1), outputs[1]: y}

    return expect


def finish(
    rng: Generator, found: ModelProto, predict: Callable[[Array], Array], draw: Callable[[Generator, int], Array]
) -> Case:
    """The usual sets, and a nasty one from the thresholds of the trees."""
    feed: Draw = lambda r, n: {"input": draw(r, n)}
    nasty = {"input": nasty_rows(rng, found, FEATURES)}
    checked = () if found.graph.name in DIFFERS else ("ordinary", "one", "many")
    many = 1000 if found.graph.name in LARGE else 200
    return Case(found, batches(rng, feed, nasty, many=many), answers(found, predict), checked, 2e-5)


def light(
    rng: Generator, name: str, kind: str, parameters: dict[str, object], rounds: int, shape: dict[str, bool]
) -> Case:
    """A LightGBM booster of a few trees."""
    x = rows(rng, 400, **shape)
    data = lightgbm.Dataset(
        x.astype(np.float64),
        target(rng, x, kind),
        group=[20] * 20 if kind == "grade" else None,
        categorical_feature=[FEATURES - 1] if shape.get("category") else [],
    )
    fixed = {
        "num_threads": 1, "verbosity": -1, "seed": 1, "deterministic": True, "force_row_wise": True, "num_leaves": 8,
        "min_data_in_leaf": 10, "min_data_per_group": 5, "cat_smooth": 1.0, "learning_rate": 0.3,
    }  # fmt: skip
    booster = lightgbm.train(fixed | parameters, data, rounds)
    found = onnxmltools.convert_lightgbm(booster, name, TYPES, zipmap=False, target_opset=OPSET)
    predict = lambda a: np.asarray(booster.predict(a.astype(np.float64), num_threads=1))
    return finish(rng, found, predict, lambda r, n: rows(r, n, **shape))


def extreme(rng: Generator, name: str, kind: str, make: Callable[[], xgboost.XGBModel], shape: dict[str, bool]) -> Case:
    """An XGBoost model of a few trees."""
    x = rows(rng, 400, **shape)
    model = make()
    model.set_params(n_estimators=6, max_depth=3, learning_rate=0.3, n_jobs=1, random_state=1, tree_method="exact")
    if shape.get("category"):
        kinds = ["q"] * (FEATURES - 1) + ["c"]
        model.set_params(tree_method="hist", enable_categorical=True, feature_types=kinds)
    y = target(rng, x, kind)
    extra: dict[str, object] = {"group": [20] * 20} if kind == "grade" else {}
    if model.early_stopping_rounds:
        held = rows(rng, 200, **shape)
        model.set_params(n_estimators=60)
        extra = {"eval_set": [(held, target(rng, held, kind))], "verbose": False}
    model.fit(x, y, **extra)
    exported = model
    if isinstance(model, xgboost.XGBRanker):  # the exporter knows no ranker, but the trees are a regressor's
        exported = xgboost.XGBRegressor()
        exported.load_model(model.get_booster().save_raw("json"))
    found = onnxmltools.convert_xgboost(exported, name, TYPES, target_opset=OPSET)
    predict = model.predict_proba if isinstance(model, xgboost.XGBClassifier) else model.predict
    return finish(rng, found, lambda a: np.asarray(predict(a)), lambda r, n: rows(r, n, **shape))


CATBOOST = {"iterations": 6, "depth": 3, "random_seed": 1, "thread_count": 1, "verbose": False, "allow_writing_files": False}


def oblivious(rng: Generator, name: str, kind: str, make: Callable[[], catboost.CatBoost]) -> Case:
    """A CatBoost model of a few trees, as it exports itself: classifiers end in a ZipMap."""
    x = rows(rng, 400)
    model = make()
    extra = {"group_id": np.repeat(np.arange(20), 20)} if kind == "grade" else {}
    model.fit(x, target(rng, x, kind), **extra)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx", export_parameters={"onnx_graph_name": name})
        found = onnx.load(path)
    del found.metadata_props[:]  # the time of day
    feature = found.graph.input[0].name
    sets = batches(rng, lambda r, n: {feature: rows(r, n)}, {feature: nasty_rows(rng, found, FEATURES)})
    outputs = [output.name for output in found.graph.output]

    def expect(feed: Feed) -> dict[str, Array]:
        y = np.asarray(model.predict(feed[feature]))
        return {outputs[0]: y.reshape(len(y), -1)}

    return Case(found, sets, expect if kind in ("amount", "grade") else None, tolerance=2e-5)


def register() -> None:
    """Adds every objective."""

    def lgb(name: str, kind: str, rounds: int = 6, shape: dict[str, bool] | None = None, **parameters: Any) -> None:
        name = f"lightgbm-{name}"
        build = partial(light, name=name, kind=kind, parameters=parameters, rounds=rounds, shape=shape or {})
        REGISTRY.add("lightgbm", name, build)

    lgb("regression", "amount", objective="regression")
    lgb("regression-no-average", "amount", objective="regression", boost_from_average=False)
    lgb("regression-nan", "amount", shape={"missing": True}, objective="regression")
    lgb(
        "regression-zero-as-missing",
        "amount",
        shape={"zeros": True},
        objective="regression",
        zero_as_missing=True,
    )
    lgb("regression-categorical", "amount", shape={"category": True}, objective="regression")
    lgb("quantile", "amount", objective="quantile", alpha=0.8)
    lgb("poisson", "count", objective="poisson")
    lgb("tweedie", "count", objective="tweedie", tweedie_variance_power=1.3)
    lgb("binary", "binary", objective="binary")
    lgb("binary-nan", "binary", shape={"missing": True}, objective="binary")
    lgb("binary-one-tree", "binary", rounds=1, objective="binary")
    lgb("multiclass", "three", objective="multiclass", num_class=3)
    lgb("lambdarank", "grade", objective="lambdarank")

    def xgb(name: str, kind: str, make: Callable[[], xgboost.XGBModel], shape: dict[str, bool] | None = None) -> None:
        name = f"xgboost-{name}"
        REGISTRY.add("xgboost", name, partial(extreme, name=name, kind=kind, make=make, shape=shape or {}))

    def cat(name: str, kind: str, make: Callable[[], catboost.CatBoost]) -> None:
        name = f"catboost-{name}"
        REGISTRY.add("catboost", name, partial(oblivious, name=name, kind=kind, make=make))

    cat("regression", "amount", lambda: catboost.CatBoostRegressor(**CATBOOST))
    cat("quantile", "amount", lambda: catboost.CatBoostRegressor(**CATBOOST, loss_function="Quantile:alpha=0.8"))
    cat("poisson", "count", lambda: catboost.CatBoostRegressor(**CATBOOST, loss_function="Poisson"))
    cat("binary", "binary", lambda: catboost.CatBoostClassifier(**CATBOOST))
    cat("multiclass", "three", lambda: catboost.CatBoostClassifier(**CATBOOST, loss_function="MultiClass"))
    cat("ranker", "grade", lambda: catboost.CatBoostRanker(**CATBOOST, loss_function="YetiRank"))

    regress, decide = xgboost.XGBRegressor, xgboost.XGBClassifier
    xgb("squared-error", "amount", lambda: regress(objective="reg:squarederror"))
    xgb("squared-error-base-score", "amount", lambda: regress(objective="reg:squarederror", base_score=2.5))
    xgb("squared-error-missing", "amount", lambda: regress(objective="reg:squarederror"), shape={"missing": True})
    xgb("poisson", "count", lambda: regress(objective="count:poisson"))
    xgb("binary", "binary", lambda: decide(objective="binary:logistic"))
    xgb("binary-base-score", "binary", lambda: decide(objective="binary:logistic", base_score=0.2))
    xgb("binary-missing", "binary", lambda: decide(objective="binary:logistic"), shape={"missing": True})
    xgb("multi-softprob", "three", lambda: decide(objective="multi:softprob"))
    xgb("early-stopped", "amount", lambda: regress(objective="reg:squarederror", early_stopping_rounds=2))
    xgb("early-stopped-binary", "binary", lambda: decide(objective="binary:logistic", early_stopping_rounds=2))
    xgb("early-stopped-multi", "three", lambda: decide(objective="multi:softprob", early_stopping_rounds=2))
    for name, most in (("one-hot", 100), ("sets", 1)):
        make = partial(regress, objective="reg:squarederror", max_cat_to_onehot=most)
        xgb(f"categorical-{name}", "amount", make, shape={"category": True})
    xgb("rank-pairwise", "grade", lambda: xgboost.XGBRanker(objective="rank:pairwise"))
