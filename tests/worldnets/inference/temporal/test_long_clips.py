"""Thousands of frames, impossible evidence, and what does not fit into memory."""

import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from tests.worldnets.inference.temporal.two_slice import hidden_markov, hmm_clip, parity
from worldnets.errors import CapacityError
from worldnets.inference import UNOBSERVED, TemporalInference
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet


def log_space_forward(net, symbols):
    """ln α_t of one sequence in log space: the textbook recursion, nothing rescaled."""
    with np.errstate(divide="ignore"):
        start, move, show = (np.log(t) for t in (net.initial.cpt("z"), net.cpts["z"], net.cpts["x"]))
    alphas = []
    for symbol in symbols:
        before = np.logaddexp.reduce(alphas[-1][:, None] + move, axis=0) if alphas else start
        alphas.append(before + (show[:, symbol] if symbol >= 0 else 0.0))
    return np.array(alphas)


def test_five_thousand_frames_equal_a_forward_passin_log_space():
    net, codes = hidden_markov(5, 7), hmm_clip(2, 5000, 7, hidden=0.1)
    engine = TemporalInference(net, threads=1)
    filtered, smoothed = engine.filter(codes), engine.smooth(codes)
    for row in range(2):
        alphas = log_space_forward(net, codes[row, :, 1])
        total = np.logaddexp.reduce(alphas, axis=1)
        assert filtered.log_evidence[row] == pytest.approx(total[-1], rel=1e-11)
        assert total[-1] < -5000  # e to that power is far below the smallest double
        np.testing.assert_allclose(filtered["z"][row], np.exp(alphas - total[:, None]), atol=1e-9)
    assert np.isfinite(smoothed["z"]).all()
    np.testing.assert_allclose(smoothed["z"].sum(axis=2), 1.0, atol=1e-12)
    # In the last frame there is no future left to see.
    np.testing.assert_allclose(smoothed["z"][:, -1], filtered["z"][:, -1], atol=1e-12)


def test_deterministic_tables_stay_exact_for_thousands_of_frames():
    net, frames = parity(), 4000
    inputs = np.random.default_rng(3).integers(0, 2, (3, frames))
    codes = np.full((3, frames, 3), UNOBSERVED, dtype=np.int16)
    codes[:, :, 0] = inputs
    bits = inputs.cumsum(axis=1) % 2
    found = TemporalInference(net).filter(codes)
    np.testing.assert_array_equal(found["z"], np.eye(2)[bits])
    np.testing.assert_array_equal(found["x"], np.eye(2)[bits])
    np.testing.assert_allclose(found.log_evidence, frames * math.log(0.5), rtol=1e-12)
    # The outputs alone give the inputs away, backwards as well.
    shown = np.full((3, frames, 3), UNOBSERVED, dtype=np.int16)
    shown[:, :, 2] = bits
    np.testing.assert_array_equal(TemporalInference(net).smooth(shown)["u"], np.eye(2)[inputs])


def test_impossible_evidence_is_flagged_with_its_frame_and_leaves_other_rows_alone():
    net = parity()
    codes = np.full((3, 6, 3), UNOBSERVED, dtype=np.int16)
    codes[:, :, 0] = 1
    codes[1, 3, 2] = 1  # after four toggles the bit is 0
    engine = TemporalInference(net)
    filtered, smoothed = engine.filter(codes), engine.smooth(codes)
    assert filtered.impossible_from.tolist() == smoothed.impossible_from.tolist() == [0, 4, 0]
    assert filtered.possible.tolist() == [True, False, True]
    assert (filtered["z"][1, :3].sum(axis=1) == 1).all()
    assert not filtered["z"][1, 3:].any()
    assert not smoothed["z"][1].any()
    assert filtered.increments[1, 3:].tolist() == [-np.inf] * 3
    np.testing.assert_array_equal(smoothed["z"][0], np.eye(2)[[1, 0, 1, 0, 1, 0]])
    lagged = engine.fixed_lag(codes, 1)
    assert (lagged["z"][1].sum(axis=1) == [1, 1, 0, 0, 0, 0]).all()
    assert engine.log_evidence(codes)[0] == pytest.approx(6 * math.log(0.5))
    assert not engine.expected_counts(codes[1:2]).transition["z"].any()


