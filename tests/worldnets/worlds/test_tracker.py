import itertools

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference
from worldnets.worlds.tracker import tracker

RING = {"clockwise": 1, "anticlockwise": -1}
GRID = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}


def cell(label):
    return int(label.removeprefix("cell")) - 1


class Chain:
    """The default ring as a hidden Markov chain over (cell, direction): the story told again, and every sum written."""

    def __init__(self, size=8, noise=0.02, turn=0.05, speed=0.8):
        self.size, pairs = size, list(itertools.product(range(size), (1, -1)))
        self.step = np.zeros((len(pairs), len(pairs)))
        for (here, way), (there, then) in itertools.product(pairs, repeat=2):
            goes = speed if there == (here + way) % size else 1 - speed if there == here else 0
            self.step[pairs.index((here, way)), pairs.index((there, then))] = goes * (turn if then != way else 1 - turn)
        visible = (size + 1) // 2
        self.seen = np.full((len(pairs), visible + 1), noise / visible)
        for i, (here, _) in enumerate(pairs):
            self.seen[i, here + 1 if here < visible else 0] = 1 - noise
        self.asked = {
            "position": np.repeat(np.eye(size), 2, axis=0),
            "direction": np.tile(np.eye(2), (size, 1)),
            "next_frame": self.step @ self.seen,
        }

    def pie(self, target, context):
        """I_k = H(Y | last k − 1 frames) − H(Y | last k frames) in bits, over every sequence of views."""
        left = []
        for k in range(context + 1):
            rows = np.full((1, len(self.step)), 1 / len(self.step))
            for frame in range(k):
                rows = rows if frame == 0 else rows @ self.step
                rows = (rows[:, None, :] * self.seen.T[None]).reshape(-1, len(self.step))
            joint = rows @ self.asked[target]
            left.append(-(joint * np.log2(joint / joint.sum(axis=1, keepdims=True))).sum())
        return -np.diff(left)


@pytest.fixture(scope="module")
def pies():
    return {target: Chain().pie(target, 6) for target in ("next_frame", "position", "direction")}


def test_the_pie_is_that_of_the_card(pies):
    expected = {
        "next_frame": [0.646, 0.230, 0.074, 0.055, 0.028, 0.018],
        "position": [1.833, 0.250, 0.124, 0.083, 0.049, 0.031],
        "direction": [0.000, 0.318, 0.111, 0.065, 0.049, 0.021],
    }
    for target, bits in pies.items():
        assert bits == pytest.approx(expected[target], abs=6e-4), target


def test_persistence_is_the_shallow_rung_and_velocity_and_memory_are_the_deep_ones(pies):
    bits = pies["next_frame"]
    assert bits[0] == bits.max()
    assert 1 - bits[0] / bits.sum() > 0.3  # beyond the last frame
    assert bits[1:].sum() > 0.3
    assert pies["direction"][0] == pytest.approx(0, abs=1e-12)  # no single frame shows a direction
    for bits in pies.values():  # a deep pie for a verdict, and the border is not by a hair
        share = np.cumsum(bits) / bits.sum()
        shallow = int(np.searchsorted(share, 0.5)) + 1
        assert bits[shallow:].sum() > 0.2
        assert np.abs(share - 0.5).min() > 0.05


def test_while_the_object_is_behind_the_occluder_only_memory_tells_where():
    """The last view leaves log2(4) bits about where the object is; the five views before tell nearly half of them."""
    given = load_dataset("tracker", noise=0.0)
    codes = np.full((5**6, len(given.net.variables)), -1, dtype=np.int16)
    seen = [given.net.index[f"view_{t}"] for t in range(1, 7)]
    codes[:, seen] = list(itertools.product(range(5), repeat=6))
    codes = codes[codes[:, seen[-1]] == given.net.code("view_6", "nothing")]
    engine = Inference(given.net)
    weight = np.exp(engine.log_evidence(codes))
    belief = engine.query(codes, ["position_6"])["position_6"]
    assert weight @ belief / weight.sum() == pytest.approx([0] * 4 + [0.25] * 4, abs=1e-9)
    left = -(belief * np.log2(np.where(belief > 0, belief, 1.0))).sum(axis=1)
    assert 0.9 < 2 - weight @ left / weight.sum() < 1.0


