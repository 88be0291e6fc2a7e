"""The ladder's references: identities on worlds that can be written down, and the sampled reference against the
enumerated one.
"""

import json
from dataclasses import asdict

import numpy as np
import pytest

import worldnets as wn
from probes.catalogue.depth import DepthProbe, conclude_target, measure_heads
from probes.enumerated import EnumeratedReference, enumerated
from probes.ladder import References, Sampling, check_rungs, checked_rungs, reference, references
from probes.sources import TableSource
from probes.verdict import Settings
from worldnets.errors import DatasetError, ProbeError
from worldnets.roles import distance_ladder


def random_world(random, rungs=None):
    """A joint table with impossible contexts and impossible outcomes among the rest."""
    shape = tuple(random.integers(2, 5, rungs or random.integers(1, 4)))
    table = random.gamma(0.4, size=(*shape, random.integers(2, 4)))
    table *= random.random(shape)[..., None] > 0.2
    table *= random.random(table.shape) > 0.1
    return table if table.sum() > 0 else np.ones((*shape, 2))


def random_heads(random, reference, heads=3, scale=2.0):
    q = scale * random.normal(size=(heads, len(reference.inputs), reference.outcomes))
    return q - np.log(np.exp(q).sum(-1, keepdims=True))


def mixture(reference, weights):
    """Heads log q ∝ log p_0 + Σ w_k (log p_k − log p_{k−1}), one per row of weights."""
    logs = np.log(np.maximum(reference.ladder, 1e-12))
    q = logs[0] + np.tensordot(np.asarray(weights, dtype=float), np.diff(logs, axis=0), axes=1)
    return q - np.log(np.exp(q).sum(-1, keepdims=True))


def cue_and_parity(strength=0.98, redrawn=False):
    """known-answers J without its noise bits: [cue, 3 fair bits, answer]."""
    cue = np.full((2, 2), 0.5) if redrawn else np.array([[strength, 1 - strength], [1 - strength, strength]])
    parity = np.array([bin(bits).count("1") % 2 for bits in range(8)])
    deep = np.where(parity[:, None] == np.arange(2), 0.98, 0.02) / 4
    return 0.5 * np.einsum("sy,by->sby", cue, deep)


def test_captured_bits_never_exceed_rung_information_and_lost_bits_add_up_on_1000_random_worlds():
    random = np.random.default_rng(0)
    for _ in range(1000):
        reference = EnumeratedReference(random_world(random))
        about, q = reference.about, random_heads(random, reference)
        pie = reference.measure(q)
        assert (pie.captured <= about.information + 1e-9).all()
        joint = reference.weight[:, None] * reference.ladder[-1]
        truth = np.log2(np.where(joint > 0, reference.ladder[-1], 1.0))
        excess = (joint * (truth - q / np.log(2))).sum((-1, -2))
        lost = pie.rung_divergence[:, 0] + (about.information - pie.captured).sum(-1)
        np.testing.assert_allclose(lost, excess, atol=1e-9)
        np.testing.assert_allclose(pie.rung_divergence[:, -1], excess, atol=1e-9)


def test_rung_information_sums_to_the_mutual_information():
    random = np.random.default_rng(1)
    for _ in range(200):
        table = random_world(random)
        joint = table.reshape(-1, table.shape[-1]) / table.sum()
        product = joint.sum(1, keepdims=True) * joint.sum(0)
        seen = joint > 0
        mutual = (joint[seen] * np.log2(joint[seen] / product[seen])).sum()
        assert EnumeratedReference(table).about.information.sum() == pytest.approx(mutual, abs=1e-9)


def test_captured_bits_are_what_restricting_the_head_by_hand_gives():
    random = np.random.default_rng(2)
    table = random.random((3, 2, 4, 3))
    reference = EnumeratedReference(table)
    q = random_heads(random, reference, 1)
    joint = (table / table.sum()).reshape(3, 8, 3)
    weight = joint.sum(-1)
    restricted = (np.exp(q[0]).reshape(3, 8, 3) * weight[..., None]).sum(1) / weight.sum(1)[:, None]
    prior = (np.exp(q[0]).reshape(24, 3) * weight.reshape(24, 1)).sum(0)
    gained = (joint.sum(1) * (np.log2(restricted) - np.log2(prior))).sum()
    assert reference.measure(q).captured[0, 0] == pytest.approx(gained, abs=1e-12)


