"""Discrete generative world-models: `WorldNet` (a Bayes net) and `FactorNet` (the same with free factors).

Both are frozen, validated on construction and made of plain arrays; `Inference` takes either. Nothing here computes
a posterior.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError, NetError, QueryError, did_you_mean

if TYPE_CHECKING:
    import networkx as nx

    from worldnets.draw.explorer import Explorer
    from worldnets.draw.inspection import NetDrawing

Label = Hashable
ROW_SUM_TOLERANCE = 1e-6
STATES_LIMIT = 2**15  # code arrays are int16
AXES_LIMIT = 64  # of a NumPy array


def row_sum_tolerance(states: int) -> float:
    """How far from 1 the probabilities of that many states may sum: what printing them with six decimals explains.

    That is half a unit of the sixth decimal for each (three times 0.333333 is 1 − 1e-6), at least `ROW_SUM_TOLERANCE`
    and at most a hundred times that.
    """
    return min(max(ROW_SUM_TOLERANCE, 0.5001e-6 * states), 100 * ROW_SUM_TOLERANCE)


class Factor(NamedTuple):
    """A non-negative table over a scope: `table[i, j, …]` belongs to the states `i, j, …` of `scope`, in order."""

    scope: tuple[str, ...]
    table: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Factor({', '.join(self.scope)}; {'×'.join(map(str, self.table.shape)) or 'a number'})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"entries": f"{self.table.size:,}", "sum": float(self.table.sum())})


class _Variables:
    """What the two kinds of net share: named variables with labelled states."""

    states: Mapping[str, tuple[Label, ...]]

    @property
    def variables(self) -> tuple[str, ...]:
        """All variable names, in the net's order: the column order of every code array."""
        return tuple(self.states)

    @functools.cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each variable in `variables`."""
        return MappingProxyType({variable: i for i, variable in enumerate(self.states)})

    @functools.cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable, shape [variables]."""
        return _frozen(np.array([len(labels) for labels in self.states.values()], dtype=np.int64))

    @functools.cached_property
    def label_codes(self) -> Mapping[str, Mapping[Label, int]]:
        """For each variable, the position of each of its labels."""
        return {variable: {label: i for i, label in enumerate(labels)} for variable, labels in self.states.items()}

    def code(self, variable: str, label: Label) -> int:
        """Position of a state among a variable's states; labels match by value (1 == 1.0, never "1").

        Raises:
            EvidenceError: an unknown variable or state.
        """
        self.check_variables([variable])
        try:
            return self.label_codes[variable][label]
        except (KeyError, TypeError):
            self.refuse_label(variable, label)

    def refuse_label(self, variable: str, label: object, row: object = None) -> NoReturn:
        """Raise the error of a label that is no state of the variable."""
        raise EvidenceError(
            "unknown state",
            node=variable,
            row=row,
            found=repr(label),
            expected=f"one of {list(self.states[variable])}",
            mend=did_you_mean(label, self.states[variable]),
        ) from None

    def check_variables(self, names: Iterable[str], error: type[Exception] = EvidenceError) -> None:
        """Raise `error` for the first name that is not a variable of this net."""
        for name in names:
            if name not in self.index:
                raise error("unknown variable", found=repr(name), mend=did_you_mean(name, self.states))  # type: ignore[call-arg]

    def draw(self, beliefs: Any = None, evidence: Any = None, **options: Any) -> NetDrawing:
        """A drawing for notebooks and pages: causes above effects, or a clip as one column per frame.

        A click on a box, or Tab and Enter, opens its table; `cpts=["v"]` puts tables below the picture for good.

        Args:
            beliefs: a query's answer, shown as bars.
            evidence: the observed variables and their states, or the query's table.
            **options: as for `worldnets.draw.inspect_net`: do, likelihood, before, row, variables, groups,
                arrangement, cpts, title.

        The figure for paper is `worldnets.draw_net(net, …)`, or `.figure()` of the drawing.
        """
        from worldnets.draw.inspection import inspect_net

        return inspect_net(self, beliefs, evidence, **options)  # type: ignore[arg-type]

    def explore(self, evidence: Mapping[str, Label] | None = None, **options: Any) -> Explorer:
        """The net with controls to change the evidence, beliefs redrawn: see `worldnets.draw.explore`."""
        from worldnets.draw.explorer import explore

        return explore(self, evidence, **options)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, repr=False)
