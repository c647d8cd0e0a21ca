r"""Make requests over the reference snapshot, for the tests and the demo.

    python decisions.py --data DATA --snapshot models/snapshot --out tests/cases/decisions

DATA is the folder that complete_journey.py wrote. The orders are real baskets of the first days
after the snapshot's moment. Generated, with a fixed seed, are where they go, what was promised,
what they ask for beside products, and what happened to the shipments.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import numpy as np

from snapshot import ISSUED, read

SEED = 20_171_205
QUOTES = 64
ORDERS = 160
SHIPMENTS = 120
OBJECTIVES = (
    {"margin": 1},
    {"revenue": 1},
    {"sell_through": 1},
    {"margin": 2, "sell_through": 1},
)
# Events of a shipment: kind, location, and hours after the previous event.
WAY = (
    ("packed", "node", 6),
    ("picked_up", "node", 5),
    ("arrived", "hub", 16),
    ("departed", "hub", 9),
    ("arrived", "region", 14),
    ("out_for_delivery", "region", 8),
    ("delivered", "region", 6),
)

Request = dict[str, object]


def quotes(generator: np.random.Generator, folder: Path) -> Iterable[Request]:
    """Ask for prices of products spread over the catalogue."""
    products, regions = read(folder / "products.csv"), read(folder / "regions.csv")
    for n in range(QUOTES):
        at = ISSUED + timedelta(minutes=int(generator.integers(0, 7 * 24 * 60)))
        yield {
            "id": f"quote-{n + 1}",
            "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "sku": products[n * len(products) // QUOTES]["sku"],
            "region": regions[int(generator.integers(len(regions)))]["code"],
            "objective": OBJECTIVES[n % len(OBJECTIVES)],
        }


def baskets(data: Path, known: set[str]) -> list[dict[str, int]]:
    """Return the first baskets after the snapshot's moment, as units by product."""
    start = int(ISSUED.timestamp() * 1000)
    found: dict[tuple[int, str], dict[str, int]] = {}
    with (data / "events.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["at"]) >= start and row["sku"] in known:
                basket = found.setdefault((int(row["at"]), row["order"]), {})
                basket[row["sku"]] = basket.get(row["sku"], 0) + int(row["quantity"])
    return [found[key] for key in sorted(found)[:ORDERS]]


def orders(generator: np.random.Generator, data: Path, folder: Path) -> Iterable[Request]:
    """Send baskets to regions, by their weights."""
    regions, nodes = read(folder / "regions.csv"), read(folder / "nodes.csv")
    weight = np.array([float(region["weight"]) for region in regions])
    known = {row["sku"] for row in read(folder / "products.csv")}
    for n, basket in enumerate(baskets(data, known)):
        region = regions[int(generator.choice(len(regions), p=weight / weight.sum()))]["code"]
        promised = ISSUED + timedelta(days=int(generator.integers(4, 8)))
        order: Request = {
            "id": f"order-{n + 1}",
            "region": region,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in basket.items()],
            "promised": f"{promised:%Y-%m-%d}",
        }
        node = nodes[int(generator.integers(len(nodes)))]["code"]
        asked = {
            3: {"priority": 1},
            5: {"complete": True},
            7: {"max_splits": 0},
            11: {"excluded": [node]},
            13: {"pinned": node},
        }
        yield order | next((more for every, more in asked.items() if n % every == every - 1), {})


def shipments(
    generator: np.random.Generator, folder: Path, known: list[Request]
) -> Iterable[Request]:
    """Let shipments of orders be on their way: most as they should, some not."""
    lanes, prices = read(folder / "lanes.csv"), read(folder / "products.csv")
    hubs = [node["code"] for node in read(folder / "nodes.csv")]
    price = {row["sku"]: int(row["list"]) for row in prices}
    for n, order in enumerate(known[:SHIPMENTS]):
        ways = [lane for lane in lanes if lane["region"] == order["region"]]
        lane = min(ways, key=lambda lane: int(lane["cost"]) + int(generator.integers(0, 200)))
        created = ISSUED + timedelta(hours=8) - timedelta(hours=float(generator.uniform(0, 120)))
        places = {
            "node": lane["node"],
            "hub": hubs[int(generator.integers(len(hubs)))],
            "region": lane["region"],
        }
        at, scans = created, [("created", "node", created)]
        for state, place, hours in WAY:
            at += timedelta(hours=float(hours * generator.lognormal(0, 0.4)))
            if n % 12 == 5 and len(scans) == 1 + n % 5:
                break  # It is stuck here.
            if n % 40 == 17 and state == "delivered":
                state = "address_rejected"
            scans.append((state, place, at))
        now = ISSUED + timedelta(hours=8)
        if n % 30 == 11 and len(scans) > 2:
            scans[1], scans[2] = scans[2], scans[1]
        lines = [
            line | {"value": price[line["sku"]] * line["quantity"]}
            for line in order["lines"]  # type: ignore[attr-defined]
        ]
        promised = created + timedelta(days=int(lane["max_days"]) + int(generator.integers(1, 3)))
        yield {
            "id": f"parcel-{n + 1}",
            "order": order["id"],
            "node": lane["node"],
            "region": lane["region"],
            "lines": lines,
            "created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "promised": f"{promised:%Y-%m-%dT23:59:59Z}",
            "scans": [
                {"state": state, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "place": places[place]}
                for state, place, at in scans
                if at <= now
            ],
            "services": [
                {
                    "service": "express",
                    "cost": 900,
                    "arrives": f"{now + timedelta(days=2):%Y-%m-%dT18:00:00Z}",
                }
            ],
        }


def write(path: Path, requests: Iterable[Request]) -> list[Request]:
    """Write requests, one per line."""
    kept = list(requests)
    path.write_text("".join(json.dumps(request) + "\n" for request in kept), encoding="utf-8")
    return kept


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="make requests over the reference snapshot")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--snapshot", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder, out = arguments.snapshot, arguments.out
    generator = np.random.default_rng(SEED)
    out.mkdir(parents=True, exist_ok=True)
    write(out / "quotes.jsonl", quotes(generator, folder))
    known = write(out / "orders.jsonl", orders(generator, arguments.data, folder))
    write(out / "shipments.jsonl", shipments(generator, folder, known))


if __name__ == "__main__":
    main()
