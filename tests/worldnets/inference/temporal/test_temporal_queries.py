"""Temporal queries against the unrolled net: filtering, smoothing, lags, rollout, counts, streams, long clips."""

import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import TABLES, random_table
from worldnets.errors import CapacityError, EvidenceError, QueryError
from worldnets.inference import UNOBSERVED, Inference, TemporalInference
from worldnets.inference.temporal import contraction
from worldnets.inference.temporal.counts import by_messages
from worldnets.inference.temporal.evidence import clip_codes
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name


@st.composite
def two_slice_nets(draw, max_variables=5, max_cardinality=4):
    """A random template: arrows within a frame and between frames, so interfaces of any size, parts that never meet."""
    n = draw(st.integers(1, max_variables))
    names = [f"v{i}" for i in range(n)]
    sizes = [draw(st.integers(1, max_cardinality)) for _ in range(n)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def earlier(i):
        return [] if i == 0 else draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True))

    def tables(parents):
        return {
            names[i]: random_table(random, (*(sizes[p] for p in given), sizes[i]), draw(st.sampled_from(TABLES)))
            for i, given in enumerate(parents)
        }

    within_first = [earlier(i) for i in range(n)]
    within = [earlier(i) for i in range(n)]
    across = [draw(st.lists(st.integers(0, n - 1), max_size=2, unique=True)) for _ in range(n)]
    order = draw(st.permutations(range(n)))
    states = {names[i]: tuple(f"s{k}" for k in range(sizes[i])) for i in order}
    first = {names[i]: [names[p] for p in given] for i, given in enumerate(within_first)}
    parents = {
        names[i]: draw(st.permutations([*(names[p] for p in within[i]), *(names[p] + PREVIOUS for p in across[i])]))
        for i in range(n)
    }
    family = [[names.index(p.removesuffix(PREVIOUS)) for p in parents[names[i]]] for i in range(n)]
    return TwoSliceNet(WorldNet(states, first, tables(within_first)), parents, tables(family), "random")


@st.composite
def clips(draw, net, rows=4, max_frames=5):
    """Codes [rows, frames, variables] with masks that differ by row and frame, or whole columns seen or hidden."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.integers(1, max_frames))
    cards = net.initial.cardinalities
    codes = random.integers(0, cards, size=(rows, frames, len(cards))).astype(np.int16)
    seen = random.random(codes.shape) < draw(st.sampled_from((0.0, 0.3, 0.7, 1.0)))
    hidden = draw(st.lists(st.sampled_from(range(len(cards))), unique=True))
    seen[:, :, hidden] = False
    codes[~seen] = UNOBSERVED
    return codes


def unrolled(net, codes, frames=None):
    """The unrolled net's engine and the same evidence as its flat code array, unobserved after the clip."""
    frames = frames or codes.shape[1]
    padded = np.full((len(codes), frames, codes.shape[2]), UNOBSERVED, dtype=np.int16)
    padded[:, : codes.shape[1]] = codes
    return Inference(net.unroll(frames)), padded.reshape(len(codes), -1)


def check_frame(net, found, expected, frame, place, tolerance=1e-9):
    """Beliefs of one frame against the unrolled net's beliefs."""
    for v in net.variables:
        np.testing.assert_allclose(found[v][:, place], expected[frame_name(v, frame)], atol=tolerance)


def check_log(found, expected, tolerance=1e-9):
    np.testing.assert_array_equal(found == -np.inf, expected == -np.inf)
    np.testing.assert_allclose(found[found > -np.inf], expected[expected > -np.inf], rtol=tolerance, atol=tolerance)


def seen_until(codes, frame):
    kept = codes.copy()
    kept[:, frame:] = UNOBSERVED
    return kept


@settings(max_examples=150)
@given(st.data())
def test_smoothing_equals_the_posteriors_of_the_unrolled_net(data):
    net = data.draw(two_slice_nets())
    codes = data.draw(clips(net))
    found = TemporalInference(net, threads=1).smooth(codes)
    engine, flat = unrolled(net, codes)
    expected = engine.query(flat)
    check_log(found.log_evidence, expected.log_evidence)
    for t in range(1, codes.shape[1] + 1):
        check_frame(net, found, expected, t, t - 1)


