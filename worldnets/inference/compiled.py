"""How this package compiles its kernels: Numba, without the GIL, cached on disk where that is possible.

Threads are ordinary Python threads over kernels that release the GIL. Numba's own thread layers are not used: they
forbid forking, differ between machines, and their reductions change bits with the number of threads.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_plain = threading.local()
_plain_lock = threading.Lock()
_interpreted: dict[str, ModuleType] = {}
_CACHE = "kernels-"
THREADS_VARIABLE = "WORLDNETS_THREADS"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a kernel; if no cache directory is writable it is compiled in every process, with one warning."""
    if getattr(_plain, "wanted", False):
        return function
    import numba

    # No fast-math flag: sums run over cells, never over the vectorised rows, so reordering would gain nothing, and
    # exactly these operations in exactly this order is what gives the interpreted source the same bits.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    config: Any = numba.config
    usual = config.CACHE_DIR
    try:
        config.CACHE_DIR = _cache_folder(usual) or usual
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        warnings.warn(
            "no writable place for compiled kernels: each process compiles them anew (set NUMBA_CACHE_DIR to mend)",
            RuntimeWarning,
            stacklevel=2,
        )
        return numba.njit(**options)(function)
    finally:
        config.CACHE_DIR = usual


@functools.cache
def _cache_folder(usual: str) -> str | None:
    """Where compiled kernels are kept: by the content of all sources, because kernels are compiled into each other.

    Numba itself looks at one file's date, and would go on using code from a file that another version has replaced.
    """
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    kernels = b"".join(source for source in sources if b"@compiled" in source)
    digest = hashlib.sha256(kernels).hexdigest()[:16]
    folder = Path(usual or Path(__file__).parent / "__pycache__") / f"{_CACHE}{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def nothing_compiled() -> bool:
    """Whether no process has compiled a kernel for this installation yet, or none could keep it."""
    import numba

    config: Any = numba.config
    folder = _cache_folder(config.CACHE_DIR)
    return folder is None or next(Path(folder).rglob("*.nbi"), None) is None


def forget_other_kernels() -> None:
    """Remove compiled code of sources that this installation no longer has."""
    import numba

    config: Any = numba.config
    mine = _cache_folder(config.CACHE_DIR)
    if mine is not None:
        for folder in Path(mine).parent.glob(f"{_CACHE}*"):
            if folder != Path(mine):
                shutil.rmtree(folder, ignore_errors=True)


def available_threads() -> int:
    """Threads to use when nobody says: `WORLDNETS_THREADS`, else the processors this process may run on."""
    asked = os.environ.get(THREADS_VARIABLE, "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def interpreted(name: str, *needs: str) -> ModuleType:
    """A module of kernels once more, its functions left as the plain Python they are written in: the same bits.

    For the first small questions of a process, which are answered sooner than a compiler can be loaded.

    Args:
        name: the module.
        needs: the modules of kernels that it imports, innermost first; it gets their plain form.
    """
    with _plain_lock:
        for one in (*needs, name):
            if one not in _interpreted:
                _interpreted[one] = _executed_plainly(
                    one, {need: _interpreted[need] for need in needs if need in _interpreted}
                )
    return _interpreted[name]


def _executed_plainly(name: str, needs: dict[str, ModuleType]) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    absent = [need for need in needs if need not in sys.modules]
    kept = {need: sys.modules[need] for need in needs if need in sys.modules}
    _plain.wanted = True
    try:
        sys.modules.update(needs)
        spec.loader.exec_module(module)
    finally:
        _plain.wanted = False
        sys.modules.update(kept)
        for need in absent:
            sys.modules.pop(need, None)
    return module
