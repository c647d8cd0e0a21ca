"""Runs `tradewind verify` on the ONNX project's cases and writes the outcomes as a table by operator.

Fails if a case is wrong or unusable, or if fewer cases are ok than required.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

OK_AT_LEAST = 900

PAGE = Path(__file__).parents[3] / "core" / "OPERATORS.md"
# The last section of the page is kept unchanged: a test of the compiler compares it with the compiler's table.
KEPT = "\n## Mechanisms\n"

HEAD = """# Operators

Results of the ONNX project's own test cases, from the package `onnx` 1.23.2: the {node} cases of its operators
whose inputs and outputs are tensors, and the {recorded} recorded models of its folders `simple`, `pytorch-operator` and
`pytorch-converted`. `tradewind verify --bind` compiles each and runs it in `tradewind.wasm`.

**{ok} ok** ({bound} of them with inputs that determine a shape bound as constants), **{refused} refused** when
packing, **{wrong} wrong**.

`cargo xtask operators` writes this page; `cargo xtask test` makes the cases, runs them and fails if the page would
differ.
"""

IMAGES = (
    "AffineGrid|CenterCropPad|Col2Im|DeformConv|GridSample|ImageDecoder|MaxRoiPool|MaxUnpool|NonMaxSuppression|Resize|"
    "RoiAlign|Upsample"
)
AUDIO = "BlackmanWindow|DFT|HammingWindow|HannWindow|MelWeightMatrix|STFT"
LOSSES = "Adagrad|Adam|Gradient|Momentum|NegativeLogLikelihoodLoss|SoftmaxCrossEntropyLoss"
# The ONNX parser has no name for the newest types.
SMALL_TYPES = r"float[48]|\bu?int[24]\b|unknown enumeration"
UNKNOWN = (
    r"not known when packing|has no shape|no extent|which is not the batch|to be determined|can not be typed|"
    r"(expect|must).*const|known scalar|shapes depend on"
)

# Groups of refusals, first match wins: name in the table, pattern of operators, pattern of the reason.
GROUPS: list[tuple[str, str, str]] = [
    ("training losses", LOSSES, ""),
    (
        "sequences, optionals and maps",
        r"(ConcatFrom|SplitTo)?Sequence.*|Optional.*|ZipMap",
        r"a sequence, a map|`(ConcatFrom|SplitTo)?Sequence",
    ),
    ("quantised", r".*Quantize.*|QLinear.*|.*Integer", r"quantised"),
    ("4- and 8-bit types", "", SMALL_TYPES),
    ("bfloat16 and complex numbers", "", r"bfloat|complex"),
    ("images", IMAGES, ""),
    ("audio", AUDIO, ""),
    ("text", r"String.*|TfIdf.*|RegexFullMatch", r"strings?\b|text"),
    ("random", r"Random.*|Bernoulli|Multinomial", "random"),
    ("shapes unknown when packing", "Compress|NonZero|Unique", UNKNOWN),
]
OTHER = "other"


def group(operator: str, reason: str) -> str:
    """The group of a refusal."""
    for name, operators, words in GROUPS:
        if (operators and re.fullmatch(operators, operator)) or (words and re.search(words, reason, re.IGNORECASE)):
            return name
    return OTHER


def operator_of(case: str, operators: dict[str, list[str]]) -> tuple[str, str]:
    """Domain and operator of a case; recorded models are counted by folder."""
    folder, _, name = case.partition("/")
    if folder == "node":
        domain, operator = operators[name]
        return domain or "ai.onnx", operator
    return "(recorded models)", folder


def table(cases: list[dict[str, Any]], operators: dict[str, list[str]]) -> str:
    """The whole page."""
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for case in cases:
        key = operator_of(case["name"], operators)
        counts = [case["outcome"]] + (["bound"] if case.get("bound") else [])
        rows[key].update(counts)
        totals.update(counts)
        if case["outcome"] == "refused":
            why = group(key[1], case["reason"])
            reasons[key][why] += 1
            groups[why][key[1]] += 1

    counts = {name: totals[name] for name in ("ok", "bound", "refused", "wrong")}
    counts["node"] = sum(case["name"].startswith("node/") for case in cases)
    counts["recorded"] = len(cases) - counts["node"]
    lines = [HEAD.format(**counts), "## Refused cases by reason", ""]
    lines += ["| reason | cases | operators |", "|---|---:|---|"]
    for name in [name for name, _, _ in GROUPS] + [OTHER]:
        named = ", ".join(f"{operator} {count}" for operator, count in sorted(groups[name].items()))
        if named:
            lines.append(f"| {name} | {groups[name].total()} | {named} |")
    lines += ["", "## By operator", ""]
    lines += ["| domain | operator | ok | of which bound | refused | wrong | why refused |"]
    lines += ["|---|---|---:|---:|---:|---:|---|"]
    for (domain, operator), row in sorted(rows.items()):
        why = ", ".join(f"{name} {count}" for name, count in sorted(reasons[domain, operator].items()))
        numbers = " | ".join(str(row[name] or "") for name in ("ok", "bound", "refused", "wrong"))
        lines.append(f"| {domain} | {operator} | {numbers} | {why} |")
    _, _, kept = PAGE.read_text(encoding="utf-8").partition(KEPT)
    return "\n".join(lines) + "\n" + KEPT + kept


def main() -> None:
    """Runs the cases and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tradewind", type=Path, required=True, help="the program")
    parser.add_argument("--cases", type=Path, required=True, help="the folder that make_cases.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    arguments = parser.parse_args()

    command = [arguments.tradewind.absolute(), "verify", "--bind", "--json", arguments.cases]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    cases = json.loads(run.stdout)["cases"]
    operators = json.loads((arguments.cases / "operators.json").read_text(encoding="utf-8"))
    arguments.out.write_text(table(cases, operators), encoding="utf-8")

    failed = [case for case in cases if case["outcome"] in ("wrong", "unusable")]
    for case in failed:
        print(f"{case['name']} {case['outcome']}: {case.get('difference') or case.get('reason')}", file=sys.stderr)
    ok = sum(case["outcome"] == "ok" for case in cases)
    if failed or ok < OK_AT_LEAST:
        sys.exit(f"{len(failed)} of {len(cases)} cases failed, {ok} are ok and at least {OK_AT_LEAST} must be")


if __name__ == "__main__":
    main()
