import re

import numpy as np
import pytest

from probes.report.chart import Chart, Entry, Mark, linear, steps_axis, ticks
from probes.report.rows import bars, points
from probes.report.spark import sparkline
from probes.statistics import Interval


def d_of(svg, kind):
    return re.findall(rf'<path class="{kind}" d="([^"]*)"', svg)


def walked(d):
    """Points of a path written as M x y and relative steps."""
    first, _, rest = d.partition("l")
    numbers = [int(n) for n in re.findall(r"-?\d+", rest)]
    moves = np.array(numbers).reshape(-1, 2)
    return np.vstack([[int(n) for n in re.findall(r"-?\d+", first)], moves]).cumsum(0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-0.25, 1.1, ["0.0", "0.5", "1.0"]),
        (0.0, 1500.0, ["0", "500", "1,000", "1,500"]),
        (-0.3, -0.18, ["−0.300", "−0.275", "−0.250", "−0.225", "−0.200"]),
        (0.0, 2e-16, ["0", "5.0e−17", "1.0e−16", "1.5e−16", "2.0e−16"]),
        (1.0, 1.0, []),
    ],
)
def test_ticks_are_round_numbers_within_the_ends(low, high, expected):
    assert [text for _, text in ticks(low, high)] == expected
    assert all(low - 1e-9 <= place <= high + 1e-9 for place, _ in ticks(low, high))


def test_a_line_stands_where_its_numbers_are_to_half_a_pixel():
    x, y = np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 0.5])
    chart = Chart("h", linear("x", 0.0, 4.0), linear("y", 0.0, 1.0), (Mark("l r3-2", x, y),))
    svg = chart.markup("t", "d")
    box = re.search(r'viewBox="-6 -6 (\d+) (\d+)"', svg)
    wide, high = int(box[1]) - 12, int(box[2]) - 12
    (d,) = d_of(svg, "l r3-2")
    np.testing.assert_allclose(walked(d), np.stack([x / 4 * wide, (1 - y) * high], axis=1), atol=0.5)


def test_what_is_missing_breaks_a_line_and_its_band():
    x, y = np.arange(5.0), np.array([1.0, 2.0, np.nan, 1.0, 2.0])
    marks = (Mark("l", x, y), Mark("b", x, y - 1, y + 1))
    svg = Chart("h", linear("x", 0.0, 4.0), linear("y", 0.0, 3.0), marks).markup("t", "d")
    assert [d.count("M") for kind in "lb" for d in d_of(svg, kind)] == [2, 2]
    assert "nan" not in svg


def test_words_of_a_chart_are_text():
    hostile = '<script>"&'
    axis = linear(hostile, 0.0, 1.0)
    made = Chart(hostile, axis, axis, (), (Entry("l", hostile),), ((0.5, 0.5, hostile),)).markup(hostile, hostile)
    rows = points(hostile, hostile, hostile, [(hostile, Interval(0.5, 0.4, 0.6, 0.95, "t", 8))])
    offered = bars(hostile, hostile, hostile, [hostile], np.array([1.0]), 3)
    for svg in (made, rows, offered):
        assert "<script" not in svg
        assert svg.count("&lt;script&gt;&quot;&amp;") >= 4


def test_the_axis_of_steps_has_zero_powers_of_ten_and_the_last_step():
    places, axis = steps_axis(np.array([0, 1, 10, 100, 1500]))
    assert [text for _, text in axis.ticks] == ["0", "1", "10", "100", "1,500"]
    assert np.all(np.diff(places) > 0)
    assert (axis.low, axis.high) == (places[0], places[-1])


def test_a_point_of_a_row_lies_between_its_limits():
    svg = points("h", "t", "bits", [("one", Interval(0.5, 0.25, 1.0, 0.95, "t", 8))])
    (whisker,), (point,) = d_of(svg, "w r3-2"), d_of(svg, "o r3-2")
    low, high = int(re.match(r"M(\d+)", whisker)[1]), int(re.search(r"H(\d+)", whisker)[1])
    place = int(re.match(r"M(\d+)", point)[1])
    assert (place - low) / (high - low) == pytest.approx(1 / 3, abs=0.01)


def test_a_sparkline_shows_the_course_and_not_its_widest_limits():
    course = [Interval(v, v - w, v + w, 0.95, "t", 8) for v, w in ((0.0, 100.0), (0.5, 0.1), (1.0, 0.1))]
    band, line = re.findall(r'd="([^"]*)"', sparkline(course))
    heights = [int(n) for n in re.findall(r"[ML]\d+ (\d+)", line)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[-1] > 10
    assert all(0 <= int(n) <= 44 for n in re.findall(r"[ML]\d+ (-?\d+)", band))
    assert sparkline(course[:1]) == ""
