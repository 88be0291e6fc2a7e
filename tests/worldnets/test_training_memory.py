"""Runs that are interrupted and go on: the same bits, and no one else's file."""

import jax
import numpy as np
import pytest

from worldnets import load_dataset, train, training_memory
from worldnets.errors import StoreError
from worldnets.training_memory import Memory

REQUEST = {"head": "mlp", "objective": "question", "steps": 700, "batch": 64, "head_options": {"width": 8}}
KEPT = [0, 1, 130, 600, 700]


class Interrupted(Exception):
    """Stands for Ctrl-C or a crash."""


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("cue_parity", noise=1)


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(training_memory.Memory, "due", lambda self: True)


def interrupting(after):
    def progress(step, steps, loss):
        if step >= after:
            raise Interrupted

    return progress


@pytest.mark.parametrize("after", [1, 300, 800])  # the second group of seeds begins at 700
def test_an_interrupted_run_goes_on_with_the_same_bits(dataset, tmp_path, always, after):
    seeds = [1, 2, 9]
    whole = train(dataset, **REQUEST, seeds=seeds, checkpoints=KEPT)
    path = tmp_path / "run.trace"
    with pytest.raises(Interrupted):
        train(dataset, **REQUEST, seeds=seeds, checkpoints=KEPT, save_to=path, progress=interrupting(after))
    assert not path.exists()
    calls = []
    again = train(
        dataset, **REQUEST, seeds=seeds, checkpoints=KEPT, save_to=path, progress=lambda *call: calls.append(call)
    )
    for ours, theirs in zip(jax.tree.leaves(again.parameters), jax.tree.leaves(whole.parameters), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(again.losses, whole.losses)
    assert path.exists()
    assert not list(tmp_path.glob("*.partial"))


def test_what_was_done_is_not_done_again(dataset, tmp_path, always):
    path = tmp_path / "run.trace"
    with pytest.raises(Interrupted):
        train(dataset, **REQUEST, seeds=1, save_to=path, progress=interrupting(600))
    calls = []
    train(dataset, **REQUEST, seeds=1, save_to=path, progress=lambda *call: calls.append(call[0]))
    assert min(calls) > 128  # the first block of 128 steps at least was remembered


def test_a_finished_run_is_read_not_trained(dataset, tmp_path):
    path = tmp_path / "run.trace"
    first = train(dataset, **REQUEST, seeds=1, save_to=path)
    again = train(dataset, **REQUEST, seeds=1, save_to=path, progress=interrupting(0))
    assert np.array_equal(first.losses, again.losses)


def test_a_file_of_another_run_is_left_alone(dataset, tmp_path, always):
    path = tmp_path / "run.trace"
    with pytest.raises(Interrupted):
        train(dataset, **REQUEST, seeds=1, save_to=path, progress=interrupting(300))
    before = (tmp_path / "run.trace.partial").read_bytes()
    with pytest.raises(StoreError, match=r"unfinished training of another run; found \['batch', 'penalties'\]"):
        train(dataset, **{**REQUEST, "batch": 32}, seeds=1, save_to=path, penalties={"weight_decay": 1.0})
    assert (tmp_path / "run.trace.partial").read_bytes() == before
    train(dataset, **REQUEST, seeds=1, save_to=path)
    with pytest.raises(StoreError, match="a trace of another run stands there"):
        train(dataset, **{**REQUEST, "batch": 32}, seeds=1, save_to=path)


def test_a_damaged_file_is_refused_by_name(dataset, tmp_path):
    (tmp_path / "run.trace.partial").write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match=r"run\.trace\.partial: not a readable unfinished training"):
        train(dataset, **REQUEST, seeds=1, save_to=tmp_path / "run.trace")


def test_memory_is_written_no_more_often_than_asked(tmp_path):
    memory = Memory(tmp_path / "file", {}, every=1000.0)
    assert not memory.due()
    assert Memory(tmp_path / "file", {}, every=0.0).due()
