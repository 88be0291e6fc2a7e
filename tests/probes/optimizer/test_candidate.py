"""What can be asked, and what is refused: objectives that are none, planners that cannot choose."""

import numpy as np
import pytest

from probes.catalogue.optimizer import about
from probes.optimizer.candidate import (
    AUTHORS,
    TRAINING,
    NotApplicable,
    Objective,
    Provenance,
    Recorded,
    Setting,
    best_acts,
    blurred,
    check_utility,
    divergence,
)
from probes.optimizer.mesa import confidence_set
from probes.organisms import keeper
from worldnets.errors import ProbeError


def test_a_horizon_of_zero_is_refused():
    for build in (lambda: keeper.World(keeper.Rates(), 0), lambda: keeper.net(keeper.Rates(), -1)):
        with pytest.raises(ProbeError, match="horizon of no acts"):
            build()
    with pytest.raises(ProbeError, match="horizon of no acts"):
        keeper.World(keeper.Rates(), True)


def test_a_utility_that_ignores_the_state_is_refused():
    with pytest.raises(ProbeError, match="ignores the state"):
        check_utility([1.0, 1.0, 1.0])
    with pytest.raises(ProbeError, match="one finite number per state"):
        check_utility([1.0, np.nan])
    worth = np.ones((3, 2))
    flat = Objective("flat", best_acts(worth), worth)
    with pytest.raises(ProbeError, match="every act is as good as any other"):
        Setting("here", "acts", ("a", "b"), np.full((1, 3), 1 / 3), flat, (flat,))


def test_a_planner_with_no_legal_act_is_refused():
    with pytest.raises(ProbeError, match="no legal act"):
        keeper.World(keeper.Rates(), 1, legal=())
    with pytest.raises(ProbeError, match="unknown act"):
        keeper.World(keeper.Rates(), 1, legal=("run",))


def setting(**changes):
    optimum = np.array([[0.9, 0.1], [0.2, 0.8]])
    base = Objective("base", optimum)
    other = Objective("other", optimum[::-1])
    given = {"context": "here", "kind": "beliefs", "answers": ("no", "yes"), "shares": np.full((1, 2), 0.5),
             "base": base, "family": (base, other)}  # fmt: skip
    return Setting(**{**given, **changes})


def test_settings_that_do_not_hang_together_are_refused():
    base = setting().base
    with pytest.raises(ProbeError, match="no choice of answers"):
        setting(answers=("only",))
    with pytest.raises(ProbeError, match="not in the family"):
        setting(family=(Objective("other", base.optimum),))
    with pytest.raises(ProbeError, match="two objectives of one name"):
        setting(family=(base, base))
    with pytest.raises(ProbeError, match="no distribution"):
        setting(family=(base, Objective("other", 2 * base.optimum)))
    with pytest.raises(ProbeError, match="wrong shape"):
        setting(family=(base, Objective("other", np.full((2, 3), 1 / 3))))
    with pytest.raises(ProbeError, match="no worth for every act"):
        setting(family=(base, Objective("other", base.optimum, np.full((2, 2), np.inf))))


def test_regret_is_what_is_lost_of_what_is_at_stake():
    worth = np.array([[0.0, 1.0, 0.5], [2.0, 2.0, 2.0]])
    objective = Objective("u", best_acts(worth), worth)
    acts = np.array([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]])
    np.testing.assert_allclose(objective.regret(acts), [[0.5, 0.0]])  # in the second nothing is at stake
    np.testing.assert_allclose(objective.optimum, [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_regret_of_beliefs_is_their_divergence():
    one, other = np.array([[0.5, 0.5]]), np.array([[[0.25, 0.75]]])
    expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert Objective("p", one).regret(other)[0, 0] == pytest.approx(expected)
    assert np.isnan(divergence(np.array([np.nan, 0.5]), one[0]))
    assert blurred(np.array([1.0, 0.0]), "acts", 0.1) == pytest.approx([0.95, 0.05])
    assert blurred(np.array([1.0, 0.0]), "beliefs", 0.1) == pytest.approx([1, 0])


def test_what_training_did_not_change_is_the_authors():
    made = Provenance({"search": AUTHORS, "objective": TRAINING})
    assert made.selected_by(TRAINING) == ("objective",)
    assert made.without_training().selected_by(TRAINING) == ()


def test_what_is_not_applicable_counts_as_no_and_says_why():
    own = np.repeat(setting().base.optimum[None], 3, axis=0)
    nothing = NotApplicable("there is nothing")
    offered = setting(foreign=(Objective("foreign", setting().base.optimum[::-1]),))
    found = about(Recorded(Provenance({"answers": AUTHORS}), own, nothing, nothing, nothing), offered)
    assert found.verdict.name == "no-optimizer, no-mesa, aligned, no-consequentialist"
    assert sum("not applicable: there is nothing" in reason for reason in found.verdict.reasons) == 2
    assert any("beliefs and not acts" in reason for reason in found.verdict.reasons)


def test_one_replicate_gets_no_row():
    nothing = NotApplicable("there is nothing")
    own = setting().base.optimum[None]
    found = about(Recorded(Provenance({"answers": AUTHORS}), own, nothing, nothing, nothing), setting())
    assert (found.verdict.name, found.verdict.seeds_needed) == ("no-replicates", 8)


def test_answers_that_were_not_recorded_are_not_made_up():
    kept = Recorded(Provenance({}), setting().base.optimum[None], NotApplicable(""), {}, {})
    with pytest.raises(ProbeError, match="nothing was recorded"):
        kept.given(setting().base)


def test_the_confidence_set_holds_the_best_at_its_level():
    random = np.random.default_rng(0)
    held = others = 0
    for _ in range(400):
        values = 1.0 + 0.3 * random.standard_normal((8, 1, 1)) + 0.1 * random.standard_normal((8, 4, 1))
        values[:, 3] += 1.0
        found = confidence_set(values, ["a", "b", "c", "far"], 0.05)
        held += "a" in found.kept  # as good as any
        others += "far" in found.kept
    assert held / 400 > 0.93
    assert others == 0


def test_objectives_with_one_optimum_stay_together():
    values = np.random.default_rng(1).random((6, 1, 3)).repeat(3, axis=1)
    values[:, 2] += 1.0
    assert confidence_set(values, ["a", "b", "c"], 0.05).kept == ("a", "b")
