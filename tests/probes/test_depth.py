"""The depth probe from trace to verdict: cells, groups of seeds, findings, and the untrained head that must not look
deep.
"""

from dataclasses import replace

import numpy as np
import pytest

from probes.catalogue.depth import DepthProbe, measure_heads, pack, unpack
from probes.ladder import References, Sampling, reference
from probes.organisms import organism
from probes.organisms.base import STEPS, Noise
from probes.organisms.mixtures import hidden_chain
from probes.registry import names, probe
from probes.sources import DatasetSource
from probes.verdict import Settings
from tests.stored import stored
from worldnets.dataset import load_dataset
from worldnets.errors import ProbeError, UnknownNameError
from worldnets.growth import Growth, Stage
from worldnets.training import train

WORLD = hidden_chain()
SMALL = Sampling(clips=128, candidates=512, pool=256, holders=32, partners=32, groups=8)


def cell(name, seeds, noise=None, seed=0):
    q = organism(name).log_q(WORLD, 1, 16, noise or Noise(), np.random.default_rng(seed))[:, list(seeds)]
    return pack([measure_heads(WORLD, "bit", seeds, STEPS, lambda checkpoint: q[checkpoint])], "depth", 1)


@pytest.fixture(scope="module")
def trace():
    import worldnets as wn

    return wn.train(
        load_dataset("cue_parity"), head="mlp", objective="question", seeds=2, steps=60, checkpoints=[0, 1, 40, 60]
    )


def test_the_probe_is_found_by_name():
    assert "depth" in names()
    assert probe("depth").name == "depth"
    with pytest.raises(UnknownNameError, match="depth"):
        probe("dept")


def test_a_cell_that_was_stored_concludes_the_same():
    measured = cell("deepening", range(8))
    fresh, back = (DepthProbe().conclude([c]) for c in (measured, stored(measured)))
    assert [f.to_dict() for f in fresh] == [f.to_dict() for f in back]
    assert fresh.verdict.to_dict() == back.verdict.to_dict()
    assert fresh.verdict.name == "deepening"


def test_the_order_of_the_cells_does_not_matter():
    groups = [cell("deepening", range(8)), cell("deepening", range(8, 16))]
    one, other = DepthProbe().conclude(groups), DepthProbe().conclude(groups[::-1])
    assert [f.to_dict() for f in one] == [f.to_dict() for f in other]
    assert one.verdict.to_dict() == other.verdict.to_dict()
    assert one.verdict.seeds == 16


def test_cells_that_do_not_belong_together_are_refused():
    one = cell("deepening", range(8))
    with pytest.raises(ProbeError, match="measured twice"):
        DepthProbe().conclude([one, one])
    with pytest.raises(ProbeError, match="nothing was measured"):
        DepthProbe().conclude([])
    with pytest.raises(ProbeError, match="not a cell"):
        DepthProbe().conclude([{"metadata": {"probe": "other"}, "arrays": {}}])


def test_a_diverged_seed_is_left_out_of_findings_and_verdict():
    q = organism("always_shallow").log_q(WORLD, 1, 8, Noise())
    q[6:, 3] = np.nan
    found = DepthProbe().conclude([pack([measure_heads(WORLD, "bit", range(8), STEPS, lambda t: q[t])], "depth", 1)])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("stagnating", 7, 1)
    assert found.named("efficiency, deep")[-1].value.n == 7


def test_findings_of_a_perfect_head_are_the_worlds_own():
    found = DepthProbe().conclude([cell("perfect", range(4), Noise(0.0, field=0.0))])
    about = WORLD.about
    for k in range(4):
        captured = [f for f in found.named("captured bits") if f.rung == k + 1][-1]
        assert captured.value.estimate == pytest.approx(about.information[k], abs=1e-9)
        own = [f for f in found.named("own bits") if f.rung == k + 1][-1]
        assert own.value.estimate == pytest.approx(about.own_ceiling[k], abs=1e-9)
    assert found.named("depth")[-1].value.estimate == pytest.approx(about.attainable_depth)
    assert {f.value.kind for f in found.named("information")} == {"exact"}
    assert all(f.value.estimate == pytest.approx(1.0) for f in found.named("regression weight"))


