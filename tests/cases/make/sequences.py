"""Sequence models in the form of torch.onnx.export: recurrent, convolutional and attention layers.

Recurrent cases have no empty set: of no rows, onnxruntime dies.
"""

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Case, Draw, Feed, batches
from .dense import gemm
from .graph import Graph
from .recommenders import ids, table

ITEMS, SIZE, STEPS, HEADS = 50, 16, 10, 2

case = REGISTRY.family("sequences")


def register() -> None:
    """The decorators below have already done it."""


def histories(rng: Generator, n: int) -> Feed:
    """The items of a session, padded with 0 at the left."""
    found = ids(rng, ITEMS, n, STEPS)
    found[:, STEPS - 1] = np.maximum(found[:, STEPS - 1], 1)
    return {"items": np.where(np.arange(STEPS) < rng.integers(0, STEPS, (n, 1)), 0, found)}


def series(*dims: int, name: str = "series") -> Draw:
    """Ordinary numbers."""
    return lambda rng, n: {name: rng.normal(0, 1, (n, *dims)).astype(np.float32)}


def tough(*dims: int, name: str = "series") -> Feed:
    """Zeros of both signs, denormals, numbers that saturate every gate, and NaN."""
    values = np.array([0.0, -0.0, 1e-40, 1e-30, 30.0, -30.0, 1e4, -1e4], dtype=np.float32)
    rows = np.broadcast_to(values.reshape(-1, *[1] * len(dims)), (len(values), *dims)).copy()
    rows[-1, ..., 0] = np.nan
    return {name: rows}


def recurrent(
    g: Graph, rng: Generator, operator: str, x: str, layer: str, into: int, hidden: int,
    outputs: str = "Y", initial: bool = True, lengths: str = "", direction: str = "forward",
) -> list[str]:  # fmt: skip
    """torch's recurrent layers: [steps, batch, size] in, the initial state expanded from the batch."""
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[operator]
    ways = 2 if direction == "bidirectional" else 1
    names = [
        g.weight(f"{layer}.{part}", rng.normal(0, hidden**-0.5, (ways, *dims)))
        for part, dims in (("W", (gates * hidden, into)), ("R", (gates * hidden, hidden)), ("B", (2 * gates * hidden,)))
    ]
    inputs = [x, *names, lengths]
    if initial:
        batch = g.op("Gather", g.op("Shape", x), g.weight(f"{layer}.one", 1, np.int64), axis=0)
        shape = g.op(
            "Concat",
            g.ints(f"{layer}.ways", ways),
            g.op("Unsqueeze", batch, g.ints(f"{layer}.axis", 0)),
            g.ints(f"{layer}.hidden", hidden),
            axis=0,
        )
        zeros = g.op("Expand", g.weight(f"{layer}.zero", np.zeros((1, 1, 1))), shape)
        inputs += [zeros, zeros] if operator == "LSTM" else [zeros]
    found = [f"{layer}.{name}" if name in outputs.split() else "" for name in ("Y", "Y_h", "Y_c")]
    while not found[-1]:
        found.pop()
    extra = {"linear_before_reset": 1} if operator == "GRU" else {}
    g.op_n(operator, inputs, found, hidden_size=hidden, direction=direction, **extra)
    return [name for name in found if name]


def last_step(g: Graph, x: str) -> str:
    """`x[:, -1]` of a [batch, steps, size]."""
    return g.op("Gather", x, g.weight(f"{x}.last", -1, np.int64), axis=1)


@case("gru4rec")
def gru4rec(rng: Generator) -> Case:
    """A session through an embedding and a GRU; the last state against every item."""
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, SIZE)
    x = g.op("Gather", items, g.input("items", ["batch", STEPS], "i64"))
    (y,) = recurrent(g, rng, "GRU", g.op("Transpose", x, perm=[1, 0, 2]), "gru", SIZE, SIZE)
    y = g.op("Transpose", g.op("Squeeze", y, g.ints("way", 1)), perm=[1, 0, 2])
    g.op("MatMul", last_step(g, y), g.op("Transpose", items, perm=[1, 0]), out="scores")
    g.output("scores", ["batch", ITEMS])
    return Case(g.model(), batches(rng, histories, many=40, empty=False))


