"""Models that must be refused when they are packed, each with the words its refusal should contain."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from . import formats, trees
from .corpus import REGISTRY
from .dense import gemm
from .graph import ML, Graph, body

Made = tuple[bytes, str, list[str]]
"""The file, why it is refused, and words of which the message should hold every one."""


def small(rng: Generator) -> Graph:
    """A sound little network to spoil."""
    g = Graph("main_graph")
    g.op("Relu", gemm(g, rng, g.input("input", ["batch", 4]), "0", 3, 4), out="output")
    g.output("output", ["batch", 3])
    return g


def done(model: ModelProto, why: str, *words: str) -> Made:
    """A model that parses."""
    return model.SerializeToString(deterministic=True), why, list(words)


def unknown_domain(rng: Generator) -> Made:
    """An operator of somebody's own."""
    g = Graph("main_graph")
    g.op("FancyRank", g.input("input", ["batch", 4]), out="output", domain="com.example")
    g.output("output", ["batch", 4])
    model = g.model(check=False)
    model.opset_import.add(domain="com.example", version=1)
    return done(model, "an operator of an unknown domain", "com.example", "FancyRank")


def unknown_operator(rng: Generator) -> Made:
    """An operator that ONNX does not have."""
    g = Graph("main_graph")
    g.op("Reluu", g.input("input", ["batch", 4]), out="output")
    g.output("output", ["batch", 4])
    return done(g.model(check=False), "an operator that ONNX does not have", "Reluu")


def doubling(nodes: list[NodeProto], weights: dict[str, object] | None = None) -> GraphProto:
    """What a loop over a state repeats."""
    inputs = {"turn": TensorProto.INT64, "go": TensorProto.BOOL, "carried": TensorProto.FLOAT}
    return body(nodes, inputs, {"go_on": TensorProto.BOOL, "doubled": TensorProto.FLOAT}, weights)


def data_dependent_loop(rng: Generator) -> Made:
    """A Loop whose trip count is an input."""
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Add", ["carried", "carried"], ["doubled"]),
    ]
    g = Graph("main_graph")
    g.input("turns", [], "i64")
    g.op("Loop", "turns", "", g.input("input", ["batch", 2]), out="output", body=doubling(nodes))
    g.output("output", ["batch", 2])
    return done(g.model(), "a Loop whose trip count is data", "Loop", "not known when packing")


def open_condition(rng: Generator) -> Made:
    """A Loop that goes on while its data say so."""
    nodes = [
        helper.make_node("Add", ["carried", "carried"], ["doubled"]),
        helper.make_node("ReduceMax", ["doubled"], ["most"], keepdims=0),
        helper.make_node("Less", ["most", "enough"], ["go_on"]),
    ]
    repeated = doubling(nodes, {"enough": np.float32(100.0)})
    g = Graph("main_graph")
    g.op("Loop", g.weight("turns", 9, np.int64), "", g.input("input", ["batch", 2]), out="output", body=repeated)
    g.output("output", ["batch", 2])
    return done(g.model(), "a Loop that goes on while its data say so", "Loop", "depends on data")


def dynamic_quantisation(rng: Generator) -> Made:
    """A layer of integers, whose step is that of each batch."""
    g = Graph("main_graph")
    g.op_n("DynamicQuantizeLinear", [g.input("input", ["batch", 4])], ["held", "step", "zero"])
    product = g.op("MatMulInteger", "held", g.weight("w", rng.integers(-9, 9, (4, 3)), np.int8), "zero")
    g.op("Mul", g.cast(product, "f32"), "step", out="output")
    g.output("output", ["batch", 3])
    return done(g.model(), "dynamic quantisation", "DynamicQuantizeLinear", "--weights int8")


def non_zero(rng: Generator) -> Made:
    """The shape of the output depends on the data."""
    g = Graph("main_graph")
    g.op("NonZero", g.input("input", ["batch", 4]), out="output")
    g.output("output", [2, None], "i64")
    return done(g.model(), "an output whose shape depends on the data", "NonZero")


def random_normal(rng: Generator) -> Made:
    """A model that rolls dice."""
    g = Graph("main_graph")
    noise = g.op("RandomNormalLike", g.input("input", ["batch", 4]))
    g.op("Add", "input", noise, out="output")
    g.output("output", ["batch", 4])
    return done(g.model(), "randomness", "RandomNormalLike")


def old_opset(rng: Generator) -> Made:
    """An operator set that does not exist."""
    model = small(rng).model(check=False)
    model.opset_import[0].version = 9999
    return done(model, "an operator set that does not exist", "9999")


