"""Elimination orders and clique trees, compiled: what both the planner and a row with an order of its own run.

The greedy choice keeps the fill of every variable up to date. A variable without fill is eliminated at once (that never
adds an edge); only when there is none is the best of the others looked for. So a sparse graph costs little more than
its edges, and a row of evidence can afford an order of its own.

Sources: min-fill and its weighted form (Kjærulff 1990, "Triangulation of graphs", section 4); restarts with noise
(Fishelson & Geiger 2003, "Optimizing exact genetic linkage computations"); the clique tree of an elimination order
(Koller & Friedman 2009, sections 9.4.3 and 10.4).
"""

from __future__ import annotations

import numpy as np

from worldnets.inference.compiled import compiled

NONE = -1
MIN_FILL, WEIGHTED_FILL, MIN_SIZE = 0, 1, 2  # what the greedy choice minimises; ties by size, then by position
RULES = 3
ATTEMPTS = 200
NOISE = 0.4  # of a restart: scores are multiplied by 1 to 1 + NOISE at random


@compiled
def connect(adjacent, neighbours, degree, a, b):  # type: ignore[no-untyped-def]
    """Add the edge a – b unless it is there. `neighbours[a, :degree[a]]` lists what `adjacent[a]` marks."""
    if a != b and not adjacent[a, b]:
        adjacent[a, b] = True
        adjacent[b, a] = True
        neighbours[a, degree[a]] = b
        neighbours[b, degree[b]] = a
        degree[a] += 1
        degree[b] += 1


@compiled
def eliminate(adjacent, neighbours, degree, bits, rule, noise, order, position):  # type: ignore[no-untyped-def]
    """Eliminate every variable of a graph; returns the cells of all elimination cliques together.

    Fills `order` [variables] and its inverse `position`. Afterwards `neighbours[v, :degree[v]]` are the neighbours that
    v had when it was eliminated: with v itself they are its clique.

    Args:
        adjacent: bool [variables, variables], gets the fill edges.
        neighbours: int [variables, variables], in any order.
        degree: int [variables].
        bits: float [variables], log2 of the number of states.
        rule: `MIN_FILL`, `WEIGHTED_FILL` (an edge costs the product of its ends' bits) or `MIN_SIZE`.
        noise: float [variables], what each score is multiplied by: 1 for the plain rule.
    """
    count = degree.size
    fill = np.zeros(count)
    size = np.empty(count)
    cost = np.ones(count)
    queue = np.empty(count, np.int32)
    waiting = np.zeros(count, np.bool_)
    if rule == WEIGHTED_FILL:
        for v in range(count):
            cost[v] = max(bits[v], 0.1)  # an edge of variables with one state costs little, but it is missing
    top = 0
    for v in range(count):
        position[v] = -1
        size[v] = bits[v]
        for i in range(degree[v]):
            a = neighbours[v, i]
            size[v] += bits[a]
            for j in range(i):
                if not adjacent[a, neighbours[v, j]]:
                    fill[v] += cost[a] * cost[neighbours[v, j]]
        if fill[v] < 1e-9:
            queue[top], waiting[v] = v, True
            top += 1
    cells, bottom = 0.0, 0
    for step in range(count):
        v = -1
        while top > bottom and v < 0:
            u = queue[bottom % count]
            bottom += 1
            waiting[u] = False
            if position[u] < 0 and fill[u] < 1e-9:
                v = u
        if v < 0:
            best, second = np.inf, np.inf
            for u in range(count):
                if position[u] < 0:
                    one = (size[u] if rule == MIN_SIZE else fill[u]) * noise[u]
                    two = fill[u] if rule == MIN_SIZE else size[u]
                    # Sums of bits differ by rounding with the order in which edges came: near ties count as ties.
                    if one < best - 1e-9 or (one < best + 1e-9 and two < second - 1e-9):
                        best, second, v = one, two, u
            for i in range(degree[v]):
                a = neighbours[v, i]
                for j in range(i):
                    b = neighbours[v, j]
                    if not adjacent[a, b]:
                        top = _fill_in(adjacent, neighbours, degree, bits, cost, fill, size, a, b, queue, waiting, top)
        order[step] = v
        position[v] = step
        cells += 2.0 ** size[v]
        for i in range(degree[v]):
            u = neighbours[v, i]
            at, lost = 0, 0.0
            for k in range(degree[u]):
                x = neighbours[u, k]
                if x == v:
                    at = k
                elif not adjacent[x, v]:
                    lost += cost[x]
            degree[u] -= 1
            neighbours[u, at] = neighbours[u, degree[u]]
            fill[u] -= cost[v] * lost
            size[u] -= bits[v]
        for i in range(degree[v]):
            u = neighbours[v, i]
            if fill[u] < 1e-9 and not waiting[u]:
                queue[top % count], waiting[u] = u, True
                top += 1
    return cells


