"""The picture of README.md and of the first page, from the tables that `make low_end` keeps: `make pictures` runs this.

Deep efficiency over training with its 95 % interval, one line per head, the verdict beside its end; nothing is trained.
Written twice, for light and for dark grounds; the same tables and the same matplotlib give the same bytes.

    python benchmarks/pictures.py [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from generated import ROOT

from worldnets.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TABLES = ROOT / "notebooks" / "low_end"
NAME = "deepen_or_stagnate"
#: Okabe and Ito's colours, lighter on dark ground: what grew deep, what did not.
INKS = {
    "light": {"ink": "#1b1f24", "faint": "#8a9099", "deepening": "#0072b2", "stagnating": "#d55e00"},
    "dark": {"ink": "#e6e9ee", "faint": "#8b929c", "deepening": "#56b4e9", "stagnating": "#f0a042"},
}


@dataclass(frozen=True)
class Panel:
    """One world of the picture.

    Attributes:
        world, objective, target: which condition of the suite `low_end`.
        heading: above the panel.
        names: where the name of each head's line ends: step, height.
    """

    world: str
    objective: str
    target: str
    heading: str
    names: dict[str, tuple[float, float]]


PANELS = (
    Panel(
        "vault",
        "continuation",
        "next_frame",
        "A vault on camera: what comes next?",
        {"mlp": (16, 0.84), "linear": (1500, 0.1)},
    ),
    Panel(
        "alarm",
        "question",
        "airway",
        "A patient's monitors: is the airway free?",
        {"mlp": (120, 0.72), "linear": (1500, -0.1)},
    ),
    Panel(
        "cue-.9",
        "question",
        "answer",
        "An easy cue beside a hard parity",
        {"mlp": (130, 0.72), "linear": (3000, 0.1)},
    ),
)


def curve(panel: Panel, head: str) -> pd.DataFrame:
    """Steps, and deep efficiency with its interval, of one line.

    Raises:
        SystemExit: the tables have no such condition.
    """
    chosen = _condition("findings", panel, head)
    chosen = chosen[chosen["name"] == "efficiency, deep"].sort_values("step")
    return chosen[["step", "estimate", "low", "high"]].reset_index(drop=True)


def verdict(panel: Panel, head: str) -> str:
    """What the probe `depth` concluded of one line."""
    return str(_condition("verdicts", panel, head)["verdict"].iloc[0])


@functools.cache
def _table(name: str) -> pd.DataFrame:
    """What the probe `depth` said of heads that see all evidence from the first step."""
    table = pd.read_parquet(TABLES / f"{name}.parquet")
    return table[(table.probe == "depth") & (table.inputs == "evidence")]


def _condition(name: str, panel: Panel, head: str) -> pd.DataFrame:
    wanted = {"world": panel.world, "objective": panel.objective, "target": panel.target, "head": head}
    chosen = _table(name)
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    if chosen.empty:
        raise SystemExit(f"{TABLES.relative_to(ROOT)} has nothing of {wanted}: run `make low_end`")
    return chosen


def in_words() -> str:
    """The ends of all lines, as the picture's own description."""
    said = []
    for panel in PANELS:
        for head in panel.names:
            end = curve(panel, head).iloc[-1]
            said.append(
                f"{panel.world}, {head}: {end.estimate:.2f} [{end.low:.2f}, {end.high:.2f}] {verdict(panel, head)}"
            )
    return "Deep efficiency at the end of training, 95 % intervals. " + "; ".join(said) + "."


def drawn(scheme: str) -> str:
    """The picture for one ground, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    inks = INKS[scheme]
    style = {"svg.hashsalt": NAME, "svg.fonttype": "none", "font.size": 10, "text.color": inks["ink"]}
    style |= {"axes.edgecolor": inks["faint"], "xtick.color": inks["faint"], "ytick.color": inks["faint"]}
    style |= {"axes.labelcolor": inks["ink"], "xtick.labelcolor": inks["ink"], "ytick.labelcolor": inks["ink"]}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10.4, 3.3), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS, strict=True):
            _panel(axes, panel, inks)
        figure.axes[0].set_ylabel("share of the deep bits")
        file = io.StringIO()
        about = {"Date": None, "Creator": None, "Title": "Deepen or stagnate?", "Description": in_words()}
        figure.savefig(file, format="svg", transparent=True, metadata=about)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _panel(axes: Axes, panel: Panel, inks: dict[str, str]) -> None:
    axes.set_title(panel.heading, fontsize=10, loc="left")
    axes.axhline(1, color=inks["faint"], linewidth=1, linestyle=(0, (4, 3)))
    axes.text(1.15, 1.02, "all that can be known", color=inks["ink"], fontsize=8, va="bottom")
    for head, (step, height) in panel.names.items():
        found = curve(panel, head)
        found = found[found.step >= 1]  # the axis is logarithmic
        concluded = verdict(panel, head)
        ink = inks[concluded]
        axes.fill_between(found.step, found.low, found.high, color=ink, alpha=0.25, linewidth=0)
        axes.plot(found.step, found.estimate, color=ink, linewidth=2)
        axes.text(step, height, f"{head}: {concluded}", color=ink, fontsize=9.5, ha="right", va="center")
    axes.set_xscale("log")
    axes.set_xlim(1, None)
    axes.set_ylim(-0.25, 1.15)
    axes.set_xlabel("training step")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for scheme in INKS:
        write_atomically(options.out / f"{NAME}-{scheme}.svg", drawn(scheme))
        print(f"wrote {NAME}-{scheme}.svg")


if __name__ == "__main__":
    main()
