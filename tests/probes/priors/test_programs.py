"""The five programs in symbols: what contains what, where choices flip, and which costs are none."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.priors.programs import (
    PROGRAMS,
    Lengths,
    Times,
    compared,
    contest,
    phase_diagram,
    phases,
    program,
    sensitivity,
)
from worldnets.errors import ProbeError

COST = st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 3))
LENGTHS = st.builds(Lengths, *[COST] * 7)
TIMES = st.builds(Times, *[COST] * 6)
G = Lengths(get_base_obj=300, simplest_obj=20, combine=30, is_deployed=15, pointer=10, mesaoptimize=500, knowledge=900)
T = Times(proxy=96, combine=96, find=17_000, outer=300, is_deployed=20, optimise=3500)


def test_fast_deceptive_contains_honest_part_by_part_and_step_by_step():
    """Hence it never beats it: whatever costs do not fall when something is added put it last on both axes."""
    assert program("H_fd").contains(program("H_fh"))
    assert not program("H_fh").contains(program("H_fd"))
    others = {name for name, one in PROGRAMS.items() if one.contains(program("H_fh"))}
    assert others == {"H_fh", "H_fd"}


@given(LENGTHS, TIMES, st.integers(0, 3))
def test_fast_deceptive_never_beats_honest_under_any_increasing_price(lengths, times, price):
    rising = (
        lambda c, t: c + t,
        lambda c, t: math.sqrt(c) + t**2,
        lambda c, t: max(c, t),
        lambda c, t: math.log1p(c) * (1 + t) + c,
    )[price]
    honest, fast = program("H_fh"), program("H_fd")
    assert rising(fast.length(lengths), fast.time(times)) >= rising(honest.length(lengths), honest.time(times)) * (
        1 - 1e-12
    )
    assert compared("H_fd", "H_fh", lengths, times).kind in ("dominated", "equal")


@given(st.dictionaries(st.sampled_from(sorted(set(program("H_fd").parts))), COST), COST)
def test_so_it_is_for_costs_that_do_not_add_up(own, shared):
    # A monotone cost of a set of parts: the largest of them, and a charge for each pair.
    def cost(parts):
        return max((own.get(part, 0.0) for part in parts), default=0.0) + shared * len(parts) * (len(parts) - 1)

    assert cost(program("H_fd").parts) >= cost(program("H_fh").parts)


@given(LENGTHS, TIMES)
def test_the_flip_is_the_inequality_of_the_theory(lengths, times):
    saved = lengths.get_base_obj - lengths.simplest_obj - lengths.combine
    lost = times.combine + times.find + times.outer - times.proxy
    found = compared("H_sd", "H_fh", lengths, times)
    assert found.saved == pytest.approx(saved, abs=1e-6)
    assert found.lost == pytest.approx(lost, abs=1e-6)
    if found.kind == "flips":
        assert found.rate == found.lost / found.saved > 0
        assert found.above == ("H_sd" if found.saved > 0 else "H_fh")


def test_above_the_exchange_rate_the_shorter_program_is_chosen_and_below_the_faster():
    found = compared("H_sd", "H_fh", G, T)
    assert (found.kind, found.above) == ("flips", "H_sd")
    assert found.rate == (96 + 17_000 + 300 - 96) / (300 - 20 - 30)
    for g, cheaper in ((found.rate * 1.01, "H_sd"), (found.rate * 0.99, "H_fh")):
        totals = {name: g * PROGRAMS[name].length(G) + PROGRAMS[name].time(T) for name in ("H_sd", "H_fh")}
        assert min(totals, key=totals.get) == cheaper


def test_both_signs_turned_round_turn_the_flip_round_and_mixed_signs_are_dominance():
    assert contest("a", "b", 2, 6) == contest("a", "b", 2.0, 6.0)
    assert (contest("a", "b", -2, -6).rate, contest("a", "b", -2, -6).above) == (3, "b")
    assert contest("a", "b", 2, -6).kind == "dominates"
    assert contest("a", "b", 2, 0).kind == "dominates"
    assert contest("a", "b", -2, 6).kind == "dominated"
    assert contest("a", "b", 0, 0).kind == "equal"


@given(LENGTHS, TIMES)
def test_a_pointer_that_is_no_longer_dominates_simple_deception(lengths, times):
    if lengths.pointer <= lengths.simplest_obj + lengths.combine:
        assert compared("H_sh", "H_sd", lengths, times).kind in ("dominates", "equal")


@given(LENGTHS, TIMES)
def test_phases_are_the_cheapest_program_at_every_rate(lengths, times):
    found = phases(lengths, times)
    assert found[0].low == 0
    assert found[-1].high == math.inf
    assert "H_fd" not in {phase.program for phase in found} or compared("H_fd", "H_fh", lengths, times).kind == "equal"
    for one, following in itertools.pairwise(found):
        assert one.high == following.low
        assert program(one.program).length(lengths) > program(following.program).length(lengths)
    for phase in found:
        g = phase.low + 1 if phase.high == math.inf else (phase.low + phase.high) / 2
        totals = {name: g * one.length(lengths) + one.time(times) for name, one in PROGRAMS.items()}
        assert totals[phase.program] <= min(totals.values()) * (1 + 1e-9) + 1e-6


def test_a_phase_diagram_says_what_phases_say():
    values, rates = [0.0, 1000.0, 20_000.0], [0.0, 1.0, 50.0, 100.0, 1e4]
    found = phase_diagram(G, T, "t.find", values, rates)
    assert found.chosen.shape == (3, 5)
    for v, value in enumerate(values):
        known = phases(G, Times(**{**T.as_dict(), "find": value}))
        for r, g in enumerate(rates):
            inside = [phase.program for phase in known if phase.low < g < phase.high]
            if inside:
                assert found.programs[found.chosen[v, r]] == inside[0]


@pytest.mark.parametrize("component", ["c.get_base_obj", "c.combine", "t.find", "t.proxy", "t.outer"])
def test_sensitivity_is_the_slope_of_the_logarithm_of_the_rate(component):
    slope = sensitivity("H_sd", "H_fh", G, T)[component]
    axis, name = component.split(".")
    step = 1e-6

    def rate(factor):
        lengths, times = G, T
        if axis == "c":
            lengths = Lengths(**{**G.as_dict(), name: factor * G.as_dict()[name]})
        else:
            times = Times(**{**T.as_dict(), name: factor * T.as_dict()[name]})
        return compared("H_sd", "H_fh", lengths, times).rate

    numeric = (math.log(rate(1 + step)) - math.log(rate(1 - step))) / (2 * step)
    assert slope == pytest.approx(numeric, rel=1e-4)
    assert "c.mesaoptimize" not in sensitivity("H_sd", "H_fh", G, T)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lengths(-1, 0, 0), "get_base_obj.*a cost is negative"),
        (lambda: Lengths(1, math.inf, 0), "simplest_obj.*a cost is not finite"),
        (lambda: Times(0, 0, math.nan, 0), "find.*a cost is not finite"),
        (lambda: Times(0, "x", 0, 0), "combine.*no number"),
        (lambda: Lengths(True, 0, 0), "no number"),
        (lambda: program("H_fx"), "unknown program.*did you mean"),
        (lambda: phase_diagram(G, T, "t.fnd", [1.0], [1.0]), "unknown component.*t.find"),
        (lambda: phase_diagram(G, T, "t.find", [-1.0], [1.0]), "a cost is negative"),
        (lambda: phase_diagram(G, T, "t.find", [1.0], [-1.0]), "an exchange rate out of range"),
        (lambda: phase_diagram(G, T, "t.find", [1.0], [np.inf]), "an exchange rate out of range"),
        (lambda: sensitivity("H_fd", "H_fh", G, T), "no exchange rate to be sensitive"),
    ],
)
def test_costs_that_are_none_and_names_that_are_unknown_are_refused(make, message):
    with pytest.raises(ProbeError, match=message):
        make()
