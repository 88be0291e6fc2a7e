"""The message-passing head: exact at the world's own tables, differentiable in them, and what its options do."""

import equinox as eqx
import jax
import numpy as np
import pytest

from tests.worldnets.inference.loopy.oracle import random_tree, side_by_side
from worldnets import load_dataset, train
from worldnets.dataset import Target, Task
from worldnets.errors import CapacityError, EvidenceError, TrainingError
from worldnets.heads import build_head
from worldnets.heads.base import outputs_of
from worldnets.heads.inputs import inputs
from worldnets.heads.tables import tables_of
from worldnets.inference import UNOBSERVED, Inference, simulate
from worldnets.net import WorldNet
from worldnets.objectives.base import log_probabilities, output_count
from worldnets.roles import outcome_count

ROWS = 8


def generator(seed=7):
    return np.random.default_rng(seed)


def built(view, options=None, seed=7):
    counts = counts_of(view)
    return build_head("message_passing", generator(seed), view, output_count(counts), options)


def counts_of(view):
    return tuple(outcome_count(view.net, target) for target in view.task.targets)


def predicted(head, view, codes):
    """Probabilities of each target's outcomes, [rows, outcomes] each."""
    outputs = np.asarray(eqx.filter_jit(outputs_of)(head, view.features(codes)))
    counts = counts_of(view)
    return np.split(np.exp(log_probabilities(outputs, counts)), np.cumsum(counts)[:-1], axis=-1)


def exact(view, codes):
    engine = Inference(view.net)
    return [engine.joint(codes, target.variables).reshape(len(codes), -1) for target in view.task.targets]


def in_double_precision(head):
    """The head with the world's own tables as float64."""
    tables = head.wires.tables
    return eqx.tree_at(lambda h: h.logits, head, tables.blocked(tables.entries_of(head.wires.net), np.float64))


def question(net, evidence, targets, frames=()):
    targets = tuple(Target(f"t{i}", tuple(variables)) for i, variables in enumerate(targets))
    task = Task("question", tuple(evidence), targets, {target.name: (tuple(evidence),) for target in targets})
    return inputs("evidence", net, task, frames=frames, partial=True)


@pytest.fixture(scope="module")
def forest():
    """Twelve random polytrees; in each some nodes are evidence, seen or not, and others are asked for, also jointly."""
    random = np.random.default_rng(5)
    net, names = side_by_side([random_tree(random, int(random.integers(2, 9)), 3) for _ in range(12)])
    evidence, targets = [], []
    for own in names:
        shuffled = [str(v) for v in random.permutation(own)]
        cut = int(random.integers(1, len(shuffled)))
        evidence += shuffled[:cut]
        targets += [(v,) for v in shuffled[cut:]] + [tuple(shuffled[cut : cut + 2])]
    codes = np.full((ROWS, len(net.variables)), UNOBSERVED, dtype=np.int16)
    columns = [net.index[v] for v in evidence]
    drawn = simulate(net, ROWS, seed=1)[:, columns]
    codes[:, columns] = np.where(random.random(drawn.shape) < 0.7, drawn, UNOBSERVED)
    return question(net, evidence, targets), codes


def test_at_the_worlds_own_tables_it_is_exact_inference_on_trees(forest):
    view, codes = forest
    # Tables that span twelve orders of magnitude are among them: logarithms keep float32 right.
    head = built(view, {"initialisation": "true", "space": "logarithm"})
    for q, p in zip(predicted(head, view, codes), exact(view, codes), strict=True):
        np.testing.assert_allclose(q, p, atol=1e-5)


def test_in_double_precision_it_is_exact_inference_on_trees_to_nine_digits(forest):
    view, codes = forest
    head = in_double_precision(built(view, {"initialisation": "true", "zeros": "kept"}))
    with jax.enable_x64(True):
        for q, p in zip(predicted(head, view, codes), exact(view, codes), strict=True):
            np.testing.assert_allclose(q, p, atol=1e-9)


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=4)


def view_of(dataset, objective="question", partial=False):
    return inputs("evidence", dataset.net, dataset.task(objective), None, dataset.world.frames, partial)


def test_with_frames_as_clusters_it_is_exact_on_the_vaults_next_frame(vault):
    view = view_of(vault, "continuation")
    codes = vault.simulate(200, seed=3)
    hidden = np.full_like(codes, UNOBSERVED)
    seen = [vault.net.index[v] for v in view.task.evidence]
    hidden[:, seen] = codes[:, seen]
    head = built(view, {"initialisation": "true", "clusters": "frames"})
    np.testing.assert_allclose(predicted(head, view, codes)[0], exact(view, hidden)[0], atol=1e-5)


