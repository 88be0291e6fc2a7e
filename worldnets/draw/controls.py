"""The ipywidgets controls of an `Explorer`: one line per chosen variable, with its state and how it came about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets  # who imports this module has asked for them

from worldnets.draw.given import shortened
from worldnets.errors import WorldnetsError
from worldnets.net import WorldNet

if TYPE_CHECKING:
    from worldnets.draw.explorer import Explorer

UNOBSERVED = "unobserved"
SEEN, SET = "seen", "set by do()"
ROWS_AT_START = 8  # variables; in a net with no more, each has its line from the start


class Controls:
    """Widgets that change an explorer's evidence, and show what it says then.

    Attributes:
        box: all of them, what a notebook shows.
        find: names a variable to add a line for; it completes what is typed.
        lines: variable → its line, in the order they were added.
        clear: forgets all evidence.
        told: the line on ln p(evidence).
        picture: the net with its beliefs.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        variables = explorer.net.variables
        self.find = widgets.Combobox(
            options=variables, placeholder="find a variable", ensure_option=False, continuous_update=False,
            description="observe", style={"description_width": "initial"},
        )  # fmt: skip
        self.clear = widgets.Button(description="forget all", tooltip="forget all evidence")
        self.told, self.picture = widgets.HTML(), widgets.HTML()
        self.lines: dict[str, Line] = {}
        self._rows = widgets.VBox()
        head = [self.find, self.clear]
        self.box = widgets.VBox([widgets.HBox(head), self._rows, self.told, self.picture])
        self.find.observe(self._chosen, "value")
        self.clear.on_click(lambda _: explorer.forget())
        few = variables if len(variables) <= ROWS_AT_START else ()
        for v in dict.fromkeys((*few, *explorer.evidence, *explorer.interventions)):
            self.add(v)
        explorer.listen(self.refresh)
        self.refresh()

    def add(self, variable: str) -> Line:
        """A line for a variable; the one that is there, if there is one."""
        if variable not in self.lines:
            self.lines[variable] = Line(self.explorer, variable, self.remove)
            self._rows.children = tuple(line.box for line in self.lines.values())
        return self.lines[variable]

    def remove(self, variable: str) -> None:
        """Forget what is known of the variable, and take its line away."""
        self.explorer.forget(variable)
        del self.lines[variable]
        self._rows.children = tuple(line.box for line in self.lines.values())

    def refresh(self) -> None:
        """Show the explorer as it is now."""
        for v in (*self.explorer.evidence, *self.explorer.interventions):
            self.add(v)
        for line in self.lines.values():
            line.refresh()
        self.told.value = _words(self.explorer.told)
        self.picture.value = self.explorer.drawing.html

    def _chosen(self, change: dict[str, Any]) -> None:
        name = change["new"]
        if name in self.explorer.net.index:
            self.add(name).refresh()
            self.find.value = ""
        elif name:
            near = [v for v in self.explorer.net.variables if name.lower() in v.lower()]
            found = f"with “{name}” in their names: {', '.join(near[:8])}" if near else f"“{name}” is no variable"
            self.told.value = _words(found + ("" if len(near) <= 8 else f" and {len(near) - 8} more"))


class Line:
    """One variable's controls: its state, whether it was seen or set, and a button that removes the line."""

    def __init__(self, explorer: Explorer, variable: str, remove: Callable[[str], None]) -> None:
        self.explorer, self.variable = explorer, variable
        labels = explorer.net.states[variable]
        options = [(UNOBSERVED, -1), *((shortened(str(label), 40), i) for i, label in enumerate(labels))]
        wide = {"description_width": "12em"}
        self.state = widgets.Dropdown(options=options, value=-1, description=shortened(variable, 30), style=wide)
        self.how = widgets.Dropdown(options=[SEEN, SET], value=SEEN, layout={"width": "9em"})
        self.away = widgets.Button(description="×", tooltip=f"remove {variable}", layout={"width": "2.6em"})
        causal = [self.how] if isinstance(explorer.net, WorldNet) else []
        self.box = widgets.HBox([self.state, *causal, self.away])
        self._quiet = False
        self.state.observe(self._changed, "value")
        self.how.observe(self._changed, "value")
        self.away.on_click(lambda _: remove(variable))

    def refresh(self) -> None:
        """Show what the explorer knows of the variable."""
        explorer = self.explorer
        forced = explorer.interventions
        known = {**explorer.evidence, **forced}
        self._quiet = True  # what comes from the explorer must not go back to it
        try:
            self.state.value = explorer.net.code(self.variable, known[self.variable]) if self.variable in known else -1
            if self.variable in known:
                self.how.value = SET if self.variable in forced else SEEN
        finally:
            self._quiet = False

    def _changed(self, _: object) -> None:
        if self._quiet:
            return
        explorer, v = self.explorer, self.variable
        try:
            if self.state.value < 0:
                explorer.forget(v)
            elif self.how.value == SET:
                explorer.do(v, explorer.net.states[v][self.state.value])
            else:
                explorer.observe(v, explorer.net.states[v][self.state.value])
        except WorldnetsError:
            self.refresh()
            raise


def _words(text: str) -> str:
    from worldnets.draw.drawing import escape

    return f"<span>{escape(text)}</span>"
