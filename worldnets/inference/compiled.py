"""How this package compiles its kernels: Numba, without the GIL, cached on disk where that is possible.

Threads are ordinary Python threads over kernels that release the GIL. Numba's own thread layers are not used: they
forbid forking, differ between machines, and their reductions change bits with the number of threads.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

# `fast` would let the compiler assume there is no NaN or infinity and compile the guards for impossible rows away.
SAFE_FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}
THREADS_VARIABLE = "WORLDNETS_THREADS"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a kernel; if no cache directory is writable it is compiled in every process, with one warning."""
    import numba

    options: dict[str, Any] = {"nogil": True, "fastmath": SAFE_FAST_MATH, "error_model": "numpy"}
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
