"""How this package compiles its kernels: Numba, without the GIL, cached on disk where that is possible.

Threads are ordinary Python threads over kernels that release the GIL. Numba's own thread layers are not used: they
forbid forking, differ between machines, and their reductions change bits with the number of threads.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

THREADS_VARIABLE = "WORLDNETS_THREADS"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a kernel; if no cache directory is writable it is compiled in every process, with one warning."""
    import numba

    # No fast-math flag: sums run over cells, never over the vectorised rows, so reordering would gain nothing, and
    # exactly these operations in exactly this order is what lets the plain NumPy walk return the same bits.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        warnings.warn(
            "no writable place for compiled kernels: each process compiles them anew (set NUMBA_CACHE_DIR to mend)",
            RuntimeWarning,
            stacklevel=2,
        )
        return numba.njit(**options)(function)


def available_threads() -> int:
    """Threads to use when nobody says: `WORLDNETS_THREADS`, else the processors this process may run on."""
    asked = os.environ.get(THREADS_VARIABLE, "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
