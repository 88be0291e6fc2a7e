import itertools

import numpy as np
import pytest

from worldnets.dataset import check_dataset, load_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference


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