@pytest.mark.parametrize("lookup", [0, 2**20])
def test_lookups_and_sums_give_the_same_answer(monkeypatch, lookup):
    monkeypatch.setattr(contraction, "LOOKUP_CELLS", lookup)
    random = np.random.default_rng(5)
    for shape in ("chain", "pairs", "collider"):
        net = four_cliques(shape, random)
        codes = random.integers(0, net.initial.cardinalities, (6, 4, 5)).astype(np.int16)
        for hidden in ([], [0, 1, 3], [0, 1, 2, 3], [1, 2, 3, 4], [4]):
            seen = codes.copy()
            seen[:, :, hidden] = UNOBSERVED
            seen[random.random(codes.shape) < 0.2] = UNOBSERVED
            found = TemporalInference(net, threads=1).smooth(seen)
            engine, flat = unrolled(net, seen)
            expected = engine.query(flat)
            check_log(found.log_evidence, expected.log_evidence)
            for t in range(1, 5):
                check_frame(net, found, expected, t, t - 1)


def four_cliques(shape, random):
    """Frames whose trees have several cliques, so that messages pass through them."""
    within = {
        "chain": {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["d"]},
        "pairs": {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c"], "e": ["c", "d"]},
        "collider": {"a": [], "b": [], "c": ["a", "b"], "d": ["c"], "e": ["c"]},
    }[shape]
    states = {v: tuple(range(2 + i % 3)) for i, v in enumerate(within)}
    across = {"a": ["e" + PREVIOUS], "b": ["b" + PREVIOUS] if shape == "collider" else []}
    later = {v: [*parents, *across.get(v, [])] for v, parents in within.items()}

    def tables(parents):
        sizes = {v: [len(states[p.removesuffix(PREVIOUS)]) for p in (*parents[v], v)] for v in states}
        return {v: random.dirichlet(np.full(size[-1], 0.5), size[:-1]) for v, size in sizes.items()}

    return TwoSliceNet(WorldNet(states, within, tables(within)), later, tables(later), shape)


@settings(max_examples=100)
@given(st.data())
def test_filtering_equals_the_unrolled_net_that_has_not_seen_later_frames(data):
    net = data.draw(two_slice_nets())
    codes = data.draw(clips(net))
    found = TemporalInference(net, threads=1).filter(codes)
    first_impossible = np.zeros(len(codes), dtype=int)
    for t in range(1, codes.shape[1] + 1):
        engine, flat = unrolled(net, seen_until(codes, t))
        expected = engine.query(flat)
        check_frame(net, found, expected, t, t - 1)
        check_log(found.increments[:, :t].sum(axis=1), expected.log_evidence)
        first_impossible[(first_impossible == 0) & ~expected.possible] = t
    np.testing.assert_array_equal(found.impossible_from, first_impossible)
    np.testing.assert_array_equal(found.possible, first_impossible == 0)


@settings(max_examples=60)
@given(st.data(), st.integers(0, 5))
def test_a_fixed_lag_equals_the_unrolled_net_that_has_seen_as_many_frames_more(data, lag):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net))
    found = TemporalInference(net, threads=1).fixed_lag(codes, lag)
    for t in range(1, codes.shape[1] + 1):
        engine, flat = unrolled(net, seen_until(codes, t + lag))
        check_frame(net, found, engine.query(flat), t, t - 1)


@settings(max_examples=60)
@given(st.data(), st.integers(0, 3))
def test_a_rollout_equals_the_unrolled_net_that_has_seen_the_clip_only(data, ahead):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net, max_frames=3))
    codes = codes[:, data.draw(st.integers(0, 1)) :]
    found = TemporalInference(net, threads=1).rollout(codes, ahead)
    given = codes.shape[1]
    assert found.frames == range(given + 1, given + ahead + 1)
    if given + ahead == 0:
        return
    engine, flat = unrolled(net, codes, given + ahead)
    expected = engine.query(flat)
    check_log(found.log_evidence, expected.log_evidence)
    for h in range(ahead):
        check_frame(net, found, expected, given + h + 1, h)


