"""Two-slice nets learned from clips: counts, expectation–maximisation, unequal and incomplete clips, more clips."""

import numpy as np
import pandas as pd
import pytest

from worldnets.errors import EvidenceError, LearningError
from worldnets.inference import TemporalInference, reestimate, simulate
from worldnets.learning import (
    Rows,
    clip_rows,
    expectation_maximisation,
    held_out_bits,
    hidden_markov_structure,
    maximum_likelihood,
    tied_dirichlet,
    tied_expectation_maximisation,
    tied_maximum_likelihood,
)
from worldnets.learning.clips import Clips
from worldnets.learning.tied_maximisation import extrapolated
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet, frame_name


def drawn(seed, structure):
    """Tables for a structure, emissions the same in frame 1 as later."""
    random = np.random.default_rng(seed)
    table = lambda shape: random.dirichlet(np.full(shape[-1], 0.7), shape[:-1] or None)
    first = {v: table(structure.initial.cpt(v).shape) for v in structure.variables}
    later = {
        v: first[v] if structure.initial.parents(v) == structure.parents[v] else table(structure.cpts[v].shape)
        for v in structure.variables
    }
    initial = WorldNet(structure.states, structure.initial.parent_sets, first)
    return TwoSliceNet(initial, structure.parents, later, structure.name)


def clips(net, rows, frames, seed=0):
    return np.array(simulate(net.unroll(frames), rows, seed)).reshape(rows, frames, -1)


def without(net, codes, *variables):
    hidden = codes.copy()
    hidden[:, :, [net.variables.index(v) for v in variables]] = -1
    return hidden


def cut(codes, seed=0, least=1):
    """Clips of unequal lengths."""
    short = codes.copy()
    for clip, length in zip(
        short, np.random.default_rng(seed).integers(least, codes.shape[1] + 1, len(codes)), strict=True
    ):
        clip[length:] = -1
    return short


def brute_counts(net, codes):
    """Counts of complete clips, frame by frame in plain Python, emissions pooled over all frames."""
    first = {v: np.zeros(net.initial.cpt(v).shape) for v in net.variables}
    later = {v: np.zeros(net.cpts[v].shape) for v in net.variables}
    column = {v: i for i, v in enumerate(net.variables)}
    for clip in codes:
        for t, frame in enumerate(clip):
            if frame.max() < 0:
                break
            for v in net.variables:
                parents = net.initial.parents(v) if t == 0 else net.parents[v]
                past = lambda p, t=t, clip=clip: clip[t - 1][column[p.removesuffix("[t-1]")]]
                cell = [past(p) if p.endswith("[t-1]") else frame[column[p]] for p in parents]
                (first if t == 0 else later)[v][(*cell, frame[column[v]])] += 1
    for v in net.variables:
        if net.initial.parents(v) == net.parents[v]:
            first[v] = later[v] = first[v] + later[v]
    return first, later


EDGE = hidden_markov_structure(3, 2, emits="edge")
STATE = hidden_markov_structure(3, 4)


@pytest.mark.parametrize("structure", [STATE, EDGE], ids=["state", "edge"])
@pytest.mark.parametrize("pseudocount", [0.0, 0.5])
def test_tables_are_the_normalised_counts_of_all_frames_of_clips_of_unequal_length(structure, pseudocount):
    codes = cut(clips(drawn(0, structure), 300, 6))
    rows = clip_rows(structure, codes)
    found = (
        tied_dirichlet(rows, structure, pseudocount=pseudocount)
        if pseudocount
        else tied_maximum_likelihood(rows, structure)
    )
    first, later = brute_counts(structure, codes)
    for tables, counts in ((found.template.initial.cpts, first), (found.template.cpts, later)):
        for v in structure.variables:
            expected = counts[v] + pseudocount
            np.testing.assert_allclose(tables[v], expected / expected.sum(axis=-1, keepdims=True), rtol=1e-12)
    assert found.bits == pytest.approx(held_out_bits(found.net, rows).bits)
    assert found.net.variables == found.template.unroll(6).variables


def test_untied_tables_of_two_frames_are_those_of_the_unrolled_net():
    net = drawn(1, STATE)
    rows = clip_rows(net, clips(net, 200, 2))
    over_time = tied_maximum_likelihood(rows, net, tied=False)
    flat = maximum_likelihood(rows, net.unroll(2))
    for v in flat.net.variables:
        np.testing.assert_allclose(over_time.net.cpt(v), flat.net.cpt(v), rtol=1e-12)


