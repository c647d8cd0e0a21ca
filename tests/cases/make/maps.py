"""Hand-made maps, encoders, imputers and support vector machines, as exporters may write them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from onnx import TensorProto, helper, numpy_helper

from .corpus import REGISTRY, Array, Case, batches
from .graph import ML, Dims, Graph

TOWNS = np.array(["Aachen", "Bonn", "", "Köln", "Trier", "never seen"], dtype=object)
NUMBERS = np.array([-7, 0, 1, 2, 5, 2**40, 99], np.int64)
FLOATS = np.array([-1.5, 0.0, -0.0, 2.5, np.nan, np.inf, 7.0, 1e-40], np.float32)
POOLS = {"str": TOWNS, "i64": NUMBERS, "f32": FLOATS}


def one(
    rng: Generator, operator: str, kind: str, out: str, ml: int, dims: Dims = (None, 3), pool: Array | None = None,
    out_dims: Dims | None = None, **attributes: Any,
) -> Case:  # fmt: skip
    """A model of one node between tensors of two kinds."""
    g = Graph("maps")
    g.op(operator, g.input("x", dims, kind), out="y", domain=ML, **attributes)
    g.output("y", dims if out_dims is None else out_dims, out)
    found = POOLS[kind] if pool is None else pool
    draw = lambda r, n: {"x": r.choice(found, (n, *dims[1:]))}
    return Case(g.model(ml=ml), batches(rng, draw, {"x": np.resize(found, (len(found), *dims[1:]))}, many=30))


def tensor(values: object, kind: int) -> TensorProto:
    """A tensor attribute."""
    if kind == TensorProto.STRING:
        return helper.make_tensor("t", kind, [len(values)], [v.encode() for v in values])
    return numpy_helper.from_array(np.array(values, helper.tensor_dtype_to_np_dtype(kind)), "t")


KEYS = {"strings": ["Bonn", "Köln", "Bonn", "Aachen", ""], "int64s": [5, 0, 5, -7, 2**40], "floats": [2.5, 0.0, 2.5, -1.5, 7.0]}
VALUES = {"strings": ["b", "k", "lost", "a", "k"], "int64s": [3, -4, 5, 3, 2**50], "floats": [0.5, -0.0, 9.0, 1e30, 0.5]}
KINDS = {"strings": "str", "int64s": "i64", "floats": "f32"}
DEFAULTS = {"strings": {"default_string": "?"}, "int64s": {"default_int64": 77}, "floats": {"default_float": 0.25}}
TENSORS = {"strings": TensorProto.STRING, "int64s": TensorProto.INT64, "floats": TensorProto.FLOAT}


def label_encoder(rng: Generator, keys: str, values: str, ml: int, default: bool, tensors: bool) -> Case:
    """A map between any two kinds; with equal keys, of which the first is used."""
    if tensors:
        attributes: dict[str, Any] = {
            "keys_tensor": tensor(KEYS[keys], TENSORS[keys]),
            "values_tensor": tensor(VALUES[values], TENSORS[values]),
            "default_tensor": tensor(VALUES[values][:1], TENSORS[values]),
        }
    else:
        attributes = {f"keys_{keys}": KEYS[keys], f"values_{values}": VALUES[values]}
        attributes |= DEFAULTS[values] if default else {}
    return one(rng, "LabelEncoder", KINDS[keys], KINDS[values], ml, **attributes)


def svm(rng: Generator, classes: int, kernel: str, transform: str, proba: bool, linear: bool, names: bool) -> Case:
    """A machine with generated coefficients."""
    g, features = Graph("machine"), 4
    sizes = [] if linear else [int(n) for n in rng.integers(2, 4, classes)]
    count, pairs = sum(sizes), classes * (classes - 1) // 2
    floats = lambda *shape: rng.normal(0, 1, shape).astype(np.float32).ravel().tolist()
    attributes: dict[str, Any] = {
        "kernel_type": kernel, "kernel_params": [0.4, 0.3, 2.0 if classes > 2 else 3.0], "post_transform": transform,
        "coefficients": floats(classes, features) if linear else floats(classes - 1, count),
        "rho": [0.2] if linear else floats(pairs),
        "vectors_per_class": sizes, "support_vectors": floats(count, features),
    }  # fmt: skip
    if proba:
        attributes |= {"prob_a": (-np.abs(np.array(floats(pairs)))).tolist(), "prob_b": floats(pairs)}
    labels = [f"class {n}" for n in range(classes)] if names else [10 * n for n in range(classes)]
    attributes["classlabels_strings" if names else "classlabels_ints"] = labels
    attributes = {name: value for name, value in attributes.items() if value != []}
    g.op_n("SVMClassifier", [g.input("x", [None, features])], ["label", "scores"], ML, **attributes)
    g.output("label", [None], "str" if names else "i64")
    g.output("scores", [None, None])
    nasty = rng.choice(np.array([0, -0.0, 1, -3, np.nan, np.inf, -np.inf, 1e30], np.float32), (20, features))
    draw = lambda r, n: {"x": r.normal(0, 1, (n, features)).astype(np.float32)}
    return Case(g.model(ml=1), batches(rng, draw, {"x": nasty}, many=30))


def text_choices(rng: Generator) -> Case:
    """Strings compared, chosen, joined, moved about and given back."""
    g = Graph("text")
    a, b = g.input("a", [None, 2], "str"), g.input("b", [None, 1], "str")
    g.weights.append(helper.make_tensor("bonn", TensorProto.STRING, [1], [b"Bonn"]))
    g.weights.append(helper.make_tensor("other", TensorProto.STRING, [1], [b"elsewhere"]))
    at_bonn = g.op("Equal", a, "bonn")
    named = g.op("Where", at_bonn, "bonn", "other", out="named")
    joined = g.op("Concat", a, b, axis=1)
    turned = g.op("Gather", joined, g.ints("turn", 2, 0, 1), axis=1)
    flat = g.op("Reshape", turned, g.ints("shape", -1, 3))
    code = g.op("LabelEncoder", flat, domain=ML, keys_strings=["Bonn", "Trier"], values_floats=[1.0, 2.0], default_float=-1.0)
    g.op("Identity", code, out="code")
    g.op("LabelEncoder", named, out="number", domain=ML, keys_strings=["elsewhere", "Bonn"], values_int64s=[4, 5])
    g.output("named", [None, 2], "str")
    g.output("code", [None, 3])
    g.output("number", [None, 2], "i64")
    draw = lambda r, n: {"a": r.choice(TOWNS, (n, 2)), "b": r.choice(TOWNS, (n, 1))}
    return Case(g.model(opset=19, ml=2), batches(rng, draw, many=30))


def vectorizer(rng: Generator) -> Case:
    """Columns of several types side by side as floats, truncated or padded to the given widths."""
    g = Graph("vectorizer")
    a, b, c = g.input("a", [None, 2]), g.input("b", [None, 3], "i64"), g.input("c", [None, 1], "i64")
    g.op("FeatureVectorizer", a, g.cast(b, "f32"), g.cast(c, "f32"), out="y", domain=ML, inputdimensions=[2, 2, 3])
    g.output("y", [None, 7])
    draw = lambda r, n: {
        "a": r.normal(0, 1, (n, 2)).astype(np.float32), "b": r.integers(-9, 9, (n, 3)), "c": r.integers(-9, 9, (n, 1)),
    }  # fmt: skip
    return Case(g.model(ml=1), batches(rng, draw, empty=False, many=30))


def register() -> None:
    """Adds every case."""

    def add(name: str, build: Callable[[Generator], Case]) -> None:
        REGISTRY.add("maps", f"maps-{name}", build)

    for keys, values in [("strings", "int64s"), ("strings", "floats"), ("int64s", "strings"), ("int64s", "floats"),
                         ("floats", "strings"), ("floats", "int64s")]:  # fmt: skip
        name = f"{KINDS[keys]}-{KINDS[values]}"
        add(f"labels-{name}", partial(label_encoder, keys=keys, values=values, ml=2, default=True, tensors=False))
    for keys in KEYS:
        for tensors in (False, True):
            build = partial(label_encoder, keys=keys, values=keys, ml=4, default=False, tensors=tensors)
            add(f"labels-{KINDS[keys]}-{KINDS[keys]}{'-tensors' if tensors else ''}", build)
    nan = {"keys_floats": [np.nan, 0.0], "values_int64s": [5, 6]}
    add("labels-nan", lambda rng: one(rng, "LabelEncoder", "f32", "i64", 4, **nan))
    both = {"cats_strings": ["Bonn", "Köln", "Trier"], "cats_int64s": [5, -7, 5]}
    defaults = {"default_string": "?", "default_int64": 7}
    add("categories-str-i64", lambda rng: one(rng, "CategoryMapper", "str", "i64", 1, **both, **defaults))
    add("categories-i64-str", lambda rng: one(rng, "CategoryMapper", "i64", "str", 1, **both, **defaults))
    hot = {"out_dims": [None, 3, 4]}
    add("onehot-str", lambda rng: one(
        rng, "OneHotEncoder", "str", "f32", 1, cats_strings=["Trier", "", "Bonn", "nobody"], **hot))  # fmt: skip
    add("onehot-i64", lambda rng: one(rng, "OneHotEncoder", "i64", "f32", 1, cats_int64s=[5, 2**40, 0, 3], **hot))
    add("onehot-f32", lambda rng: one(rng, "OneHotEncoder", "f32", "f32", 1, cats_int64s=[2, 0, 7, -1], **hot))
    known = {"pool": NUMBERS[:3], "cats_int64s": [-7, 1, 0, 8]}
    add("onehot-no-zeros", lambda rng: one(rng, "OneHotEncoder", "i64", "f32", 1, zeros=0, **hot, **known))
    add("imputer-f32-nan", lambda rng: one(
        rng, "Imputer", "f32", "f32", 1, imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=np.nan))  # fmt: skip
    add("imputer-f32-zero", lambda rng: one(
        rng, "Imputer", "f32", "f32", 1, imputed_value_floats=[9.0], replaced_value_float=0.0))  # fmt: skip
    add("imputer-i64", lambda rng: one(
        rng, "Imputer", "i64", "i64", 1, imputed_value_int64s=[3, 4, 5], replaced_value_int64=2))  # fmt: skip
    add("imputer-two-for-three", lambda rng: one(
        rng, "Imputer", "i64", "i64", 1, imputed_value_int64s=[3, 4], replaced_value_int64=2))  # fmt: skip
    plain = np.array([0.5, -0.0, 1.5, np.inf, -np.inf], np.float32)
    add("binarizer", lambda rng: one(rng, "Binarizer", "f32", "f32", 1, threshold=0.5, pool=plain))
    add("text", text_choices)
    add("feature-vectorizer", vectorizer)

    def machine(name: str, classes: int, kernel: str = "RBF", transform: str = "NONE", **more: bool) -> None:
        settings = {"proba": False, "linear": False, "names": False} | more
        add(f"svm-{name}", partial(svm, classes=classes, kernel=kernel, transform=transform, **settings))

    for classes in (2, 4):
        for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
            machine(f"{kernel.lower()}-{classes}", classes, kernel, names=kernel == "POLY")
        for transform in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
            machine(f"{transform.lower().replace('_', '-')}-{classes}", classes, transform=transform)
        machine(f"probabilities-{classes}", classes, proba=True)
        machine(f"probabilities-softmax-{classes}", classes, proba=True, transform="SOFTMAX", names=True)
        machine(f"flat-{classes}", classes, "LINEAR", linear=True)
    machine("probabilities-9", 9, "LINEAR", proba=True)
