import re
from pathlib import Path

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_folder import built_in_folders
from worldnets.episodes import PARTS
from worldnets.errors import DatasetError, MissingDependencyError
from worldnets.learned_world import read_learned
from worldnets.worlds import digits as module
from worldnets.worlds.digits import digit_episodes, digit_images

IMAGES, ROWS, COLUMNS, FRAMES, VELOCITIES, STARTS = 1797, 3, 2, 6, (-1, 0, 1), 3
# Where the digit's left edge is in frame 1 of each of a velocity's clips, as the documentation says it.
FIRST = {-1: (1, 0, -1), 0: (-1, -3, -5), 1: (-7, -6, -5)}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def clips(dataset):
    """Latents [clips, 2] and frames [clips, frames, rows, columns], in the order velocity, start, image."""
    codes = dataset.episodes.codes
    return codes[:, :2], codes[:, 2:].reshape(-1, FRAMES, ROWS, COLUMNS)


def of_velocity(clips, velocity):
    return clips[1][clips[0][:, 1] == VELOCITIES.index(velocity)]


def test_there_are_so_many_clips_of_such_a_shape(dataset):
    found = dataset.episodes
    assert found.codes.shape == (IMAGES * len(VELOCITIES) * STARTS, 2 + FRAMES * ROWS * COLUMNS) == (16173, 38)
    assert found.source_count == IMAGES
    assert [found.count(part) for part in PARTS] == [11313, 2430, 2430]
    cells = ("r1c1", "r1c2", "r2c1", "r2c2", "r3c1", "r3c2")
    assert dict(found.layout.kinds) == dict.fromkeys(cells, ("blank", "ink"))
    assert dict(found.layout.latents) == {"digit": tuple(range(10)), "velocity": VELOCITIES}
    assert found.layout.variables[:4] == ("digit", "velocity", "r1c1_1", "r1c2_1")
    assert dataset.reference == "learned"


def test_every_class_has_the_images_that_its_authors_counted(clips):
    counted = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(clips[0][:, 0]).tolist() == [9 * count for count in counted]
    assert np.bincount(clips[0][:, 1]).tolist() == [IMAGES * STARTS] * 3


def test_every_clip_is_its_image_drawn_on_paper_and_seen_through_the_frame(clips):
    """The story told again: ink of three bands of the image, on a wide sheet, and the frame cut out of it."""
    images, labels = digit_images()
    bands = np.stack([images[:, a:b].mean(axis=1) for a, b in ((0, 2), (2, 5), (5, 8))], axis=1) > 7
    margin, drawn = 20, np.zeros((IMAGES, ROWS, 60), dtype=bool)
    expected, known = [], []
    for velocity in VELOCITIES:
        for first in FIRST[velocity]:
            shown = []
            for t in range(FRAMES):
                drawn[:] = False
                left = margin + first + velocity * t
                drawn[:, :, left : left + 8] = bands
                shown.append(drawn[:, :, margin : margin + COLUMNS].copy())
            expected.append(np.stack(shown, axis=1))
            known.append(np.stack([labels, np.full(IMAGES, VELOCITIES.index(velocity))], axis=1))
    assert np.array_equal(clips[0], np.concatenate(known))
    assert np.array_equal(clips[1], np.concatenate(expected))


def test_what_a_column_shows_its_neighbour_shows_next_in_the_direction_of_the_velocity(clips):
    right, left, still = (of_velocity(clips, velocity) for velocity in (1, -1, 0))
    assert np.array_equal(right[:, 1:, :, 1], right[:, :-1, :, 0])
    assert np.array_equal(left[:, 1:, :, 0], left[:, :-1, :, 1])
    assert (still == still[:, :1]).all()


def test_the_velocity_is_told_in_half_of_clips_by_one_frame_and_nearly_always_by_two(clips):
    """Share of clips whose velocity the best rule gets right that has seen all of them."""
    seen = clips[1].reshape(len(clips[1]), FRAMES, -1) @ (1 << np.arange(ROWS * COLUMNS))
    velocity = clips[0][:, 1]

    def right(shown):
        which = np.unique(shown, axis=0, return_inverse=True)[1].reshape(-1)
        table = np.zeros((which.max() + 1, 3))
        np.add.at(table, (which, velocity), 1)
        return table.max(axis=1).sum() / len(velocity)

    assert right(seen[:, [3]]) == pytest.approx(0.5044, abs=1e-4)  # by guessing: a third
    assert right(seen[:, [3, 4]]) == pytest.approx(0.9721, abs=1e-4)


def test_no_image_is_in_two_parts(dataset):
    found = dataset.episodes
    parts = found.parts.reshape(-1, IMAGES)
    assert (parts == parts[0]).all()
    assert np.array_equal(found.sources.reshape(-1, IMAGES)[0], np.arange(IMAGES))


