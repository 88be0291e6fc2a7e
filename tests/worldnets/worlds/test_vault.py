import math

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.heads.inference import Posterior
from worldnets.inference import Inference
from worldnets.roles import outcome_count
from worldnets.temporal import frame_name
from worldnets.worlds.vault import LATENTS, vault

SHAPE = (3, 2, 2, 2)  # robber, door, diamond, tampering
STATES = math.prod(SHAPE)


class Chain:
    """The vault as a hidden Markov chain over its 24 joint latent states: every sum written out, no messages."""

    def __init__(self, world):
        template = world.template
        self.world, self.template = world, template
        self.shown = [v for v in template.variables if "pixel" in v]
        self.start = np.einsum("r,rd,rdm,rdmp->rdmp", *(template.initial.cpt(v) for v in LATENTS)).ravel()
        tables = (np.asarray(template.cpts[v]) for v in LATENTS)
        self.step = np.einsum("rds,dse,msn,psq->rdmpsenq", *tables).reshape(STATES, STATES)

    def emission(self, node, frame):
        """Probability of each state of an observed node, shape [latent states, states]."""
        net, axes = self.template.initial, dict(zip(LATENTS, range(4), strict=True))
        table, parents = net.cpt(node), net.parents(node)
        if "camera" in parents:
            direction = (int(np.argmax(net.cpt("camera"))) + frame - 1) % 3
            table, parents = table[direction], parents[1:]
        shape = [1, 1, 1, 1, 2]
        for v in parents:
            shape[axes[v]] = SHAPE[axes[v]]
        return np.broadcast_to(table.reshape(shape), (*SHAPE, 2)).reshape(STATES, 2)

    def joint_emission(self, nodes, frame):
        table = np.ones((STATES, 1))
        for node in nodes:
            table = (table[:, :, None] * self.emission(node, frame)[:, None, :]).reshape(STATES, -1)
        return table

    def pie(self, objective):
        """I_k = H(Y | last k − 1 frames) − H(Y | last k frames) in bits, enumerated over all contexts."""
        task = self.world.tasks[objective]
        context = len(task.ladders[task.targets[0].name])
        if objective == "question":
            answer = np.eye(2)[np.unravel_index(np.arange(STATES), SHAPE)[2]]
        else:
            answer = self.step @ self.joint_emission(self.shown, context + 1)
        prior = [self.start]
        for _ in range(context - 1):
            prior.append(prior[-1] @ self.step)
        entropies = [entropy(prior[-1][None] @ answer)]
        for k in range(1, context + 1):
            rows = prior[context - k][None]
            for frame in range(context - k + 1, context + 1):
                rows = rows if frame == context - k + 1 else rows @ self.step
                seen = self.joint_emission([*self.shown, "sensor"], frame)
                rows = (rows[:, None, :] * seen.T[None]).reshape(-1, STATES)
            entropies.append(entropy(rows @ answer))
        return -np.diff(entropies)


def entropy(joint):
    """H(Y | X) in bits of a joint table [x, y]."""
    given = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
    return float(-(joint * np.log2(np.where(joint > 0, given, 1.0))).sum())


@pytest.fixture(scope="module")
def pies():
    chain = Chain(load_dataset("vault").world)
    return {objective: chain.pie(objective) for objective in ("continuation", "question")}


@pytest.mark.parametrize("objective", ["continuation", "question"])
def test_at_the_defaults_hidden_state_matters(pies, objective):
    pie = pies[objective]
    assert pie.sum() >= 0.5
    assert 0.25 <= 1 - pie[0] / pie.sum() <= 0.75


@pytest.mark.parametrize("objective", ["continuation", "question"])
def test_at_the_defaults_there_is_a_deep_pie_for_a_verdict_and_the_border_is_not_by_a_hair(pies, objective):
    share = np.cumsum(pies[objective]) / pies[objective].sum()
    shallow = int(np.searchsorted(share, 0.5)) + 1
    assert pies[objective][shallow:].sum() > 0.2
    assert np.abs(share - 0.5).min() > 0.04


def test_at_the_defaults_every_context_can_be_enumerated():
    given = load_dataset("vault")
    for objective in given.objectives:
        task = given.task(objective)
        assert math.prod(len(given.net.states[v]) for v in task.evidence) <= 2**16
        assert all(outcome_count(given.net, target) <= 64 for target in task.targets)
    assert given.parameters["frames"] >= 6


