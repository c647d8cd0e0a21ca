r"""Judge alerts by how many of the legs that are looked at are late.

    python alerts.py --data LEGS --tradewind dist/tradewind --model models/late

LEGS is the folder that legs.py wrote. Whoever watches shipments can look at a few of them: here at
a part of each day's legs of the test split, those that a method ranks first. Legs count alike, so
that exceptions by severity are exceptions by probability.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import late
from probabilities import Days

BUDGETS = (0.01, 0.05, 0.10)
# What late.py chose for the baseline on validation.
SMOOTHING = 10


def hits(test: late.Legs, days: Days, score: np.ndarray, budget: float) -> np.ndarray:
    """Return how many of the best of each day's legs were late; ties keep the order of the legs."""
    found = []
    for rows in days.rows:
        best = np.argsort(-score[rows], kind="stable")[: looked_at(rows, budget)]
        found.append(test.late[rows[best]].sum())
    return np.array(found, dtype=np.float64)


def looked_at(rows: np.ndarray, budget: float) -> int:
    """Return how many legs of a day are looked at."""
    return round(len(rows) * budget)


def show(test: late.Legs, methods: dict[str, np.ndarray]) -> None:
    """Print the precision of each method, and how much the first is above the others."""
    days = Days.of(test.day)
    print(f"{'precision at':16}" + "".join(f"{budget:>28.0%}" for budget in BUDGETS))
    (ours, _), *others = methods.items()
    for name, score in methods.items():
        cells = []
        for budget in BUDGETS:
            count = np.array([looked_at(rows, budget) for rows in days.rows], dtype=np.float64)
            cells.append(f"{hits(test, days, score, budget).sum() / count.sum():28.4f}")
        print(f"{name:16}" + "".join(cells))
    for name, score in others:
        cells = []
        for budget in BUDGETS:
            count = np.array([looked_at(rows, budget) for rows in days.rows], dtype=np.float64)
            gain = hits(test, days, methods[ours], budget) - hits(test, days, score, budget)
            (interval,) = days.intervals(
                late.SEED,
                lambda weights, gain=gain, count=count: float(weights @ gain / (weights @ count)),
            )
            cells.append(f"{interval!s:>28}")
        print(f"{'minus ' + name:16}" + "".join(cells))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="judge alerts on the test split")
    parser.add_argument("--data", type=Path, required=True, help="what legs.py wrote")
    parser.add_argument("--tradewind", type=Path, default=Path("dist/tradewind"))
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        spec = arguments.model / "spec.json"
        codes, legs = late.read_legs(
            arguments.data, arguments.tradewind.resolve(), spec, Path(work)
        )
    training, validation, test = late.split(legs)
    graph = late.Graph.load((arguments.model / "model.onnx").read_bytes(), codes)
    seen = legs.where(legs.day < test.day.min())
    rates = late.Rates.learn(seen, len(codes), SMOOTHING)
    methods = {
        "late": graph.run(graph.inputs(test))[:, 0],
        "origin x hour": late.origin_hour(rates, test),
        # The legs of a day are in the order of their departures.
        "age": -np.arange(len(test), dtype=np.float64),
        "random": np.random.default_rng(late.SEED).random(len(test)),
    }
    print(f"{len(training) + len(validation):,} legs learnt from, {len(test):,} judged")
    show(test, methods)
    daytime = np.isin(test.hour, late.DAYTIME)
    print(f"\nof {daytime.sum():,} that left from 6:00 to 20:59")
    show(test.where(daytime), {name: score[daytime] for name, score in methods.items()})


if __name__ == "__main__":
    main()
