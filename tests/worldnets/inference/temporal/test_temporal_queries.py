"""Temporal queries against the unrolled net: filtering, smoothing, lags, rollout, counts, streams."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worldnets.inference.temporal.two_slice import (
    check_frame,
    check_log,
    clips,
    seen_until,
    two_slice_nets,
    unrolled,
)
from worldnets.inference import UNOBSERVED, TemporalInference
from worldnets.inference.temporal import contraction
from worldnets.inference.temporal.counts import by_messages
from worldnets.inference.temporal.evidence import clip_codes
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name


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