def test_a_perfect_head_captures_every_rung_and_a_shallow_one_the_first_only():
    reference = EnumeratedReference(np.random.default_rng(3).random((3, 4, 2, 2)) + 0.05)
    pie = reference.measure(mixture(reference, [[1, 1, 1], [1, 0, 0]]))
    information = reference.about.information
    np.testing.assert_allclose(pie.captured[0], information, atol=1e-9)
    np.testing.assert_allclose(pie.captured[1], [information[0], 0, 0], atol=1e-9)
    assert pie.depth[0] == pytest.approx(reference.about.attainable_depth)
    assert pie.depth[1] == pytest.approx(1.0) or information[0] < 0.01


def test_the_cue_against_parity_has_the_published_pie_and_own_bits():
    base, twin = (EnumeratedReference(cue_and_parity(redrawn=r)).about for r in (False, True))
    np.testing.assert_allclose(base.information, [0.859, 0.097], atol=5e-4)
    assert base.own_ceiling[1] == pytest.approx(0.553, abs=5e-4)
    assert twin.own_ceiling[1] == pytest.approx(0.859, abs=5e-4)
    assert twin.information[0] == pytest.approx(0.0, abs=1e-12)


def test_own_bits_are_those_of_the_head_with_all_other_evidence_redrawn_jointly():
    table = np.random.default_rng(4).random((3, 2, 2, 2))
    reference = EnumeratedReference(table)
    q = random_heads(np.random.default_rng(5), reference, 1)
    joint = table / table.sum()
    weight = joint.sum(-1)
    rest = weight.sum(1)  # rung 2 is held, rungs 1 and 3 are redrawn together
    redrawn = np.einsum("abcy,ac->by", np.exp(q[0]).reshape(3, 2, 2, 2), rest)
    prior = weight.sum((0, 2)) @ redrawn
    own = (joint.sum((0, 2)) * np.log2(redrawn / prior)).sum()
    assert reference.measure(q).own[0, 1] == pytest.approx(own, abs=1e-12)
    moved = np.einsum("acy,b,abcy->", joint.sum(1), weight.sum((0, 2)), -np.log2(np.exp(q[0])).reshape(3, 2, 2, 2))
    assert reference.measure(q).reliance[0, 1] == pytest.approx(moved - reference.measure(q).loss[0], abs=1e-12)


def test_impossible_redraws_are_skipped_and_their_share_reported():
    table = np.array([[[0.4, 0.1], [0.0, 0.0]], [[0.1, 0.2], [0.1, 0.1]]])  # context (0, 1) is impossible
    reference = EnumeratedReference(table)
    assert len(reference.inputs) == 3
    np.testing.assert_allclose(reference.about.own_skipped, 0.5 * 0.2, atol=1e-12)
    assert np.isfinite(reference.measure(random_heads(np.random.default_rng(0), reference)).own).all()


def test_heads_measured_in_chunks_are_measured_the_same(monkeypatch):
    reference = EnumeratedReference(np.random.default_rng(6).random((4, 3, 2)))
    q = random_heads(np.random.default_rng(7), reference, 6).reshape(2, 3, 12, 2)
    whole = reference.measure(q)
    monkeypatch.setattr("probes.enumerated.CHUNK_BYTES", 1)
    np.testing.assert_allclose(reference.measure(q).captured, whole.captured, atol=1e-14)
    assert whole.captured.shape == (2, 3, 2)


def test_a_head_certain_of_the_impossible_has_infinite_loss_and_no_nan():
    reference = EnumeratedReference(np.array([[[0.3, 0.2]], [[0.5, 0.0]]]))
    q = np.array([[[-np.log(2)] * 2, [0.0, -np.inf]], [[0.0, -np.inf], [-np.log(2)] * 2]])
    pie = reference.measure(q)
    assert np.isfinite(pie.loss[0])
    assert pie.loss[1] == np.inf
    assert not np.isnan(pie.rung_loss).any()


