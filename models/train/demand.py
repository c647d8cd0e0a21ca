r"""Train and evaluate the demand model: quantiles of a product's units in a coming week.

    python demand.py --data DATA --tradewind dist/tradewind --module dist/tradewind.wasm \
        --out models/demand

DATA is the folder that complete_journey.py wrote.

A Poisson regression says how many units are expected, and three LightGBM ensembles, one for each
quantile, by how much the units differ from that. One ONNX graph holds them all, and keeps the
quantiles in order. Features come from `tradewind features`, the code that
serves them; the test split is forecast inside the module. The number of trees is chosen on the
validation split, then the model is fitted once more with validation added. The run fails when the
gate is missed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
from scipy.optimize import minimize

import recommend
import weekly
from recommend import Judgement, Tradewind, write_json

QUANTILES = (0.1, 0.5, 0.9)
TREES = {0.1: (50, 60, 70), 0.5: (60, 70, 80), 0.9: (50, 60, 70)}
# Maximum size of the file, because the edge downloads all ensembles.
MAX_BYTES = 320_000
USUAL = "4-week mean by usual lift"
GATE_WMAPE = 0.45
GATE_REDUCTION = 0.10

PARAMETERS: dict[str, object] = {
    "objective": "quantile",
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": weekly.SEED,
    "verbose": -1,
}
# Plans use the median; the other ensembles are smaller, and learn in larger steps.
LEAVES = {0.1: 12, 0.5: 31, 0.9: 12}
RATES = {0.1: 0.15, 0.5: 0.1, 0.9: 0.15}

# Inputs of which the Poisson regression takes the logarithm, with the number added before.
LOGGED = {
    "base": 0.3,
    "base_4": 0.1,
    "last_units": 0.1,
    "mean_units_4": 0.1,
    "mean_units_13": 0.1,
    "least_units": 0.1,
    "most_units": 0.1,
    "plain_units": 0.1,
    "similar_units": 0.1,
    "similar_base": 0.1,
    "price_to_list": 0.0,
    "price_to_mean_4": 0.0,
    "price_to_mean_13": 0.0,
    "price_to_lowest": 0.0,
    "mean_price_to_list": 0.0,
}
PLAIN = ("display", "mailer", "mean_display", "mean_mailer", "similarity", "horizon")
PENALTY = 1.0


@dataclass(frozen=True)
class Scale:
    """The units of which the trees forecast a multiple: one more than a Poisson regression's."""

    inputs: weekly.Inputs
    weights: np.ndarray
    bias: float

    def __call__(self, rows: weekly.Matrix) -> np.ndarray:
        """Return the scale of some rows."""
        return np.exp(self.inputs.matrix(rows) @ self.weights + self.bias) + 1


def fit_scale(rows: weekly.Matrix) -> Scale:
    """Fit the regression on standardised inputs, by penalised maximum likelihood."""
    inputs = weekly.Inputs.of(rows, LOGGED, PLAIN)
    raw = inputs.matrix(rows)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    given = np.column_stack(((raw - mean) / deviation, np.ones(len(raw))))
    weight = np.full(given.shape[1], PENALTY)
    weight[-1] = 0

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logarithm = np.clip(given @ values, -20, 20)
        expected = np.exp(logarithm)
        total = (expected - rows.units * logarithm).sum() + (weight * values**2).sum() / 2
        gradient = given.T @ (expected - rows.units) + weight * values
        return total / len(raw), gradient / len(raw)

    start = np.zeros(given.shape[1])
    start[0], start[-1] = 1, np.log(rows.units.mean())
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1_000}).x
    weights = np.round(found[:-1] / deviation, weekly.DIGITS)
    bias = found[-1] - mean @ (found[:-1] / deviation)
    return Scale(inputs, weights, float(np.round(bias, weekly.DIGITS)))


def fit(rows: weekly.Matrix, scale: Scale, quantile: float, trees: int) -> lgb.Booster:
    """Fit one quantile: the loss is that of the units, for any scale."""
    by = scale(rows)
    data = lgb.Dataset(rows.features, rows.units / by, weight=by, feature_name=rows.columns)
    own = {"alpha": quantile, "num_leaves": LEAVES[quantile], "learning_rate": RATES[quantile]}
    return lgb.train(PARAMETERS | own, data, num_boost_round=trees)


def choose_trees(train: weekly.Matrix, judge: weekly.Matrix) -> dict[float, int]:
    """Return for each quantile the number of trees with the least loss on validation."""
    chosen: dict[float, int] = {}
    scale = fit_scale(train)
    print(f"the Poisson regression: wMAPE {weekly.wmape(judge.units, scale(judge) - 1):.4f}")
    for quantile in QUANTILES:
        model = fit(train, scale, quantile, max(TREES[quantile]))
        losses = {}
        for trees in TREES[quantile]:
            share = np.asarray(model.predict(judge.features, num_iteration=trees))
            forecast = np.maximum(share, 0) * scale(judge)
            losses[trees] = weekly.pinball(judge.units, forecast, quantile)
        chosen[quantile] = min(losses, key=lambda trees: losses[trees])
        print(f"P{100 * quantile:.0f}: {chosen[quantile]} trees; pinball loss by trees: {losses}")
    return chosen


