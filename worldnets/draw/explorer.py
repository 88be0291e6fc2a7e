"""Evidence changed by hand, beliefs redrawn.

>>> import worldnets as wn
>>> net = wn.load_dataset("asia").net
>>> explorer = net.explore()  # shown in a notebook: choose variables, set their states, watch all beliefs
>>> explorer.observe("dysp", "yes").beliefs["lung"].round(3)
array([[0.103, 0.897]])

With ipywidgets there are controls; without, the same picture stands still and says which extra brings them. From
Python the same is done by `observe`, `do` and `forget`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from worldnets.draw.drawing import escape, resource
from worldnets.draw.inspection import NetDrawing, Shown, group_colours, inspect_net, paint
from worldnets.draw.stage import Arrangement, stage_of
from worldnets.errors import EvidenceError, MissingDependencyError, QueryError
from worldnets.inference import Beliefs, Inference
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from worldnets.draw.controls import Controls

EXTRA = "Controls need ipywidgets: pip install 'worldnets[notebooks]'."


def explore(
    net: WorldNet | FactorNet,
    evidence: Mapping[str, Label] | None = None,
    *,
    do: Mapping[str, Label] | None = None,
    variables: Iterable[str] | None = None,
    groups: Mapping[str, Iterable[str]] | None = None,
    arrangement: Arrangement = "auto",
    engine: Inference | None = None,
) -> Explorer:
    """A net with controls for its evidence, exact beliefs in its boxes, and ln p(evidence).

    Args:
        net: what is asked; a clip's frames are columns.
        evidence, do: what is observed, or set, at the start.
        variables: whose boxes are drawn; default all. Any variable of the net can be observed.
        groups, arrangement: as for `worldnets.draw_net`.
        engine: of the net; default `Inference(net)`.

    Raises:
        EvidenceError: `evidence` or `do` name an unknown variable or state; a variable both observed and set.
        QueryError: `variables` or `groups` name an unknown variable; an engine of another net; `do` on a `FactorNet`.
    """
    return Explorer(net, evidence or {}, do or {}, variables, groups or {}, arrangement, engine)


class Explorer:
    """What `explore` returns: the evidence as it stands, its beliefs and their picture, all of one moment.

    A change that the net refuses changes nothing.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        evidence: Mapping[str, Label],
        do: Mapping[str, Label],
        variables: Iterable[str] | None,
        groups: Mapping[str, Iterable[str]],
        arrangement: Arrangement,
        engine: Inference | None,
    ) -> None:
        if engine is not None and engine.net is not net:
            raise QueryError("an engine of another net", found=repr(engine), mend=f"give Inference({net!r}), or none")
        self.net = net
        self.engine = Inference(net) if engine is None else engine
        self._named, self._colours = group_colours(net, groups)
        shown = net.variables if variables is None else tuple(variables)
        self._stage = stage_of(net, shown, (), shown, arrangement)
        self._listeners: list[Callable[[], None]] = []
        self._controls: Controls | None = None
        self._set(dict(evidence), dict(do))

    @property
    def evidence(self) -> dict[str, Label]:
        """The observed variables and their states."""
        return dict(self._evidence)

    @property
    def interventions(self) -> dict[str, Label]:
        """The variables set by `do`, and their states."""
        return dict(self._do)

    @property
    def beliefs(self) -> Beliefs:
        """Exact beliefs of the variables drawn, one row."""
        return self._beliefs

    @property
    def log_evidence(self) -> float:
        """Ln p(evidence) in nats, after the interventions; -inf where it is impossible (ln Z for a `FactorNet`)."""
        return float(self._beliefs.log_evidence[0])

    @property
    def possible(self) -> bool:
        """Whether the evidence can happen."""
        return bool(self._beliefs.possible[0])

    def observe(self, variable: str, state: Label) -> Explorer:
        """Observe a variable, in place of what was known of it.

        Raises:
            EvidenceError: no such variable or state.
        """
        do = {v: label for v, label in self._do.items() if v != variable}
        return self._set({**self._evidence, variable: state}, do)

    def do(self, variable: str, state: Label) -> Explorer:
        """Set a variable from outside: it loses its causes (Pearl's do).

        Raises:
            EvidenceError: no such variable or state.
            QueryError: a `FactorNet`, which has no causes.
        """
        evidence = {v: label for v, label in self._evidence.items() if v != variable}
        return self._set(evidence, {**self._do, variable: state})

    def forget(self, *variables: str) -> Explorer:
        """Forget what is known of these variables; of all, if none is named.

        Raises:
            EvidenceError: no such variable.
        """
        self.net.check_variables(variables)
        gone = set(variables or self.net.variables)
        kept = {v: label for v, label in self._evidence.items() if v not in gone}
        return self._set(kept, {v: label for v, label in self._do.items() if v not in gone})

    def _set(self, evidence: dict[str, Label], do: dict[str, Label]) -> Explorer:
        import pandas as pd

        both = sorted(evidence.keys() & do.keys())
        if both:
            mend = "observe it, or set it"
            raise EvidenceError("a variable that is observed and set", node=both[0], mend=mend)
        observed = {v: self.net.code(v, label) for v, label in evidence.items()}
        forced = {v: self.net.code(v, label) for v, label in do.items()}
        table = pd.DataFrame({v: pd.Series([label], dtype=object) for v, label in evidence.items()}, index=[0])
        beliefs = self.engine.query(table, self._stage.variables, do=do or None)
        self._evidence, self._do, self._beliefs = evidence, do, beliefs  # nothing has changed if that was refused
        now = {v: beliefs[v][0] for v in self._stage.variables}
        self._shown = Shown(now, {}, observed, forced, {}, self._named, self._colours)
        for tell in self._listeners:
            tell()
        return self

    @property
    def told(self) -> str:
        """One line: how likely the evidence is."""
        if not self._evidence:
            return "Nothing is observed."
        if not self.possible:
            return "ln p(evidence) = −∞: this evidence is impossible, there are no beliefs."
        value = self.log_evidence
        if isinstance(self.net, FactorNet):
            return f"ln Z(evidence) = {value:.4g} nats"
        shown = f"ln p(evidence) = {value:.4g} nats".replace("-", "−")
        return f"{shown} (p = {math.exp(value):.3g})" if value > -600 else shown

    @property
    def drawing(self) -> NetDrawing:
        """The picture as it stands."""

        def figure() -> Any:
            return inspect_net(self.net, self._beliefs, self._evidence).figure()

        return paint(self._stage, self._shown, figure=figure)

    @property
    def controls(self) -> Controls:
        """The ipywidgets controls, made when first asked for.

        Raises:
            MissingDependencyError: ipywidgets is not installed.
        """
        if self._controls is None:
            try:
                from worldnets.draw.controls import Controls
            except ImportError:
                mend = "pip install 'worldnets[notebooks]'"
                raise MissingDependencyError("controls need ipywidgets, which is not installed", mend=mend) from None
            self._controls = Controls(self)
        return self._controls

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` after every change."""
        self._listeners.append(tell)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        try:
            widgets = dict(self.controls.box._repr_mimebundle_() or {})
            return widgets | {"text/plain": repr(self), "text/html": self._repr_html_(controls=True)}
        except MissingDependencyError:
            return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self, controls: bool = False) -> str:
        note = "" if controls else f'<p class="soft">{escape(EXTRA)}</p>'
        html = self.drawing.html
        head = f"</style><p>{escape(self.told)}</p>{note}"
        return html.replace("</style>", head, 1) if resource("style.css") in html else html

    def __repr__(self) -> str:
        return f"Explorer({self.net.name!r}, {len(self._evidence)} observed, {len(self._do)} set; {self.told})"