def no_opset(rng: Generator) -> Made:
    """No operator set at all."""
    model = small(rng).model(check=False)
    del model.opset_import[:]
    return done(model, "no operator set is imported", "opset")


def truncated(rng: Generator) -> Made:
    """Half of a file."""
    data = small(rng).model().SerializeToString(deterministic=True)
    return data[: len(data) // 2], "the file ends early", []


def random_bytes(rng: Generator) -> Made:
    """Not a model."""
    return rng.bytes(512), "not a model", []


def empty(rng: Generator) -> Made:
    """No bytes: as protobuf a model with nothing in it."""
    return b"", "the file is empty", []


def dangling_input(rng: Generator) -> Made:
    """A node reads a value that no node writes."""
    g = small(rng)
    g.nodes[-1].input[0] = "nowhere"
    return done(g.model(check=False), "a node reads a value that nothing produces", "nowhere")


def cycle(rng: Generator) -> Made:
    """Two nodes that wait for each other."""
    g = Graph("main_graph")
    g.input("input", ["batch", 4])
    g.op("Add", "input", "b", out="a")
    g.op("Relu", "a", out="b")
    g.output("b", ["batch", 4])
    return done(g.model(check=False), "a cycle")


def short_weights(rng: Generator) -> Made:
    """A weight with fewer bytes than its shape needs."""
    model = small(rng).model()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-5]
    return done(model, "a weight with fewer bytes than its shape needs", "0.weight")


def external_data(rng: Generator) -> Made:
    """Weights kept in another file, outside the model's folder."""
    model = small(rng).model()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../outside.bin")
    return done(model, "weights in another file", "0.weight")


def calls(*functions: onnx.FunctionProto, of: str) -> ModelProto:
    """A model that is one call."""
    g = Graph("main_graph")
    g.op(of, g.input("input", ["batch", 4]), out="output", domain=formats.OWN)
    g.output("output", ["batch", 4])
    model = g.model(check=False)
    model.opset_import.add(domain=formats.OWN, version=1)
    model.functions.extend(functions)
    return model


def circular_functions(rng: Generator) -> Made:
    """Two functions that call each other."""
    made = [
        formats.function(name, ["x"], ["y"], [helper.make_node(other, ["x"], ["y"], domain=formats.OWN)])
        for name, other in (("There", "Back"), ("Back", "There"))
    ]
    words = ["`example.shop::There` calls `example.shop::Back` calls `example.shop::There`"]
    return done(calls(*made, of="There"), "functions that call each other", *words)


def doubling_functions(rng: Generator) -> Made:
    """Forty functions, each of which calls the next one twice: a trillion nodes."""
    made = []
    for n in range(40):
        twice = [
            helper.make_node(f"F{n + 1}", [x], [y], domain=formats.OWN) for x, y in (("x", "between"), ("between", "y"))
        ]
        made.append(formats.function(f"F{n}", ["x"], ["y"], twice))
    made.append(formats.function("F40", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])]))
    return done(calls(*made, of="F0"), "functions that become a trillion nodes", "more than 32768 nodes")


