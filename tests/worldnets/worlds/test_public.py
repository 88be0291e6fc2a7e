import itertools

import numpy as np
import pandas as pd
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference
from worldnets.roles import outcome_count
from worldnets.worlds.public import public, public_part


def test_alarm_shows_the_sixteen_findings_and_asks_for_diagnoses():
    given = load_dataset("alarm")
    task = given.task("question")
    assert len(given.net.variables) == 37
    assert len(task.evidence) == 16
    assert {target.name: target.variables for target in task.targets} == {
        "airway": ("INTUBATION", "KINKEDTUBE", "DISCONNECT"),
        "LVFAILURE": ("LVFAILURE",),
    }
    # With the five other diagnoses, 13 nodes are neither findings nor diagnoses, as in the paper.
    assert len(task.latents) == 37 - 16 - 4


def test_alarm_orders_the_findings_by_distance_from_the_diagnosis():
    ladders = load_dataset("alarm").task("question").ladders
    assert ladders["LVFAILURE"][:2] == (("HISTORY",), ("CVP", "PCWP", "CO"))
    assert ladders["airway"][0] == ("MINVOL", "PRESS")


def information(net, about, evidence):
    """I(about; evidence) in bits, over every configuration of the evidence."""
    configurations = list(itertools.product(*(range(len(net.states[v])) for v in evidence)))
    codes = np.full((len(configurations), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in evidence]] = configurations
    engine = Inference(net)
    weight = np.exp(engine.log_evidence(codes))
    posterior = engine.joint(codes, list(about)).reshape(len(codes), -1)
    prior = weight @ posterior

    def entropy(p):
        return -np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), 0.0).sum(axis=-1)

    return float(entropy(prior) - weight @ entropy(posterior))


@pytest.mark.parametrize(("target", "deep"), [("LVFAILURE", 0.05), ("airway", 0.15)])
def test_alarm_has_deep_information_on_its_default_targets(target, deep):
    given = load_dataset("alarm")
    task = given.task("question")
    first, second = task.ladders[target][:2]
    if target == "airway":
        second = ("EXPCO2", "PAP", "SAO2")  # a lower bound, with few enough configurations
    asked = task.target(target).variables
    near, near_and_far = information(given.net, asked, first), information(given.net, asked, (*first, *second))
    assert near_and_far - near > deep
    assert near / near_and_far > 0.55


def test_other_targets_and_other_public_nets_can_be_asked_for():
    given = load_dataset("alarm", targets=["HYPOVOLEMIA"])
    assert given.task("question").ladders["HYPOVOLEMIA"][0] == ("HISTORY", "CVP", "PCWP", "CO")
    asia = load_dataset(
        "alarm", net="asia", evidence=["xray", "dysp", "asia"], targets=["lung"], ladder=[["xray"], ["dysp", "asia"]]
    )
    assert asia.task("question").ladders["lung"] == (("xray",), ("dysp", "asia"))
    assert [str(result) for result in check_dataset(asia) if not result.ok] == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"net": "alram"}, "no public net of that name; found 'alram'.*did you mean 'alarm'"),
        ({"net": "../alarm"}, "no public net of that name"),
        ({"evidence": "HISTORY"}, "'evidence' out of range"),
        ({"evidence": ["HISTROY"]}, "unknown variable; found 'HISTROY'.*did you mean 'HISTORY'"),
        ({"targets": ["CVP"]}, "are evidence and target"),
        ({"targets": {"heart": "LVFAILURE"}}, "'targets.heart' out of range"),
        ({"targets": 3}, "'targets' out of range"),
        ({"latents": ["LVFAILURE"]}, "latents hidden"),
        ({"ladder": "radius"}, "'ladder' out of range"),
        ({"ladder": [["HISTORY"]]}, "ladder covers evidence"),
    ],
)
def test_roles_that_do_not_fit_the_net_are_refused(parameters, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset("alarm", **parameters)


PUBLIC = {
    # nodes of the world, evidence variables, outcomes of each target
    "asia": (8, 4, {"disease": 8, "lung": 2}),
    "child": (20, 8, {"Disease": 6}),
    "insurance": (27, 12, {"Accident": 4, "PropCost": 4}),
    "hailfinder": (56, 29, {"severe_weather": 27}),
    "win95pts": (76, 16, {"no_output": 64, "garbled": 4}),
    "andes": (223, 71, {"components": 16, "forces": 4}),
    "munin1": (77, 16, {"neuropathy": 20, "R_APB_MUSIZE": 7}),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_net_loads_with_its_roles_and_passes_the_check(name):
    given = load_dataset(name)
    task = given.task("question")
    nodes, shown, asked = PUBLIC[name]
    assert len(given.net.variables) == nodes
    assert len(task.evidence) == shown
    assert {target.name: outcome_count(given.net, target) for target in task.targets} == asked
    assert all(len(ladder) >= 2 for ladder in task.ladders.values())
    assert [str(result) for result in check_dataset(given) if not result.ok] == []


def test_the_findings_of_the_printer_are_all_nodes_without_children():
    given = load_dataset("win95pts")
    parents = {u for v in given.net.variables for u in given.net.parents(v)}
    assert set(given.task("question").evidence) == set(given.net.variables) - parents


def test_the_inputs_of_hailfinder_are_roots_and_the_features_of_the_scenario():
    net, task = (given := load_dataset("hailfinder")).net, given.task("question")
    roots = {v for v in net.variables if not net.parents(v)}
    parents = {u for v in net.variables for u in net.parents(v)}
    features = {v for v in net.variables if net.parents(v) == ("Scenario",) and v not in parents}
    assert set(task.evidence) == roots | features


def joint_table(net, variables):
    """W(variables) with every other node summed out: one product of all tables."""
    letters = {v: chr(ord("a") + i) for i, v in enumerate(net.variables)}
    terms = ["".join(letters[u] for u in (*net.parents(v), v)) for v in net.variables]
    answer = "".join(letters[v] for v in variables)
    return np.einsum(",".join(terms) + "->" + answer, *(net.cpt(v) for v in net.variables), optimize="greedy")


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("asia", "disease", [0.459, 0.200]),
        ("asia", "lung", [0.032, 0.178]),
        ("child", "Disease", [0.191, 0.260, 0.210]),
    ],
)
def test_the_pie_of_a_small_public_net_is_that_of_its_card_summed_without_messages(name, target, expected):
    given = load_dataset(name)
    task = given.task("question")
    asked, ladder = task.target(target).variables, task.ladders[target]
    table = joint_table(given.net, (*asked, *(v for rung in ladder for v in rung)))
    left = []
    for k in range(len(ladder) + 1):
        seen = len(asked) + sum(len(rung) for rung in ladder[:k])
        rung = table.sum(axis=tuple(range(seen, table.ndim)))
        rung = rung.reshape(-1, *rung.shape[len(asked) :])
        given_rung = rung / np.where(rung.sum(axis=0) > 0, rung.sum(axis=0), 1.0)
        left.append(-(rung * np.log2(np.where(rung > 0, given_rung, 1.0))).sum())
    found = -np.diff(left)
    assert found == pytest.approx(expected, abs=6e-4)
    share = np.cumsum(found) / found.sum()
    shallow = min(int(np.searchsorted(share, 0.5)) + 1, len(found) - 1)
    assert found[shallow:].sum() > 0.15


