"""Junction trees: they hold every scope, they run intersections together, and their order is the collect order."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets.inference.triangulation import NO_PARENT, elimination_order, junction_tree, moral_graph

scopes = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=14)


@settings(max_examples=200)
@given(scopes)
def test_any_graph_gives_a_junction_tree(scopes):
    tree = junction_tree(moral_graph(10, scopes), [2] * 10)
    cliques = [set(clique) for clique in tree.cliques]
    assert set().union(*cliques) == set(range(10))
    assert all(any(set(scope) <= clique for clique in cliques) for scope in scopes)
    assert len(set(map(frozenset, cliques))) == len(cliques)
    assert tree.parents[-1] == NO_PARENT
    assert all(c < p for c, p in enumerate(tree.parents[:-1]))
    for c, p in enumerate(tree.parents[:-1]):
        assert set(tree.sepsets[c]) == cliques[c] & cliques[p]
    for v in range(10):
        # Running intersection: among the cliques that hold v, exactly one has no parent that holds it too.
        tops = [c for c, p in enumerate(tree.parents) if v in cliques[c] and (p == NO_PARENT or v not in cliques[p])]
        assert len(tops) == 1


def test_a_chordal_graph_is_eliminated_without_fill():
    chain = moral_graph(6, [(i, i + 1) for i in range(5)])
    _, cells = elimination_order(chain, [2] * 6)
    assert cells == 5 * 4 + 2


@settings(max_examples=100)
@given(scopes, st.lists(st.integers(1, 6), min_size=10, max_size=10))
def test_more_attempts_never_make_an_order_worse_and_its_cells_are_those_of_its_cliques(scopes, cards):
    graph = moral_graph(10, scopes)
    order, cells = elimination_order(graph, cards)
    assert sorted(order) == list(range(10))
    assert cells == pytest.approx(eliminated_cells(scopes, order, cards))
    assert elimination_order(graph, cards, price=math.inf)[1] >= cells * (1 - 1e-12)


def eliminated_cells(scopes, order, cards):
    """The definition, on sets: cells of every variable with the neighbours it has when it goes."""
    around = {v: set() for v in range(len(cards))}
    for scope in scopes:
        for v in scope:
            around[v] |= set(scope) - {v}
    total = 0
    for v in order:
        total += math.prod(cards[u] for u in around[v] | {v})
        for u in around[v]:
            around[u] = (around[u] | around[v]) - {u, v}
    return total


def test_a_cycle_gets_the_chords_it_needs_and_no_more():
    ring = moral_graph(8, [(i, (i + 1) % 8) for i in range(8)])
    assert all(len(clique) == 3 for clique in junction_tree(ring, [2] * 8).cliques)
    assert len(junction_tree(ring, [2] * 8).cliques) == 6


def test_a_clique_inside_a_larger_one_stays_where_it_spares_the_larger_one_work():
    # Twenty leaves hang on the pair (6, 7), which lies inside a clique of 2^8 cells.
    large = list(range(8))
    tree = junction_tree(moral_graph(28, [large, *([6, 7, leaf] for leaf in range(8, 28))]), [2] * 28)
    meeting = [c for c, clique in enumerate(tree.cliques) if set(clique) == set(large)]
    assert sum(p in meeting for p in tree.parents) <= 1
