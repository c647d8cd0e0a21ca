"""Writes the benchmark models and their inputs, as files that every competitor reads.

    models.py --out DIR

All are made of generated data and seeded. DIR gets `models.json`, and for each model `NAME.onnx`, `NAME.INPUT.bin`
(rows of little-endian elements) and, where a library trained it, `NAME.native`. Run by `cargo xtask bench`, with the
packages and the graph writer of the test cases.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import onnxmltools
import skl2onnx
import xgboost
from numpy.random import Generator
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/cases"))
from make.dense import gemm, matmul
from make.graph import Graph

FEATURES, TRAINING_ROWS = 64, 10_000
SIZE, STEPS, HEADS, ITEMS = 64, 50, 4, 5000
TYPES = [("input", FloatTensorType([None, FEATURES]))]
TREES = {1: 1.5, 100: 5.0, 1000: 5.0}
"""The targets of tree ensembles, by number of rows."""


@dataclass
class Model:
    """A model, how it is measured, and the speed that Tradewind wants over onnxruntime-web at each number of rows."""

    title: str
    onnx: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    targets: dict[int, float]
    library: str | None = None
    save: Callable[[str], object] | None = field(default=None, repr=False)


def features(rng: Generator, rows: int) -> np.ndarray:
    """Ordinary rows, f32 as the models see them."""
    return rng.normal(0, 1, (rows, FEATURES)).astype(np.float32)


def training_set(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Something that is worth many trees."""
    x = features(rng, TRAINING_ROWS)
    weights = rng.normal(0, 1, FEATURES)
    y = np.tanh(x @ weights / 4) + np.where(x[:, 0] > 0.3, 1, -0.5) * x[:, 1] + np.sin(2 * x[:, 2]) * x[:, 3]
    return x, (y + rng.normal(0, 0.3, len(y))).astype(np.float32)


def mlp(rng: Generator, *sizes: int) -> Model:
    """torch's Linear and ReLU."""
    g = Graph("mlp")
    x = g.input("x", ["batch", sizes[0]])
    for n, (size, into) in enumerate(pairwise(sizes)):
        last = n == len(sizes) - 2
        x = gemm(g, rng, x, f"layer{n}", into, size, out="y" if last else "")
        x = x if last else g.op("Relu", x)
    g.output("y", ["batch", sizes[-1]])
    title = "MLP " + "→".join(map(str, sizes))
    inputs = rng.normal(0, 1, (1000, sizes[0])).astype(np.float32)
    return Model(title, g.model(), {"x": inputs}, {1: 2.5, 100: 2.5, 1000: 2.5})


def light(rng: Generator) -> Model:
    """LightGBM."""
    x, y = training_set(rng)
    parameters = {"num_leaves": 31, "learning_rate": 0.05, "seed": 1, "num_threads": 1, "verbosity": -1}
    booster = lightgbm.train(parameters | {"objective": "regression"}, lightgbm.Dataset(x, y), 300)
    model = onnxmltools.convert_lightgbm(booster, initial_types=TYPES, zipmap=False, target_opset=15)
    title = "LightGBM, 300 trees × 31 leaves"
    return Model(title, model, {"input": features(rng, 1000)}, TREES, "lightgbm", booster.save_model)


def extreme(rng: Generator) -> Model:
    """XGBoost."""
    x, y = training_set(rng)
    booster = xgboost.XGBRegressor(n_estimators=300, max_depth=6, learning_rate=0.05, n_jobs=1).fit(x, y)
    model = onnxmltools.convert_xgboost(booster, initial_types=TYPES, target_opset=15)

    def save(path: str) -> None:
        Path(path).write_bytes(booster.get_booster().save_raw("ubj"))

    title = "XGBoost, 300 trees × depth 6"
    return Model(title, model, {"input": features(rng, 1000)}, TREES, "xgboost", save)


def forest(rng: Generator) -> Model:
    """scikit-learn's random forest, with trees of up to 1,024 leaves."""
    x, y = training_set(rng)
    found = RandomForestRegressor(100, max_depth=10, max_features="sqrt", random_state=1).fit(x, y)
    model = skl2onnx.to_onnx(found, x[:1], target_opset={"": 15, "ai.onnx.ml": 3})
    return Model("Random forest, 100 trees × depth 10", model, {"X": features(rng, 1000)}, TREES)


def history(g: Graph, rng: Generator, batch: str | int) -> tuple[str, np.ndarray]:
    """The embeddings of viewed products: [batch, steps, size]; and those of one shopper."""
    ids = g.input("items", [batch, STEPS], "i64")
    table = g.weight("items.weight", rng.normal(0, 0.5, (ITEMS, SIZE)))
    return g.op("Gather", table, ids, axis=0), rng.integers(0, ITEMS, (1, STEPS))