def test_a_trace_is_measured_the_same_twice_and_at_step_zero_it_is_not_deep(trace):
    calls = []
    depth = DepthProbe()
    first = depth.measure(trace, lambda done, total: calls.append((done, total)))
    again = DepthProbe().measure(trace)
    for name, array in first["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    found = depth.conclude([first])
    assert found.named("information")[0].value.estimate == pytest.approx(0.859, abs=1e-3)
    start = found.named("efficiency, deep")[0]
    assert (start.step, start.value.estimate < 0.1) == (0, True)
    assert not [f for f in found.named("depth") if f.step == 0]  # no bits, no depth
    frame = found.to_pandas()
    assert {"name", "target", "estimate", "low", "high", "level", "kind", "n"} <= set(frame.columns)
    assert found.plot() is not None


def test_a_random_head_has_no_depth_at_all():
    random = np.random.default_rng(0)
    q = 2 * random.normal(size=(3, 8, 16, 2))
    q -= np.log(np.exp(q).sum(-1, keepdims=True))
    found = DepthProbe().conclude(
        [pack([measure_heads(WORLD, "bit", range(8), np.array([0, 1, 2]), lambda t: q[t])], "depth", 1)]
    )
    assert found.verdict.name == "untrained"
    assert "deep" not in found.verdict.name


def test_a_twin_dataset_has_nothing_to_capture_on_the_redrawn_rung():
    dataset = load_dataset("cue_parity")
    twin = dataset.with_redrawn(["cue"])
    about = reference(twin, twin.task("question"), "answer").about
    np.testing.assert_allclose(about.information, [0.0, 0.859], atol=1e-3)
    assert about.own_ceiling[1] == pytest.approx(0.859, abs=1e-3)


def test_sampling_a_dataset_agrees_with_enumerating_it():
    dataset = load_dataset("cue_parity")
    source = DatasetSource(dataset, dataset.task("question"))
    rungs = dataset.task("question").ladders["answer"]
    exact = References(source).get(rungs, "answer")
    some = References(source, Sampling(method="sample", clips=512)).get(rungs, "answer")
    np.testing.assert_allclose(some.about.information, exact.about.information, atol=0.02)
    places = {row.tobytes(): i for i, row in enumerate(exact.inputs)}
    q = np.log(exact.ladder[-1])[[places[row.tobytes()] for row in some.inputs]]
    np.testing.assert_allclose(some.measure(q).efficiency(some.about, [1, 2]), 1.0, atol=0.05)


def test_the_world_models_own_curve_is_measured_where_it_is_not_the_truth():
    import worldnets as wn

    dataset = load_dataset("vault", frames=3)
    net = dataset.net
    blurred = {v: 0.8 * net.cpt(v) + 0.2 / len(net.states[v]) for v in net.variables}
    model = wn.WorldNet(net.states, net.parent_sets, blurred)
    options = {"objective": "question", "inputs": "beliefs", "seeds": 1, "steps": 2, "checkpoints": [0, 1, 2]}
    oracle, learned = (wn.train(dataset, head="linear", world_model=w, **options) for w in (None, model))
    cells = [DepthProbe().measure(trace) for trace in (oracle, learned)]
    ends = [DepthProbe().conclude([c]).named("efficiency, world-model")[-1].value.estimate for c in cells]
    assert ends[0] == 1.0
    assert 0.0 < ends[1] < 0.95
    found = DepthProbe().conclude([cells[1]], Settings(ceiling="world-model")).verdict
    assert (found.ceiling, found.ceiling_kind) == (pytest.approx(ends[1]), "world-model")


class Growing:
    """Beliefs of one world-model until a training step, and of another from there on."""

    def __init__(self, first, then, step):
        self.first, self.then, self.step = first, then, step

    def __getattr__(self, name):
        return getattr(self.then, name)

    def at(self, training_step):
        return self.first if training_step < self.step else self.then


def test_a_world_model_that_grows_has_its_own_efficiency_at_every_checkpoint():
    import worldnets as wn

    dataset = load_dataset("vault", frames=3)
    net = dataset.net
    blurred = {v: 0.8 * net.cpt(v) + 0.2 / len(net.states[v]) for v in net.variables}
    model = wn.WorldNet(net.states, net.parent_sets, blurred)
    options = {"objective": "question", "inputs": "beliefs", "seeds": 2, "steps": 4, "checkpoints": [0, 2, 4]}
    fixed = wn.train(dataset, head="linear", world_model=model, **options)
    other = wn.train(dataset, head="linear", **options)
    grown = replace(fixed, plan=replace(fixed.plan, inputs=Growing(fixed.inputs, other.inputs, 3)))
    cell = stored(DepthProbe().measure(grown))
    assert cell["metadata"]["format"] == 2
    assert DepthProbe().measure(fixed)["metadata"]["format"] == 1
    own = [f.value.estimate for f in DepthProbe().conclude([cell]).named("efficiency, world-model")]
    assert own[0] == own[1] < 0.95
    assert own[2] == 1.0
    # What is measured at a step is what the head was given then.
    before = unpack(DepthProbe().measure(fixed))[0].pie.rung_loss[:2]
    np.testing.assert_array_equal(unpack(cell)[0].pie.rung_loss[:2], before)
    halves = [DepthProbe().of_seeds(cell, {seed}) for seed in (1, 0)]
    assert DepthProbe().conclude(halves).verdict.to_dict() == DepthProbe().conclude([cell]).verdict.to_dict()
    with_ceiling = DepthProbe().conclude([cell], Settings(ceiling="world-model")).verdict
    assert with_ceiling.ceiling == 1.0


def test_a_stage_that_passes_one_round_of_messages_knows_its_neighbours_only():
    import worldnets as wn

    dataset = load_dataset("vault", frames=3)
    net = dataset.net
    model = wn.WorldNet(net.states, net.parent_sets, net.cpts)
    options = {"objective": "question", "inputs": "beliefs", "seeds": 1, "steps": 1, "checkpoints": [0, 1]}
    trace = wn.train(dataset, head="linear", world_model=model, **options)

    def own(evidence, rounds):
        growth = Growth((Stage("only", 1, model, evidence, rounds),))
        staged = wn.train(dataset, head="linear", world_model=growth, **options)
        return unpack(DepthProbe().measure(staged))[0].model[-1]

    last = tuple(v for v in trace.task.evidence if v.endswith("_2"))
    assert own(last, None)[1] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(own(None, None), unpack(DepthProbe().measure(trace))[0].about.information, atol=1e-9)
    # One round of messages reaches the neighbours of what is asked for, not the frame before.
    assert own(None, 1)[1] < 0.5 * own(None, None)[1]


def test_stepping_heads_and_world_models_are_measured_like_any_head():
    import worldnets as wn

    dataset = load_dataset("vault", frames=3, pixels=1)
    options = {"objective": "question", "seeds": 2, "steps": 2, "batch": 8, "checkpoints": [0, 2]}
    trace = wn.train(dataset, head="inference", **options)
    found = DepthProbe().run(trace)
    assert found.named("efficiency, deep")[-1].value.estimate == pytest.approx(1, abs=1e-6)
    learned = DepthProbe().run(wn.train(dataset, head="world_model", **options))
    assert learned.named("efficiency, deep")[-1].value.estimate < 0.9


def test_alarm_is_sampled_and_its_exact_predictor_captures_it():
    dataset = load_dataset("alarm")
    task = dataset.task("question")
    target = task.targets[0].name
    source = DatasetSource(dataset, task)
    some = References(source, SMALL).get(task.ladders[target], target)
    assert some.about.clips == 128
    belief = source.posterior(some.inputs, target)[1]
    pie = some.measure(np.log(np.maximum(belief, 1e-300)))
    rungs = range(1, len(some.about.information) + 1)
    error = pie.mc_error(some.about, rungs)
    assert abs(pie.efficiency(some.about, rungs) - 1) < max(4 * error, 0.03)


@pytest.mark.parametrize("frames", [3, 8])
def test_no_bit_depends_on_how_many_checkpoints_are_measured_at_once(frames, monkeypatch):
    dataset = load_dataset("vault", frames=frames)
    trace = train(dataset, "mlp", seeds=range(2), steps=20, checkpoints=4)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("WORLDNETS_THREADS", threads)
        found.append(DepthProbe(SMALL).measure(trace))
    assert found[0]["metadata"] == found[1]["metadata"]
    for name, array in found[0]["arrays"].items():
        np.testing.assert_array_equal(array, found[1]["arrays"][name], err_msg=name)
