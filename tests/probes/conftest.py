import pytest

from tests.fake_cells import FAKE


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes `fake_measure:measure` importable, here and in workers; returns what has been measured so far."""
    (tmp_path / "fake_measure.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MEASURED", str(tmp_path / "measured.txt"))
    return lambda: (tmp_path / "measured.txt").read_text().splitlines() if (tmp_path / "measured.txt").exists() else []