def export(
    scale: Scale, models: Mapping[float, lgb.Booster], columns: list[str]
) -> onnx.ModelProto:
    """Return a graph from `features` [rows, columns] to `units` [rows, 3]: P10, P50, P90."""
    make = onnx.helper.make_node
    nodes, numbers = scale.inputs.graph()
    nodes += [
        make("Gemm", ["inputs", "weights", "bias"], ["log_expected"]),
        make("Exp", ["log_expected"], ["expected"]),
        make("Add", ["expected", "one"], ["scale"]),
    ]
    for quantile, model in models.items():
        text = re.sub(r"objective=quantile[^\n]*", "objective=regression", model.model_to_string())
        text = text.replace("[objective: quantile]", "[objective: regression]")
        text = re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE)
        ensemble = recommend.export(lgb.Booster(model_str=text), len(columns), "recommend", "score")
        (trees,) = (n for n in ensemble.graph.node if n.op_type.startswith("TreeEnsemble"))
        name = f"p{100 * quantile:.0f}"
        trees.name = name
        trees.input[:] = ["features"]
        trees.output[:] = [f"{name}_share"]
        nodes += [
            trees,
            make("Mul", [f"{name}_share", "scale"], [f"{name}_signed"]),
            make("Max", [f"{name}_signed", "zero"], [f"{name}_alone"]),
        ]
    nodes += [
        make("Min", ["p10_alone", "p50_alone"], ["p10"]),
        make("Max", ["p90_alone", "p50_alone"], ["p90"]),
        make("Concat", ["p10", "p50_alone", "p90"], ["units"], axis=1),
    ]
    given = onnx.helper.make_tensor_value_info(
        "features", onnx.TensorProto.FLOAT, ["rows", len(columns)]
    )
    gives = onnx.helper.make_tensor_value_info("units", onnx.TensorProto.FLOAT, ["rows", 3])
    numbers += weekly.constants(
        weights=scale.weights[:, None].astype(np.float32),
        bias=np.array([scale.bias], dtype=np.float32),
        one=np.float32(1),
        zero=np.float32(0),
    )
    return weekly.finish(onnx.helper.make_graph(nodes, "demand", [given], [gives], numbers))


def reference_inputs(rows: weekly.Matrix) -> np.ndarray:
    """Return rows that no product has: columns drawn apart, and some values missing."""
    generator = np.random.default_rng(weekly.SEED)
    drawn = [generator.choice(column, weekly.REFERENCE_ROWS) for column in rows.features.T]
    inputs = np.column_stack(drawn)
    inputs[generator.random(inputs.shape) < 0.2] = np.nan
    return inputs


def judge(
    tradewind: Tradewind,
    data: Path,
    work: Path,
    rows: Mapping[str, weekly.Matrix],
    units: np.ndarray,
) -> Judgement:
    """Evaluate the forecasts on the test split; print the table."""
    validation, test = rows["validation"], rows["test"]
    p10, p50, p90 = units.T.astype(np.float64)
    others = weekly.baselines(tradewind, data, work, "test", test)
    before = weekly.baselines(tradewind, data, work, "validation", validation)
    band = spread(validation, before[USUAL])
    split = f"test, {len(np.unique(test.sku)):,} products, weeks 45 to 52, horizons 1 to 4"
    ours = np.abs(test.units - p50)
    metrics, missed = [], []
    print(f"{'':28}{'all':>8}" + "".join(f"{f'week {h}':>8}" for h in range(1, 5)))
    for name, forecast in {**others, "demand": p50}.items():
        cells = [weekly.wmape(test.units, forecast)]
        for horizon in range(1, 5):
            weeks = test.horizon == horizon
            cells.append(weekly.wmape(test.units[weeks], forecast[weeks]))
        print(f"{name:28}" + "".join(f"{cell:8.4f}" for cell in cells))
    if (reached := weekly.wmape(test.units, p50)) > GATE_WMAPE:
        missed.append(f"wMAPE is {reached:.4f}, above {GATE_WMAPE}")
    for name, forecast in others.items():
        theirs = np.abs(test.units - forecast)
        metrics.append(weekly.metric("wMAPE", test, split, name, ours, theirs))
        shares = 1 - weekly.resampled(test, ours) / weekly.resampled(test, theirs)
        low, high = weekly.interval(shares)
        reduction = 1 - ours.sum() / theirs.sum()
        print(f"under {name}: {reduction:.1%} [{low:.1%}, {high:.1%}]")
        if reduction < GATE_REDUCTION:
            missed.append(f"wMAPE is {reduction:.1%} under that of {name}")
    for quantile, forecast in zip(QUANTILES, (p10, p50, p90), strict=True):
        name = f"pinball loss of P{100 * quantile:.0f}"
        theirs = band[quantile] * (others[USUAL] + 1)
        losses = [weekly.pinball_losses(test.units, f, quantile) for f in (forecast, theirs)]
        metrics.append(weekly.metric(name, test, split, f"{USUAL}, spread", *losses))
        below, up_to = (test.units < forecast).mean(), (test.units <= forecast).mean()
        print(f"{metrics[-1]}; {below:.1%} of the weeks are below, {up_to:.1%} at or below")
    print(f"{inside(test, units):.1%} of the test weeks are between P10 and P90")
    return metrics, missed


