"""Worlds that run in time: a two-slice template (2-TBN) and the clips it unrolls to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import NetError
from worldnets.net import Label, WorldNet

if TYPE_CHECKING:
    from worldnets.draw.explorer import Explorer
    from worldnets.draw.inspection import NetDrawing

PREVIOUS = "[t-1]"  # "diamond[t-1]" names the diamond of the frame before; "diamond" the one of this frame


def frame_name(variable: str, frame: int) -> str:
    """Name of a template variable in an unrolled clip; frames count from 1, as in the field's formulas."""
    return f"{variable}_{frame}"


@dataclass(frozen=True, eq=False, repr=False)
class TwoSliceNet:
    """A two-slice temporal Bayes net: W(x_1) Π_t W(x_t | x_{t-1}).

    Args:
        initial: the net of frame 1.
        parents: for each variable its parents in frames 2, 3, …; `"v[t-1]"` is `v` in the frame before.
        cpts: for each variable its table in those frames, shape [*parent states, states].
        name: shown in representations.

    Raises:
        NetError: whatever makes the two-frame unrolling no `WorldNet`.

    Source: Murphy 2002, Dynamic Bayesian Networks, section 2.2.
    """

    initial: WorldNet
    parents: Mapping[str, Sequence[str]]
    cpts: Mapping[str, ArrayLike]
    name: str = ""
    states: Mapping[str, tuple[Label, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", self.initial.states)
        put = object.__setattr__
        put(self, "parents", MappingProxyType({v: tuple(given) for v, given in self.parents.items()}))
        put(self, "cpts", MappingProxyType(dict(self.cpts)))
        self.initial.check_variables(self.parents, error=NetError)
        for v in self.states:
            if v.endswith(PREVIOUS):
                mend = f"rename it: {PREVIOUS!r} at the end of a name means the frame before"
                raise NetError("a variable name that is reserved", node=v, mend=mend)
        missing = set(self.states) ^ set(self.cpts)
        if missing:
            raise NetError(
                "frames 1 and 2 do not have the same variables",
                found=sorted(missing),
                mend="give every variable of the initial net a transition table, and no others",
            )
        self.unroll(2)

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of one frame."""
        return self.initial.variables

    @classmethod
    def uniform(
        cls,
        states: Mapping[str, Sequence[Label]],
        first: Mapping[str, Sequence[str]],
        later: Mapping[str, Sequence[str]],
        name: str = "",
    ) -> TwoSliceNet:
        """The net with these arrows and uniform tables: a structure to learn tables for.

        Args:
            states: of each variable of a frame.
            first, later: the parents of each variable in frame 1, and in later frames; variables without parents may
                be left out.
            name: shown in representations.

        Raises:
            NetError: arrows that are none, as for the class.
        """

        def table(parents: Mapping[str, Sequence[str]], v: str) -> NDArray[np.float64]:
            known = [states[u] for u in (p.removesuffix(PREVIOUS) for p in parents.get(v, ())) if u in states]
            return np.full([*map(len, known), len(states[v])], 1.0 / max(1, len(states[v])))

        initial = WorldNet(states, first, {v: table(first, v) for v in states}, name)
        return cls(initial, later, {v: table(later, v) for v in states}, name)

    def unroll(self, frames: int) -> WorldNet:
        """The `WorldNet` of a clip of `frames` frames; variable `v` of frame `t` is named `frame_name(v, t)`."""
        if frames < 1:
            raise NetError("a clip needs at least one frame", found=frames, mend="ask for frames ≥ 1")
        states, parents, cpts = {}, {}, {}
        for t in range(1, frames + 1):
            for v, labels in self.states.items():
                node = frame_name(v, t)
                states[node] = labels
                first = t == 1
                parents[node] = (
                    tuple(frame_name(p, t) for p in self.initial.parents(v))
                    if first
                    else tuple(_in_clip(p, t) for p in self.parents.get(v, ()))
                )
                cpts[node] = self.initial.cpt(v) if first else self.cpts[v]
        return WorldNet(states, parents, cpts, self.name)

    def draw(
        self, beliefs: Any = None, evidence: Any = None, *, frames: int | None = None, **options: Any
    ) -> NetDrawing:
        """The net as a clip, one column per frame: see `WorldNet.draw`.

        Args:
            beliefs: of `TemporalInference`, or of the unrolled net.
            evidence: observed variables by their names in the clip, "umbrella_2".
            frames: columns; default as many as the beliefs have, otherwise two, which show the whole template.
            **options: as for `worldnets.draw.inspect_net`.
        """
        from worldnets.inference.temporal import TemporalBeliefs

        if isinstance(beliefs, TemporalBeliefs):
            frames = beliefs.frames.stop - 1 if frames is None else frames
            beliefs = beliefs.of_row(options.pop("row", 0))
        return self.unroll(2 if frames is None else frames).draw(beliefs, evidence, **options)

    def explore(self, evidence: Mapping[str, Label] | None = None, *, frames: int = 4, **options: Any) -> Explorer:
        """A clip of the net with controls to change the evidence: see `worldnets.draw.explore`."""
        return self.unroll(frames).explore(evidence, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.initial, dict(self.parents), dict(self.cpts), self.name)

    def __repr__(self) -> str:
        return f"TwoSliceNet({self.name!r}, {len(self.states)} variables a frame)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note, table

        rows = [(v, labels, self.initial.parents(v), self.parents.get(v, ())) for v, labels in self.states.items()]
        listed = table(("variable", "states", "parents in frame 1", "parents in later frames"), rows, more="net.states")
        return card(repr(self), None, listed, note("net.draw(frames=3) shows it as a clip"))


def _in_clip(parent: str, frame: int) -> str:
    if parent.endswith(PREVIOUS):
        return frame_name(parent.removesuffix(PREVIOUS), frame - 1)
    return frame_name(parent, frame)
