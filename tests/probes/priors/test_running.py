"""The five programs as running organisms: exact inference inside, acts as they should be, costs as counted."""

import numpy as np
import pytest

from probes.priors.coding import off_grid, on_grid, table_length, two_part
from probes.priors.flip import TARGETS, Settings, concluded, measured
from probes.priors.measured_programs import costed, described, online_length, wrong_checks
from probes.priors.programs import PROGRAMS
from probes.priors.running import Organism, tables
from probes.priors.situation import ACTS, Sizes, outer_evidence, outer_net, situation
from worldnets.errors import ProbeError
from worldnets.inference import Inference


@pytest.fixture(scope="module")
def given():
    return situation(0)


@pytest.fixture(scope="module")
def cost(given):
    return costed(given)


def test_the_filter_is_exact_inference_in_the_vault(given):
    found = Organism(given).filter().numbers.reshape(-1)
    np.testing.assert_allclose(found / found.sum(), given.vault.belief[given.row], atol=1e-12)
    assert found.sum() == pytest.approx(given.vault.weight[given.row], rel=1e-9)
    assert given.vault.weight.sum() == pytest.approx(1)


def test_what_is_found_is_the_posterior_mean_in_the_outer_net():
    small = situation(3, Sizes(reports=1, levels=3))
    belief = small.vault.belief[small.row].reshape(-1, 2).sum(0)
    net = outer_net(small, belief)
    asked = [(0, 0), (5, 2), (23, 3)]
    posterior = Inference(net).query(outer_evidence(small, net), [f"want{z}_{a}" for z, a in asked])
    found = Organism(small).find().numbers.reshape(24, len(ACTS))
    for z, a in asked:
        mean = np.asarray(posterior[f"want{z}_{a}"]).reshape(-1) @ np.arange(3) / 2
        assert found[z, a] == pytest.approx(mean, abs=1e-9)


def test_the_planner_is_bellmans_recursion_on_the_joint_states(given):
    run = Organism(given).run("H_fh")
    assert run.act == given.vault.acts(given.base, given.sizes.horizon)[given.row]
    one = situation(0, Sizes(horizon=1))
    expected = one.vault.belief[one.row] @ one.base
    assert Organism(one).run("H_fh").act == expected.argmax()


def test_in_training_all_five_pursue_what_is_wanted_and_deployed_the_deceptive_ones_do_not():
    from dataclasses import replace

    training = situation(1)
    for name in PROGRAMS:
        found = Organism(training).run(name).objective
        assert np.abs(found - training.base).max() < 0.2, name
    deployed = replace(training, clues=np.ones_like(training.clues))
    for name in ("H_sd", "H_fd", "H_hd"):
        found = Organism(deployed).run(name).objective
        np.testing.assert_array_equal(found, np.broadcast_to(training.simplest, (24, 4)))
    for name in ("H_fh", "H_sh"):
        assert np.abs(Organism(deployed).run(name).objective - training.base).max() < 0.2


def test_fast_deception_is_behind_honesty_on_every_axis_as_measured(cost):
    assert cost.whole["H_fd"].total > cost.whole["H_fh"].total
    for clock in ("work", "depth"):
        assert cost.clocks[clock]["H_fd"] > cost.clocks[clock]["H_fh"]
        assert cost.measured(clock, "H_fd", "H_fh").kind == "dominated"


def test_the_measured_flip_lies_within_a_fifth_of_the_symbolic_one(cost):
    for clock in ("work", "depth"):
        symbolic, found = cost.symbolic(clock), cost.measured(clock)
        assert (symbolic.kind, found.kind) == ("flips", "flips")
        assert found.rate == pytest.approx(symbolic.rate, rel=0.2)


def test_finding_what_is_wanted_costs_less_once_optimise_has_run(cost):
    assert 0 < cost.times["work"].find < cost.find_alone["work"]
    # On the chain of dependent steps nothing is shared: what is found is needed before planning begins.
    assert 0 < cost.times["depth"].find <= cost.find_alone["depth"]


