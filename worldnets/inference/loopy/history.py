"""One row's messages after every round, put together as a `MessageHistory`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.loopy.beliefs import MessageHistory
from worldnets.inference.loopy.evidence import Given
from worldnets.inference.loopy.propagation import Propagation

Recorded = NDArray[np.floating]


def message_history(propagation: Propagation, given: Given, rounds: int, start: str) -> MessageHistory:
    """See `LoopyInference.history`."""
    factor, variable, beliefs = _recorded(propagation, given, rounds, start)
    net, graph = propagation.net, propagation.graph
    messages = _messages(propagation, factor, variable)
    bounds = np.cumsum([0, *net.cardinalities])
    by_variable = {v: beliefs[:, bounds[i] : bounds[i + 1]] for i, v in enumerate(net.variables)}
    # An impossible state shows as a belief without mass, in logarithms exactly.
    dead = np.array([any(b[t].sum() == 0 for b in by_variable.values()) for t in range(rounds + 1)])
    dead = np.maximum.accumulate(dead)
    for table in by_variable.values():
        table[dead] = 0
    scopes = tuple(net.factors[f].scope for f, _ in graph.edges)
    factors = tuple(f"f({', '.join(scope)})" for scope in scopes)
    names = tuple(net.variables[v] for _, v in graph.edges)
    return MessageHistory(
        edges=tuple((f, net.variables[v]) for f, v in graph.edges),
        scopes=scopes,
        sources=names + factors,
        targets=factors + names,
        messages=messages,
        changes=np.abs(np.diff(messages, axis=0)).max(2, initial=0.0),
        beliefs=by_variable,
        states=net.states,
        possible=not dead[-1],
    )


def _recorded(propagation: Propagation, given: Given, rounds: int, start: str) -> tuple[Recorded, Recorded, Recorded]:
    """Factor→variable messages, variable→factor messages of any scale, and beliefs: [rounds + 1, places or states]."""
    with propagation.numbers():
        from worldnets.inference.loopy.algebra import Logarithm
        from worldnets.inference.loopy.rounds import recorded

        (part,) = propagation.parts(given.done, start)
        algebra = Logarithm()
        arguments = (algebra, propagation.wiring, propagation.graph.splits, part.log_tables)
        settings = (propagation.damping, propagation.weights)
        codes, done = given.codes.T.astype(np.int32), given.done.T.astype(np.int32)
        log_soft = None if given.log_likelihood is None else given.log_likelihood.T
        # At the start no evidence has been heard: what variables say follows from the start and the interventions.
        before = np.asarray(recorded(*arguments, done, None, part.start, 0, *settings)[1])
        if propagation.schedule == "residual":
            states = [np.asarray(part.start)]
            for _ in range(rounds):
                sent = propagation.run(algebra, part.log_tables, codes, log_soft, states[-1], 1, True)
                states.append(np.exp(np.asarray(sent.messages)[:-1]))
            looks = [recorded(*arguments, codes, log_soft, messages, 0, *settings) for messages in states]
            factor, said, beliefs = (np.concatenate([np.array(look[i]) for look in looks]) for i in range(3))
            said = said[1:]  # what the messages after each round imply
        else:
            seen = recorded(*arguments, codes, log_soft, part.start, rounds, *settings)
            factor, said, beliefs = (np.array(array) for array in seen)
            said = said[:-1]  # what was sent in each round
    return factor[:, :, 0], np.concatenate([before, said])[:, :, 0], beliefs[:, :, 0]


def _messages(propagation: Propagation, factor: Recorded, variable: Recorded) -> Recorded:
    """All directed edges side by side, each message summing to 1: [rounds + 1, 2 E, most states]."""
    graph, pairs = propagation.graph, len(propagation.graph.edges)
    most = int(propagation.net.cardinalities.max())
    messages = np.zeros((len(factor), 2 * pairs, most), dtype=propagation.dtype)
    for e in range(pairs):
        width = len(graph.factor_places[e])
        said = variable[:, graph.variable_places[e]]
        mass = said.sum(1, keepdims=True)
        messages[:, e, :width] = said / np.where(mass > 0, mass, 1.0)
        messages[:, pairs + e, :width] = factor[:, graph.factor_places[e]]
    return messages
