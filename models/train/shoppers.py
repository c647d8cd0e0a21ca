r"""Choose real households for the demo's page, with what they bought before and after its moment.

    python shoppers.py --data DATA --snapshot models/snapshot --out dist/shoppers.json

DATA is the folder that complete_journey.py wrote. What is written are rows of the panel: it stays on
this machine (see models/README.md).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moments import rfc3339

# The reference snapshot's moment.
ISSUED = datetime(2017, 12, 4, tzinfo=UTC)
HISTORY, AFTER = timedelta(days=180), timedelta(days=7)
SEED = 20_171_205
SHOPPERS = 6
# What there must be of a household: orders before the moment, products in the week after it.
FORMER_ORDERS, NEXT_PRODUCTS = 12, 6

Order = dict[str, int]


def millis(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def households(data: Path, known: set[str]) -> dict[int, dict[tuple[int, str], Order]]:
    """Return orders of known products by household, then by moment and number."""
    since, until = millis(ISSUED - HISTORY), millis(ISSUED + AFTER)
    found: dict[int, dict[tuple[int, str], Order]] = defaultdict(lambda: defaultdict(dict))
    with (data / "events.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if since <= int(row["at"]) < until and row["sku"] in known:
                order = found[int(row["profile"])][int(row["at"]), row["order"]]
                order[row["sku"]] = order.get(row["sku"], 0) + int(row["quantity"])
    return found


def shopper(household: int, orders: dict[tuple[int, str], Order]) -> dict[str, object] | None:
    """Return a household as the page takes it, if there is enough of it."""
    now = millis(ISSUED)
    former = [(at, order) for (at, _), order in sorted(orders.items()) if at < now]
    after = {sku for (at, _), order in orders.items() if at >= now for sku in order}
    if len(former) < FORMER_ORDERS or len(after) < NEXT_PRODUCTS:
        return None
    events = [
        {
            "at": rfc3339(at),
            "purchase": {"lines": [{"sku": sku, "quantity": n} for sku, n in order.items()]},
        }
        for at, order in former
    ]
    return {"household": household, "events": events, "next": sorted(after)}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="choose real households for the demo's page")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--snapshot", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with (arguments.snapshot / "products.csv").open(encoding="utf-8", newline="") as file:
        known = {row["sku"] for row in csv.DictReader(file)}
    found = sorted(households(arguments.data, known).items())
    fitting = [one for one in (shopper(*household) for household in found) if one]
    chosen = sorted(random.Random(SEED).sample(range(len(fitting)), SHOPPERS))
    arguments.out.write_text(json.dumps([fitting[place] for place in chosen]), encoding="utf-8")


if __name__ == "__main__":
    main()
