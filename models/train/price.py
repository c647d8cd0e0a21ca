r"""Train and evaluate the price model: units of a product sold in a week at a price.

    python price.py --data DATA --tradewind dist/tradewind --module dist/tradewind.wasm \
        --out models/price

DATA is the folder that complete_journey.py wrote.

A hierarchical Poisson regression, fitted by penalised maximum likelihood:

    log units = level(x) - slope * log(price / list)
    slope     = softplus(shared(x) + the product's own)

x are the features of the week that do not follow the price; `level` and `shared` are linear. The
slope is never negative, so units never rise with the price. A product's own part is shrunk towards
zero, which is also that of a product that the model does not know. Features come from `tradewind
features`, the code that serves them; the test split is answered inside the module. The penalty is
chosen on the validation split, then the model is fitted once more with validation added. The run
fails when the gate is missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from scipy.optimize import minimize

import weekly
from recommend import Judgement, Tradewind, write_json

# Columns of units, with the number added before the logarithm.
LOGGED = {
    "base": 0.3,
    "base_4": 0.1,
    "last_units": 0.1,
    "mean_units_4": 0.1,
    "mean_units_13": 0.1,
    "plain_units": 0.1,
    "most_units": 0.1,
    "similar_base": 0.1,
}
PRICE = "price_to_list"

# Penalties of the product-specific part of the slope.
PENALTIES = (10.0, 30.0, 60.0, 120.0)
# Penalties of the shared coefficients: of the level's and of the slope's.
SHARED = np.array([1.0, 10.0])
ITERATIONS = 1_000
# Share of training rows with the lowest price-to-list ratios: lower ratios are clamped, so that units do not
# rise further there.
LOWEST = 0.001
# Price-to-list ratio below which a price counts as reduced.
REDUCED = 0.95
GATE_WMAPE = 0.40
GATE_REDUCED = 0.375


@dataclass(frozen=True)
class Model:
    """The coefficients."""

    skus: np.ndarray
    inputs: weekly.Inputs
    # Price-to-list ratio below which units do not rise.
    lowest: np.float32
    # [inputs, 2] and [2]: the level's, and the slope's.
    shared: np.ndarray
    bias: np.ndarray
    # Product-specific part of the slope.
    own: np.ndarray

    def slopes(self, rows: weekly.Matrix) -> np.ndarray:
        """Return the slope of each row: the price elasticity without its sign."""
        return np.logaddexp(0, self._parts(rows)[1])

    def units(self, rows: weekly.Matrix) -> np.ndarray:
        """Return the units that are expected."""
        level, slope = self._parts(rows)
        return np.exp(level - np.logaddexp(0, slope) * log_price(rows, self.lowest))

    def _parts(self, rows: weekly.Matrix) -> tuple[np.ndarray, np.ndarray]:
        place = np.searchsorted(self.skus, rows.sku).clip(max=len(self.skus) - 1)
        own = np.where(self.skus[place] == rows.sku, self.own[place], 0)
        level, slope = (self.inputs.matrix(rows) @ self.shared + self.bias).T
        return level, slope + own


def log_price(rows: weekly.Matrix, lowest: np.float32) -> np.ndarray:
    """Return the logarithm of the price as a share of the list price."""
    return np.log(np.maximum(rows.column(PRICE), lowest).astype(np.float64))


def fit(rows: weekly.Matrix, penalty: float) -> Model:
    """Fit the coefficients; inputs are standardised, so that one penalty fits all."""
    skus, place = np.unique(rows.sku, return_inverse=True)
    plain = [name for name in rows.columns if name not in LOGGED and name != PRICE]
    inputs = weekly.Inputs.of(rows, LOGGED, plain)
    raw = inputs.matrix(rows)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    given = np.column_stack(((raw - mean) / deviation, np.ones(len(raw))))
    lowest = np.quantile(rows.column(PRICE), LOWEST).astype(np.float32)
    price = log_price(rows, lowest)
    units, count = rows.units.astype(np.float64), given.shape[1]
    weight = np.concatenate((np.tile(SHARED, count - 1), [0, 0], np.full(len(skus), penalty)))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        shared, own = flat[: 2 * count].reshape(count, 2), flat[2 * count :]
        level, slope = (given @ shared).T
        slope = slope + own[place]
        logarithm = np.clip(level - np.logaddexp(0, slope) * price, -20, 20)
        expected = np.exp(logarithm)
        by_level = expected - units
        by_slope = -by_level * price / (1 + np.exp(-slope))
        total = (expected - units * logarithm).sum() + (weight * flat**2).sum() / 2
        by_shared = given.T @ np.column_stack((by_level, by_slope))
        by_own = np.bincount(place, by_slope, len(skus))
        gradient = np.concatenate((by_shared.ravel(), by_own)) + weight * flat
        return total / len(units), gradient / len(units)

    start = np.zeros(2 * count + len(skus))
    start[0], start[2 * count - 2], start[2 * count - 1] = 1, np.log(units.mean()), 1
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    values = found.x[: 2 * count].reshape(count, 2)
    shared = values[:-1] / deviation[:, None]
    coefficients = (shared, values[-1] - mean @ shared, found.x[2 * count :])
    return Model(skus, inputs, lowest, *(np.round(part, weekly.DIGITS) for part in coefficients))


def choose_penalty(train: weekly.Matrix, judge: weekly.Matrix) -> float:
    """Return the penalty with the least wMAPE on validation."""
    reached = {}
    for penalty in PENALTIES:
        model = fit(train, penalty)
        units, reduced = model.units(judge), judge.column(PRICE) < REDUCED
        reached[penalty] = weekly.wmape(judge.units, units)
        low = weekly.wmape(judge.units[reduced], units[reduced])
        print(f"penalty {penalty}: wMAPE {reached[penalty]:.4f}, reduced {low:.4f}")
    return min(reached, key=lambda penalty: reached[penalty])


def judge_unknown(train: weekly.Matrix, judge: weekly.Matrix, penalty: float) -> None:
    """Print the wMAPE on validation of products that the model does not know."""
    unseen = np.unique(train.sku)[::5]
    rows = judge.where(np.isin(judge.sku, unseen))
    for name, known in (("unknown", ~np.isin(train.sku, unseen)), ("known", train.sku > 0)):
        units = fit(train.where(known), penalty).units(rows)
        print(f"{len(unseen)} products, {name}: wMAPE {weekly.wmape(rows.units, units):.4f}")


def export(model: Model, columns: list[str]) -> onnx.ModelProto:
    """Return a graph from `sku` and `features` [rows, columns] to `units` [rows, 1]."""
    make = onnx.helper.make_node
    nodes, numbers = model.inputs.graph()
    nodes += [
        make("Gemm", ["inputs", "shared", "bias"], ["parts"]),
        make("Slice", ["parts", "at_0", "at_1", "axis"], ["level"]),
        make("Slice", ["parts", "at_1", "at_2", "axis"], ["shared_slope"]),
        make(
            "LabelEncoder",
            ["sku"],
            ["product"],
            domain="ai.onnx.ml",
            keys_strings=[str(sku) for sku in model.skus],
            values_int64s=list(range(1, len(model.skus) + 1)),
            default_int64=0,
        ),
        make("Gather", ["own", "product"], ["own_slope"], axis=0),
        make("Add", ["shared_slope", "own_slope"], ["raw_slope"]),
        make("Softplus", ["raw_slope"], ["slope"]),
        make("Gather", ["filled", "price_place"], ["price"], axis=1),
        make("Max", ["price", "lowest"], ["learnt_price"]),
        make("Log", ["learnt_price"], ["log_price"]),
        make("Mul", ["slope", "log_price"], ["response"]),
        make("Sub", ["level", "response"], ["log_units"]),
        make("Exp", ["log_units"], ["units"]),
    ]
    numbers += weekly.constants(
        at_0=np.array([0]),
        at_1=np.array([1]),
        at_2=np.array([2]),
        axis=np.array([1]),
        price_place=np.array([columns.index(PRICE)]),
        lowest=model.lowest,
        shared=model.shared.astype(np.float32),
        bias=model.bias.astype(np.float32),
        own=np.concatenate(([0], model.own)).astype(np.float32),
    )
    value = onnx.helper.make_tensor_value_info
    given = [
        value("sku", onnx.TensorProto.STRING, ["rows", 1]),
        value("features", onnx.TensorProto.FLOAT, ["rows", len(columns)]),
    ]
    gives = value("units", onnx.TensorProto.FLOAT, ["rows", 1])
    return weekly.finish(onnx.helper.make_graph(nodes, "price", given, [gives], numbers))


def answered(rows: weekly.Matrix) -> dict[str, np.ndarray]:
    """Return the model's inputs for some rows."""
    return {"sku": rows.sku.astype(np.str_).astype(object)[:, None], "features": rows.features}