@compiled
def _fill_in(adjacent, neighbours, degree, bits, cost, fill, size, a, b, queue, waiting, top):  # type: ignore[no-untyped-def]  # fmt: skip
    """Add a fill edge and keep every fill and size right; who is left without fill goes into the queue."""
    lost_a, lost_b = 0.0, 0.0
    for k in range(degree[a]):
        x = neighbours[a, k]
        if adjacent[x, b]:
            fill[x] -= cost[a] * cost[b]
            if fill[x] < 1e-9 and not waiting[x]:
                queue[top % queue.size], waiting[x] = x, True
                top += 1
        else:
            lost_a += cost[x]
    for k in range(degree[b]):
        x = neighbours[b, k]
        if not adjacent[x, a]:
            lost_b += cost[x]
    fill[a] += cost[b] * lost_a
    fill[b] += cost[a] * lost_b
    size[a] += bits[b]
    size[b] += bits[a]
    connect(adjacent, neighbours, degree, a, b)
    return top


@compiled
def moralise(scope_start, scope, used, local, count, adjacent, neighbours, degree):  # type: ignore[no-untyped-def]
    """The graph of the free variables (`local` ≥ 0): two are neighbours where a used table holds both."""
    for i in range(count):
        degree[i] = 0
        for j in range(count):
            adjacent[i, j] = False
    for f in range(used.size):
        if used[f]:
            for k in range(scope_start[f], scope_start[f + 1]):
                a = local[scope[k]]
                if a >= 0:
                    for m in range(scope_start[f], k):
                        b = local[scope[m]]
                        if b >= 0:
                            connect(adjacent, neighbours, degree, a, b)


@compiled
def triangulate(  # type: ignore[no-untyped-def]
    scope_start, scope, used, local, bits, price, adjacent, neighbours, degree
):
    """The best elimination order found: one rule, then the others and restarts with noise for as long as they may pay.

    Args:
        price: of an attempt, in cells per variable: attempts go on while all of them together cost less than the cells
            of the best order so far.

    Returns:
        (order [free variables], separators' starts, separators, cells): a separator lists, for each place in the order,
        the *places* of the neighbours its variable was eliminated with, ascending.
    """
    count = bits.size
    order, position = np.empty(count, np.int32), np.empty(count, np.int32)
    best_order, start, separator = order, np.zeros(count + 1, np.int32), np.empty(0, np.int32)
    noise = np.ones(count)
    least = np.inf
    state = 1
    for attempt in range(ATTEMPTS):
        rule = (WEIGHTED_FILL, MIN_FILL, MIN_SIZE)[attempt % RULES]
        if attempt >= RULES:
            for i in range(count):
                state = (state * 1103515245 + 12345) % 2147483648
                noise[i] = 1.0 + NOISE * (state / 2147483648.0)
        moralise(scope_start, scope, used, local, count, adjacent, neighbours, degree)
        cells = eliminate(adjacent, neighbours, degree[:count], bits, rule, noise, order, position)
        if cells < least * (1.0 - 1e-9):
            least = cells
            best_order = order.copy()
            size = 0
            for i in range(count):
                start[i] = size
                size += degree[order[i]]
            start[count] = size
            separator = np.empty(size, np.int32)
            for i in range(count):
                v = order[i]
                for k in range(degree[v]):
                    # Insertion sort: separators are short.
                    place, at = position[neighbours[v, k]], start[i] + k
                    while at > start[i] and separator[at - 1] > place:
                        separator[at] = separator[at - 1]
                        at -= 1
                    separator[at] = place
        if least < (attempt + 1) * count * price:
            break
    return best_order, start, separator, least


