"""Carrier legs and the places between them: US domestic flights of January to June 2001.

The files come from npm's `vega-datasets` 3.2.1, which `cargo xtask train late` fetches:

    python legs.py --flights flights-3m.parquet --airports airports.csv --out legs

Flights stand in for the legs of parcels: real places, real clocks, real lateness, but not parcels.
Two tables are written.

- `legs.csv` (`from,to,departs,utc_offset,distance,delay`): one row per flight, in the order of the
  file, which is by departure. `departs` is in Unix milliseconds, `distance` in kilometres,
  `delay` in minutes after the scheduled arrival, negative before it.
- `places.csv` (`code,name,city,state,latitude,longitude,arrivals`): the airports, by code, with the
  flights that arrived there.

`departs` is when the flight left, not when it should have: its minutes are spread evenly over the
hour, which those of a timetable are not. Who knows it knows a part of the delay. It is local time,
and so has the `utc_offset` 0 from itself.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from complete_journey import write_table

VERSION = "3.2.1"
FLIGHTS_SHA256 = "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"
AIRPORTS_SHA256 = "903c7169e6d558eefb95295fe2947ec8503135fbb855ea5c737cf4a90ea603ad"
KILOMETRES_PER_MILE = 1.609344


def pinned(path: Path, expected: str) -> Path:
    """Return a file that holds what it should."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise SystemExit(f"`{path}` has sha256 {digest}, expected {expected}")
    return path


def prepare(flights: Path, airports: Path, out: Path) -> None:
    """Write `legs.csv` and `places.csv` into a folder."""
    table = pq.read_table(pinned(flights, FLIGHTS_SHA256))
    with pinned(airports, AIRPORTS_SHA256).open(encoding="utf-8", newline="") as file:
        known = {row["iata"]: row for row in csv.DictReader(file)}
    departs = table["date"].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
    distance = np.round(table["distance"].to_numpy() * KILOMETRES_PER_MILE, 1)
    origins, destinations = table["origin"].to_pylist(), table["destination"].to_pylist()
    out.mkdir(parents=True, exist_ok=True)
    write_table(
        out / "legs.csv",
        ("from", "to", "departs", "utc_offset", "distance", "delay"),
        zip(
            origins,
            destinations,
            departs.tolist(),
            [0] * len(departs),
            distance.tolist(),
            table["delay"].to_pylist(),
            strict=True,
        ),
    )
    columns = ("name", "city", "state", "latitude", "longitude")
    arrivals = Counter(destinations)
    write_table(
        out / "places.csv",
        ("code", *columns, "arrivals"),
        (
            (code, *(known[code][column] for column in columns), arrivals[code])
            for code in sorted({*origins, *destinations})
        ),
    )
    print(f"{len(departs):,} legs to {len(arrivals)} places")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="write carrier legs and places from US flights")
    parser.add_argument("--flights", type=Path, required=True, help="flights-3m.parquet")
    parser.add_argument("--airports", type=Path, required=True, help="airports.csv")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    prepare(arguments.flights, arguments.airports, arguments.out)


if __name__ == "__main__":
    main()
