"""Any net, any evidence, any question: the engine against brute force over the joint table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import factor_nets, joint, world_nets
from worldnets.inference import UNOBSERVED, Inference
from worldnets.inference.answer import FEW_ROWS
from worldnets.net import FactorNet, WorldNet

CASES = 2_200
TOLERANCE = {"float64": 1e-9, "float32": 5e-5}


@dataclass(frozen=True)
class Case:
    """A net, evidence on some rows, and the unnormalised joint table of each row as brute force gives it."""

    net: WorldNet | FactorNet
    codes: np.ndarray
    likelihood: dict[str, np.ndarray]
    do: dict[str, object]
    tables: list[np.ndarray]
    dtype: str

    @property
    def evidence(self):
        return {"likelihood": self.likelihood, "do": self.do}

    @property
    def tolerance(self):
        return TOLERANCE[self.dtype]


@st.composite
def cases(draw):
    """Nets of every shape, cardinalities to 20, hard, soft and interventional evidence, alone and together."""
    wide = draw(st.booleans())
    net = draw(
        st.one_of(
            world_nets(max_variables=9, max_cardinality=20 if wide else 4, max_joint=200_000 if wide else 10_000),
            factor_nets(),
        )
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = draw(st.booleans())
    rows = int(random.integers(1, 4))
    share, alike = draw(st.sampled_from((0.0, 0.3, 0.7, 1.0))), draw(st.booleans())
    codes = random.integers(0, net.cardinalities, size=(rows, len(net.variables))).astype(np.int16)
    hidden = random.random((1 if alike else rows, len(net.variables))) > share
    codes[np.broadcast_to(hidden, codes.shape)] = UNOBSERVED
    kind = draw(st.sampled_from(("hard", "hard", "soft", "do", "all")))
    likelihood, do = {}, {}
    if kind in ("soft", "all"):
        for v in random.permutation(net.variables)[: random.integers(1, 3)]:
            states = len(net.states[v])
            # Brute force multiplies two of them: small, but no underflow.
            table = random.random((rows, states)) * 10.0 ** random.integers(-80, 5)
            table[random.random(table.shape) < 0.2] = 0.0
            likelihood[str(v)] = table if random.random() < 0.7 else table[0]
    if kind in ("do", "all") and isinstance(net, WorldNet):
        for v in map(str, random.permutation(net.variables)[: random.integers(1, 3)]):
            labels = net.states[v]
            chosen = random.integers(len(labels), size=rows)
            codes[:, net.index[v]] = UNOBSERVED
            do[v] = [labels[k] for k in chosen] if random.random() < 0.5 else labels[chosen[0]]
    if not few:  # enough rows for a plan to be made; the first ones are compared
        repeats = FEW_ROWS // rows + 1
        codes = np.tile(codes, (repeats, 1))
        likelihood = {v: np.tile(t, (repeats, 1)) if t.ndim == 2 else t for v, t in likelihood.items()}
        do = {v: set_to * repeats if isinstance(set_to, list) else set_to for v, set_to in do.items()}
    tables = [brute_force(net, codes[i], i, likelihood, do) for i in range(rows)]
    return Case(net, codes, likelihood, do, tables, draw(st.sampled_from(("float64", "float64", "float32"))))


def brute_force(net, row, i, likelihood, do):
    if do:
        forced = {v: net.code(v, set_to[i] if isinstance(set_to, list) else set_to) for v, set_to in do.items()}
        table = joint(net.do({v: net.states[v][k] for v, k in forced.items()}))
    else:
        table = joint(net)
    table = table.copy()
    for axis, code in enumerate(row):
        if code != UNOBSERVED:
            table[(slice(None),) * axis + (np.arange(table.shape[axis]) != code,)] = 0.0
    for v, table_of_v in likelihood.items():
        one = table_of_v[i] if table_of_v.ndim == 2 else table_of_v
        table *= one.reshape([-1 if a == net.index[v] else 1 for a in range(table.ndim)])
    return table


def others(table, axes):
    return tuple(a for a in range(table.ndim) if a not in axes)


def check_marginals(case, engine):
    beliefs = engine.query(case.codes, **case.evidence)
    again = engine.log_evidence(case.codes, **case.evidence)
    for i, table in enumerate(case.tables):
        total = table.sum()
        if total == 0:
            assert not beliefs.possible[i]
            assert not beliefs.table[i].any()
            assert again[i] == -np.inf
            continue
        # Sums of subnormal numbers are no reference.
        if total > 1e-290:
            expected = pytest.approx(math.log(total), abs=10 * case.tolerance, rel=10 * case.tolerance)
            assert beliefs.log_evidence[i] == expected
            assert again[i] == expected
        for axis, v in enumerate(case.net.variables):
            np.testing.assert_allclose(beliefs[v][i], table.sum(others(table, (axis,))) / total, atol=case.tolerance)


def check_some_marginals(case, engine):
    some = case.net.variables[:: max(1, len(case.net.variables) // 2)]
    beliefs = engine.query(case.codes, variables=some, **case.evidence)
    for i, table in enumerate(case.tables):
        for v in some:
            sums = table.sum(others(table, (case.net.index[v],)))
            np.testing.assert_allclose(beliefs[v][i], sums / (sums.sum() or 1.0), atol=case.tolerance)


def check_joint(case, engine):
    some = list(case.net.variables[-3:])[::-1]
    found = engine.joint(case.codes, some, **case.evidence)
    axes = [case.net.index[v] for v in some]
    for i, table in enumerate(case.tables):
        sums = np.moveaxis(table, axes, range(len(axes))).reshape(*(table.shape[a] for a in axes), -1).sum(-1)
        np.testing.assert_allclose(found[i], sums / (sums.sum() or 1.0), atol=case.tolerance)


def check_map(case, engine):
    found = engine.map(case.codes, **case.evidence)
    for i, table in enumerate(case.tables):
        largest = table.max()
        assert found.possible[i] == (largest > 0)
        if largest > 1e-290:
            assert table[tuple(found.codes[i])] == pytest.approx(largest, rel=20 * case.tolerance)
            precision = 20 * case.tolerance
            assert found.log_probability[i] == pytest.approx(math.log(largest), rel=precision, abs=precision)


def check_max_marginals(case, engine):
    found = engine.max_marginals(case.codes, **case.evidence)
    for i, table in enumerate(case.tables):
        largest = table.max()
        if not largest > 1e-290:
            continue
        for axis, v in enumerate(case.net.variables):
            np.testing.assert_allclose(found[v][i], table.max(others(table, (axis,))) / largest, atol=case.tolerance)


def check_samples(case, engine):
    samples = engine.sample_codes(case.codes, draws=5, seed=1, **case.evidence)
    for i, table in enumerate(case.tables):
        total = table.sum()
        for draw in samples[i]:
            if total == 0:
                assert (draw == -1).all()
            else:
                assert table[tuple(draw)] > 0


def check_expected_counts(case, engine):
    counts = engine.expected_counts(case.codes, **case.evidence)
    repeats = len(case.codes) // len(case.tables)
    for f, (scope, _) in enumerate(case.net.factors):
        if scope and scope[-1] in case.do:  # a variable that is set has no table
            continue
        axes = [case.net.index[v] for v in scope]
        expected = np.zeros([len(case.net.states[v]) for v in scope])
        for table in case.tables:
            sums = np.moveaxis(table, axes, range(len(axes))).reshape(*expected.shape, -1).sum(-1)
            expected += repeats * sums / (table.sum() or 1.0)
        found = counts[scope[-1] if isinstance(case.net, WorldNet) else f]
        np.testing.assert_allclose(found, expected, atol=case.tolerance * len(case.codes))


CHECKS = (
    check_marginals,
    check_some_marginals,
    check_joint,
    check_map,
    check_max_marginals,
    check_samples,
    check_expected_counts,
)


@settings(max_examples=CASES)
@given(cases(), st.sampled_from(CHECKS))
def test_every_answer_equals_brute_force(case, check):
    check(case, Inference(case.net, dtype=case.dtype))
