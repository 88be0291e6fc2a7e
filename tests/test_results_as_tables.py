"""Results as tables and plots: the numbers in them are those of the result."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import worldnets as wn
from probes.compare import Comparison, Moved
from probes.finding import Statement, Verdict
from probes.ladder import reference
from probes.purity.gap import ProxyGap
from probes.statistics import Interval
from worldnets.candidates import Candidate, Candidates
from worldnets.dataset_check import CheckResult, Checks
from worldnets.inference import MessageHistory
from worldnets.learning import HeldOut, Run, maximum_likelihood
from worldnets.roles import World, static_task


@pytest.fixture(scope="module")
def net():
    return wn.WorldNet(
        {"a": ("no", "yes"), "b": (0, 1), "c": (0, 1)},
        {"b": ("a",), "c": ("b",)},
        {"a": [0.6, 0.4], "b": [[0.9, 0.1], [0.2, 0.8]], "c": [[0.7, 0.3], [0.1, 0.9]]},
        "chain",
    )


@pytest.fixture(scope="module")
def template():
    first = wn.WorldNet({"door": ("shut", "open")}, {}, {"door": [0.5, 0.5]})
    return wn.TwoSliceNet(first, {"door": ("door[t-1]",)}, {"door": [[0.9, 0.1], [0.3, 0.7]]})


def axes():
    return Figure().subplots()


def widths(figure):
    """Of the stacked bars, one array [bars, states] per panel."""
    return [np.array([[bar.get_width() for bar in state] for state in ax.containers]).T for ax in figure.axes]


def test_beliefs_plot_themselves(net):
    beliefs = wn.Inference(net).query(pd.DataFrame({"c": [None, 1]}), variables=["a"])
    np.testing.assert_allclose(widths(beliefs.plot())[0], beliefs["a"])


def test_beliefs_over_time_plot_a_row_frame_by_frame(template):
    beliefs = wn.TemporalInference(template).filter(pd.DataFrame({"door_1": ["open", None], "door_2": [None, "shut"]}))
    figure = beliefs.plot(row=1)
    np.testing.assert_allclose(widths(figure)[0], beliefs["door"][1])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["frame 1", "frame 2"]
    np.testing.assert_array_equal(beliefs.of_row(0)["door_2"], beliefs["door"][0, 1])
    with pytest.raises(wn.errors.QueryError, match="no such row"):
        beliefs.of_row(2)


def test_expected_counts_are_a_row_per_cell(net, template):
    counts = wn.Inference(net).expected_counts(pd.DataFrame({"a": ["no", "no", "yes"], "b": [0, 1, None]}))
    table = counts.to_pandas().set_index(["family", "cell"])["count"]
    assert table["b", (0, 1)] == counts["b"][0, 1] == 1
    assert len(table) == 2 + 4 + 4
    over_time = wn.TemporalInference(template).expected_counts(pd.DataFrame({"door_1": ["open"], "door_2": ["shut"]}))
    rows = over_time.to_pandas().set_index(["frames", "variable", "cell"])["count"]
    assert rows["first", "door", (1,)] == 1
    assert rows["later", "door", (1, 0)] == 1


def test_what_was_learned_is_drawn_run_by_run(net):
    learned = maximum_likelihood(wn.inference.decode(net, wn.simulate(net, 100, seed=0)), net)
    (line,) = learned.plot(axes()).lines
    np.testing.assert_array_equal(line.get_ydata(), [learned.bits])
    run = Run("seed 0", np.array([2.0, 1.5, 1.25]), True)
    assert run.to_pandas().loc[2, "bits"] == 1.25


def test_candidates_are_drawn_with_the_chosen_one_dark():
    held = [HeldOut(bits, 0.1, 10) for bits in (3.0, 2.0)]
    fits = tuple(Candidate(name, 1, 2.0, h, h, None, 4, 0.0) for name, h in zip("ab", held, strict=True))
    ax = Candidates(fits, "b").plot(axes())
    assert [line.get_xdata()[0] for line in ax.lines] == [3.0, 2.0]
    assert ax.lines[1].get_color() == "#0072b2"


def test_the_pie_as_a_table_and_as_bars(net):
    task = static_task(net, ["b", "c"], {"a": ["a"]}, (), [["c"], ["b"]])
    known = reference(wn.Dataset("chain", {}, World(net, {"question": task})), task, "a")
    about = known.about
    np.testing.assert_array_equal(about.to_pandas()["bits"], about.information)
    assert about.to_pandas()["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose([bar.get_width() for bar in about.plot(axes()).patches], about.information)
    pie = known.measure(np.log(np.full((3, len(known.inputs), 2), 0.5)))
    table = pie.to_pandas()
    assert len(table) == 3 * 2
    assert table.query("axis_0 == 2 and rung == 1")["captured"].item() == pie.captured[2, 0]
    heights = [bar.get_height() for bar in pie.plot(about, axes()).patches]
    np.testing.assert_allclose(heights, [*about.information, *pie.captured.mean(0)])


def test_differences_between_runs_and_models_are_drawn_with_their_limits():
    number = Interval(0.5, 0.25, 1.0, 0.95, "t", 8)
    names = dict.fromkeys(("world", "objective", "target", "head", "inputs", "probe", "name", "rung", "unit"), "x")
    moved = (Moved(names, number, number, number),)
    for ax in (
        Comparison((), (), (), (), moved, 1, 0, ()).plot(axes()),
        ProxyGap("likelihood", True, "", 8, number, {}, {}, {"accuracy": number}).plot(axes()),
    ):
        assert ax.lines[0].get_xdata()[0] == 0.5
        np.testing.assert_allclose(ax.collections[0].get_segments()[0][:, 0], [0.25, 1.0])


def test_the_statements_of_a_verdict_are_a_table():
    statement = Statement("it is deep", Interval(0.5, 0.25, 1.0, 0.95, "t", 8), 0.01, True)
    table = Verdict("deepening", (), statements=(statement,)).to_pandas()
    assert table.loc[0, ["text", "p", "low"]].tolist() == ["it is deep", 0.01, 0.25]
    assert len(Verdict("untrained", ()).to_pandas()) == 0


def test_checks_say_whether_all_is_well_and_print_a_line_each():
    well, wrong = CheckResult("a", True, "as it should be"), CheckResult("b", False, "missing", "add it")
    assert Checks([well]).ok
    assert not Checks([well, wrong]).ok
    assert str(Checks([well, wrong])).splitlines()[1] == "FAIL b: missing (add it)"
    assert Checks([well, wrong]).to_pandas()["mend"].tolist() == ["", "add it"]


def test_message_changes_are_a_row_per_round():
    changes = np.array([[0.5, 0.25], [0.125, 0.0]])
    ends = {"sources": ("a", "f(a)"), "targets": ("f(a)", "a")}
    history = MessageHistory(
        ((0, "a"),), (("a",),), **ends, messages=np.full((3, 2, 2), 0.5), changes=changes, beliefs={}, states={},
        possible=True,
    )  # fmt: skip
    table = history.to_pandas()
    assert table.index.tolist() == [1, 2]
    assert table["f(a)", "a"].tolist() == [0.25, 0.0]
