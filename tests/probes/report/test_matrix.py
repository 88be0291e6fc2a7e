from types import SimpleNamespace

from probes.report.matrix import matrices
from probes.report.places import Row


def row(world, head, probe="depth", objective="question", target="y", verdict="deepening", inputs="evidence"):
    condition = SimpleNamespace(label=world, objective=objective, probe={"name": probe})
    one = SimpleNamespace(condition=condition, conclusion=object() if target else None)
    values = {"objective": objective, "target": target, "inputs": inputs, "head": head}
    return Row(one, values, verdict, "▼", "deep", "place", "place")


def words(matrix):
    return [(line.world, line.about, [[r.verdict for r in cell] for cell in line.cells]) for line in matrix.lines]


def test_worlds_go_down_and_the_heads_of_every_probe_across():
    rows = [row(w, h, p, verdict=f"{w}{h}{p}") for w in "uv" for h in ("a", "b") for p in ("p", "q")]
    (matrix,) = matrices(rows)
    assert matrix.probes == (("p", 2), ("q", 2))
    assert matrix.heads == ("a", "b", "a", "b")
    assert matrix.same == "question, y, evidence"
    assert words(matrix) == [
        ("u", "", [["uap"], ["ubp"], ["uaq"], ["ubq"]]),
        ("v", "", [["vap"], ["vbp"], ["vaq"], ["vbq"]]),
    ]
    assert not matrix.holes


def test_what_tells_rows_of_a_world_apart_stands_in_them():
    (matrix,) = matrices([row("u", "a", target="y"), row("u", "a", target="z"), row("v", "a", target="y")])
    assert [(line.world, line.about, line.first) for line in matrix.lines] == [
        ("u", "y", False),
        ("u", "z", False),
        ("v", "y", True),
    ]
    assert matrix.same == "question, evidence"


def test_a_condition_without_a_verdict_stands_in_all_rows_of_its_siblings():
    rows = [row("u", "a", target="y"), row("u", "a", target="z"), row("u", "b", target="", verdict="failed")]
    (matrix,) = matrices(rows)
    assert words(matrix) == [("u", "y", [["deepening"], ["failed"]]), ("u", "z", [["deepening"], ["failed"]])]


def test_a_condition_without_siblings_has_a_row_of_its_own():
    (matrix,) = matrices([row("u", "a", target="", verdict="missing"), row("v", "a")])
    assert ("u", "", [["missing"]]) in words(matrix)


def test_conditions_of_one_name_share_a_cell_and_none_is_lost():
    (matrix,) = matrices([row("u", "a", verdict="one"), row("u", "a", verdict="two")])
    assert words(matrix) == [("u", "", [["one", "two"]])]


def test_worlds_that_were_asked_other_things_stand_in_tables_of_their_own():
    rows = [row("u", "a"), row("u", "b"), row("v", "a"), row("w", "a", "other"), row("x", "c"), row("x", "d")]
    first, second, third = matrices(rows)
    assert [line.world for line in first.lines] == ["u", "v"]
    assert first.holes
    assert (second.probes, [line.world for line in second.lines]) == ((("other", 1),), ["w"])
    assert [line.world for line in third.lines] == ["x"]


def test_every_verdict_stands_in_the_matrix():
    rows = [
        row(f"w{w}", f"h{h}", f"p{w % 3}", verdict=f"{w}-{h}-{t}", target=t)
        for w in range(9)
        for h in range(1 + w % 4)
        for t in ("y", "z")
    ]
    shown = [r.verdict for matrix in matrices(rows) for line in matrix.lines for cell in line.cells for r in cell]
    assert sorted(shown) == sorted(r.verdict for r in rows)
