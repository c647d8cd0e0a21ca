"""Retrieval, ranking and pricing graphs: embeddings, histories, interactions, the best k."""

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Array, Case, Feed, batches
from .dense import gemm
from .graph import Graph

USERS, ITEMS, SIZE = 40, 60, 8

case = REGISTRY.family("recommenders")


def register() -> None:
    """The decorators below have already done it."""


def table(g: Graph, rng: Generator, name: str, rows: int, size: int = SIZE) -> str:
    """An embedding table."""
    return g.weight(name, rng.normal(0, 0.5, (rows, size)))


def ids(rng: Generator, limit: int, *dims: int) -> Array:
    """Ids, among them the first and the last."""
    found = rng.integers(0, limit, dims)
    if found.size > 1:
        found.ravel()[:2] = (0, limit - 1)
    return found


def shortlist(rng: Generator, n: int) -> Feed:
    """A user and nine candidates a row."""
    return {"user": ids(rng, USERS, n), "items": ids(rng, ITEMS, n, 9)}


def pair(rng: Generator, n: int) -> Feed:
    """One user and one item a row."""
    return {"user": ids(rng, USERS, n), "item": ids(rng, ITEMS, n)}


@case("matrix-factorisation")
def matrix_factorisation(rng: Generator) -> Case:
    """Dot product of two embeddings, two biases and a mean."""
    g = Graph("main_graph")
    user, item = g.input("user", ["batch"], "i64"), g.input("item", ["batch"], "i64")
    u = g.op("Gather", table(g, rng, "user.weight", USERS), user, axis=0)
    i = g.op("Gather", table(g, rng, "item.weight", ITEMS), item, axis=0)
    dot = g.op("ReduceSum", g.op("Mul", u, i), g.ints("axes", 1), keepdims=0)
    for name, rows, who in (("user", USERS, user), ("item", ITEMS, item)):
        bias = g.op("Gather", table(g, rng, f"{name}_bias.weight", rows, 1), who)
        dot = g.op("Add", dot, g.op("Squeeze", bias, g.ints(f"{name}_axes", -1)))
    g.op("Add", dot, g.weight("mean", 3.6), out="rating")
    g.output("rating", ["batch"])
    return Case(g.model(), batches(rng, pair))


@case("negative-ids")
def negative_ids(rng: Generator) -> Case:
    """Gather counts negative ids from the end."""
    g = Graph("main_graph")
    g.op("Gather", table(g, rng, "item.weight", ITEMS), g.input("item", ["batch", 2], "i64"), out="rows", axis=0)
    g.output("rows", ["batch", 2, SIZE])
    return Case(g.model(), batches(rng, lambda r, n: {"item": r.integers(-ITEMS, ITEMS, (n, 2))}, many=20))


@case("two-tower-reduce-sum")
def two_tower(rng: Generator) -> Case:
    """A user and its own candidates: embeddings through towers, ReduceSum(Mul), the scores of each pair."""
    g = Graph("main_graph")
    g.input("user", ["batch"], "i64")
    g.input("items", ["batch", "candidates"], "i64")
    u = g.op("Relu", gemm(g, rng, g.op("Gather", table(g, rng, "user.weight", USERS), "user"), "tower", SIZE, SIZE))
    i = g.op("Gather", table(g, rng, "item.weight", ITEMS), "items", axis=0)
    product = g.op("Mul", g.op("Unsqueeze", u, g.ints("middle", 1)), i)
    g.op("ReduceSum", product, g.ints("last", -1), out="scores", keepdims=0)
    g.output("scores", ["batch", "candidates"])
    return Case(g.model(), batches(rng, shortlist))


