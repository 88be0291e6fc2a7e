"""What a cell stores: taken apart by seeds, joined again, kept through JSON and .npz."""

import numpy as np
import pytest

from probes.measurement import Measurement, by_target, joined, of_seeds, pack, unpack
from tests.stored import stored
from worldnets.errors import ProbeError

STEPS = np.array([0, 10, 100])


def measurement(seeds, target="y", world=1.0, steps=STEPS):
    number = np.array(seeds, dtype=float)
    return Measurement(
        target,
        tuple(seeds),
        steps,
        {
            "loss": number + np.arange(len(steps))[:, None],
            "bits": np.ones((len(steps), len(seeds), 2)) * number[:, None],
        },
        {"end": number},
        {"loss": np.stack([number + np.zeros((len(steps), 1)), -number + np.zeros((len(steps), 1))])},
        {"pie": np.array([world, np.nan])},
        {"rungs": [["a"], ["b"]]},
    )


def same(one, other):
    assert (one.target, one.seeds, dict(one.plain)) == (other.target, other.seeds, dict(other.plain))
    for kind in ("numbers", "ends", "grouped", "world"):
        mine, theirs = getattr(one, kind), getattr(other, kind)
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[name], theirs[name], equal_nan=True) for name in mine)


def test_a_cell_survives_the_way_through_a_store():
    parts = [measurement([3, 4]), measurement([3, 4], "z", 2.0)]
    for one, other in zip(unpack(stored(pack(parts, "p", 1)), "p"), parts, strict=True):
        same(one, other)


def test_groups_of_seeds_are_joined_in_the_order_of_the_seeds_whatever_theirs():
    whole = measurement([0, 1, 2, 8, 9])
    parts = [measurement([8, 9]), measurement([2, 0, 1])]
    same(joined(parts), whole)
    same(joined(parts[::-1]), whole)


def test_some_seeds_of_a_cell_are_the_cell_of_some_seeds():
    cell = pack([measurement([0, 1, 2, 3])], "p", 1)
    cell["metadata"]["reference"] = {"kind": "learned"}
    cut = of_seeds(cell, {1, 3, 7})
    same(unpack(cut, "p")[0], measurement([1, 3]))
    assert cut["metadata"]["reference"] == {"kind": "learned"}


def test_seeds_with_a_number_that_is_not_finite_are_not_sound_but_a_number_nobody_has_says_nothing():
    m = measurement([1, 2, 3])
    m.numbers["loss"][-1, 1] = np.nan
    assert m.sound.tolist() == [True, False, True]
    m.numbers["bits"][...] = np.nan
    assert m.sound.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "nothing was measured"),
        ([pack([measurement([0])], "q", 1)], "not a cell of this probe; found q format 1; expected p format 1"),
        ([pack([measurement([0, 1])], "p", 1), pack([measurement([1, 2])], "p", 1)], r"measured twice; found \[1\]"),
        ([pack([measurement([0])], "p", 1), pack([measurement([1], world=2.0)], "p", 1)], "different runs"),
        ([pack([measurement([0])], "p", 1), pack([measurement([1], "z")], "p", 1)], "different runs"),
        ([pack([measurement([0])], "p", 1), pack([measurement([1], steps=STEPS + 1)], "p", 1)], "different runs"),
        ([pack([measurement([0])] * 2, "p", 1), pack([measurement([1])], "p", 1)], "different runs"),
    ],
)
def test_cells_that_do_not_belong_together_are_refused(cells, message):
    with pytest.raises(ProbeError, match=message):
        by_target(cells, "p")


def test_an_array_without_its_seeds_is_refused():
    with pytest.raises(ProbeError, match=r"array of numbers.*loss \(3, 2\); expected 3 seeds along axis 1"):
        Measurement("y", (0, 1, 2), STEPS, {"loss": np.zeros((3, 2))})
