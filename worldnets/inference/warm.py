"""Compile the kernels once, when the project is installed, so that no first query waits for it.

    python -m worldnets.inference.warm

Compiled code is kept by Numba in the package's `__pycache__`, or where NUMBA_CACHE_DIR says.
"""

from __future__ import annotations

import numpy as np

from worldnets.inference import Inference, TemporalInference, encode, expected_counts, simulate, vjp
from worldnets.inference.answer import FEW_ROWS
from worldnets.inference.compiled import forget_other_kernels
from worldnets.inference.labels import FACTORISED_ROWS
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet


def warm() -> None:
    """Call every kernel with every combination of types that the engine calls it with."""
    import pandas as pd

    net = WorldNet({"a": ("x", "y"), "b": ("x", "y")}, {"b": ("a",)}, {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.1, 0.9]]})
    labels = ["x", "y", None] * FACTORISED_ROWS
    for dtype in ("object", "str"):
        encode(net, pd.DataFrame({"a": pd.Series(labels, dtype=dtype)}))
    codes = simulate(net, 2, seed=0)
    mixed = np.array([[0, -1], [-1, 1]], dtype=np.int16)
    for dtype in ("float64", "float32"):
        engine = Inference(net, dtype=dtype, threads=1)
        for rows in (codes, mixed):
            engine.query(rows)  # row by row
            engine.query(np.tile(rows, (FEW_ROWS, 1)))  # by a shared plan
            engine.sample_codes(rows, draws=1)
            engine.map(rows)
            engine.max_marginals(rows)
            cotangents = {v: np.ones((len(rows), 2)) for v in net.variables}
            for per_row in (False, True):
                vjp(engine, rows, cotangents, per_row=per_row)
            expected_counts(engine, rows)
    over_time = TwoSliceNet(net, {"a": ("a[t-1]",), "b": ("a",)}, {"a": [[0.9, 0.1], [0.1, 0.9]], "b": net.cpt("b")})
    TemporalInference(over_time, threads=1).expected_counts(np.zeros((2, 2, 2), dtype=np.int16))


if __name__ == "__main__":
    warm()
    forget_other_kernels()
