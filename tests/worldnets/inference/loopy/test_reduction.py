"""What is left of a net for some evidence and some questions: the same beliefs, from a smaller graph."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import joint, world_nets
from tests.worldnets.inference.loopy.oracle import moral_distances, random_tree, side_by_side
from worldnets import WorldNet, load_dataset
from worldnets.errors import CapacityError, EvidenceError, QueryError
from worldnets.inference import UNOBSERVED, Inference, LoopyInference, simulate
from worldnets.inference.loopy.algebra import Logarithm, Probability
from worldnets.inference.loopy.readout import distance, readout
from worldnets.inference.loopy.reduced_rounds import NEVER, compiled
from worldnets.inference.loopy.reduction import reduced
from worldnets.net import Factor, FactorNet

ROWS = 8


def beliefs(net, left, reading, codes, rounds, algebra=None, start_rounds=None, every=False):
    """Each question's joint beliefs [rows, outcomes] at the net's own tables, in float64."""
    starts = dict(zip(net.variables, np.cumsum([0, *(net.cpt(v).size for v in net.variables)]), strict=False))
    entries = sum(net.cpt(v).size for v in net.variables)
    built = compiled(left, reading, starts, entries)
    with np.errstate(divide="ignore"):
        tables = np.concatenate([np.log(net.cpt(v)).reshape(-1) for v in net.variables])
    seen = [codes[:, net.index[v]] == state for v in built.evidence for state in range(len(net.states[v]))]
    seen = np.array(seen, dtype=np.float64).reshape(built.indicators, len(codes))
    algebra = algebra or Probability(1e-60)
    before = len(net.variables) if start_rounds is None else start_rounds
    with jax.enable_x64(True):
        run = jax.jit(lambda t, s: built.log_beliefs(algebra, t, s, rounds, before, every=every))
        q = np.exp(np.moveaxis(np.asarray(run(np.maximum(tables, NEVER), seen)), -1, 0))
    sizes = [len(order) for order in reading.order]
    return np.split(q, np.cumsum(sizes)[:-1], axis=-1)


@pytest.fixture(scope="module")
def forest():
    """Fifty random polytrees side by side; in each some nodes may be seen, the others are asked for, also together."""
    random = np.random.default_rng(3)
    net, names = side_by_side([random_tree(random, int(random.integers(2, 9)), 3) for _ in range(50)])
    evidence, questions = [], []
    for own in names:
        shuffled = [str(v) for v in random.permutation(own)]
        cut = int(random.integers(0, len(shuffled)))
        evidence += shuffled[:cut]
        questions += [(v,) for v in shuffled[cut:]]
        questions += [tuple(shuffled[cut : cut + k]) for k in (2, 3) if cut + k <= len(shuffled)]
    codes = np.full((ROWS, len(net.variables)), UNOBSERVED, dtype=np.int16)
    drawn = simulate(net, ROWS, seed=1)
    columns = [net.index[v] for v in evidence]
    codes[:, columns] = np.where(random.random((ROWS, len(columns))) < 0.7, drawn[:, columns], UNOBSERVED)
    return net, evidence, questions, codes


def test_on_trees_single_and_joint_beliefs_are_exact_after_the_rounds_evidence_needs(forest):
    net, evidence, questions, codes = forest
    left = reduced(net, evidence, questions)
    reading = readout(left, questions)
    assert left.is_forest
    assert len(reading.clamps) > 1  # some joint beliefs take several runs,
    assert any(part.factor is not None for parts in reading.parts for part in parts)  # some are read from a factor
    found = beliefs(net, left, reading, codes, distance(left, reading))
    engine = Inference(net)
    for question, q in zip(questions, found, strict=True):
        np.testing.assert_allclose(q, engine.joint(codes, question).reshape(ROWS, -1), atol=1e-9, err_msg=str(question))


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_on_trees_a_belief_knows_the_evidence_within_as_many_moral_steps_as_there_were_rounds(forest, rounds):
    net, evidence, questions, codes = forest
    single = [question for question in questions if len(question) == 1]
    left = reduced(net, evidence, single)
    found = beliefs(net, left, readout(left, single), codes, rounds)
    far, engine = moral_distances(net), Inference(net)
    for (v,), q in zip(single, found, strict=True):
        near = np.where(far[net.index[v]] <= rounds, codes, UNOBSERVED).astype(np.int16)
        np.testing.assert_allclose(q, engine.query(near, variables=[v])[v], atol=1e-9, err_msg=v)


def product(left, codes):
    """The factors of a reduction at the net's own tables, for one row of codes, as one table over its clusters."""
    net, factors = left.net, []
    for f, (scope, ones) in enumerate(left.factors.factors):
        table = np.ones(ones.size)
        for term in left.terms[f]:
            table = table * net.cpt(term.variable).reshape(-1)[term.entries]
        for term in left.observed[f]:
            state = codes[net.index[term.variable]]
            if state != UNOBSERVED:
                table = table * net.cpt(term.variable).reshape(-1)[term.entries[state]]
        factors.append(Factor(scope, table.reshape(ones.shape)))
    return joint(FactorNet(left.factors.states, tuple(factors)))