def reference_inputs(rows: weekly.Matrix) -> dict[str, np.ndarray]:
    """Return artificial rows: columns drawn independently, missing values, unknown products."""
    generator = np.random.default_rng(weekly.SEED)
    count = 3 * weekly.REFERENCE_ROWS
    drawn = np.column_stack([generator.choice(column, count) for column in rows.features.T])
    short = generator.random(drawn.shape) < 0.1
    short[:, rows.columns.index(PRICE)] = False
    drawn[short] = np.nan
    skus = generator.choice(rows.sku, count).astype(np.str_).astype(object)
    skus[::5] = "unknown"
    return {"sku": skus[:, None], "features": drawn}


def judge(
    tradewind: Tradewind, data: Path, models: Path, work: Path, test: weekly.Matrix
) -> Judgement:
    """Evaluate the predictions on the test split; print the table."""
    others = weekly.baselines(tradewind, data, work, "test", test)
    answers = weekly.module_answers(tradewind, models, answered(test), work)
    units = answers["units"][:, 0].astype(np.float64)
    reduced = test.column(PRICE) < REDUCED
    metrics, missed = [], []
    split = f"test, {len(np.unique(test.sku)):,} products, weeks 45 to 52"
    parts = {
        "all": (np.ones(len(reduced), dtype=bool), f"{split}, all weeks", GATE_WMAPE),
        "reduced": (reduced, f"{split}, weeks at a reduced price", GATE_REDUCED),
    }
    for part, (rows, name, gate) in parts.items():
        kept = test.where(rows)
        ours = np.abs(kept.units - units[rows])
        for baseline, forecast in others.items():
            theirs = np.abs(kept.units - forecast[rows])
            metrics.append(weekly.metric("wMAPE", kept, name, baseline, ours, theirs))
            print(metrics[-1])
        if (reached := weekly.wmape(kept.units, units[rows])) > gate:
            missed.append(f"wMAPE of {part} weeks is {reached:.4f}, above {gate}")
    share = 1 - ((test.units - units) ** 2).sum() / ((test.units - test.units.mean()) ** 2).sum()
    print(f"R² {share:.3f}; expected units per unit sold {units.sum() / test.units.sum():.3f}")
    return metrics, missed


