"""Meta-worlds as tables: N worlds over the same tokens, what each says of a clip, and worlds that are not among them.

A meta-world is a Bayes net with a hidden variable for the world (`worldnets.worlds.chains`, `hidden_chains`), whatever
N
is: a clip is one ancestral draw at any N, tables take N·k² cells a frame, and exact inference in the net *is* the
memorizer. What is here are the same tables read in one pass over a clip, all of its prefixes at once, where message
passing would be asked prefix by prefix (that both agree is tested). Worlds that no one trained on come from the
continuous prior, the Dirichlet distribution that the N were drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError
from worldnets.worlds.chains import MOST_CHAINS, drawn_chains
from worldnets.worlds.hidden_chains import drawn_hidden_chains
from worldnets.worlds.stationary import stationary_distributions

if TYPE_CHECKING:
    from worldnets.dataset import Dataset

Floats = NDArray[np.float64]
Tokens = NDArray[np.int16]
#: Worlds of the continuous prior are numbered from here on, so that none is ever among those that were trained on.
HELD_OUT = MOST_CHAINS
#: Worlds of a search for the deriver of hidden chains are numbered from here on.
SEARCHED = 1 << 24
LEAST = 1e-300


class Told(NamedTuple):
    """What N worlds say of R clips up to a token.

    Attributes:
        log_likelihood: ln W_n(tokens 1 … t), [R, N].
        log_unordered: Σ_s≤t ln π_n(token s), as if tokens were drawn from each world's long run, [R, N].
        ahead: weights of the worlds [R, N] → the mixture's prediction of token t + 1, [R, k].
        own: world of each clip [R] → that world's prediction of token t + 1, [R, k].
    """

    log_likelihood: Floats
    log_unordered: Floats
    ahead: Any
    own: Any


class Worlds(Protocol):
    """N worlds over k tokens."""

    @property
    def count(self) -> int:
        """N."""
        ...

    @property
    def tokens(self) -> int:
        """k."""
        ...

    @property
    def hidden(self) -> int:
        """Numbers a belief within one world takes: its hidden states, or 1."""
        ...

    def reading(self, tokens: Tokens) -> Iterator[Told]:
        """Clips [R, T], token by token: after each of them, what all worlds say."""
        ...

    def drawn(self, which: NDArray[np.integer[Any]], length: int, seed: int) -> Tokens:
        """A clip of each of these worlds, [R, length]."""
        ...


@dataclass(frozen=True, eq=False)
class Chains:
    """Markov chains: P_n[i, j], [N, k, k], and how they start, [N, k]."""

    moves: Floats
    start: Floats

    def __post_init__(self) -> None:
        if self.moves.ndim != 3 or not len(self.moves):
            mend = "draw at least one chain"
            raise ProbeError("a meta-world of no worlds", found=self.moves.shape, expected="[N ≥ 1, k, k]", mend=mend)

    @property
    def count(self) -> int:
        """N."""
        return len(self.moves)

    @property
    def tokens(self) -> int:
        """k."""
        return int(self.moves.shape[-1])

    @property
    def hidden(self) -> int:
        """One: a chain is where its last token says."""
        return 1

    def reading(self, tokens: Tokens) -> Iterator[Told]:
        """After each token: posteriors by moves and by tokens alone; predictions are rows P_n[token, ·]."""
        by_move = np.ascontiguousarray(_log(self.moves).transpose(1, 2, 0))  # [i, j, N]
        begin = np.ascontiguousarray(_log(self.start).T)
        long_run = np.ascontiguousarray(_log(stationary_distributions(self.moves)).T)
        rows = np.ascontiguousarray(self.moves.swapaxes(0, 1))  # [i, N, j]
        moved, unordered = begin[tokens[:, 0]], long_run[tokens[:, 0]]
        for t in range(tokens.shape[1]):
            now = tokens[:, t]
            if t:
                moved += by_move[tokens[:, t - 1], now]
                unordered += long_run[now]

            def ahead(weights: Floats, now: Tokens = now) -> Floats:
                answer = np.empty((len(now), self.tokens))
                for state in range(self.tokens):
                    at = np.flatnonzero(now == state)
                    answer[at] = weights[at] @ rows[state]
                return answer

            def own(which: NDArray[np.integer[Any]], now: Tokens = now) -> Floats:
                return np.asarray(self.moves[which, now])

            yield Told(moved, unordered, ahead, own)

    def drawn(self, which: NDArray[np.integer[Any]], length: int, seed: int) -> Tokens:
        """A clip of each of these chains."""
        random = np.random.default_rng(seed)
        clips = np.empty((len(which), length), dtype=np.int16)
        begin, reach = self.start.cumsum(-1), self.moves.cumsum(-1)
        begin[..., -1] = reach[..., -1] = np.inf
        table = begin[which]
        for t in range(length):
            clips[:, t] = (random.random((len(which), 1)) >= table).sum(1)
            table = reach[which, clips[:, t]]
        return clips


@dataclass(frozen=True, eq=False)
class HiddenChains:
    """Hidden Markov chains that start anywhere: A_n[s, s'], [N, H, H], and B_n[s, o], [N, H, k]."""

    moves: Floats
    shows: Floats

    def __post_init__(self) -> None:
        if self.moves.ndim != 3 or not len(self.moves):
            mend = "draw at least one chain"
            raise ProbeError("a meta-world of no worlds", found=self.moves.shape, expected="[N ≥ 1, H, H]", mend=mend)

    @property
    def count(self) -> int:
        """N."""
        return len(self.moves)

    @property
    def tokens(self) -> int:
        """k."""
        return int(self.shows.shape[-1])

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.moves.shape[-1])

    def reading(self, tokens: Tokens) -> Iterator[Told]:
        """Forward filtering in all worlds at once (Rabiner 1989, equations 19 to 21), beliefs normalised each time."""
        rows, (count, states, _) = len(tokens), self.moves.shape
        shown = np.ascontiguousarray(self.shows.transpose(2, 0, 1))  # [token, N, H]
        flat = self.shows.reshape(count * states, -1)
        long_run = _log(np.einsum("ns,nso->on", stationary_distributions(self.moves), self.shows))
        before = np.full((rows, count, states), 1 / states)
        told, unordered = np.zeros((rows, count)), np.zeros((rows, count))
        for t in range(tokens.shape[1]):
            now = before * shown[tokens[:, t]]
            mass = now.sum(-1)
            told += _log(mass)
            now[mass <= LEAST] = 1 / states  # a world that is ruled out: its belief has no weight from here on
            now /= now.sum(-1, keepdims=True)
            unordered += long_run[tokens[:, t]]
            before = _moved(now, self.moves)

            def ahead(weights: Floats, after: Floats = before) -> Floats:
                return np.asarray((weights[..., None] * after).reshape(rows, -1) @ flat)

            def own(which: NDArray[np.integer[Any]], after: Floats = before) -> Floats:
                return np.asarray(np.einsum("rs,rso->ro", after[np.arange(rows), which], self.shows[which]))

            yield Told(told, unordered, ahead, own)

    def drawn(self, which: NDArray[np.integer[Any]], length: int, seed: int) -> Tokens:
        """A clip of each of these chains."""
        random = np.random.default_rng(seed)
        clips = np.empty((len(which), length), dtype=np.int16)
        reach, show = self.moves.cumsum(-1), self.shows.cumsum(-1)
        reach[..., -1] = show[..., -1] = np.inf
        state = random.integers(self.moves.shape[1], size=len(which))
        for t in range(length):
            chance = random.random((2, len(which), 1))
            clips[:, t] = (chance[0] >= show[which, state]).sum(1)
            state = (chance[1] >= reach[which, state]).sum(1)
        return clips


