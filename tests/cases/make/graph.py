"""A small writer of ONNX graphs in the form that exporters leave."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

ML = "ai.onnx.ml"
Dims = Sequence[int | str | None]

TYPES = {
    "f32": TensorProto.FLOAT,
    "f64": TensorProto.DOUBLE,
    "i64": TensorProto.INT64,
    "i32": TensorProto.INT32,
    "u8": TensorProto.UINT8,
    "i8": TensorProto.INT8,
    "u16": TensorProto.UINT16,
    "i16": TensorProto.INT16,
    "u32": TensorProto.UINT32,
    "bool": TensorProto.BOOL,
    "str": TensorProto.STRING,
}


class Graph:
    """Collects nodes and weights; every call names its result unless a name is given."""

    def __init__(self, name: str) -> None:
        """An empty graph."""
        self.name = name
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []

    def input(self, name: str, dims: Dims, kind: str = "f32") -> str:
        """Declares an input; `None` is an unnamed dimension, a string a named one."""
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(dims)))
        return name

    def output(self, name: str, dims: Dims | None, kind: str = "f32") -> None:
        """Declares an output; no dims leaves the shape out."""
        self.outputs.append(helper.make_tensor_value_info(name, TYPES[kind], None if dims is None else list(dims)))

    def weight(self, name: str, values: object, dtype: type = np.float32) -> str:
        """Adds an initializer."""
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Adds a one-dimensional i64 initializer: axes, sizes, the k of TopK."""
        return self.weight(name, list(values), np.int64)

    def op(self, operator: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        """Appends a node with one output and returns the output's name."""
        return self.op_n(operator, [*inputs], [out or self.fresh(operator)], domain, **attributes)[0]

    def op_n(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any
    ) -> list[str]:
        """Appends a node with the named outputs."""
        label = f"/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=label, domain=domain, **attributes))
        return outputs

    def cast(self, x: str, kind: str, out: str = "") -> str:
        """Appends a Cast to one of `TYPES`."""
        return self.op("Cast", x, out=out, to=TYPES[kind])

    def fresh(self, operator: str) -> str:
        """A name in the style of exporters."""
        return f"/{operator}_{len(self.nodes)}_output_0"

    def model(self, opset: int = 17, ml: int | None = None, check: bool = True) -> ModelProto:
        """The finished model."""
        imports = [helper.make_opsetid("", opset)]
        if ml is not None:
            imports.append(helper.make_opsetid(ML, ml))
        body = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(body, opset_imports=imports, ir_version=8, producer_name="tradewind-cases")
        if check:
            onnx.checker.check_model(model)
        return model


def body(
    nodes: list[NodeProto], inputs: dict[str, int], outputs: dict[str, int], weights: dict[str, object] | None = None
) -> GraphProto:
    """A branch, or what a loop repeats; floats have no shape, and others are scalars."""

    def ports(named: dict[str, int]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kind, None if kind == TensorProto.FLOAT else []) for name, kind in named.items()]

    held = [numpy_helper.from_array(np.asarray(values), name) for name, values in (weights or {}).items()]
    return helper.make_graph(nodes, "body", ports(inputs), ports(outputs), held)