def test_the_card_shows_the_world_models_that_are_stored(dataset):
    folder = built_in_folders()["digits"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- candidates:begin -->\n(.*?)<!-- candidates:end -->", card, flags=re.DOTALL).group(1)
    assert f"`{dataset.episodes!r}`\n\n{dataset.candidates.to_markdown()}\n" in shown
    assert dataset.candidates.chosen == "two-slice, 3 parents, 8 hidden states"
    assert read_learned(folder / "learned.npz")[2] == dataset.episodes.digest


def test_the_bits_of_the_card_are_those_of_its_clips(dataset):
    """The marginals by hand; the reference's own by its net, on some of the test clips."""
    train, test = (dataset.episodes.take(part).codes for part in ("train", "test"))
    bits = 0.0
    for column in range(train.shape[1]):
        size = dataset.episodes.layout.cardinalities[column]
        table = np.bincount(train[:, column], minlength=size) + 0.5
        bits -= np.log2(table / table.sum())[test[:, column]].mean()
    rows = {one.name: one for one in dataset.candidates}
    assert rows["marginals"].test.bits == pytest.approx(bits, abs=1e-9)
    assert round(bits, 2) == 38.56

    from worldnets.learning.learned import bits_per_row

    some = dataset.held_out("test", 300)
    own = bits_per_row(dataset.net, some)
    assert own.mean() == pytest.approx(dataset.candidates.best.test.bits, abs=4 * own.std() / 300**0.5)
    everything = dataset.held_out("test")
    assert (everything >= 0).sum(axis=1).tolist() == [38] * 2430


def test_the_tasks_are_the_next_frame_and_what_is_known_of_the_clip(dataset):
    continuation, question = dataset.task("continuation"), dataset.task("question")
    shown = tuple(v for frame in dataset.world.frames[:5] for v in frame)
    assert continuation.evidence == question.evidence == shown
    assert [target.variables for target in continuation.targets] == [dataset.world.frames[5]]
    assert [target.variables for target in question.targets] == [("digit",), ("velocity",)]


def test_another_slit_shows_other_columns():
    found = digit_episodes(8, 8, 1, [2, -3], 2, 0.5, 3)
    images, labels = digit_images()
    assert found.codes.shape == (IMAGES * 4, 2 + 8 * 8)
    first = found.codes[:IMAGES]  # velocity 2, from −7: column 7, 5, 3, 1 of the image, then nothing
    assert np.array_equal(first[:, 0], labels)
    frames = first[:, 2:].reshape(IMAGES, 8, 8)
    for t, column in enumerate((7, 5, 3, 1)):
        assert np.array_equal(frames[:, t], images[:, :, column] > 0.5)
    assert not frames[:, 4:].any()


def test_the_images_are_read_without_scikit_learn_as_it_would_read_them(tmp_path, monkeypatch):
    from sklearn.datasets import load_digits

    images, labels = digit_images()
    theirs = load_digits()
    assert np.array_equal(images, theirs.images)
    assert np.array_equal(labels, theirs.target)
    monkeypatch.setattr(module, "FILE", Path("moved"))  # then scikit-learn is asked for them
    assert np.array_equal(digit_images()[0], images)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"come with scikit-learn\. Mend: pip install scikit-learn"):
        digit_images()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": 1}, "parameter 'frames' out of range; found 1"),
        ({"frames": 21}, "parameter 'frames' out of range"),
        ({"rows": 9}, "parameter 'rows' out of range"),
        ({"columns": 0}, "parameter 'columns' out of range"),
        ({"starts": 9}, "parameter 'starts' out of range"),
        ({"velocities": [0]}, r"two different velocities or more; found \[0\]"),
        ({"velocities": [1, 1]}, r"two different velocities or more; found \[1, 1\]"),
        ({"velocities": []}, "velocities are no list"),
        ({"velocities": "01"}, "velocities are no list; found '01'"),
        ({"velocities": [0, 9]}, "parameter 'velocities' out of range; found 9"),
        ({"threshold": 16}, "parameter 'threshold' out of range; found 16; expected a number from 0 to less than 16"),
        ({"split_seed": -1}, "parameter 'split_seed' out of range"),
        ({"context": 6}, "a context; found 6; expected a whole number from 1 to 5"),
        ({"column": 2}, "unknown parameter; found 'column'.*did you mean 'columns'"),
    ],
)
def test_a_parameter_out_of_range_is_refused(change, said):
    with pytest.raises(DatasetError, match=rf"node 'digits'.*{said}") as caught:
        load_dataset("digits", **change)
    assert caught.value.mend