@compiled
def clique_tree(order, separator_start, separator, cards):  # type: ignore[no-untyped-def]
    """Join the cliques of an elimination along their separators, absorbing what costs more alone.

    Args:
        cards: [free variables] numbers of states.
    Returns:
        (clique starts, members, parents, sepset starts, sepset members), members as free variables in elimination
        order, cliques in collect order: every one before its parent (`NONE` for the root, the last one). Trees of
        disconnected parts are joined to the root by empty sepsets.
    """
    count = order.size
    cells = np.empty(count)
    children = np.zeros(count, np.int32)
    place = np.empty(count, np.int32)  # the clique that now stands for this one
    # A clique inside one of its children may be absorbed by that child, which takes its place in the tree. That saves
    # its table, but everything else that would have been multiplied into it lands on the larger table.
    taker = np.full(count, NONE, np.int32)
    for i in range(count):
        begin, end = separator_start[i], separator_start[i + 1]
        cells[i] = cards[order[i]]
        for k in range(begin, end):
            cells[i] *= cards[order[separator[k]]]
        place[i] = i
        if taker[i] >= 0:
            others = children[i] - 1
            if cells[taker[i]] * others <= cells[i] * (others + 2):
                place[i] = taker[i]
        if end > begin:
            p = separator[begin]
            children[p] += 1
            inside = end - begin == separator_start[p + 1] - separator_start[p] + 1
            if inside and (taker[p] < 0 or cells[place[i]] < cells[taker[p]]):
                taker[p] = place[i]

    # The cliques that one clique stands for form a path upwards; the top of the path knows the parent.
    above = np.full(count, NONE, np.int32)
    root = NONE
    for i in range(count):
        if separator_start[i + 1] == separator_start[i]:
            above[place[i]] = NONE
            if root < 0:
                root = place[i]
        elif place[separator[separator_start[i]]] != place[i]:
            above[place[i]] = place[separator[separator_start[i]]]
    for i in range(count):
        if place[i] == i and above[i] < 0 and i != root:
            above[i] = root

    # From the root down, breadth first; collect order is the reverse.
    head, following = np.full(count, NONE, np.int32), np.empty(count, np.int32)
    cliques = 0
    for i in range(count - 1, -1, -1):
        if place[i] == i:
            cliques += 1
            if above[i] >= 0:
                following[i] = head[above[i]]
                head[above[i]] = i
    collect = np.empty(cliques, np.int32)
    index = np.empty(count, np.int32)
    found = 0
    if count > 0:
        collect[cliques - 1] = root
        found = 1
    for k in range(cliques):
        at = cliques - 1 - k
        index[collect[at]] = at
        c = head[collect[at]]
        while c >= 0:
            collect[cliques - 1 - found] = c
            found += 1
            c = following[c]

    parent = np.empty(cliques, np.int32)
    member_start, sepset_start = np.zeros(cliques + 1, np.int32), np.zeros(cliques + 1, np.int32)
    members = np.empty(separator.size + count, np.int32)
    sepset = np.empty(separator.size + count, np.int32)
    inside = np.zeros(count, np.bool_)
    for c in range(cliques):
        i = collect[c]
        p = above[i]
        parent[c] = index[p] if p >= 0 else NONE
        if p >= 0:
            inside[p] = True
            for k in range(separator_start[p], separator_start[p + 1]):
                inside[separator[k]] = True
        size, shared = member_start[c], sepset_start[c]
        for k in range(separator_start[i] - 1, separator_start[i + 1]):
            bucket = i if k < separator_start[i] else separator[k]
            members[size] = order[bucket]
            size += 1
            if inside[bucket]:
                sepset[shared] = order[bucket]
                shared += 1
        member_start[c + 1], sepset_start[c + 1] = size, shared
        if p >= 0:
            inside[p] = False
            for k in range(separator_start[p], separator_start[p + 1]):
                inside[separator[k]] = False
    return member_start, members[: member_start[cliques]], parent, sepset_start, sepset[: sepset_start[cliques]]