def test_a_fixed_camera_puts_almost_all_of_the_next_frame_into_the_last_one():
    pie = Chain(vault(camera="fixed", noise=0.1, frames=3)).pie("continuation")
    assert 1 - pie[0] / pie.sum() < 0.15


@pytest.mark.parametrize("parameters", [{}, {"camera": "fixed", "pixels": 1, "frames": 4}, {"pace": 0.5, "lead": 0}])
def test_the_unrolled_net_has_the_posteriors_of_the_hidden_markov_chain(parameters):
    given = load_dataset("vault", **parameters)
    chain, net = Chain(given.world), given.net
    codes = given.simulate(20, seed=3)
    task = given.task("question")
    evidence = np.full_like(codes, -1)
    shown = [net.index[v] for v in task.evidence]
    evidence[:, shown] = codes[:, shown]
    context = len(task.ladders["diamond"])
    for row, belief in zip(
        codes, Inference(net).query(evidence, [f"diamond_{context}"])[f"diamond_{context}"], strict=True
    ):
        alpha = chain.start
        for frame in range(1, context + 1):
            alpha = alpha if frame == 1 else alpha @ chain.step
            for node in (*chain.shown, "sensor"):
                alpha = alpha * chain.emission(node, frame)[:, row[net.index[frame_name(node, frame)]]]
        expected = alpha.reshape(SHAPE).sum(axis=(0, 1, 3))
        assert belief == pytest.approx(expected / expected.sum(), abs=1e-9)


def test_what_happens_in_a_clip_is_what_the_story_says():
    given = load_dataset("vault", frames=12, tamper=0.2)
    table = given.sample(2000, seed=1)
    for t in range(2, 13):
        before, now = (table[[frame_name(v, s) for v in LATENTS]].set_axis(LATENTS, axis=1) for s in (t - 1, t))
        assert not ((before.diamond == "gone") & (now.diamond == "there")).any()
        assert not ((before.tampering == "picture") & (now.tampering == "none")).any()
        entered = (before.robber != "inside") & (now.robber == "inside")
        assert (before.robber[entered] == "at_door").all()
        assert (before.door[entered] == "open").all()
        for v, state in (("diamond", "gone"), ("tampering", "picture")):
            assert (now.robber[(now[v] == state) & (before[v] != state)] == "inside").all()
    last = table[[frame_name(v, 12) for v in LATENTS]].set_axis(LATENTS, axis=1)
    assert {("gone", "picture"), ("gone", "none"), ("there", "none"), ("there", "picture")} == set(
        zip(last.diamond, last.tampering, strict=True)
    )


def test_without_noise_the_picture_looks_like_the_diamond_to_everyone_but_the_sensor():
    given = load_dataset("vault", camera="fixed", pixels=1, noise=0, sensor_error=0, tamper=0.3)
    table = given.sample(3000, seed=2)
    fooled = (table.diamond_3 == "gone") & (table.tampering_3 == "picture")
    assert fooled.any()
    assert (table.diamond_pixel1_3[fooled] == "bright").all()
    assert (table.sensor_3[fooled] == "released").all()
    assert set(given.roles["hidden_from_labeller"]) == {f"sensor_{t}" for t in range(1, 7)}


def test_labellers_differ_in_what_they_see_and_in_what_they_know():
    video, sensor, wary = (load_dataset("vault", labeller=who) for who in ("video", "sensor", "wary"))
    assert all(np.array_equal(video.net.cpt(v), wary.net.cpt(v)) for v in video.net.variables)
    assert "labeller" not in video.parameters  # it came later: what was stored without it is still found
    assert load_dataset(**wary.spec).world.labeller.net.states == wary.world.labeller.net.states
    known = {who: set(given.world.labeller.net.states) for who, given in
             (("video", video), ("sensor", sensor), ("wary", wary))}  # fmt: skip
    assert "sensor_1" in known["sensor"]
    assert "tampering_1" not in known["video"] | known["sensor"]
    assert "tampering_1" in known["wary"]
    assert "sensor_1" not in known["wary"] | known["video"]
    assert wary.world.labeller.evidence == video.world.labeller.evidence
    assert set(sensor.world.labeller.evidence) == set(sensor.task("question").evidence)
    assert sensor.roles["hidden_from_labeller"] == ()
    assert wary.roles["hidden_from_labeller"] == video.roles["hidden_from_labeller"]
    # A wary labeller believes of the pixels exactly what is the case.
    clips = wary.simulate(200, 0)
    task = wary.task("question").targets
    both = [Posterior(net, wary.net, wary.world.labeller.evidence, task)(clips) for net in
            (wary.net, wary.world.labeller.net)]  # fmt: skip
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)


