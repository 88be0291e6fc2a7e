"""Where heads are asked: exact references beside each other, and worlds in which no one can be fooled."""

from dataclasses import replace

import numpy as np
import pytest

from probes.reporter.costs import costs
from probes.reporter.rows import DIRECT, HIDDEN, HUMAN, PRIOR, TRAINED_IN, Sampling, evaluation_world, rows_of
from worldnets import Inference, WorldNet, load_dataset
from worldnets.dataset import Dataset
from worldnets.errors import DatasetError, ProbeError
from worldnets.roles import Labeller, World

SMALL = {"frames": 4, "pixels": 1, "sensor_error": 0.25, "tamper": 0.3}


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", **SMALL)


def asked(dataset, sampling=None, trained_in=None):
    task = dataset.task("question")
    return rows_of(dataset, task, task.targets[0], sampling or Sampling(), trained_in)


def of_world(dataset, **changes):
    world = dataset.world
    parts = {"labeller": world.labeller, **changes}
    return Dataset("other", {}, World(world.net, world.tasks, world.roles, world.template, world.frames, **parts))


def test_references_are_posteriors_of_either_net(vault):
    rows = asked(vault)
    assert rows.shares.shape == (1, 2**6)
    assert rows.shares.sum() == pytest.approx(1)
    net, row = vault.net, 11
    belief = Inference(net).query(rows.codes[row : row + 1])["diamond_3"][0]
    np.testing.assert_allclose(rows.direct[row], belief, atol=1e-9)
    human = vault.world.labeller
    seen = np.full((1, len(human.net.variables)), -1, dtype=np.int16)
    seen[0, [human.net.index[v] for v in human.evidence]] = rows.codes[row, [net.index[v] for v in human.evidence]]
    np.testing.assert_allclose(rows.human[row], Inference(human.net).query(seen)["diamond_3"][0], atol=1e-9)
    assert list(rows.references) == [DIRECT, HUMAN, HIDDEN, PRIOR]
    np.testing.assert_allclose(rows.references[PRIOR], (rows.shares[0] @ rows.direct)[None].repeat(len(rows.codes), 0))


def test_tampered_clips_have_the_worlds_own_share(vault):
    rows = asked(vault)
    clips = vault.simulate(40_000, 3)
    tampered = clips[:, vault.net.index["tampering_3"]] == 1
    gone = clips[:, vault.net.index["diamond_3"]] == 1
    found = rows.shares[0] @ rows.tampered
    np.testing.assert_allclose(found, [(tampered & ~gone).mean(), (tampered & gone).mean()], atol=0.01)


def test_sampled_rows_come_near_to_enumerated_ones(vault):
    exact, sampled = asked(vault), asked(vault, Sampling(method="sample", clips=16_000, groups=8))
    assert sampled.shares.shape[0] == 8
    np.testing.assert_allclose(sampled.shares.sum(1), 1)
    apart = [rows.shares.mean(0)[rows.apart].sum() for rows in (exact, sampled)]
    assert apart[1] == pytest.approx(apart[0], abs=0.02)


def test_a_labeller_who_sees_the_sensor_has_nothing_hidden_and_a_wary_one_knows_of_tampering():
    sensor, wary = (asked(load_dataset("vault", **SMALL, labeller=who)) for who in ("sensor", "wary"))
    assert HIDDEN not in sensor.references
    video = asked(load_dataset("vault", **SMALL))
    share = lambda rows: rows.shares[0][rows.apart].sum()
    assert share(wary) < share(video)
    assert share(sensor) != share(wary)


def test_heads_are_asked_in_another_world_than_they_were_trained_in():
    honest = load_dataset("vault", **{**SMALL, "tamper": 0.0})
    sampling = Sampling(evaluation={"tamper": 0.3})
    world = evaluation_world(honest, sampling)
    assert world.parameters["tamper"] == 0.3
    rows = asked(world, sampling, honest)
    here = Inference(honest.net).query(rows.codes, ["diamond_3"])["diamond_3"]
    np.testing.assert_allclose(rows.references[TRAINED_IN], here, atol=1e-9)
    assert evaluation_world(honest, Sampling()) is honest
    with pytest.raises(ProbeError, match="other nodes"):
        evaluation_world(honest, Sampling(evaluation={"pixels": 2}))
    with pytest.raises(DatasetError, match="tamper"):
        evaluation_world(honest, Sampling(evaluation={"tampre": 0.2}))


def test_a_world_without_a_labeller_is_refused():
    with pytest.raises(ProbeError, match="no labeller"):
        asked(load_dataset("cue_parity"))


def test_a_labellers_net_with_unknown_variables_is_refused(vault):
    bit = {"mood": ("good", "bad")}
    stranger = WorldNet(bit, {}, {"mood": [0.5, 0.5]})
    with pytest.raises(DatasetError, match="mood"):
        of_world(vault, labeller=Labeller(stranger, ("mood",)))
    with pytest.raises(ProbeError, match="does not know what is asked"):
        asked(of_world(vault, labeller=Labeller(stranger, ())))


def test_a_labeller_who_is_always_right_leaves_nothing_to_tell_apart(vault):
    task = vault.task("question")
    right = of_world(vault, labeller=Labeller(vault.net, task.evidence))
    with pytest.raises(ProbeError, match=r"no clip on which.*at most 0\.0000 nats apart.*hide something"):
        asked(right)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "enumarate"}, "did you mean 'enumerate'"),
        ({"apart": 0.0}, "nothing could be told apart"),
        ({"floor": 0.5}, "nothing could be told apart"),
        ({"groups": 1}, "too few clips"),
        ({"evaluation": 3}, "no table"),
    ],
)
def test_sampling_that_measures_nothing_is_refused(changes, message):
    with pytest.raises(ProbeError, match=message):
        replace(Sampling(), **changes)


def test_outcomes_and_floors_fit_the_target(vault):
    with pytest.raises(ProbeError, match=r"no such outcome.*found 2.*expected 0 to 1"):
        asked(vault, Sampling(outcome=2))
    large = load_dataset("vault")
    with pytest.raises(ProbeError, match="too much evidence to enumerate"):
        asked(load_dataset("vault", frames=9), Sampling(method="enumerate"))
    assert large.roles["tampering"][-1] == "tampering_6"


def test_simulating_a_human_who_knows_less_is_less_work_than_translating(vault):
    found = costs(vault)
    assert found[HUMAN].multiply_adds < found[DIRECT].multiply_adds
    wary = costs(load_dataset("vault", **SMALL, labeller="wary"))
    assert wary[HUMAN].multiply_adds > found[HUMAN].multiply_adds
    chain = of_world(vault, labeller=Labeller(vault.net, vault.task("question").evidence))
    assert costs(chain)[HUMAN] == costs(chain)[DIRECT]
    with pytest.raises(ProbeError, match="no labeller"):
        costs(load_dataset("cue_parity"))
