"""The rest of scikit-learn: machines, neighbours, mixtures, ensembles of ensembles, and preprocessing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.random import Generator
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import calibration, cluster, impute, mixture, multiclass, multioutput, pipeline, svm
from sklearn import decomposition as parts
from sklearn import discriminant_analysis as discriminant
from sklearn import ensemble as many
from sklearn import feature_selection as select
from sklearn import gaussian_process as process
from sklearn import linear_model as linear
from sklearn import naive_bayes as bayes
from sklearn import neighbors as near
from sklearn import preprocessing as before
from sklearn import tree
from sklearn.base import BaseEstimator, is_classifier
from sklearn.linear_model import LogisticRegression, Ridge

from .corpus import REGISTRY, Array, Case, Draw, Feed, batches, nasty_rows
from .estimators import FEATURES, NAMES, OPSET, rows

Make = Callable[[], BaseEstimator]


@dataclass(frozen=True)
class Entry:
    """A model, its training data, and the tolerance of its second opinion."""

    make: Make
    target: str = "none"
    """`amount`, `positive`, `binary`, `three`, `names`, `two amounts`, `two classes` or `none`."""
    data: str = "normal"
    """`normal`, `counts`, `positive`, `holes` or `shelves` (whole numbers from 0 to 3)."""
    nasty: str = "trees"
    """`trees` (everything, thresholds too), `finite`, `missing` (NaN alone), `shelves` or `none`."""
    rows: int = 120
    agrees: float | None = 1e-4
    """Relative tolerance to scikit-learn, in f64; `None` if the exporter differs from it."""
    zipmap: bool = False
    many: int = 40


def draw(rng: Generator, n: int, data: str) -> Array:
    """Rows of one kind."""
    x = rows(rng, n)
    match data:
        case "counts":
            return np.floor(np.abs(x) * 3).astype(np.float32)
        case "positive":
            return np.abs(x) + np.float32(0.1)
        case "holes":
            return np.where(rng.random(x.shape) < 0.2, np.float32(np.nan), x)
        case "shelves":
            return np.floor(np.abs(x)).clip(0, 3).astype(np.float32)
    return x


def target(rng: Generator, x: Array, kind: str) -> Array | None:
    """Something learnable."""
    x = np.nan_to_num(x)
    signal = x[:, 0] - 0.7 * x[:, 1] + np.where(x[:, 2] > 0.3, 1.0, -0.5) * x[:, 3] + rng.normal(0, 0.3, len(x))
    low, high = np.quantile(signal, [0.3, 0.6])
    match kind:
        case "none":
            return None
        case "positive":
            return np.exp(np.clip(signal, -2, 2))
        case "binary":
            return (signal > low).astype(np.int64)
        case "three":
            return np.digitize(signal, [low, high]).astype(np.int64)
        case "names":
            return NAMES[np.digitize(signal, [low, high])]
        case "two amounts":
            return np.stack([signal, 2 * signal + x[:, 4]], axis=1)
        case "two classes":
            return np.stack([signal > 0, x[:, 1] > 0], axis=1).astype(np.int64)
    return signal


def answers(model: BaseEstimator, found: ModelProto) -> Callable[[Feed], dict[str, Array]] | None:
    """scikit-learn's predictions, by the names of the graph's outputs, if comparable."""
    outputs = [output.name for output in found.graph.output]

    def expect(feed: Feed) -> dict[str, Array]:
        x = feed["X"].astype(np.float64)
        if is_classifier(model):
            given = {outputs[0]: np.asarray(model.predict(x))}
            return given | ({outputs[1]: model.predict_proba(x)} if hasattr(model, "predict_proba") else {})
        if hasattr(model, "predict"):
            y = np.asarray(model.predict(x))
            return {outputs[0]: y if y.ndim == 2 or hasattr(model, "labels_") else y.reshape(len(x), -1)}
        return {outputs[0]: np.asarray(model.transform(x))}

    return expect


def fitted(rng: Generator, name: str, entry: Entry) -> Case:
    """Fits, exports, and asks scikit-learn for its opinion."""
    x = draw(rng, entry.rows, entry.data)
    y = target(rng, x, entry.target)
    np.random.seed(1)  # a few estimators have no seed of their own
    model = entry.make()
    model.fit(x.astype(np.float64), y)
    found = export(model, name, entry.zipmap)
    sets = batches(rng, lambda r, n: {"X": draw(r, n, entry.data)}, nasty(rng, found, entry.nasty), many=entry.many)
    expect = None if entry.agrees is None else answers(model, found)
    return Case(found, sets, expect, tolerance=entry.agrees or 0.0)


def nasty(rng: Generator, found: ModelProto, kind: str) -> Feed | None:
    """Rows that a model of this kind must handle."""
    finite = np.array([0.0, -0.0, 1e-40, -1e-40, 1e-30, 30.0, -30.0], np.float32)
    match kind:
        case "trees":
            return {"X": nasty_rows(rng, found, FEATURES)}
        case "finite":
            return {"X": np.repeat(finite[:, None], FEATURES, axis=1)}
        case "missing":
            mixed = rng.choice(np.append(finite, np.nan).astype(np.float32), (12, FEATURES))
            return {"X": np.concatenate([np.full((1, FEATURES), np.nan, np.float32), mixed])}
        case "shelves":
            edges = np.array([-0.0, 1e-40, 0.9999999, 2.9999998, 3.0], np.float32)
            return {"X": np.concatenate([np.repeat(edges[:, None], FEATURES, axis=1), rng.choice(edges, (9, FEATURES))])}
    return None


def export(model: BaseEstimator, name: str, zipmap: bool) -> ModelProto:
    """skl2onnx under a fixed graph name."""
    inputs = [("X", FloatTensorType([None, FEATURES]))]
    options = {id(model): {"zipmap": zipmap}} if is_classifier(model) else None
    try:
        return to_onnx(model, initial_types=inputs, options=options, target_opset=OPSET, name=name)
    except NameError:  # it knows no such option
        return to_onnx(model, initial_types=inputs, target_opset=OPSET, name=name)


def small_tree() -> tree.DecisionTreeClassifier:
    """A classifier as part of other models."""
    return tree.DecisionTreeClassifier(max_depth=3, random_state=1)


def small_regressor() -> tree.DecisionTreeRegressor:
    """A regressor as part of other models."""
    return tree.DecisionTreeRegressor(max_depth=3, random_state=1)


def kernels() -> dict[str, Entry]:
    """Support vector machines, with every kernel."""
    found = {}
    for kernel in ("linear", "rbf", "poly", "sigmoid"):
        found[f"svc-{kernel}"] = Entry(partial(svm.SVC, kernel=kernel), "three", nasty="finite", agrees=None)
        found[f"svc-{kernel}-binary"] = Entry(partial(svm.SVC, kernel=kernel), "binary", nasty="finite", agrees=None)
        found[f"svr-{kernel}"] = Entry(partial(svm.SVR, kernel=kernel), "amount", nasty="finite")
    found["svc-probability"] = Entry(lambda: svm.SVC(probability=True, random_state=1), "three", agrees=None)
    found["svc-probability-binary"] = Entry(lambda: svm.SVC(probability=True, random_state=1), "binary", agrees=None)
    found["svc-probability-names"] = Entry(lambda: svm.SVC(probability=True, random_state=1), "names", agrees=None)
    found["svc-rbf"] = replace(found["svc-rbf"], many=1000)
    found["nu-svc"] = Entry(lambda: svm.NuSVC(nu=0.2), "three", nasty="finite", agrees=None)
    found["nu-svr"] = Entry(lambda: svm.NuSVR(), "amount")
    found["one-class-svm"] = Entry(lambda: svm.OneClassSVM(nu=0.1), nasty="finite", agrees=None)
    return found


ENTRIES: dict[str, Entry] = kernels() | {
    "elastic-net": Entry(lambda: linear.ElasticNet(0.1), "amount", nasty="finite"),
    "sgd-regressor": Entry(lambda: linear.SGDRegressor(random_state=1), "amount", nasty="finite"),
    "gamma": Entry(lambda: linear.GammaRegressor(), "positive", nasty="finite"),
    "linear-svr": Entry(lambda: svm.LinearSVR(random_state=1), "amount", nasty="finite"),
    "multi-task-lasso": Entry(lambda: linear.MultiTaskLasso(0.1), "two amounts", nasty="finite"),
    "ridge-classifier": Entry(lambda: linear.RidgeClassifier(), "three", nasty="finite"),
    "perceptron": Entry(lambda: linear.Perceptron(random_state=1), "three", nasty="finite", agrees=None),
    "sgd-hinge": Entry(lambda: linear.SGDClassifier(random_state=1), "binary", nasty="finite", agrees=None),
    "sgd-huber": Entry(lambda: linear.SGDClassifier(loss="modified_huber", random_state=1), "three", "normal", "finite", agrees=None),
    "bagging-classifier": Entry(lambda: many.BaggingClassifier(small_tree(), 3, random_state=1), "three"),
    "bagging-regressor": Entry(lambda: many.BaggingRegressor(small_regressor(), 3, random_state=1), "amount"),
    "voting-soft": Entry(
        lambda: many.VotingClassifier(
            [("a", LogisticRegression()), ("b", small_tree())], voting="soft", flatten_transform=False
        ),
        "three",
        nasty="finite",
    ),
    "voting-hard": Entry(
        lambda: many.VotingClassifier(
            [("a", LogisticRegression()), ("b", small_tree()), ("c", bayes.GaussianNB())], flatten_transform=False
        ),
        "three",
        nasty="finite",
        agrees=None,
    ),
    "voting-regressor": Entry(
        lambda: many.VotingRegressor([("a", Ridge()), ("b", small_regressor())]), "amount", nasty="finite"
    ),
    "stacking-classifier": Entry(
        lambda: many.StackingClassifier([("a", LogisticRegression()), ("b", small_tree())], LogisticRegression()),
        "three",
        nasty="finite",
    ),
    "stacking-regressor": Entry(
        lambda: many.StackingRegressor([("a", Ridge()), ("b", small_regressor())], Ridge()), "amount", nasty="finite"
    ),
    "calibrated-sigmoid": Entry(lambda: calibration.CalibratedClassifierCV(small_tree(), cv=2), "three"),
    "calibrated-isotonic": Entry(
        lambda: calibration.CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2),
        "three",
        nasty="finite",
        agrees=None,
    ),
    "calibrated-svc-binary": Entry(
        lambda: calibration.CalibratedClassifierCV(svm.LinearSVC(random_state=1), cv=2), "binary", nasty="finite"
    ),
    "multi-output-regressor": Entry(
        lambda: multioutput.MultiOutputRegressor(Ridge()), "two amounts", nasty="finite"
    ),
    "one-vs-rest-trees": Entry(lambda: multiclass.OneVsRestClassifier(small_tree()), "three", agrees=None),
    "one-vs-one": Entry(
        lambda: multiclass.OneVsOneClassifier(LogisticRegression()), "three", nasty="finite", agrees=None
    ),
    "isolation-forest": Entry(
        lambda: many.IsolationForest(n_estimators=5, max_samples=30, random_state=1), agrees=None
    ),
    "local-outlier-factor": Entry(lambda: near.LocalOutlierFactor(n_neighbors=5, novelty=True), agrees=None),
    "gaussian-nb": Entry(lambda: bayes.GaussianNB(), "three"),
    "multinomial-nb": Entry(lambda: bayes.MultinomialNB(), "three", data="counts"),
    "bernoulli-nb": Entry(lambda: bayes.BernoulliNB(), "three"),
    "complement-nb": Entry(lambda: bayes.ComplementNB(), "three", data="counts"),
    "categorical-nb": Entry(lambda: bayes.CategoricalNB(min_categories=4), "three", data="shelves", nasty="shelves"),
    "k-neighbors-classifier": Entry(lambda: near.KNeighborsClassifier(3), "three"),
    "k-neighbors-classifier-distance": Entry(
        lambda: near.KNeighborsClassifier(3, weights="distance"), "three", agrees=None
    ),
    "k-neighbors-regressor": Entry(lambda: near.KNeighborsRegressor(3), "amount", many=1000),
    "k-neighbors-regressor-distance": Entry(
        lambda: near.KNeighborsRegressor(3, weights="distance"), "amount", agrees=None
    ),
    "k-neighbors-regressor-manhattan": Entry(
        lambda: near.KNeighborsRegressor(3, metric="manhattan"), "amount"
    ),
    "k-means": Entry(lambda: cluster.KMeans(3, n_init=2, random_state=1), nasty="finite"),
    "mini-batch-k-means": Entry(lambda: cluster.MiniBatchKMeans(3, n_init=2, random_state=1), nasty="finite"),
    "gaussian-mixture": Entry(lambda: mixture.GaussianMixture(2, random_state=1), nasty="finite", agrees=None),
    "gaussian-mixture-diagonal": Entry(
        lambda: mixture.GaussianMixture(2, covariance_type="diag", random_state=1), nasty="finite", agrees=None
    ),
    "pca": Entry(lambda: parts.PCA(3, random_state=1), nasty="finite"),
    "pca-whiten": Entry(lambda: parts.PCA(3, whiten=True, random_state=1), nasty="finite"),
    "truncated-svd": Entry(lambda: parts.TruncatedSVD(3, random_state=1), nasty="finite"),
    "incremental-pca": Entry(lambda: parts.IncrementalPCA(3), nasty="finite"),
    "kernel-pca": Entry(lambda: parts.KernelPCA(n_components=3, kernel="rbf"), nasty="finite", agrees=None),
    "linear-discriminant": Entry(lambda: discriminant.LinearDiscriminantAnalysis(), "three", nasty="finite"),
    "linear-discriminant-binary": Entry(
        lambda: discriminant.LinearDiscriminantAnalysis(), "binary", nasty="finite", agrees=None
    ),
    "quadratic-discriminant": Entry(
        lambda: discriminant.QuadraticDiscriminantAnalysis(), "three", agrees=None
    ),
    "gaussian-process": Entry(
        lambda: process.GaussianProcessRegressor(process.kernels.RBF(), alpha=0.1, random_state=1),
        "amount",
        nasty="finite",
        rows=30,
        agrees=1e-3,
    ),
    "power-transformer": Entry(lambda: before.PowerTransformer(), nasty="finite", agrees=1e-3),
    "power-transformer-box-cox": Entry(
        lambda: before.PowerTransformer(method="box-cox"), data="positive", nasty="none", agrees=1e-3
    ),
    "quantile-transformer": Entry(lambda: before.QuantileTransformer(n_quantiles=10), agrees=None),
    "polynomial-features": Entry(lambda: before.PolynomialFeatures(2), nasty="finite"),
    "polynomial-features-interactions": Entry(lambda: before.PolynomialFeatures(3, interaction_only=True)),
    "k-bins-onehot-dense": Entry(
        lambda: before.KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
        nasty="finite",
    ),
    "k-bins-ordinal": Entry(
        lambda: before.KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"), nasty="finite"
    ),
    "ordinal-encoder": Entry(lambda: before.OrdinalEncoder(categories=[[0.0, 1.0, 2.0, 3.0]] * FEATURES), data="shelves", nasty="none"),
    "ordinal-encoder-unknown": Entry(
        lambda: before.OrdinalEncoder(
            categories=[[0.0, 2.0, 3.0]] * FEATURES, handle_unknown="use_encoded_value", unknown_value=-1
        ),
        data="shelves",
        nasty="none",
    ),
    "binarizer": Entry(lambda: before.Binarizer(threshold=0.3), nasty="finite"),
    "imputer-mean": Entry(lambda: impute.SimpleImputer(), data="holes"),
    "imputer-median": Entry(lambda: impute.SimpleImputer(strategy="median"), data="holes"),
    "imputer-most-frequent": Entry(lambda: impute.SimpleImputer(strategy="most_frequent"), data="holes"),
    "imputer-constant": Entry(lambda: impute.SimpleImputer(strategy="constant", fill_value=7.0), data="holes"),
    "imputer-forest": Entry(
        lambda: pipeline.make_pipeline(
            impute.SimpleImputer(), many.RandomForestClassifier(4, max_depth=3, random_state=1)
        ),
        "three",
        data="holes",
    ),
    "select-k-best": Entry(lambda: select.SelectKBest(k=2), "three"),
    "variance-threshold": Entry(lambda: select.VarianceThreshold(0.1)),
    "function-transformer": Entry(lambda: before.FunctionTransformer()),
    "feature-union": Entry(
        lambda: pipeline.FeatureUnion([("a", before.StandardScaler()), ("b", parts.PCA(2))]), nasty="finite"
    ),
    "multi-output-classifier": Entry(
        lambda: multioutput.MultiOutputClassifier(small_tree()), "two classes", agrees=None
    ),
    "zipmap": Entry(lambda: LogisticRegression(), "three", nasty="finite", agrees=None, zipmap=True),
    "zipmap-names": Entry(
        lambda: many.RandomForestClassifier(4, max_depth=3, random_state=1), "names", agrees=None, zipmap=True
    ),
}


def label_encoder(rng: Generator) -> Case:
    """The positions of names, without any features."""
    model = before.LabelEncoder().fit(NAMES)
    found = to_onnx(model, initial_types=[("X", StringTensorType([None]))], target_opset=OPSET, name="label-encoder")
    sets = [(kind, {"X": rng.choice(NAMES, n).astype(object)}) for kind, n in (("ordinary", 7), ("one", 1), ("many", 40))]
    output = found.graph.output[0].name
    return Case(found, sets, lambda feed: {output: model.transform(feed["X"].astype(str))})


def register() -> None:
    """Adds every estimator under its name."""
    REGISTRY.add("sklearn", "sklearn-label-encoder", label_encoder)
    for name, entry in ENTRIES.items():
        name = f"sklearn-{name}"
        REGISTRY.add("sklearn", name, partial(fitted, name=name, entry=entry))
