"""Learned message passing beside the linear head: the benchmark's figures, in a form short enough for every release."""

import numpy as np
import pytest

import worldnets as wn
from probes.catalogue.depth import DepthProbe
from probes.statistics import t_interval


@pytest.fixture(scope="module")
def module(benchmark):
    return benchmark("learned_messages")


@pytest.mark.slow
def test_trained_on_the_vault_it_beats_the_linear_head_on_the_deep_rungs(module):
    dataset, probe = wn.load_dataset("vault"), DepthProbe()
    linear, messages = (
        module.reached(dataset, "continuation", condition, probe, steps=500, seeds=8)
        for condition in module.CONDITIONS
        if condition.title in ("linear", "message_passing, frames as clusters")
    )
    assert abs(messages.start.mean()) < 0.05  # before training it knows nothing of the deep rungs
    assert t_interval(messages.deep - linear.deep).low > 0.03


def test_at_the_worlds_own_tables_a_chain_of_frames_has_all_of_the_deep_rungs(module):
    dataset, probe = wn.load_dataset("vault", frames=4), DepthProbe()
    found = module.untrained(dataset, "question", probe, {"exact": {"clusters": "frames"}})
    assert found["exact"] == pytest.approx(1.0, abs=1e-4)


def test_the_table_pairs_heads_by_seed(module):
    deep = np.array([0.5, 0.6, 0.7])
    conditions = module.CONDITIONS[:2]
    results = [
        module.Result(conditions[0], 0.003, deep, np.zeros(3), None, 1.0),
        module.Result(conditions[1], 0.03, deep + 0.1, np.zeros(3), 8, 2.0),
    ]
    *_, last = module.table(results)
    assert "0.100 [0.100, 0.100]" in last
    assert "| 8 |" in last
