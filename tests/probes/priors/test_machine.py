"""The counting machine: every operation's numbers, work and depth; what is shared is done once."""

import numpy as np
import pytest

from probes.priors.machine import Machine, code_length, gamma_length
from worldnets.errors import ProbeError


def test_a_product_of_matrices_takes_its_multiplications_its_additions_and_a_trees_depth():
    m, random = Machine(), np.random.default_rng(0)
    a, b = random.random((3, 5)), random.random((5, 4))
    one, other = m.given(a[:, :, None]), m.given(b[None])
    found = m.total(m.multiply(one, other), [1])
    np.testing.assert_allclose(found.numbers, a @ b)
    assert m.operations == 3 * 5 * 4 + 3 * 4 * 4
    assert m.reads == 0
    assert set(found.depth.reshape(-1)) == {1 + 3}  # one multiplication, ⌈log2 5⌉ additions


def test_depth_is_the_longest_chain_not_the_number_of_operations():
    m = Machine()
    a, b = m.given(np.ones(4)), m.given(np.ones(4))
    side = m.add(a, b)
    m.add(b, b)
    chain = m.multiply(m.add(side, a), side)
    assert chain.depth.max() == 3
    assert m.operations == 4 * 4


def test_tables_are_read_entry_by_entry():
    m = Machine()
    table = m.read(np.arange(12.0).reshape(3, 4))
    assert (m.reads, table.depth.max()) == (12, 1)
    part = m.gather(table, 1, [0, 2])
    np.testing.assert_array_equal(part.numbers, [[0, 2], [4, 6], [8, 10]])
    assert (m.reads, part.depth.max()) == (18, 2)


@pytest.mark.parametrize(("name", "expected"), [("largest", 9.0), ("product", 7 * 9 * 2.0), ("total", 18.0)])
def test_reductions_agree_with_numpy(name, expected):
    m = Machine()
    found = getattr(m, name)(m.given(np.array([7.0, 9.0, 2.0])), [0])
    assert found.numbers == expected
    assert (m.operations, int(found.depth)) == (2, 2)


def test_only_what_is_chosen_is_made_and_it_waits_for_the_choice():
    m = Machine()
    flag = m.at_least(m.given(np.asarray(2.0)), m.given(np.asarray(1.0)))
    found = m.choose(flag, lambda: m.read(np.ones(3)), lambda: m.read(np.ones(1000)))
    assert m.work == 1 + 3 + 3
    assert found.depth.max() == 2


def test_a_routine_asked_again_with_the_same_operands_is_there_without_work():
    m = Machine()
    value = m.given(np.ones(8))
    routine = lambda m, x: m.total(x, [0])
    one = m.call("sum", routine, value)
    before = m.work
    assert m.call("sum", routine, value) is one
    assert m.work == before
    m.call("sum", routine, m.given(np.ones(8)))
    assert m.work == 2 * before


def test_instructions_are_those_of_the_first_run_and_a_loop_is_one_call():
    def twice(m, x):
        return m.add(x, x)

    def main(m, x):
        for _ in range(5):
            x = m.call("twice", twice, x)
        return x

    m = Machine()
    found = m.call("main", main, m.given(np.asarray(1.0)))
    assert found.numbers == 32
    assert [line.opcode for line in m.code["twice"]] == ["add"]
    assert [(line.opcode, line.times) for line in m.code["main"]] == [("call", 5)]
    longer = code_length([m.code["main"], m.code["twice"], m.code["twice"]])
    assert longer > code_length([m.code["main"], m.code["twice"]]) > code_length([m.code["main"]]) > 0


def test_the_code_of_whole_numbers_is_a_prefix_code():
    assert [gamma_length(n) for n in (1, 2, 3, 4, 8)] == [1, 3, 3, 5, 7]
    assert sum(2.0 ** -gamma_length(n) for n in range(1, 5000)) <= 1
    with pytest.raises(ProbeError, match="no whole number"):
        gamma_length(0)


def test_there_is_no_largest_of_a_table():
    m = Machine()
    with pytest.raises(ProbeError, match="no vector"):
        m.position(m.given(np.ones((2, 2))))
