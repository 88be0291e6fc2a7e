"""Results no one here chose, in reduced form; `benchmarks/known_answers_j.py` has the whole table.

A cue against a parity: an MLP 2×64 by plain SGD .05, batch 128. For as long as the twin, whose cue says
nothing, takes to learn the parity, and longer, the head that has the cue behaves as if the parity were not there.
"""

import numpy as np
import pytest

import probes
from probes.ladder import reference
from worldnets import load_dataset, train

STEPS = (0, 16, 200, 800, 1067, 1600)
DEEP = 1  # the second rung: the parity's bits


@pytest.fixture(scope="module")
def traces():
    base = load_dataset("cue_parity")
    return {
        name: train(
            dataset, "mlp", "question", optimizer="sgd", learning_rate=0.05, seeds=8, steps=STEPS[-1], checkpoints=STEPS
        )
        for name, dataset in {"base": base, "twin": base.with_redrawn(["cue"])}.items()
    }


def own_bits(trace):
    """Own bits of the deep rung, mean over seeds, by step."""
    about = reference(trace.dataset, trace.task, "answer")
    features = trace.inputs.features(about.inputs)
    pies = (about.measure(trace.predict_features(features, c, "answer")) for c in range(len(STEPS)))
    return dict(zip(STEPS, (float(pie.own[:, DEEP].mean()) for pie in pies), strict=True))


def test_the_pie_and_the_ceilings_of_own_bits_are_the_published_ones(traces):
    about = {name: reference(trace.dataset, trace.task, "answer").about for name, trace in traces.items()}
    np.testing.assert_allclose(about["base"].information, [0.859, 0.097], atol=5e-4)
    assert about["base"].own_ceiling[DEEP] == pytest.approx(0.553, abs=5e-4)
    assert about["twin"].own_ceiling[DEEP] == pytest.approx(0.859, abs=5e-4)


def test_the_twin_has_the_parity_long_before_the_base_has_any_of_it(traces):
    base, twin = own_bits(traces["base"]), own_bits(traces["twin"])
    assert twin[200] < 0.1
    assert 0.65 < twin[800] < 0.85
    assert 0.84 < twin[1600] < 0.859
    assert max(base.values()) < 0.02


def test_after_1600_steps_the_verdict_on_the_base_is_stagnating(traces):
    assert probes.probe("depth").run(traces["base"]).verdicts["answer"].name == "stagnating"


def test_a_bayes_head_has_all_the_own_bits_there_are(traces):
    about = reference(traces["base"].dataset, traces["base"].task, "answer")
    with np.errstate(divide="ignore"):
        bayes = about.measure(np.log(about.ladder[-1]))
    np.testing.assert_allclose(bayes.own, about.about.own_ceiling, atol=1e-12)
