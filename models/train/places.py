"""Nodes, regions and lanes of the reference snapshot: real locations and generated attributes.

    python places.py --places legs/places.csv --out models/snapshot

`legs/places.csv` is what legs.py wrote. Writes `nodes.csv`, `regions.csv` and `lanes.csv`; the
README beside them says what each column is, and which are generated. Places, distances and
arrivals are real; where a merchant would have nodes, what carriage costs and how long it takes is
not public, and is generated here by simple rules with a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from complete_journey import write_table

SEED = 20_171_204
REGIONS = 40
NODES = 12
# Nodes are chosen from the locations with the most arrivals.
SITES = 60
EARTH_KM = 6371.0088
# Minimum length of a lane: parcels travel by road, also within a city.
LOCAL_KM = 20.0

OUTSIDE = ("AK", "HI", "PR", "VI", "GU")
# Minutes from UTC in winter.
EASTERN, CENTRAL, MOUNTAIN, PACIFIC = -300, -360, -420, -480
OFFSETS = {
    EASTERN: "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
    CENTRAL: "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
    MOUNTAIN: "AZ CO ID MT NM UT WY",
    PACIFIC: "CA NV OR WA",
}
# Locations in the smaller part of a state with two zones.
EXCEPTIONS = {"ELP": MOUNTAIN, "PNS": CENTRAL, "TYS": EASTERN, "CHA": EASTERN, "TRI": EASTERN}

# Cents of freight: per parcel, and per unit.
PARCEL_BASE, PARCEL_PER_KM = 480, 0.15
UNIT_BASE, UNIT_PER_KM = 45, 0.02
# Maximum relative deviation of a lane's cost from the rule.
COST_SPREAD = 0.08
# Maximum kilometres of lanes that take at least 1, 2, 3 or 4 days; longer ones take 5.
TRANSIT_KM = (400, 1000, 1900, 2900)
# Above this distance the latest day is two days after the earliest, otherwise one.
WIDE_KM = 1900
CUT_OFFS = (14 * 60, 15 * 60, 16 * 60, 17 * 60, 18 * 60)
# Cents of handling: per parcel, and per unit.
HANDLING = (90, 180)
UNIT_HANDLING = (12, 25)
# Parcels per day of all nodes.
CAPACITY = 24_000


@dataclass(frozen=True)
class Place:
    """Airport, which represents the area around it."""

    code: str
    name: str
    state: str
    latitude: float
    longitude: float
    arrivals: int

    @property
    def utc_offset(self) -> int:
        """Minutes from UTC in winter."""
        known = {state: zone for zone, states in OFFSETS.items() for state in states.split()}
        return EXCEPTIONS.get(self.code, known[self.state])


def read_places(path: Path) -> list[Place]:
    """Return the locations of the contiguous states, most arrivals first, ties by code."""
    with path.open(encoding="utf-8", newline="") as file:
        places = [
            Place(
                row["code"],
                row["city"],
                row["state"],
                float(row["latitude"]),
                float(row["longitude"]),
                int(row["arrivals"]),
            )
            for row in csv.DictReader(file)
            if row["state"] not in OUTSIDE
        ]
    return sorted(places, key=lambda place: (-place.arrivals, place.code))


def distances(origins: list[Place], destinations: list[Place]) -> np.ndarray:
    """Return great-circle distances in kilometres, by origin and destination.

    >>> jfk = Place("JFK", "New York", "NY", 40.6398, -73.7789, 1)
    >>> lax = Place("LAX", "Los Angeles", "CA", 33.9425, -118.4081, 1)
    >>> int(distances([jfk], [lax])[0, 0])
    3974
    """

    def radians(places: list[Place]) -> tuple[np.ndarray, np.ndarray]:
        at = np.radians([(place.latitude, place.longitude) for place in places])
        return at[:, 0], at[:, 1]

    (lat1, lon1), (lat2, lon2) = radians(origins), radians(destinations)
    haversine = (
        np.sin((lat2[None, :] - lat1[:, None]) / 2) ** 2
        + np.cos(lat1)[:, None]
        * np.cos(lat2)[None, :]
        * np.sin((lon2[None, :] - lon1[:, None]) / 2) ** 2
    )
    return 2 * EARTH_KM * np.arcsin(np.sqrt(haversine))


def locate(sites: list[Place], regions: list[Place], count: int) -> list[Place]:
    """Return sites with short distances to the regions, by greedy p-median.

    Each is the one that then leaves the least sum of arrivals times distance to the nearest node.
    """
    kilometres = distances(sites, regions)
    weights = np.array([region.arrivals for region in regions], dtype=np.float64)
    nearest = np.full(len(regions), np.inf)
    chosen: list[int] = []
    for _ in range(count):
        left = (np.minimum(kilometres, nearest) * weights).sum(axis=1)
        left[chosen] = np.inf
        chosen.append(int(left.argmin()))
        nearest = np.minimum(nearest, kilometres[chosen[-1]])
    return [sites[k] for k in chosen]


def write(places: list[Place], out: Path) -> None:
    """Write the three tables into a folder."""
    generator = np.random.default_rng(SEED)
    regions = places[:REGIONS]
    nodes = locate(places[:SITES], regions, NODES)
    kilometres = np.rint(np.maximum(distances(nodes, regions), LOCAL_KM)).astype(int)
    out.mkdir(parents=True, exist_ok=True)

    arrivals = np.array([region.arrivals for region in regions])
    served = np.bincount(kilometres.argmin(axis=0), weights=arrivals, minlength=NODES)
    # Half of the capacity is distributed evenly, so that no node is tiny.
    shares = 0.5 / NODES + 0.5 * served / served.sum()
    capacity = (10 * np.rint(CAPACITY * shares / 10)).astype(int)
    cut_offs = generator.choice(CUT_OFFS, size=NODES)
    handling = generator.integers(*HANDLING, size=NODES, endpoint=True)
    unit_handling = generator.integers(*UNIT_HANDLING, size=NODES, endpoint=True)

    def where(place: Place) -> tuple[str, str, str, str, str, int]:
        at = f"{place.latitude:.4f}", f"{place.longitude:.4f}"
        return place.code, place.name, place.state, *at, place.utc_offset

    columns = ("code", "name", "state", "latitude", "longitude", "utc_offset")
    rules = np.column_stack([capacity, cut_offs, handling, unit_handling]).tolist()
    write_table(
        out / "nodes.csv",
        (*columns, "shipments_per_day", "cut_off", "handling", "unit_handling"),
        ((*where(node), *rule) for node, rule in zip(nodes, rules, strict=True)),
    )
    write_table(
        out / "regions.csv",
        (*columns, "weight"),
        (
            (*where(region), f"{share:.5f}")
            for region, share in zip(regions, arrivals / arrivals.sum(), strict=True)
        ),
    )

    spread = generator.uniform(1 - COST_SPREAD, 1 + COST_SPREAD, size=kilometres.shape)
    cost = np.rint((PARCEL_BASE + PARCEL_PER_KM * kilometres) * spread).astype(int)
    unit_cost = np.rint((UNIT_BASE + UNIT_PER_KM * kilometres) * spread).astype(int)
    earliest = 1 + np.searchsorted(TRANSIT_KM, kilometres)
    latest = earliest + 1 + (kilometres > WIDE_KM)
    lanes = np.stack([kilometres, cost, unit_cost, earliest, latest], axis=-1).tolist()
    write_table(
        out / "lanes.csv",
        ("node", "region", "distance", "cost", "unit_cost", "min_days", "max_days"),
        (
            (node.code, region.code, *lanes[n][r])
            for n, node in enumerate(nodes)
            for r, region in enumerate(regions)
        ),
    )
    mean = float((kilometres.min(axis=0) * arrivals).sum() / arrivals.sum())
    print(
        f"{NODES} nodes, {REGIONS} regions, {kilometres.size} lanes; {mean:.0f} km to the nearest"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="write nodes, regions and lanes")
    parser.add_argument("--places", type=Path, required=True, help="what legs.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write(read_places(arguments.places), arguments.out)


if __name__ == "__main__":
    main()