@case("two-tower-matmul")
def two_tower_matmul(rng: Generator) -> Case:
    """The same by a batched MatMul, [B, 1, d] × [B, d, n], with cosine similarity."""
    g = Graph("main_graph")
    g.input("user", ["batch"], "i64")
    g.input("items", ["batch", 9], "i64")
    sides = []
    for name, rows, source in (("user", USERS, "user"), ("item", ITEMS, "items")):
        x = g.op("Gather", table(g, rng, f"{name}.weight", rows), source)
        length = g.op("Clip", g.op("ReduceL2", x, axes=[-1], keepdims=1), g.weight(f"{name}.floor", 1e-12))
        sides.append(g.op("Div", x, length))
    user = g.op("Unsqueeze", sides[0], g.ints("middle", 1))
    scores = g.op("MatMul", user, g.op("Transpose", sides[1], perm=[0, 2, 1]))
    g.op("Squeeze", scores, g.ints("squeezed", 1), out="scores")
    g.output("scores", ["batch", 9])
    return Case(g.model(), batches(rng, shortlist))


@case("two-tower-einsum")
def two_tower_einsum(rng: Generator) -> Case:
    """The same by Einsum; no empty set, on which onnxruntime divides by zero and dies."""
    g = Graph("main_graph")
    g.input("user", ["batch"], "i64")
    g.input("items", ["batch", 9], "i64")
    u = g.op("Gather", table(g, rng, "user.weight", USERS), "user")
    i = g.op("Gather", table(g, rng, "item.weight", ITEMS), "items")
    g.op("Einsum", u, i, out="scores", equation="bd,bid->bi")
    g.output("scores", ["batch", 9])
    return Case(
        g.model(), batches(rng, lambda r, n: {"user": ids(r, USERS, n), "items": ids(r, ITEMS, n, 9)}, empty=False)
    )


@case("retrieval-top-k")
def retrieval(rng: Generator) -> Case:
    """A user against the whole catalogue: MatMul with the transposed table, then TopK."""
    g = Graph("main_graph")
    u = g.op("Gather", table(g, rng, "user.weight", USERS), g.input("user", ["batch"], "i64"))
    catalogue = g.op("Transpose", table(g, rng, "item.weight", ITEMS), perm=[1, 0])
    scores = g.op("Add", g.op("MatMul", u, catalogue), g.weight("popularity", rng.normal(0, 0.1, ITEMS)))
    g.op_n("TopK", [scores, g.ints("k", 10)], ["values", "indices"], axis=-1, largest=1, sorted=1)
    g.output("values", ["batch", 10])
    g.output("indices", ["batch", 10], "i64")
    return Case(g.model(), batches(rng, lambda r, n: {"user": ids(r, USERS, n)}))


@case("top-k-ties")
def top_k_ties(rng: Generator) -> Case:
    """Equal scores: the lower index first, for the largest and for the smallest; −0 equals 0."""
    g = Graph("main_graph")
    scores = g.input("scores", ["batch", 12])
    g.op_n("TopK", [scores, g.ints("k", 5)], ["largest", "largest_at"], axis=-1, largest=1, sorted=1)
    g.op_n("TopK", [scores, g.ints("all", 12)], ["smallest", "smallest_at"], axis=1, largest=0, sorted=1)
    for name, k in (("largest", 5), ("smallest", 12)):
        g.output(name, ["batch", k])
        g.output(f"{name}_at", ["batch", k], "i64")
    nasty = np.zeros((4, 12), np.float32)
    nasty[1, ::2] = -0.0
    nasty[2] = [1, np.inf, 0, np.inf, -np.inf, 1, 1, -0.0, 0, np.inf, -np.inf, 3]
    nasty[3] = np.arange(12) % 2
    draw = lambda r, n: {"scores": r.integers(-2, 3, (n, 12)).astype(np.float32)}
    return Case(g.model(), batches(rng, draw, {"scores": nasty}, many=60))


