"""Three ways to answer rows: they agree, each is taken where it is meant to be, and bits depend on the row alone."""

import numpy as np
import pytest

from worldnets import read_net
from worldnets.errors import CapacityError
from worldnets.inference import UNOBSERVED, Inference, simulate
from worldnets.inference.answer import FEW_ROWS, Answerer
from worldnets.net import FactorNet
from worldnets.public_nets import public_nets


def masked(name, rows, share=0.3, alike=False, seed=0):
    net = read_net(public_nets()[name])
    codes = simulate(net, rows, seed).copy()
    random = np.random.default_rng(seed)
    hidden = random.random((1 if alike else rows, codes.shape[1])) > share
    codes[np.broadcast_to(hidden, codes.shape)] = UNOBSERVED
    return net, codes


@pytest.fixture
def ways(monkeypatch):
    """Which way each batch went, in order."""
    taken = []
    for way in ("_lone_rows", "_shared"):
        original = getattr(Answerer, way)

        def spy(self, *arguments, original=original, way=way):
            taken.append((way, len(arguments[0])))
            return original(self, *arguments)

        monkeypatch.setattr(Answerer, way, spy)
    return taken


@pytest.mark.parametrize("name", ["alarm", "win95pts", "andes", "pigs"])
def test_the_three_ways_agree(name):
    net, codes = masked(name, 3)
    many = np.tile(codes, (FEW_ROWS, 1))
    engine = Inference(net)
    alone = engine.query(codes)
    together = engine.query(many)
    np.testing.assert_allclose(together.table[:3], alone.table, atol=1e-12)
    np.testing.assert_allclose(together.log_evidence[:3], alone.log_evidence, rtol=1e-12)
    for i, row in enumerate(codes):
        sliced = Inference(net).query(np.tile(row, (2 * FEW_ROWS, 1)))
        np.testing.assert_allclose(sliced.table[0], alone.table[i], atol=1e-12)
        np.testing.assert_allclose(sliced.log_evidence[0], alone.log_evidence[i], rtol=1e-12)


def test_few_rows_go_one_by_one_and_many_that_are_alike_together(ways):
    net, codes = masked("alarm", FEW_ROWS + 1, alike=True)
    Inference(net).query(codes[:FEW_ROWS])
    Inference(net).query(codes)
    assert ways == [("_lone_rows", FEW_ROWS), ("_shared", FEW_ROWS + 1)]


def test_masks_of_their_own_share_a_plan_where_cliques_are_small_and_go_one_by_one_where_they_are_large(ways):
    Inference(masked("alarm", 100)[0]).query(masked("alarm", 100)[1])
    assert ways == [("_shared", 100)]
    ways.clear()
    net, codes = masked("andes", 100)
    Inference(net).query(codes)
    assert ways == [("_lone_rows", FEW_ROWS), ("_lone_rows", 100)]  # a look at the first rows, then all


def test_masks_that_repeat_often_get_a_plan_each(ways):
    net, codes = masked("andes", 4)
    many = np.repeat(codes, 200, axis=0)
    engine = Inference(net)
    found = engine.query(many)
    assert ways == [("_shared", 200)] * 4
    np.testing.assert_allclose(found.table[::200], Inference(net).query(codes).table, atol=1e-12)


def test_lone_rows_have_the_same_bits_in_any_company_and_on_any_threads():
    net, codes = masked("andes", 60)
    everywhere = Inference(net, threads=1).query(codes)
    threaded = Inference(net, threads=3).query(codes)
    few = Inference(net).query(codes[20:25])
    assert (everywhere.table == threaded.table).all()
    assert (everywhere.table[20:25] == few.table).all()
    assert (everywhere.log_evidence[20:25] == few.log_evidence).all()


def test_a_row_that_leaves_small_cliques_is_answered_in_a_net_that_does_not_fit():
    # A complete graph of 30 variables with 10 states: 10^30 cells, but each row observes all but three.
    n = 30
    random = np.random.default_rng(0)
    net = FactorNet(
        {f"x{i}": tuple(range(10)) for i in range(n)},
        tuple(((f"x{i}", f"x{j}"), random.random((10, 10))) for i in range(n) for j in range(i)),
    )
    codes = random.integers(0, 10, (2 * FEW_ROWS, n)).astype(np.int16)
    for row in codes:
        row[random.permutation(n)[:3]] = UNOBSERVED
    beliefs = Inference(net).query(codes)
    row = codes[0]
    hidden = np.flatnonzero(row == UNOBSERVED)
    weights = np.ones((10, 10, 10))
    for scope, table in net.factors:
        at = [int(v[1:]) for v in scope]
        index = tuple(slice(None) if i in hidden else int(row[i]) for i in at)
        shape = [10 if i in at else 1 for i in hidden]
        part = table[index]
        weights = weights * (part.T if len(part.shape) == 2 and at[0] > at[1] else part).reshape(shape)
    np.testing.assert_allclose(beliefs[f"x{hidden[0]}"][0], weights.sum((1, 2)) / weights.sum(), atol=1e-12)
    joint = Inference(net).joint(codes, [f"x{i}" for i in range(2)])  # falls back to a plan for each mask
    np.testing.assert_allclose(joint[0].sum(1), beliefs["x0"][0], atol=1e-12)
    with pytest.raises(CapacityError, match="row 0"):
        Inference(net).query(np.full((1, n), UNOBSERVED, np.int16))


def test_multiply_adds_are_counted_for_every_row():
    net, codes = masked("andes", 5)
    found = Inference(net).query(codes)
    assert (found.multiply_adds > len(net.variables)).all()
    fewer = Inference(net).query(codes, variables=[net.variables[0]])
    assert (fewer.multiply_adds < found.multiply_adds).all()
    assert (Inference(net).query(np.tile(codes[:1], (20, 1))).multiply_adds > 0).all()