@case("gru-lengths")
def gru_lengths(rng: Generator) -> Case:
    """Packed sequences: each row has its own length, and 12 units do not fill whole panels."""
    g = Graph("main_graph")
    g.input("series", ["batch", 6, 5])
    lengths = g.cast(g.input("lengths", ["batch"], "i64"), "i32")
    x = g.op("Transpose", "series", perm=[1, 0, 2])
    y, last = recurrent(g, rng, "GRU", x, "gru", 5, 12, "Y Y_h", lengths=lengths, direction="bidirectional")
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.ints("joined", 0, 0, -1))
    g.op("Transpose", y, out="states", perm=[1, 0, 2])
    g.op("Transpose", last, out="last", perm=[1, 0, 2])
    g.output("states", ["batch", 6, 24])
    g.output("last", ["batch", 2, 12])
    draw = lambda r, n: series(6, 5)(r, n) | {"lengths": r.integers(1, 7, n)}
    nasty = tough(6, 5) | {"lengths": np.array([6, 1, 2, 3, 4, 5, 6, 6])}
    return Case(g.model(), batches(rng, draw, nasty, many=20, empty=False))


@case("lstm-forecaster")
def lstm_forecaster(rng: Generator) -> Case:
    """Two layers over 12 weeks of 4 numbers; the last state predicts the next three."""
    g = Graph("main_graph")
    x = g.op("Transpose", g.input("series", ["batch", 12, 4]), perm=[1, 0, 2])
    (y,) = recurrent(g, rng, "LSTM", x, "lstm.0", 4, 20)
    _, last, memory = recurrent(g, rng, "LSTM", g.op("Squeeze", y, g.ints("way", 1)), "lstm.1", 20, 20, "Y Y_h Y_c")
    joined = g.op("Concat", *(g.op("Squeeze", x, g.ints(f"{x}.way", 0)) for x in (last, memory)), axis=1)
    gemm(g, rng, joined, "head", 3, 40, out="forecast")
    g.output("forecast", ["batch", 3])
    return Case(g.model(), batches(rng, series(12, 4), tough(12, 4), many=40, empty=False))


@case("lstm-bidirectional")
def lstm_bidirectional(rng: Generator) -> Case:
    """Both directions side by side, the mean over the steps."""
    g = Graph("main_graph")
    x = g.op("Transpose", g.input("series", ["batch", 7, 6]), perm=[1, 0, 2])
    (y,) = recurrent(g, rng, "LSTM", x, "lstm", 6, 8, direction="bidirectional")
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.ints("joined", 0, 0, -1))
    y = g.op("ReduceMean", g.op("Transpose", y, perm=[1, 0, 2]), axes=[1], keepdims=0)
    g.op("Sigmoid", gemm(g, rng, y, "head", 1, 16), out="probability")
    g.output("probability", ["batch", 1])
    return Case(g.model(), batches(rng, series(7, 6), tough(7, 6), many=40, empty=False))


@case("rnn-tanh")
def rnn_tanh(rng: Generator) -> Case:
    """The plain cell, from the last step to the first."""
    g = Graph("main_graph")
    x = g.op("Transpose", g.input("series", ["batch", 5, 3]), perm=[1, 0, 2])
    (last,) = recurrent(g, rng, "RNN", x, "rnn", 3, 9, "Y_h", initial=False, direction="reverse")
    gemm(g, rng, g.op("Squeeze", last, g.ints("way", 0)), "head", 2, 9, out="y")
    g.output("y", ["batch", 2])
    return Case(g.model(), batches(rng, series(5, 3), tough(5, 3), many=40, empty=False))


def extents(g: Graph, x: str, *wanted: int | str) -> str:
    """A shape as torch computes it: constants, and extents of `x` named by `=axis`."""
    shape, parts = g.op("Shape", x), []
    for n, want in enumerate(wanted):
        if isinstance(want, int):
            parts.append(g.ints(f"{shape}.{n}", want))
            continue
        axis = g.weight(f"{shape}.{n}", int(want[1:]), np.int64)
        parts.append(g.op("Unsqueeze", g.op("Gather", shape, axis, axis=0), g.ints(f"{shape}.{n}.axis", 0)))
    return g.op("Concat", *parts, axis=0)


