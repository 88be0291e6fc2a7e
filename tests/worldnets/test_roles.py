import itertools

import numpy as np
import pytest

from worldnets.errors import DatasetError, EvidenceError
from worldnets.net import WorldNet
from worldnets.roles import (
    Labeller,
    Target,
    Task,
    World,
    distance_ladder,
    outcome_count,
    outcome_index,
    outcome_labels,
    static_task,
)

HALF = [0.5, 0.5]


@pytest.fixture(scope="module")
def net():
    # Y -> A -> B;  A, S -> C;  S is a spouse of A, so at moral distance 1 from it; lone touches nothing.
    states = {v: ("x", "y", "z") if v == "B" else ("a", "b") for v in ("Y", "A", "B", "S", "C", "lone")}
    return WorldNet(
        states,
        {"A": ["Y"], "B": ["A"], "C": ["A", "S"]},
        {"Y": HALF, "A": [HALF] * 2, "B": [[1, 0, 0]] * 2, "S": HALF, "C": [[HALF] * 2] * 2, "lone": HALF},
    )


def test_outcomes_are_numbered_in_mixed_radix_with_the_first_variable_most_significant(net):
    target = Target("t", ("B", "Y"))
    codes = np.full((6, 6), -1, dtype=np.int16)
    codes[:, [2, 0]] = list(itertools.product(range(3), range(2)))
    assert outcome_count(net, target) == 6
    assert outcome_index(codes, net, target).tolist() == list(range(6))
    assert outcome_labels(net, target)[:3] == ["B=x, Y=a", "B=x, Y=b", "B=y, Y=a"]


def test_an_unobserved_target_has_no_outcome(net):
    codes = np.zeros((3, 6), dtype=np.int16)
    codes[2, 0] = -1
    with pytest.raises(EvidenceError, match="node 'Y', row 2: a target variable is unobserved"):
        outcome_index(codes, net, Target("t", ("Y",)))


def test_a_target_of_an_unknown_variable_is_refused(net):
    with pytest.raises(DatasetError, match="'Z'"):
        outcome_count(net, Target("t", ("Z",)))


@pytest.mark.parametrize("variables", [(), ("A", "A")])
def test_a_target_names_distinct_variables(variables):
    with pytest.raises(DatasetError, match="without distinct variables"):
        Target("t", variables)


def test_the_default_ladder_orders_evidence_by_moral_distance_and_leaves_empty_rungs_out(net):
    assert distance_ladder(net, ["B", "S", "C"], ["Y"]) == (("B", "S", "C"),)  # all at distance 2
    assert distance_ladder(net, ["S", "lone", "Y"], ["B"]) == (("S", "Y"), ("lone",))  # distance 2, and never
    assert distance_ladder(net, ["A", "C", "B"], ["S"]) == (("A", "C"), ("B",))
    assert distance_ladder(net, ["Y", "C"], ["A", "B"]) == (("Y", "C"),)  # nearest of a joint target's variables


GOOD = {
    "objective": "question",
    "evidence": ("B", "C"),
    "targets": (Target("Y", ("Y",)),),
    "ladders": {"Y": (("B",), ("C",))},
    "latents": ("A",),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": ()}, "evidence: there is none"),
        ({"evidence": ("B", "C", "B")}, r"evidence once: \['B'\]"),
        ({"targets": ()}, "targets: there is none"),
        ({"targets": (Target("Y", ("Y",)),) * 2}, r"target names: \['Y'\] are used twice"),
        ({"targets": (Target("Y", ("B",)),)}, r"targets hidden: \['B'\] are evidence and target"),
        ({"latents": ("A", "Y")}, r"latents hidden: \['Y'\]"),
        ({"latents": ("C",)}, r"latents hidden: \['C'\]"),
        ({"ladders": {}}, "ladders"),
        ({"ladders": {"Y": (("B",),)}}, r"ladder covers evidence: of 'Y': \['C'\]"),
        ({"ladders": {"Y": (("B", "C"), ("B",))}}, r"ladder covers evidence: of 'Y': \['B'\]"),
        ({"ladders": {"Y": (("B", "C", "A"),)}}, r"ladder covers evidence: of 'Y': \['A'\]"),
        ({"ladders": {"Y": (("B", "C"), ())}}, "a rung is empty"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(change, message):
    Task(**GOOD)
    with pytest.raises(DatasetError, match=message):
        Task(**(GOOD | change))


def test_a_task_is_asked_for_its_targets_by_name():
    assert Task(**GOOD).target("Y").variables == ("Y",)
    with pytest.raises(DatasetError, match=r"unknown target; found 'y'. Mend: did you mean 'Y'|known here: 'Y'"):
        Task(**GOOD).target("y")


def test_latents_default_to_every_node_that_is_neither_shown_nor_asked_for(net):
    assert static_task(net, ["B", "C"], {"Y": ["Y"]}).latents == ("A", "S", "lone")


def test_a_world_refuses_nodes_it_does_not_have(net):
    task = Task(**(GOOD | {"latents": ("Q",)}))
    with pytest.raises(DatasetError, match="'Q'"):
        World(net, {"question": task})
    with pytest.raises(DatasetError, match="under another's name"):
        World(net, {"continuation": Task(**GOOD)})
    with pytest.raises(DatasetError, match="'Q'"):
        World(net, {"question": Task(**GOOD)}, {"hidden": ("Q",)})
    with pytest.raises(DatasetError, match="without a task"):
        World(net, {})


def test_frames_and_a_labeller_must_be_of_the_world(net):
    tasks = {"question": Task(**GOOD)}
    with pytest.raises(DatasetError, match="'Q'"):
        World(net, tasks, frames=(("B",), ("Q",)))
    with pytest.raises(DatasetError, match="'Q'"):
        Labeller(net, ("Q",))
    other = WorldNet({"Y": ("no", "yes"), "B": net.states["B"]}, {}, {"Y": HALF, "B": [0.5, 0.3, 0.2]})
    with pytest.raises(DatasetError, match=r"node 'Y': the labeller knows other states.*expected"):
        World(net, tasks, labeller=Labeller(other, ("B",)))
