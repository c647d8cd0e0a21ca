"""Mixed tables, a column for each input: strings, integers and floats through a ColumnTransformer."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.random import Generator
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import ensemble, impute, linear_model
from sklearn import preprocessing as before
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from .corpus import REGISTRY, Case, Feed, batches
from .estimators import OPSET

TOWNS = ["Aachen", "Bonn", "Köln", "Trier"]
SIZES = ["large", "medium", "small"]
TYPES = [
    ("town", StringTensorType([None, 1])),
    ("size", StringTensorType([None, 1])),
    ("shelf", Int64TensorType([None, 1])),
    ("price", FloatTensorType([None, 1])),
    ("stock", FloatTensorType([None, 1])),
]


def table(rng: Generator, n: int, strange: bool = False, holes: bool = True) -> Feed:
    """Rows of a shop; with `strange` ones that training has not seen."""
    towns = [*TOWNS, "Ulm", ""] if strange else TOWNS
    price = np.where(rng.random(n) < (0.2 if holes else 0), np.nan, rng.gamma(2, 20, n)).astype(np.float32)
    columns = {
        "town": rng.choice(np.array(towns, dtype=object), n),
        "size": rng.choice(np.array(SIZES, dtype=object), n),
        "shelf": rng.integers(0, 9 if strange else 5, n),
        "price": price,
        "stock": rng.poisson(3, n).astype(np.float32),
    }
    return {name: column.reshape(n, 1) for name, column in columns.items()}


def frame(feed: Feed) -> pd.DataFrame:
    """The same as a table of scikit-learn's kind."""
    return pd.DataFrame({name: column[:, 0] for name, column in feed.items()})


Build = Callable[[], BaseEstimator]
NUMBERS = ["price", "stock"]


def encoder() -> before.OneHotEncoder:
    """One that encodes unknown values as zeros."""
    return before.OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def ordinal() -> before.OrdinalEncoder:
    """One that has a number for unknown values."""
    return before.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def scaled() -> BaseEstimator:
    """Numbers with means for holes."""
    return make_pipeline(impute.SimpleImputer(), before.StandardScaler())


def columns(*parts: tuple[str, BaseEstimator | str, list[str]]) -> ColumnTransformer:
    """A transformer for each group of columns."""
    return ColumnTransformer(list(parts))


def bins() -> BaseEstimator:
    """Numbers in separate bins."""
    return make_pipeline(
        impute.SimpleImputer(strategy="median"),
        before.KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
    )


MODELS: dict[str, tuple[Build, bool]] = {
    "onehot-logistic": (
        lambda: make_pipeline(
            columns(("text", encoder(), ["town", "size"]), ("numbers", scaled(), NUMBERS)),
            linear_model.LogisticRegression(),
        ),
        True,
    ),
    "ordinal-forest": (
        lambda: make_pipeline(
            columns(("text", ordinal(), ["town", "size"]), ("numbers", impute.SimpleImputer(), NUMBERS)),
            ensemble.RandomForestClassifier(4, max_depth=3, random_state=1),
        ),
        True,
    ),
    "ordinal-boosting": (
        lambda: make_pipeline(
            columns(("text", ordinal(), ["town", "size", "shelf"]), ("numbers", "passthrough", NUMBERS)),
            ensemble.HistGradientBoostingRegressor(max_iter=6, max_leaf_nodes=7, random_state=1),
        ),
        True,
    ),
    "onehot-integers": (
        lambda: make_pipeline(
            columns(("shelf", encoder(), ["shelf"]), ("town", encoder(), ["town"]), ("numbers", bins(), NUMBERS)),
            linear_model.Ridge(),
        ),
        True,
    ),
    "infrequent": (
        lambda: columns(
            ("text", before.OneHotEncoder(drop="first", sparse_output=False), ["town", "size"]),
            ("numbers", before.MinMaxScaler(), ["stock"]),
        ),
        False,
    ),
    "passthrough": (
        lambda: columns(("text", ordinal(), ["town"]), ("numbers", "passthrough", ["price", "shelf"])),
        True,
    ),
    "imputed-text": (
        lambda: make_pipeline(
            columns(
                ("text", make_pipeline(impute.SimpleImputer(strategy="most_frequent", missing_values=""), encoder()), ["town"]),
                ("numbers", scaled(), NUMBERS),
            ),
            linear_model.LogisticRegression(),
        ),
        True,
    ),
    "functions": (
        lambda: make_pipeline(
            columns(
                ("polynomial", make_pipeline(impute.SimpleImputer(), before.PolynomialFeatures(2)), NUMBERS),
                ("text", encoder(), ["size"]),
            ),
            linear_model.Lasso(0.1),
        ),
        True,
    ),
}  # fmt: skip


def fitted(rng: Generator, name: str, build: Build, strange: bool) -> Case:
    """Fits on 200 rows, exports with an input for each column."""
    train = table(rng, 200)
    numbers = np.nan_to_num(train["price"][:, 0]) / 20 + (train["town"][:, 0] == "Bonn") + train["stock"][:, 0] / 3
    model = build()
    target = (numbers > np.median(numbers)).astype(np.int64) if is_classifier(model) else numbers
    model.fit(frame(train), target)
    found = export(model, name)
    draw = lambda r, n: table(r, n, strange)
    sets = batches(rng, draw, table(rng, 30, True) if strange else None, many=200)
    sets = [(kind, {i.name: feed[i.name] for i in found.graph.input}) for kind, feed in sets]
    return Case(found, sets)


def export(model: BaseEstimator, name: str) -> ModelProto:
    """skl2onnx without ZipMap."""
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    used = set(model.feature_names_in_)
    chosen = [entry for entry in TYPES if entry[0] in used]
    return to_onnx(model, initial_types=chosen, options=options, target_opset=OPSET, name=name)


def register() -> None:
    """Adds every pipeline."""
    for name, (build, strange) in MODELS.items():
        name = f"frame-{name}"
        REGISTRY.add("sklearn", name, partial(fitted, name=name, build=build, strange=strange))