@given(world_nets(max_variables=7, max_cardinality=3, max_joint=2000), st.integers(0, 2**31), st.booleans())
def test_the_factors_left_are_those_of_the_posterior_whatever_the_graph(net, seed, together):
    random = np.random.default_rng(seed)
    shuffled = [str(v) for v in random.permutation(net.variables)]
    cut = int(random.integers(0, len(shuffled)))
    evidence, asked = shuffled[:cut], shuffled[cut : cut + 2]
    left = reduced(net, evidence, [asked], [shuffled[cut:][::2]] if together else [])
    codes = np.full((1, len(net.variables)), UNOBSERVED, dtype=np.int16)
    drawn = simulate(net, 1, seed=seed)
    for v in evidence:
        if random.random() < 0.7:
            codes[0, net.index[v]] = drawn[0, net.index[v]]
    members = [v for cluster in left.clusters for v in cluster]
    table = product(left, codes[0]).reshape([len(net.states[v]) for v in members])
    for axis, v in enumerate(members):
        if v in left.seen and codes[0, net.index[v]] != UNOBSERVED:
            shape = [1] * table.ndim
            shape[axis] = -1
            table = table * (np.arange(len(net.states[v])) == codes[0, net.index[v]]).reshape(shape)
    marginal = table.sum(axis=tuple(i for i, v in enumerate(members) if v not in asked))
    order = np.argsort(np.argsort([members.index(v) for v in asked]))
    marginal = marginal.transpose(order) / marginal.sum()
    np.testing.assert_allclose(marginal, Inference(net).joint(codes, asked)[0], atol=1e-9)


@pytest.fixture(scope="module")
def vault():
    dataset = load_dataset("vault")
    codes = dataset.simulate(300, seed=2)
    hidden = np.full_like(codes, UNOBSERVED)
    seen = [dataset.net.index[v] for v in dataset.task("question").evidence]
    hidden[:, seen] = codes[:, seen]
    return dataset, hidden


def test_of_the_vault_the_latents_are_left_and_one_factor_a_frame_for_all_its_pixels(vault):
    dataset, _ = vault
    task = dataset.task("question")
    left = reduced(dataset.net, task.evidence, [task.targets[0].variables])
    assert len(left.clusters) == 4 * 5
    assert set(left.certain) == {f"camera_{t}" for t in range(1, 6)}
    assert not left.seen
    pixels = [{term.variable for term in terms} for terms in left.observed if len(terms) > 1]
    assert pixels == [{f"pixel1_{t}", f"pixel2_{t}"} for t in range(1, 6)]
    assert not left.is_forest


@pytest.mark.parametrize(
    ("objective", "algebra"), [("question", Probability(1e-60)), ("continuation", Logarithm())], ids=str
)
def test_frames_taken_together_make_the_vault_a_chain_and_its_beliefs_exact(vault, objective, algebra):
    dataset, codes = vault
    task, net = dataset.task(objective), dataset.net
    questions = [target.variables for target in task.targets]
    frames = [[f"{v}_{t}" for v in ("robber", "door", "diamond", "tampering")] for t in range(1, 7)]
    left = reduced(net, task.evidence, questions, frames)
    reading = readout(left, questions)
    assert left.is_forest
    assert len(reading.clamps) == 1  # two pixels that are asked for together are one compound node
    (found,) = beliefs(net, left, reading, codes, distance(left, reading), algebra)
    np.testing.assert_allclose(found, Inference(net).joint(codes, questions[0]).reshape(len(codes), -1), atol=1e-9)


