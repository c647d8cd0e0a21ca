"""Writes the ONNX project's own test cases, as its Python package holds them, into a folder.

node/CASE               one operator, from onnx.backend.test.case.node
simple/CASE, …          the package's recorded folders
operators.json          the operator that each case of one operator is about, with its domain
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

RECORDED = ["pytorch-operator", "pytorch-converted", "simple"]


def holds_tensors_only(model: ModelProto) -> bool:
    """Whether all inputs and outputs are tensors; no sequence, map or optional."""
    ports = [*model.graph.input, *model.graph.output]
    return all(port.type.WhichOneof("value") == "tensor_type" for port in ports)


def write_tensors(folder: Path, side: str, ports: list[ValueInfoProto], values: list[np.ndarray]) -> None:
    """Writes the values of one data set's inputs or outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, (port, value) in enumerate(zip(ports, values, strict=False)):
        tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), port.name)
        (folder / f"{side}_{n}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def main() -> None:
    """Writes all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    out = parser.parse_args().out

    operators = {}
    for case in collect_testcases():
        model = case.model
        if model is None or not holds_tensors_only(model):
            continue
        folder = out / "node" / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
        for n, (inputs, outputs) in enumerate(case.data_sets or []):
            write_tensors(folder / f"test_data_set_{n}", "input", list(model.graph.input), list(inputs))
            write_tensors(folder / f"test_data_set_{n}", "output", list(model.graph.output), list(outputs))
        if len(model.graph.node) == 1:
            operators[case.name] = [model.graph.node[0].domain, model.graph.node[0].op_type]
    # An operator's definition in terms of others is a case of that operator too.
    for folder in sorted((out / "node").iterdir()):
        base = folder.name.partition("_expanded")[0]
        if base in operators:
            operators[folder.name] = operators[base]
    for name in RECORDED:
        shutil.copytree(Path(onnx.__file__).parent / "backend/test/data" / name, out / name)
    text = json.dumps(dict(sorted(operators.items())), indent=0)
    (out / "operators.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
