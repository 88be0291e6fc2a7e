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


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked slow where CI says so: every slow test has a smaller one of its kind beside it."""
    if os.environ.get("CI") and not config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
