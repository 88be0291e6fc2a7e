import numpy as np
import pytest

from worldnets import hidden_chain
from worldnets.clip_models import TwoSlice, hidden_structure, two_slice, with_hidden
from worldnets.episodes import ClipLayout
from worldnets.hidden_chain import Chain, Emission, learn_chain
from worldnets.inference import Inference, expected_counts
from worldnets.learning.learned import bits_per_row
from worldnets.net import WorldNet

HIDDEN, LENGTH = 3, 4
LAYOUT = ClipLayout({"a": (0, 1), "b": (0, 1, 2)}, LENGTH, {"z": (0, 1)})
ARROWS = TwoSlice({"z": ()}, {"a": ("z",), "b": ("a",)}, {"a": ("a[t-1]",), "b": ("a", "z")})


def planted(seed=0, sharp=0.3):
    """A net of the structure that `with_hidden` learns, with tables far from uniform."""
    random = np.random.default_rng(seed)
    empty = hidden_structure(LAYOUT, ARROWS, HIDDEN)
    tables, made = {}, {}
    for v in empty.variables:
        kind, _, t = v.rpartition("_")
        name = (kind, "first" if t == "1" else "later") if kind else v
        if name not in made:
            shape = empty.cpt(v).shape
            made[name] = random.dirichlet(np.full(shape[-1], sharp), shape[:-1])
            if name == ("hidden", "later"):
                made[name] = 0.85 * np.eye(HIDDEN) + 0.05
        tables[v] = made[name]
    return WorldNet(empty.states, empty.parent_sets, tables)


def clips(net, rows, seed=0):
    from worldnets.inference import simulate

    return simulate(net, rows, seed)[:, [net.index[v] for v in LAYOUT.variables]]


def bits(net, codes):
    own = np.full((len(codes), len(net.variables)), -1, dtype=np.int16)
    own[:, [net.index[v] for v in LAYOUT.variables]] = codes
    return bits_per_row(net, own).mean()


def test_expected_counts_and_likelihood_are_those_of_exact_message_passing(monkeypatch):
    net, seen = planted(), {}
    codes = clips(net, 60)

    def once(first, later, hidden, **options):
        chain = Chain(
            net.cpt("hidden_1"),
            net.cpt("hidden_2"),
            tuple(net.cpt(f"{k}_1").reshape(-1, hidden, len(LAYOUT.kinds[k])) for k in LAYOUT.kinds),
            tuple(net.cpt(f"{k}_2").reshape(-1, hidden, len(LAYOUT.kinds[k])) for k in LAYOUT.kinds),
        )
        seen["counts"], seen["log_likelihood"] = hidden_chain._expected(chain, first, later)
        return chain

    monkeypatch.setattr("worldnets.clip_models.learn_chain", once)
    with_hidden(LAYOUT, codes, ARROWS, HIDDEN, "x")
    own = np.full((len(codes), len(net.variables)), -1, dtype=np.int16)
    own[:, [net.index[v] for v in LAYOUT.variables]] = codes
    engine = Inference(net)
    exact = expected_counts(engine, own)
    latents = np.log(net.cpt("z")[codes[:, 0]]).sum()  # observed in every clip: no part of the chain
    assert seen["log_likelihood"] + latents == pytest.approx(engine.log_evidence(own).sum())
    counts = seen["counts"]
    assert counts.start == pytest.approx(exact["hidden_1"])
    assert counts.move == pytest.approx(sum(exact[f"hidden_{t}"] for t in range(2, LENGTH + 1)))
    for i, kind in enumerate(LAYOUT.kinds):
        assert counts.first[i].ravel() == pytest.approx(exact[f"{kind}_1"].ravel())
        later = sum(exact[f"{kind}_{t}"] for t in range(2, LENGTH + 1))
        assert counts.later[i].ravel() == pytest.approx(later.ravel())


def test_the_objective_never_falls(monkeypatch):
    values, expected = [], hidden_chain._expected

    def watched(chain, first, later):
        counts, log_likelihood = expected(chain, first, later)
        values.append(log_likelihood + hidden_chain._log_prior(chain, 0.5))
        return counts, log_likelihood

    monkeypatch.setattr(hidden_chain, "_expected", watched)
    monkeypatch.setattr("worldnets.clip_models.RESTARTS", 1)
    with_hidden(LAYOUT, clips(planted(), 300), ARROWS, HIDDEN, "x")
    assert len(values) > 5
    assert np.all(np.diff(values) > -1e-6)


def test_a_planted_hidden_chain_is_recovered_as_well_as_held_out_clips_can_tell():
    net = planted()
    train, test = clips(net, 3000, 1), clips(net, 3000, 2)
    learned = with_hidden(LAYOUT, train, ARROWS, HIDDEN, "x").net
    without = two_slice(LAYOUT, train, ARROWS).net
    assert bits(learned, test) - bits(net, test) < 0.04
    assert bits(without, test) - bits(net, test) > 0.15


def test_the_same_clips_and_seed_give_the_same_bits():
    emissions = [Emission(np.zeros((40, 3), dtype=int), np.arange(120).reshape(40, 3) % 2, 1, 2)]
    first = [Emission(np.zeros((40, 1), dtype=int), np.arange(40).reshape(40, 1) % 2, 1, 2)]
    made = [learn_chain(first, emissions, 2, pseudocount=0.5, restarts=2, seed=s) for s in (0, 0, 1)]
    assert np.array_equal(made[0].move, made[1].move)
    assert not np.array_equal(made[0].move, made[2].move)