def norm(g: Graph, x: str, layer: str, size: int = SIZE) -> str:
    """A LayerNorm."""
    names = g.weight(f"{layer}.weight", np.linspace(0.5, 1.5, size)), g.weight(f"{layer}.bias", np.linspace(-1, 1, size))
    return g.op("LayerNormalization", x, *names, axis=-1, epsilon=1e-5)


def linear(g: Graph, rng: Generator, x: str, layer: str, size: int, into: int) -> str:
    """torch's Linear of three axes: MatMul and Add."""
    product = g.op("MatMul", x, g.weight(f"{layer}.weight", rng.normal(0, into**-0.5, (into, size))))
    return g.op("Add", g.weight(f"{layer}.bias", rng.normal(0, 0.1, size)), product)


def attention(g: Graph, rng: Generator, x: str, layer: str, mask: str = "") -> str:
    """nn.MultiheadAttention of a [batch, steps, size]: one projection, heads joined with the batch."""
    packed = linear(g, rng, g.op("Transpose", x, perm=[1, 0, 2]), f"{layer}.in_proj", 3 * SIZE, SIZE)
    split = g.op("Reshape", packed, extents(g, packed, "=0", "=1", 3, SIZE))
    split = g.op("Transpose", g.op("Unsqueeze", split, g.ints(f"{layer}.front", 0)), perm=[3, 1, 2, 0, 4])
    split = g.op("Squeeze", split, g.ints(f"{layer}.back", -2))
    depth, heads = SIZE // HEADS, []
    for n in range(3):
        part = g.op("Gather", split, g.weight(f"{layer}.part.{n}", n, np.int64), axis=0)
        batch = g.op("Gather", g.op("Shape", part), g.weight(f"{layer}.batch.{n}", 1, np.int64), axis=0)
        count = g.op("Unsqueeze", g.op("Mul", batch, g.weight(f"{layer}.heads.{n}", HEADS, np.int64)), g.ints(f"{layer}.z.{n}", 0))
        shape = g.op("Concat", g.ints(f"{layer}.steps.{n}", STEPS), count, g.ints(f"{layer}.depth.{n}", depth), axis=0)
        part = g.op("Transpose", g.op("Reshape", part, shape), perm=[1, 0, 2])
        heads.append(g.op("Reshape", part, extents(g, x, "=0", HEADS, STEPS, depth)))
    query, key, value = heads
    root = g.weight(f"{layer}.root", depth**-0.25)
    scores = g.op("MatMul", g.op("Mul", query, root), g.op("Mul", g.op("Transpose", key, perm=[0, 1, 3, 2]), root))
    if mask:
        scores = g.op("Add", scores, mask)
    mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
    flat = g.op("Reshape", g.op("Transpose", mixed, perm=[2, 0, 1, 3]), g.ints(f"{layer}.flat", -1, SIZE))
    out = gemm(g, rng, flat, f"{layer}.out_proj", SIZE, SIZE)
    out = g.op("Reshape", out, extents(g, packed, "=0", "=1", SIZE))
    return g.op("Transpose", out, perm=[1, 0, 2])


def encoder(g: Graph, rng: Generator, x: str, layer: str, mask: str = "", first: bool = False, gelu: bool = False) -> str:
    """nn.TransformerEncoderLayer; `first` normalises before attention and network."""

    def network(x: str) -> str:
        hidden = linear(g, rng, x, f"{layer}.linear1", 2 * SIZE, SIZE)
        if gelu:  # as torch composes it
            erf = g.op("Erf", g.op("Div", hidden, g.weight(f"{layer}.sqrt2", 2**0.5)))
            hidden = g.op("Mul", hidden, g.op("Add", erf, g.weight(f"{layer}.one", 1.0)))
            hidden = g.op("Mul", hidden, g.weight(f"{layer}.half", 0.5))
        else:
            hidden = g.op("Relu", hidden)
        return linear(g, rng, hidden, f"{layer}.linear2", SIZE, 2 * SIZE)

    if first:
        x = g.op("Add", x, attention(g, rng, norm(g, x, f"{layer}.norm1"), f"{layer}.self_attn", mask))
        return g.op("Add", x, network(norm(g, x, f"{layer}.norm2")))
    x = norm(g, g.op("Add", x, attention(g, rng, x, f"{layer}.self_attn", mask)), f"{layer}.norm1")
    return norm(g, g.op("Add", x, network(x)), f"{layer}.norm2")