def test_what_is_impossible_in_one_independent_part_is_impossible_in_all():
    still, one = np.eye(2), np.array([0.5, 0.5])
    initial = WorldNet({"a": (0, 1), "b": (0, 1)}, {}, {"a": one, "b": one})
    net = TwoSliceNet(initial, {"a": ["a" + PREVIOUS], "b": ["b" + PREVIOUS]}, {"a": still, "b": still})
    engine = TemporalInference(net)
    assert engine.plan.parts == (("a",), ("b",))
    found = engine.filter(pd.DataFrame({"a_1": [0, 0], "a_2": [1, 0], "b_1": [1, 1]}))
    assert found.impossible_from.tolist() == [2, 0]
    np.testing.assert_array_equal(found["b"][0], [[0, 1], [0, 0]])
    np.testing.assert_array_equal(found["b"][1], [[0, 1], [0, 1]])
    smoothed = engine.smooth(pd.DataFrame({"a_1": [0], "a_2": [1], "b_1": [1]}))
    assert not smoothed["b"].any()


def test_many_independent_processes_do_not_multiply_their_interfaces():
    n = 30
    stay = np.array([[0.9, 0.1], [0.2, 0.8]])
    names = [f"a{i}" for i in range(n)]
    initial = WorldNet(dict.fromkeys(names, (0, 1)), {}, {v: [0.5, 0.5] for v in names})
    net = TwoSliceNet(initial, {v: [v + PREVIOUS] for v in names}, dict.fromkeys(names, stay))
    engine = TemporalInference(net)
    assert engine.plan.interface_states == 2 * n
    found = engine.rollout(pd.DataFrame({f"{v}_1": [0] for v in names}), 2)
    for v in names:
        np.testing.assert_allclose(found[v][0, 1], (stay @ stay)[0], atol=1e-15)


