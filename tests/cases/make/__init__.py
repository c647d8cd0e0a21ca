"""Makes the corpus of ONNX cases: `python -m make` in `tests/cases`."""

import os

# One thread, so that fitting adds in the same order everywhere; set before numpy is loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
