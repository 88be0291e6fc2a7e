import shutil

import pytest

from tests import thread_report
from tests.fake_cells import FAKE


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes `fake_measure:measure` importable, here and in workers; returns what has been measured so far."""
    (tmp_path / "fake_measure.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MEASURED", str(tmp_path / "measured.txt"))
    return lambda: (tmp_path / "measured.txt").read_text().splitlines() if (tmp_path / "measured.txt").exists() else []


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """Makes `thread_report` importable, here and in workers."""
    shutil.copy(thread_report.__file__, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
