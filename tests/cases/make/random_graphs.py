"""Small random graphs over the supported operators, each with ordinary, extreme and nasty inputs.

`python -m make.random_graphs --seed 7 --graphs 5000 --out DIR` writes others, as folders for
`tradewind verify`, to look for what the recorded ones do not show.

Whatever depends on the last bit of a sum or of a function is dropped: each graph also runs with every
inexact result off by a part in some millions, and what that moves is no fair question.
"""

import argparse
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.random import Generator
from onnx import ModelProto, NodeProto, helper, numpy_helper

from .corpus import ROOT, Array, Feed, difference, session
from .graph import TYPES, Graph

SEED = 20
GRAPHS = 320
OPSET = 20
ROWS = 3
BATCH = "N"
NUMPY = {"f32": np.float32, "i64": np.int64, "i32": np.int32, "bool": np.bool_}

Dim = int | str
Dims = tuple[Dim, ...]

# Every function of one float.
FUNCTIONS: list[tuple[str, dict[str, float | str]]] = [
    *((name, {}) for name in ("Abs", "Neg", "Relu", "Floor", "Ceil", "Round", "Sign", "Identity", "HardSwish", "Sqrt")),
    *((name, {}) for name in ("Exp", "Log", "Reciprocal", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Mish")),
    *((name, {}) for name in ("Sin", "Cos", "Atan", "Asin", "Acos", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Tan")),
    ("Elu", {"alpha": 0.7}),
    ("Selu", {}),
    ("Celu", {"alpha": 1.5}),
    ("LeakyRelu", {"alpha": 0.2}),
    ("ThresholdedRelu", {"alpha": 0.5}),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
    ("Shrink", {"lambd": 0.4, "bias": 0.1}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
]
# No ReduceProd: whether a product passes through an infinity or a zero depends on its order.
REDUCTIONS = ("Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")

# Operators whose results may be off by a few units in the last place or in the sign of a zero, and those that add up.
ROUNDED = {name for name, _ in FUNCTIONS[8:]} | {"Div", "Pow", "Mean", "Mod", "Sign", "Relu", "Clip", "Min", "Max"}
SUMS = {f"Reduce{name}" for name in REDUCTIONS if name not in ("Max", "Min")} | {
    *("MatMul", "Gemm", "Einsum", "Softmax", "LogSoftmax", "LayerNormalization", "CumSum", "Conv"),
    "AveragePool",
}
# Exact ones that lose the sign of a zero: onnxruntime chooses by adding to zeros.
UNSIGNED = {"Where"}


@dataclass(frozen=True)
class Value:
    """A tensor of the graph."""

    name: str
    kind: str
    dims: Dims

    @property
    def free(self) -> list[int]:
        """The axes that are not the batch."""
        return [axis for axis, dim in enumerate(self.dims) if dim != BATCH]


def broadcast(left: Dims, right: Dims) -> Dims | None:
    """The shape of two shapes broadcast against each other, if they may be."""
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    found: list[Dim] = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            return None
        found.append(b if a == 1 else a)
    # The square of the batch is refused.
    return tuple(found) if found.count(BATCH) < 2 else None


@dataclass
class Growth:
    """A graph that grows node by node."""

    rng: Generator
    g: Graph = field(default_factory=lambda: Graph("random"))
    values: list[Value] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    inputs: list[Value] = field(default_factory=list)
    dims: dict[str, tuple[str, Dims]] = field(default_factory=dict)

    def chance(self, p: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < p)

    def one(self, things: "list[T] | tuple[T, ...]") -> "T":  # noqa: F821
        """One of several."""
        return things[int(self.rng.integers(len(things)))]

    def input(self, kind: str, dims: Dims) -> Value:
        """A new input."""
        value = Value(f"x{len(self.inputs)}", kind, dims)
        self.g.input(value.name, list(dims), kind)
        self.inputs.append(value)
        return self.keep(value)

    def keep(self, value: Value) -> Value:
        """Notes a value that later nodes may read."""
        self.values.append(value)
        self.dims[value.name] = (value.kind, value.dims)
        return value

    def constant(self, kind: str, dims: Dims, values: Array | None = None) -> Value:
        """A weight."""
        shape = [int(dim) for dim in dims]
        if values is None:
            match kind:
                case "f32":
                    values = np.round(self.rng.normal(size=shape), 3)
                case "bool":
                    values = self.rng.random(shape) < 0.5
                case _:
                    values = self.rng.integers(-5, 6, shape)
        value = Value(f"w{len(self.g.weights)}", kind, dims)
        self.g.weight(value.name, values, NUMPY[kind])
        self.dims[value.name] = (kind, dims)
        return value

    def ints(self, *numbers: int) -> str:
        """A list of integers that a node takes as an input."""
        return self.g.ints(f"w{len(self.g.weights)}", *numbers)

    def scalar(self, kind: str, number: float) -> str:
        """A constant without axes."""
        return self.g.weight(f"w{len(self.g.weights)}", number, NUMPY[kind])

    def any(self, *kinds: str, rank: int = 0, late: bool = True) -> Value | None:
        """A value of one of these kinds, with at least a number of axes; later ones are more likely."""
        found = [value for value in self.values if value.kind in kinds and len(value.dims) >= rank]
        if not found:
            return None
        return found[-1] if late and self.chance(0.5) else self.one(found)

    def node(
        self, operator: str, inputs: "list[Value | str]", outputs: list[tuple[str, Dims]], **attributes: object
    ) -> list[Value]:
        """Appends a node."""
        names = [value if isinstance(value, str) else value.name for value in inputs]
        self.used.update(names)
        made = [Value(f"v{len(self.g.nodes)}_{n}", kind, dims) for n, (kind, dims) in enumerate(outputs)]
        self.g.op_n(operator, names, [value.name for value in made], **attributes)
        self.g.nodes[-1].name = f"n{len(self.g.nodes) - 1}"
        return [self.keep(value) for value in made]

    def partner(self, value: Value, kind: str | None = None) -> Value:
        """Something to broadcast against a value: another value, or a constant of a part of its shape."""
        kind = kind or value.kind
        found = [other for other in self.values if other.kind == kind and broadcast(value.dims, other.dims)]
        if found and self.chance(0.6):
            return self.one(found)
        dims = [1 if dim == BATCH or self.chance(0.3) else dim for dim in value.dims]
        return self.constant(kind, tuple(dims[int(self.rng.integers(len(dims) + 1)) :]))

    def clean(self, value: Value) -> Value:
        """The same without NaN."""
        [nan] = self.node("IsNaN", [value], [("bool", value.dims)])
        return self.node("Where", [nan, self.scalar("f32", 0.0), value], [("f32", value.dims)])[0]


Operator = Callable[[Growth], object]


def function(n: Growth) -> object:
    """A function of one float."""
    if x := n.any("f32"):
        name, attributes = n.one(FUNCTIONS)
        return n.node(name, [x], [("f32", x.dims)], **attributes)
    return None


def integer_function(n: Growth) -> object:
    """A function of one integer or boolean."""
    x = n.any("i64", "i32", "bool")
    # onnxruntime's sign of an i64 is that of its lower half.
    names = ["Abs", "Neg", "Sign"] if x and x.kind == "i32" else ["Abs", "Neg"]
    return x and n.node("Not" if x.kind == "bool" else n.one(names), [x], [(x.kind, x.dims)])


def test(n: Growth) -> object:
    """IsNaN or IsInf."""
    x = n.any("f32")
    return x and n.node(n.one(["IsNaN", "IsInf"]), [x], [("bool", x.dims)])


def clip(n: Growth) -> object:
    """Clip with one bound, or both."""
    if x := n.any("f32"):
        low, high = n.scalar("f32", -0.5), n.scalar("f32", 1.5)
        return n.node("Clip", [x, *n.one([[low], ["", high], [low, high]])], [("f32", x.dims)])
    return None


def arithmetic(n: Growth) -> object:
    """Two tensors, broadcast."""
    x = n.any("f32", "i64", "i32")
    if not x:
        return None
    y = n.partner(x)
    dims = broadcast(x.dims, y.dims) or ()
    if x.kind == "f32":
        name = n.one(["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Mod", "Mean", "Sum", "PRelu", "Add", "Mul"])
        attributes = {"fmod": 1} if name == "Mod" else {}
        if name == "PRelu":
            y = n.constant("f32", (1,))
            dims = x.dims
        return n.node(name, [x, y] if name == "PRelu" or n.chance(0.6) else [y, x], [("f32", dims)], **attributes)
    # onnxruntime compares the lower halves of i64.
    extremes = ["Min", "Max"] if x.kind == "i32" else []
    name = n.one(["Add", "Sub", "Mul", *extremes, "Div", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor"])
    if name in ("Div", "Mod"):
        # A divisor of zero is undefined.
        y = n.constant(x.kind, (1,), np.array([n.one([-3, -1, 1, 2, 5])]))
        return n.node(name, [x, y], [(x.kind, x.dims)])
    return n.node(name, [x, y], [(x.kind, dims)])


def comparison(n: Growth) -> object:
    """Two tensors compared, or two tests put together."""
    x = n.any("f32", "i64", "i32", "bool")
    if not x:
        return None
    y = n.partner(x)
    names = ["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"]
    name = n.one(["And", "Or", "Xor", "Equal"] if x.kind == "bool" else names)
    return n.node(name, [x, y], [("bool", broadcast(x.dims, y.dims) or ())])


def where(n: Growth) -> object:
    """A choice."""
    condition = n.any("bool")
    if not condition:
        return None
    x = n.partner(condition, n.one(["f32", "f32", "i64"]))
    both = broadcast(condition.dims, x.dims) or ()
    y = n.partner(Value("", x.kind, both))
    return n.node("Where", [condition, x, y], [(x.kind, broadcast(both, y.dims) or ())])


def matmul(n: Growth) -> object:
    """A product with a constant matrix, or of two tensors."""
    x = n.any("f32", rank=2)
    if not x or x.dims[-1] == BATCH:
        return None
    others = [y for y in n.values if y.kind == "f32" and len(y.dims) == len(x.dims) and y.dims[:-2] == x.dims[:-2]]
    others = [y for y in others if y.dims[-2] == x.dims[-1]]
    y = n.one(others) if others and n.chance(0.5) else n.constant("f32", (x.dims[-1], int(n.rng.integers(1, 10))))
    return n.node("MatMul", [x, y], [("f32", (*x.dims[:-1], y.dims[-1]))])


def gemm(n: Growth) -> object:
    """A layer."""
    x = n.any("f32", rank=2)
    if not x or len(x.dims) != 2:
        return None
    turned, flipped = n.chance(0.2), n.chance(0.5)
    rows, inner = x.dims[::-1] if turned else x.dims
    if inner == BATCH:
        return None
    width = int(n.rng.integers(1, 10))
    y = n.constant("f32", (width, inner) if flipped else (inner, width))
    third = [n.constant("f32", n.one([(width,), (1, width), (1,), ()]))] if n.chance(0.7) else []
    scales = {"alpha": 0.5, "beta": 2.0} if n.chance(0.3) else {}
    return n.node("Gemm", [x, y, *third], [("f32", (rows, width))], transA=int(turned), transB=int(flipped), **scales)


def axes_of(n: Growth, x: Value, batch: float = 0.1) -> list[int]:
    """Some axes of a tensor, seldom the batch."""
    axes = [axis for axis, dim in enumerate(x.dims) if n.chance(batch if dim == BATCH else 0.6)]
    return axes or x.free[-1:]


def signed(n: Growth, axis: int, rank: int) -> int:
    """An axis, counted from either end."""
    return axis - rank if n.chance(0.4) else axis


def reduction(n: Growth) -> object:
    """A reduction over some axes."""
    x = n.any("f32", "f32", "i64", "i32", rank=1)
    axes = axes_of(n, x) if x else []
    if not x or not axes:
        return None
    # onnxruntime adds up i32 in floating point, and compares the lower halves of i64.
    name = n.one({"f32": REDUCTIONS, "i64": ("Sum",)}.get(x.kind, ("Max", "Min")))
    keep = n.chance(0.5)
    dims = tuple(1 if axis in axes else dim for axis, dim in enumerate(x.dims) if keep or axis not in axes)
    listed = n.ints(*(signed(n, axis, len(x.dims)) for axis in axes))
    if x.kind == "f32" and name in ("Max", "Min", "LogSumExp"):
        x = n.clean(x)  # which of a NaN and a number is larger depends on the vector unit
    return n.node(f"Reduce{name}", [x, listed], [(x.kind, dims)], keepdims=int(keep))


def positions(n: Growth) -> object:
    """ArgMax, ArgMin; NaN as above."""
    x = n.any("f32", "i64", rank=1)
    if not x or not x.free:
        return None
    axis, keep = n.one(x.free), n.chance(0.5)
    x = n.clean(x) if x.kind == "f32" else x
    dims = tuple(1 if at == axis else dim for at, dim in enumerate(x.dims) if keep or at != axis)
    attributes = {"axis": signed(n, axis, len(x.dims)), "keepdims": int(keep), "select_last_index": int(n.chance(0.3))}
    return n.node(n.one(["ArgMax", "ArgMin"]), [x], [("i64", dims)], **attributes)


def best(n: Growth) -> object:
    """TopK; NaN as above."""
    x = n.any("f32", "i64", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)
    k = int(n.rng.integers(1, x.dims[axis] + 1))
    x = n.clean(x) if x.kind == "f32" else x
    dims = tuple(k if at == axis else dim for at, dim in enumerate(x.dims))
    attributes = {"axis": signed(n, axis, len(x.dims)), "largest": int(n.chance(0.6))}
    return n.node("TopK", [x, n.ints(k)], [(x.kind, dims), ("i64", dims)], **attributes)


def part(n: Growth) -> object:
    """Slice, forwards and backwards."""
    x = n.any("f32", "i64", "bool", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)
    extent = int(x.dims[axis])
    step = n.one([1, 1, 1, 2, -1, -2])
    start, end = sorted(int(at) for at in n.rng.integers(0, extent + 1, 2))
    start, end = (start, max(end, start + 1)) if start < extent else (0, 99)
    if step < 0:
        start, end = end - 1, start - 1 - extent if start else -99
    length = len(range(extent)[slice(start, end, step)])
    if not length:
        return None
    dims = tuple(length if at == axis else dim for at, dim in enumerate(x.dims))
    lists = [n.ints(start), n.ints(end), n.ints(signed(n, axis, len(x.dims))), n.ints(step)]
    return n.node("Slice", [x, *lists], [(x.kind, dims)])


def concatenation(n: Growth) -> object:
    """Concat of values and constants."""
    x = n.any("f32", "i64", "bool", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)

    def fits(y: Value) -> bool:
        same = [a == b or at == axis for at, (a, b) in enumerate(zip(x.dims, y.dims, strict=False))]
        return y.kind == x.kind and len(y.dims) == len(x.dims) and all(same)

    parts = [x, *(n.one([y for y in n.values if fits(y)]) for _ in range(int(n.rng.integers(1, 3))))]
    if any(y.dims[axis] == BATCH for y in parts):
        return None
    total = sum(int(y.dims[axis]) for y in parts)
    dims = tuple(total if at == axis else dim for at, dim in enumerate(x.dims))
    return total < 40 and n.node("Concat", parts, [(x.kind, dims)], axis=signed(n, axis, len(dims)))


def split(n: Growth) -> object:
    """Split into two parts."""
    x = n.any("f32", "i64", rank=1)
    axes = [axis for axis in x.free if int(x.dims[axis]) > 1] if x else []
    if not x or not axes:
        return None
    axis = n.one(axes)
    first = int(n.rng.integers(1, x.dims[axis]))
    sizes = [first, int(x.dims[axis]) - first]
    outputs = [(x.kind, tuple(size if at == axis else dim for at, dim in enumerate(x.dims))) for size in sizes]
    return n.node("Split", [x, n.ints(*sizes)], outputs, axis=signed(n, axis, len(x.dims)))


def pad(n: Growth) -> object:
    """Pad in every mode."""
    x = n.any("f32", "i64", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)
    extent = int(x.dims[axis])
    mode = n.one(["constant", "edge", "reflect", "wrap"] if extent > 2 else ["constant", "edge"])
    before, after = (int(at) for at in n.rng.integers(-1 if mode == "constant" and extent > 2 else 0, 3, 2))
    value = [n.scalar(x.kind, 7)] if mode == "constant" and n.chance(0.6) else [""]
    dims = tuple(extent + before + after if at == axis else dim for at, dim in enumerate(x.dims))
    lists = [n.ints(before, after), *value, n.ints(signed(n, axis, len(x.dims)))]
    return n.node("Pad", [x, *lists], [(x.kind, dims)], mode=mode)


def gather(n: Growth) -> object:
    """Gather with constant indices, or with computed ones."""
    x = n.any("f32", "i64", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)
    extent = int(x.dims[axis])
    shape: Dims = n.one([(), (2,), (3,), (2, 2)])
    if len(x.dims) + len(shape) > 5:
        return None
    at: Value = n.constant("i64", shape, n.rng.integers(-extent, extent, shape))
    computed = n.any("i64")
    if computed and n.chance(0.4) and BATCH not in x.dims and len(x.dims) + len(computed.dims) < 6:
        # The remainder has the sign of the divisor.
        [at] = n.node("Mod", [computed, n.scalar("i64", extent)], [("i64", computed.dims)])
    dims = (*x.dims[:axis], *at.dims, *x.dims[axis + 1 :])
    return n.node("Gather", [x, at], [(x.kind, dims)], axis=signed(n, axis, len(x.dims)))


def gather_elements(n: Growth) -> object:
    """GatherElements or ScatterElements with computed indices."""
    x, at = n.any("f32", rank=2), n.any("i64", rank=2)
    if not x or not at or len(x.dims) != len(at.dims):
        return None
    axis = len(x.dims) - 1
    if x.dims[:-1] != at.dims[:-1] or x.dims[-1] == BATCH or at.dims[-1] == BATCH:
        return None
    [at] = n.node("Mod", [at, n.scalar("i64", int(x.dims[axis]))], [("i64", at.dims)])
    if n.chance(0.5):
        return n.node("GatherElements", [x, at], [("f32", at.dims)], axis=axis)
    new = n.partner(Value("", "f32", at.dims))
    if new.dims != at.dims:
        return None
    x, new = n.clean(x), n.clean(new)
    return n.node("ScatterElements", [x, at, new], [("f32", x.dims)], axis=axis, reduction=n.one(["add", "max", "min"]))


def transpose(n: Growth) -> object:
    """Transpose; the batch usually stays in front."""
    x = n.any("f32", "i64", "bool", rank=2)
    if not x:
        return None
    order = [int(axis) for axis in n.rng.permutation(len(x.dims))]
    if BATCH in x.dims and n.chance(0.7):
        batch = x.dims.index(BATCH)
        order = [batch, *(axis for axis in order if axis != batch)]
    return n.node("Transpose", [x], [(x.kind, tuple(x.dims[axis] for axis in order))], perm=order)


def reshape(n: Growth) -> object:
    """Reshape, Flatten, Squeeze and Unsqueeze; the batch stays in front."""
    x = n.any("f32", "i64", "bool", rank=1)
    if not x or BATCH in x.dims[1:]:
        return None
    lead = x.dims[:1] if x.dims[0] == BATCH else ()
    count = int(np.prod([int(dim) for dim in x.dims[len(lead) :]], dtype=int))
    match n.one(["reshape", "flatten", "squeeze", "unsqueeze"]):
        case "flatten":
            return n.node("Flatten", [x], [(x.kind, (x.dims[0], count // (1 if lead else int(x.dims[0]))))])
        case "squeeze":
            ones = [axis for axis, dim in enumerate(x.dims) if dim == 1]
            dims = tuple(dim for dim in x.dims if dim != 1)
            return ones and n.node("Squeeze", [x, n.ints(*ones)], [(x.kind, dims)])
        case "unsqueeze":
            axis = int(n.rng.integers(len(lead), len(x.dims) + 1))
            dims = (*x.dims[:axis], 1, *x.dims[axis:])
            return len(dims) < 6 and n.node("Unsqueeze", [x, n.ints(axis)], [(x.kind, dims)])
    factor = n.one([size for size in range(1, count + 1) if count % size == 0])
    rest = n.one([(count,), (factor, count // factor), (1, count)])
    shape = [0 if lead and n.chance(0.5) else -1, *rest] if lead else [*rest[:-1], -1]
    return n.node("Reshape", [x, n.ints(*shape)], [(x.kind, (*lead, *rest))])


def expand(n: Growth) -> object:
    """Expand or Tile."""
    x = n.any("f32", "i64", "bool", rank=1)
    if not x or len(x.dims) > 4 or any(dim != BATCH and int(dim) > 8 for dim in x.dims):
        return None
    if n.chance(0.5):
        repeats = [1 if dim == BATCH else int(n.rng.integers(1, 4)) for dim in x.dims]
        dims = tuple(d if d == BATCH else int(d) * times for d, times in zip(x.dims, repeats, strict=True))
        return n.node("Tile", [x, n.ints(*repeats)], [(x.kind, dims)])
    shape = [int(n.rng.integers(1, 4)) if dim == 1 else 1 for dim in x.dims]
    if BATCH not in x.dims and n.chance(0.5):
        shape = [2, *shape]
    return n.node("Expand", [x, n.ints(*shape)], [(x.kind, broadcast(x.dims, tuple(shape)) or ())])


def normalization(n: Growth) -> object:
    """Softmax, LogSoftmax or LayerNormalization."""
    x = n.any("f32", rank=1)
    if not x or not x.free:
        return None
    axis = n.one(x.free)
    name = n.one(["Softmax", "LogSoftmax", "LayerNormalization"])
    attributes: dict[str, float] = {"axis": signed(n, axis, len(x.dims))}
    inputs = [x]
    if name == "LayerNormalization":
        if BATCH in x.dims[axis:]:
            return None
        inputs += [n.constant("f32", x.dims[axis:]) for _ in range(int(n.rng.integers(1, 3)))]
    return n.node(name, inputs, [("f32", x.dims)], **attributes)


def running(n: Growth) -> object:
    """CumSum."""
    x = n.any("f32", "i64", rank=1)
    if not x or not x.free:
        return None
    axis = n.scalar("i64", signed(n, n.one(x.free), len(x.dims)))
    return n.node("CumSum", [x, axis], [(x.kind, x.dims)], exclusive=int(n.chance(0.4)), reverse=int(n.chance(0.4)))


def cast(n: Growth) -> object:
    """Casts. Floats become integers within bounds and without NaN: beyond, it is the processor's affair."""
    x = n.any("f32", "i64", "i32", "bool")
    if not x:
        return None
    to = n.one(["f32", "i64", "i32", "bool"])
    if x.kind == "f32" and to in ("i64", "i32"):
        x = n.clean(x)
        [x] = n.node("Clip", [x, n.scalar("f32", -1000.0), n.scalar("f32", 1000.0)], [("f32", x.dims)])
    return n.node("Cast", [x], [(to, x.dims)], to=TYPES[to])


def triangle(n: Growth) -> object:
    """Trilu of the last two axes."""
    x = n.any("f32", "i64", rank=2)
    if not x or BATCH in x.dims[-2:]:
        return None
    return n.node("Trilu", [x, n.scalar("i64", n.one([-1, 0, 1]))], [(x.kind, x.dims)], upper=int(n.chance(0.5)))


def one_hot(n: Growth) -> object:
    """OneHot of integers, most of which are outside the positions."""
    x = n.any("i64", rank=1)
    if not x or len(x.dims) > 3:
        return None
    depth = n.one([2, 3, 4])
    values = n.constant("f32", (2,), np.array([0.0, 1.0]))
    return n.node("OneHot", [x, n.scalar("i64", depth), values], [("f32", (*x.dims, depth))], axis=-1)


def einsum(n: Growth) -> object:
    """A product over the last axis of two tensors, within each row."""
    x = n.any("f32", rank=3)
    if not x or len(x.dims) != 3 or x.dims[0] != BATCH:
        return None
    y = n.one([y for y in n.values if y.kind == "f32" and len(y.dims) == 3 and y.dims[::2] == x.dims[::2]])
    return n.node("Einsum", [x, y], [("f32", (x.dims[0], x.dims[1], y.dims[1]))], equation="nij,nkj->nik")


def window(n: Growth) -> object:
    """A convolution or a pool over the last axis."""
    x = n.any("f32", rank=3)
    if not x or len(x.dims) != 3 or BATCH in x.dims[1:] or int(x.dims[2]) < 2:
        return None
    width, before, after, step = 2, n.one([0, 1]), n.one([0, 1]), n.one([1, 2])
    length = (int(x.dims[2]) + before + after - width) // step + 1
    attributes = {"kernel_shape": [width], "pads": [before, after], "strides": [step]}
    name = n.one(["Conv", "Conv", "MaxPool", "AveragePool"])
    if name == "MaxPool":
        # Its largest begins with the least finite number, which −∞ does not pass and NaN may.
        [x] = n.node("Clip", [n.clean(x), n.scalar("f32", -1e6)], [("f32", x.dims)])
    if name != "Conv":
        return n.node(name, [x], [("f32", (*x.dims[:2], length))], **attributes)
    channels = int(n.rng.integers(1, 5))
    weights = [n.constant("f32", (channels, x.dims[1], width))]
    weights += [n.constant("f32", (channels,))] if n.chance(0.6) else []
    return n.node(name, [x, *weights], [("f32", (x.dims[0], channels, length))], **attributes)


OPERATORS: list[tuple[int, Operator]] = [
    *((8, function), (1, integer_function), (1, test), (1, clip), (10, arithmetic), (4, comparison), (4, where)),
    *((3, matmul), (2, gemm), (5, reduction), (2, positions), (2, best), (3, part), (3, concatenation), (2, split)),
    *((2, pad), (3, gather), (3, gather_elements), (3, transpose), (4, reshape), (2, expand), (3, normalization)),
    *((2, running), (4, cast), (1, triangle), (1, one_hot), (1, einsum), (2, window)),
]


def grown(rng: Generator) -> tuple[ModelProto, Growth]:
    """A graph of 3 to 12 nodes; unread values are outputs."""
    n = Growth(rng)
    lead: Dims = (BATCH,) if n.chance(0.75) else n.one([(), (2,), (3,)])
    sizes = [int(size) for size in rng.choice([1, 2, 3, 4, 5, 6, 9], 3)]
    for at in range(int(rng.integers(1, 4))):
        rest = n.one([sizes[:1], sizes[:1], sizes[:2], sizes[:2], sizes[1:3], sizes[:3]])
        kind = "f32" if at == 0 else n.one(["f32", "f32", "i64", "i64", "i32", "bool"])
        n.input(kind, (*lead, *rest))
    weights = np.array([weight for weight, _ in OPERATORS], dtype=float)
    wanted = int(rng.integers(3, 13))
    for _ in range(200):
        if len(n.g.nodes) >= wanted:
            break
        OPERATORS[int(rng.choice(len(OPERATORS), p=weights / weights.sum()))][1](n)
    for value in n.values:
        if value.name not in n.used and value not in n.inputs:
            n.g.output(value.name, list(value.dims), value.kind)
    return n.g.model(OPSET, check=False), n


ORDINARY, EXTREME, NASTY = "ordinary", "extreme", "nasty"
FINITE = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.5, 1e-30, -1e-40, 16777217.0, 1e15, -1e30], np.float32)
NUMBERS = np.array([0, 1, -1, 2, -7, 100, 16777217, -16777219, 2**31 - 1])


def drawn(rng: Generator, value: Value, kind: str) -> Array:
    """An input of one kind."""
    shape = [ROWS if dim == BATCH else int(dim) for dim in value.dims]
    match value.kind:
        case "bool":
            return rng.random(shape) < 0.5
        case "f32" if kind == ORDINARY:
            return rng.normal(0, 1.5, shape).astype(np.float32)
        case "f32":
            special = [np.nan, np.inf, -np.inf] if kind == NASTY else []
            return rng.choice(np.append(FINITE, special).astype(np.float32), shape)
    numbers = np.arange(-9, 10) if kind == ORDINARY else NUMBERS
    return rng.choice(numbers, shape).astype(NUMPY[value.kind])


def shaken(model: ModelProto, n: Growth, rng: Generator, huge: float) -> ModelProto:
    """The same model with every inexact result off by a few parts in ten million, and `huge` for huge terms."""
    shaken = ModelProto()
    shaken.CopyFrom(model)
    del shaken.graph.node[:]

    for name, number in (("zero", 0.0), ("instead", huge), ("huge", 1e18)):
        shaken.graph.initializer.append(numpy_helper.from_array(np.float32(number), name))

    def bounded(name: str, new: str) -> list[NodeProto]:
        """Whether a sum of finite and huge terms passes through an infinity depends on its order."""
        return [
            helper.make_node("IsInf", [name], [f"{new}/inf"]),
            helper.make_node("Abs", [name], [f"{new}/magnitude"]),
            helper.make_node("Greater", [f"{new}/magnitude", "huge"], [f"{new}/huge"]),
            helper.make_node("Where", [f"{new}/huge", "instead", name], [f"{new}/other"]),
            helper.make_node("Where", [f"{new}/inf", name, f"{new}/other"], [f"{new}/bounded"]),
        ]

    def unsigned(name: str, new: str) -> NodeProto:
        """Zeros without their sign."""
        return helper.make_node("Add", [name, "zero"], [new])

    def off(name: str, new: str, dims: Dims) -> list[NodeProto]:
        """Noise, and zeros without their sign."""
        shape = [ROWS if dim == BATCH else int(dim) for dim in dims]
        noise = (1 + rng.uniform(-4e-7, 4e-7, shape)).astype(np.float32)
        shaken.graph.initializer.append(numpy_helper.from_array(noise, f"{new}/noise"))
        return [
            unsigned(name, f"{new}/unsigned"),
            helper.make_node("Mul", [f"{new}/unsigned", f"{new}/noise"], [new]),
        ]

    for node in model.graph.node:
        kind, dims = n.dims[node.output[0]]
        if kind != "f32" or node.op_type not in ROUNDED | SUMS | UNSIGNED:
            shaken.graph.node.append(node)
            continue
        changed = NodeProto()
        changed.CopyFrom(node)
        for at, name in enumerate(node.input):
            if node.op_type in SUMS and n.dims.get(name, ("", ()))[0] == "f32":
                changed.input[at] = f"{node.name}/{at}"
                shaken.graph.node.extend(bounded(name, changed.input[at]))
                shaken.graph.node.extend(off(f"{changed.input[at]}/bounded", changed.input[at], n.dims[name][1]))
        changed.output[0] = f"{node.name}/out"
        exact = node.op_type in UNSIGNED
        out, new = changed.output[0], node.output[0]
        shaken.graph.node.extend([changed, *([unsigned(out, new)] if exact else off(out, new, dims))])
    return shaken


@dataclass
class Case:
    """A graph, with onnxruntime's outputs for its sets."""

    model: bytes
    sets: list[tuple[str, Feed, dict[str, Array]]]


def asked(model: bytes, names: list[str], feeds: list[Feed]) -> list[list[Array]]:
    """onnxruntime's outputs for each set."""
    plain = session(model, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    return [plain.run(names, feed) for feed in feeds]


def recorded(rng: Generator) -> Case | None:
    """A graph with its fair sets; `None` if even the ordinary one is not fair."""
    model, n = grown(rng)
    names = [output.name for output in model.graph.output]
    kinds = [ORDINARY, EXTREME, NASTY, NASTY]
    feeds = [{value.name: drawn(rng, value, kind) for value in n.inputs} for kind in kinds]
    with np.errstate(all="ignore"):
        answers = asked(model.SerializeToString(deterministic=True), names, feeds)
        # Several times: onnxruntime's own functions are off by a bit, and of two that tie either may turn out greater.
        huge = [np.nan, 1.0] * 3
        others = [asked(shaken(model, n, rng, instead).SerializeToString(), names, feeds) for instead in huge]
        sets = []
        for at, (kind, feed, answer) in enumerate(zip(kinds, feeds, answers, strict=True)):
            off = [
                difference(found, want, name)
                for other in others
                for found, want, name in zip(other[at], answer, names, strict=True)
            ]
            if max(off) < 1e-5:
                sets.append((kind, feed, dict(zip(names, answer, strict=True))))
    return Case(model.SerializeToString(deterministic=True), sets) if sets and sets[0][0] == ORDINARY else None


def cases(seed: int, count: int) -> "list[Case]":
    """Return a number of cases; each has its own generator, so that one does not change another."""
    found: list[Case] = []
    dropped = failed = at = 0
    while len(found) < count:
        at += 1
        try:
            case = recorded(np.random.default_rng([seed, at]))
        except ort.capi.onnxruntime_pybind11_state.Fail as error:
            failed += 1
            print(f"graph {at}: {str(error).splitlines()[0][:200]}")
            continue
        dropped += case is None
        found += [case] if case else []
    print(f"{count} random graphs, {sum(len(c.sets) for c in found)} sets, {dropped} graphs dropped, {failed} failed")
    return found


def protos(tensors: dict[str, Array]) -> list[bytes]:
    """Tensors as ONNX keeps them."""
    return [numpy_helper.from_array(np.asarray(array), name).SerializeToString() for name, array in tensors.items()]


def write(root: Path = ROOT) -> None:
    """`random.bin`: numbers are u32, little-endian; every text of bytes follows its length.

    Of each case: the number of inputs, outputs and sets, the model, and of each set its inputs and outputs as
    TensorProto.
    """
    out = bytearray()
    for case in cases(SEED, GRAPHS):
        sets = [(protos(feed), protos(answer)) for _, feed, answer in case.sets]
        out += struct.pack("<3I", len(sets[0][0]), len(sets[0][1]), len(sets))
        for text in [case.model, *(text for feed, answer in sets for text in feed + answer)]:
            out += struct.pack("<I", len(text)) + text
    (root / "random.bin").write_bytes(out)


def write_folders(out: Path, seed: int, count: int) -> None:
    """The layout of the ONNX project's test data."""
    for at, case in enumerate(cases(seed, count)):
        folder = out / f"{seed}-{at}"
        for k, (_, feed, answer) in enumerate(case.sets):
            place = folder / f"test_data_set_{k}"
            place.mkdir(parents=True)
            for prefix, tensors in (("input", feed), ("output", answer)):
                for index, text in enumerate(protos(tensors)):
                    (place / f"{prefix}_{index}.pb").write_bytes(text)
        (folder / "model.onnx").write_bytes(case.model)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--graphs", type=int, default=1000)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    write_folders(given.out, given.seed, given.graphs)