def test_more_clips_even_longer_ones_give_what_one_fit_on_all_of_them_gives():
    net = drawn(2, EDGE)
    codes = cut(clips(net, 400, 8), seed=2)
    codes[:150, 5:] = -1
    at_first = tied_maximum_likelihood(clip_rows(net, codes[:150]), net)
    updated, whole = at_first.update(clip_rows(net, codes[150:])), tied_maximum_likelihood(clip_rows(net, codes), net)
    assert at_first.net.variables == net.unroll(5).variables
    assert updated.net.variables == whole.net.variables
    assert all(np.array_equal(updated.net.cpt(v), whole.net.cpt(v)) for v in whole.net.variables)
    assert updated.bits == pytest.approx(whole.bits, rel=1e-12)


def test_one_step_is_counting_under_the_start_and_normalising():
    truth, start = drawn(3, EDGE), drawn(4, EDGE)
    codes = cut(without(truth, clips(truth, 120, 5), "state"))
    codes[np.random.default_rng(0).random(codes.shape) < 0.2] = -1
    shown = (codes >= 0).any(axis=2)
    lengths = np.where(shown.any(axis=1), 5 - shown[:, ::-1].argmax(axis=1), 0)
    found = tied_expectation_maximisation(clip_rows(truth, codes), truth, start=start, restarts=0, iterations=1)
    expected = reestimate(start, TemporalInference(start).expected_counts(codes, lengths=lengths))
    for v in start.variables:
        np.testing.assert_allclose(found.template.initial.cpt(v), expected.initial.cpt(v), atol=1e-12)
        np.testing.assert_allclose(found.template.cpts[v], expected.cpts[v], atol=1e-12)
    assert found.history[0].steps == 1


@pytest.mark.parametrize("prior", [{}, {"pseudocount": 0.5}, {"equivalent_sample_size": 3.0}])
def test_the_likelihood_rises_to_a_point_where_a_step_changes_nothing(prior):
    truth = drawn(5, STATE)
    rows = clip_rows(truth, without(truth, clips(truth, 300, 10), "state"))
    found = tied_expectation_maximisation(rows, truth, restarts=3, tolerance=1e-8, iterations=20_000, **prior)
    for run in found.history:
        assert run.converged
        assert np.all(np.diff(run.bits) <= 1e-9)
    again = tied_expectation_maximisation(rows, truth, start=found.template, restarts=0, iterations=1, **prior)
    for v in truth.variables:
        np.testing.assert_allclose(again.template.cpts[v], found.template.cpts[v], atol=1e-4)
    assert found.kept == int(np.argmin([run.bits[-1] for run in found.history]))
    assert found.bits == pytest.approx(held_out_bits(found.net, rows).bits, rel=1e-9)


def test_for_frames_that_share_no_table_it_is_expectation_maximisation_on_the_unrolled_net():
    truth, start = drawn(6, STATE), drawn(7, STATE)
    rows = clip_rows(truth, without(truth, clips(truth, 400, 2), "state"))
    over_time = tied_expectation_maximisation(
        rows, truth, start=start, restarts=0, tied=False, tolerance=1e-9, iterations=20_000
    )
    flat = expectation_maximisation(
        rows, truth.unroll(2), start=start.unroll(2), restarts=0, tolerance=1e-9, iterations=20_000
    )
    assert over_time.bits == pytest.approx(flat.bits, abs=1e-5)


@pytest.mark.parametrize("structure", [hidden_markov_structure(2, 3), hidden_markov_structure(2, 2, emits="edge")])
def test_a_planted_hidden_markov_model_is_found_again(structure):
    # The reduced form of benchmarks/recovery.py.
    sharp = lambda size, other: (
        np.full((size, other), 0.1 / (other - 1)) + (0.9 - 0.1 / (other - 1)) * np.eye(size, other)
    )
    show = sharp(2, 3) if structure.parents["symbol"] == ("state",) else np.array([sharp(2, 2), sharp(2, 2)[::-1]])
    initial = WorldNet(
        structure.states,
        structure.initial.parent_sets,
        {"state": [0.5, 0.5], "symbol": show if show.ndim == 2 else show[0]},
    )
    truth = TwoSliceNet(initial, structure.parents, {"state": sharp(2, 2), "symbol": show})
    codes, test = clips(truth, 500, 20, seed=1), clips(truth, 2000, 20, seed=2)
    train = clip_rows(truth, without(truth, codes, "state"))
    held_out = clip_rows(truth, without(truth, test, "state"))
    for seed in range(3):
        found = tied_expectation_maximisation(
            train, structure, restarts=5, seed=seed, held_out=held_out, iterations=200
        )
        excess = (found.held_out.bits - held_out_bits(truth.unroll(20), held_out).bits) / 20
        assert -0.002 < excess < 0.01