@pytest.mark.parametrize(
    "parameters", [{}, {"size": 5, "turn": 0.3, "speed": 0.5, "noise": 0.1}, {"size": 3, "speed": 1.0, "turn": 0.0}]
)
def test_the_unrolled_net_has_the_posteriors_of_the_hidden_markov_chain(parameters):
    given = load_dataset("tracker", **parameters)
    known = {name: value for name, value in given.parameters.items() if name in {"size", "noise", "turn", "speed"}}
    chain, net = Chain(**known), given.net
    clips = given.simulate(30, seed=2)
    seen = [net.index[f"view_{t}"] for t in range(1, 7)]
    codes = np.full_like(clips, -1)
    codes[:, seen] = clips[:, seen]
    beliefs = Inference(net).query(codes, ["position_6", "direction_6", "view_7"])
    for row, views in enumerate(clips[:, seen]):
        alpha = np.full(len(chain.step), 1 / len(chain.step))
        for t, view in enumerate(views):
            alpha = (alpha if t == 0 else alpha @ chain.step) * chain.seen[:, view]
        assert beliefs.log_evidence[row] == pytest.approx(np.log(alpha.sum()))
        for node, target in (("position_6", "position"), ("direction_6", "direction"), ("view_7", "next_frame")):
            assert beliefs[node][row] == pytest.approx(alpha @ chain.asked[target] / alpha.sum(), abs=1e-9)


@pytest.mark.parametrize("parameters", [{}, {"layout": "grid", "size": 4}, {"layout": "grid", "size": 3, "turn": 0.4}])
def test_every_place_and_direction_is_equally_likely_in_every_frame(parameters):
    net = tracker(**parameters, frames=4).net
    engine = Inference(net)
    nothing = np.full((1, len(net.variables)), -1, dtype=np.int16)
    for t in range(1, 5):
        joint = engine.joint(nothing, [f"position_{t}", f"direction_{t}"])[0]
        np.testing.assert_allclose(joint, 1 / joint.size, atol=1e-12)


def test_on_a_grid_the_object_goes_on_rests_or_turns_round_at_a_wall():
    table = load_dataset("tracker", layout="grid", size=4, turn=0.0, frames=9).sample(400, seed=3)
    turned = 0
    for t in range(1, 9):
        for here, way, there, then in zip(
            *(table[f"{v}_{s}"] for s in (t, t + 1) for v in ("position", "direction")), strict=True
        ):
            row, column = divmod(cell(here), 4)
            down, right = GRID[way]
            if 0 <= row + down < 4 and 0 <= column + right < 4:
                assert then == way
                assert there in (here, f"cell{(row + down) * 4 + column + right + 1}")
            else:
                assert there == here
                assert GRID[then] in ((down, right), (-down, -right))
                turned += then != way
    assert turned > 100


def test_on_a_ring_the_object_goes_on_or_rests_and_rarely_turns():
    table = load_dataset("tracker", frames=9).sample(600, seed=4).astype(str)
    moved = turned = 0
    for t in range(1, 9):
        step = (table[f"position_{t + 1}"].map(cell) - table[f"position_{t}"].map(cell)) % 8
        way = table[f"direction_{t}"].map(RING) % 8
        assert ((step == 0) | (step == way)).all()
        moved += (step != 0).mean() / 8
        turned += (table[f"direction_{t + 1}"] != table[f"direction_{t}"]).mean() / 8
    assert moved == pytest.approx(0.8, abs=0.03)
    assert turned == pytest.approx(0.05, abs=0.015)


