"""Counting clips under many tables at once, and the M step over time."""

import numpy as np
import pytest

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference import Inference, TemporalInference, expected_counts, reestimate, simulate
from worldnets.inference.temporal import chain as chain_module
from worldnets.inference.temporal.counts import clip_counter
from worldnets.inference.temporal.evidence import clip_codes
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet


def hidden_markov(seed, hidden=3, symbols=4):
    random = np.random.default_rng(seed)
    states = {"z": tuple(range(hidden)), "x": tuple(range(symbols))}
    show = random.dirichlet(np.ones(symbols), hidden)
    initial = WorldNet(states, {"x": ["z"]}, {"z": random.dirichlet(np.ones(hidden)), "x": show})
    return TwoSliceNet(
        initial, {"z": ["z[t-1]"], "x": ["z"]}, {"z": random.dirichlet(np.ones(hidden), hidden), "x": show}
    )


def clips_of(net, rows, frames, seed=0, hidden=("z",), missing=0.0):
    codes = simulate(net.unroll(frames), rows, seed).reshape(rows, frames, -1).copy()
    codes[:, :, [net.variables.index(v) for v in hidden]] = -1
    codes[np.random.default_rng(seed).random(codes.shape) < missing] = -1
    return codes


def counter_of(net, codes, threads=1):
    clip = clip_codes(net, codes)
    rows = len(codes)
    return clip_counter(net, clip, np.full(rows, len(clip)), np.ones(rows), threads, 2**30)


def test_a_column_of_tables_has_the_same_bits_alone_among_others_and_on_any_number_of_threads(monkeypatch):
    net = hidden_markov(0)
    codes = clips_of(net, 400, 12, missing=0.1)
    monkeypatch.setattr(chain_module, "CHUNK_FRAMES", 512)  # several chunks for the threads
    monkeypatch.setattr(chain_module, "SUMMED_CELLS", 1000)  # but not as many as there might be
    counter = counter_of(net, codes)
    columns = np.stack([counter.layout.entries(n.initial.cpts, n.cpts) for n in map(hidden_markov, range(5))], axis=1)
    counts, log_evidence = counter.count(columns)
    for column in range(5):
        alone, log_alone = counter_of(net, codes, threads=2).count(columns[:, column : column + 1])
        assert np.array_equal(alone[:, 0], counts[:, column])
        assert np.array_equal(log_alone[:, 0], log_evidence[:, column])
        assert np.array_equal(counter.log_evidence(columns)[:, column], log_evidence[:, column])


def test_chains_go_through_long_clips_with_little_memory_and_the_same_bits(monkeypatch):
    net = hidden_markov(1)
    codes = clips_of(net, 3, 700)
    counter = counter_of(net, codes)
    columns = np.stack([counter.layout.entries(n.initial.cpts, n.cpts) for n in map(hidden_markov, range(3))], axis=1)
    at_once = counter.count(columns)
    monkeypatch.setattr(chain_module, "KEPT_CELLS", 1)  # one column at a time
    for a, b in zip(at_once, counter.count(columns), strict=True):
        assert np.array_equal(a, b)


def test_frames_so_improbable_that_scaling_fails_are_counted_in_log_space():
    tiny = 1e-250
    states = {"z": (0, 1), "x": (0, 1)}
    show = [[1 - tiny, tiny], [1 - tiny, tiny]]
    initial = WorldNet(states, {"x": ["z"]}, {"z": [0.5, 0.5], "x": show})
    net = TwoSliceNet(initial, {"z": ["z[t-1]"], "x": ["z"]}, {"z": [[0.9, 0.1], [0.2, 0.8]], "x": show})
    codes = np.array([[[-1, 1]] * 3, [[-1, 0]] * 3], dtype=np.int16)
    counts = TemporalInference(net).expected_counts(codes)
    assert counts.log_evidence[0] == pytest.approx(3 * np.log(tiny))
    np.testing.assert_allclose(counts.transition["x"][:, 1].sum(), 2.0)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_steps_of_em_over_time_never_lower_the_likelihood(missing):
    truth, net = hidden_markov(2), hidden_markov(3)
    codes = clips_of(truth, 200, 8, missing=missing)
    reached = []
    for _ in range(15):
        counts = TemporalInference(net).expected_counts(codes)
        reached.append(counts.log_evidence.sum())
        net = reestimate(net, counts)
    assert np.all(np.diff(reached) > 0)
    assert np.array_equal(net.initial.cpt("x"), net.cpts["x"])  # the emission is one table


def test_the_m_step_over_time_is_that_of_the_unrolled_net_where_no_table_is_shared():
    net = hidden_markov(4)
    codes = clips_of(net, 50, 2)
    again = reestimate(net, TemporalInference(net).expected_counts(codes), pseudocount=0.5, tied=False)
    flat = net.unroll(2)
    expected = reestimate(flat, expected_counts(Inference(flat), codes.reshape(50, -1)), pseudocount=0.5)
    for t, tables in ((1, again.initial.cpts), (2, again.cpts)):
        for v in net.variables:
            np.testing.assert_allclose(tables[v], expected.cpt(f"{v}_{t}"), atol=1e-12)


def test_counts_of_another_kind_of_net_and_negative_ones_are_refused():
    net = hidden_markov(5)
    codes = clips_of(net, 10, 2)
    counts = TemporalInference(net).expected_counts(codes)
    with pytest.raises(QueryError, match="counts of another kind of net"):
        reestimate(net.initial, counts)
    with pytest.raises(EvidenceError, match="counts must not be negative"):
        reestimate(net, TemporalInference(net).expected_counts(codes, weights=-np.ones(10)))
    with pytest.raises(EvidenceError, match="weights do not fit the rows"):
        TemporalInference(net).expected_counts(codes, weights=np.ones(9))