def test_a_run_depends_on_nothing_but_its_number_and_seed():
    truth = drawn(8, STATE)
    rows = clip_rows(truth, without(truth, clips(truth, 200, 9), "state"))
    many = tied_expectation_maximisation(rows, truth, restarts=4, seed=3, threads=2)
    few = tied_expectation_maximisation(rows, truth, restarts=2, seed=3, threads=1)
    for a, b in zip(many.history, few.history, strict=False):
        assert a.start == b.start
        assert np.array_equal(a.bits, b.bits)


def test_equal_clips_count_as_one_with_their_weight():
    truth = drawn(9, STATE)
    codes = without(truth, clips(truth, 80, 4), "state")
    twice = clip_rows(truth, np.concatenate([codes, codes]))
    heavy = clip_rows(truth, codes, np.full(80, 2.0))
    assert len(Clips.of(twice, truth).codes) <= 80
    fits = [tied_expectation_maximisation(rows, truth, restarts=2) for rows in (twice, heavy)]
    for v in truth.variables:
        np.testing.assert_allclose(fits[0].template.cpts[v], fits[1].template.cpts[v], atol=1e-9)
    assert fits[0].rows == fits[1].rows == 160


def test_large_interfaces_are_learned_through_messages_as_small_ones_are_in_chains(monkeypatch):
    from worldnets.inference.temporal import chain

    truth = drawn(10, EDGE)
    rows = clip_rows(truth, without(truth, clips(truth, 60, 6), "state"))
    compiled = tied_expectation_maximisation(rows, truth, restarts=2, iterations=40)
    monkeypatch.setattr(chain, "MOST_STATES", 1)
    messages = tied_expectation_maximisation(rows, truth, restarts=2, iterations=40)
    for a, b in zip(compiled.history, messages.history, strict=True):
        np.testing.assert_allclose(a.bits[:8], b.bits[:8], rtol=1e-9)


def test_known_tables_stay_as_they_are():
    truth = drawn(11, STATE)
    rows = clip_rows(truth, without(truth, clips(truth, 200, 8), "state"))
    found = tied_expectation_maximisation(rows, truth, restarts=2, fixed=["symbol"])
    assert np.array_equal(found.template.cpts["symbol"], truth.cpts["symbol"])
    assert np.array_equal(found.template.initial.cpt("symbol"), truth.initial.cpt("symbol"))
    assert not np.array_equal(found.template.cpts["state"], truth.cpts["state"])


def test_entries_that_are_zero_at_the_start_stay_zero():
    left_to_right = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.0, 0.0, 1.0]])
    base = drawn(12, STATE)
    initial = WorldNet(
        base.states, base.initial.parent_sets, {"state": [1.0, 0.0, 0.0], "symbol": base.initial.cpt("symbol")}
    )
    truth = TwoSliceNet(initial, base.parents, {"state": left_to_right, "symbol": base.cpts["symbol"]})
    rows = clip_rows(truth, without(truth, clips(truth, 300, 8), "state"))
    found = tied_expectation_maximisation(rows, truth, start=truth, restarts=0, pseudocount=1.0)
    assert np.array_equal(found.template.cpts["state"] == 0, left_to_right == 0)
    assert np.array_equal(found.template.initial.cpt("state"), [1.0, 0.0, 0.0])


def test_an_update_goes_on_from_the_counts_and_helps():
    truth = drawn(13, STATE)
    codes, test = (without(truth, clips(truth, n, 12, seed), "state") for n, seed in ((1000, 1), (2000, 2)))
    held_out = clip_rows(truth, test)
    at_first = tied_expectation_maximisation(clip_rows(truth, codes[:60]), truth, restarts=4, held_out=held_out)
    later = at_first.update(clip_rows(truth, codes[60:]))
    assert later.rows == 1000
    assert later.history[-1].start == "update by 940 clips"
    assert later.history[:-1] == at_first.history
    assert later.held_out.bits < at_first.held_out.bits
    # `bits` is the bound of the clips before with the new ones' likelihood: an upper limit.
    assert held_out_bits(later.net, clip_rows(truth, codes)).bits <= later.bits + 1e-9