@settings(max_examples=60)
@given(st.data())
def test_expected_counts_are_the_summed_family_posteriors_of_the_unrolled_net(data):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net, max_frames=4))
    lengths = codes.shape[1] - (codes >= 0).any(axis=2)[:, ::-1].argmax(axis=1)
    lengths[~(codes >= 0).any(axis=(1, 2))] = data.draw(st.integers(0, codes.shape[1]))
    engine, flat = unrolled(net, codes)
    weights = data.draw(st.sampled_from([np.ones(len(codes)), np.arange(len(codes)) / 2]))
    for given_lengths, way in itertools.product((None, lengths), ("as it likes", "by messages")):
        temporal = TemporalInference(net, threads=1)
        if way == "by messages":
            real = np.full(len(codes), codes.shape[1]) if given_lengths is None else lengths
            found = by_messages(temporal, clip_codes(net, codes), real, weights)
        else:
            found = temporal.expected_counts(codes, lengths=given_lengths, weights=weights)
        initial = {v: np.zeros(net.initial.cpt(v).shape) for v in net.variables}
        transition = {v: np.zeros(np.shape(net.cpts[v])) for v in net.variables}
        for t in range(1, codes.shape[1] + 1):
            for v in net.variables:
                family = [*engine.net.parents(frame_name(v, t)), frame_name(v, t)]
                posterior = engine.joint(flat, family)
                real = codes.shape[1] if given_lengths is None else lengths
                into = initial if t == 1 else transition
                into[v] += np.tensordot(weights * (t <= np.asarray(real)), posterior, axes=1)
        for v in net.variables:
            np.testing.assert_allclose(found.initial[v], initial[v], atol=1e-9)
            np.testing.assert_allclose(found.transition[v], transition[v], atol=1e-9)
        check_log(found.log_evidence, engine.log_evidence(flat))


@settings(max_examples=60)
@given(st.data(), st.integers(0, 4))
def test_a_stream_says_what_the_batch_says(data, lag):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net))
    engine = TemporalInference(net, threads=1)
    batch = engine.fixed_lag(codes, lag)
    stream = engine.stream(lag=lag)
    said = [stream.push(codes[:, t]) for t in range(codes.shape[1])]
    assert said[:lag] == [None] * min(lag, codes.shape[1])
    later = [beliefs for beliefs in said if beliefs is not None] + stream.finish()
    assert len(later) == codes.shape[1]
    increments = engine.filter(codes).increments
    for t, beliefs in enumerate(later):
        seen = min(t + lag + 1, codes.shape[1])
        check_log(beliefs.log_evidence, increments[:, :seen].sum(axis=1))
        for v in net.variables:
            np.testing.assert_allclose(beliefs[v], batch[v][:, t], atol=1e-12)


@settings(max_examples=30)
@given(st.data())
def test_float32_agrees_to_single_precision(data):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net))
    single = TemporalInference(net, dtype="float32", threads=1).smooth(codes)
    double = TemporalInference(net, threads=1).smooth(codes)
    check_log(single.log_evidence, double.log_evidence, 1e-4)
    for v in net.variables:
        assert single[v].dtype == np.float32
        np.testing.assert_allclose(single[v], double[v], atol=1e-4)


@settings(max_examples=30)
@given(st.data())
def test_lag_zero_is_filtering_and_a_lag_of_the_whole_clip_is_smoothing(data):
    net = data.draw(two_slice_nets(max_variables=3))
    codes = data.draw(clips(net))
    engine = TemporalInference(net, threads=1)
    for v in net.variables:
        np.testing.assert_allclose(engine.fixed_lag(codes, 0)[v], engine.filter(codes)[v], atol=1e-12)
        for lag in (codes.shape[1] - 1, codes.shape[1] + 3):
            np.testing.assert_array_equal(engine.fixed_lag(codes, lag)[v], engine.smooth(codes)[v])


def hidden_markov(states, symbols, seed=0, concentration=0.3):
    """A random hidden Markov process with states `z` and symbols `x`."""
    random = np.random.default_rng(seed)
    start = random.dirichlet(np.ones(states))
    move = random.dirichlet(np.full(states, concentration), states)
    show = random.dirichlet(np.full(symbols, concentration), states)
    labels = {"z": tuple(range(states)), "x": tuple(range(symbols))}
    initial = WorldNet(labels, {"x": ["z"]}, {"z": start, "x": show}, "hmm")
    return TwoSliceNet(initial, {"z": ["z" + PREVIOUS], "x": ["z"]}, {"z": move, "x": show}, "hmm")


def log_space_forward(net, symbols):
    """ln α_t of one sequence in log space: the textbook recursion, nothing rescaled."""
    with np.errstate(divide="ignore"):
        start, move, show = (np.log(t) for t in (net.initial.cpt("z"), net.cpts["z"], net.cpts["x"]))
    alphas = []
    for symbol in symbols:
        before = np.logaddexp.reduce(alphas[-1][:, None] + move, axis=0) if alphas else start
        alphas.append(before + (show[:, symbol] if symbol >= 0 else 0.0))
    return np.array(alphas)