def gru(rng: Generator) -> Model:
    """GRU4Rec: the last state of torch's GRU, exported for one user."""
    g = Graph("gru")
    x, ids = history(g, rng, 1)
    steps = g.op("Transpose", x, perm=[1, 0, 2])
    bound = 1 / np.sqrt(SIZE)
    weights = [
        g.weight(name, rng.uniform(-bound, bound, shape))
        for name, shape in (("W", (1, 3 * SIZE, SIZE)), ("R", (1, 3 * SIZE, SIZE)), ("B", (1, 6 * SIZE)))
    ]
    _, last = g.op_n("GRU", [steps, *weights], ["/gru/all", "/gru/last"], hidden_size=SIZE, linear_before_reset=1)
    g.op("Squeeze", last, g.ints("first", 0), out="user")
    g.output("user", [1, SIZE])
    return Model(f"GRU, d={SIZE}, {STEPS} steps", g.model(), {"items": ids}, {1: 1.3})


def transformer(rng: Generator) -> Model:
    """SASRec: two causal blocks, the last position's state."""
    g = Graph("transformer")
    x, ids = history(g, rng, "batch")
    x = g.op("Add", x, g.weight("positions.weight", rng.normal(0, 0.5, (1, STEPS, SIZE))))
    mask = g.weight("mask", np.triu(np.full((STEPS, STEPS), -1e9), 1)[None, None])
    split = g.ints("heads", -1, STEPS, HEADS, SIZE // HEADS)
    merged = g.ints("merged", -1, STEPS, SIZE)
    scale = g.weight("scale", 1 / np.sqrt(SIZE // HEADS))

    def norm(x: str, name: str) -> str:
        scale = g.weight(f"{name}.weight", rng.normal(1, 0.1, SIZE))
        return g.op("LayerNormalization", x, scale, g.weight(f"{name}.bias", rng.normal(0, 0.1, SIZE)), axis=-1)

    for n in range(2):
        y = norm(x, f"norm{n}a")
        q, k, v = (g.op("Reshape", matmul(g, rng, y, f"{name}{n}", SIZE, SIZE), split) for name in "qkv")
        q, k, v = (
            g.op("Transpose", y, perm=perm) for y, perm in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]), (v, [0, 2, 1, 3]))
        )
        scores = g.op("Add", g.op("Mul", g.op("MatMul", q, k), scale), mask)
        y = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
        y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), merged)
        x = g.op("Add", x, matmul(g, rng, y, f"out{n}", SIZE, SIZE))
        y = g.op("Relu", matmul(g, rng, norm(x, f"norm{n}b"), f"wide{n}", 4 * SIZE, SIZE))
        x = g.op("Add", x, matmul(g, rng, y, f"narrow{n}", SIZE, 4 * SIZE))
    g.op("Gather", norm(x, "norm"), g.weight("last", STEPS - 1, np.int64), out="user", axis=1)
    g.output("user", ["batch", SIZE])
    title = f"Transformer, 2 layers, d={SIZE}, {HEADS} heads, {STEPS} steps"
    return Model(title, g.model(), {"items": ids}, {1: 1.3})


def retrieval(rng: Generator) -> Model:
    """A user's vector against every product's, the best 50."""
    g = Graph("retrieval")
    scores = g.op("MatMul", g.input("user", ["batch", SIZE]), g.weight("items.weight", rng.normal(0, 1, (SIZE, ITEMS))))
    g.op_n("TopK", [scores, g.ints("k", 50)], ["scores", "best"], axis=-1)
    g.output("scores", ["batch", 50])
    g.output("best", ["batch", 50], "i64")
    return Model(f"{ITEMS:,} × {SIZE} embeddings, best 50", g.model(), {"user": features(rng, 1)}, {1: 1.0})


MODELS = {
    "mlp-64": lambda rng: mlp(rng, 64, 128, 64, 1),
    "mlp-128": lambda rng: mlp(rng, 128, 256, 128, 64, 1),
    "lightgbm": light,
    "xgboost": extreme,
    "random-forest": forest,
    "gru": gru,
    "transformer": transformer,
    "retrieval": retrieval,
}


def write(name: str, model: Model, out: Path) -> dict[str, object]:
    """The files of a model, and its entry in the list."""
    (out / f"{name}.onnx").write_bytes(model.onnx.SerializeToString())
    if model.save:
        model.save(str(out / f"{name}.native"))
    for tensor, values in model.inputs.items():
        values.tofile(out / f"{name}.{tensor}.bin")
    return {
        "name": name,
        "title": model.title,
        "library": model.library,
        "inputs": [
            {"name": tensor, "type": {"float32": "f32", "int64": "i64"}[str(values.dtype)], "row": values.shape[1:]}
            for tensor, values in model.inputs.items()
        ],
        "targets": [{"rows": rows, "ratio": ratio} for rows, ratio in model.targets.items()],
    }


def main() -> None:
    """Makes all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    entries = []
    for seed, (name, make) in enumerate(MODELS.items()):
        print(f"    {name}", flush=True)
        entries.append(write(name, make(np.random.default_rng(seed)), out))
    (out / "models.json").write_text(json.dumps(entries, indent=1))


if __name__ == "__main__":
    main()