@case("arg-max")
def arg_max(rng: Generator) -> Case:
    """ArgMax and ArgMin with ties: the first by default, the last where asked; kept and dropped axes."""
    g = Graph("main_graph")
    x = g.input("scores", ["batch", 6])
    g.op("ArgMax", x, out="first", axis=1, keepdims=0)
    g.op("ArgMax", x, out="last", axis=-1, keepdims=1, select_last_index=1)
    g.op("ArgMin", x, out="least", axis=1, keepdims=0)
    g.output("first", ["batch"], "i64")
    g.output("last", ["batch", 1], "i64")
    g.output("least", ["batch"], "i64")
    nasty = np.array([[0, -0.0, 0, -0.0, 0, 0], [np.inf, 1, np.inf, -np.inf, 0, -np.inf]], np.float32)
    draw = lambda r, n: {"scores": r.integers(-2, 3, (n, 6)).astype(np.float32)}
    return Case(g.model(), batches(rng, draw, {"scores": nasty}))


def history(rng: Generator, n: int, length: int = 6) -> Feed:
    """Histories padded with 0, of lengths from 1 up."""
    found = rng.integers(1, ITEMS, (n, length))
    found[np.arange(length) >= rng.integers(1, length + 1, (n, 1))] = 0
    return {"history": found, "item": ids(rng, ITEMS, n)}


@case("history-masked-mean")
def masked_mean(rng: Generator) -> Case:
    """The mean over a padded history: Equal, Not, Cast, Mul, ReduceSum, Div; an empty history gives 0."""
    g = Graph("main_graph")
    g.input("history", ["batch", 6], "i64")
    g.input("item", ["batch"], "i64")
    weights = table(g, rng, "item.weight", ITEMS)
    seen = g.cast(g.op("Not", g.op("Equal", "history", g.weight("padding", 0, np.int64))), "f32")
    mask = g.op("Unsqueeze", seen, g.ints("last", -1))
    total = g.op("ReduceSum", g.op("Mul", g.op("Gather", weights, "history"), mask), g.ints("axis", 1), keepdims=0)
    count = g.op("ReduceSum", seen, g.ints("axis_1", 1), keepdims=1)
    user = g.op("Div", total, g.op("Max", count, g.weight("one", 1.0)))
    product = g.op("Mul", user, g.op("Gather", weights, "item"))
    g.op("Sigmoid", g.op("ReduceSum", product, g.ints("axis_2", 1), keepdims=0), out="probability")
    g.output("probability", ["batch"])
    nasty = {"history": np.zeros((2, 6), np.int64), "item": ids(rng, ITEMS, 2)}
    return Case(g.model(), batches(rng, history, nasty))


@case("history-attention")
def attention(rng: Generator) -> Case:
    """Attention of the candidate over a history, padding pushed to −1e9 by Where, then Softmax."""
    g = Graph("main_graph")
    g.input("history", ["batch", 6], "i64")
    g.input("item", ["batch"], "i64")
    weights = table(g, rng, "item.weight", ITEMS)
    past, item = g.op("Gather", weights, "history"), g.op("Gather", weights, "item")
    column = g.op("Unsqueeze", item, g.ints("last", 2))
    scores = g.op("Squeeze", g.op("MatMul", past, column), g.ints("squeezed", 2))
    scaled = g.op("Div", scores, g.weight("root", np.sqrt(SIZE)))
    masked = g.op("Where", g.op("Equal", "history", g.weight("padding", 0, np.int64)), g.weight("low", -1e9), scaled)
    attended = g.op("Unsqueeze", g.op("Softmax", masked, axis=-1), g.ints("middle", 1))
    user = g.op("Squeeze", g.op("MatMul", attended, past), g.ints("row", 1))
    gemm(g, rng, g.op("Concat", user, item, axis=1), "head", 1, 2 * SIZE, out="logit")
    g.output("logit", ["batch", 1])
    nasty = {"history": np.zeros((2, 6), np.int64), "item": ids(rng, ITEMS, 2)}
    return Case(g.model(), batches(rng, history, nasty))


