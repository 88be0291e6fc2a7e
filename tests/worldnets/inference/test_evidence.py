"""Labels to codes and back, whatever way pandas stores them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from worldnets.errors import EvidenceError
from worldnets.inference import UNOBSERVED, decode, encode
from worldnets.net import WorldNet

NET = WorldNet(
    {"text": ("low", "high", "higher"), "number": (0, 1), "truth": (False, True), "mixed": ("1", 1)},
    {},
    {"text": [0.2, 0.3, 0.5], "number": [0.5, 0.5], "truth": [0.5, 0.5], "mixed": [0.5, 0.5]},
)


@pytest.mark.parametrize("dtype", ["category", "object", "str", "string", pd.StringDtype("python")])
def test_text_columns_of_every_storage_give_the_same_codes(dtype):
    column = pd.Series(["high", None, "low", "higher", "high"]).astype(dtype)
    codes = encode(NET, pd.DataFrame({"text": column}))
    assert codes[:, 0].tolist() == [1, -1, 0, 2, 1]
    assert (codes[:, 1:] == UNOBSERVED).all()


def test_arrow_columns_in_slices_and_chunks_are_read_where_they_begin():
    whole = pd.Series(["low", "high", None, "higher", "low", "high", None, "higher", "low", "high"])
    column = pd.concat([whole.iloc[1:4], whole.iloc[5:]])
    assert encode(NET, column.to_frame("text"))[:, 0].tolist() == [1, -1, 2, 1, -1, 2, 0, 1]
    typed = pd.Series(pa.chunked_array([["low"], ["high", None]]), dtype=pd.ArrowDtype(pa.string()))
    assert encode(NET, typed.to_frame("text"))[:, 0].tolist() == [0, 1, -1]


def test_labels_match_by_value_and_never_across_kinds():
    frame = pd.DataFrame({"number": [1.0, 0.0, np.nan], "truth": [1, 0, pd.NA]})
    assert encode(NET, frame)[:, 1:3].tolist() == [[1, 1], [0, 0], [-1, -1]]
    assert encode(NET, pd.DataFrame({"mixed": ["1", 1, 1.0, None]}))[:, 3].tolist() == [0, 1, 1, -1]
    with pytest.raises(EvidenceError, match="unknown state") as caught:
        encode(NET, pd.DataFrame({"number": [0, "1"]}, index=["first", "second"]))
    assert "second" in str(caught.value)
    assert "'1'" in str(caught.value)


def test_more_distinct_objects_than_are_tracked_still_give_the_right_codes():
    labels = ["".join(["hi", "gh"]) for _ in range(500)]  # equal texts, different objects
    frame = pd.DataFrame({"text": np.array(labels, dtype=object)})
    assert (encode(NET, frame)[:, 0] == 1).all()


def test_an_unused_category_is_no_error_and_an_unknown_label_names_its_row():
    column = pd.Categorical(["low", None], categories=["low", "unheard of"])
    assert encode(NET, pd.DataFrame({"text": column}))[:, 0].tolist() == [0, -1]
    for dtype in ("category", "object", "str"):
        column = pd.Series(["low", "hihg"], index=[10, 20]).astype(dtype)
        with pytest.raises(EvidenceError, match=r"row 20.*did you mean 'high'"):
            encode(NET, pd.DataFrame({"text": column}))


def test_unknown_and_repeated_columns_and_other_things_are_refused():
    with pytest.raises(EvidenceError, match="unknown variable"):
        encode(NET, pd.DataFrame({"txt": ["low"]}))
    twice = pd.DataFrame([["low", "low"]], columns=["text", "text"])
    with pytest.raises(EvidenceError, match="twice"):
        encode(NET, twice)
    with pytest.raises(EvidenceError, match="DataFrame"):
        encode(NET, {"text": "low"})


def test_a_list_as_a_label_is_an_unknown_state():
    frame = pd.DataFrame({"text": pd.Series([["low"]], dtype=object)})
    with pytest.raises(EvidenceError, match="unknown state"):
        encode(NET, frame)


def test_decoding_turns_codes_back_into_the_labels_they_came_from():
    codes = np.array([[0, 1, 1, 1], [-1, 0, -1, 0], [2, -1, 0, -1]], np.int16)
    frame = decode(NET, codes)
    assert (encode(NET, frame) == codes).all()
    assert frame["text"].tolist() == ["low", np.nan, "higher"]
    assert list(decode(NET, codes, ["truth"]).columns) == ["truth"]
