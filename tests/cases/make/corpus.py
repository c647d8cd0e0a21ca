"""Registers cases, records onnxruntime's outputs, and writes the folders.

A case is a function that gets its own seeded generator and returns a `Case`; its name is the name
of its folder. Adding a case never changes another one.
"""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.random import Generator
from onnx import ModelProto, numpy_helper

Array = np.ndarray
Feed = dict[str, Array]
Draw = Callable[[Generator, int], Feed]
Expect = Callable[[Feed], dict[str, Array]]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Case:
    """A model, its inputs by kind, and optionally a second opinion on the outputs."""

    model: ModelProto
    sets: list[tuple[str, Feed]]
    expect: Expect | None = None
    """Outputs by another library, or by our own statement of the rules."""
    checked: tuple[str, ...] = ("ordinary", "one", "many")
    """The kinds of sets on which `expect` must agree."""
    tolerance: float = 1e-5
    beside: str = ""
    """File with the external weights of the model; `None` if the model contains them."""


Builder = Callable[[Generator], Case]


@dataclass
class Registry:
    """Every case by name, with the family it belongs to."""

    cases: dict[str, tuple[str, Builder]] = field(default_factory=dict)

    def add(self, family: str, name: str, build: Builder) -> None:
        """Adds one case; a name is used once."""
        if name in self.cases:
            raise ValueError(f"two cases are named `{name}`")
        self.cases[name] = (family, build)

    def family(self, family: str) -> Callable[[str], Callable[[Builder], Builder]]:
        """A decorator factory for the cases of one family."""

        def named(name: str) -> Callable[[Builder], Builder]:
            def keep(build: Builder) -> Builder:
                self.add(family, name, build)
                return build

            return keep

        return named


REGISTRY = Registry()


def batches(
    rng: Generator, draw: Draw, nasty: Feed | None = None, empty: bool = True, many: int = 200
) -> list[tuple[str, Feed]]:
    """The usual sets: 7, 1 and usually 200 rows, then nasty ones, then no rows at all."""
    sets = [(kind, draw(rng, rows)) for kind, rows in (("ordinary", 7), ("one", 1), ("many", many))]
    if nasty is not None:
        sets.append(("nasty", nasty))
    if empty:
        sets.append(("empty", {name: rows[:0] for name, rows in sets[0][1].items()}))
    return sets


