"""UAI evidence files: both forms in use, exact round trips, and errors that say where."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import factor_nets, world_nets
from worldnets.errors import EvidenceError, FormatError, StoreError
from worldnets.formats import read_evidence, write_evidence
from worldnets.net import FactorNet

NET = FactorNet({"0": ("0", "1"), "1": ("0", "1", "2"), "2": ("0", "1")}, ())


def read(tmp_path, text):
    path = tmp_path / "a.evid"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_evidence(path, NET)


def rows(frame):
    """Each row as the labels it observes; what is missing is left out."""
    return [{v: label for v, label in row.items() if not pd.isna(label)} for row in frame.to_dict("records")]


def test_one_row_as_in_2014_and_several_as_before(tmp_path):
    one = read(tmp_path, "2 1 2 0 1\n")
    assert one.to_dict("records") == [{"0": "1", "1": "2"}]
    two = read(tmp_path, "2\n1 1 2\n2 0 1 2 0\n")
    assert list(two.columns) == ["0", "1", "2"]
    assert two.fillna("-").to_numpy().tolist() == [["-", "2", "-"], ["1", "-", "0"]]
    counted = read(tmp_path, "1\n2 1 2 0 1\n")
    assert counted.to_dict("records") == one.to_dict("records")


@pytest.mark.parametrize("text", ["0", "0\n", "", "1\n0\n", " \n", "\ufeff", "\ufeff0", "# nothing seen\n", "\r\n"])
def test_no_evidence_is_one_row_that_observes_nothing(tmp_path, text):
    assert read(tmp_path, text).shape == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "2 1 2 0 1 \r\n",
        "2\t1 2\t0 1",
        "2\n1 2\n0 1\n",
        "\n\n2  1 2\n\n 0 1\n\n",
        "1\r\n2 1 2 0 1\r\n",
        "1\r2 1 2 0 1\r",
        "1 2 1 2 0 1",
        "1 # row\n2 1 2 0 1 # two observed\n",
        "\ufeff2 1 2 0 1",
    ],
)
def test_white_space_line_ends_marks_and_comments_make_no_difference(tmp_path, text):
    assert rows(read(tmp_path, text)) == [{"0": "1", "1": "2"}]


def test_where_both_forms_would_fit_the_line_breaks_decide(tmp_path):
    # Two rows, or two observed variables of one row: five numbers either way.
    assert rows(read(tmp_path, "2\n0\n1 2 0\n")) == [{}, {"2": "0"}]
    assert rows(read(tmp_path, "2 0 1 2 0\n")) == [{"0": "1", "2": "0"}]
    assert rows(read(tmp_path, "2\n0 1\n2 0\n")) == [{"0": "1", "2": "0"}]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1 7 0", EvidenceError, r"a\.evid, line 1: unknown variable; found 7.*0 to 2"),
        ("1\n1\n1 3", EvidenceError, r"line 3, node '1': unknown state; found 3.*0 to 2"),
        ("2 0 1 0 0", EvidenceError, "node '0': a variable observed twice"),
        ("2 0", FormatError, "ends too early"),
        ("3\n1 0 0\n0\n", FormatError, "line 3: the file ends too early"),
        ("x", FormatError, "not a whole number"),
        ("2 0 x 1 0", FormatError, "line 1, node '0': a state is not a whole number; found 'x'"),
        ("2 0 -1 1 0", FormatError, "not a whole number; found '-1'"),
        ("2\n1 0 0\n1 0 0\n5", FormatError, "line 4: text after the last row"),
        ("999999999999 0 0", FormatError, "too large; found 999999999999"),
        ("1\n999999999999 0 0", FormatError, "ends too early"),
        (b"1 0 \xff", FormatError, "not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, error, message):
    with pytest.raises(error, match=message) as caught:
        read(tmp_path, text)
    assert caught.value.file == str(tmp_path / "a.evid")
    assert caught.value.mend


@st.composite
def observed(draw, net):
    """A table of evidence with at least one row; columns in any order, whole rows and columns may be missing."""
    variables = draw(st.lists(st.sampled_from(net.variables), unique=True))
    n = draw(st.integers(1, 4))
    columns = {v: draw(st.lists(st.sampled_from([None, *net.states[v]]), min_size=n, max_size=n)) for v in variables}
    return pd.DataFrame(columns, index=range(10, 10 + n), dtype=object)


TEXTS = st.text(max_size=4)


@given(data=st.data())
@settings(max_examples=150)
def test_evidence_written_and_read_back_is_the_same_in_both_forms(tmp_path_factory, data):
    kinds = [world_nets(max_variables=5), factor_nets(), world_nets(names=TEXTS.filter(bool), labels=TEXTS)]
    net = data.draw(data.draw(st.sampled_from(kinds)))
    frame = data.draw(observed(net))
    path = tmp_path_factory.getbasetemp() / ("e.evid.gz" if data.draw(st.booleans()) else "e.evid")
    forms = [None, True] if len(frame) > 1 else [None, True, False]
    for counted in forms:
        write_evidence(frame, path, net, counted=counted)
        again = read_evidence(path, net)
        assert rows(again) == rows(frame)
        assert list(again.columns) == [v for v in net.variables if v in frame and frame[v].notna().any()]
        assert list(again.index) == list(range(len(frame)))


def test_the_two_forms_are_written_as_the_competitions_did(tmp_path):
    path = tmp_path / "a.evid"
    one = pd.DataFrame({"1": ["2"], "0": ["1"], "2": [None]})
    write_evidence(one, path, NET)
    assert path.read_text() == "2 0 1 1 2\n"
    write_evidence(one, path, NET, counted=True)
    assert path.read_text() == "1\n2 0 1 1 2\n"
    write_evidence(pd.DataFrame(index=[0, 1]), path, NET)
    assert path.read_text() == "2\n0\n0\n"
    write_evidence(one, tmp_path / "a.evid.GZ", NET)
    assert gzip.decompress((tmp_path / "a.evid.GZ").read_bytes()) == b"2 0 1 1 2\n"


def test_categories_numbers_and_every_kind_of_missing_value_are_written(tmp_path):
    net = FactorNet({"a": (0, 1), "b": ("x", "y"), "c": (True, False)}, ())
    frame = pd.DataFrame(
        {"a": [1.0, np.nan, 0], "b": pd.Categorical(["y", None, "x"]), "c": [True, pd.NA, None]}, dtype=object
    )
    write_evidence(frame, tmp_path / "a.evid", net)
    assert (tmp_path / "a.evid").read_text() == "3\n3 0 1 1 1 2 0\n0\n2 0 0 1 0\n"


@pytest.mark.parametrize(
    ("frame", "counted", "message"),
    [
        (pd.DataFrame({"0": []}), None, "cannot hold a table without rows"),
        (pd.DataFrame({"0": ["0", "1"]}), False, "holds one row; found 2"),
        (pd.DataFrame({"z": ["0"]}), None, "unknown variable; found 'z'"),
        (pd.DataFrame({"1": ["0", "7"]}, index=["a", "b"]), None, "node '1', row b: unknown state; found '7'"),
        (pd.DataFrame([["0", "1"]], columns=["0", "0"]), None, "node '0': a column stands twice"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path, frame, counted, message):
    with pytest.raises(EvidenceError, match=message) as caught:
        write_evidence(frame, tmp_path / "a.evid", NET, counted=counted)
    assert caught.value.mend
    assert list(tmp_path.iterdir()) == []


def test_evidence_that_cannot_be_stored_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="cannot write"):
        write_evidence(pd.DataFrame({"0": ["0"]}), tmp_path / "missing" / "a.evid", NET)
