"""The picture of the README is drawn from the tables of the suite that it names, and from nothing else."""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def pictures(benchmark):
    return benchmark("pictures")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_that_is_kept_shows_what_the_tables_say(pictures, scheme):
    kept = (KEPT / f"{pictures.NAME}-{scheme}.svg").read_text(encoding="utf-8")
    (said,) = re.findall(r"<dc:description>(.*?)</dc:description>", kept, flags=re.DOTALL)
    assert html.unescape(said) == pictures.in_words()
    for panel in pictures.PANELS:
        assert panel.heading in html.unescape(kept)
        for head in panel.names:
            assert f"{head}: {pictures.verdict(panel, head)}" in kept


def test_the_same_tables_give_the_same_bytes_and_every_ground_its_own(pictures):
    light = pictures.drawn("light")
    assert light == pictures.drawn("light")
    assert light != pictures.drawn("dark")
    assert len(light) < 64_000


def test_a_condition_that_the_tables_lack_is_said(pictures):
    panel = pictures.Panel("vault", "question", "treasure", "", {})
    with pytest.raises(SystemExit, match="make low_end"):
        pictures.curve(panel, "mlp")
