"""Rows over threads: plain Python threads, because kernels release the interpreter lock."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Workers:
    """A pool of threads, made when first needed.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def over(self, rows: int, per_call: int, step: int, work: Callable[[int, int], None]) -> None:
        """Call `work(first, last)` on slices of `rows` rows.

        Args:
            per_call: rows a call may take at most; calls stay well under a second, so that Ctrl-C is heard.
            step: slices begin at multiples of it.
        """
        if rows == 0:
            return
        threads = min(self.threads, math.ceil(rows / step))
        per_call = max(step, min(per_call, math.ceil(rows / threads)) // step * step)
        slices = [(first, min(first + per_call, rows)) for first in range(0, rows, per_call)]
        if threads == 1 or len(slices) == 1:
            for one in slices:
                work(*one)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="worldnets")
        for done in [self._pool.submit(work, *one) for one in slices]:
            done.result()