@pytest.fixture(scope="module")
def sampled_world():
    random = np.random.default_rng(1)
    table = random.gamma(0.5, size=(3, 3, 2, 3, 3, 2, 2, 2))
    table *= (random.random(table.shape[:-1]) > 0.1)[..., None]
    source = TableSource(table)
    rungs = (source.names[:2], source.names[2:4], source.names[4:6], source.names[6:])
    exact = enumerated(source, rungs, "y")
    return source, rungs, exact


MIXTURES = [[1, 0, 0, 0], [1, 1, 1, 1], [1, 0.5, 0.5, 0.5], [1, 0.2, 0.8, 0.3], [0.3, 1.5, 0.5, 0.2]]


def sampled(sampled_world, seed, **sizes):
    source, rungs, exact = sampled_world
    reference = References(source, Sampling(method="sample", seed=seed, **sizes)).get(rungs, "y")
    cells = np.ravel_multi_index(reference.inputs.T, source.table.shape[:-1])
    return reference, mixture(exact, MIXTURES)[:, np.searchsorted(exact.possible, cells)]


def test_the_sampled_pie_agrees_with_the_enumerated_one_within_its_stated_error(sampled_world):
    exact = sampled_world[2]
    truth = exact.measure(mixture(exact, MIXTURES))
    deep, inside, errors = [2, 3, 4], [], []
    for seed in range(24):
        reference, q = sampled(sampled_world, seed, clips=256, candidates=2048)
        pie, about = reference.measure(q), reference.about
        error = pie.mc_error(about, deep)
        off = pie.efficiency(about, deep) - truth.efficiency(exact.about, deep)
        assert abs(off[0]) < 1e-9  # a head without deep evidence has no noise at all
        inside += list(np.abs(off[1:]) < 2.13 * error[1:])  # t on 15 degrees of freedom
        errors.append(error[1:])
        assert np.abs(pie.own - truth.own).max() < 0.02
        assert np.abs(about.information - exact.about.information).max() < 0.03
    assert np.mean(inside) > 0.85
    assert np.mean(errors) < 0.025


def test_a_head_that_is_sure_of_what_it_has_wrong_is_measured_as_it_is(sampled_world):
    # Its restricted probabilities span hundreds of nats: nothing may be divided by them unbounded.
    source, _, exact = sampled_world
    random = np.random.default_rng(5)
    wrong = 30.0 * random.standard_normal((4, len(exact.possible), exact.outcomes))
    wrong -= wrong.max(-1, keepdims=True)
    wrong -= np.log(np.exp(wrong).sum(-1, keepdims=True))
    truth = exact.measure(wrong)
    reference, _ = sampled(sampled_world, 0, clips=1024, candidates=4096)
    cells = np.ravel_multi_index(reference.inputs.T, source.table.shape[:-1])
    pie = reference.measure(wrong[:, np.searchsorted(exact.possible, cells)])
    # What remains is the bias of a logarithm of 32 draws of which one may carry all: 1.5 of 9 bits on rung 3.
    assert np.abs(pie.captured - truth.captured).max() < 0.25 * np.abs(truth.captured).max()


def test_the_identities_of_the_pie_hold_exactly_when_it_is_sampled(sampled_world):
    reference, q = sampled(sampled_world, 0, clips=64, candidates=256)
    pie, about = reference.measure(q), reference.about
    lost = pie.rung_divergence[..., 0] + (about.information - pie.captured).sum(-1)
    np.testing.assert_allclose(pie.rung_divergence[..., -1], lost, atol=1e-12)
    np.testing.assert_allclose(pie.captured_groups.mean(0), pie.captured, atol=1e-12)


def test_the_same_seed_draws_the_same_reference_and_another_seed_another(sampled_world):
    sizes = {"clips": 32, "candidates": 128, "pool": 64, "holders": 16, "partners": 4}
    first, q = sampled(sampled_world, 0, **sizes)
    again, _ = sampled(sampled_world, 0, **sizes)
    other, _ = sampled(sampled_world, 1, **sizes)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.measure(q).captured, again.measure(q).captured)
    assert first.about.information.tolist() != other.about.information.tolist()