def test_fewer_loops_are_left_than_in_the_net_and_beliefs_are_nearer_to_the_exact_ones(vault):
    dataset, codes = vault
    net, v = dataset.net, "diamond_5"
    evidence = dataset.task("question").evidence
    left = reduced(net, evidence, [(v,)])
    (found,) = beliefs(net, left, readout(left, [(v,)]), codes, 12)
    exact = Inference(net).query(codes, variables=[v])[v]
    whole = LoopyInference(net).query(codes, variables=[v], rounds=12)[v]
    divergence = lambda q: float((exact * np.log(np.maximum(exact, 1e-300) / np.maximum(q, 1e-30))).sum(1).mean())
    assert divergence(found) < 0.5 * divergence(whole)


def test_beliefs_can_be_read_after_every_round(forest):
    net, evidence, questions, codes = forest
    left = reduced(net, evidence, questions[:1])
    reading = readout(left, questions[:1])
    (every,) = beliefs(net, left, reading, codes, 2, every=True)
    for r in (1, 2):
        np.testing.assert_allclose(every[:, r - 1], beliefs(net, left, reading, codes, r)[0], atol=1e-12)


def test_a_question_no_one_factor_holds_is_read_by_the_chain_rule():
    random = np.random.default_rng(0)
    names = [f"x{i}" for i in range(5)]
    cpts = {v: random.dirichlet([1.0] * 3, *([3] if i else [])) for i, v in enumerate(names)}
    net = WorldNet(dict.fromkeys(names, (0, 1, 2)), {b: (a,) for a, b in pairwise(names)}, cpts)
    left = reduced(net, ["x2"], [("x4", "x0")])
    reading = readout(left, [("x4", "x0")])
    assert len(reading.clamps) == 1 + 3
    codes = np.full((4, 5), UNOBSERVED, dtype=np.int16)
    codes[1:, 2] = [0, 1, 2]
    (found,) = beliefs(net, left, reading, codes, distance(left, reading))
    np.testing.assert_allclose(found, Inference(net).joint(codes, ("x4", "x0")).reshape(4, -1), atol=1e-12)


def test_impossible_evidence_gives_numbers_that_are_finite():
    copies = {"a": [0.5, 0.5], "b": np.eye(2), "c": np.eye(2)}
    net = WorldNet(dict.fromkeys("abc", (0, 1)), {"b": ["a"], "c": ["a"]}, copies)
    left = reduced(net, ["b", "c"], [("a",)])
    codes = np.array([[-1, 0, 1]], dtype=np.int16)
    for algebra in (Probability(1e-60), Logarithm()):
        (found,) = beliefs(net, left, readout(left, [("a",)]), codes, 2, algebra)
        assert np.isfinite(np.log(found)).all()


def test_a_joint_belief_of_many_far_nodes_is_refused():
    names = [f"x{i}" for i in range(27)]
    fair = np.full((2, 2), 0.5)
    net = WorldNet(
        dict.fromkeys(names, (0, 1)),
        {b: (a,) for a, b in pairwise(names)},
        dict.fromkeys(names, fair) | {"x0": [0.5, 0.5]},
    )
    question = names[::2][:13]
    with pytest.raises(CapacityError, match="too many runs"):
        readout(reduced(net, ["x26"], [question]), [question])


@pytest.mark.parametrize(
    ("evidence", "questions", "clusters", "error", "message"),
    [
        (["diamond_1"], [("diamond_1",)], [], QueryError, "asked for and seen"),
        (["sensor_1"], [], [], QueryError, "no question"),
        (["senser_1"], [("diamond_1",)], [], EvidenceError, "did you mean 'sensor_1'"),
        (["sensor_1"], [("diamond_2",)], [["door_1", "robber_1"], ["door_1"]], QueryError, "in two clusters"),
        (
            ["sensor_1"],
            [("diamond_6",)],
            [[f"{v}_{t}" for v in ("robber", "door", "diamond") for t in range(1, 7)]],
            CapacityError,
            "too large",
        ),
    ],
)
def test_a_wrong_request_says_what_is_wrong(vault, evidence, questions, clusters, error, message):
    with pytest.raises(error, match=message):
        reduced(vault[0].net, evidence, questions, clusters)
