"""How beliefs change from row to row."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from matplotlib.figure import Figure

from worldnets.draw.figure import Picture, literal, shade, text_width
from worldnets.draw.palette import INK
from worldnets.errors import QueryError
from worldnets.inference.beliefs import Beliefs


def draw_beliefs(
    beliefs: Beliefs,
    variables: Sequence[str] | None = None,
    *,
    labels: Sequence[Hashable] | None = None,
    title: str = "",
    columns: int = 4,
) -> Figure:
    """How beliefs change from row to row: one small panel per variable, one stacked bar per row of evidence.

    Give a query rows in which evidence arrives one finding at a time, and the picture is read from top to bottom.

    Args:
        beliefs: a query's answer.
        variables: the panels, in order; default all variables queried.
        labels: what stands beside each row, default the index of the evidence.
        title: printed above.
        columns: panels side by side.
    Raises:
        QueryError: a variable was not queried, or there is not one label per row.
    """
    variables = beliefs.variables if variables is None else tuple(variables)
    index = range(len(beliefs)) if beliefs.index is None else beliefs.index
    shown = [literal(str(label)) for label in (index if labels is None else labels)]
    if len(shown) != len(beliefs):
        raise QueryError("one label per row is needed", found=len(shown), expected=len(beliefs), mend="adapt `labels`")
    columns = min(columns, len(variables))
    lines = -(-len(variables) // columns)
    beside = max(text_width(label, 8.0) for label in shown) + 0.15
    height = 0.17 * len(shown) + 0.62
    size = (beside + columns * 1.75, lines * height + (0.3 if title else 0.0))
    figure = Picture(figsize=size, layout="constrained")
    figure.suptitle(title, size=10) if title else None
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for ax in axes[len(variables) :]:
        ax.set_axis_off()
    for ax, variable in zip(axes, variables, strict=False):
        table, states = beliefs[variable], beliefs.states[variable]
        left = np.zeros(len(beliefs))
        for i, state in enumerate(states):
            ax.barh(
                np.arange(len(left)),
                table[:, i],
                left=left,
                height=0.78,
                color=shade(i, len(states)),
                label=literal(str(state)),
            )
            left = left + table[:, i]
        ax.set_title(literal(variable), size=8, color=INK)
        ax.set(xlim=(0, 1), ylim=(len(left) - 0.5, -0.5), xticks=[0, 0.5, 1], xticklabels=["0", "½", "1"])
        ax.set_yticks(range(len(left)), shown)
        ax.tick_params(labelsize=7, length=2, colors=INK)
        ax.spines[:].set_visible(False)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16 * 1.2 / (height - 0.5)), ncols=2, fontsize=6, frameon=False,
            handlelength=0.8, columnspacing=0.8, borderpad=0.0,
        )  # fmt: skip
    return figure
