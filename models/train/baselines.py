"""Next-basket baselines: popularity, personal frequency and TIFU-kNN.

TIFU-kNN follows Hu et al., "Modeling Personalized Item Frequency Information for Next-basket
Recommendation" (SIGIR 2020): a household's trips are cut into `groups` runs; within a run and
across runs older trips weigh less; the vector is mixed with the mean of its `neighbours` nearest
households. With as many groups as trips it is a decay per trip; those settings are in the grid
too, so that the baseline is as strong as it can be made.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

import metrics

# Ties of any personal score go to the more popular product: less than any real difference.
POPULARITY_TIE = 1e-6

Rankings = dict[int, list[int]]


@dataclass(frozen=True)
class History:
    """Lines before a cutoff: dense household, item and trip numbers (trips from 0)."""

    profiles: np.ndarray
    skus: np.ndarray
    household: np.ndarray
    item: np.ndarray
    trip: np.ndarray
    trips: np.ndarray

    def share_of_baskets(self) -> np.ndarray:
        """Return the share of all trips that contain each item."""
        return np.bincount(self.item, minlength=len(self.skus)) / self.trips.sum()


def history(profile: np.ndarray, order: np.ndarray, sku: np.ndarray, skus: np.ndarray) -> History:
    """Return dense numbers for lines that come sorted by profile, time and order."""
    profiles, household = np.unique(profile, return_inverse=True)
    new = np.r_[True, (order[1:] != order[:-1]) | (profile[1:] != profile[:-1])]
    running = np.cumsum(new) - 1
    first = running[np.searchsorted(household, np.arange(len(profiles)))]
    trip = running - first[household]
    ordered = np.argsort(skus)
    item = ordered[np.searchsorted(skus, sku, sorter=ordered)]
    # A product counts once per trip.
    lines = np.unique(np.stack((household, trip, item), axis=1), axis=0)
    trips = np.bincount(household[new], minlength=len(profiles))
    return History(profiles, skus, lines[:, 0], lines[:, 2], lines[:, 1], trips)


def popularity(past: History, wanted: Collection[int]) -> Rankings:
    """Rank by share of baskets, the same for everyone."""
    best = np.argsort(-past.share_of_baskets(), kind="stable")[: metrics.DEPTH]
    return {profile: past.skus[best].tolist() for profile in wanted}


def frequency(past: History, wanted: Collection[int]) -> Rankings:
    """Rank by the number of the household's trips that contain the item."""
    return _rank(past, _sum(past, np.ones(len(past.item), dtype=np.float32)), wanted)


@dataclass(frozen=True)
class Tifu:
    """Parameters of TIFU-kNN; `groups = 0` stands for one trip per group."""

    groups: int
    within: float
    across: float
    neighbours: int
    alpha: float


def vectors(past: History, parameters: Tifu) -> np.ndarray:
    """Return one vector of decayed item frequencies per household."""
    trips = past.trips[past.household]
    groups = trips if parameters.groups == 0 else np.minimum(parameters.groups, trips)
    # Trip t of T is in run floor(t * groups / T); the lengths of runs differ by at most one trip.
    run = past.trip * groups // trips
    start = -(-run * trips // groups)
    end = -(-(run + 1) * trips // groups)
    weight = (
        parameters.within ** (end - 1 - past.trip)
        / (end - start)
        * parameters.across ** (groups - 1 - run)
        / groups
    )
    return _sum(past, weight.astype(np.float32))


def nearest(values: np.ndarray, neighbours: int) -> np.ndarray:
    """Return each row's nearest other rows by Euclidean distance."""
    squares = (values**2).sum(axis=1)
    distance = squares[:, None] + squares[None] - 2 * (values @ values.T)
    np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, neighbours, axis=1)[:, :neighbours]


def tifu(past: History, wanted: Collection[int], parameters: Tifu) -> Rankings:
    """Rank by TIFU-kNN."""
    own = vectors(past, parameters)
    near = _neighbour_mean(own, nearest(own, parameters.neighbours))
    return _rank(past, parameters.alpha * own + (1 - parameters.alpha) * near, wanted)


def grid() -> Iterator[tuple[int, float, float]]:
    """Yield the `(groups, within, across)` that are tried."""
    yield from itertools.product((3, 7), (0.9, 1.0), (0.7, 0.9))
    yield from itertools.product((0,), (1.0,), (0.95, 0.97, 0.98, 1.0))


def choose(past: History, baskets: Mapping[int, Collection[int]]) -> tuple[Tifu, float]:
    """Return the parameters of the best R@20, to be called with a validation split."""
    column = metrics.NAMES.index("R@20")
    best: tuple[float, Tifu] | None = None
    for groups, within, across in grid():
        own = vectors(past, Tifu(groups, within, across, 0, 1.0))
        for neighbours in (100, 300):
            near = _neighbour_mean(own, nearest(own, neighbours))
            for alpha in (0.3, 0.5, 0.7, 0.9):
                ranked = _rank(past, alpha * own + (1 - alpha) * near, baskets)
                recall = float(metrics.table(ranked, baskets)[:, column].mean())
                if best is None or recall > best[0]:
                    best = (recall, Tifu(groups, within, across, neighbours, alpha))
    if best is None:
        raise ValueError("no parameters to choose from")
    return best[1], best[0]


def _sum(past: History, weight: np.ndarray) -> np.ndarray:
    values = np.zeros((len(past.profiles), len(past.skus)), dtype=np.float32)
    np.add.at(values, (past.household, past.item), weight)
    return values


def _neighbour_mean(own: np.ndarray, near: np.ndarray) -> np.ndarray:
    # INVARIANT: no (households x neighbours x items) array is ever allocated.
    mean = np.empty_like(own)
    for row, others in enumerate(near):
        mean[row] = own[others].mean(axis=0)
    return mean


def _rank(past: History, values: np.ndarray, wanted: Collection[int]) -> Rankings:
    tie = (POPULARITY_TIE * past.share_of_baskets()).astype(np.float32)
    rows = {int(profile): row for row, profile in enumerate(past.profiles)}
    ranked: Rankings = {}
    for profile in wanted:
        score = values[rows[profile]] + tie
        near_top = np.argpartition(-score, 4 * metrics.DEPTH)[: 4 * metrics.DEPTH]
        ordered = near_top[np.lexsort((near_top, -score[near_top]))]
        ranked[profile] = past.skus[ordered[: metrics.DEPTH]].tolist()
    return ranked
