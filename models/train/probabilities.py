"""Metrics of predicted probabilities, and intervals that keep the days of a log together.

Things that happen on one day share its weather, so a resample draws days, not rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2_000


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


@dataclass(frozen=True)
class Days:
    """The rows of a log by day."""

    rows: list[np.ndarray]

    @classmethod
    def of(cls, day: np.ndarray) -> Days:
        """Gather the rows of each day."""
        order = np.argsort(day, kind="stable")
        _, start = np.unique(day[order], return_index=True)
        return cls(np.split(order, start[1:]))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of a row's values over each day."""
        return np.array([values[rows].sum() for rows in self.rows], dtype=np.float64)

    def intervals(self, seed: int, *figures: Callable[[np.ndarray], float]) -> list[Interval]:
        """Bootstrap figures that are given how often each day was drawn."""
        count = len(self.rows)
        generator = np.random.default_rng(seed)
        draws = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        once = np.ones(count)
        found = []
        for figure in figures:
            drawn = [figure(weights.astype(np.float64)) for weights in draws]
            low, high = np.percentile(drawn, (2.5, 97.5))
            found.append(Interval(figure(once), float(low), float(high)))
        return found


def auc(days: Days, label: np.ndarray, score: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the area under the ROC curve as a function of the days' weights.

    The pairs that are in order are counted once for each two days; what a resample weighs is those
    counts. Equal scores count half.
    """
    late = [np.sort(score[rows[label[rows]]]) for rows in days.rows]
    other = [np.sort(score[rows[~label[rows]]]) for rows in days.rows]
    ordered = np.array(
        [
            [
                (np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")).sum() / 2
                for b in other
            ]
            for a in late
        ]
    )
    lates = np.array([len(scores) for scores in late], dtype=np.float64)
    others = np.array([len(scores) for scores in other], dtype=np.float64)
    return lambda weights: float(
        weights @ ordered @ weights / ((weights @ lates) * (weights @ others))
    )


def brier(days: Days, label: np.ndarray, score: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the mean squared error as a function of the days' weights."""
    error, count = days.sums((score - label) ** 2), days.sums(np.ones(len(label)))
    return lambda weights: float(weights @ error / (weights @ count))


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability: their share, and the means of predictions and outcomes."""

    share: float
    predicted: float
    observed: Interval


def reliability(
    days: Days, label: np.ndarray, score: np.ndarray, bins: int, seed: int
) -> list[Bin]:
    """Return as many bins of equally many rows, by ascending probability."""
    place = np.empty(len(score), dtype=np.int64)
    place[np.argsort(score, kind="stable")] = np.arange(len(score))
    found = []
    for k in range(bins):
        rows = place * bins // len(score) == k
        late, count = days.sums(rows & label), days.sums(rows)
        (observed,) = days.intervals(
            seed, lambda weights, late=late, count=count: float(weights @ late / (weights @ count))
        )
        found.append(Bin(float(rows.mean()), float(score[rows].mean()), observed))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean distance of the bins from the diagonal."""
    return sum(b.share * abs(b.predicted - b.observed.value) for b in bins)