class FactorNet(_Variables):
    """A discrete factor graph: p(x) = (1/Z) Π_f f(x_f), with finite non-negative tables.

    Args:
        states: the states of every variable, by name; their order is the order of `variables`.
        factors: the tables; `factors[i].table` has one axis per variable of `factors[i].scope`.
        name: shown in representations.

    Raises:
        NetError: an unknown or repeated variable in a scope, a wrong shape, a negative or NaN entry, duplicate states.
    """

    states: Mapping[str, tuple[Label, ...]]
    factors: tuple[Factor, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", _checked_states(self.states))
        object.__setattr__(self, "factors", tuple(self._checked(i, *factor) for i, factor in enumerate(self.factors)))

    def _checked(self, i: int, scope: Sequence[str], table: ArrayLike) -> Factor:
        place = f"factor {i} over ({', '.join(map(str, scope))})"
        if len(scope) > AXES_LIMIT:
            expected = f"at most {AXES_LIMIT}"
            raise NetError(
                "too many variables", node=place, found=len(scope), expected=expected, mend="split the factor"
            )
        self.check_variables(scope, error=functools.partial(NetError, node=place))  # type: ignore[arg-type]
        if len(set(scope)) != len(scope):
            raise NetError("a variable stands twice in one scope", node=place, mend="multiply the two axes into one")
        array = _checked_table(table, tuple(len(self.states[v]) for v in scope), node=place)
        return Factor(tuple(scope), _frozen(array))

    @functools.cached_property
    def graph(self) -> nx.Graph:
        """The Markov graph: an edge between any two variables that share a factor."""
        import networkx as nx

        graph = nx.Graph(name=self.name)
        graph.add_nodes_from(self.variables)
        for scope, _ in self.factors:
            graph.add_edges_from((a, b) for i, a in enumerate(scope) for b in scope[:i])
        return graph

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self.states), self.factors, self.name)

    def __repr__(self) -> str:
        return f"FactorNet({self.name!r}, {len(self.states)} variables, {len(self.factors)} factors)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note, table

        rows = [(v, labels, sum(v in factor.scope for factor in self.factors)) for v, labels in self.states.items()]
        listed = table(("variable", "states", "factors"), rows, more="net.states")
        return card(repr(self), None, listed, note("net.draw() shows its Markov graph"))