def spread(rows: weekly.Matrix, forecast: np.ndarray) -> dict[float, float]:
    """Return the factors from a forecast to each quantile, over some weeks."""
    return {q: float(np.quantile(rows.units / (forecast + 1), q)) for q in QUANTILES}


def inside(rows: weekly.Matrix, units: np.ndarray) -> float:
    """Return the share of the weeks from P10 to P90."""
    return float(((rows.units >= units[:, 0]) & (rows.units <= units[:, 2])).mean())


def describe(trees: Mapping[float, int], graph: onnx.ModelProto) -> dict[str, object]:
    """Return the model card, without its metrics."""
    sizes = ", ".join(
        f"{count} of at most {LEAVES[quantile]} leaves for P{100 * quantile:.0f}"
        for quantile, count in trees.items()
    )
    return {
        "summary": "Forecasts P10, P50 and P90 of a product's units in one of the next four weeks.",
        "model": (
            f"A Poisson regression times LightGBM {lgb.__version__}, trees: {sizes}; ONNX of "
            f"{graph.ByteSize():,} bytes; trained on weeks 6 to 40, the numbers of trees chosen on "
            "weeks 41 to 44, fitted again on both, judged on weeks 45 to 52."
        ),
        "licence": "MIT OR Apache-2.0",
        "data": weekly.DATA,
        "metrics": [],
        "intended_use": (
            "Planning stock and markdowns of a grocery shop's products, from 13 weeks of sales "
            "and the prices and promotions planned for the week to come."
        ),
        "limits": [
            "Trained on one grocer's household panel of 2017, not on a shop's whole sales; retrain "
            "on your own before use.",
            "One year of data, so no seasons and no holidays.",
            "Knows the price and the promotion of the week to come. They are those that were seen: "
            "the median price over the week's sales, and the one before where nothing was sold.",
            "Quantiles are of single weeks; those of several weeks do not add up.",
            "A product without history is forecast as if its past were the average one.",
        ],
    }


def forecast(
    tradewind: Tradewind, models: Path, rows: weekly.Matrix, work: Path
) -> np.ndarray:
    """Return the model's forecasts in the module."""
    return weekly.module_answers(tradewind, models, {"features": rows.features}, work)["units"]


def evaluate(data: Path, tradewind: Tradewind, models: Path, work: Path) -> Judgement:
    """Evaluate a model on the test split, in the module; print the table."""
    rows = weekly.matrices(tradewind, "demand", data, models / "spec.json", work)
    return judge(tradewind, data, work, rows, forecast(tradewind, models, rows["test"], work))


def train(data: Path, tradewind: Tradewind, models: Path, work: Path) -> list[str]:
    """Train, export and evaluate; return the failures of the quality gate."""
    rows = weekly.matrices(tradewind, "demand", data, models / "spec.json", work)
    validation, test = rows["validation"], rows["test"]
    trees = choose_trees(rows["train"], validation)
    learnt = weekly.joined(rows["train"], validation)
    scale = fit_scale(learnt)
    fitted = {quantile: fit(learnt, scale, quantile, count) for quantile, count in trees.items()}
    graph = export(scale, fitted, test.columns)
    weekly.write_model(graph, {"features": reference_inputs(validation)}, models)
    if graph.ByteSize() > MAX_BYTES:
        raise SystemExit(f"the model has {graph.ByteSize():,} bytes, above {MAX_BYTES:,}")

    middle = np.maximum(fitted[0.5].predict(validation.features), 0) * scale(validation)
    given = {"features": validation.features}
    exported = weekly.answers(graph, given)["units"][:, 1]
    if not np.allclose(exported, middle, atol=1e-3, rtol=1e-4):
        raise SystemExit(f"the exported model differs by {np.abs(exported - middle).max()}")

    units = forecast(tradewind, models, test, work)
    metrics, missed = judge(tradewind, data, work, rows, units)
    card = describe(trees, graph)
    card["metrics"] = metrics
    card["limits"] = [
        f"{inside(test, units):.1%} of the test weeks are between P10 and P90; 80 % would be exact.",
        *card["limits"],
    ]
    write_json(models / "card.json", card)
    return missed


def main() -> None:
    """Run from the command line."""
    weekly.main("train and evaluate the demand model", train)


if __name__ == "__main__":
    main()
