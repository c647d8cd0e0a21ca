r"""Train your own model with scikit-learn and export it: models/OWN_MODEL.md is the guide.

    python own_model.py --data DATA --out tests/cases/own

DATA is the folder that complete_journey.py wrote. Will a household order in the next 28 days? The
output folder gets the model, its name, recorded answers, and rows to ask about. Needs pandas,
scikit-learn, skl2onnx and onnxruntime, for example those of tests/cases/requirements.lock.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from onnx import numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HORIZON = pd.Timedelta(days=28)
TEST = pd.Timestamp("2017-12-03", tz="UTC")
# Training moments; the outcome of each ends before the test begins.
TRAINING = [TEST - HORIZON * n for n in range(1, 6)]
NUMBERS = ["days_since", "orders_28", "orders_84", "units_per_order"]
TEXTS = ["favourite"]


def households(events: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Return the features of each household at a moment, and whether it then orders."""
    past = events[events.moment < at]
    coming = events[(events.moment >= at) & (events.moment < at + HORIZON)]
    by_household = past.groupby("profile")
    orders = past.groupby(["profile", "order"]).moment.first()
    bought = past.groupby(["profile", "category"]).quantity.sum().reset_index()

    def recent(days: int) -> pd.Series:
        return orders[orders >= at - pd.Timedelta(days=days)].groupby("profile").size()

    table = pd.DataFrame(
        {
            "days_since": (at - by_household.moment.max()).dt.days,
            "orders_28": recent(28),
            "orders_84": recent(84),
            "units_per_order": by_household.quantity.sum() / orders.groupby("profile").size(),
            "favourite": bought.sort_values("quantity").groupby("profile").category.last(),
        }
    )
    table[NUMBERS] = table[NUMBERS].fillna(0).astype(np.float32)
    return table.assign(returns=table.index.isin(coming.profile))


def fit(table: pd.DataFrame) -> Pipeline:
    """Fit a pipeline over mixed columns."""
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS),
        ]
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=1_000))
    return model.fit(table[NUMBERS + TEXTS], table.returns.astype(int))


def export(model: Pipeline, out: Path) -> None:
    """Write the model as ONNX, each column a separate input, without the label and the map."""
    inputs = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    inputs += [(name, StringTensorType([None, 1])) for name in TEXTS]
    graph = to_onnx(model, initial_types=inputs, options={"zipmap": False}, target_opset=17)
    graph.graph.name = "returns"
    (out / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))


def record(rows: pd.DataFrame, out: Path) -> None:
    """Record onnxruntime's outputs: a pack with other outputs is not written."""
    session = onnxruntime.InferenceSession(out / "model.onnx")
    inputs = {name: rows[[name]].to_numpy(np.float32) for name in NUMBERS}
    inputs |= {name: rows[[name]].to_numpy(object) for name in TEXTS}
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    folder = out / "test_data_set_0"
    folder.mkdir(exist_ok=True)
    for side, tensors in (("input", inputs), ("output", outputs)):
        for n, (name, values) in enumerate(tensors.items()):
            tensor = numpy_helper.from_array(values, name)
            (folder / f"{side}_{n}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train and export your own model")
    parser.add_argument("--data", type=Path, required=True, help="what complete_journey.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    catalogue = pd.read_csv(arguments.data / "catalog.csv").set_index("sku")
    events = pd.read_csv(arguments.data / "events.csv")
    events["moment"] = pd.to_datetime(events["at"], unit="ms", utc=True)
    events["category"] = events.sku.map(catalogue.category)

    training = pd.concat([households(events, at) for at in TRAINING])
    test = households(events, TEST)
    model = fit(training)
    said = model.predict_proba(test[NUMBERS + TEXTS])[:, 1]
    print(f"{len(training):,} rows to learn from, {len(test):,} to judge on")
    print(f"AUC {roc_auc_score(test.returns, said):.3f}")
    print(f"AUC of days_since alone {roc_auc_score(test.returns, -test.days_since):.3f}")
    print(f"AUC of orders_84 alone {roc_auc_score(test.returns, test.orders_84):.3f}")

    export(model, out)
    record(test.sample(64, random_state=1), out)
    text = json.dumps({"name": "returns", "version": "1.0.0", "task": "infer"}, indent=2)
    (out / "pack.json").write_text(text + "\n", encoding="utf-8")
    test.sample(5, random_state=2)[NUMBERS + TEXTS].to_csv(out / "rows.csv", index=False)


if __name__ == "__main__":
    main()
