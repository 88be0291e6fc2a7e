"""Traces: what they predict, and the file they survive in."""

import json
import zipfile

import jax
import numpy as np
import pytest

from worldnets import Trace, load_dataset, train
from worldnets.errors import DatasetError, StoreError, TrainingError


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("cue_parity", noise=1)


@pytest.fixture(scope="module")
def trace(dataset):
    return train(
        dataset,
        "mlp",
        "question",
        steps=40,
        batch=32,
        seeds=[1, 6, 9],
        checkpoints=[0, 5, 40],
        head_options={"width": 8},
    )


@pytest.fixture
def saved(trace, tmp_path):
    return trace.save(tmp_path / "run.npz")


def test_predictions_are_the_heads_own_outputs_normalised(dataset, trace):
    codes = dataset.simulate(30, seed=4)
    log_q = trace.predict(codes, 1)
    assert log_q.shape == (3, 30, 2)
    assert log_q.dtype == np.float64
    np.testing.assert_allclose(np.exp(log_q).sum(-1), 1, atol=1e-14)
    head = trace.at(1, seed=9)
    odds = [float(head(x)[0]) for x in trace.inputs.features(codes)]
    np.testing.assert_allclose(log_q[2, :, 1] - log_q[2, :, 0], odds, atol=1e-5)


def test_a_rows_bits_depend_neither_on_other_rows_nor_on_other_seeds(dataset, trace):
    codes = dataset.simulate(1500, seed=4)
    whole = trace.predict(codes, -1)
    assert np.array_equal(trace.predict(codes[1200:1203], -1), whole[:, 1200:1203])
    same = {"steps": 40, "batch": 32, "checkpoints": [0, 5, 40], "head_options": {"width": 8}}
    alone = train(dataset, "mlp", "question", seeds=[6], **same)
    assert np.array_equal(alone.predict(codes, -1)[0], whole[1])


def test_one_targets_predictions_are_its_part_of_all():
    alarm = load_dataset("alarm")
    trace = train(alarm, "linear", "question", steps=5, batch=16, seeds=2, checkpoints=[5])
    codes, first = alarm.simulate(20, seed=0), 0
    whole = trace.predict(codes, 0)
    for target, count in zip(trace.task.targets, trace.counts, strict=True):
        part = trace.predict_target(codes, 0, target.name)
        assert np.array_equal(part, whole[..., first : first + count])
        first += count
    assert first == whole.shape[-1]


def test_checkpoints_are_found_by_step(trace):
    assert trace.checkpoint(5) == 1
    with pytest.raises(TrainingError, match=r"no checkpoint was taken at this step; found 7.*nearest is 5"):
        trace.checkpoint(7)


def test_an_unknown_target_or_seed_or_width_is_named(dataset, trace):
    codes = dataset.simulate(2, seed=0)
    with pytest.raises(DatasetError, match="unknown target"):
        trace.predict_target(codes, 0, "anwser")
    with pytest.raises(TrainingError, match="does not have this seed"):
        trace.at(0, seed=2)
    with pytest.raises(TrainingError, match="features of the wrong shape"):
        trace.predict_features(np.zeros((2, 3), dtype=np.float32), 0)


def test_a_saved_trace_comes_back_whole(trace, saved, dataset):
    back = Trace.load(saved)
    for ours, theirs in zip(jax.tree.leaves(trace.parameters), jax.tree.leaves(back.parameters), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(back.losses, trace.losses)
    assert np.array_equal(back.steps, trace.steps)
    assert (back.seeds, back.diverged, back.head_options, back.settings) == (
        trace.seeds,
        trace.diverged,
        trace.head_options,
        trace.settings,
    )
    codes = dataset.simulate(10, seed=2)
    assert np.array_equal(back.predict(codes, -1), trace.predict(codes, -1))
    assert repr(back) == repr(trace)


def test_a_twin_comes_back_as_a_twin(dataset, tmp_path):
    twin = dataset.with_redrawn(["cue"])
    trace = train(twin, "linear", "question", steps=2, seeds=1, inputs="beliefs")
    back = Trace.load(trace.save(tmp_path / "twin.npz"))
    assert back.dataset.redrawn == ("cue",)
    assert back.inputs.name == "beliefs"


def test_the_same_trace_is_the_same_bytes(trace, saved, tmp_path):
    assert trace.save(tmp_path / "again.npz").read_bytes() == saved.read_bytes()
    assert Trace.load(saved).save(tmp_path / "third.npz").read_bytes() == saved.read_bytes()


def test_numpy_reads_the_arrays_without_pickle(trace, saved):
    with np.load(saved, allow_pickle=False) as archive:
        assert np.array_equal(archive["losses"], trace.losses)


def test_any_damage_is_refused_or_harmless(trace, tmp_path):
    small = train(trace.dataset, "linear", "question", steps=1, seeds=1, batch=2)
    whole = small.save(tmp_path / "small.npz").read_bytes()
    expected = [leaf.tobytes() for leaf in jax.tree.leaves(small.parameters)]
    broken = tmp_path / "broken.npz"
    rng = np.random.default_rng(0)
    places = {*rng.integers(len(whole), size=60).tolist(), *range(len(whole) - 30, len(whole)), *range(30)}
    cases = [whole[:cut] for cut in rng.integers(len(whole), size=15).tolist()]
    cases += [whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :] for place in places]
    refused = harmless = 0
    for case in cases:
        broken.write_bytes(case)
        try:
            back = Trace.load(broken, dataset=trace.dataset)
        except StoreError as error:
            refused += str(broken) in str(error) and bool(error.mend)
        else:
            harmless += [leaf.tobytes() for leaf in jax.tree.leaves(back.parameters)] == expected
    assert refused + harmless == len(cases)
    assert refused > 0.7 * len(cases)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "a newer file format; found 99; expected 2"),
        ({"kind": "something"}, "not a readable trace"),
        ({"head_options": {"width": 9}}, "parameters are not those of this head"),
        ({"head": "nonesuch"}, "cannot be rebuilt here.*unknown head"),
        ({"dataset_digest": "0"}, "the dataset has changed since"),
        ({"seeds": [1, 6]}, "not those of this head|not a readable trace"),
        ({"diverged": None}, "not a readable trace"),
        ({"sha256": {}}, "do not match their checksums"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_saying_why(saved, change, message):
    rewritten = saved.with_name("changed.npz")
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(rewritten, "w") as out:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), **change}).encode()
            out.writestr(name, content)
    with pytest.raises(StoreError, match=message) as caught:
        Trace.load(rewritten)
    assert str(rewritten) in str(caught.value)


def test_a_missing_file_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match=r"none\.npz: cannot read"):
        Trace.load(tmp_path / "none.npz")


def test_a_trace_on_another_world_model_takes_it_along(dataset, tmp_path):
    other = dataset.net.do({"deep": 1})
    trace = train(dataset, "linear", "question", inputs="beliefs", world_model=other, steps=20, seeds=1)
    back = Trace.load(trace.save(tmp_path / "other.npz"))
    model = back.inputs.world_model
    assert model is not None
    assert model.states == other.states
    assert all(np.array_equal(model.cpt(v), other.cpt(v)) for v in other.variables)
    codes = dataset.simulate(10, seed=2)
    assert np.array_equal(back.predict(codes, -1), trace.predict(codes, -1))


def test_losses_come_as_a_table_and_as_a_picture(trace):
    table = trace.to_pandas()
    assert list(table.index) == [0, 5, 40]
    assert list(table.columns) == [1, 6, 9]
    assert len(trace.plot().lines) == 3
    assert "Trace(mlp on evidence of cue_parity/question" in trace._repr_html_()