def test_a_part_of_a_public_net_has_the_distribution_of_the_whole():
    roles = {"net": "asia", "evidence": ["xray", "smoke"], "targets": ["lung"]}
    part, whole = public_part(**roles), public(**roles)
    assert set(part.net.variables) == {"asia", "tub", "smoke", "lung", "either", "xray"}
    assert part.tasks["question"].latents == ("asia", "tub", "either")
    configurations = list(itertools.product(("yes", "no"), repeat=2))
    frame = pd.DataFrame(configurations, columns=["xray", "smoke"])
    answers = [Inference(world.net).query(frame, ["lung"]) for world in (part, whole)]
    np.testing.assert_allclose(answers[0]["lung"], answers[1]["lung"], atol=1e-12)
    np.testing.assert_allclose(answers[0].log_evidence, answers[1].log_evidence, atol=1e-12)


def test_a_part_keeps_the_latents_that_are_asked_to_stay():
    part = public_part("asia", ["xray"], ["lung"], latents=["bronc"])
    assert set(part.net.variables) == {"asia", "tub", "smoke", "lung", "either", "xray", "bronc"}
    assert part.tasks["question"].latents == ("bronc",)


def test_distances_in_a_part_are_those_between_nodes_that_matter():
    # In the whole net dysp marries bronc to either; without it, bronc is two steps from lung, over smoke.
    roles = {"net": "asia", "evidence": ["xray"], "targets": {"both": ["lung", "bronc"]}}
    assert public_part(**roles).tasks["question"].ladders["both"] == (("xray",),)
    bronchitis = {"net": "asia", "evidence": ["xray", "smoke"], "targets": ["bronc"]}
    assert public(**bronchitis).tasks["question"].ladders["bronc"] == (("smoke",), ("xray",))
    assert distances(public(**bronchitis), "bronc", "xray") == 2
    assert distances(public_part(**bronchitis), "bronc", "xray") == 4


def distances(world, start, end):
    """Steps from one node to another in the moral graph."""
    net = world.net
    families = [{v, *net.parents(v)} for v in net.variables]
    reached, steps = {start}, 0
    while end not in reached:
        reached = set.union(*(family for family in families if family & reached))
        steps += 1
    return steps


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"net": "asai"}, "no public net of that name"),
        ({"evidence": ["x-ray"]}, "unknown variable; found 'x-ray'"),
        ({"targets": ["xray"]}, "are evidence and target"),
        ({"latents": ["lung"]}, "latents hidden"),
        ({"ladder": "radius"}, "'ladder' out of range"),
    ],
)
def test_roles_that_do_not_fit_a_part_are_refused(parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        public_part(**{"net": "asia", "evidence": ["xray"], "targets": ["lung"]} | parameters)
    assert caught.value.mend