@case("history-mean-max")
def mean_max(rng: Generator) -> Case:
    """ReduceMean and ReduceMax over the history, axes as an attribute."""
    g = Graph("main_graph")
    past = g.op("Gather", table(g, rng, "item.weight", ITEMS), g.input("history", ["batch", 6], "i64"))
    pooled = [g.op(f"Reduce{how}", past, axes=[1], keepdims=0) for how in ("Mean", "Max")]
    gemm(g, rng, g.op("Concat", *pooled, axis=-1), "head", 3, 2 * SIZE, out="logits")
    g.output("logits", ["batch", 3])
    return Case(g.model(opset=13), batches(rng, lambda r, n: {"history": ids(r, ITEMS, n, 6)}))


@case("embedding-bag-weighted")
def embedding_bag(rng: Generator) -> Case:
    """A bag of ids with a weight each, as a MatMul of [B, 1, n] and [B, n, d]."""
    g = Graph("main_graph")
    g.input("ids", ["batch", 5], "i64")
    g.input("weights", ["batch", 5])
    rows = g.op("Gather", table(g, rng, "bag.weight", ITEMS), "ids")
    bag = g.op("MatMul", g.op("Unsqueeze", "weights", g.ints("middle", 1)), rows)
    g.op("Squeeze", bag, g.ints("squeezed", 1), out="bag")
    g.output("bag", ["batch", SIZE])
    draw = lambda r, n: {"ids": ids(r, ITEMS, n, 5), "weights": r.random((n, 5)).astype(np.float32)}
    return Case(g.model(), batches(rng, draw))


@case("wide-and-deep")
def wide_and_deep(rng: Generator) -> Case:
    """Crossed ids through a table of scalars, numbers and embeddings through a network, added."""
    g = Graph("main_graph")
    g.input("categories", ["batch", 3], "i64")
    g.input("numbers", ["batch", 4])
    shifted = g.op("Add", "categories", g.weight("offsets", [0, 10, 20], np.int64))
    wide = g.op(
        "ReduceSum", g.op("Gather", table(g, rng, "wide.weight", 30, 1), shifted), g.ints("axis", 1), keepdims=0
    )
    deep = g.op("Flatten", g.op("Gather", table(g, rng, "deep.weight", 30, 4), shifted), axis=1)
    x = g.op("Relu", gemm(g, rng, g.op("Concat", deep, "numbers", axis=1), "0", 12, 16))
    logit = g.op("Add", wide, gemm(g, rng, x, "2", 1, 12))
    g.op("Sigmoid", logit, out="probability")
    g.output("probability", ["batch", 1])
    draw = lambda r, n: {"categories": ids(r, 10, n, 3), "numbers": r.normal(0, 1, (n, 4)).astype(np.float32)}
    return Case(g.model(), batches(rng, draw))


@case("factorisation-machine")
def factorisation_machine(rng: Generator) -> Case:
    """½·((Σv)² − Σv²) over the embeddings of the fields."""
    g = Graph("main_graph")
    v = g.op("Gather", table(g, rng, "fm.weight", 30), g.input("categories", ["batch", 3], "i64"))
    total = g.op("ReduceSum", v, g.ints("fields", 1), keepdims=0)
    squares = g.op("ReduceSum", g.op("Mul", v, v), g.ints("fields_1", 1), keepdims=0)
    gap = g.op("Sub", g.op("Pow", total, g.weight("two", 2.0)), squares)
    g.op("Mul", g.op("ReduceSum", gap, g.ints("last", 1), keepdims=1), g.weight("half", 0.5), out="logit")
    g.output("logit", ["batch", 1])
    return Case(g.model(), batches(rng, lambda r, n: {"categories": ids(r, 30, n, 3)}))