def session(model: bytes | str, level: ort.GraphOptimizationLevel) -> ort.InferenceSession:
    """onnxruntime on one CPU thread."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def difference(got: Array, want: Array, name: str) -> float:
    """The largest difference relative to max(1, |want|); NaN equals NaN, inf equals inf, labels must be equal."""
    if got.shape != want.shape:
        raise ValueError(f"`{name}` has shape {got.shape}, expected {want.shape}")
    if got.size == 0:
        return 0.0
    if got.dtype.kind in "OUS" or want.dtype.kind in "OUS":
        return 0.0 if bool(np.all(got.astype(str) == want.astype(str))) else float("inf")
    a, b = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.abs(a - b) / np.maximum(1.0, np.abs(b))
    off = np.where((np.isnan(a) & np.isnan(b)) | (a == b), 0.0, off)
    return float(np.max(np.where(np.isnan(off), np.inf, off)))


def flattened(names: list[str], values: list[object]) -> Iterator[tuple[str, Array]]:
    """Dictionaries as tables, a column for each key, and sequences as separate tensors."""
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, list):
            yield name, np.asarray(value)
        elif all(isinstance(row, dict) for row in value):
            yield name, np.array([list(row.values()) for row in value], np.float32)
        else:
            yield from ((f"{name}{n}", np.asarray(part)) for n, part in enumerate(value, 1))


def rows_of(feed: Feed) -> int:
    """Rows of the first input, which is the batch."""
    first = next(iter(feed.values()))
    return int(first.shape[0]) if first.ndim else 1


@dataclass
class Written:
    """Entry of a case in the index and the printed table."""

    name: str
    family: str
    bytes: int
    sets: list[dict[str, object]]
    operators: list[str]
    against_native: float | None
    against_optimised: float
    notes: list[str]


def operators(model: ModelProto) -> list[str]:
    """The distinct operators of the graph, with their domain unless it is ONNX's own."""
    names = {f"{n.domain}.{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type for n in model.graph.node}
    return sorted(names)


def settled(model: ModelProto) -> ModelProto:
    """The same model with attributes and imports in order: some exporters keep them in sets."""
    for node in model.graph.node:
        attributes = sorted(node.attribute, key=lambda a: a.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    imports = sorted(model.opset_import, key=lambda o: o.domain)
    del model.opset_import[:]
    model.opset_import.extend(imports)
    return model


def write_case(name: str, family: str, case: Case, root: Path) -> Written:
    """Runs one case through onnxruntime and writes its folder."""
    folder = root / name
    folder.mkdir(parents=True)
    settled(case.model)
    if case.beside:
        onnx.external_data_helper.convert_model_to_external_data(
            case.model, location=case.beside, size_threshold=0, convert_attribute=True
        )
        onnx.save_model(case.model, folder / "model.onnx")
    model = case.model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(model)
    whole = str(folder / "model.onnx") if case.beside else model
    plain = session(whole, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    optimised = session(whole, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    names = [output.name for output in plain.get_outputs()]
    written = Written(name, family, len(model), [], operators(case.model), None, 0.0, [])
    kept = 0
    for kind, feed in case.sets:
        try:
            outputs = dict(flattened(names, plain.run(names, feed)))
        except Exception as error:
            if kind != "empty":
                raise
            written.notes.append(f"onnxruntime refuses no rows: {str(error).splitlines()[0][:120]}")
            continue
        for output, got in flattened(names, optimised.run(names, feed)):
            written.against_optimised = max(written.against_optimised, difference(got, outputs[output], output))
        if case.expect is not None and kind in case.checked:
            for output, want in case.expect(feed).items():
                off = difference(outputs[output], want, output)
                written.against_native = max(written.against_native or 0.0, off)
                if not off <= case.tolerance:
                    raise ValueError(f"{name}/{kind}: `{output}` is off by {off:g}, allowed {case.tolerance:g}")
        place = folder / f"test_data_set_{kept}"
        place.mkdir()
        for prefix, tensors in (("input", feed), ("output", outputs)):
            for index, (label, values) in enumerate(tensors.items()):
                data = numpy_helper.from_array(values, label).SerializeToString(deterministic=True)
                (place / f"{prefix}_{index}.pb").write_bytes(data)
                written.bytes += len(data)
        written.sets.append({"kind": kind, "rows": rows_of(feed)})
        kept += 1
    return written


def write_corpus(only: str) -> Iterator[Written]:
    """Writes every case whose name contains `only`; a full run starts from an empty folder."""
    root = ROOT / "onnx"
    if not only and root.exists():
        shutil.rmtree(root)
    for name, (family, build) in REGISTRY.cases.items():
        if only in name:
            shutil.rmtree(root / name, ignore_errors=True)
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            try:
                case = build(rng)
                yield write_case(name, family, case, root)
            except Exception as error:
                error.add_note(f"in case `{name}`")
                raise


def write_index(written: list[Written], *, keep: bool) -> None:
    """`onnx/index.json`: the family, the sets and the operators of every case, one case per line.

    `keep` keeps the other cases that the index has already: only some cases were written.
    """
    path = ROOT / "onnx" / "index.json"
    cases = json.loads(path.read_text())["cases"] if keep else {}
    cases |= {w.name: {"family": w.family, "sets": w.sets, "operators": w.operators} for w in written}
    rows = [f"  {json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items()]
    head = f' "onnxruntime": "{ort.__version__}",\n "optimisation": "disabled",\n "cases": {{\n'
    path.write_text("{\n" + head + ",\n".join(rows) + "\n }\n}\n")


def thresholds(model: ModelProto, features: int) -> list[list[float]]:
    """Per feature, the thresholds that the tree nodes of a model compare it with."""
    found: list[set[float]] = [set() for _ in range(features)]
    for node in model.graph.node:
        if not node.op_type.startswith("TreeEnsemble") or node.op_type == "TreeEnsemble":
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        values = attributes.get("nodes_values")
        if values is None:
            values = numpy_helper.to_array(attributes["nodes_values_as_tensor"]).tolist()
        for mode, feature, value in zip(attributes["nodes_modes"], attributes["nodes_featureids"], values, strict=True):
            if mode != b"LEAF":
                found[feature].add(float(value))
    return [sorted(values) or [0.0] for values in found]


def nasty_rows(rng: Generator, model: ModelProto, features: int, dtype: type = np.float32) -> Array:
    """Rows of zeros of both signs, infinities, denormals, NaN, and thresholds matched exactly or missed by one ulp."""
    whole = [np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, np.nan]
    special: Array = np.array([np.inf, -np.inf, -0.0, np.nan, np.nan], dtype=dtype)
    near: list[Array] = []
    for values in thresholds(model, features):
        exact: Array = np.array(values, dtype=dtype)
        above, below = (np.nextafter(exact, np.array(way, dtype=dtype)) for way in (np.inf, -np.inf))
        near.append(np.concatenate([exact, exact, above, below, special]))
    mixed = np.stack([rng.choice(column, 12) for column in near], axis=1)
    return np.concatenate([np.repeat(np.array(whole, dtype=dtype)[:, None], features, axis=1), mixed])