def embedded(g: Graph, rng: Generator, items: str) -> str:
    """Items and their positions, which are counted from the input's shape."""
    x = g.op("Gather", items, g.input("items", ["batch", STEPS], "i64"))
    steps = g.op("Gather", g.op("Shape", "items"), g.weight("second", 1, np.int64), axis=0)
    places = g.op("Range", g.weight("from", 0, np.int64), steps, g.weight("by", 1, np.int64))
    places = g.op("Expand", g.op("Unsqueeze", places, g.ints("rows", 0)), g.op("Shape", "items"))
    return g.op("Add", x, g.op("Gather", table(g, rng, "positions.weight", STEPS, SIZE), places))


def padding_mask(g: Graph, lowest: float) -> str:
    """[batch, heads, 1, steps]: `lowest` where the item is the padding."""
    absent = g.op("Equal", "items", g.weight("padding", 0, np.int64))
    absent = g.op("Unsqueeze", absent, g.ints("heads_and_queries", 1, 2))
    absent = g.op("Expand", absent, extents(g, "items", "=0", HEADS, 1, STEPS))
    return g.op("Where", absent, g.weight("lowest", lowest), g.weight("open", 0.0))


def causal_mask(g: Graph) -> str:
    """[steps, steps]: -inf above the diagonal, from Trilu of a filled square."""
    square = g.op("ConstantOfShape", g.ints("square", STEPS, STEPS))
    ones = g.op("Add", square, g.weight("one", 1.0))
    future = g.op("Cast", g.op("Trilu", ones, g.weight("diagonal", 1, np.int64), upper=1), to=9)
    return g.op("Where", future, g.weight("closed", -np.inf), g.weight("seen", 0.0))


@case("sasrec")
def sasrec(rng: Generator) -> Case:
    """Causal attention over a session with padding, normalised first; the last state against every item."""
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, SIZE)
    x = embedded(g, rng, items)
    mask = g.op("Add", padding_mask(g, -1e9), causal_mask(g))
    for layer in range(2):
        x = encoder(g, rng, x, f"layers.{layer}", mask, first=True)
    present = g.cast(g.op("Not", g.op("Equal", "items", g.weight("nothing", 0, np.int64))), "f32")
    x = g.op("Mul", norm(g, x, "norm"), g.op("Unsqueeze", present, g.ints("wide", -1)))
    g.op("MatMul", last_step(g, x), g.op("Transpose", items, perm=[1, 0]), out="scores")
    g.output("scores", ["batch", ITEMS])
    return Case(g.model(), batches(rng, histories, many=40))


@case("bert4rec")
def bert4rec(rng: Generator) -> Case:
    """Attention both ways with Gelu, normalised after; padding is closed by -inf; the scores of each step."""
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, SIZE)
    x = norm(g, embedded(g, rng, items), "embedding.norm")
    mask = padding_mask(g, -np.inf)
    for layer in range(2):
        x = encoder(g, rng, x, f"layers.{layer}", mask, gelu=True)
    scores = g.op("MatMul", x, g.op("Transpose", items, perm=[1, 0]))
    g.op("Add", scores, g.weight("bias", rng.normal(0, 0.1, ITEMS)), out="scores")
    g.output("scores", ["batch", STEPS, ITEMS])
    return Case(g.model(), batches(rng, histories, many=4))


@case("transformer-encoder")
def transformer_encoder(rng: Generator) -> Case:
    """Two layers without masks over numbers, the mean over the steps."""
    g = Graph("main_graph")
    x = linear(g, rng, g.input("series", ["batch", STEPS, 3]), "embedding", SIZE, 3)
    x = g.op("Add", x, g.weight("positions", rng.normal(0, 1, (1, STEPS, SIZE))))
    for layer in range(2):
        x = encoder(g, rng, x, f"layers.{layer}", first=layer == 1)
    gemm(g, rng, g.op("ReduceMean", x, axes=[1], keepdims=0), "head", 2, SIZE, out="y")
    g.output("y", ["batch", 2])
    return Case(g.model(), batches(rng, series(STEPS, 3), tough(STEPS, 3), many=40))