def unknown_function(rng: Generator) -> Made:
    """A call of another overload than there is."""
    made = formats.function("Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], overload="ints")
    return done(calls(made, of="Twice"), "a function that is not there", "example.shop", "Twice")


def greedy_call(rng: Generator) -> Made:
    """A call with more inputs than its function has."""
    made = formats.function("Twice", [], ["y"], [helper.make_node("Constant", [], ["y"], value_float=1.0)])
    return done(calls(made, of="Twice"), "more inputs than the function has", "Twice", "1 inputs")


def sparse_outside(rng: Generator) -> Made:
    """A sparse initializer with an index beyond its shape."""
    g = Graph("main_graph")
    g.op("Add", g.input("input", ["batch", 4]), "bias", out="output")
    g.output("output", ["batch", 4])
    model = g.model(check=False)
    bias = formats.sparse("bias", np.array([0, 1, 0, 2], np.float32), flat=True)
    del bias.dims[:]
    bias.dims.append(3)
    model.graph.sparse_initializer.append(bias)
    return done(model, "a sparse constant beyond its shape", "bias", "[3]")


def sparse_giant(rng: Generator) -> Made:
    """A sparse initializer of two elements that would be 40 GB."""
    g = Graph("main_graph")
    g.op("Add", g.input("input", ["batch", 4]), "bias", out="output")
    g.output("output", ["batch", 4])
    model = g.model(check=False)
    bias = formats.sparse("bias", np.array([0, 1, 0, 2], np.float32), flat=True)
    del bias.dims[:]
    bias.dims.extend([100_000, 100_000])
    model.graph.sparse_initializer.append(bias)
    return done(model, "a sparse constant of 40 GB", "bias", "256 MB")


def text_put_together(rng: Generator) -> Made:
    """An output of text that is chosen among inputs."""
    g = Graph("main_graph")
    first, second = (g.input(name, ["batch", 1], "str") for name in ("first", "second"))
    g.op("Concat", first, second, out="both", axis=1)
    g.output("both", ["batch", 2], "str")
    return done(g.model(), "an output of text from inputs side by side", "Concat", "`both`", "`second`")


def wrong_shapes(rng: Generator) -> Made:
    """A Gemm whose inner dimensions differ."""
    g = small(rng)
    g.inputs[0].type.tensor_type.shape.dim[1].dim_value = 7
    return done(g.model(check=False), "matrices that do not fit", "Gemm")


def spoiled_tree(change: Callable[[dict[str, Any]], None], why: str, *words: str) -> Callable[[Generator], Made]:
    """A tree ensemble with one array changed."""

    def make(rng: Generator) -> Made:
        g = Graph("trees")
        g.input("X", [None, trees.FEATURES])
        found = trees.attributes(trees.forest(rng, trees=2), "target")
        change(found)
        g.op("TreeEnsembleRegressor", "X", out="variable", domain=ML, n_targets=1, **found)
        g.output("variable", [None, 1])
        return done(g.model(ml=3, check=False), why, "TreeEnsembleRegressor", *words)

    return make


def put(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Changes the first entry of an array."""

    def change(found: dict[str, Any]) -> None:
        found[key] = [value, *found[key][1:]]

    return change


def cut(key: str) -> Callable[[dict[str, Any]], None]:
    """Shortens an array."""

    def change(found: dict[str, Any]) -> None:
        found[key] = found[key][:-1]

    return change


def back_to_root(found: dict[str, Any]) -> None:
    """Makes a branch below the first root its own ancestor's parent: walking it never ends."""
    ids, modes = list(found["nodes_truenodeids"]), found["nodes_modes"]
    at = next(i for i, mode in enumerate(modes) if i > 0 and mode != "LEAF")
    ids[at] = 0
    found["nodes_truenodeids"] = ids


MAKERS: dict[str, Callable[[Generator], Made]] = {
    "unknown-domain": unknown_domain,
    "unknown-operator": unknown_operator,
    "loop-data-dependent": data_dependent_loop,
    "non-zero": non_zero,
    "random-normal": random_normal,
    "opset-9999": old_opset,
    "opset-missing": no_opset,
    "truncated": truncated,
    "random-bytes": random_bytes,
    "empty": empty,
    "dangling-input": dangling_input,
    "cycle": cycle,
    "short-weights": short_weights,
    "external-data": external_data,
    "wrong-shapes": wrong_shapes,
    "tree-loop": spoiled_tree(put("nodes_truenodeids", 0), "a tree whose root is its own child"),
    "tree-back-to-root": spoiled_tree(back_to_root, "a branch that leads back to the root"),
    "tree-missing-child": spoiled_tree(put("nodes_falsenodeids", 99), "a child that does not exist"),
    "tree-unknown-mode": spoiled_tree(put("nodes_modes", "BRANCH_MAYBE"), "an unknown node mode", "BRANCH_MAYBE"),
    "tree-wide-feature": spoiled_tree(put("nodes_featureids", 44), "a feature beyond the input's width", "44"),
    "tree-short-array": spoiled_tree(cut("nodes_values"), "arrays of different lengths", "nodes_values"),
    "tree-wide-target": spoiled_tree(put("target_ids", 3), "a target beyond n_targets"),
    "functions-circular": circular_functions,
    "functions-doubling": doubling_functions,
    "functions-unknown": unknown_function,
    "functions-greedy": greedy_call,
    "sparse-outside": sparse_outside,
    "sparse-giant": sparse_giant,
    "text-put-together": text_put_together,
    "loop-open-condition": open_condition,
    "dynamic-quantisation": dynamic_quantisation,
}


def write(root: Path) -> None:
    """Writes the files and `index.json`, and leaves nothing else in the folder."""
    names = set(REGISTRY.cases) & set(MAKERS)
    if names:
        raise ValueError(f"accepted and refused at once: {names}")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    index = {}
    for at, (name, make) in enumerate(MAKERS.items()):
        data, why, words = make(np.random.default_rng(at))
        (root / f"{name}.onnx").write_bytes(data)
        index[name] = {"why": why, "message_holds": words}
    (root / "index.json").write_text(json.dumps(index, indent=1) + "\n")
