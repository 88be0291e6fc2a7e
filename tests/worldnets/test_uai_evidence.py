"""UAI evidence files: both forms in use, and errors that say where."""

import pytest

from worldnets.errors import EvidenceError, FormatError
from worldnets.formats import read_evidence
from worldnets.net import FactorNet

NET = FactorNet({"0": ("0", "1"), "1": ("0", "1", "2"), "2": ("0", "1")}, ())


def read(tmp_path, text):
    path = tmp_path / "a.evid"
    path.write_text(text)
    return read_evidence(path, NET)


def test_one_row_as_in_2014_and_several_as_before(tmp_path):
    one = read(tmp_path, "2 1 2 0 1\n")
    assert one.to_dict("records") == [{"0": "1", "1": "2"}]
    two = read(tmp_path, "2\n1 1 2\n2 0 1 2 0\n")
    assert list(two.columns) == ["0", "1", "2"]
    assert two.fillna("-").to_numpy().tolist() == [["-", "2", "-"], ["1", "-", "0"]]
    counted = read(tmp_path, "1\n2 1 2 0 1\n")
    assert counted.to_dict("records") == one.to_dict("records")


@pytest.mark.parametrize("text", ["0", "0\n", "", "1\n0\n"])
def test_no_evidence_is_one_row_that_observes_nothing(tmp_path, text):
    assert read(tmp_path, text).shape == (1, 0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1 7 0", EvidenceError, r"a\.evid, line 1: unknown variable; found 7.*0 to 2"),
        ("1\n1\n1 3", EvidenceError, r"line 3, node '1': unknown state; found 3.*0 to 2"),
        ("2 0 1 0 0", EvidenceError, "node '0': a variable observed twice"),
        ("2 0", FormatError, "ends too early"),
        ("x", FormatError, "not a whole number"),
        ("2\n1 0 0\n1 0 0\n5", FormatError, "text after the last row"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, text)
