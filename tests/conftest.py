"""Settings every test runs under: no display, no accelerator, the same hypothesis examples each time."""

import os

# Before anything imports matplotlib or JAX.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code: the first call of a compiled kernel takes seconds on a cold cache.
settings.register_profile(
    "house", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
