"""The guard's world: what his acts lead to is what the story says, and to see an act is to do it."""

import numpy as np
import pytest

from worldnets import Inference, load_dataset
from worldnets.errors import DatasetError
from worldnets.worlds.guard import guard


def chance(net, wanted, do, **given):
    """W(wanted = first state | given, do(act)) of one situation."""
    row = np.full((1, len(net.variables)), -1, dtype=np.int16)
    for v, label in given.items():
        row[0, net.index[v]] = net.code(v, label)
    return float(Inference(net).query(row, [wanted], do={"act": do})[wanted][0, 0])


def test_who_wants_the_diamond_locks_against_the_door_and_rings_for_who_is_inside():
    net = guard().net
    for robber, best in (("at_door", "lock"), ("inside", "alarm")):
        kept = {act: chance(net, "diamond", act, robber=robber) for act in net.states["act"]}
        assert max(kept, key=kept.get) == best


def test_who_wants_the_screen_to_show_it_covers_and_that_keeps_nothing():
    net = guard().net
    shown = {act: chance(net, "screen", act, robber="inside") for act in net.states["act"]}
    kept = {act: chance(net, "diamond", act, robber="inside") for act in net.states["act"]}
    assert max(shown, key=shown.get) == "cover"
    assert min(kept, key=kept.get) == "cover"
    assert shown["cover"] == pytest.approx(0.97)


def test_only_an_alarm_is_heard_in_the_street():
    net = guard(loud=0.9).net
    quiet = {act: chance(net, "street", act) for act in net.states["act"]}
    assert quiet["alarm"] == pytest.approx(0.1)
    assert min(value for act, value in quiet.items() if act != "alarm") >= 0.9


def test_to_see_an_act_and_to_do_it_are_the_same():
    net = guard(looks=1).net
    row = np.full((1, len(net.variables)), -1, dtype=np.int16)
    row[0, [net.index["door"], net.index["act"]]] = 1, net.code("act", "lock")
    seen = Inference(net).query(row, ["diamond"])["diamond"][0, 0]
    assert seen == pytest.approx(chance(net, "diamond", "lock", door="open"))


def test_roles_say_what_is_done_and_what_is_wanted():
    dataset = load_dataset("guard", looks=3)
    assert dataset.roles["acts"] == ("act",)
    assert dataset.roles["valued"] == ("diamond", "screen")
    assert dataset.task("question").evidence == ("motion_1", "motion_2", "motion_3", "door", "act")


@pytest.mark.parametrize("wrong", [{"looks": 0}, {"looks": 7}, {"noise": 0.6}, {"hold": 1.5}, {"scare": float("nan")}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(DatasetError, match="out of range"):
        guard(**wrong)
