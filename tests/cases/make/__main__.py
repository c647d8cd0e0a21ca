"""`python -m make [PART]` writes the whole corpus, or only the cases whose name contains PART."""

import sys
import time

from . import (
    boosting,
    counts,
    dense,
    estimators,
    flow,
    formats,
    frames,
    linear,
    maps,
    moments,
    operators,
    random_graphs,
    recommenders,
    refused,
    sequences,
    texts,
    trees,
    zoo,
)
from .corpus import ROOT, write_corpus, write_index

FAMILIES = (
    dense,
    estimators,
    zoo,
    frames,
    boosting,
    trees,
    linear,
    maps,
    recommenders,
    sequences,
    operators,
    formats,
    counts,
    moments,
    texts,
    flow,
)


def main() -> None:
    """Writes, prints one line a case, and totals."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    start, written = time.monotonic(), []
    for module in FAMILIES:
        module.register()
    for case in write_corpus(only):
        written.append(case)
        second = "-" if case.against_native is None else f"{case.against_native:.1e}"
        sets = " ".join(f"{s['kind']}:{s['rows']}" for s in case.sets)
        print(f"{case.name:40} {case.bytes:8}  second {second:8} optimised {case.against_optimised:.1e}  {sets}")
        for note in case.notes:
            print(f"{'':40} {note}")
    write_index(written, keep=bool(only))
    if not only:
        refused.write(ROOT / "refused")
        random_graphs.write()
    total = sum(case.bytes for case in written)
    print(f"{len(written)} cases, {total / 1e6:.2f} MB, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
