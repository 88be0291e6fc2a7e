"""Geometry of pictures: what must hold for every acyclic graph, and for the columns of a clip."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets.layout import framed, layered, split_frames


@st.composite
def graphs(draw):
    nodes = [f"n{i}" for i in range(draw(st.integers(1, 14)))]
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    sizes = {node: (draw(st.floats(0.2, 2.0)), draw(st.floats(0.2, 1.0))) for node in nodes}
    return edges, sizes


def _gap(layout, sizes, a, b):
    across = abs(layout.centres[a][0] - layout.centres[b][0]) - (sizes[a][0] + sizes[b][0]) / 2
    down = abs(layout.centres[a][1] - layout.centres[b][1]) - (sizes[a][1] + sizes[b][1]) / 2
    return max(across, down)


@settings(max_examples=40)
@given(graphs())
def test_boxes_never_touch_and_lie_inside_the_picture(graph):
    edges, sizes = graph
    layout = layered(edges, sizes)
    for v, (x, y) in layout.centres.items():
        assert sizes[v][0] / 2 - 1e-6 <= x <= layout.size[0] - sizes[v][0] / 2 + 1e-6
        assert sizes[v][1] / 2 - 1e-6 <= y <= layout.size[1] - sizes[v][1] / 2 + 1e-6
        assert all(_gap(layout, sizes, v, other) > 0.1 for other in sizes if other != v)


@settings(max_examples=40)
@given(graphs())
def test_every_arrow_and_every_bend_of_it_points_downwards(graph):
    edges, sizes = graph
    layout = layered(edges, sizes)
    for a, b in edges:
        heights = [y for _, y in (layout.centres[a], *layout.routes.get((a, b), ()), layout.centres[b])]
        assert all(upper <= lower + 1e-9 for upper, lower in pairwise(heights))
        assert heights[0] < heights[-1]


@settings(max_examples=40)
@given(graphs())
def test_a_long_arrow_passes_beside_boxes_never_through_them(graph):
    edges, sizes = graph
    layout = layered(edges, sizes)
    for points in layout.routes.values():
        for (x, top), (_, bottom) in zip(points[::2], points[1::2], strict=True):
            for v, (centre, height) in layout.centres.items():
                if top <= height <= bottom:
                    assert abs(x - centre) > sizes[v][0] / 2


def test_a_plane_graph_that_is_given_tangled_is_drawn_without_crossings():
    # A double tree whose leaves are declared in an order that would cross everywhere.
    edges = [("a", "x3"), ("b", "x2"), ("a", "x1"), ("b", "x4")]
    sizes = dict.fromkeys(["a", "b", "x1", "x2", "x3", "x4"], (0.5, 0.3))
    across = {v: x for v, (x, _) in layered(edges, sizes).centres.items()}
    assert (across["a"] - across["b"]) * (across["x1"] - across["x2"]) > 0
    assert (across["a"] - across["b"]) * (across["x3"] - across["x4"]) > 0
    of_a, of_b = {across["x1"], across["x3"]}, {across["x2"], across["x4"]}
    assert max(of_a) < min(of_b) or max(of_b) < min(of_a)


def test_a_chain_is_drawn_as_one_vertical_line():
    sizes = {f"n{i}": (0.4 + 0.2 * i, 0.3) for i in range(5)}
    layout = layered([(f"n{i}", f"n{i + 1}") for i in range(4)], sizes)
    centres = [x for x, _ in layout.centres.values()]
    assert max(centres) - min(centres) < 1e-9


def test_frames_are_recognised_only_when_all_variables_belong_to_them():
    assert split_frames(["door_1", "door_2"]) == {"door_1": ("door", 1), "door_2": ("door", 2)}
    assert split_frames(["big_door_1", "big_door_2"]) == {"big_door_1": ("big_door", 1), "big_door_2": ("big_door", 2)}
    assert split_frames(["bit_1", "bit_2", "answer"]) is None
    assert split_frames(["door_1"]) is None
    assert split_frames(["door_1", "door_3"]) is None
    assert split_frames(["door_01", "door_02"]) is None


def test_all_frames_of_a_clip_look_alike_and_stand_side_by_side():
    variables = [f"{v}_{t}" for t in (1, 2, 3) for v in ("state", "pixel", "sensor")]
    edges = [(f"state_{t}", f"{v}_{t}") for t in (1, 2, 3) for v in ("pixel", "sensor")]
    edges += [("state_1", "state_2"), ("state_2", "state_3")]
    layout = framed(edges, dict.fromkeys(variables, (0.6, 0.3)), split_frames(variables))
    for v in ("state", "pixel", "sensor"):
        (x1, y1), (x2, y2), (x3, y3) = (layout.centres[f"{v}_{t}"] for t in (1, 2, 3))
        assert y1 == y2 == y3
        assert abs((x3 - x2) - (x2 - x1)) < 1e-9
    for t, (left, right) in layout.columns.items():
        assert all(left < layout.centres[f"{v}_{t}"][0] < right for v in ("state", "pixel", "sensor"))
    assert all(a[1] < b[0] for a, b in pairwise(layout.columns.values()))
