"""Matrix products run on one thread while work is spread over threads of ours: two layers fight for processors."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any


@functools.cache
def _controller() -> Any:
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limits BLAS to one thread, in the whole process, until the context ends."""
    return _controller().limit(limits=1, user_api="blas")