def test_without_noise_the_view_is_the_cell_unless_it_is_occluded():
    table = load_dataset("tracker", noise=0.0, occluded=[2, 7]).sample(500, seed=5).astype(str)
    for t in range(1, 8):
        position, view = table[f"position_{t}"], table[f"view_{t}"]
        hidden = position.isin(["cell2", "cell7"])
        assert (view[hidden] == "nothing").all()
        assert (view[~hidden] == position[~hidden]).all()


def test_cells_shown_one_by_one_are_bright_where_the_object_is():
    given = load_dataset("tracker", shown="cells", noise=0.0, frames=4)
    assert given.world.frames[0] == ("cell1_1", "cell2_1", "cell3_1", "cell4_1")
    assert given.task("continuation").targets[0].variables == ("cell1_4", "cell2_4", "cell3_4", "cell4_4")
    table = given.sample(300, seed=6)
    for name in ("cell1", "cell4"):
        assert ((table[f"{name}_2"] == "bright") == (table["position_2"] == name)).all()


def test_many_cells_shown_one_by_one_are_a_target_each():
    task = load_dataset("tracker", layout="grid", size=4, shown="cells", frames=3).task("continuation")
    assert [len(target.variables) for target in task.targets] == [1] * 8  # the two middle columns are occluded
    assert task.targets[0].name == "cell1_3"


@pytest.mark.parametrize(("size", "hidden"), [(2, {2, 4}), (3, {2, 5, 8}), (4, {2, 3, 6, 7, 10, 11, 14, 15})])
def test_the_middle_of_a_grid_is_occluded_by_default(size, hidden):
    views = tracker(layout="grid", size=size, frames=2).net.states["view_1"]
    assert set(views) == {"nothing"} | {f"cell{i}" for i in range(1, size * size + 1) if i not in hidden}


def test_roles_frames_and_ladder_are_those_of_a_clip():
    given = load_dataset("tracker", frames=5, context=3)
    assert given.world.frames == tuple((f"view_{t}",) for t in range(1, 6))
    continuation, question = given.task("continuation"), given.task("question")
    assert continuation.ladders["next_frame"] == (("view_3",), ("view_2",), ("view_1",))
    assert continuation.targets[0].variables == ("view_4",)
    assert continuation.latents == ("position_3", "direction_3")
    assert {target.name: target.variables for target in question.targets} == {
        "position": ("position_3",),
        "direction": ("direction_3",),
    }
    assert question.latents == ("position_2", "direction_2", "view_4")


@pytest.mark.parametrize(
    "parameters", [{}, {"shown": "cells", "size": 5}, {"layout": "grid", "size": 3, "frames": 4}, {"occluded": []}]
)
def test_a_tracker_passes_the_check(parameters):
    given = load_dataset("tracker", **parameters)
    assert [str(result) for result in check_dataset(given) if not result.ok] == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layout": "torus"}, "'layout' out of range"),
        ({"size": 2}, "'size' out of range; found 2; expected a whole number from 3 to 64"),
        ({"layout": "grid", "size": 9}, "'size' out of range; found 9; expected a whole number from 2 to 8"),
        ({"occluded": [0]}, "'occluded' out of range; found 0; expected a whole number from 1 to 8"),
        ({"occluded": [1, 9]}, "'occluded' out of range; found 9"),
        ({"occluded": 3}, "'occluded' is no list of cells"),
        ({"occluded": "all"}, "'occluded' is no list of cells"),
        ({"occluded": list(range(1, 9))}, "every cell is occluded"),
        ({"shown": "pixels"}, "'shown' out of range"),
        ({"noise": 0.6}, "'noise' out of range"),
        ({"turn": -0.1}, "'turn' out of range"),
        ({"speed": "fast"}, "'speed' out of range"),
        ({"frames": 1001}, "'frames' out of range"),
        ({"context": 0}, "'context' out of range"),
        ({"layout": "grid", "size": 8, "frames": 1000}, "a clip too large"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_mend(parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("tracker", **parameters)
    assert caught.value.mend
    assert caught.value.node == "tracker"
