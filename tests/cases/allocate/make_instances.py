"""Makes `instances.jsonl`: allocation problems with their optimum and a greedy plan.

Baskets are real (Complete Journey, as `models/train/complete_journey.py` writes it), places are real (npm package
`vega-datasets`: airports as warehouses, ZIP codes as customers). Stock, capacities, costs and promises are generated.
The optimum is that of the same problem as a mixed-integer program, proven by HiGHS; an instance that it does not prove
within the time limit is left out.

    python make_instances.py --baskets events.csv --catalog catalog.csv --places package/data --out instances.jsonl
"""

import argparse
import csv
import hashlib
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highspy
import numpy as np
from numpy.random import Generator

PRODUCTS = 150
"""Baskets are cut down to the products bought most often, so that orders compete."""
MOST_LINES = 8
HUBS = ["MEM", "SDF", "ONT", "EWR", "ORD", "DFW", "ATL", "SEA", "DEN", "IND", "RNO", "MIA", "PHL", "MCI", "BOS", "PHX"]
PLACES_SHA256 = {
    "airports.csv": "903c7169e6d558eefb95295fe2947ec8503135fbb855ea5c737cf4a90ea603ad",
    "zipcodes.csv": "8ad998c84fe40b33806130ba942f18beaf734617a150ad563eeaebdfc003bc62",
}
LEVELS = {
    # Units in stock per unit wanted, share of nodes that carry a product, room per shipment wanted.
    "ample": (3.0, 0.80, 2.0),
    "tight": (1.3, 0.55, 1.3),
    "scarce": (0.85, 0.45, 1.0),
}
LAST_PRIORITY = 1
ANSWERS = ("optimum", "keeping_priorities", "greedy")

Instance = dict[str, Any]
Flow = tuple[int, int, int, int]
"""Units: order, line, node, quantity."""


@dataclass(frozen=True)
class Place:
    """Location, in degrees."""

    name: str
    latitude: float
    longitude: float

    def km(self, other: "Place") -> float:
        """The great-circle distance."""
        a, b = math.radians(self.latitude), math.radians(other.latitude)
        turn = math.radians(self.longitude - other.longitude)
        h = math.sin((a - b) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(turn / 2) ** 2
        return 12742 * math.asin(math.sqrt(h))


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_places(folder: Path) -> tuple[list[Place], list[Place]]:
    """Hubs, and one location for every ZIP code of the contiguous states."""
    for name, digest in PLACES_SHA256.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"`{folder / name}` is not the file of vega-datasets 3.2.1")
    airports = {row["iata"]: row for row in rows(folder / "airports.csv")}
    hubs = [Place(hub, float(airports[hub]["latitude"]), float(airports[hub]["longitude"])) for hub in HUBS]
    homes = [
        Place(row["zip_code"][:3], float(row["latitude"]), float(row["longitude"]))
        for row in rows(folder / "zipcodes.csv")
        if row["state"] not in ("AK", "HI", "PR", "VI", "GU")
    ]
    return hubs, homes