def test_rows_together_and_one_by_one_give_the_same_outputs_and_the_same_gradient(vault):
    view = view_of(vault)
    head = built(view, {"clusters": "frames"})
    features = view.features(vault.simulate(5, seed=0))

    def squares(head, of):
        outputs = of(head)
        return (outputs**2).sum(), outputs

    both = eqx.filter_jit(eqx.filter_value_and_grad(squares, has_aux=True))
    (_, together), gradient = both(head, lambda h: outputs_of(h, features))
    (_, by_row), gradient_by_row = both(head, lambda h: jax.vmap(h)(features))
    np.testing.assert_allclose(by_row, together, rtol=1e-4, atol=1e-5)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(gradient_by_row), strict=True):
        assert np.isfinite(a).all()
        assert np.abs(a).max() > 0
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_what_happens_again_in_every_frame_has_one_table(vault):
    net = vault.net
    tied = built(view_of(vault)).wires.tables
    # Start: a table each for four latents; then one each for their moves, two pixels and the sensor.
    assert len(tied.shapes) == 4 + 4 + 3
    assert tied.table_of["diamond_3"] == tied.table_of["diamond_2"] != tied.table_of["diamond_1"]
    assert tied.table_of["sensor_3"] == tied.table_of["sensor_1"]
    assert tied.table_of["pixel1_2"] != tied.table_of["pixel2_2"]
    assert not any(v.startswith("camera") for v in tied.table_of)  # without chance: nothing to learn
    assert len(built(view_of(vault), {"tied": False}).wires.tables.shapes) == 3 * (4 + 3)
    other = dict(net.cpts) | {"sensor_3": [[0.6, 0.4], [0.1, 0.9]]}
    changed = tables_of(WorldNet(net.states, net.parent_sets, other), ["sensor_1", "sensor_2", "sensor_3"], True, False)
    assert changed.table_of["sensor_2"] == "sensor_1"
    assert changed.table_of["sensor_3"] == "sensor_3"


def test_its_net_is_the_world_with_the_tables_it_has(vault):
    view = view_of(vault)
    true = built(view, {"initialisation": "true"}).net
    for v in vault.net.variables:
        np.testing.assert_allclose(true.cpt(v), vault.net.cpt(v), atol=1e-6)
    drawn = built(view).net
    assert np.abs(drawn.cpt("diamond_2") - vault.net.cpt("diamond_2")).max() > 0.1
    np.testing.assert_allclose(drawn.cpt("diamond_2"), drawn.cpt("diamond_3"))
    np.testing.assert_allclose(drawn.cpt("diamond_4"), vault.net.cpt("diamond_4"))  # not asked for: the world's


def test_starts_are_uniform_tables_with_noise_or_the_worlds_with_noise(vault):
    view = view_of(vault)
    logits = np.concatenate([block.ravel() for block in built(view, {"strength": 2.0, "tied": False}).logits])
    assert abs(logits.mean()) < 0.3
    assert logits.std() == pytest.approx(2.0, rel=0.1)
    noisy = built(view, {"initialisation": "noisy", "strength": 0.0}).net
    np.testing.assert_allclose(noisy.cpt("robber_2"), 0.99 * vault.net.cpt("robber_2") + 0.01 / 3, atol=1e-6)
    again = [built(view, {"initialisation": "noisy"}, seed) for seed in (1, 1, 2)]
    same = [all(np.array_equal(a, b) for a, b in zip(again[0].logits, other.logits, strict=True)) for other in again]
    assert same == [True, True, False]


def test_more_rounds_hear_evidence_from_farther_away(vault):
    view = view_of(vault)
    codes = vault.simulate(60, seed=4)
    far = codes.copy()
    first = [vault.net.index[v] for v in ("pixel1_1", "pixel2_1", "sensor_1")]
    far[:, first] = 1 - far[:, first]
    for rounds, hears in ((1, False), (2, False), (3, True)):
        head = built(view, {"initialisation": "true", "rounds": rounds, "clusters": "frames"})
        same = np.allclose(predicted(head, view, codes)[0], predicted(head, view, far)[0], atol=1e-6)
        assert same != hears
    assert built(view, {"clusters": "frames"}).performed == 3
    assert built(view).performed == 3 + 3  # as there are loops


def test_halting_mixes_the_rounds_beliefs_and_counts_rounds(vault):
    view = view_of(vault)
    codes = vault.simulate(30, seed=4)
    head = built(view, {"halting": True, "rounds": 3, "clusters": "frames"})
    h = np.array([0.5, 0.2, 0.3])
    head = eqx.tree_at(lambda m: m.halting, head, np.log(h).astype(np.float32))
    assert float(head.rounds()) == pytest.approx((h * [1, 2, 3]).sum())
    by_round = [predicted(built(view, {"rounds": r, "clusters": "frames"}), view, codes)[0] for r in (1, 2, 3)]
    mixture = sum(share * q for share, q in zip(h, by_round, strict=True))
    np.testing.assert_allclose(predicted(head, view, codes)[0], mixture, atol=1e-5)
    assert float(built(view, {"rounds": 5}).rounds()) == 5.0
    cut = eqx.tree_at(lambda m: m.halting, built(view, {"halting": 3, "rounds": 2}), head.halting)
    assert float(cut.rounds()) == pytest.approx((0.5 * 1 + 0.2 * 2) / 0.7)


