"""Bits on rows held out: against brute force, with what is missing, impossible or never seen."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import world_nets
from tests.worldnets.learning.oracle import brute_bits, latent_class, observed
from worldnets.errors import EvidenceError, LearningError
from worldnets.inference import decode, simulate
from worldnets.learning import HeldOut, Rows, dirichlet, expectation_maximisation, held_out_bits, maximum_likelihood
from worldnets.learning.learned import bits_per_row
from worldnets.net import WorldNet

COIN = WorldNet({"a": ("h", "t"), "b": ("h", "t")}, {"b": ("a",)}, {"a": [0.5, 0.5], "b": [[1, 0], [0.5, 0.5]]})


@settings(max_examples=40)
@given(world_nets(max_variables=5, max_cardinality=3), st.integers(0, 2**20), st.booleans())
def test_bits_of_a_row_are_those_of_enumeration_whatever_is_missing(net, seed, complete):
    random = np.random.default_rng(seed)
    codes = random.integers(0, net.cardinalities, (6, len(net.variables))).astype(np.int16)
    if not complete:
        codes[random.random(codes.shape) < 0.4] = -1
    np.testing.assert_allclose(bits_per_row(net, codes), brute_bits(net, codes), rtol=1e-9, atol=1e-9)


def test_the_mean_and_its_standard_error_are_the_samples():
    net = latent_class(0)
    rows = observed(net, 300, 1)
    bits = brute_bits(net, rows.codes_in(net))
    found = held_out_bits(net, rows)
    assert found.bits == pytest.approx(bits.mean())
    assert found.standard_error == pytest.approx(bits.std(ddof=1) / math.sqrt(300))
    assert (found.rows, found.impossible) == (300, 0)
    assert not found.infinite


def test_the_standard_error_is_the_spread_of_means_over_samples():
    net = latent_class(1, variables=3)
    found = [held_out_bits(net, observed(net, 200, seed)) for seed in range(200)]
    spread = np.std([one.bits for one in found], ddof=1)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.15)


def test_weights_count_rows_and_rows_of_weight_zero_do_not_count():
    rows = Rows({"a": ("h", "t")}, [[0], [1]], [3.0, 1.0])
    net = WorldNet({"a": ("h", "t")}, {}, {"a": [0.5, 0.5]})
    assert held_out_bits(net, rows).bits == 1.0
    skewed = WorldNet({"a": ("h", "t")}, {}, {"a": [0.25, 0.75]})
    assert held_out_bits(skewed, rows).bits == pytest.approx((3 * 2 - math.log2(0.75)) / 4)
    assert held_out_bits(skewed, Rows(rows.states, rows.codes, [0.0, 1.0])).bits == pytest.approx(-math.log2(0.75))


def test_impossible_rows_are_counted_and_left_out_and_shown():
    table = pd.DataFrame({"a": ["h", "h", "t"], "b": ["h", "t", "t"]})
    found = held_out_bits(COIN, table)
    assert (found.rows, found.impossible) == (3, 1)
    assert found.bits == pytest.approx((1 + 2) / 2)
    assert found.infinite
    assert "1 of them impossible and left out" in repr(found)


def test_rows_that_are_all_impossible_have_no_mean():
    found = held_out_bits(COIN, pd.DataFrame({"a": ["h"], "b": ["t"]}))
    assert math.isnan(found.bits)
    assert found.impossible == found.rows == 1


def test_one_row_has_bits_and_no_standard_error():
    found = held_out_bits(COIN, pd.DataFrame({"a": ["h"], "b": ["h"]}))
    assert found.bits == 1.0
    assert math.isnan(found.standard_error)


def test_a_label_the_model_never_saw_is_refused_or_makes_its_row_impossible():
    table = pd.DataFrame({"a": ["h", "x", "t"]})
    for data in (table, Rows.from_labels(table)):
        with pytest.raises(EvidenceError, match=r"node 'a', row 1: .*found 'x'"):
            held_out_bits(COIN, data)
        found = held_out_bits(COIN, data, unseen="impossible")
        assert (found.bits, found.rows, found.impossible) == (1.0, 3, 1)
    with pytest.raises(LearningError, match="unseen states"):
        held_out_bits(COIN, table, unseen="ignore")  # type: ignore[arg-type]


def test_a_column_the_model_lacks_and_no_rows_are_refused():
    with pytest.raises(EvidenceError, match="unknown variable; found 'c'"):
        held_out_bits(COIN, pd.DataFrame({"a": ["h"], "c": ["h"]}))
    with pytest.raises(LearningError, match="no rows"):
        held_out_bits(COIN, pd.DataFrame({"a": []}))


def test_held_out_bits_print_and_become_a_table():
    found = HeldOut(1.5, 0.25, 10)
    assert repr(found) == "HeldOut(1.5000 ± 0.2500 bits per clip over 10 rows)"
    assert found.to_pandas().iloc[0].to_dict() == {"bits": 1.5, "standard_error": 0.25, "rows": 10.0, "impossible": 0.0}


def test_a_share_is_kept_back_and_not_learned_from():
    rows = Rows(COIN.states, simulate(COIN, 100, 0))
    learned = maximum_likelihood(rows, COIN, held_out=0.3, seed=5)
    kept, back = rows.split(0.3, seed=5)
    assert learned.rows == 70
    np.testing.assert_array_equal(learned.net.cpt("b"), maximum_likelihood(kept, COIN).net.cpt("b"))
    assert learned.held_out == held_out_bits(learned.net, back)


def test_an_update_measures_again_on_the_same_rows():
    table = decode(COIN, simulate(COIN, 300, 0))
    learned = dirichlet(table[:100], COIN, held_out=table[200:])
    after = learned.update(table[100:200])
    assert after.held_out == held_out_bits(after.net, table[200:])
    assert after.held_out != learned.held_out
    assert maximum_likelihood(table, COIN).update(table).held_out is None


def test_an_update_with_a_state_never_seen_is_refused():
    learned = dirichlet(pd.DataFrame({"a": ["x", "y"]}), {})
    for more in (pd.DataFrame({"a": ["z"]}), Rows({"a": ("x", "z")}, [[0], [1]])):
        with pytest.raises(EvidenceError, match="found 'z'"):
            learned.update(more)
    with pytest.raises(EvidenceError, match="unknown variable"):
        learned.update(pd.DataFrame({"c": ["x"]}))


def test_held_out_rows_with_a_state_never_seen_in_training_say_how_to_mend_it():
    with pytest.raises(EvidenceError, match=r"states=\{'a': \[labels\]\}, and smooth"):
        dirichlet(pd.DataFrame({"a": ["x", "y"]}), {}, held_out=pd.DataFrame({"a": ["z"]}))


def test_what_was_learned_prints_becomes_a_table_and_travels():
    net = latent_class(2, variables=3)
    learned = expectation_maximisation(observed(net, 200, 0), net, restarts=2, held_out=0.2)
    again = pickle.loads(pickle.dumps(learned))
    np.testing.assert_array_equal(again.net.cpt("x0"), learned.net.cpt("x0"))
    table = learned.to_pandas()
    assert table["kept"].sum() == 1
    assert table.loc[table["kept"], "bits"].item() == pytest.approx(learned.bits)
    assert repr(learned).startswith("Learned(expectation–maximisation from 160 rows: ")
    assert "± " in repr(learned)
    assert "restart 1" in learned._repr_html_()
    counted = maximum_likelihood(observed(net, 200, 0), {})
    assert counted.to_pandas()["bits"].item() == counted.bits