def read_baskets(events: Path, catalog: Path) -> dict[str, list[list[tuple[str, int]]]]:
    """Baskets by day, reduced to the first `PRODUCTS` of the catalogue, with 1 to `MOST_LINES` lines."""
    known = {row["sku"] for row in rows(catalog)[:PRODUCTS]}
    baskets: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows(events):
        if row["sku"] in known:
            baskets[int(row["at"]) // 86_400_000, row["order"]][row["sku"]] += int(row["quantity"])
    days: dict[str, list[list[tuple[str, int]]]] = defaultdict(list)
    for (day, _), lines in sorted(baskets.items()):
        if len(lines) <= MOST_LINES:
            days[str(day)].append(sorted(lines.items()))
    return {day: found for day, found in days.items() if len(found) >= 60}


def cents(value: float) -> int:
    """The nearest integer."""
    return math.floor(value + 0.5)


def draw(
    rng: Generator, level: str, number: int, wanted: int, hubs: list[Place], homes: list[Place], days: dict
) -> Instance:
    """One problem with a number of orders, without its plans."""
    cover, carried, room = LEVELS[level]
    day = sorted(days)[rng.integers(len(days))]
    picked = sorted(rng.choice(len(days[day]), wanted, replace=False))
    baskets = [days[day][basket] for basket in picked]
    skus = sorted({sku for basket in baskets for sku, _ in basket})
    numbered = {sku: n for n, sku in enumerate(skus)}
    where = [hubs[hub] for hub in sorted(rng.choice(len(hubs), 8 + number % 5, replace=False))]

    orders = []
    regions: list[Place] = []
    for basket in baskets:
        home = homes[rng.integers(len(homes))]
        if home.name not in [region.name for region in regions]:
            regions.append(home)
        units = sum(quantity for _, quantity in basket)
        nodes = np.arange(len(where))
        priority = int(rng.random() < 0.8)
        orders.append(
            {
                "region": [region.name for region in regions].index(home.name),
                "lines": [[numbered[sku], quantity] for sku, quantity in basket],
                "promised": int(rng.integers(2, 6)),
                "late": cents(200 + units * rng.uniform(20, 120)),
                "missing": (5000, 3000)[priority],
                "priority": priority,
                "complete": bool(rng.random() < 0.15),
                "splits": int(rng.integers(0, 3)) if rng.random() < 0.3 else None,
                "pinned": int(rng.choice(nodes)) if rng.random() < 0.03 else None,
                "excluded": [int(node) for node in sorted(rng.choice(nodes, 2, False))] if rng.random() < 0.1 else [],
            }
        )

    nodes = []
    for n, hub in enumerate(where):
        share = room * len(orders) / len(where) * rng.uniform(0.6, 1.4)
        units = sum(quantity for basket in baskets for _, quantity in basket) / len(orders)
        kind = ("shipments", "shipments", "units", None)[n % 4]
        capacity = None if kind is None else {kind: cents(share * (units if kind == "units" else 1.2)) + 1}
        nodes.append(
            {
                "name": hub.name,
                "capacity": capacity,
                "dispatch": int(rng.random() < 0.3),
                "shipment": cents(rng.uniform(60, 160)),
                "unit": cents(rng.uniform(8, 35)),
                "closed": bool(rng.random() < 0.04),
            }
        )
    lanes = []
    for n, hub in enumerate(where):
        slow = rng.uniform(0, 40_000)
        for r, region in enumerate(regions):
            km = hub.km(region)
            if rng.random() < 0.03:
                continue
            zone = 1 + min(8, int(km // 500))
            late = cents(30_000 + slow + 18 * km + rng.uniform(0, 20_000))
            shipment = cents(420 + 75 * zone + rng.uniform(0, 60))
            lanes.append([n, r, shipment, 12 + 6 * zone, 1 + int(km // 900), late, cents(km)])
    stock = []
    for sku in range(len(skus)):
        wanted_units = sum(quantity for order in orders for s, quantity in order["lines"] if s == sku)
        at = [n for n in range(len(where)) if rng.random() < carried] or [int(rng.integers(len(where)))]
        total = max(1, math.ceil(cover * wanted_units - rng.random()))
        counts = rng.multinomial(total, rng.dirichlet(np.full(len(at), 2.0)))
        for n, count in zip(at, counts, strict=True):
            if count:
                stock.append([n, sku, int(count), cents(rng.uniform(-25, 60))])
    return {
        "name": f"{level}-{number:02}",
        "level": level,
        "day": int(day),
        "products": skus,
        "regions": [region.name for region in regions],
        "costs": {"day_late": 250, "split": 120},
        "nodes": nodes,
        "lanes": lanes,
        "stock": stock,
        "orders": orders,
    }


class Network:
    """Costs of units and shipments, and the nodes allowed for an order."""

    def __init__(self, instance: Instance) -> None:
        """Looks lanes and stock up by their ends."""
        self.instance = instance
        self.lanes = {(lane[0], lane[1]): lane for lane in instance["lanes"]}
        self.stock = {(entry[0], entry[1]): entry for entry in instance["stock"]}

    def nodes(self, order: dict[str, Any]) -> list[int]:
        """The nodes that may ship to this order."""
        return [
            n
            for n, node in enumerate(self.instance["nodes"])
            if not node["closed"]
            and n not in order["excluded"]
            and order["pinned"] in (None, n)
            and (n, order["region"]) in self.lanes
        ]

    def shipment(self, order: dict[str, Any], n: int) -> int:
        """A shipment: freight, handling, days late and the risk of lateness; cents, half a cent up."""
        node, lane = self.instance["nodes"][n], self.lanes[n, order["region"]]
        late = max(0, node["dispatch"] + lane[4] - order["promised"])
        risk = (lane[5] * order["late"] + 500_000) // 1_000_000
        return lane[2] + node["shipment"] + late * self.instance["costs"]["day_late"] + risk

    def unit(self, order: dict[str, Any], n: int, sku: int) -> int:
        """A unit: freight, handling and the pressure on stock."""
        return self.lanes[n, order["region"]][3] + self.instance["nodes"][n]["unit"] + self.stock[n, sku][3]

    def shortfall(self, flows: list[Flow], priority: int) -> int:
        """Cost of a priority's missing units."""
        orders = self.instance["orders"]
        wanted = sum(
            quantity * order["missing"]
            for order in orders
            if order["priority"] == priority
            for _, quantity in order["lines"]
        )
        return wanted - sum(
            flow[3] * orders[flow[0]]["missing"] for flow in flows if orders[flow[0]]["priority"] == priority
        )

    def total(self, flows: list[Flow]) -> int:
        """Cost of a plan."""
        shipped: dict[int, set[int]] = defaultdict(set)
        cost = sum(quantity * order["missing"] for order in self.instance["orders"] for _, quantity in order["lines"])
        for o, line, n, quantity in flows:
            order = self.instance["orders"][o]
            cost += quantity * (self.unit(order, n, order["lines"][line][0]) - order["missing"])
            shipped[o].add(n)
        for o, nodes in shipped.items():
            cost += sum(self.shipment(self.instance["orders"][o], n) for n in nodes)
            cost += (len(nodes) - 1) * self.instance["costs"]["split"]
        return cost


def greedy(network: Network) -> list[Flow]:
    """Like Magento's distance priority: order by order and line by line, from the nearest node."""
    instance = network.instance
    left = {key: entry[2] for key, entry in network.stock.items()}
    room = [dict(node["capacity"] or {}) for node in instance["nodes"]]
    flows: list[Flow] = []
    for o in sorted(range(len(instance["orders"])), key=lambda o: instance["orders"][o]["priority"]):
        order = instance["orders"][o]
        sources = sorted(network.nodes(order), key=lambda n: (network.lanes[n, order["region"]][6], n))
        most = len(sources) if order["splits"] is None else order["splits"] + 1
        opened: set[int] = set()
        took: list[Flow] = []
        for line, (sku, wanted) in enumerate(order["lines"]):
            quantity = wanted
            for n in sources:
                if n not in opened and (len(opened) == most or room[n].get("shipments", 1) < 1):
                    continue
                units = min(quantity, left.get((n, sku), 0), room[n].get("units", quantity))
                if units == 0:
                    continue
                if n not in opened and "shipments" in room[n]:
                    room[n]["shipments"] -= 1
                opened.add(n)
                left[n, sku] -= units
                if "units" in room[n]:
                    room[n]["units"] -= units
                quantity -= units
                took.append((o, line, n, units))
        if order["complete"] and sum(flow[3] for flow in took) < sum(quantity for _, quantity in order["lines"]):
            for _, line, n, units in took:
                left[n, order["lines"][line][0]] += units
                if "units" in room[n]:
                    room[n]["units"] += units
            for n in opened:
                if "shipments" in room[n]:
                    room[n]["shipments"] += 1
            took = []
        flows += took
    return flows


class Program:
    """Rows and columns for HiGHS."""

    def __init__(self) -> None:
        """An empty program."""
        self.highs = highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("threads", 1)
        self.columns = 0

    def column(self, cost: float, most: float, whole: bool = True) -> int:
        """A variable from 0 to `most`."""
        self.highs.addCol(cost, 0, most, 0, np.array([], dtype=np.int32), np.array([]))
        if whole:
            self.highs.changeColIntegrality(self.columns, highspy.HighsVarType.kInteger)
        self.columns += 1
        return self.columns - 1

    def row(self, least: float, most: float, terms: list[tuple[int, float]]) -> None:
        """`least` ≤ sum of terms ≤ `most`."""
        at = np.array([column for column, _ in terms], dtype=np.int32)
        self.highs.addRow(least, most, len(terms), at, np.array([factor for _, factor in terms], dtype=float))


def optimum(
    network: Network, seconds: float, last: int = LAST_PRIORITY, shortfalls: dict[int, int] | None = None
) -> list[Flow] | None:
    """The best plan for orders up to the `last` priority, if HiGHS proves it within the time.

    Costs are whole cents, so a gap below one is zero. `shortfalls` bounds those of a priority, in cents.
    """
    instance, infinite = network.instance, highspy.kHighsInf
    program = Program()
    units: dict[tuple[int, int, int], int] = {}
    of_stock: dict[tuple[int, int], list[int]] = defaultdict(list)
    of_node: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    of_priority: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for o, order in enumerate(instance["orders"]):
        if order["priority"] > last:
            continue
        opened = {n: program.column(network.shipment(order, n), 1) for n in network.nodes(order)}
        for n, column in opened.items():
            of_node[n][0].append(column)
        extra = program.column(instance["costs"]["split"], max(0, len(opened) - 1), whole=False)
        program.row(-infinite, 1, [*((column, 1.0) for column in opened.values()), (extra, -1)])
        if order["splits"] is not None:
            program.row(-infinite, order["splits"] + 1, [(column, 1.0) for column in opened.values()])
        nothing = program.column(0, 1) if order["complete"] else None
        for line, (sku, quantity) in enumerate(order["lines"]):
            missing = program.column(order["missing"], quantity)
            terms = [(missing, 1.0)]
            of_priority[order["priority"]].append((missing, order["missing"]))
            for n, column in opened.items():
                if (n, sku) in network.stock:
                    most = min(quantity, network.stock[n, sku][2])
                    taken = program.column(network.unit(order, n, sku), most)
                    program.row(-infinite, 0, [(taken, 1), (column, -most)])
                    units[o, line, n] = taken
                    of_stock[n, sku].append(taken)
                    of_node[n][1].append(taken)
                    terms.append((taken, 1.0))
            program.row(quantity, quantity, terms)
            if nothing is not None:
                program.row(0, 0, [(missing, 1), (nothing, -quantity)])
    for priority, most in (shortfalls or {}).items():
        program.row(-infinite, most, of_priority[priority])
    for key, columns in of_stock.items():
        program.row(-infinite, network.stock[key][2], [(column, 1.0) for column in columns])
    for n, (shipments, taken) in of_node.items():
        capacity = instance["nodes"][n]["capacity"] or {}
        if "shipments" in capacity:
            program.row(-infinite, capacity["shipments"], [(column, 1.0) for column in shipments])
        if "units" in capacity:
            program.row(-infinite, capacity["units"], [(column, 1.0) for column in taken])
    highs = program.highs
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.9)
    highs.setOptionValue("time_limit", seconds)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    value = highs.getSolution().col_value
    flows = [(*key, cents(value[column])) for key, column in sorted(units.items()) if cents(value[column])]
    left_out = network.total([]) - sum(network.shortfall([], priority) for priority in range(last + 1))
    if network.total(flows) - left_out != cents(highs.getInfo().objective_function_value):
        raise SystemExit(f"`{instance['name']}`: HiGHS and the plan disagree on the cost")
    return flows


def keeping(network: Network, seconds: float) -> list[Flow] | None:
    """The best plan in which no priority has a larger shortfall than without the orders of lower ones."""
    shortfalls: dict[int, int] = {}
    for priority in range(LAST_PRIORITY):
        alone = optimum(network, seconds, priority, shortfalls)
        if alone is None:
            return None
        shortfalls[priority] = network.shortfall(alone, priority)
    return optimum(network, seconds, LAST_PRIORITY, shortfalls)


def main() -> None:
    """Draws, solves and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baskets", type=Path, required=True, help="events.csv of Complete Journey")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv of Complete Journey")
    parser.add_argument("--places", type=Path, required=True, help="the folder `data` of vega-datasets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2026, help="of what is drawn")
    parser.add_argument("--per-level", type=int, default=12, help="instances at each level")
    parser.add_argument("--seconds", type=float, default=600, help="the most for one instance")
    given = parser.parse_args()
    hubs, homes = read_places(given.places)
    days = read_baskets(given.baskets, given.catalog)
    with given.out.open("w", encoding="utf-8") as out:
        for level_number, level in enumerate(LEVELS):
            for number in range(given.per_level):
                rng = np.random.default_rng([given.seed, level_number, number])
                # From 20 to 60 orders.
                wanted = 20 + 40 * number // (given.per_level - 1)
                instance = draw(rng, level, number, wanted, hubs, homes, days)
                network = Network(instance)
                best, kept, simple = optimum(network, given.seconds), keeping(network, given.seconds), greedy(network)
                if best is None or kept is None:
                    print(f"{instance['name']}: not proven, left out", flush=True)
                    continue
                for name, flows in zip(ANSWERS, (best, kept, simple), strict=True):
                    instance[name] = {"total": network.total(flows), "plan": flows}
                out.write(json.dumps(instance, separators=(",", ":")) + "\n")
                out.flush()
                totals = ", ".join(f"{name} {instance[name]['total']}" for name in ANSWERS)
                print(f"{instance['name']}: {totals}", flush=True)


if __name__ == "__main__":
    main()
