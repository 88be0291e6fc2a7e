"""Rows over threads: plain Python threads, because kernels release the interpreter lock."""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray


def over_rows(threads: int, rows: int, per_call: int, step: int, work: Callable[[int, int], None]) -> None:
    """Call `work(first, last)` on slices of `rows` rows, over the calling thread and `threads` − 1 others.

    Args:
        per_call: rows a call may take at most; calls stay well under a second, so that Ctrl-C is heard.
        step: slices begin at multiples of it.
    """
    if rows == 0:
        return
    steps = math.ceil(rows / step)
    threads = min(threads, steps)
    per_call = step * max(1, min(per_call // step, math.ceil(steps / threads)))
    starts = iter(range(0, rows, per_call))
    turn = threading.Lock()

    def take_turns() -> None:
        nonlocal starts
        try:
            while True:
                with turn:
                    first = next(starts, None)
                if first is None:
                    return
                work(first, min(first + per_call, rows))
        except BaseException:  # an error, or Ctrl-C: nobody begins another slice
            with turn:
                starts = iter(range(0))
            raise

    others = [_pool(threads).submit(take_turns) for _ in range(threads - 1)] if rows > per_call else []
    try:
        take_turns()
    finally:
        for other in others:
            other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads outlive engines: starting one costs as much as many rows, and so does memory it touches first."""
    return ThreadPoolExecutor(threads, thread_name_prefix="worldnets")


_mine = threading.local()


def working_memory(size: int, dtype: Any) -> NDArray[Any]:
    """At least `size` numbers that this thread may write into until it asks again; contents are what was left there."""
    kept: NDArray[np.uint8] | None = getattr(_mine, "memory", None)
    needed = size * np.dtype(dtype).itemsize
    if kept is None or len(kept) < needed:
        kept = np.empty(needed + CACHE_LINE, dtype=np.uint8)
        # Vectors that lie across two cache lines take twice as long.
        kept = kept[-kept.ctypes.data % CACHE_LINE :]
        if needed <= KEPT_BYTES:
            _mine.memory = kept
    return kept[:needed].view(dtype)


KEPT_BYTES = 2**26  # of working memory that a thread holds on to
CACHE_LINE = 64

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has the pool but not its threads
