"""Datasets of real clips: made, asked, kept in a folder, read back; and what is no such data."""

import numpy as np
import pandas as pd
import pytest

from tests.videos import blinking, write
from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.episode_stream import EpisodeStream, write_episodes
from worldnets.episode_tables import episodes_of_table
from worldnets.episodes import PARTS, ClipLayout, Episodes, Split
from worldnets.errors import DatasetError, EvidenceError, NetError, StoreError
from worldnets.inference import Inference
from worldnets.learned_world import learned_world, read_learned, write_learned
from worldnets.real_data import from_episodes, from_video

QUICK = {"parents": 2, "hidden": ()}
CLIPS, FRAMES = 600, 4


def weather(clips=CLIPS, seed=0):
    """The sky keeps to itself with .9 where it is a dry place, .6 elsewhere; people are out when it was dry."""
    random = np.random.default_rng(seed)
    place = random.integers(0, 2, clips)
    sky = np.empty((clips, FRAMES), dtype=int)
    sky[:, 0] = random.integers(0, 2, clips)
    for t in range(1, FRAMES):
        sky[:, t] = np.where(random.random(clips) < np.where(place == 1, 0.9, 0.6), sky[:, t - 1], 1 - sky[:, t - 1])
    people = random.poisson(2 + 6 * sky[:, [0, *range(FRAMES - 1)]])
    columns = {"place": np.array(["coast", "desert"])[place]}
    columns |= {f"sky_{t + 1}": np.array(["wet", "dry"])[sky[:, t]] for t in range(FRAMES)}
    return pd.DataFrame(columns | {f"people_{t + 1}": people[:, t] for t in range(FRAMES)})


@pytest.fixture(scope="module")
def table():
    return weather()


@pytest.fixture(scope="module")
def dataset(table):
    return from_episodes(table, latents=["place"], quantise={"people": 2}, title="Weather", **QUICK)


# What is made of clips


def test_a_table_becomes_a_dataset_whose_reference_is_the_best_held_out_model(dataset):
    assert (dataset.name, dataset.title, dataset.reference) == ("episodes", "Weather", "learned")
    assert dataset.objectives == ("continuation", "question")
    assert dataset.net.name == dataset.candidates.chosen == "two-slice, 2 parents"
    validation = {one.name: one.validation.bits for one in dataset.candidates}
    assert min(validation, key=validation.get) == dataset.candidates.chosen
    assert dataset.task("question").evidence == tuple(v for frame in dataset.world.frames[:3] for v in frame)
    assert "real clips, reference learned" in repr(dataset)


def test_what_was_learned_comes_near_the_frequencies_of_the_table(dataset, table):
    """P(sky_2 | sky_1) by the learned net's own beliefs, and counted."""
    shown = pd.DataFrame({"sky_1": ["wet", "dry"]})
    told = Inference(dataset.net).joint(shown, ["sky_2"])
    for row, label in enumerate(shown["sky_1"]):
        pairs = pd.concat(
            [table[[f"sky_{t}", f"sky_{t + 1}"]].set_axis(["now", "next"], axis=1) for t in range(1, FRAMES)]
        )
        counted = (pairs.loc[pairs["now"] == label, "next"] == dataset.net.states["sky_2"][0]).mean()
        assert told[row, 0] == pytest.approx(counted, abs=0.04)


def test_heads_train_on_training_clips_alone(dataset):
    drawn = {row.tobytes() for row in dataset.simulate(3000, seed=1)}
    training = {row.tobytes() for row in dataset.held_out("train")}
    assert drawn == training
    assert len(dataset.held_out("test")) == dataset.episodes.count("test") == 90
    known = load_dataset("cue_parity")
    with pytest.raises(DatasetError, match="a known world holds no clips back"):
        known.held_out()


def test_context_and_questions_can_be_chosen(table):
    found = from_episodes(table, latents=["place"], quantise=2, context=1, questions=[], name="sky", **QUICK)
    assert (found.name, found.objectives) == ("sky", ("continuation",))
    assert found.task("continuation").evidence == found.world.frames[0]
    assert "place" in found.task("continuation").latents


