"""Features of the file format besides operators: functions, sparse and external data, inputs with defaults.

Also outputs that are inputs, and sequences whose length the exporter left open.
"""

import numpy as np
import onnx
from numpy.random import Generator
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .corpus import REGISTRY, Case, Feed, batches
from .dense import gemm, normal
from .graph import ML, Graph
from .recommenders import ids, table
from .sequences import ITEMS, SIZE, extents, last_step, linear, norm, recurrent

OWN = "example.shop"
STEPS = 12
"""The length that sequences are bound to (`BOUND` in tests/src/corpus.rs)."""

case = REGISTRY.family("formats")


def register() -> None:
    """The decorators below have already done it."""


def of(node: NodeProto, **references: tuple[str, int]) -> NodeProto:
    """A node with attributes that are the function's: attribute = (name in the function, type)."""
    for name, (outer, kind) in references.items():
        node.attribute.append(AttributeProto(name=name, ref_attr_name=outer, type=kind))
    return node


def function(
    name: str, inputs: list[str], outputs: list[str], nodes: list[NodeProto], attributes: tuple[str, ...] = (),
    defaults: dict[str, object] | None = None, domain: str = OWN, overload: str = "",
) -> FunctionProto:  # fmt: skip
    """A function with ONNX's operators and those of `OWN`."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid(OWN, 1)]
    kept = [helper.make_attribute(key, value) for key, value in (defaults or {}).items()]
    return helper.make_function(
        domain,
        name,
        inputs,
        outputs,
        nodes,
        imports,
        attributes=list(attributes),
        attribute_protos=kept,
        overload=overload,
    )


def with_functions(g: Graph, functions: list[FunctionProto]) -> ModelProto:
    """The model with functions, as exported for whole modules."""
    model = g.model(opset=18, check=False)
    model.ir_version = 10
    model.opset_import.add(domain=OWN, version=1)
    model.functions.extend(functions)
    onnx.checker.check_model(model)
    return model


@case("functions")
def functions(rng: Generator) -> Case:
    """Layers as functions: attributes passed on, omitted and given, optional inputs, unused outputs."""
    node = helper.make_node
    layer = function(
        "Layer", ["x", "weight", "bias"], ["y"],
        [node("Gemm", ["x", "weight", "bias"], ["hidden"], transB=1),
         of(node("LeakyRelu", ["hidden"], ["y"]), alpha=("slope", AttributeProto.FLOAT))],
        defaults={"slope": 0.25},
    )  # fmt: skip
    bounded = function(
        "Bounded", ["x", "low", "high"], ["y", "rest"],
        [node("Clip", ["x", "low", "high"], ["y"]), node("Sub", ["x", "y"], ["rest"])],
    )  # fmt: skip
    block = function(
        "Block", ["x", "weight", "bias", "high"], ["y", "x"],
        [of(node("Layer", ["x", "weight", "bias"], ["hidden"], domain=OWN), slope=("slope", AttributeProto.FLOAT)),
         node("Bounded", ["hidden", "", "high"], ["y", "hidden.rest"], domain=OWN)],
        attributes=("slope",),
    )  # fmt: skip
    del block.output[1]  # onnxruntime fails on an output that is an input
    same = function("Same", ["x"], ["y"], [node("Neg", ["x"], ["y"])], overload="negative")
    also = function("Same", ["x"], ["y"], [node("Identity", ["x"], ["y"])], overload="as-it-is")
    g = Graph("main_graph")
    x = g.input("x", ["batch", 4])
    for n, attributes in enumerate(({"slope": 0.5}, {})):
        weight = g.weight(f"{n}.weight", rng.normal(0, 0.5, (4, 4)))
        bias = g.weight(f"{n}.bias", rng.normal(0, 0.1, 4))
        high = g.weight(f"{n}.high", 0.75)
        x = g.op("Block", x, weight, bias, high, domain=OWN, **attributes)
    for overload, out in (("negative", "hidden"), ("as-it-is", "y")):
        g.op("Same", x, out=out, domain=OWN)
        g.nodes[-1].overload = overload
        x = out
    g.output("y", ["batch", 4])
    return Case(with_functions(g, [layer, bounded, block, same, also]), batches(rng, normal("x", 4)))


@case("functions-with-branches")
def functions_with_branches(rng: Generator) -> Case:
    """A function, called twice, whose If reads outer values and calls another function in its branches."""
    node = helper.make_node

    def branch(name: str, *nodes: NodeProto) -> onnx.GraphProto:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)])

    choose = function(
        "Choose", ["x", "y"], ["z"],
        [node("Add", ["x", "y"], ["sum"]),
         of(node("Constant", [], ["double"]), value_int=("double", AttributeProto.INT)),
         node("Cast", ["double"], ["condition"], to=TensorProto.BOOL),
         node("If", ["condition"], ["z"],
              then_branch=branch("then", node("Shift", ["sum", "y"], ["inner"], domain=OWN),
                                 node("Shift", ["inner", "x"], ["result"], domain=OWN)),
              else_branch=branch("else", node("Sub", ["sum", "x"], ["inner"]), node("Abs", ["inner"], ["result"])))],
        attributes=("double",),
    )  # fmt: skip
    g = Graph("main_graph")
    x, shift = g.input("x", ["batch", 3]), g.weight("sum", rng.normal(0, 1, 3))
    first = g.op("Choose", x, shift, out="inner", domain=OWN, double=1)
    second = g.op("Choose", first, x, domain=OWN, double=0)
    g.op("Shift", second, x, out="z", domain=OWN)
    g.output("z", ["batch", 3])
    shift_by = function(
        "Shift", ["x", "sum"], ["y"], [node("Neg", ["x"], ["inner"]), node("Add", ["inner", "sum"], ["y"])]
    )
    return Case(with_functions(g, [choose, shift_by]), batches(rng, normal("x", 3)))


def sparse(name: str, dense: np.ndarray, flat: bool) -> onnx.SparseTensorProto:
    """Nonzero elements, by position among all, or by an index for each axis."""
    places = np.flatnonzero(dense)
    values = numpy_helper.from_array(dense.ravel()[places], name)
    indices = places if flat else np.stack(np.unravel_index(places, dense.shape), axis=1)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(indices.astype(np.int64), ""), list(dense.shape))


@case("sparse-constants")
def sparse_constants(rng: Generator) -> Case:
    """Two pruned layers and a pruned bias: both forms of indices, an initializer and a Constant."""
    pruned = lambda *dims: np.where(rng.random(dims) < 0.3, rng.normal(0, 1, dims), 0).astype(np.float32)
    g = Graph("main_graph")
    x = g.op("MatMul", g.input("x", ["batch", 5]), "first")
    x = g.op("MatMul", g.op("Relu", x), "second")
    bias = g.op("Constant", sparse_value=sparse("", pruned(3), flat=True))
    g.op("Add", x, bias, out="y")
    g.output("y", ["batch", 3])
    model = g.model(check=False)
    for name, dims, flat in (("first", (5, 6), True), ("second", (6, 3), False)):
        model.graph.sparse_initializer.append(sparse(name, pruned(*dims), flat))
    return Case(model, batches(rng, normal("x", 5)))


@case("data-beside-the-model")
def external_data(rng: Generator) -> Case:
    """A network as torch saves it since 2.9: its weights in a file beside the model."""
    g = Graph("main_graph")
    x = g.op("Relu", gemm(g, rng, g.input("x", ["batch", 4]), "0", 8, 4))
    scale = numpy_helper.from_array(np.array([2.0, -1.0, 0.5], np.float32), "scale")
    g.op("Mul", gemm(g, rng, x, "1", 3, 8), g.op("Constant", value=scale), out="y")
    g.output("y", ["batch", 3])
    return Case(g.model(), batches(rng, normal("x", 4)), beside="model.onnx.data")


@case("default-overridden")
def default_overridden(rng: Generator) -> Case:
    """One of two inputs with a default is given, for each call or for each row."""
    g = Graph("main_graph")
    scaled = g.op("Mul", g.input("x", ["batch", 3]), g.input("scale", [3]))
    shifted = g.op("Add", scaled, g.input("shift", [1]))
    g.op("Add", shifted, g.input("offset", ["batch", 1]), out="y")
    for name, values in (("scale", [1.0, 2.0, 3.0]), ("shift", [10.0]), ("offset", [[0.0]])):
        g.weight(name, values)
    g.output("y", ["batch", 3])
    draw = lambda r, n: {
        name: r.normal(0, 1, dims).astype(np.float32)
        for name, dims in (("x", (n, 3)), ("scale", (3,)), ("offset", (n, 1)))
    }
    return Case(g.model(check=False), batches(rng, draw, empty=False))


def words(rng: Generator, n: int) -> np.ndarray:
    """Strings that the model knows, does not know, and nearly knows."""
    return rng.choice(np.array(["ale", "bread", " ale", "Ale", "", "80331", "ünder"], dtype=object), (n, 1))


@case("inputs-passed-through")
def passed_through(rng: Generator) -> Case:
    """Outputs that are inputs: as they are, through Identity, reshaped, and text that the model looks up as well."""
    g = Graph("main_graph")
    g.input("item", ["batch", 1], "str")
    g.input("x", ["batch", 2])
    g.input("id", ["batch"], "i64")
    g.op("LabelEncoder", "item", out="known", domain=ML, keys_strings=["ale", "bread"], values_int64s=[1, 2])
    g.op("Identity", "item", out="same item")
    g.op("Reshape", "same item", g.ints("flat", -1), out="items")
    g.op("Add", "x", "x", out="twice")
    for name, dims, kind in (
        ("known", ["batch", 1], "i64"), ("x", ["batch", 2], "f32"), ("same item", ["batch", 1], "str"),
        ("twice", ["batch", 2], "f32"), ("id", ["batch"], "i64"), ("items", ["batch"], "str"),
        ("item", ["batch", 1], "str"),
    ):  # fmt: skip
        g.output(name, dims, kind)
    draw = lambda r, n: {
        "item": words(r, n),
        "x": r.normal(0, 1, (n, 2)).astype(np.float32),
        "id": r.integers(-(2**60), 2**60, n),
    }
    return Case(g.model(ml=3, check=False), batches(rng, draw, many=40, empty=False))


@case("text-of-digits")
def text_of_digits(rng: Generator) -> Case:
    """Columns of text whose strings look like numbers, booleans or nothing, as tables write them."""
    areas = ["10115", "007", "1e3", "true", "", " Private", "NaN"]
    g = Graph("main_graph")
    g.input("area", ["batch", 1], "str")
    g.op("OneHotEncoder", "area", out="hot", domain=ML, cats_strings=areas)
    flat = g.op("Reshape", "hot", g.ints("flat", -1, len(areas)))
    known = g.op("MatMul", flat, g.weight("worth", rng.normal(0, 3, (len(areas), 1))))
    amount = g.op("Add", known, g.input("age", ["batch", 1]))
    whole = g.op("Add", amount, g.cast(g.input("member", ["batch", 1], "bool"), "f32"))
    g.op("Sigmoid", whole, out="probability")
    g.op("Add", g.input("account", ["batch", 1], "i64"), g.weight("one", 1, np.int64), out="next account")
    g.output("probability", ["batch", 1])
    g.output("next account", ["batch", 1], "i64")
    draw = lambda r, n: {
        "area": r.choice(np.array([*areas, "7", "1000", "True", " ", "Private", "nan"], dtype=object), (n, 1)),
        "age": r.normal(0, 1, (n, 1)).astype(np.float32),
        "member": r.random((n, 1)) < 0.5,
        "account": r.integers(2**53, 2**62, (n, 1)),
    }
    return Case(g.model(ml=3, check=False), batches(rng, draw, many=60, empty=False))


def open_ids(rng: Generator, n: int) -> Feed:
    """Sequences padded with 0 at the left."""
    found = np.maximum(ids(rng, ITEMS, n, STEPS), 1)
    return {"ids": np.where(np.arange(STEPS) < rng.integers(0, STEPS, (n, 1)), 0, found)}


@case("gru-open-steps")
def gru_open_steps(rng: Generator) -> Case:
    """A GRU over as many steps as there are: the axis has no name and no extent."""
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, SIZE)
    x = g.op("Gather", items, g.input("ids", ["batch", None], "i64"))
    (y,) = recurrent(g, rng, "GRU", g.op("Transpose", x, perm=[1, 0, 2]), "gru", SIZE, SIZE)
    y = g.op("Transpose", g.op("Squeeze", y, g.ints("way", 1)), perm=[1, 0, 2])
    gemm(g, rng, last_step(g, y), "head", 3, SIZE, out="scores")
    g.output("scores", ["batch", 3])
    return Case(g.model(), batches(rng, open_ids, many=40, empty=False))


@case("transformer-open-steps")
def transformer_open_steps(rng: Generator) -> Case:
    """Causal attention with padding as torch exports it with a dynamic axis: every extent is computed."""
    heads, depth, longest = 2, SIZE // 2, 64
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, SIZE)
    ids, mask = g.input("ids", ["batch", "steps"], "i64"), g.input("attention_mask", ["batch", "steps"], "i64")
    steps = g.op("Gather", g.op("Shape", ids), g.weight("second", 1, np.int64), axis=0)
    count = g.op("Unsqueeze", steps, g.ints("front", 0))
    places = table(g, rng, "positions.weight", longest, SIZE)
    places = g.op("Slice", places, g.ints("from", 0), count, g.ints("axis", 0))
    x = g.op("Add", g.op("Gather", items, ids), places)
    square = g.op("ConstantOfShape", g.op("Concat", count, count, axis=0), value=helper.make_tensor("", 1, [1], [1.0]))
    past = g.cast(g.op("Trilu", square, upper=0), "bool")
    present = g.op("Unsqueeze", g.cast(mask, "bool"), g.ints("heads_and_queries", 1, 2))
    closed = g.op("Where", g.op("And", past, present), g.weight("open", 0.0), g.weight("closed", -1e9))
    for layer in range(2):
        before = norm(g, x, f"{layer}.norm1")
        query, key, value = (
            g.op("Transpose",
                 g.op("Reshape", linear(g, rng, before, f"{layer}.{part}", SIZE, SIZE),
                      extents(g, before, "=0", "=1", heads, depth)), perm=[0, 2, 1, 3])
            for part in ("query", "key", "value")
        )  # fmt: skip
        scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
        scores = g.op("Add", g.op("Mul", scores, g.weight(f"{layer}.root", depth**-0.5)), closed)
        mixed = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
        mixed = g.op("Reshape", mixed, extents(g, before, "=0", "=1", SIZE))
        x = g.op("Add", x, linear(g, rng, mixed, f"{layer}.out", SIZE, SIZE))
        hidden = g.op("Relu", linear(g, rng, norm(g, x, f"{layer}.norm2"), f"{layer}.up", 2 * SIZE, SIZE))
        x = g.op("Add", x, linear(g, rng, hidden, f"{layer}.down", SIZE, 2 * SIZE))
    g.op("Identity", x, out="states")
    gemm(g, rng, last_step(g, norm(g, x, "norm")), "head", 3, SIZE, out="scores")
    g.output("states", ["batch", "steps", SIZE])
    g.output("scores", ["batch", 3])

    def draw(r: Generator, n: int) -> Feed:
        feed = open_ids(r, n)
        return feed | {"attention_mask": (feed["ids"] > 0).astype(np.int64)}

    return Case(g.model(), batches(rng, draw, many=20, empty=False))
