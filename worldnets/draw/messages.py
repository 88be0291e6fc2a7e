"""Messages on their way: rounds of loopy message passing on the net, or the two passes over a junction tree.

An animation is one piece of markup with the numbers of all its frames inside: it plays in a notebook, in a saved page
opened from disk, and where scripts are off it stands still and shows its last frame.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worldnets.draw.drawing import Drawing, escape, resource
from worldnets.errors import QueryError
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from worldnets.draw.history import History, Rounds
    from worldnets.inference.plan import Plan


@dataclass(frozen=True, repr=False)
class Animation(Drawing):
    """A drawing with a slider: play and pause, one frame back and on (buttons or arrow keys), Home and End.

    Attributes:
        frames: how many frames, the start included.
        make_figure: makes the static picture.
    """

    frames: int
    make_figure: Callable[[], Figure] | None = None

    def figure(self) -> Figure:
        """The same story as one matplotlib figure, for paper: changes of messages by round, as a heat map.

        Raises:
            QueryError: the passes over a junction tree have none; their `svg` shows the order of all messages.
        """
        if self.make_figure is None:
            raise QueryError("no figure of this animation", mend="use its `svg`, or save it with the ending .svg")
        return self.make_figure()

    def _repr_png_(self) -> bytes | None:
        """What viewers take that show neither pages nor SVG, such as PDF export."""
        if self.make_figure is None:
            return None
        import io

        buffer = io.BytesIO()
        self.make_figure().savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()


def draw_messages(
    what: WorldNet | FactorNet | Plan,
    history: History | None = None,
    evidence: Mapping[str, Label] | pd.DataFrame | None = None,
    *,
    variables: Iterable[str] | None = None,
    row: int = 0,
    together: bool | None = None,
    title: str = "",
) -> Animation:
    """Animate message passing: rounds of loopy messages on a net, or the passes of a plan over its junction tree.

    On a net, every factor is a small square between the variables of its scope, and every message an arrow,
    as wide as it changed in that round and coloured by the logarithm of that (over four decades below the largest
    change of all). Bars are the beliefs after the round; below stand the largest changes and the curve of residuals.

    On a plan's junction tree, messages go towards the root (collect) and back (distribute), in the engine's order.

    Args:
        what: the net whose messages `history` holds, or a plan.
        history: of one row, from `LoopyInference(net).history(evidence_row, rounds)`; not with a plan.
        evidence: marks the observed variables; not with a plan.
        variables: whose boxes are drawn, with the factors around them; default all, or, of more than 40, a connected
            part of up to 30 around the message that changed most.
        row: which row of `evidence`, if it is a table.
        together: with a plan, messages that do not wait for one another are sent in one step, so that the steps are
            the longest chain of dependent messages; default where there are more than 60 cliques.
        title: what the animation is called.
    Raises:
        QueryError: no history to a net, or one of another net; an unknown variable; numbers of the wrong shape.
        EvidenceError: `evidence` names an unknown variable or state.
    """
    from worldnets.inference.plan import Plan

    if isinstance(what, Plan):
        from worldnets.draw.schedule import animate_plan

        if history is not None or evidence is not None or variables is not None:
            mend = "give the plan alone, or a net and a history of rounds on it"
            raise QueryError("a plan's messages have a schedule but no history", mend=mend)
        return animate_plan(what, together, title)
    if history is None:
        mend = "give LoopyInference(net).history(evidence, rounds), or Inference(net).plan for exact messages"
        raise QueryError("a net alone sends no messages", mend=mend)
    from worldnets.draw.history import checked
    from worldnets.draw.rounds import animate_rounds

    rounds = checked(what, history)
    make_figure = functools.partial(_heat_map, rounds, title)
    return animate_rounds(what, rounds, evidence, variables, row, title, make_figure)


def _heat_map(rounds: Rounds, title: str) -> Figure:
    from worldnets.draw.heat import heat_map  # the one thing here that needs matplotlib

    return heat_map(rounds, title=title)


def player(svg: str, data: Mapping[str, object], told: str, unit: str, title: str, below: str = "") -> str:
    """The notebook's markup of an animation: controls, picture, and the frames' numbers.

    Args:
        svg: the picture in its last frame.
        data: what `player.js` reads.
        told: the sentence of the last frame.
        unit: what a frame is called.
        title: what a screen reader says of the controls.
        below: markup below the picture.
    """
    # In an attribute of single quotes, JSON needs only these three replaced.
    frames = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    frames = frames.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")
    last = len(data["told"]) - 1  # type: ignore[arg-type]
    controls = (
        f'<div class="controls" role="group" aria-label="{escape(title)}" hidden>'
        '<button type="button" class="play" aria-pressed="false">▶ Play</button>'
        f'<button type="button" class="back" aria-label="one {unit} back">◀</button>'
        f'<input type="range" min="0" max="{last}" step="1" value="{last}" aria-label="{unit}">'
        f'<button type="button" class="on" aria-label="one {unit} on">▶▏</button>'
        f"<output>{unit} {last} of {last}</output></div>"
    )
    return (
        f"<div class=\"worldnets\" data-frames='{frames}'><style>{resource('style.css')}</style>{controls}"
        f'<p class="told" aria-live="polite">{escape(told)}</p>{svg}{below}'
        f"<script>{resource('player.js')}</script></div>"
    )