def test_an_interface_that_does_not_fit_is_refused_before_anything_is_allocated():
    n = 24
    names = [f"a{i}" for i in range(n)]
    uniform = np.full((2, 2), 0.5)
    initial = WorldNet(dict.fromkeys(names, (0, 1)), {}, {v: [0.5, 0.5] for v in names})
    parents = {v: [names[i - 1] + PREVIOUS] for i, v in enumerate(names)}  # a ring: every part sees the next
    net = TwoSliceNet(initial, parents, dict.fromkeys(names, uniform))
    tracemalloc.start()
    with pytest.raises(CapacityError, match=r"interface \(a0, .* has 16,777,216 joint states.*Mend"):
        TemporalInference(net).filter(pd.DataFrame({"a0_1": [0]}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_answers_that_do_not_fit_are_refused():
    net = hidden_markov(20, 5)
    with pytest.raises(CapacityError, match="fewer variables or rows"):
        TemporalInference(net, memory_limit=1_000_000).filter(hmm_clip(100, 1000, 5))
    with pytest.raises(CapacityError, match="last frame named"):
        TemporalInference(net).filter(pd.DataFrame({"x_99999999999999": [0]}))
    with pytest.raises(CapacityError, match="stream"):
        TemporalInference(net, memory_limit=100_000).smooth(hmm_clip(1, 1000, 5), variables=[])


def changing_mind(frames):
    """A coin whose bias never changes, thrown so that early and late throws contradict each other."""
    bias = np.array([[0.9, 0.1], [0.1, 0.9]])
    initial = WorldNet({"z": (0, 1), "x": (0, 1)}, {"x": ["z"]}, {"z": [0.5, 0.5], "x": bias})
    net = TwoSliceNet(initial, {"z": ["z" + PREVIOUS], "x": ["z"]}, {"z": np.eye(2), "x": bias})
    codes = np.full((3, 2 * frames + 1, 2), UNOBSERVED, dtype=np.int16)
    codes[0, :frames, 1], codes[0, frames:, 1] = 0, 1  # one tail more than heads
    codes[1, :, 1] = 0
    codes[2, :frames, 1], codes[2, -1, 0] = 0, 1  # the bias is told, against all odds
    return net, codes


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_evidence_that_turns_round_after_hundreds_of_frames_is_not_lost(dtype):
    n = 400  # 9^400 is beyond the largest double
    net, codes = changing_mind(n)
    engine = TemporalInference(net, dtype=dtype)
    filtered, smoothed = engine.filter(codes), engine.smooth(codes)
    ahead, lagged = engine.rollout(codes, 2), engine.fixed_lag(codes, 1)
    counts = engine.expected_counts(codes)
    precise = 1e-9 if dtype == "float64" else 1e-5
    heads, tails = np.log([[0.9, 0.1], [0.1, 0.9]])
    logs = [n * heads + (n + 1) * tails, (2 * n + 1) * heads, n * heads + [-np.inf, 0.0]]
    for row, log in enumerate(logs):
        total = np.logaddexp(*log)
        expected = np.exp(log - total)
        assert filtered.log_evidence[row] == pytest.approx(total + math.log(0.5), rel=precise)
        np.testing.assert_allclose(filtered["z"][row, -1], expected, atol=precise)
        np.testing.assert_allclose(smoothed["z"][row], np.tile(expected, (2 * n + 1, 1)), atol=precise)
        np.testing.assert_allclose(ahead["z"][row], np.tile(expected, (2, 1)), atol=precise)
        np.testing.assert_allclose(lagged["z"][row, -2], expected, atol=precise)
    assert filtered["z"][0, 2 * n - 1] == pytest.approx([0.5, 0.5], abs=precise)
    assert filtered.possible.all()
    assert counts.initial["z"] == pytest.approx(smoothed["z"][:, 0].sum(axis=0), abs=10 * precise)
    stayed = 2 * n * np.diag(counts.initial["z"])
    np.testing.assert_allclose(counts.transition["z"], stayed, atol=2 * n * precise)


def test_frames_a_thousand_cliques_deep_are_planned_without_recursion():
    n = 1200
    names = [f"a{i}" for i in range(n)]
    stay = np.array([[0.9, 0.1], [0.2, 0.8]])
    within = {v: [names[i - 1]] if i else [] for i, v in enumerate(names)}
    cpts = {**dict.fromkeys(names, stay), "a0": np.array([0.5, 0.5])}
    initial = WorldNet(dict.fromkeys(names, (0, 1)), within, cpts)
    net = TwoSliceNet(initial, {**within, "a0": [names[-1] + PREVIOUS]}, {**cpts, "a0": stay})
    found = TemporalInference(net).filter(pd.DataFrame({"a0_1": [0], f"{names[-1]}_2": [1]}), variables=[names[-1]])
    expected = (np.linalg.matrix_power(stay, n - 1))[0]
    np.testing.assert_allclose(found[names[-1]][0], [expected, [0, 1]], atol=1e-12)


def test_an_emission_of_hundreds_of_symbols_in_one_frame_does_not_underflow():
    n = 300
    names = [f"x{i}" for i in range(n)]
    show = np.array([[0.999, 0.001], [0.998, 0.002]])
    states = {"z": (0, 1), **dict.fromkeys(names, (0, 1))}
    initial = WorldNet(states, {v: ["z"] for v in names}, {"z": [0.5, 0.5], **dict.fromkeys(names, show)})
    parents = {"z": ["z" + PREVIOUS], **{v: ["z"] for v in names}}
    net = TwoSliceNet(initial, parents, {"z": np.eye(2), **dict.fromkeys(names, show)})
    codes = np.ones((1, 2, n + 1), dtype=np.int16)
    codes[:, :, 0] = UNOBSERVED
    for dtype in ("float64", "float32"):
        found = TemporalInference(net, dtype=dtype).filter(codes, variables=["z"])
        # every symbol is twice as likely under the second state
        expected = 2 * n * math.log(0.002) + math.log(0.5)
        assert found.log_evidence[0] == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-12)
        assert found["z"][0, -1, 1] == pytest.approx(1.0)
