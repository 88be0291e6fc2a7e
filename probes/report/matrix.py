"""The verdict matrix: worlds down, heads of every probe across, a verdict in each cell; what is not there is said.

Worlds that were asked the same probes of much the same heads stand in one table, so that tables are dense. What does
not vary within a table stands in its caption and not in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probes.report.places import Row

Column = tuple[str, str]  # probe, head

#: What tells rows of one world apart.
PARTS = ("objective", "target", "inputs")


@dataclass(frozen=True)
class Line:
    """A row of the matrix.

    Attributes:
        world: its name.
        about: what else tells it apart, such as the target.
        cells: for each column its verdicts: one, several where conditions share a name, or none.
        first: whether another world stands above it.
    """

    world: str
    about: str
    cells: tuple[tuple[Row, ...], ...]
    first: bool


@dataclass(frozen=True)
class Matrix:
    """One table.

    Attributes:
        probes: name and how many columns it has.
        heads: one for every column.
        lines: the rows.
        same: what all rows have in common.
        holes: whether some cells were not asked for.
    """

    probes: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    same: str
    holes: bool


def matrices(rows: Sequence[Row]) -> list[Matrix]:
    """The tables of a run, in the suite's order."""
    columns: dict[str, set[Column]] = {}
    for row in rows:
        columns.setdefault(row.one.condition.label, set()).add(_column(row))
    blocks = _blocks(columns)
    placed: list[list[Row]] = [[] for _ in range(1 + max(blocks.values(), default=-1))]
    for row in _in_all_targets(rows):
        placed[blocks[row.one.condition.label]].append(row)
    return [_matrix(block) for block in placed]


def _blocks(columns: Mapping[str, set[Column]]) -> dict[str, int]:
    """World → number of its table."""
    tables: list[set[Column]] = []
    answer = {}
    for world, own in columns.items():
        for number, there in enumerate(tables):
            shared, every = len(own & there), len(own | there)
            same_probes = {probe for probe, _ in own} == {probe for probe, _ in there}
            if same_probes and (shared == min(len(own), len(there)) or 2 * shared >= every):
                there |= own
                answer[world] = number
                break
        else:
            answer[world] = len(tables)
            tables.append(set(own))
    return answer


def _column(row: Row) -> Column:
    return row.probe, str(row.values["head"])


def _in_all_targets(rows: Sequence[Row]) -> list[Row]:
    """Conditions without a verdict name no target: they stand in the rows of all that their siblings have."""
    known: dict[tuple[str, ...], dict[str, None]] = {}
    for row in rows:
        if row.one.conclusion is not None:
            for key in _kin(row):
                known.setdefault(key, {})[str(row.values["target"])] = None
    answer = []
    for row in rows:
        targets = next((known[key] for key in _kin(row) if key in known), {})
        if row.one.conclusion is not None or not targets:
            answer.append(row)
        else:
            answer += [row._replace(values={**row.values, "target": target}) for target in targets]
    return answer


def _kin(row: Row) -> tuple[tuple[str, ...], ...]:
    world, objective = row.one.condition.label, row.one.condition.objective
    return (world, objective, row.probe), (world, objective)


def _matrix(rows: Sequence[Row]) -> Matrix:
    probes: dict[str, dict[str, None]] = {}
    found: dict[tuple[str, ...], dict[Column, list[Row]]] = {}
    for row in rows:
        probe, head = _column(row)
        probes.setdefault(probe, {})[head] = None
        key = (row.one.condition.label, *(str(row.values[part]) for part in PARTS))
        found.setdefault(key, {}).setdefault((probe, head), []).append(row)
    columns = [(probe, head) for probe, heads in probes.items() for head in heads]
    varies = [len({key[1 + k] for key in found}) > 1 for k in range(len(PARTS))]
    some = next(iter(found))
    same = ", ".join(some[1 + k] for k in range(len(PARTS)) if not varies[k] and some[1 + k])
    lines, above = [], ""
    order = {world: place for place, world in enumerate(dict.fromkeys(key[0] for key in found))}
    for key in sorted(found, key=lambda key: order[key[0]]):
        about = ", ".join(part for part, own in zip(key[1:], varies, strict=True) if own and part)
        cells = tuple(tuple(found[key].get(column, ())) for column in columns)
        lines.append(Line(key[0], about, cells, bool(above) and above != key[0] and len(order) < len(found)))
        above = key[0]
    counts = tuple((probe, len(heads)) for probe, heads in probes.items())
    holes = any(not cell for line in lines for cell in line.cells)
    return Matrix(counts, tuple(head for _, head in columns), tuple(lines), same, holes)
