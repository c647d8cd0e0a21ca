"""A native competitor: onnxruntime, LightGBM or XGBoost, on one thread. `../src/worker.rs` has the protocol.

Each is imported where it is used: its process loads no other library, and no other's threads.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Answer = dict[str, Any]
Run = Callable[[], list[np.ndarray]]


def tensor(entry: Answer) -> np.ndarray:
    """An input: the first rows of its file."""
    dtype = {"f32": "<f4", "i64": "<i8"}[entry["type"]]
    return np.fromfile(entry["file"], dtype, math.prod(entry["shape"])).reshape(entry["shape"])


def onnxruntime(case: Answer) -> Run:
    """onnxruntime's CPU provider with its default optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(case["onnx"], options, providers=["CPUExecutionProvider"])
    feed = {entry["name"]: tensor(entry) for entry in case["inputs"]}
    return lambda: session.run(None, feed)


def lightgbm(case: Answer) -> Run:
    """The booster that was exported."""
    import lightgbm

    booster = lightgbm.Booster(model_file=case["native"])
    x = tensor(case["inputs"][0])
    return lambda: [booster.predict(x, num_threads=1)]


def xgboost(case: Answer) -> Run:
    """The booster that was exported."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(Path(case["native"]).read_bytes()))
    x = tensor(case["inputs"][0])
    return lambda: [booster.inplace_predict(x)]


def prepare(competitor: str, case: Answer) -> tuple[Answer, Run | None]:
    """Opens a model and answers once."""
    try:
        run = {"onnxruntime": onnxruntime, "lightgbm": lightgbm, "xgboost": xgboost}[competitor](case)
        outputs = [np.asarray(output).ravel().tolist() for output in run()]
    except Exception as error:  # whatever it is, the others go on
        return {"refused": str(error)}, None
    return {"ready": {"outputs": outputs, "phases": []}}, run


def main() -> None:
    """Answers until its input ends."""
    cases: dict[str, Run] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if case := question.get("prepare"):
            answer, run = prepare(sys.argv[1], case)
            if run:
                cases[case["name"]] = run
        else:
            run = cases[question["run"]["case"]]
            start = time.perf_counter_ns()
            for _ in range(question["run"]["iterations"]):
                run()
            answer = {"nanoseconds": time.perf_counter_ns() - start}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