def evaluate(data: Path, tradewind: Tradewind, models: Path, work: Path) -> Judgement:
    """Evaluate a model on the test split, in the module; print the table."""
    rows = weekly.matrices(tradewind, "price", data, models / "spec.json", work)["test"]
    return judge(tradewind, data, models, work, rows.where(rows.horizon == 1))


def describe(model: Model, graph: onnx.ModelProto, penalty: float) -> dict[str, object]:
    """Return the model card, without its metrics."""
    return {
        "summary": "Expects the units of a product's next week at a price, never more at a higher.",
        "model": (
            f"Hierarchical Poisson regression of {len(model.skus):,} products, whose own slopes "
            f"have a penalty of {penalty:.0f}; ONNX of {graph.ByteSize():,} bytes; trained on "
            "weeks 6 to 40, the penalty chosen on weeks 41 to 44, fitted again on both, judged on "
            "weeks 45 to 52."
        ),
        "licence": "MIT OR Apache-2.0",
        "data": weekly.DATA,
        "metrics": [],
        "intended_use": (
            "Comparing prices of a product within those that it has been sold at, by a search "
            "that keeps the current price unless another is better."
        ),
        "limits": [
            "Observational, not causal: prices were not set at random, and a reduced price comes "
            "with displays, mailers and stock that the panel shows in part. The current price is "
            "the answer where nothing is to be changed; test a change before it is relied on.",
            "Trained on one grocer's household panel of 2017, whose units are a part of a shop's; "
            "retrain on your own before use.",
            "Prices are those that were seen: the median over the week's sales, and the one before "
            "where nothing was sold.",
            "One elasticity for all depths of a reduction, and none for other products' prices.",
            f"Below {model.lowest:.0%} of the list price, where training has next to no weeks, "
            "units do not rise further.",
            "A product that the model does not know is answered with what products share.",
        ],
    }


def train(data: Path, tradewind: Tradewind, models: Path, work: Path) -> list[str]:
    """Train, export and evaluate; return the failures of the quality gate."""
    found = weekly.matrices(tradewind, "price", data, models / "spec.json", work)
    rows = {split: matrix.where(matrix.horizon == 1) for split, matrix in found.items()}
    test = rows["test"]
    penalty = choose_penalty(rows["train"], rows["validation"])
    judge_unknown(rows["train"], rows["validation"], penalty)
    model = fit(weekly.joined(rows["train"], rows["validation"]), penalty)
    graph = export(model, test.columns)
    weekly.write_model(graph, reference_inputs(rows["validation"]), models)

    exported = weekly.answers(graph, answered(rows["validation"]))["units"][:, 0]
    if not np.allclose(exported, model.units(rows["validation"]), rtol=1e-3):
        raise SystemExit("the exported model differs from the fitted model")
    metrics, missed = judge(tradewind, data, models, work, test)
    slopes = -model.slopes(test)
    print(f"elasticities: quantiles {np.quantile(slopes, (0, 0.05, 0.5, 0.95, 1)).round(2)}")
    if slopes.max() > 0:
        missed.append(f"an elasticity of {slopes.max():.3f}")
    write_json(models / "card.json", describe(model, graph, penalty) | {"metrics": metrics})
    return missed


def main() -> None:
    """Run from the command line."""
    weekly.main("train and evaluate the price model", train)


if __name__ == "__main__":
    main()
