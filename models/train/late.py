r"""Train and evaluate the lateness model: the probability, at dispatch, that a leg arrives late.

    python late.py --data LEGS --tradewind dist/tradewind --module dist/tradewind.wasm \
        --out models/late

LEGS is the folder that legs.py wrote. Flights stand in for the legs of parcels.

Features come from `tradewind features late`, the code that serves them. What is learnt of places is
in the graph: how often legs from and to each were late, over all and by the hour of departure.
Smoothing and the number of trees are chosen on the validation split, then the model is fitted once
more with validation added, and judged on the test split, inside the module. The run fails when the
gate is missed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import onnxmltools
import pyarrow.csv as pacsv
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType

import alerts
import legs
import probabilities
import weekly
from probabilities import Days, Interval
from recommend import Judgement, Tradewind, as_regressor, write_json

SEED = 20_010_526
LATE_MINUTES = 15
# Local time, as in the legs.
VALIDATION = datetime(2001, 4, 28, tzinfo=UTC)
TEST = datetime(2001, 5, 26, tzinfo=UTC)
END = datetime(2001, 7, 1, tzinfo=UTC)
# Smoothing: legs at the overall rate that are added to each rate.
SMOOTHING = (3, 10, 30)
BASELINE_SMOOTHING = (3, 10, 30, 100, 300)
TREES = (40, 60, 80, 100)
HOURS = 24
# The opset of the export, and that of the operators for machine learning.
OPSET, ML_OPSET = 15, 3
REFERENCE_ROWS = 256
BINS = 20
# Most departures at these hours were scheduled earlier: see the README.
DAYTIME = range(6, 21)
GATE_AUC, GATE_BRIER = 0.68, 0.149
UNKNOWN = "no such place"

PARAMETERS: dict[str, object] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 500,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": SEED,
    "verbose": -1,
}


@dataclass(frozen=True)
class Legs:
    """Legs as parallel columns: numbers of their locations, features, day, and outcome."""

    start: np.ndarray
    end: np.ndarray
    features: np.ndarray
    hour: np.ndarray
    day: np.ndarray
    late: np.ndarray

    def where(self, keep: np.ndarray) -> Legs:
        """Return the legs picked by a mask or an index."""
        columns = (self.start, self.end, self.features, self.hour, self.day, self.late)
        return Legs(*(column[keep] for column in columns))

    def __len__(self) -> int:
        return len(self.late)


@dataclass(frozen=True)
class Rates:
    """Late rates of legs from and to each location, overall and by hour.

    The last row of each table is for places that are not known.
    """

    overall: float
    start: np.ndarray
    end: np.ndarray
    start_hour: np.ndarray
    end_hour: np.ndarray

    @classmethod
    def learn(cls, seen: Legs, places: int, smoothing: float) -> Rates:
        """Learn from legs; each rate is smoothed towards the overall rate, or that of its location."""
        overall = float(seen.late.mean())

        def rates(key: np.ndarray, prior: np.ndarray) -> np.ndarray:
            count = np.bincount(key, minlength=len(prior))
            late = np.bincount(key, weights=seen.late, minlength=len(prior))
            return (late + smoothing * prior) / (count + smoothing)

        known = np.full(places + 1, overall)
        by_hour = np.full((places + 1) * HOURS, overall)

        def tables(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            hourly = rates(place * HOURS + seen.hour, by_hour)
            return rates(place, known).astype(np.float32), hourly.astype(np.float32)

        (start, start_hour), (end, end_hour) = tables(seen.start), tables(seen.end)
        return cls(overall, start, end, start_hour, end_hour)

    def matrix(self, of: Legs) -> np.ndarray:
        """Return the inputs of the trees: the features, then the rates."""
        columns = (
            self.start[of.start],
            self.end[of.end],
            self.start_hour[of.start * HOURS + of.hour],
            self.end_hour[of.end * HOURS + of.hour],
        )
        return np.column_stack([of.features, *columns]).astype(np.float32)


def read_legs(data: Path, tradewind: Tradewind, spec: Path, work: Path) -> tuple[list[str], Legs]:
    """Return the codes of locations, and the legs with features computed by `tradewind`."""
    legs_csv = data / "legs.csv"
    tradewind.run("features", "late", "--legs", legs_csv, "--spec", spec, "--out", work)
    features = np.load(work / "features.npy")
    columns = json.loads((work / "columns.json").read_text(encoding="utf-8"))

    with (data / "places.csv").open(encoding="utf-8", newline="") as file:
        codes = sorted(row["code"] for row in csv.DictReader(file))
    table = pacsv.read_csv(legs_csv)
    start, end = (np.searchsorted(codes, table[side].to_numpy()) for side in ("from", "to"))
    if features.dtype != np.float32 or features.shape != (len(table), len(columns)):
        raise SystemExit(f"`{work}` holds {features.dtype} {features.shape}, not f32 by leg")
    hour = features[:, columns.index("hour")].astype(np.int64)
    day = table["departs"].to_numpy() // 86_400_000
    late = table["delay"].to_numpy() > LATE_MINUTES
    return codes, Legs(start, end, features, hour, day, late)


def split(all_legs: Legs) -> tuple[Legs, Legs, Legs]:
    """Return the legs for training, validation and test."""
    validation, test, end = (int(at.timestamp()) // 86_400 for at in (VALIDATION, TEST, END))
    day = all_legs.day
    splits = ((0, validation), (validation, test), (test, end))
    masks = ((day >= first) & (day < last) for first, last in splits)
    return tuple(all_legs.where(mask) for mask in masks)


def before(all_legs: Legs, test: Legs) -> Legs:
    """Return the legs of the days before those of the test."""
    return all_legs.where(all_legs.day < test.day.min())


def fit(seen: Legs, rates: Rates, trees: int) -> lgb.Booster:
    """Fit on f32 features."""
    data = lgb.Dataset(rates.matrix(seen), seen.late.astype(np.float32))
    return lgb.train(PARAMETERS, data, num_boost_round=trees)


def choose(training: Legs, validation: Legs, places: int) -> tuple[int, int]:
    """Return the smoothing and the number of trees with the best Brier score on validation."""
    days, once = Days.of(validation.day), np.ones(len(np.unique(validation.day)))
    reached: dict[tuple[int, int], float] = {}
    for smoothing in SMOOTHING:
        rates = Rates.learn(training, places, smoothing)
        model, matrix = fit(training, rates, max(TREES)), rates.matrix(validation)
        for trees in TREES:
            score = np.asarray(model.predict(matrix, num_iteration=trees))
            reached[smoothing, trees] = probabilities.brier(days, validation.late, score)(once)
            area = probabilities.auc(days, validation.late, score)(once)
            print(
                f"validation: smoothing {smoothing}, {trees} trees: "
                f"AUC {area:.4f}, Brier {reached[smoothing, trees]:.5f}",
                flush=True,
            )
    return min(reached, key=lambda choice: reached[choice])


def baseline(all_legs: Legs, places: int) -> np.ndarray:
    """Return the baseline's rates of the test legs, with smoothing chosen on validation."""
    training, validation, test = split(all_legs)
    days, once = Days.of(validation.day), np.ones(len(np.unique(validation.day)))
    reached: dict[int, float] = {}
    for smoothing in BASELINE_SMOOTHING:
        score = origin_hour(Rates.learn(training, places, smoothing), validation)
        reached[smoothing] = probabilities.brier(days, validation.late, score)(once)
    print(f"validation: Brier of origin and hour by smoothing: {reached}", flush=True)
    smoothing = min(reached, key=lambda choice: reached[choice])
    return origin_hour(Rates.learn(before(all_legs, test), places, smoothing), test)


