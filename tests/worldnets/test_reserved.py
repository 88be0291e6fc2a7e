"""Reserved symbols: the world stays what it was, and has room for what it never shows."""

import numpy as np
import pytest

from worldnets import Inference, load_dataset, train
from worldnets.errors import DatasetError
from worldnets.reserved import RESERVED, alike, with_reserved


@pytest.fixture(scope="module")
def asia():
    return load_dataset("asia")


def test_clips_of_a_world_with_a_reserved_symbol_are_those_of_the_world(asia):
    reserved = with_reserved(asia, ["smoke", "xray"])
    assert reserved.net.states["smoke"] == (*asia.net.states["smoke"], RESERVED)
    assert np.array_equal(reserved.simulate(500, seed=3), asia.simulate(500, seed=3))
    assert reserved.digest != asia.digest


def test_a_reserved_symbol_is_impossible_and_leaves_every_posterior_as_it_was(asia):
    reserved = with_reserved(asia, ["smoke"])
    codes = np.full((3, len(asia.net.variables)), -1, dtype=np.int16)
    codes[:, asia.net.index["smoke"]] = [0, 1, 2]
    found = Inference(reserved.net).query(codes, ["lung"])
    assert found.log_evidence[2] == -np.inf
    known = Inference(asia.net).query(codes[:2], ["lung"])["lung"]
    np.testing.assert_allclose(found["lung"][:2], known, atol=1e-12)


def test_what_reads_a_reserved_symbol_is_never_given_a_gradient(asia):
    variable = asia.task("question").evidence[0]
    trace = train(with_reserved(asia, [variable]), "linear", "question", seeds=1, steps=20, checkpoints=[0, 20])
    place = trace.inputs.groups[variable].stop - 1
    before, after = (trace.at(checkpoint, 0).weight for checkpoint in (0, 1))
    assert np.array_equal(before[:, place], after[:, place])
    assert not np.array_equal(before, after)


def test_the_labeller_of_a_world_knows_the_symbol_where_he_sees_the_evidence():
    vault = load_dataset("vault", frames=3)
    sensors, pixels = (alike(vault.task("question"), vault.task("question").evidence[i]) for i in (0, 1))
    assert (len(sensors), len(pixels)) == (2, 2)
    labeller = with_reserved(vault, (*sensors, *pixels)).world.labeller
    assert all(labeller.net.states[v][-1] == RESERVED for v in pixels)
    assert not set(sensors) & set(labeller.net.variables)


def test_evidence_of_one_kind_is_reserved_together_so_that_frames_stay_equally_wide():
    chains = load_dataset("chains", frames=4)
    assert alike(chains.task("continuation"), "token_2") == ("token_1", "token_2", "token_3")
    trace = train(with_reserved(chains, ["token_1", "token_2", "token_3"]), "gru", seeds=1, steps=2, checkpoints=[0, 2])
    assert np.isfinite(trace.losses).all()


def test_only_evidence_can_have_a_reserved_symbol_and_only_one(asia):
    with pytest.raises(DatasetError, match="only evidence"):
        with_reserved(asia, ["smok"])
    with pytest.raises(DatasetError, match="there already"):
        with_reserved(with_reserved(asia, ["smoke"]), ["smoke"])
    with pytest.raises(DatasetError, match="real clips"):
        with_reserved(load_dataset("digits"), [load_dataset("digits").task("continuation").evidence[0]])
