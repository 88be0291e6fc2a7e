import itertools

import numpy as np
import pytest

from worldnets.clip_models import (
    TwoSlice,
    grid_neighbours,
    hidden_structure,
    marginals,
    tree,
    two_slice,
    two_slice_structure,
    with_hidden,
)
from worldnets.episodes import ClipLayout
from worldnets.inference import simulate
from worldnets.learning.learned import bits_per_row
from worldnets.net import WorldNet

LAYOUT = ClipLayout({"a": (0, 1), "b": (0, 1), "c": (0, 1, 2)}, 4, {"z": (0, 1)})
PLANTED = TwoSlice(
    {"z": ()},
    {"a": ("z",), "b": ("a",), "c": ()},
    {"a": ("a[t-1]",), "b": ("a[t-1]", "z"), "c": ("c[t-1]", "b[t-1]")},
)


@pytest.fixture(scope="module")
def world():
    """A net of the planted arrows, tied over time, and clips of it."""
    random = np.random.default_rng(4)
    shapes = {"a": [2, 2], "b": [2, 2, 2], "c": [3, 2, 3]}
    first = {"z": np.array([0.4, 0.6]), "a": random.dirichlet([0.4, 0.4], 2), "b": random.dirichlet([0.4, 0.4], 2)}
    first["c"] = np.array([0.2, 0.3, 0.5])
    later = {k: random.dirichlet(np.full(shape[-1], 0.3), shape[:-1]) for k, shape in shapes.items()}
    later["a"] = np.array([[0.8, 0.2], [0.3, 0.7]])
    states, parents, tables = dict(LAYOUT.states), {}, {"z": first["z"]}
    for t in range(1, 5):
        for k in "abc":
            own = PLANTED.first[k] if t == 1 else PLANTED.later[k]
            parents[f"{k}_{t}"] = tuple(
                p if p == "z" else f"{p.removesuffix('[t-1]')}_{t - 1 if p.endswith(']') else t}" for p in own
            )
            tables[f"{k}_{t}"] = first[k] if t == 1 else later[k]
    net = WorldNet(states, parents, tables)
    return net, simulate(net, 4000, 0), simulate(net, 4000, 1)


def test_the_planted_arrows_are_found(world):
    found = two_slice_structure(LAYOUT, world[1], 3)
    assert {v: set(p) for v, p in found.first.items()} == {v: set(p) for v, p in PLANTED.first.items()}
    assert {v: set(p) for v, p in found.later.items()} == {v: set(p) for v, p in PLANTED.later.items()}
    assert found.latents == {"z": ()}


def test_no_node_has_more_parents_than_asked_for_nor_others_than_its_neighbours(world):
    one = two_slice_structure(LAYOUT, world[1], 1)
    assert max(map(len, (*one.first.values(), *one.later.values()))) == 1
    alone = two_slice_structure(LAYOUT, world[1], 3, within=True, neighbours={k: (k,) for k in "abc"})
    assert alone.later["c"] == ("c[t-1]",)
    assert set(alone.later["b"]) <= {"b[t-1]", "z"}


def test_nodes_of_one_frame_may_depend_on_those_before_them_if_so_wished():
    random = np.random.default_rng(0)
    layout = ClipLayout({"a": (0, 1), "b": (0, 1)}, 3, {})
    codes = np.repeat(random.integers(0, 2, (500, 3)), 2, axis=1)  # b is a, in every frame
    assert two_slice_structure(layout, codes, 2).later["b"] == ()
    assert two_slice_structure(layout, codes, 2, within=True).later["b"] == ("a",)


def test_tied_tables_are_smoothed_counts_over_all_pairs_of_frames(world):
    _, codes, _ = world
    net = two_slice(LAYOUT, codes, PLANTED).net
    frames = codes[:, 1:].reshape(len(codes), 4, 3)
    counts = np.full((3, 2, 3), 0.5)
    for t in range(1, 4):
        np.add.at(counts, (frames[:, t - 1, 2], frames[:, t - 1, 1], frames[:, t, 2]), 1)
    for t in (2, 3, 4):
        assert net.parents(f"c_{t}") == (f"c_{t - 1}", f"b_{t - 1}")
        assert net.cpt(f"c_{t}") == pytest.approx(counts / counts.sum(-1, keepdims=True))
    assert net.cpt("z") == pytest.approx((np.bincount(codes[:, 0], minlength=2) + 0.5) / (len(codes) + 1))


def test_held_out_bits_come_down_to_those_of_the_truth(world):
    truth, train, test = world
    found = two_slice(LAYOUT, train, two_slice_structure(LAYOUT, train, 3))
    least = bits_per_row(truth, test).mean()
    assert bits_per_row(found.net, test).mean() - least < 0.02
    trees, alone = (bits_per_row(make(LAYOUT, train).net, test).mean() for make in (tree, marginals))
    assert least + 0.1 < trees < alone


def test_a_table_that_frames_share_counts_once(world):
    _, codes, _ = world
    assert two_slice(LAYOUT, codes, PLANTED).parameters == 1 + (2 + 2 + 2) + (2 + 4 + 12)
    assert marginals(LAYOUT, codes).parameters == 1 + 4 * (1 + 1 + 2)
    hidden = with_hidden(LAYOUT, codes[:200], PLANTED, 2, "x")
    assert hidden.parameters == 1 + (1 + 2 * (2 + 2 + 2)) + (2 + 2 * (2 + 4 + 12))


def test_what_a_hidden_state_would_cost_is_known_before_it_is_learned(world):
    empty, learned = hidden_structure(LAYOUT, PLANTED, 2), with_hidden(LAYOUT, world[1][:200], PLANTED, 2, "x").net
    assert empty.parent_sets == learned.parent_sets
    assert empty.states == learned.states
    assert empty.variables[:4] == ("z", "a_1", "b_1", "c_1")
    assert [v for v in empty.variables if v.startswith("hidden")] == [f"hidden_{t}" for t in range(1, 5)]


def test_a_hidden_state_gives_way_to_a_node_of_its_name():
    layout = ClipLayout({"hidden": (0, 1)}, 2, {"hidden state": (0, 1)})
    arrows = TwoSlice({"hidden state": ()}, {"hidden": ()}, {"hidden": ("hidden[t-1]",)})
    assert "hidden node_1" in hidden_structure(layout, arrows, 2).states


def test_neighbours_on_a_grid_are_the_cells_that_touch_it_itself_first():
    near = grid_neighbours(3, 3)
    assert near["r2c2"][0] == "r2c2"
    assert sorted(near["r2c2"]) == sorted(f"r{r}c{c}" for r, c in itertools.product((1, 2, 3), repeat=2))
    assert sorted(near["r1c1"]) == ["r1c1", "r1c2", "r2c1", "r2c2"]
    assert near["r1c3"][0] == "r1c3"