@case("dlrm-interaction")
def dlrm(rng: Generator) -> Case:
    """All dot products of [B, F, d] with itself, the upper triangle gathered, a network on top."""
    g = Graph("main_graph")
    g.input("numbers", ["batch", 4])
    g.input("categories", ["batch", 3], "i64")
    bottom = g.op("Relu", gemm(g, rng, "numbers", "bottom", SIZE, 4))
    fields = g.op("Gather", table(g, rng, "fields.weight", 30), "categories")
    stack = g.op("Concat", g.op("Unsqueeze", bottom, g.ints("middle", 1)), fields, axis=1)
    dots = g.op("MatMul", stack, g.op("Transpose", stack, perm=[0, 2, 1]))
    flat = g.op("Reshape", dots, g.ints("square", -1, 16))
    upper = [4 * i + j for i in range(4) for j in range(i + 1, 4)]
    x = g.op("Concat", bottom, g.op("Gather", flat, g.ints("upper", *upper), axis=1), axis=1)
    x = g.op("Relu", gemm(g, rng, x, "top.0", 8, SIZE + len(upper)))
    g.op("Sigmoid", gemm(g, rng, x, "top.2", 1, 8), out="probability")
    g.output("probability", ["batch", 1])
    draw = lambda r, n: {"numbers": r.normal(0, 1, (n, 4)).astype(np.float32), "categories": ids(r, 30, n, 3)}
    return Case(g.model(), batches(rng, draw, empty=False))


@case("dlrm-gather-nd")
def dlrm_gather_nd(rng: Generator) -> Case:
    """The triangle by Transpose and GatherND, as advanced indexing is exported."""
    g = Graph("main_graph")
    x = g.input("stack", ["batch", 4, SIZE])
    dots = g.op("MatMul", x, g.op("Transpose", x, perm=[0, 2, 1]))
    upper = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    picked = g.op("GatherND", g.op("Transpose", dots, perm=[1, 2, 0]), g.weight("upper", upper, np.int64))
    g.op("Transpose", picked, out="interactions", perm=[1, 0])
    g.output("interactions", ["batch", 6])
    draw = lambda r, n: {"stack": r.normal(0, 1, (n, 4, SIZE)).astype(np.float32)}
    return Case(g.model(), batches(rng, draw, many=40))


@case("price-hierarchical-poisson")
def price(rng: Generator) -> Case:
    """Expected units: exp(product + category + week + elasticity·log price ratio + promotion)."""
    g = Graph("main_graph")
    for name in ("product", "week"):
        g.input(name, ["batch"], "i64")
    g.input("price_ratio", ["batch"])
    g.input("promotion", ["batch", 3])
    category = g.op("Gather", g.weight("category_of", rng.integers(0, 6, ITEMS), np.int64), "product")
    column = lambda name, rows, who: g.op("Gather", g.weight(name, rng.normal(0, 0.4, rows)), who)
    level = g.op("Add", column("product_level", ITEMS, "product"), column("category_level", 6, category))
    level = g.op("Add", level, column("week_level", 52, "week"))
    elasticity = g.op("Add", column("elasticity", ITEMS, "product"), column("category_elasticity", 6, category))
    level = g.op("Add", level, g.op("Mul", elasticity, g.op("Log", "price_ratio")))
    lift = g.op(
        "ReduceSum", g.op("Mul", "promotion", g.weight("lift", rng.normal(0.3, 0.1, 3))), g.ints("axis", 1), keepdims=0
    )
    g.op("Exp", g.op("Add", level, lift), out="units")
    g.output("units", ["batch"])

    def draw(r: Generator, n: int) -> Feed:
        promotion = r.integers(0, 2, (n, 3)).astype(np.float32)
        ratio = r.uniform(0.5, 1.5, n).astype(np.float32)
        return {"product": ids(r, ITEMS, n), "week": ids(r, 52, n), "price_ratio": ratio, "promotion": promotion}

    return Case(g.model(), batches(rng, draw))