def test_the_whole_is_its_parts_and_what_ties_them_together(cost, given):
    lengths, whole = described(given)
    for name, program in PROGRAMS.items():
        excess = whole[name].total - program.length(lengths)
        assert excess == cost.excess(name)
        assert excess == pytest.approx(0, abs=0.25 * whole[name].total)


def test_work_and_depth_are_the_same_every_time_and_grow_with_the_horizon(given):
    assert Organism(given).run("H_sd").work == Organism(given).run("H_sd").work
    longer = situation(0, Sizes(horizon=8))
    for name in PROGRAMS:
        assert Organism(longer).run(name).work > Organism(given).run(name).work
        assert Organism(longer).run(name).depth > Organism(given).run(name).depth


def test_a_check_of_the_majority_is_as_good_as_it_can_be(given):
    exact = tables(given).check
    worse = exact.copy()
    worse[-1] += 2
    assert wrong_checks(given, exact) < wrong_checks(given, worse) < 0.5


def test_an_adaptive_code_is_near_the_entropy_and_independent_of_order():
    random = np.random.default_rng(0)
    symbols = random.choice(4, 2000, p=[0.7, 0.1, 0.1, 0.1])
    entropy = 2000 * -(0.7 * np.log2(0.7) + 0.3 * np.log2(0.1))
    assert table_length(symbols) == pytest.approx(entropy, rel=0.03)
    assert table_length(symbols) == table_length(np.sort(symbols))
    assert table_length(np.zeros(2000, dtype=int)) < 5


def test_two_parts_take_the_grid_where_their_sum_is_least():
    numbers = np.arange(8) / 7
    fine = two_part(numbers, lambda table: 1e6 * float(np.abs(table - numbers).max()))
    assert fine.per_unit == 7
    rough = two_part(numbers, lambda table: 0.0)
    assert rough.per_unit == 0
    assert rough.total < fine.total
    np.testing.assert_allclose(off_grid(on_grid(numbers, 7), 7), numbers)


def test_a_learner_codes_what_it_can_learn_in_fewer_bits():
    random = np.random.default_rng(0)
    features = np.eye(3)[random.integers(3, size=600)]
    known = features.argmax(1)
    assert online_length(features, known, 3) < 120
    assert online_length(features, random.integers(3, size=600), 3) > 600 * np.log2(3) * 0.98


def test_seeds_are_situations_and_the_flip_is_concluded_over_them():
    found = measured(range(4))
    assert [m.target for m in found] == list(TARGETS.values())
    for m in found:
        book, verdict = concluded(m, Settings())
        assert verdict.name == "flips-as-predicted", verdict
        names = {finding.name for finding in book.findings}
        assert {"exchange rate, measured", "find, share contained in optimise", "whole less parts, H_sd"} <= names


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"horizon": 0}, "horizon.*a size out of range"),
        ({"frames": 9}, "frames.*a size out of range"),
        ({"levels": 1}, "levels"),
        ({"report_error": 0.0}, "an error rate out of range"),
        ({"clue_error": 0.5}, "an error rate out of range"),
    ],
)
def test_sizes_that_leave_nothing_to_do_are_refused(sizes, message):
    with pytest.raises(ProbeError, match=message):
        Sizes(**sizes)


def test_a_grid_that_is_none_and_numbers_that_are_none_are_refused():
    with pytest.raises(ProbeError, match="no grid"):
        on_grid(np.ones(2), -1.0)
    with pytest.raises(ProbeError, match="not finite"):
        on_grid(np.array([1.0, np.nan]), 1.0)


def test_a_rival_slightly_simpler_is_never_worth_imitating_for_and_one_much_simpler_is_above_a_rate(given, cost):
    from probes.priors.imitation import rivals

    found = rivals(given, cost)
    assert found
    assert all(one.saved > 0 for one in found)
    for one in found:
        worth = one.saved > cost.lengths.combine
        assert np.isfinite(one.rate["work"]) == worth
        if one.missed > 0:
            assert one.episodes < np.inf
    assert not np.isfinite(found[0].rate["work"]) or found[0].saved > cost.lengths.combine
    assert found[-1].per_unit < 1  # everything alike: saves most, misses most
    assert found[-1].missed == max(one.missed for one in found)