def origin_hour(rates: Rates, of: Legs) -> np.ndarray:
    """Return the baseline: the late rate of legs with the same origin and hour."""
    return rates.start_hour[of.start * HOURS + of.hour].astype(np.float64)


def export(model: lgb.Booster, rates: Rates, codes: Sequence[str], width: int) -> onnx.ModelProto:
    """Return a graph from `from`, `to` [rows, 1] and `features` [rows, width] to `probability`.

    A place becomes its number, or one past the last; number and hour find the rates; the trees see
    features and rates; the logistic function makes a probability of their sum.
    """
    trees = onnxmltools.convert_lightgbm(
        as_regressor(model),
        initial_types=[("row", FloatTensorType([None, width + 4]))],
        target_opset=OPSET,
        zipmap=False,
    )
    (ensemble,) = (node for node in trees.graph.node if node.op_type == "TreeEnsembleRegressor")
    tables = {
        "from_rate": rates.start,
        "to_rate": rates.end,
        "from_hour_rate": rates.start_hour,
        "to_hour_rate": rates.end_hour,
        "hours": np.array(HOURS, dtype=np.int64),
        "first_hour": np.array(0, dtype=np.int64),
        "last_hour": np.array(HOURS - 1, dtype=np.int64),
        "hour_column": np.array([0], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["features", "hour_column"], ["hour_f32"], axis=1),
        helper.make_node("Cast", ["hour_f32"], ["hour_any"], to=TensorProto.INT64),
        helper.make_node("Clip", ["hour_any", "first_hour", "last_hour"], ["hour"]),
    ]
    for side in ("from", "to"):
        nodes += [
            helper.make_node(
                "LabelEncoder",
                [side],
                [f"{side}_place"],
                domain="ai.onnx.ml",
                keys_strings=list(codes),
                values_int64s=list(range(len(codes))),
                default_int64=len(codes),
            ),
            helper.make_node("Gather", [f"{side}_rate", f"{side}_place"], [f"{side}_overall"]),
            helper.make_node("Mul", [f"{side}_place", "hours"], [f"{side}_first"]),
            helper.make_node("Add", [f"{side}_first", "hour"], [f"{side}_cell"]),
            helper.make_node("Gather", [f"{side}_hour_rate", f"{side}_cell"], [f"{side}_hourly"]),
        ]
    columns = ["features", "from_overall", "to_overall", "from_hourly", "to_hourly"]
    nodes += [
        helper.make_node("Concat", columns, ["row"], axis=1),
        helper.make_node("TreeEnsembleRegressor", ["row"], ["log_odds"], domain="ai.onnx.ml"),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
    ]
    # The exporter's order changes between runs.
    nodes[-2].attribute.extend(sorted(ensemble.attribute, key=lambda attribute: attribute.name))
    graph = helper.make_graph(
        nodes,
        "late",
        [
            helper.make_tensor_value_info("from", TensorProto.STRING, [None, 1]),
            helper.make_tensor_value_info("to", TensorProto.STRING, [None, 1]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(table, name) for name, table in tables.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="tradewind")
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


def inputs(of: Legs, codes: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the model's inputs for legs."""
    names = np.array([*codes, UNKNOWN], dtype=object)
    places = {"from": names[of.start][:, None], "to": names[of.end][:, None]}
    return {**places, "features": of.features}


def reference_legs(validation: Legs, places: int) -> Legs:
    """Return legs to record: real ones, and some with unknown locations."""
    generator = np.random.default_rng(SEED)
    picked = validation.where(np.sort(generator.choice(len(validation), REFERENCE_ROWS, False)))
    picked.start[::16] = places
    picked.end[::24] = places
    return picked


def compare(
    test: Legs, score: np.ndarray, other: np.ndarray
) -> dict[str, tuple[float, float, Interval]]:
    """Return ours, the baseline's, and the interval of the difference, for each metric."""
    found = {}
    daytime = np.isin(test.hour, DAYTIME)
    for name, metric, keep in (
        ("AUC", probabilities.auc, np.full(len(test), True)),
        ("Brier", probabilities.brier, np.full(len(test), True)),
        ("AUC by day", probabilities.auc, daytime),
        ("Brier by day", probabilities.brier, daytime),
    ):
        days, late = Days.of(test.day[keep]), test.late[keep]
        ours, theirs = metric(days, late, score[keep]), metric(days, late, other[keep])
        once = np.ones(len(days.rows))
        (difference,) = days.intervals(
            SEED, lambda weights, ours=ours, theirs=theirs: ours(weights) - theirs(weights)
        )
        found[name] = (ours(once), theirs(once), difference)
    return found


def gate(metrics: dict[str, tuple[float, float, Interval]]) -> list[str]:
    """Return the failures of the quality gate."""
    missed = []
    (area, _, gain), (error, _, loss) = metrics["AUC"], metrics["Brier"]
    if area < GATE_AUC:
        missed.append(f"AUC is {area:.4f}, below {GATE_AUC}")
    if error > GATE_BRIER:
        missed.append(f"Brier is {error:.4f}, above {GATE_BRIER}")
    if gain.low <= 0:
        missed.append(f"the interval of the AUC difference begins at {gain.low:+.4f}")
    if loss.high >= 0:
        missed.append(f"the interval of the Brier difference ends at {loss.high:+.4f}")
    return missed


def reliability_svg(bins: Sequence[probabilities.Bin]) -> str:
    """Draw the share of late legs over the predicted probability, with intervals over days."""
    size, margin, top = 360, 44, 0.7

    def x(value: float) -> str:
        return f"{margin + size * value / top:.1f}"

    def y(value: float) -> str:
        return f"{margin / 2 + size * (1 - value / top):.1f}"

    width, height = size + 1.5 * margin, size + 1.5 * margin
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        f'<path d="M{x(0)} {y(top)}V{y(0)}H{x(top)}" fill="none" stroke="black"/>',
        f'<path d="M{x(0)} {y(0)}L{x(top)} {y(top)}" stroke="gray" stroke-dasharray="4"/>',
    ]
    for tick in np.arange(0, top + 0.01, 0.1):
        parts.append(f'<text x="{x(tick)}" y="{y(-0.03)}" text-anchor="middle">{tick:.1f}</text>')
        parts.append(f'<text x="{x(-0.01)}" y="{y(tick)}" text-anchor="end">{tick:.1f}</text>')
    for b in bins:
        at, bounds = x(b.predicted), (y(b.observed.low), y(b.observed.high))
        parts.append(f'<path d="M{at} {bounds[0]}V{bounds[1]}" stroke="steelblue"/>')
        parts.append(f'<circle cx="{at}" cy="{y(b.observed.value)}" r="3" fill="steelblue"/>')
    parts.append(
        f'<text x="{x(top / 2)}" y="{y(-0.07)}" text-anchor="middle">'
        "predicted probability of a late leg (mean of each twentieth)</text>"
    )
    parts.append(
        f'<text x="{x(0.01)}" y="{y(top - 0.01)}">share that was late, 95 % over days</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def describe(
    sizes: tuple[int, int, int], chosen: tuple[int, int], size: int, error: float
) -> dict[str, object]:
    """Return the model card, without its metrics."""
    (training, validation, test), (smoothing, trees) = sizes, chosen
    return {
        "summary": (
            f"The probability that a leg arrives more than {LATE_MINUTES} minutes late, from where "
            "and when it starts, where it ends and how far that is. Learnt from flights, a proxy "
            "for parcels."
        ),
        "model": (
            f"LightGBM {lgb.__version__}, {trees} trees of at most "
            f"{PARAMETERS['num_leaves']} leaves over features and late rates of places by hour "
            f"(smoothing {smoothing}), ONNX of {size:,} bytes; chosen with "
            f"{training:,} legs before 28 April 2001 on {validation:,} before 26 May, fitted on "
            f"both, judged on {test:,} until the end of June. Expected calibration error on test "
            f"{error:.4f} over {BINS} bins: reliability.svg."
        ),
        "licence": "MIT OR Apache-2.0",
        "data": [
            {
                "name": f"npm vega-datasets {legs.VERSION}, flights-3m.parquet, sha256 "
                + legs.FLIGHTS_SHA256,
                "licence": (
                    "package BSD-3-Clause; the data of the US Bureau of Transportation "
                    "Statistics, collected under 14 CFR Part 234, terms not stated"
                ),
                "note": (
                    "US domestic flights of January to June 2001: a proxy for the legs of "
                    "parcels; rows are fetched, never redistributed"
                ),
            }
        ],
        "metrics": [],
        "intended_use": (
            "A first guess, per leg, of lateness risk when a shipment is dispatched or allocated, "
            "until a merchant's own scans can be learnt from."
        ),
        "limits": [
            "Flights are not parcels: retrain on your own legs before you rely on a figure.",
            "The data has when a flight left, not when it should have. Who left at 2 in the "
            "morning was mostly late already; the figures `by day`, 6:00 to 20:59, have less of "
            "that. Ask about the moment a leg really leaves.",
            "Half a year, so no seasons, and no holidays. The share of late legs moved between "
            "16 % (May) and 23 % (February); the model says the same in each month.",
            "Weather, carrier and yesterday's delays are not inputs.",
            "A place that is not known has the rate of all; a leg within one place was never seen.",
        ],
    }


def answer(
    tradewind: Tradewind, models: Path, of: Legs, codes: Sequence[str], work: Path
) -> np.ndarray:
    """Return the model's probabilities in the module."""
    answers = weekly.module_answers(tradewind, models, inputs(of, codes), work)
    return answers["probability"][:, 0].astype(np.float64)


def judge(test: Legs, score: np.ndarray, other: np.ndarray) -> Judgement:
    """Evaluate model and baseline on the test legs; print the tables."""
    print(f"test: {len(test):,} legs, {test.late.mean():.4f} late, {score.mean():.4f} predicted")
    found = compare(test, score, other)
    print(f"{'':14}{'late':>10}{'origin x hour':>15}{'difference, 95 % over days':>34}")
    for name, (ours, theirs, difference) in found.items():
        print(f"{name:14}{ours:10.4f}{theirs:15.4f}{difference!s:>34}")
    methods = {
        "late": score,
        "origin x hour": other,
        # The legs of a day are in the order of their departures.
        "age": -np.arange(len(test), dtype=np.float64),
        "random": np.random.default_rng(SEED).random(len(test)),
    }
    looked = alerts.compare(test.day, test.late, methods, SEED)
    daytime = np.isin(test.hour, DAYTIME)
    print(f"of {daytime.sum():,} that left from 6:00 to 20:59")
    by_day = {name: score[daytime] for name, score in methods.items()}
    looked_by_day = alerts.compare(test.day[daytime], test.late[daytime], by_day, SEED)
    found |= looked | {f"{name} by day": figures for name, figures in looked_by_day.items()}
    metrics: list[dict[str, object]] = [
        {
            "name": name,
            "split": f"test, {len(test)} legs of {len(np.unique(test.day))} days",
            "value": round(ours, 4),
            "baseline": "late rate of origin and hour",
            "baseline_value": round(theirs, 4),
            "difference_low": round(difference.low, 4),
            "difference_high": round(difference.high, 4),
        }
        for name, (ours, theirs, difference) in found.items()
    ]
    return metrics, gate(found)


def evaluate(data: Path, tradewind: Tradewind, models: Path, work: Path) -> Judgement:
    """Evaluate a model on the test split, in the module; print the tables."""
    codes, all_legs = read_legs(data, tradewind, models / "spec.json", work)
    _, _, test = split(all_legs)
    score = answer(tradewind, models, test, codes, work)
    return judge(test, score, baseline(all_legs, len(codes)))


def train(data: Path, tradewind: Tradewind, models: Path, work: Path) -> list[str]:
    """Train, export and evaluate; return the failures of the quality gate."""
    codes, all_legs = read_legs(data, tradewind, models / "spec.json", work)
    training, validation, test = split(all_legs)
    smoothing, trees = choose(training, validation, len(codes))
    print(f"chosen: smoothing {smoothing}, {trees} trees")

    seen = before(all_legs, test)
    rates = Rates.learn(seen, len(codes), smoothing)
    model = fit(seen, rates, trees)
    graph = export(model, rates, codes, all_legs.features.shape[1])
    weekly.write_model(graph, inputs(reference_legs(validation, len(codes)), codes), models)
    score = answer(tradewind, models, test, codes, work)
    trained = np.asarray(model.predict(rates.matrix(test)))
    if not np.allclose(score, trained, atol=1e-5):
        raise SystemExit(f"the exported model differs by {np.abs(score - trained).max()}")

    metrics, missed = judge(test, score, baseline(all_legs, len(codes)))
    bins = probabilities.reliability(Days.of(test.day), test.late, score, BINS, SEED)
    error = probabilities.calibration_error(bins)
    (models / "reliability.svg").write_text(reliability_svg(bins), encoding="utf-8")
    sizes = (len(training), len(validation), len(test))
    card = describe(sizes, (smoothing, trees), graph.ByteSize(), error)
    write_json(models / "card.json", card | {"metrics": metrics})
    print(f"expected calibration error {error:.4f}; ONNX of {graph.ByteSize():,} bytes")
    return missed


def main() -> None:
    """Run from the command line."""
    weekly.main("train and evaluate the lateness model", train)


if __name__ == "__main__":
    main()