SHORT = {"head": "message_passing", "objective": "question", "steps": 30, "batch": 32, "checkpoints": [0, 30]}


@pytest.fixture(scope="module")
def trained(vault):
    options = {"zeros": "kept", "halting": 4, "rounds": 4, "clusters": "frames"}
    return train(vault, **SHORT, head_options=options, learning_rate=0.03, penalties={"rounds": 0.3})


def test_training_lowers_the_loss_and_a_price_on_rounds_lowers_the_rounds(trained):
    assert (trained.losses[1] < trained.losses[0]).all()
    assert float(trained.at(0, 0).rounds()) == pytest.approx(2.5)
    assert all(float(trained.at(1, seed).rounds()) < 2.4 for seed in trained.seeds)


def test_kept_zeros_stay_zero_and_other_cells_do_not(trained, vault):
    net = trained.world_model(1, seed=0)
    assert (net.cpt("diamond_2")[vault.net.cpt("diamond_2") == 0] == 0).all()
    changed = np.abs(net.cpt("diamond_2") - trained.world_model(0, seed=0).cpt("diamond_2"))
    assert changed.max() > 0.01


def test_rounds_may_differ_between_training_and_test(trained, vault, tmp_path):
    codes = vault.simulate(20, seed=9)
    fewer = trained.with_head_options(rounds=2)
    assert fewer.at(1, 0).performed == 2
    for a, b in zip(jax.tree.leaves(fewer.parameters), jax.tree.leaves(trained.parameters), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(fewer.predict(codes, 1) - trained.predict(codes, 1)).max() > 1e-3
    again = type(fewer).load(fewer.save(tmp_path / "fewer.trace"))
    np.testing.assert_array_equal(again.predict(codes, 1), fewer.predict(codes, 1))
    with pytest.raises(TrainingError, match="depend on these options"):
        trained.with_head_options(tied=False)


def test_heads_of_one_world_are_compiled_once(vault):
    a, b = built(view_of(vault)), built(view_of(load_dataset("vault", frames=4)), seed=3)
    other = built(view_of(load_dataset("vault", frames=5)))
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert hash(jax.tree.structure(a)) == hash(jax.tree.structure(b))
    assert jax.tree.structure(a) != jax.tree.structure(other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounds": 0}, TrainingError, "rounds is out of range; found 0"),
        ({"rounds": 2.5}, TrainingError, "rounds is out of range"),
        ({"start_rounds": -1}, TrainingError, "start_rounds is out of range"),
        ({"damping": 1.0}, TrainingError, "damping is out of range; found 1.0; expected a number from 0 to below 1"),
        ({"strength": -1}, TrainingError, "strength is out of range"),
        ({"strength": float("nan")}, TrainingError, "no JSON"),
        ({"initialisation": "truee"}, TrainingError, "did you mean 'true'"),
        ({"zeros": "lost"}, TrainingError, "unknown zeros"),
        ({"space": "log"}, TrainingError, "unknown space"),
        ({"clusters": "frame"}, TrainingError, "did you mean 'frames'"),
        ({"clusters": [["diamond_1", "robbre_1"]]}, EvidenceError, "did you mean 'robber_1'"),
        ({"clusters": 3}, TrainingError, "clusters are no lists of nodes"),
        (
            {"clusters": [[f"{v}_{t}" for v in ("robber", "door", "diamond", "tampering") for t in (1, 2, 3)]]},
            CapacityError,
            "a cluster is too large",
        ),
        ({"halting": 0}, TrainingError, "halting is out of range"),
        ({"halting": "yes"}, TrainingError, "halting is out of range"),
    ],
)
def test_a_wrong_option_is_named_with_its_mend(vault, options, error, message):
    with pytest.raises(error, match=message):
        built(view_of(vault), options)


def test_it_refuses_beliefs_and_questions_that_move_from_row_to_row(vault):
    with pytest.raises(TrainingError, match='inputs="evidence"'):
        train(vault, **SHORT, inputs="beliefs")
    with pytest.raises(TrainingError, match="another frame"):
        train(vault, **{**SHORT, "objective": "likelihood"})
    with pytest.raises(TrainingError, match="wrong number of outputs; found 5"):
        build_head("message_passing", generator(), view_of(vault), 5)