def test_a_state_that_only_held_out_clips_show_is_possible_and_told(table):
    """Its pseudocounts keep bits finite; the checks of the dataset say that no training clip has it."""
    parts = Split().part_of(np.arange(CLIPS), CLIPS)
    changed = table.drop(columns="place")
    changed.loc[int(np.flatnonzero(parts == PARTS.index("test"))[0]), "sky_3"] = "snow"
    found = from_episodes(changed, quantise={"people": 2}, **QUICK)
    assert found.net.states["sky_3"] == ("dry", "snow", "wet")
    assert all(one.test.impossible == 0 and np.isfinite(one.test.bits) for one in found.candidates)
    checks = {check.name: check for check in check_dataset(found)}
    assert not checks["states are seen in training"].ok
    assert "never in training: sky_1=snow, sky_2=snow, sky_3=snow" in checks["states are seen in training"].message
    assert checks["clips for every part"].message == "train 420, validation 90, test 90"


def test_a_state_that_the_clips_never_showed_is_refused_as_evidence(dataset):
    said = r"node 'sky_1', row 1: unknown state; found 'snow'; expected one of \['dry', 'wet'\]"
    with pytest.raises(EvidenceError, match=said) as caught:
        Inference(dataset.net).query(pd.DataFrame({"sky_1": ["wet", "snow"]}))
    assert caught.value.mend


# Folders


def test_a_saved_dataset_is_the_same_when_it_is_read_back(dataset, tmp_path):
    folder = dataset.save(tmp_path / "weather")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "dataset.toml",
        "episodes.parquet",
        "learned.npz",
    ]
    again = load_dataset(folder)
    assert again.digest == dataset.digest
    assert again.candidates == dataset.candidates
    assert (again.title, again.objectives) == (dataset.title, dataset.objectives)
    assert np.array_equal(again.simulate(50, 3), dataset.simulate(50, 3))
    assert all(check.ok for check in check_dataset(load_dataset(f"{folder}")))
    assert dataset.candidates.to_markdown() in (folder / "README.md").read_text(encoding="utf-8")


def test_a_stream_makes_the_dataset_that_episodes_in_memory_make(dataset, tmp_path):
    path = write_episodes(dataset.episodes, tmp_path / "clips.parquet")
    streamed = from_episodes(path, memory=1 << 22, **QUICK)
    assert isinstance(streamed.episodes, EpisodeStream)
    assert isinstance(from_episodes(path, **QUICK).episodes, Episodes)
    chosen = {one.name: one.validation.bits for one in dataset.candidates}
    assert {one.name: one.validation.bits for one in streamed.candidates} == pytest.approx(chosen)
    folder = streamed.save(tmp_path / "streamed")
    assert isinstance(load_dataset(folder).episodes, EpisodeStream)


def test_what_cannot_be_saved_is_refused(dataset, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="full: the folder is there and not empty"):
        dataset.save(tmp_path / "full")
    with pytest.raises(DatasetError, match="a twin is not saved"):
        dataset.with_redrawn(["sky_1"]).save(tmp_path / "twin")
    with pytest.raises(DatasetError, match="would lose a part of it; found its other tasks"):
        load_dataset("vault").save(tmp_path / "known")
    (tmp_path / "file").write_text("")
    with pytest.raises((DatasetError, StoreError), match=r"file.*(not empty|cannot write)"):
        dataset.save(tmp_path / "file")


def test_a_world_model_is_taken_for_its_own_clips_alone(dataset, table, tmp_path):
    folder = dataset.save(tmp_path / "weather")
    stored = folder / "learned.npz"
    net, candidates, mark = read_learned(stored)
    assert (mark, candidates) == (dataset.episodes.digest, dataset.candidates)
    assert all(np.array_equal(net.cpt(v), dataset.net.cpt(v)) for v in net.variables)
    other = episodes_of_table(weather(60, seed=1), latents=["place"], quantise={"people": 2})
    assert learned_world(other, stored=stored, **QUICK).candidates != candidates
    write_episodes(other, folder / "episodes.parquet")
    with pytest.raises(DatasetError, match=r"learned\.npz: the world-model was learned from other clips.*take net ="):
        load_dataset(folder)


def test_a_file_that_is_no_world_model_is_refused(dataset, tmp_path):
    path = write_learned(tmp_path / "learned.npz", dataset.world)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=r"learned\.npz"):
            read_learned(path)
    with pytest.raises(StoreError, match=r"absent\.npz"):
        read_learned(tmp_path / "absent.npz")
    with pytest.raises(DatasetError, match="nothing was learned"):
        write_learned(path, load_dataset("cue_parity").world)