def hmm_clip(rows, frames, symbols, seed=1, hidden=0.0):
    random = np.random.default_rng(seed)
    codes = np.full((rows, frames, 2), UNOBSERVED, dtype=np.int16)
    codes[:, :, 1] = random.integers(0, symbols, (rows, frames))
    codes[:, :, 1][random.random((rows, frames)) < hidden] = UNOBSERVED
    return codes


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


def parity(flip=0.0):
    """A bit that toggles whenever the input is 1, and is shown as it is: nothing is random but the input."""
    toggle = np.zeros((2, 2, 2))
    for z in (0, 1):
        for u in (0, 1):
            toggle[z, u, z ^ u] = 1.0
    states = {"u": (0, 1), "z": (0, 1), "x": (0, 1)}
    fair, same = np.array([0.5, 0.5]), np.eye(2)
    initial = WorldNet(states, {"z": ["u"], "x": ["z"]}, {"u": fair, "z": same, "x": same})
    parents = {"z": ["z" + PREVIOUS, "u"], "x": ["z"]}
    return TwoSliceNet(initial, parents, {"u": fair, "z": toggle, "x": same}, "parity")


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


@settings(max_examples=60)
@given(st.data())
def test_log_space_equals_rescaled_messages(data):
    net = data.draw(two_slice_nets())
    codes = data.draw(clips(net))
    lag = data.draw(st.integers(0, 5))
    engine = TemporalInference(net, threads=1)
    found = engine.fixed_lag(codes, lag)
    clip = np.ascontiguousarray(codes.transpose(1, 2, 0))
    tables = {v: np.full_like(table, np.nan) for v, table in found.tables.items()}
    increments = np.zeros(found.increments.T.shape)
    engine.in_log_space(clip, np.arange(len(codes)), lag, net.variables, 1, tables, increments)
    possible = found.possible
    check_log(increments.sum(axis=0), found.log_evidence)
    for v in net.variables:
        np.testing.assert_allclose(tables[v][:, :, possible], found.tables[v][:, :, possible], atol=1e-9)


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


def test_a_table_of_labels_says_the_same_as_codes_with_its_index_and_missing_labels():
    net = hidden_markov(3, 4)
    codes = hmm_clip(3, 4, 4, hidden=0.3)
    table = pd.DataFrame(
        {frame_name("x", t + 1): [None if c < 0 else int(c) for c in codes[:, t, 1]] for t in range(4)},
        index=["a", "b", "c"],
    )
    engine = TemporalInference(net)
    by_label, by_code = engine.smooth(table, frames=5), engine.smooth(codes, frames=5)
    np.testing.assert_array_equal(by_label["z"], by_code["z"])
    assert by_label["z"].shape == (3, 5, 3)
    shown = by_label.to_pandas()
    assert shown.loc[("b", 2), ("z", 1)] == by_code["z"][1, 1, 1]
    assert shown.loc[("b", 2), ("log_evidence", "nats")] == by_code.increments[1, 1]
    assert repr(by_label) == "TemporalBeliefs(smoothed, 3 rows, frames 1–5, 2 variables)"
    assert by_label._repr_html_().count("<tr>") >= 10
    ahead = engine.rollout(table, 2, variables=["z"])
    assert ahead.to_pandas().index.tolist()[:2] == [("a", 5), ("a", 6)]
    assert ahead.to_pandas()[("log_evidence", "nats")].isna().all()