def _log(probabilities: Floats) -> Floats:
    # What a world holds impossible is as good as impossible: a posterior exists whatever is seen.
    return np.asarray(np.log(np.maximum(probabilities, LEAST)))


def _moved(now: Floats, moves: Floats) -> Floats:
    # Σ_s now[r, n, s]·A_n[s, u], state by state: a product of small matrices for every world would be slower.
    after = now[..., :1] * moves[:, 0]
    for state in range(1, moves.shape[1]):
        after += now[..., state, None] * moves[:, state]
    return np.asarray(after)


@dataclass(frozen=True, eq=False)
class MetaWorld:
    """A dataset's worlds, and the continuous prior they were drawn from.

    Attributes:
        kind: "chains" or "hidden_chains".
        trained: the N worlds heads are trained on.
        parameters: of the dataset.
        frames: T.
        columns: of token_1 … token_T in clips; `world` that of the world.
    """

    kind: str
    trained: Worlds
    parameters: Mapping[str, Any]
    frames: int
    columns: NDArray[np.intp]
    world: int

    def from_prior(self, count: int, first: int = HELD_OUT) -> Worlds:
        """So many worlds of the continuous prior; none of them was trained on.

        Raises:
            ProbeError: none are asked for.
        """
        if count < 1:
            raise ProbeError("a meta-world of no worlds", found=count, expected="≥ 1", mend="ask for at least one")
        p = self.parameters
        if self.kind == "hidden_chains":
            return HiddenChains(
                *drawn_hidden_chains(count, p["states"], p["tokens"], p["alpha"], p["beta"], p["seed"], first)
            )
        moves = drawn_chains(count, p["tokens"], p["alpha"], p["seed"], first)
        return Chains(moves, starts(moves, p["start"]))

    def codes(self, tokens: Tokens, width: int) -> NDArray[np.int16]:
        """Clips as code arrays [R, width] in which tokens alone are observed."""
        codes = np.full((len(tokens), width), -1, dtype=np.int16)
        codes[:, self.columns] = tokens
        return codes


def starts(moves: Floats, start: str) -> Floats:
    """How chains start, [N, k]: "uniform", or each from its own "stationary" distribution."""
    if start == "uniform":
        return np.full(moves.shape[:2], 1 / moves.shape[-1])
    return stationary_distributions(moves)


def meta_world(dataset: Dataset) -> MetaWorld:
    """A dataset's meta-world.

    Raises:
        ProbeError: it is none, or it is a twin.
    """
    net, parameters = dataset.net, dataset.parameters
    names = [frame[0] for frame in dataset.world.frames if len(frame) == 1]
    kind = next((one for one in ("chains", "hidden_chains") if net.name == one), None)
    if kind is None or "chain" not in net.index or "alpha" not in parameters or dataset.redrawn:
        found = f"the twin of {dataset.name}" if dataset.redrawn else dataset.name
        mend = 'train on load_dataset("chains", …) or load_dataset("hidden_chains", …)'
        raise ProbeError("not a meta-world: no worlds that could be told from others", found=found, mend=mend)
    worlds: Worlds
    if kind == "chains":
        worlds = Chains(net.cpt(names[1]), net.cpt(names[0]))
    else:
        worlds = HiddenChains(net.cpt("state_2"), net.cpt(names[0]))
    columns = np.array([net.index[v] for v in names], dtype=np.intp)
    return MetaWorld(kind, worlds, parameters, len(names), columns, net.index["chain"])
