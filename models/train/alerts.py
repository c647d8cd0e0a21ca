"""Precision of alerts: the share of checked legs that are late.

People can check only a few shipments: here a part of each day's legs, those that a method ranks first.
Legs count alike, so that exceptions by severity are exceptions by probability.
"""

from __future__ import annotations

import numpy as np

from probabilities import Days, Interval

BUDGETS = (0.01, 0.05, 0.10)


def hits(days: Days, late: np.ndarray, score: np.ndarray, budget: float) -> np.ndarray:
    """Return how many of the best of each day's legs were late; ties keep the order of the legs."""
    found = []
    for rows in days.rows:
        best = np.argsort(-score[rows], kind="stable")[: looked_at(rows, budget)]
        found.append(late[rows[best]].sum())
    return np.array(found, dtype=np.float64)


def looked_at(rows: np.ndarray, budget: float) -> int:
    """Return the number of checked legs of a day."""
    return round(len(rows) * budget)


def compare(
    day: np.ndarray, late: np.ndarray, methods: dict[str, np.ndarray], seed: int
) -> dict[str, tuple[float, float, Interval]]:
    """Print the precision of each method, and the differences of the first from the others.

    Returns, for each budget, that of the first, that of the second, and the interval of the
    difference.
    """
    days = Days.of(day)
    ours, other, *_ = methods
    found = {}
    print(f"{'precision at':20}" + "".join(f"{budget:>28.0%}" for budget in BUDGETS))
    rows = dict.fromkeys(methods, "")
    gains = dict.fromkeys(list(methods)[1:], "")
    for budget in BUDGETS:
        count = np.array([looked_at(legs, budget) for legs in days.rows], dtype=np.float64)
        caught = {name: hits(days, late, score, budget) for name, score in methods.items()}
        precision = {name: float(number.sum() / count.sum()) for name, number in caught.items()}
        intervals = {}
        for name in gains:
            gain = caught[ours] - caught[name]
            (intervals[name],) = days.intervals(
                seed,
                lambda weights, gain=gain, count=count: float(weights @ gain / (weights @ count)),
            )
            gains[name] += f"{intervals[name]!s:>28}"
        for name in methods:
            rows[name] += f"{precision[name]:28.4f}"
        found[f"precision at {budget:.0%}"] = (precision[ours], precision[other], intervals[other])
    for name, cells in rows.items():
        print(f"{name:20}{cells}")
    for name, cells in gains.items():
        print(f"{'minus ' + name:20}{cells}")
    return found
