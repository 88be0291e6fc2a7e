"""The sentence every error speaks."""

from __future__ import annotations

import copyreg
import inspect

import pytest

from worldnets import errors
from worldnets.errors import (
    EvidenceError,
    FormatError,
    NetError,
    QueryError,
    StoreError,
    UnknownNameError,
    WorldnetsError,
    did_you_mean,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, WorldnetsError)]


def test_a_message_says_where_what_found_expected_and_the_mend_in_that_order():
    error = NetError(
        "a row does not sum to 1", found=0.9, expected="1", mend="fix it", file="a.bif", line=3, node="HR", row="(x=1)"
    )
    assert str(error) == (
        "a.bif, line 3, node 'HR', row (x=1): a row does not sum to 1; found 0.9; expected 1. Mend: fix it."
    )


def test_parts_that_do_not_apply_leave_no_trace():
    assert str(FormatError("empty")) == "empty."


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_prints_the_sentence_and_keeps_its_parts(kind):
    error = kind("wrong", found="x", mend="do y", node="v")
    assert str(error) == "node 'v': wrong; found x. Mend: do y."
    assert (error.what, error.found, error.mend, error.node) == ("wrong", "x", "do y", "v")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_to_another_process(kind):
    error = kind("wrong", found=[1, 2], mend="do y").at(file="f.bif", line=2)
    build, arguments = error.__reduce__()[:2]
    again = build(*arguments)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert copyreg  # the protocol that joblib's pickles speak


def test_at_adds_what_was_unknown_and_never_overwrites_what_was_known():
    error = NetError("wrong", node="v").at(file="f", node="other", row="r")
    assert (error.file, error.node, error.row) == ("f", "v", "r")
    assert str(error) == "f, node 'v', row r: wrong."


def test_errors_are_also_the_built_in_kind_a_caller_would_catch():
    for kind, builtin in [
        (NetError, ValueError),
        (FormatError, ValueError),
        (EvidenceError, ValueError),
        (QueryError, KeyError),
        (StoreError, OSError),
        (UnknownNameError, LookupError),
    ]:
        assert issubclass(kind, builtin)


def test_did_you_mean_names_the_nearest_or_lists_what_is_known():
    assert did_you_mean("lineer", ["linear", "mlp"]) == "did you mean 'linear'?"
    assert did_you_mean("xyz", ["linear", "mlp"]) == "known here: 'linear', 'mlp'"
    assert did_you_mean("x", []) == "known here: nothing"
    assert did_you_mean(1, ["1"]) in ("did you mean '1'?", "known here: '1'")
    assert did_you_mean("zzz", map(str, range(100))).endswith("…")


def test_a_message_stays_short_whatever_names_it_is_given():
    long = "x" * 10**6
    error = NetError(long, found=long, expected=[long], mend=long, node=long, row=long)
    assert len(str(error)) < 5000
    assert error.found == long
    assert len(did_you_mean(long, [long + "y"] * 20)) < 2000
    assert did_you_mean("lineer", ["linear", long]) == "did you mean 'linear'?"
