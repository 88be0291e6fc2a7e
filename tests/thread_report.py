"""What a worker process keeps to; stands alone, for workers import it by itself."""

import time


def threads():
    """In a worker: how many threads each library takes, and how much processor time XLA takes of the time it had."""
    import jax.numpy as jnp
    import numba
    import numpy as np
    from threadpoolctl import threadpool_info

    from worldnets.inference.compiled import available_threads

    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    square = jnp.asarray(np.random.default_rng(0).normal(size=(1500, 1500)), dtype="float32")
    (square @ square).block_until_ready()
    before, begun = time.process_time(), time.perf_counter()
    for _ in range(3):
        (square @ square).block_until_ready()
    xla = (time.process_time() - before) / (time.perf_counter() - begun)
    return {"numba": numba.get_num_threads(), "blas": blas, "ours": available_threads(), "xla": xla}