@case("choose-by-comparison")
def choose(rng: Generator) -> Case:
    """Where over Greater, Less, Equal and similar operators; NaN compares false, infinities compare."""
    g = Graph("main_graph")
    x, y = g.input("x", ["batch", 3]), g.input("y", ["batch", 3])
    for operator in ("Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"):
        name = operator.lower()
        g.op("Where", g.op(operator, x, y, out=name), x, y, out=f"where_{name}")
        g.output(name, ["batch", 3], "bool")
        g.output(f"where_{name}", ["batch", 3])
    both = g.op("And", "greater", g.op("Less", x, g.weight("one", 1.0)))
    g.op("Xor", g.op("Or", both, "equal"), g.op("Not", "less"), out="logic")
    g.op("IsNaN", x, out="missing")
    for name in ("logic", "missing"):
        g.output(name, ["batch", 3], "bool")
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]
    a, b = (np.array(v, np.float32) for v in zip(*[(p, q) for p in odd for q in odd], strict=True))
    nasty = {"x": a.reshape(-1, 3), "y": b.reshape(-1, 3)}
    draw = lambda r, n: {k: r.integers(-2, 3, (n, 3)).astype(np.float32) for k in ("x", "y")}
    return Case(g.model(), batches(rng, draw, nasty, many=40))


@case("casts")
def casts(rng: Generator) -> Case:
    """Between f32, f64, i64, i32 and bool: towards zero, any non-zero number is true."""
    g = Graph("main_graph")
    x, n = g.input("x", ["batch", 3]), g.input("n", ["batch", 3], "i64")
    for source, name in ((x, "x"), (n, "n")):
        for kind in ("f32", "f64", "i64", "i32", "bool"):
            g.cast(source, kind, out=f"{name}_{kind}")
            g.output(f"{name}_{kind}", ["batch", 3], kind)
    g.cast(g.cast(x, "bool"), "f32", out="truth")
    g.output("truth", ["batch", 3])
    real = np.array([[0.0, -0.0, 1e-40], [2.5, -2.5, 0.999], [-0.999, 1e9, -1e9]], np.float32)
    whole = np.array([[0, 1, -1], [2**24 + 1, -(2**24) - 1, 2**31 - 1], [-(2**31), 3, -7]])

    def draw(r: Generator, rows: int) -> Feed:
        return {"x": r.normal(0, 3, (rows, 3)).astype(np.float32), "n": r.integers(-1000, 1000, (rows, 3))}

    return Case(g.model(), batches(rng, draw, {"x": real, "n": whole}, many=40))


@case("declared-one-label")
def declared_one(rng: Generator) -> Case:
    """A label declared as [1] that comes as [N], as boosting exporters leave it."""
    g = Graph("main_graph")
    x = gemm(g, rng, g.input("input", [None, 4]), "0", 3, 4)
    g.op("ArgMax", x, out="label", axis=1, keepdims=0)
    g.op("Softmax", x, out="probabilities", axis=1)
    g.output("label", [1], "i64")
    g.output("probabilities", [None, 3])
    draw = lambda r, n: {"input": r.normal(0, 1, (n, 4)).astype(np.float32)}
    return Case(g.model(check=False), batches(rng, draw))


@case("opset-imported-twice")
def imported_twice(rng: Generator) -> Case:
    """ONNX's own operator set imported twice, once by its long name."""
    g = Graph("main_graph")
    g.op("Relu", gemm(g, rng, g.input("input", [None, 4]), "0", 3, 4), out="output")
    g.output("output", [None, 3])
    model = g.model()
    for domain in ("", "ai.onnx"):
        model.opset_import.add(domain=domain, version=17)
    draw = lambda r, n: {"input": r.normal(0, 1, (n, 4)).astype(np.float32)}
    return Case(model, batches(rng, draw, many=20))


@case("hashed-text-features")
def hashed(rng: Generator) -> Case:
    """Ids modulo a table's size, then the mean of the rows: Mod on i64."""
    g = Graph("main_graph")
    bucket = g.op("Mod", g.input("tokens", ["batch", 4], "i64"), g.weight("buckets", 30, np.int64))
    rows = g.op("Gather", table(g, rng, "hash.weight", 30), bucket)
    g.op("ReduceMean", rows, out="text", axes=[1], keepdims=0)
    g.output("text", ["batch", SIZE])
    return Case(g.model(), batches(rng, lambda r, n: {"tokens": r.integers(-(2**40), 2**40, (n, 4))}))