def test_an_update_with_a_symbol_never_seen_before_goes_on():
    truth = drawn(14, STATE)
    codes = without(truth, clips(truth, 200, 6), "state")
    without_last = codes[(codes[:, :, 1] != 3).all(axis=1)]
    with_last = codes[(codes[:, :, 1] == 3).any(axis=1)]
    at_first = tied_expectation_maximisation(clip_rows(truth, without_last), truth, restarts=2)
    assert not at_first.template.cpts["symbol"][:, 3].any()
    later = at_first.update(clip_rows(truth, with_last))
    assert np.isfinite(later.bits)
    assert later.template.cpts["symbol"][:, 3].any()


def test_tables_of_labels_with_missing_entries_are_taken():
    structure = hidden_markov_structure(2, ("calm", "storm"), names=("mood", "weather"))
    frame = pd.DataFrame(
        {
            "weather_1": ["calm", "storm", "calm", "calm"] * 5,
            "weather_2": ["calm", None, "storm", "storm"] * 5,
            "weather_3": [None, "storm", "storm", "calm"] * 5,
        }
    )
    found = tied_expectation_maximisation(frame, structure, restarts=2, held_out=0.25)
    assert found.rows == 15
    assert found.held_out.rows == 5
    assert found.net.states["weather_2"] == ("calm", "storm")
    assert found.update(frame.iloc[2:3]).rows == 16


def test_bad_requests_are_refused_with_a_reason():
    truth = drawn(15, STATE)
    codes = without(truth, clips(truth, 30, 4), "state")
    rows = clip_rows(truth, codes)
    missing = codes.copy()
    missing[3, 1, 1] = -1
    impossible = TwoSliceNet(
        WorldNet(
            truth.states, truth.initial.parent_sets, {"state": truth.initial.cpt("state"), "symbol": np.eye(3, 4)}
        ),
        truth.parents,
        {"state": truth.cpts["state"], "symbol": np.eye(3, 4)},
    )
    learn = tied_expectation_maximisation
    cases = [
        (lambda: tied_maximum_likelihood(rows, truth), "a missing entry"),
        (lambda: learn(rows, truth.unroll(4)), "a structure that is not over time"),
        (lambda: learn(rows, truth, restarts=0), "nothing to start from"),
        (lambda: learn(rows, truth, restarts=-1), "restarts must be a whole number"),
        (lambda: learn(rows, truth, tolerance=float("nan")), "tolerance must be a number"),
        (lambda: learn(rows, truth, fixed=["stat"]), "did you mean 'state'"),
        (lambda: learn(rows, truth, start=drawn(0, EDGE), restarts=0), "a start of another structure"),
        (lambda: learn(rows, truth, start=impossible, restarts=0), "a clip is impossible"),
        (lambda: learn(rows, hidden_markov_structure(1, 4)), "a latent variable that cannot vary"),
        (lambda: learn(rows, hidden_markov_structure(500, 4)), "more states than there are frames"),
        (lambda: learn(clip_rows(truth, codes[:1]), truth), "too few rows"),
        (lambda: clip_rows(truth, codes[:, :, 0]), "no code array of clips"),
        (lambda: clip_rows(truth, np.full((3, 2, 2), -1)), "clips that show nothing"),
        (lambda: hidden_markov_structure(2, 2, emits="nothing"), "unknown kind of emission"),
    ]
    for ask, message in cases:
        with pytest.raises(LearningError, match=message):
            ask()
    with pytest.raises(EvidenceError, match="unknown variable"):
        learn(pd.DataFrame({"smybol_1": [0, 1]}), truth)
    with pytest.raises(EvidenceError, match="unknown variable"):
        learn(Rows({"other_1": (0, 1)}, [[0], [1]]), truth)
    with pytest.raises(EvidenceError, match="unknown state"):
        learn(pd.DataFrame({frame_name("symbol", 1): [0, 9]}), truth)


def test_extrapolation_ends_where_steps_that_shrink_evenly_would():
    end, rate = np.log([[0.2, 0.3, 0.5]]), 0.8
    far = np.array([[0.1, -0.05, 0.02]])
    points = [np.exp(end + far * rate**k) for k in range(3)]
    ahead, left, length = extrapolated(*points, gain=np.array([1.0]), reach=np.array([100.0]))
    np.testing.assert_allclose(ahead, np.exp(end), rtol=1e-9)
    assert length[0] == pytest.approx(1 / (1 - rate))
    assert left[0] == pytest.approx(rate**2 / (1 - rate**2))
    growing = [np.exp(end + far * 1.1**k) for k in range(3)]
    assert extrapolated(*growing, gain=np.array([1.0]), reach=np.array([1.0]))[1][0] == np.inf