def test_a_panning_camera_turns_by_one_region_a_frame_and_is_no_evidence():
    given = load_dataset("vault", frames=7, context=4, next_view="person")
    table = given.sample(3)
    views = [table[f"camera_{t}"].unique().tolist() for t in range(1, 8)]
    assert views == [[v] for v in ["door", "person", "diamond", "door", "person", "diamond", "door"]]
    assert not any("camera" in v for v in given.task("continuation").evidence)


def test_the_ladder_goes_back_frame_by_frame():
    task = load_dataset("vault", frames=9, context=3, pixels=1).task("continuation")
    assert task.ladders["next_frame"] == (
        ("sensor_3", "pixel1_3"),
        ("sensor_2", "pixel1_2"),
        ("sensor_1", "pixel1_1"),
    )
    assert task.targets[0].variables == ("pixel1_4",)


def test_beliefs_handed_to_a_head_are_of_the_last_frame_and_never_the_answer():
    given = load_dataset("vault")
    assert given.task("continuation").latents == ("robber_5", "door_5", "diamond_5", "tampering_5")
    assert given.task("question").latents == ("robber_5", "door_5", "tampering_5")


def test_too_many_pixels_for_one_joint_target_become_a_target_each():
    given = load_dataset("vault", frames=12, pixels=3, camera="fixed")
    targets = given.task("continuation").targets
    assert [len(target.variables) for target in targets] == [1] * 9
    assert [str(result) for result in check_dataset(given) if not result.ok] == []
    assert len(load_dataset("vault", pixels=6).task("continuation").targets) == 1


def test_slowing_everything_down_slows_every_change():
    chain, slow = Chain(vault(lead=0)), Chain(vault(lead=0, pace=0.5))
    assert (np.diag(slow.step) >= np.diag(chain.step)).all()
    assert np.array_equal(Chain(vault(pace=0)).step, np.eye(STATES))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"frames": 1}, "'frames' out of range; found 1; expected a whole number from 2 to 200"),
        ({"context": 6}, "'context' out of range; found 6; expected a whole number from 1 to 5"),
        ({"pixels": 0}, "'pixels' out of range"),
        ({"noise": 0.6}, "'noise' out of range; found 0.6; expected a number from 0 to 0.5"),
        ({"tamper": -0.1}, "'tamper' out of range"),
        ({"camera": "pan"}, "'camera' out of range; found 'pan'. Mend: .*panning"),
        ({"next_view": "dor"}, "did you mean 'door'"),
        ({"enter": 0.7, "leave": 0.6}, "more than certain; found enter \\+ leave = 1.3"),
        ({"lead": 1001}, "'lead' out of range"),
        ({"pace": "slow"}, "'pace' out of range"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_mend(parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("vault", **parameters)
    assert caught.value.mend
    assert caught.value.node == "vault"


@pytest.mark.parametrize("camera", ["panning", "fixed"])
def test_the_labeller_believes_in_the_vault_without_tampering_and_without_a_sensor(camera):
    """H(v | pixels) is W(v | pixels) of a vault in which no one ever tampers, for whatever both know."""
    world, honest = vault(4, camera=camera), vault(4, camera=camera, tamper=0.0)
    believed, pixels = world.labeller.net, world.labeller.evidence
    assert not {v.rsplit("_", 1)[0] for v in believed.variables} & {"tampering", "sensor"}
    assert all("pixel" in v for v in pixels)
    assert {v.rsplit("_", 1)[1] for v in pixels} == {"1", "2", "3"}
    clips = load_dataset("vault", frames=4, camera=camera, tamper=0.0).simulate(40, 0)
    seen = {v: clips[:, honest.net.index[v]] for v in pixels}
    beliefs = []
    for net in (believed, honest.net):
        codes = np.full((len(clips), len(net.variables)), -1, dtype=np.int16)
        for v, column in seen.items():
            codes[:, net.index[v]] = column
        beliefs.append(Inference(net).query(codes))
    for v in ("robber_3", "diamond_3", "diamond_4"):
        np.testing.assert_allclose(beliefs[0][v], beliefs[1][v], atol=1e-12)
    np.testing.assert_allclose(beliefs[0].log_evidence, beliefs[1].log_evidence, atol=1e-12)


def test_frames_hold_what_is_observed_sensor_first():
    world = vault(3, pixels=1)
    assert world.frames == tuple((f"sensor_{t}", f"pixel1_{t}") for t in (1, 2, 3))
