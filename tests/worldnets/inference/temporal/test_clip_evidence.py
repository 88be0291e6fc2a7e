"""What evidence and which questions the temporal engine takes, and what its answers cost."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from tests.worldnets.inference.temporal.two_slice import hidden_markov, hmm_clip
from worldnets.errors import EvidenceError, QueryError
from worldnets.inference import TemporalInference
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet, frame_name


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
