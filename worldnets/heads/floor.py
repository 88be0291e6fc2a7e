"""The smallest probability a head may give: where arithmetic or a model says never, a loss stays finite."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-9  # 30 bits: no run here sees enough clips to tell such a probability from a smaller one


def floored(log_p: NDArray[np.floating]) -> NDArray[np.float64]:
    """ln q ∝ max(ln p, ln FLOOR), normalised over the last axis; rows without any probability become uniform.

    Args:
        log_p: nats, [..., outcomes]; −∞ where impossible; need not be normalised where all is −∞.
    Returns:
        float64, the shape of `log_p`; finite, but NaN in rows that hold NaN.
    """
    raised = np.maximum(np.asarray(log_p, dtype=np.float64), math.log(FLOOR))
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return raised - np.logaddexp.reduce(raised, axis=-1, keepdims=True)