def test_a_table_source_conditions_as_the_table_says():
    source = TableSource(np.random.default_rng(0).random((2, 3, 2, 2)))
    log_evidence, belief = source.posterior(np.array([[1, -1, 0]], dtype=np.int16), "y")
    part = source.table[1, :, 0].sum(0)
    assert log_evidence[0] == pytest.approx(np.log(part.sum()))
    np.testing.assert_allclose(belief[0], part / part.sum())
    drawn = source.draw(np.array([[1, -1, 0]], dtype=np.int16), 4000, 0)[0]
    assert (drawn[:, [0, 2]] == [1, 0]).all()
    share = source.table[1, :, 0].sum(-1) / part.sum()
    np.testing.assert_allclose(np.bincount(drawn[:, 1], minlength=3) / 4000, share, atol=0.04)


@pytest.mark.parametrize(
    ("rungs", "what"),
    [
        ((), "needs rungs"),
        ((("x1",), ()), "needs rungs"),
        ((("x9",),), "unknown evidence"),
        ((("x1",), ("x1",)), "two rungs"),
    ],
)
def test_a_ladder_that_is_none_is_refused(rungs, what):
    with pytest.raises(ProbeError, match=what):
        checked_rungs(rungs, TableSource(np.ones((2, 2, 2))))


def test_a_head_evaluated_on_the_wrong_rows_is_refused():
    with pytest.raises(ProbeError, match="wrong shape"):
        EnumeratedReference(np.ones((2, 2, 2))).measure(np.zeros((3, 2)))


def test_sampling_names_a_ladder_or_gives_rungs_and_takes_no_other():
    dataset = wn.load_dataset("vault", frames=4)
    task = dataset.task("continuation")
    (target,) = task.targets
    near = references(dataset, task, Sampling(ladder="graph-distance")).get(None, target.name)
    assert near.about.rungs == distance_ladder(dataset.net, task.evidence, target.variables)
    back = tuple(reversed(task.ladders[target.name]))
    own = Sampling(rungs={target.name: [list(rung) for rung in back]})
    assert references(dataset, task, own).get(None, target.name).about.rungs == back
    assert own == Sampling(rungs=asdict(own)["rungs"])  # as a cell's key has it
    assert Sampling(rungs=json.loads(json.dumps(asdict(own)["rungs"]))) == own
    total = reference(dataset, task, target.name).about.total
    assert near.about.total == pytest.approx(total)
    with pytest.raises(ProbeError, match="graph-distance"):
        Sampling(ladder="graph_distance")
    with pytest.raises(ProbeError, match="lists of names"):
        Sampling(rungs={"next_frame": ["a", "b"]})


def test_ladders_that_a_task_cannot_have_are_refused_before_training():
    clip, static = wn.load_dataset("vault", frames=3), wn.load_dataset("cue_parity")
    check_rungs(clip, clip.task("continuation"), Sampling(ladder="message-rounds"))
    with pytest.raises(DatasetError, match="without frames"):
        check_rungs(static, static.task("question"), Sampling(ladder="window"))
    with pytest.raises(ProbeError, match="none of the targets"):
        check_rungs(clip, clip.task("continuation"), Sampling(rungs={"next_fram": [["x"]]}))
    with pytest.raises(ProbeError, match="unknown evidence"):
        check_rungs(clip, clip.task("continuation"), Sampling(rungs={"next_frame": [["nobody"]]}))


def test_an_efficiency_from_all_clips_is_the_last_of_its_course_and_fewer_clips_say_less():
    random = np.random.default_rng(4)
    source = TableSource(random.random((3, 2, 4, 3)))
    sampled = References(source, Sampling(method="sample", clips=256, candidates=1024, pool=512))
    made = sampled.get([["x1"], ["x2"], ["x3"]], "y")
    exact = EnumeratedReference(source.table)
    heads = mixture(exact, [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])
    pie = made.measure(heads[:, np.ravel_multi_index(made.inputs.T, source.table.shape[:-1])])
    found = pie.converging(made.about, [2, 3])
    assert found is not None
    clips, efficiency, error = found
    assert clips[-1] == made.about.clips
    assert efficiency.shape == error.shape == (len(clips), 2)
    np.testing.assert_allclose(efficiency[-1], pie.efficiency(made.about, [2, 3]), atol=1e-12)
    np.testing.assert_allclose(error[-1], pie.mc_error(made.about, [2, 3]), atol=1e-12)
    assert exact.measure(heads).converging(exact.about, [1]) is None


