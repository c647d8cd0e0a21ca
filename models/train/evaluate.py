r"""Evaluate the committed models on their test splits, and write the table of models/README.md.

    python evaluate.py model demand --data DATA --tradewind dist/tradewind \
        --module dist/tradewind.wasm --models models --out dist/evaluation/demand.json
    python evaluate.py table dist/evaluation --readme models/README.md

DATA is what complete_journey.py or, for `late`, legs.py wrote. Nothing is trained: the model is the
one in its folder, and answers in the module. What is found must be what its card says.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import recommend
from recommend import Tradewind

# Decisions in the table besides the models, with their test data.
DECISIONS = {
    "exceptions": "generated scans",
    "allocate": "real baskets and places, generated stock and costs",
}
BEGIN, END = "<!-- cargo xtask evaluate: begin -->", "<!-- end -->"
HEADER = (
    "| system | data | metric | baseline | its figure | ours | difference, 95 % interval |",
    "|---|---|---|---|---|---|---|",
)


def judge(arguments: argparse.Namespace) -> None:
    """Evaluate one model, and write its metrics."""
    folder = arguments.models / arguments.name
    tradewind = Tradewind(arguments.tradewind.resolve(), arguments.module.resolve())
    with tempfile.TemporaryDirectory() as work:
        script = importlib.import_module(arguments.name)
        found, missed = script.evaluate(arguments.data, tradewind, folder, Path(work))
    recommend.write_json(arguments.out, {"metrics": found})
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if card["metrics"] != found:
        raise SystemExit(
            f"`{folder / 'card.json'}` differs from `{arguments.out}`: train the model again"
        )
    if missed:
        raise SystemExit("quality gate missed: " + "; ".join(missed))


def systems(models: Path) -> dict[str, str]:
    """Return the systems of the table, with their test data."""
    found = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))["called"]
        for path in sorted(models.glob("*/train.toml"))
    }
    return found | DECISIONS


def rows(folder: Path, models: Path) -> Iterator[str]:
    """Return the rows of the table, from the files of metrics."""
    for system, data in systems(models).items():
        path = folder / f"{system}.json"
        for metric in json.loads(path.read_text(encoding="utf-8"))["metrics"]:
            low, high = (figure(metric[f"difference_{side}"], "+") for side in ("low", "high"))
            cells = (
                *(system, f"{data}; {metric['split']}", metric["name"], metric["baseline"]),
                *(figure(metric["baseline_value"]), f"**{figure(metric['value'])}**"),
                f"{low} … {high}",
            )
            yield f"| {' | '.join(cells)} |"


def figure(value: float, sign: str = "") -> str:
    """Return a number with four digits, in the README's format.

    >>> figure(0.2799), figure(-0.0074, "+"), figure(1.0)
    ('.2799', '−.0074', '1.0000')
    """
    text = f"{value:{sign}.4f}".replace("-", "−")
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def table(arguments: argparse.Namespace) -> None:
    """Print the table, and write it between the marks of the README."""
    text = arguments.readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"`{arguments.readme}` lacks the markers of the table: {BEGIN} … {END}")
    lines = "\n".join((*HEADER, *rows(arguments.metrics, arguments.models)))
    print(lines)
    arguments.readme.write_text(
        f"{before}{begin}\n{lines}\n{end}{after}", encoding="utf-8", newline="\n"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="evaluate the committed models")
    commands = parser.add_subparsers(required=True)
    model = commands.add_parser("model", help="evaluate one model")
    model.add_argument("name", help="a folder of models with a `train.toml`")
    model.add_argument("--data", type=Path, required=True, help="the prepared tables")
    model.add_argument("--tradewind", type=Path, default=Path("dist/tradewind"))
    model.add_argument("--module", type=Path, default=Path("dist/tradewind.wasm"))
    model.add_argument("--models", type=Path, required=True, help="the folder of all models")
    model.add_argument("--out", type=Path, required=True, help="the file for its metrics")
    model.set_defaults(run=judge)
    whole = commands.add_parser("table", help="write the table of all systems")
    whole.add_argument("metrics", type=Path, help="the folder with a file for each system")
    whole.add_argument("--models", type=Path, required=True, help="the folder of all models")
    whole.add_argument("--readme", type=Path, required=True)
    whole.set_defaults(run=table)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
