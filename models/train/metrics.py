"""Ranking metrics per target basket, and intervals for the difference of two rankings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

NAMES = ("R@10", "R@20", "NDCG@10", "MRR@20")
DEPTH = 20


def evaluate(ranked: Sequence[int], relevant: Collection[int]) -> tuple[float, ...]:
    """Return the metrics of one ranking, in the order of `NAMES`.

    Recall divides by the size of the basket, whatever the depth. NDCG has binary gains and an
    ideal ranking of `min(10, size)` hits. MRR is zero when the first 20 hold no hit.

    >>> [round(x, 3) for x in evaluate([7, 3, 9], {3, 4})]
    [0.5, 0.5, 0.387, 0.5]
    """
    hits = np.zeros(DEPTH)
    for place, sku in enumerate(ranked[:DEPTH]):
        hits[place] = sku in relevant
    discount = 1 / np.log2(np.arange(2, 12))
    size = len(relevant)
    ideal = discount[: min(10, size)].sum()
    first = int(hits.argmax())
    return (
        float(hits[:10].sum() / size),
        float(hits.sum() / size),
        float((hits[:10] * discount).sum() / ideal),
        1 / (first + 1) if hits[first] else 0.0,
    )


def table(
    rankings: Mapping[int, Sequence[int]], baskets: Mapping[int, Collection[int]]
) -> np.ndarray:
    """Return one row of metrics per profile, by ascending profile."""
    return np.array([evaluate(rankings[profile], baskets[profile]) for profile in sorted(baskets)])


def paired_intervals(
    ours: np.ndarray, theirs: np.ndarray, seed: int, resamples: int = 2_000
) -> list[tuple[float, float, float]]:
    """Return `(mean, low, high)` of ours minus theirs per metric: a paired 95 % bootstrap."""
    difference = ours - theirs
    generator = np.random.default_rng(seed)
    means = np.array(
        [
            difference[generator.integers(0, len(difference), len(difference))].mean(axis=0)
            for _ in range(resamples)
        ]
    )
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return list(zip(difference.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True))