@dataclass(frozen=True, eq=False, repr=False)
class WorldNet(_Variables):
    """A discrete Bayes net: W(x) = Π_v W(x_v | x_pa(v)).

    Args:
        states: the states of every variable, by name; their order is the order of `variables`.
        parents: the parents of each variable; variables without parents may be left out.
        cpts: for each variable an array of shape [*parent states, states], last axis summing to 1. Rows within
            `row_sum_tolerance(states)` of 1 are renormalised (published files print few digits), others refused.
        name: shown in representations.

    Raises:
        NetError: a cycle, an unknown parent, a missing or misshapen table, a negative or NaN probability, a row that
            does not sum to 1, duplicate states, a variable without states.
    """

    states: Mapping[str, tuple[Label, ...]]
    parent_sets: Mapping[str, tuple[str, ...]]
    cpts: Mapping[str, NDArray[np.float64]]
    name: str = ""

    def __init__(
        self,
        states: Mapping[str, Sequence[Label]],
        parents: Mapping[str, Sequence[str]],
        cpts: Mapping[str, ArrayLike],
        name: str = "",
    ) -> None:
        put = functools.partial(object.__setattr__, self)
        put("states", _checked_states(states))
        put("name", name)
        for given in (parents, cpts):
            self.check_variables(given, error=NetError)
        put("parent_sets", MappingProxyType({v: self._checked_parents(v, parents.get(v, ())) for v in self.states}))
        self.order  # noqa: B018  raises on a cycle, before any table is read
        put("cpts", MappingProxyType({v: self._checked_cpt(v, cpts) for v in self.states}))

    def _checked_parents(self, variable: str, parents: Sequence[str]) -> tuple[str, ...]:
        for parent in parents:
            if parent not in self.states:
                mend = f"add {parent!r} to the net or {did_you_mean(parent, self.states)}"
                raise NetError("a parent is missing from the net", node=variable, found=repr(parent), mend=mend)
        if len(parents) >= AXES_LIMIT:
            found, expected = len(parents), f"at most {AXES_LIMIT - 1}"
            raise NetError("too many parents", node=variable, found=found, expected=expected, mend="split the node")
        if len(set(parents)) != len(parents):
            raise NetError("a parent is named twice", node=variable, found=list(parents), mend="name it once")
        return tuple(parents)

    def _checked_cpt(self, variable: str, cpts: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        if variable not in cpts:
            raise NetError("no table", node=variable, mend="give an array of shape [*parent states, states]")
        family = (*self.parent_sets[variable], variable)
        shape = tuple(len(self.states[v]) for v in family)
        table = _checked_table(cpts[variable], shape, variable, functools.partial(self._row_name, variable))
        with np.errstate(over="ignore"):  # a sum of huge entries is wrong, not worth a warning
            sums = np.asarray(table.sum(axis=-1))
        errors, tolerance = np.abs(sums - 1.0), row_sum_tolerance(shape[-1])
        if errors.max() > tolerance:
            row = tuple(int(i) for i in np.argwhere(errors > tolerance)[0])
            raise NetError(
                "a row of the table does not sum to 1",
                node=variable,
                row=self._row_name(variable, row),
                found=f"{sums[row]:.9g}",
                expected=f"1 within {tolerance:.4g}",
                mend="make the row a probability distribution over " + repr(list(self.states[variable])),
            )
        # Rows that sum to 1 up to rounding keep their bits: a net that is written, pickled or rebuilt does not drift.
        far = errors > shape[-1] * np.finfo(np.float64).eps
        if far.any():
            table[far] /= sums[far, None]
        return _frozen(table)

    def _row_name(self, variable: str, row: tuple[int, ...]) -> str:
        labels = (f"{p}={self.states[p][i]}" for p, i in zip(self.parent_sets[variable], row, strict=True))
        return "(" + ", ".join(labels) + ")"

    @functools.cached_property
    def order(self) -> tuple[str, ...]:
        """A topological order: parents before children, otherwise as in `variables`."""
        waiting = {v: len(parents) for v, parents in self.parent_sets.items()}
        children: dict[str, list[str]] = {v: [] for v in waiting}
        for v, parents in self.parent_sets.items():
            for parent in parents:
                children[parent].append(v)
        ready = [v for v, n in waiting.items() if n == 0]
        for v in ready:  # grows while it is read
            for child in children[v]:
                waiting[child] -= 1
                if waiting[child] == 0:
                    ready.append(child)
        if len(ready) < len(waiting):
            cycle = self._a_cycle({v for v, n in waiting.items() if n > 0})
            shown = cycle if len(cycle) <= 12 else [*cycle[:6], "…", *cycle[-5:]]
            raise NetError("the arrows form a cycle", node=cycle[0], found=" -> ".join(shown), mend="drop one arrow")
        return tuple(ready)

    def _a_cycle(self, stuck: set[str]) -> list[str]:
        # Every variable that never became ready has a parent that never did: walking up must return.
        path, seen = [min(stuck)], set[str]()
        while path[-1] not in seen:
            seen.add(path[-1])
            path.append(next(p for p in self.parent_sets[path[-1]] if p in stuck))
        return path[path.index(path[-1]) :][::-1]

    def parents(self, variable: str) -> tuple[str, ...]:
        """Parents of a variable, in the order of the axes of its table."""
        self.check_variables([variable], error=QueryError)
        return self.parent_sets[variable]

    def children(self, variable: str) -> tuple[str, ...]:
        """Variables that have `variable` as a parent, in the net's order."""
        self.check_variables([variable], error=QueryError)
        return tuple(v for v, parents in self.parent_sets.items() if variable in parents)

    def cpt(self, variable: str) -> NDArray[np.float64]:
        """Conditional probabilities W(variable | parents), shape [*parent states, states]; read-only."""
        self.check_variables([variable], error=QueryError)
        return self.cpts[variable]

    @functools.cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The tables as factors over (parents…, variable), in the net's order: what message passing multiplies."""
        return tuple(Factor((*self.parent_sets[v], v), self.cpts[v]) for v in self.states)

    @functools.cached_property
    def graph(self) -> nx.DiGraph:
        """The net's arrows as a networkx graph; nodes carry `states`, `parents` (the axes of the table) and `cpt`."""
        import networkx as nx

        graph = nx.DiGraph(name=self.name)
        for v in self.states:
            graph.add_node(v, states=self.states[v], parents=self.parent_sets[v], cpt=self.cpts[v])
        graph.add_edges_from((p, v) for v in self.states for p in self.parent_sets[v])
        return graph

    def to_networkx(self) -> nx.DiGraph:
        """A copy of `graph` that may be changed freely."""
        return self.graph.copy()

    def do(self, interventions: Mapping[str, Label]) -> WorldNet:
        """The net after interventions: each named variable loses its parents and takes the given state for sure.

        Source: Pearl 2009, Causality, section 3.2 (truncated factorisation).
        """
        parents, cpts = dict(self.parent_sets), dict(self.cpts)
        for variable, label in interventions.items():
            forced = np.zeros(len(self.states[variable]) if variable in self.states else 0)
            forced[self.code(variable, label)] = 1.0
            parents[variable], cpts[variable] = (), forced
        return WorldNet(self.states, parents, cpts, self.name)

    def without_causes(self, variables: Iterable[str]) -> WorldNet:
        """The net in which the named variables have lost their parents and are uniform.

        Conditioned on values of them it is the net after `do` of those values, which may then differ by row.
        """
        parents, cpts = dict(self.parent_sets), dict(self.cpts)
        for variable in variables:
            self.check_variables([variable], error=QueryError)
            states = len(self.states[variable])
            parents[variable], cpts[variable] = (), np.full(states, 1.0 / states)
        return WorldNet(self.states, parents, cpts, self.name)

    def ancestors(self, variables: Iterable[str]) -> set[str]:
        """The variables themselves and everything upstream of them."""
        waiting, found = list(variables), set[str]()
        self.check_variables(waiting, error=QueryError)
        while waiting:
            v = waiting.pop()
            if v not in found:
                found.add(v)
                waiting.extend(self.parent_sets[v])
        return found

    def subnet(self, variables: Iterable[str], name: str | None = None) -> WorldNet:
        """The net over an ancestral set: `variables` and everything upstream; their joint distribution is unchanged."""
        kept = self.ancestors(variables)
        states = {v: labels for v, labels in self.states.items() if v in kept}
        parents = {v: self.parent_sets[v] for v in states}
        return WorldNet(states, parents, {v: self.cpts[v] for v in states}, self.name if name is None else name)

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph, name: str = "") -> WorldNet:
        """The inverse of `graph`: nodes carry `states` and `cpt`; its axes are `parents`, then the node's states.

        Nodes without `parents` take their predecessors in edge order, which networkx itself changes when it copies.
        """
        parents: dict[str, tuple[str, ...]] = {}
        for v, data in graph.nodes(data=True):
            parents[v] = tuple(data.get("parents", graph.predecessors(v)))
            if set(parents[v]) != set(graph.predecessors(v)):
                mend = f"let graph.nodes[{v!r}]['parents'] name the predecessors in the order of the table's axes"
                found, expected = list(parents[v]), f"the predecessors {list(graph.predecessors(v))}"
                raise NetError("parents and arrows disagree", node=v, found=found, expected=expected, mend=mend)
            for key in ("states", "cpt"):
                if key not in data:
                    raise NetError(f"a graph node has no {key!r}", node=v, mend=f"set graph.nodes[{v!r}][{key!r}]")
        return cls(
            {v: data["states"] for v, data in graph.nodes(data=True)},
            parents,
            {v: data["cpt"] for v, data in graph.nodes(data=True)},
            name or graph.graph.get("name", ""),
        )

    @classmethod
    def from_pgmpy(cls, model: Any, name: str = "") -> WorldNet:
        """From a pgmpy `DiscreteBayesianNetwork` (or anything with `nodes()` and `get_cpds(node)`)."""
        states, parents, cpts = {}, {}, {}
        for v in model.nodes():
            cpd = model.get_cpds(v)
            if cpd is None:
                raise NetError("the pgmpy model has no table", node=v, mend="add a TabularCPD for it")
            states[v] = tuple(cpd.state_names[v])
            parents[v] = tuple(cpd.variables[1:])
            # pgmpy puts the variable first; parent states may be listed in another order than in the parent itself.
            table = np.moveaxis(np.asarray(cpd.values, dtype=float), 0, -1)
            for axis, parent in enumerate(parents[v]):
                listed = list(cpd.state_names[parent])
                own = list(model.get_cpds(parent).state_names[parent])
                if listed != own:
                    table = np.take(table, [listed.index(label) for label in own], axis=axis)
            cpts[v] = table
        return cls(states, parents, cpts, name or getattr(model, "name", "") or "")

    def to_pgmpy(self) -> Any:
        """This net as a pgmpy `DiscreteBayesianNetwork` with the same state names."""
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.models import DiscreteBayesianNetwork

        model = DiscreteBayesianNetwork()
        model.add_nodes_from(self.variables)
        model.add_edges_from((p, v) for v in self.states for p in self.parent_sets[v])
        for v in self.states:
            family = (*self.parent_sets[v], v)
            values = self.cpts[v].reshape(-1, len(self.states[v])).T
            model.add_cpds(
                TabularCPD(
                    v,
                    len(self.states[v]),
                    values,
                    evidence=list(self.parent_sets[v]) or None,
                    evidence_card=[len(self.states[p]) for p in self.parent_sets[v]] or None,
                    state_names={u: list(self.states[u]) for u in family},
                )
            )
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self.states), dict(self.parent_sets), dict(self.cpts), self.name)

    def __repr__(self) -> str:
        arrows = sum(map(len, self.parent_sets.values()))
        return f"WorldNet({self.name!r}, {len(self.states)} variables, {arrows} arrows)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note, table

        rows = [(v, labels, self.parent_sets[v], self.cpts[v].size) for v, labels in self.states.items()]
        listed = table(("variable", "states", "parents", "table entries"), rows, more="net.states, net.parents(…)")
        return card(repr(self), None, listed, note("net.draw() shows it, net.explore() lets you ask it"))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _checked_states(states: Mapping[str, Sequence[Label]]) -> Mapping[str, tuple[Label, ...]]:
    checked: dict[str, tuple[Label, ...]] = {}
    for variable, labels in states.items():
        if not isinstance(variable, str) or not variable:
            raise NetError("a variable name is not a text", found=repr(variable), mend="name variables with strings")
        if isinstance(labels, str):
            raise NetError("the states are one text", node=variable, found=repr(labels), mend="give a list of states")
        checked[variable] = tuple(labels)
    if not checked:
        raise NetError("a net without variables", mend="give at least one variable with its states")
    for variable, labels in checked.items():
        if not labels:
            raise NetError("a variable without states", node=variable, mend="give at least one state")
        if len(labels) > STATES_LIMIT:
            expected = f"at most {STATES_LIMIT}"
            raise NetError("too many states", node=variable, found=len(labels), expected=expected, mend="merge states")
        seen = set[Label]()
        for label in labels:
            try:
                known = label in seen
            except TypeError:
                mend = "label states with texts, numbers or tuples of them"
                raise NetError("a state is not hashable", node=variable, found=repr(label), mend=mend) from None
            if label is None or repr(label) == "<NA>" or label != label:
                mend = "name the state: None, NaN and NA mean 'not observed' in evidence"
                raise NetError("a state that means no observation", node=variable, found=repr(label), mend=mend)
            if known:
                raise NetError("duplicate states", node=variable, found=repr(label), mend="name each state once")
            seen.add(label)
    return MappingProxyType(checked)


def _checked_table(
    table: ArrayLike, shape: tuple[int, ...], node: str, row_name: Callable[[tuple[int, ...]], str] = str
) -> NDArray[np.float64]:
    try:
        array = np.array(table, dtype=np.float64, order="C")  # sums over the last axis round by the order in memory
    except (TypeError, ValueError):
        raise NetError("the table is not an array of numbers", node=node, mend="give a rectangular array") from None
    if array.shape != shape:
        mend = "give one axis per parent, in order, then the variable's own states"
        raise NetError("the table has the wrong shape", node=node, found=array.shape, expected=shape, mend=mend)
    # The smallest of anything with a NaN is a NaN, which is not ≥ 0.
    if not (array.min() >= 0 and array.max() < np.inf):
        cell = tuple(int(i) for i in np.argwhere(~(array >= 0) | ~np.isfinite(array))[0])
        raise NetError(
            "a negative or non-finite probability",
            node=node,
            row=row_name(cell[:-1]),
            found=float(array[cell]),
            mend="every entry must be a finite number ≥ 0",
        )
    return array
