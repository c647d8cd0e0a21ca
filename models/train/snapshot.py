r"""Make the tables of the reference snapshot: data of a shop like the panel's on a Monday.

    python snapshot.py --data DATA --places models/snapshot --out models/snapshot

DATA is the folder that complete_journey.py wrote; the places are those of places.py. Real are the
products, their sales by the week, prices and promotions. Generated, with a fixed seed, are costs,
guards and stock: the panel has none. A second run writes the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from complete_journey import write_table

SEED = 20_171_204
ISSUED = datetime(2017, 12, 4, tzinfo=UTC)
# Week of the panel that begins then.
WEEK = 50
HISTORY = 13
# Weeks whose prices and promotions are planned, to the end of the panel.
PLANNED = 3
# Weeks of past prices: more than 30 days.
PRICED = 6

# Generated, as shares of the list price. No price is above the list price.
COST = (0.55, 0.75)
MARGIN = 500
DAY_STEP = 2_000
WEEK_STEP = 3_500
# One product in this many has published floor and sales, so that a page can price it.
PUBLISHED = 5
# Weeks of stock cover: lognormal around four, so that some stock is short and some long.
COVER = (np.log(4.0), 0.7)
# Probability that a node stocks a product, and that it is out of stock.
LISTED = 0.7
OUT = 0.04


def day(week: int) -> str:
    """Return the date on which a week of the panel begins."""
    return f"{ISSUED + timedelta(weeks=week - WEEK):%Y-%m-%d}"


def moment(week: int) -> str:
    """Return the moment at which a week of the panel begins."""
    return f"{day(week)}T00:00:00Z"


def read(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_parquet(path: Path, columns: dict[str, list[object]]) -> None:
    """Write a table as Parquet."""
    pq.write_table(pa.table(columns), path, compression="zstd", version="2.6")


def make(data: Path, places: Path, out: Path) -> None:
    """Write all tables except those of locations."""
    generator = np.random.default_rng(SEED)
    catalogue = {row["sku"]: row for row in read(data / "catalog.csv")}
    sales: dict[str, dict[int, dict[str, str]]] = {}
    for row in read(data / "sales.csv"):
        sales.setdefault(row["sku"], {})[int(row["week"])] = row
    skus = [sku for sku in catalogue if WEEK in sales.get(sku, {})]
    current = {sku: sales[sku][WEEK] for sku in skus}

    cost = {sku: generator.uniform(*COST) for sku in skus}
    write_table(
        out / "products.csv",
        (
            *("sku", "name", "category", "list", "cost", "margin", "ceiling"),
            *("day_step", "week_step", "publish"),
        ),
        (
            (
                *(sku, catalogue[sku]["title"], catalogue[sku]["category"], listed),
                *(round(listed * cost[sku]), MARGIN, listed),
                *(DAY_STEP, WEEK_STEP, str(place % PUBLISHED == 0).lower()),
            )
            for place, sku in enumerate(skus)
            for listed in [int(current[sku]["list"])]
        ),
    )

    prices: list[tuple[str, str, int]] = []
    for sku in skus:
        before = 0
        for week in range(WEEK - PRICED, WEEK + PLANNED):
            price = int(sales[sku][week]["price"]) if week in sales[sku] else 0
            if price not in (0, before):
                prices.append((sku, moment(week), price))
                before = price
    write_table(out / "prices.csv", ("sku", "since", "price"), prices)

    history = [
        (sku, week, sales[sku][week])
        for sku in skus
        for week in range(WEEK - HISTORY, WEEK)
        if week in sales[sku]
    ]
    numbers = ("units", "price", "list", "display", "mailer")
    write_parquet(
        out / "sales.parquet",
        {"sku": [sku for sku, _, _ in history], "week": [day(week) for _, week, _ in history]}
        | {name: [int(row[name]) for _, _, row in history] for name in numbers},
    )
    plan = [
        (sku, day(week), int(row["display"]), int(row["mailer"]))
        for sku in skus
        for week in range(WEEK, WEEK + PLANNED)
        for row in [sales[sku][week]]
    ]
    write_parquet(
        out / "plan.parquet",
        dict(zip(("sku", "week", "display", "mailer"), map(list, zip(*plan, strict=True)), strict=True)),
    )

    nodes = read(places / "nodes.csv")
    capacity = np.array([float(node["shipments_per_day"]) for node in nodes])
    share = capacity / capacity.sum()
    stock: list[tuple[str, str, int, int, int]] = []
    for sku in skus:
        weeks = [int(row["units"]) for week, row in sales[sku].items() if WEEK - HISTORY <= week < WEEK]
        mean = sum(weeks) / len(weeks)
        for node, part in zip(nodes, share, strict=True):
            listed, out_of_stock = generator.random(2) < (LISTED, OUT)
            units = generator.poisson(mean * part * generator.lognormal(*COVER))
            on_hand = 0 if out_of_stock else int(units)
            reserved = int(generator.binomial(on_hand, 0.1))
            if listed:
                stock.append((node["code"], sku, on_hand, reserved, on_hand // 10))
    names = ("node", "sku", "on_hand", "reserved", "safety")
    write_parquet(
        out / "stock.parquet", dict(zip(names, map(list, zip(*stock, strict=True)), strict=True))
    )

    settings = {
        "name": "reference",
        "version": f"{ISSUED:%Y-%m-%d}",
        "currency": "USD",
        "issued": moment(WEEK),
        "expires": moment(WEEK + 1),
        "rounding": {"unit": 10, "endings": [9]},
        "cover": {"short_weeks": 1, "long_weeks": 8, "excess_loss": 2_000},
    }
    text = json.dumps(settings, indent=2) + "\n"
    (out / "snapshot.json").write_text(text, encoding="utf-8")
    print(f"{len(skus)} products, {len(prices)} prices, {len(history)} weeks, {len(stock)} stocks")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="make the tables of the reference snapshot")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--places", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    make(arguments.data, arguments.places, arguments.out)


if __name__ == "__main__":
    main()
