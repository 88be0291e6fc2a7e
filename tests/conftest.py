"""Settings every test runs under: no display, no accelerator, the same hypothesis examples each time."""

import os
from pathlib import Path

# Before anything imports matplotlib or JAX.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests.environments import ROOT, build, unpacked

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


@pytest.fixture(scope="session")
def archives(tmp_path_factory):
    """Where archives are built: one folder for all processes of a session, so that each is built once."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "archives"
    folder.mkdir(exist_ok=True)
    return folder


def _once(folder, kind, make):
    with FileLock(folder / f"{kind}.lock"):
        if not (folder / kind).exists():
            (folder / f"{kind}.begun").mkdir()
            make(folder / f"{kind}.begun")
            (folder / f"{kind}.begun").rename(folder / kind)
    (built,) = (folder / kind).iterdir()
    return built


@pytest.fixture(scope="session")
def sdist(archives) -> Path:
    """The source archive."""
    return _once(archives, "sdist", lambda out: build("sdist", ROOT, out))


@pytest.fixture(scope="session")
def wheel(archives, sdist, tmp_path_factory) -> Path:
    """The wheel as an installer without a checkout makes it: from the source archive."""
    return _once(archives, "wheel", lambda out: build("wheel", unpacked(sdist, tmp_path_factory.mktemp("source")), out))
