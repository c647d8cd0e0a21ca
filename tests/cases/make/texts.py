"""Texts as counts of n-grams, as skl2onnx exports them, and by hand.

onnxruntime needs the locale en_US.UTF-8 for `StringNormalizer` (Debian: the package locales, and `locale-gen`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.random import Generator
from onnx import helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import linear_model, naive_bayes
from sklearn import preprocessing as before
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from .corpus import REGISTRY, Array, Case, Feed, batches
from .estimators import OPSET
from .graph import TYPES, Graph

GOOD = "great love good works perfect fresh tasty again fast recommend".split()
BAD = "bad broke awful stale late refund never terrible leaks slow".split()
OTHER = "it the a was and not product coffee box 2 tea very Überraschung café İSTANBUL straße ok".split()
BREAKS = np.array([" ", " ", " ", ", ", "! ", ". ", "  ", "-", "'"])
STRANGE = ["", " ", "...", "GREAT great GrEaT", "2 22 a_b _ --", "K\u212aelvin", "\u0130 i I", "ok" * 400, "good\tgood\nbad"]


def text(rng: Generator, kind: int, words: int) -> str:
    """A review: good, bad, or neither."""
    pool = [*OTHER, *(GOOD if kind else BAD)]
    parts = []
    for word in rng.choice(pool, words):
        cased = word.upper() if rng.random() < 0.2 else word.title() if rng.random() < 0.2 else word
        parts += [cased, rng.choice(BREAKS)]
    return "".join(parts)


def reviews(rng: Generator, n: int) -> tuple[list[str], Array]:
    """Reviews with their labels."""
    labels = rng.integers(0, 2, n)
    return [text(rng, label, int(rng.integers(1, 25))) for label in labels], labels


def column(texts: list[str]) -> Array:
    """Texts as a column."""
    return np.array(texts, dtype=object).reshape(-1, 1)


VECTORIZERS: dict[str, Callable[[], BaseEstimator]] = {
    "words": TfidfVectorizer,
    "bigrams": lambda: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "trigrams-only": lambda: CountVectorizer(ngram_range=(3, 3), max_features=60),
    "stop-words": lambda: CountVectorizer(stop_words="english", binary=True),
    "case-kept": lambda: TfidfVectorizer(lowercase=False),
    "letters": lambda: TfidfVectorizer(token_pattern=r"[a-z]+", norm="l1"),
    "long-words": lambda: CountVectorizer(token_pattern=r"[a-zA-Z]{4,}"),
    "characters": lambda: TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=200),
}


def exported(rng: Generator, build: Callable[[], BaseEstimator]) -> Case:
    """A classifier of reviews."""
    texts, labels = reviews(rng, 300)
    pipeline = make_pipeline(build(), linear_model.LogisticRegression())
    pipeline.fit(texts, labels)
    options = {linear_model.LogisticRegression: {"zipmap": False}}
    model = to_onnx(pipeline, initial_types=[("text", StringTensorType([None, 1]))], options=options, target_opset=OPSET)
    draw: Callable[[Generator, int], Feed] = lambda r, n: {"text": column(reviews(r, n)[0])}
    # In characters, onnxruntime counts its padding where a text contains `#`.
    return Case(model, batches(rng, draw, {"text": column(STRANGE)}, empty=False, many=40))


def mixed(rng: Generator) -> Case:
    """Title and body, each with a vectorizer of its own, beside numbers."""
    titles, labels = reviews(rng, 200)
    bodies = [text(rng, label, 12) for label in labels]
    columns = ColumnTransformer([
        ("title", TfidfVectorizer(max_features=20), "title"),
        ("body", CountVectorizer(ngram_range=(1, 2)), "body"),
        ("numbers", before.StandardScaler(), ["score"]),
    ])  # fmt: skip
    pipeline = make_pipeline(columns, linear_model.LogisticRegression())
    score = rng.normal(labels, 1).astype(np.float32)
    pipeline.fit(pd.DataFrame({"title": titles, "body": bodies, "score": score}), labels)
    types = [("title", StringTensorType([None, 1])), ("body", StringTensorType([None, 1])), ("score", FloatTensorType([None, 1]))]
    options = {linear_model.LogisticRegression: {"zipmap": False}}
    model = to_onnx(pipeline, initial_types=types, options=options, target_opset=OPSET)

    def draw(r: Generator, n: int) -> Feed:
        score = r.normal(0, 1, (n, 1)).astype(np.float32)
        return {"title": column(reviews(r, n)[0]), "body": column(reviews(r, n)[0]), "score": score}

    return Case(model, batches(rng, draw, empty=False, many=40))


def bayes(rng: Generator) -> Case:
    """Counts for naive Bayes."""
    texts, labels = reviews(rng, 300)
    pipeline = make_pipeline(CountVectorizer(), naive_bayes.MultinomialNB())
    pipeline.fit(texts, labels)
    options = {naive_bayes.MultinomialNB: {"zipmap": False}}
    model = to_onnx(pipeline, initial_types=[("text", StringTensorType([None, 1]))], options=options, target_opset=OPSET)
    return Case(model, batches(rng, lambda r, n: {"text": column(reviews(r, n)[0])}, empty=False, many=40))


def joined(rng: Generator) -> Case:
    """Two joined inputs of one axis, in upper case, with n-grams that skip tokens and columns in another order."""
    g = Graph("joined")
    title, body = g.input("title", ["rows"], "str"), g.input("body", ["rows"], "str")
    g.weights.append(helper.make_tensor("space", TYPES["str"], [1], [b" "]))
    both = g.op("StringConcat", g.op("StringConcat", title, "space"), body)
    upper = g.op("StringNormalizer", both, case_change_action="UPPER", locale="en_US.UTF-8")
    split = {"mark": 0, "mincharnum": 2, "pad_value": "~", "separators": [" ", ",", "[.]", "-"]}
    tokens = g.op("Tokenizer", upper, domain="com.microsoft", **split)
    sums = {
        "mode": "TFIDF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 2, "ngram_counts": [0, 3],
        "ngram_indexes": [4, 0, 2, 1, 3], "pool_strings": ["GOOD", "BAD", "NOT", "NOT", "GOOD", "CAFÉ", "WAS"],
        "weights": [1.0, 2.0, 3.0, 0.5, -5.0],
    }  # fmt: skip
    there = {
        "mode": "IDF", "min_gram_length": 2, "max_gram_length": 2, "max_skip_count": 1, "ngram_counts": [0, 0],
        "ngram_indexes": [1, 0], "pool_strings": ["NOT", "GOOD", "THE", "BOX"], "weights": [7.0, 9.0],
    }  # fmt: skip
    parts = [g.op("TfIdfVectorizer", tokens, **sums), g.op("TfIdfVectorizer", tokens, **there)]
    g.op("Concat", *parts, out="y", axis=1)
    g.output("y", ["rows", 7])
    model = g.model(opset=20, check=False)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    pair = lambda r, n: {name: column(reviews(r, n)[0]).reshape(-1) for name in ("title", "body")}
    strange = np.array(STRANGE, dtype=object)
    return Case(model, batches(rng, pair, {"title": strange, "body": strange[::-1].copy()}, empty=False, many=40))


def register() -> None:
    """Adds the cases."""
    for name, build in VECTORIZERS.items():
        REGISTRY.add("texts", f"text-{name}", lambda rng, build=build: exported(rng, build))
    REGISTRY.add("texts", "text-mixed", mixed)
    REGISTRY.add("texts", "text-bayes", bayes)
    REGISTRY.add("texts", "text-joined", joined)