def convolution(g: Graph, rng: Generator, x: str, layer: str, size: int, into: int, reach: int, **attributes: object) -> str:
    """torch's Conv1d."""
    groups = attributes.get("group", 1)
    assert isinstance(groups, int)
    weight = rng.normal(0, (into // groups * reach) ** -0.5, (size, into // groups, reach))
    names = g.weight(f"{layer}.weight", weight), g.weight(f"{layer}.bias", rng.normal(0, 0.1, size))
    return g.op("Conv", x, *names, kernel_shape=[reach], **attributes)


@case("tcn")
def tcn(rng: Generator) -> Case:
    """Dilated causal convolutions with residuals: padded on both sides, the end cut off."""
    g = Graph("main_graph")
    x, into = g.input("series", ["batch", 4, 16]), 4
    for n, dilation in enumerate((1, 2, 4)):
        pad, y = 2 * dilation, x
        for part in range(2):
            y = convolution(
                g, rng, y, f"blocks.{n}.{part}", 8, into if part == 0 else 8, 3, dilations=[dilation], pads=[pad, pad]
            )
            ends = (g.ints(f"{y}.{name}", at) for name, at in (("from", 0), ("to", -pad), ("axis", 2)))
            y = g.op("Relu", g.op("Slice", y, *ends))
        if into != 8:
            x = convolution(g, rng, x, f"blocks.{n}.down", 8, into, 1)
        x, into = g.op("Relu", g.op("Add", y, x)), 8
    last = g.op("Gather", x, g.weight("last", -1, np.int64), axis=2)
    gemm(g, rng, last, "head", 3, 8, out="forecast")
    g.output("forecast", ["batch", 3])
    return Case(g.model(), batches(rng, series(4, 16), tough(4, 16), many=40))


@case("cnn-pools")
def cnn_pools(rng: Generator) -> Case:
    """A strided and a depthwise convolution, batch normalisation, and every pool."""
    g = Graph("main_graph")
    x = convolution(g, rng, g.input("series", ["batch", 3, 24]), "conv.0", 8, 3, 5, strides=[2], pads=[2, 2])
    moments = [g.weight(f"bn.{part}", rng.uniform(0.5, 1.5, 8)) for part in ("weight", "bias", "mean", "var")]
    x = g.op("Relu", g.op("BatchNormalization", x, *moments, epsilon=1e-5))
    x = convolution(g, rng, x, "conv.1", 8, 8, 3, group=8, pads=[1, 1])
    x = convolution(g, rng, x, "conv.2", 8, 8, 3, group=2, auto_pad="SAME_LOWER")
    pools = [
        g.op("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 1]),
        g.op("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1),
        g.op("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1]),
        g.op("MaxPool", x, kernel_shape=[2], strides=[2], ceil_mode=1),
    ]
    y = g.op("Concat", *pools, axis=1)
    y = g.op("Concat", g.op("GlobalAveragePool", y), g.op("GlobalMaxPool", y), axis=1)
    gemm(g, rng, g.op("Flatten", y, axis=1), "head", 2, 64, out="y")
    g.output("y", ["batch", 2])
    return Case(g.model(), batches(rng, series(3, 24), many=40))


@case("din")
def din(rng: Generator) -> Case:
    """Attention pooling: each item of the history against the candidate, by a small network with PRelu."""
    g = Graph("main_graph")
    items = table(g, rng, "items.weight", ITEMS, 8)
    history = g.op("Gather", items, g.input("items", ["batch", STEPS], "i64"))
    candidate = g.op("Gather", items, g.input("candidate", ["batch"], "i64"))
    wide = g.op("Expand", g.op("Unsqueeze", candidate, g.ints("middle", 1)), extents(g, history, "=0", STEPS, 8))
    pair = g.op("Concat", history, wide, g.op("Sub", wide, history), g.op("Mul", wide, history), axis=-1)
    hidden = g.op("PRelu", linear(g, rng, pair, "unit.0", 12, 32), g.weight("unit.1.weight", [0.25]))
    weight = g.op("Squeeze", linear(g, rng, hidden, "unit.2", 1, 12), g.ints("flat", -1))
    absent = g.op("Equal", "items", g.weight("padding", 0, np.int64))
    weight = g.op("Softmax", g.op("Where", absent, g.weight("lowest", -1e9), weight), axis=1)
    interest = g.op("Squeeze", g.op("MatMul", g.op("Unsqueeze", weight, g.ints("row", 1)), history), g.ints("rows", 1))
    x = g.op("PRelu", gemm(g, rng, g.op("Concat", interest, candidate, axis=1), "top.0", 8, 16), g.weight("top.1", [0.1]))
    g.op("Sigmoid", gemm(g, rng, x, "top.2", 1, 8), out="probability")
    g.output("probability", ["batch", 1])
    draw = lambda r, n: histories(r, n) | {"candidate": ids(r, ITEMS, n)}
    return Case(g.model(), batches(rng, draw, many=40))


@case("deepfm")
def deepfm(rng: Generator) -> Case:
    """First-order weights, pairwise products and a deep network over the same embeddings."""
    g = Graph("main_graph")
    fields = g.op("Add", g.input("categories", ["batch", 4], "i64"), g.weight("offsets", [0, 10, 20, 30], np.int64))
    first = g.op("ReduceSum", g.op("Gather", table(g, rng, "linear.weight", 40, 1), fields), g.ints("a", 1), keepdims=0)
    v = g.op("Gather", table(g, rng, "embedding.weight", 40, 8), fields)
    square = g.op("Pow", g.op("ReduceSum", v, g.ints("b", 1), keepdims=0), g.weight("two", 2.0))
    squares = g.op("ReduceSum", g.op("Pow", v, g.weight("two_1", 2.0)), g.ints("c", 1), keepdims=0)
    pairs = g.op("ReduceSum", g.op("Sub", square, squares), g.ints("d", 1), keepdims=1)
    x = g.op("Reshape", v, g.ints("flat", -1, 32))
    for n, (size, into) in enumerate(((16, 32), (8, 16))):
        x = g.op("Relu", gemm(g, rng, x, f"mlp.{n}", size, into))
    second = g.op("Mul", pairs, g.weight("half", 0.5))
    logit = g.op("Add", g.op("Add", first, second), gemm(g, rng, x, "mlp.2", 1, 8))
    g.op("Sigmoid", g.op("Squeeze", logit, g.ints("e", 1)), out="probability")
    g.output("probability", ["batch"])
    return Case(g.model(), batches(rng, lambda r, n: {"categories": ids(r, 10, n, 4)}, many=1000))


@case("ncf")
def ncf(rng: Generator) -> Case:
    """Neural collaborative filtering: a product of embeddings and a network over others."""
    g = Graph("main_graph")
    g.input("user", ["batch"], "i64")
    g.input("item", ["batch"], "i64")
    look = lambda name, rows, who: g.op("Gather", table(g, rng, f"{name}.weight", rows), who)
    product = g.op("Mul", look("user_gmf", 40, "user"), look("item_gmf", ITEMS, "item"))
    x = g.op("Concat", look("user_mlp", 40, "user"), look("item_mlp", ITEMS, "item"), axis=-1)
    for n, (size, into) in enumerate(((16, 16), (8, 16))):
        x = g.op("Relu", gemm(g, rng, x, f"mlp.{n}", size, into))
    logit = gemm(g, rng, g.op("Concat", product, x, axis=-1), "head", 1, 16)
    g.op("Squeeze", g.op("Sigmoid", logit), g.ints("last", -1), out="probability")
    g.output("probability", ["batch"])
    return Case(g.model(), batches(rng, lambda r, n: {"user": ids(r, 40, n), "item": ids(r, ITEMS, n)}, many=1000))


@case("n-beats")
def n_beats(rng: Generator) -> Case:
    """Blocks that each explain a part of the past, which the next ones see no more, and of the future."""
    g = Graph("main_graph")
    rest, forecast = g.input("series", ["batch", 20]), ""
    for n in range(3):
        x = rest
        for part, into in enumerate((20, 16)):
            x = g.op("Relu", gemm(g, rng, x, f"blocks.{n}.{part}", 16, into))
        basis = gemm(g, rng, x, f"blocks.{n}.basis", 25, 16)
        past, future = g.op_n(
            "Split", [basis, g.ints(f"blocks.{n}.sizes", 20, 5)], [f"blocks.{n}.past", f"blocks.{n}.future"], axis=1
        )
        rest = g.op("Sub", rest, past)
        forecast = g.op("Add", forecast, future, out="forecast" if n == 2 else "") if forecast else future
    g.output("forecast", ["batch", 5])
    return Case(g.model(), batches(rng, series(20), tough(20), many=200))