# What is no such data


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t: t.iloc[:0], {}, r"no episodes; found a table without rows"),
        (lambda t: t[["place"]], {"latents": ["place"]}, "no frames; found no column of a frame"),
        (lambda t: t[["sky_1"]], {}, "too short to be continued; found one frame"),
        (lambda t: t.assign(**{f"sky_{i}": None for i in range(1, 5)}), {}, "node 'sky': a column all missing"),
        (lambda t: t, {"states": {"sky": ["dry"]}}, "node 'sky', row .*unknown state; found 'wet'"),
        (lambda t: t, {"context": 4}, "a context; found 4; expected a whole number from 1 to 3"),
        (lambda t: t, {"questions": ["plaice"]}, "a question about what is not known.*did you mean 'place'"),
        (lambda t: t, {"quantize": 2}, "unknown option; found 'quantize'.*did you mean 'quantise'"),
        (lambda t: t, {"memory": 1 << 20}, "only a file of EpisodeWriter can be streamed"),
        (lambda t: t, {"test": 1.5}, r"a share of the sources; found 1\.5; expected between 0 and 1"),
        (lambda t: t.iloc[:2], {}, "too few sources to train, choose and judge on; found 2; expected at least 3"),
    ],
)
def test_clips_that_make_no_dataset_are_refused(table, change, options, said):
    own = {} if "latents" in options else {"latents": [z for z in ("place",) if z in change(table)]}
    with pytest.raises(DatasetError, match=said) as caught:
        from_episodes(change(table), **{**QUICK, **own, **options})
    assert caught.value.mend


def test_clips_of_unequal_length_are_refused_until_a_length_is_chosen(tmp_path):
    path = tmp_path / "visits.csv"
    lengths = [3 + i % 4 for i in range(30)]
    rows = [f"v{i},{t},{(i * t) % 2}" for i, length in enumerate(lengths) for t in range(1, length + 1)]
    path.write_text("episode,frame,x\n" + "\n".join(rows) + "\n")
    said = r"visits\.csv.*episodes are not equally long; found 4 frames in 'v1', 3 in 'v0'.*frames=3"
    with pytest.raises(DatasetError, match=said):
        from_episodes(path, **QUICK)
    found = from_episodes(path, frames=3, **QUICK)
    assert (found.name, found.episodes.source_count) == ("visits", 30)
    assert len(found.episodes) == sum(length // 3 for length in lengths)


def test_options_of_a_table_are_refused_for_clips_that_are_made_already(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"options of episodes that are made already; found \['seed'\]"):
        from_episodes(dataset.episodes, seed=1)
    path = write_episodes(dataset.episodes, tmp_path / "clips.parquet")
    with pytest.raises(DatasetError, match=r"clips\.parquet: options of a table; found \['quantise'\]"):
        from_episodes(path, quantise=2)


def test_a_clip_of_more_states_than_a_code_holds_is_refused():
    with pytest.raises(NetError):
        ClipLayout({"x": tuple(range(40_000))}, 2, {})


# Videos


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    pytest.importorskip("av", reason="needs the extra `video`")
    return write(tmp_path_factory.mktemp("street") / "street.mkv", blinking(400)[1])


def test_a_video_becomes_a_dataset_that_can_be_kept(street, tmp_path):
    """Cells stay with .8 each, on their own: 1 + (T − 1) · .722 bits each, were frames drawn on and on."""
    found = from_video(street, (2, 2), frames=4, **QUICK)
    assert (found.name, found.reference, found.objectives) == ("street", "learned", ("continuation",))
    assert found.net.name == "two-slice, 1 parent"
    assert found.episodes.source_count == 10
    stay = -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2))
    assert found.candidates.best.test.bits == pytest.approx(4 * (1 + 3 * stay), abs=1.5)
    assert load_dataset(found.save(tmp_path / "street")).digest == found.digest
    assert [found.net.parents(f"r1c1_{t}") for t in (2, 3)] == [("r1c1_1",), ("r1c1_2",)]


def test_a_video_that_is_none_makes_no_dataset(tmp_path, street):
    content = street.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.mp4").write_bytes(b"")
    said = {
        "empty.mp4": "not a readable video; found .*play it",
        "cut.mkv": "a video cut short",
        "absent.mp4": "no such file",
    }
    for name, what in said.items():
        with pytest.raises(DatasetError, match=rf"{name}: {what}"):
            from_video(tmp_path / name)
    one = write(tmp_path / "one.mkv", blinking(1)[1])
    with pytest.raises(DatasetError, match=r"one\.mkv: a video of one frame"):
        from_video([street, one])
    with pytest.raises(DatasetError, match=r"empty\.mp4: a table of an unknown kind; found \.mp4.*from_video"):
        from_episodes(tmp_path / "empty.mp4")