def test_a_verdict_does_not_change_with_the_seed_of_the_clips_and_draws():
    table = random_chain(np.random.default_rng(3))
    exact = EnumeratedReference(table)
    random = np.random.default_rng(5)
    steps = np.array([0, 10, 100, 300, 600, 1000])
    courses = {
        "deepening": [0.0, 0.0, 0.4, 0.9, 1.0, 1.0],
        "stagnating": [0.0, 0.0, 0.1, 0.2, 0.2, 0.2],
        "deep-throughout": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    }
    source = TableSource(table)
    for wanted, course in courses.items():
        weights = np.stack([np.array([1.0, 1.0, deep, deep]) + 0.03 * random.normal(size=(8, 4)) for deep in course])
        weights[0, :, 0] = course[0]
        heads = np.stack([mixture(exact, checkpoint) for checkpoint in weights])
        for seed in range(5):
            made = References(source, Sampling(method="sample", seed=seed)).get([["x1"], ["x2"], ["x3"], ["x4"]], "y")
            rows = np.ravel_multi_index(made.inputs.T, table.shape[:-1])
            measured = measure_heads(made, "y", range(8), steps, lambda t, q=heads, rows=rows: q[t][:, rows])
            assert conclude_target(measured, Settings())[1].name == wanted


def test_a_checkpoint_at_the_threshold_of_a_rule_does_not_hand_the_verdict_to_the_seed_of_the_clips():
    # Rung 2 is shallow here and is learned with the deep ones: at step 100 shallow efficiency is .900 of its last.
    table = random_chain(np.random.default_rng(3))
    exact, random = EnumeratedReference(table), np.random.default_rng(5)
    steps = np.array([0, 10, 100, 300, 600, 1000])
    course = [0.0, 0.0, 0.4, 0.9, 1.0, 1.0]
    weights = np.stack([np.array([1.0, deep, deep, deep]) + 0.03 * random.normal(size=(8, 4)) for deep in course])
    weights[0, :, 0] = 0.0
    heads = np.stack([mixture(exact, checkpoint) for checkpoint in weights])
    names = {conclude_target(measure_heads(exact, "y", range(8), steps, lambda t: heads[t]), Settings())[1].name}
    for seed in range(5):
        sampling = Sampling(method="sample", seed=seed)
        made = References(TableSource(table), sampling).get([["x1"], ["x2"], ["x3"], ["x4"]], "y")
        rows = np.ravel_multi_index(made.inputs.T, table.shape[:-1])
        measured = measure_heads(made, "y", range(8), steps, lambda t, rows=rows: heads[t][:, rows])
        names.add(conclude_target(measured, Settings())[1].name)
    assert len(names) == 1


@pytest.mark.parametrize(
    ("world", "parameters"), [("vault", {"frames": 8}), pytest.param("alarm", {}, marks=pytest.mark.slow)]
)
def test_verdicts_on_sampled_worlds_and_their_errors_hold_for_any_seed_of_the_clips(world, parameters):
    dataset = wn.load_dataset(world, **parameters)
    trace = wn.train(dataset, "mlp", dataset.objectives[0], seeds=range(8), steps=600, checkpoints=4)
    names = []
    for seed in range(2):
        conclusion = DepthProbe(Sampling(seed=seed)).run(trace)
        names.append([verdict.name for verdict in conclusion.verdicts.values()])
        if seed == Sampling().seed:
            errors = [f.value.estimate for f in conclusion.findings if f.name.startswith("Monte-Carlo error")]
            assert 0 < max(errors) <= Settings().delta / 5
    assert names[0] == names[1]


def random_chain(random):
    """A target seen four times, each time with an error of its own: [4 × 2 contexts, 2]."""
    see = [np.array([[1 - error, error], [error, 1 - error]]) for error in random.uniform(0.2, 0.3, 4)]
    return 0.5 * np.einsum("ya,yb,yc,yd->abcdy", *see)
