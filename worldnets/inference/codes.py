"""Code arrays: how evidence is written inside.

A *code array* is `int16 [rows, variables]` in the column order of `net.variables`: the position of the observed state,
or `UNOBSERVED`. People write tables of labels; everything inside passes code arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int16]
UNOBSERVED = -1
UNKNOWN = -2  # a label that is no state: never leaves the decoder