def test_numbers_at_the_end_of_variable_names_are_not_taken_for_frames():
    one = np.array([0.5, 0.5])
    initial = WorldNet({"a": (0, 1), "a_1": (0, 1)}, {}, {"a": one, "a_1": one})
    net = TwoSliceNet(initial, {}, {"a": one, "a_1": one})
    found = TemporalInference(net).filter(pd.DataFrame({"a_2": [0], "a_1_1": [1]}))
    np.testing.assert_array_equal(found["a"][0], [[0.5, 0.5], [1, 0]])
    np.testing.assert_array_equal(found["a_1"][0], [[0, 1], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        (pd.DataFrame({"y_1": [0]}), "unknown variable"),
        (pd.DataFrame({"x": [0]}), "unknown variable"),
        (pd.DataFrame({"x_0": [0]}), "unknown variable"),
        (pd.DataFrame({"x_01": [0]}), "unknown variable"),
        (pd.DataFrame({"x_2": [9]}), r"node 'x_2', row 0: unknown state"),
        (pd.DataFrame({"x_9": [0]}), "after the last frame"),
        (pd.DataFrame([[0, 1]], columns=["x_1", "x_1"]), "stands twice"),
        ({"x_1": [0]}, "neither a table nor a code array"),
        (np.zeros((2, 3), dtype=np.int16), "not a code array of clips"),
        (np.zeros((2, 3, 2)), "not a code array of clips"),
        (np.full((2, 3, 2), 7, dtype=np.int16), r"node 'z_1', row 0: a code that is no state"),
        (np.zeros((2, 8, 2), dtype=np.int16), "after the last frame"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(evidence, what):
    with pytest.raises(EvidenceError, match=what):
        TemporalInference(hidden_markov(3, 4)).filter(evidence, frames=4)


def test_questions_that_cannot_be_answered_are_refused():
    engine = TemporalInference(hidden_markov(3, 4))
    codes = hmm_clip(2, 3, 4)
    with pytest.raises(QueryError, match="unknown variable"):
        engine.filter(codes, variables=["y"])
    with pytest.raises(QueryError, match="not queried"):
        engine.filter(codes, variables=["z"])["x"]
    with pytest.raises(QueryError, match="integer ≥ 0"):
        engine.fixed_lag(codes, -1)
    with pytest.raises(QueryError, match="integer ≥ 0"):
        engine.rollout(codes, 1.5)
    with pytest.raises(EvidenceError, match="lengths do not fit"):
        engine.expected_counts(codes, lengths=np.array([1, 9]))
    with pytest.raises(EvidenceError, match="after the end of a clip"):
        engine.expected_counts(codes, lengths=np.array([3, 2]))
    stream = engine.stream()
    stream.push(codes[:, 0])
    with pytest.raises(EvidenceError, match="another number of rows"):
        stream.push(codes[:1, 1])


def test_threads_and_chunks_do_not_change_the_answer():
    net, codes = hidden_markov(6, 5), hmm_clip(70, 12, 5, hidden=0.2)
    alone = TemporalInference(net, threads=1)
    many = TemporalInference(net, threads=2, memory_limit=2_000_000)
    for ask in (lambda e: e.filter(codes)["z"], lambda e: e.smooth(codes)["x"], lambda e: e.fixed_lag(codes, 2)["z"]):
        np.testing.assert_allclose(ask(alone), ask(many), atol=1e-13)
    for v in net.variables:
        counts = [engine.expected_counts(codes).transition[v] for engine in (alone, many)]
        np.testing.assert_allclose(*counts, rtol=1e-11)


@pytest.mark.parametrize("lag", [0, 3])
def test_the_memory_of_a_stream_does_not_grow_with_its_frames(lag):
    net = hidden_markov(8, 5)
    codes = hmm_clip(16, 50, 5)
    stream = TemporalInference(net, threads=1).stream(lag=lag)

    def push(count):
        for t in range(count):
            stream.push(codes[:, t % 50])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    push(60)
    early, late = push(20), push(500)
    tracemalloc.stop()
    assert stream.frame == 580
    assert late - early < 50_000  # one message kept per frame would be half a megabyte
    assert np.isfinite(stream.log_evidence).all()
    assert repr(stream).endswith(f"frame 580, lag {lag})")


def test_a_clip_of_no_frames_has_the_prior_ahead_of_it():
    net = hidden_markov(3, 4)
    found = TemporalInference(net).rollout(np.empty((2, 0, 2), dtype=np.int16), 2)
    np.testing.assert_allclose(found["z"][0], [net.initial.cpt("z"), net.initial.cpt("z") @ net.cpts["z"]], atol=1e-15)
    assert found.log_evidence.tolist() == [0.0, 0.0]
    assert found.impossible_from.tolist() == [0, 0]


def test_the_plan_reports_the_interface_and_what_a_frame_costs():
    plan = TemporalInference(hidden_markov(10, 4)).plan
    assert plan.interface == ("z",)
    assert plan.interface_states == 10
    assert plan.cells == 10 * 10 + 10 * 4 + 10  # (z before, z), (z, x), and where the two meet
    assert plan.multiply_adds >= 100
    assert "joint states of (z)" in repr(plan)
