import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets.episodes import PARTS, ClipLayout, Episodes, Split
from worldnets.errors import DatasetError, EvidenceError, NetError

LAYOUT = ClipLayout({"a": (0, 1), "b": ("x", "y", "z")}, 3, {"who": ("me", "you")})


def some(clips, seed=0):
    """Clips with codes that are all different from one another where there is room."""
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, size, clips) for size in LAYOUT.cardinalities], axis=1)


def episodes(clips=60, per_source=3, **more):
    return Episodes(LAYOUT, some(clips), np.arange(clips) // per_source, **more)


def test_columns_are_latents_then_frame_after_frame():
    assert LAYOUT.variables == ("who", "a_1", "b_1", "a_2", "b_2", "a_3", "b_3")
    assert LAYOUT.frames == (("a_1", "b_1"), ("a_2", "b_2"), ("a_3", "b_3"))
    assert LAYOUT.cardinalities.tolist() == [2, 2, 3, 2, 3, 2, 3]
    assert ClipLayout.from_json(LAYOUT.to_json()) == LAYOUT
    assert pickle.loads(pickle.dumps(LAYOUT)) == LAYOUT


@pytest.mark.parametrize(("length", "found"), [(0, "no frames"), (1, "one frame")])
def test_clips_without_a_next_frame_are_refused(length, found):
    with pytest.raises(DatasetError, match=f"too short to be continued; found {found}; expected at least 2 frames"):
        ClipLayout({"a": (0, 1)}, length, {})


def test_a_layout_that_is_none_is_refused():
    with pytest.raises(DatasetError, match="frames with nothing in them"):
        ClipLayout({}, 3, {})
    with pytest.raises(DatasetError, match="two nodes of one name; found 'a_2'"):
        ClipLayout({"a": (0, 1)}, 2, {"a_2": (0, 1)})
    with pytest.raises(DatasetError, match="a file cannot hold"):
        ClipLayout({"a": (0, float("nan"))}, 2, {})
    with pytest.raises(NetError, match="duplicate states"):
        ClipLayout({"a": (0, 0)}, 2, {})


def test_codes_that_are_no_clips_are_refused():
    with pytest.raises(DatasetError, match="no clips"):
        Episodes(LAYOUT, np.zeros((0, 7), dtype=int))
    with pytest.raises(
        DatasetError, match=r"not the codes of such clips; found int64 \[4, 3\]; expected .*\[clips, 7\]"
    ):
        Episodes(LAYOUT, np.zeros((4, 3), dtype=int))
    with pytest.raises(DatasetError, match="not the codes of such clips"):
        Episodes(LAYOUT, np.zeros((4, 7)))
    for code in (-1, 3):
        codes = some(9)
        codes[5, 2] = code
        with pytest.raises(DatasetError, match=rf"node 'b_1', row 5: a code that is no state; found {code}"):
            Episodes(LAYOUT, codes)
    with pytest.raises(DatasetError, match="not one source for each clip"):
        Episodes(LAYOUT, some(9), np.zeros(3, dtype=int))


def test_clips_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        episodes().codes[0, 0] = 1


# The split


@given(st.integers(3, 400), st.integers(0, 10**9), st.floats(0.01, 0.45), st.floats(0.01, 0.45))
def test_every_part_has_the_share_of_sources_that_was_asked_for(count, seed, validation, test):
    parts = Split(seed, validation, test).part_of(np.arange(count), count)
    sizes = [int((parts == i).sum()) for i in range(3)]
    assert sum(sizes) == count
    assert min(sizes) >= 1
    assert sizes[2] == min(max(1, round(test * count)), count - 2)
    assert sizes[1] == min(max(1, round(validation * count)), count - sizes[2] - 1)


def test_no_source_is_in_two_parts_and_another_seed_divides_them_otherwise():
    given = episodes()
    for source in range(given.source_count):
        assert len(set(given.parts[given.sources == source].tolist())) == 1
    other = episodes(split=Split(seed=1))
    assert not np.array_equal(given.parts, other.parts)
    assert given.digest != other.digest


def test_too_few_sources_are_refused():
    with pytest.raises(
        DatasetError, match="too few sources to train, choose and judge on; found 2; expected at least 3"
    ):
        episodes(clips=6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": -1}, "the seed of a split; found -1"),
        ({"seed": 0.5}, "the seed of a split"),
        ({"test": 0}, "a share of the sources; found 0; expected between 0 and 1"),
        ({"validation": 0.6, "test": 0.4}, "nothing is left to train on"),
    ],
)
def test_a_split_that_is_none_is_refused(options, said):
    with pytest.raises(DatasetError, match=said):
        Split(**options)


# Drawing


@settings(max_examples=25)
@given(st.integers(0, 200), st.integers(0, 60), st.integers(0, 2**62), st.sampled_from(PARTS))
def test_a_drawn_clip_depends_on_the_seed_and_its_number_alone(first, rows, seed, part):
    given = episodes()
    assert np.array_equal(given.draw(first + rows, seed, 0, part)[first:], given.draw(rows, seed, first, part))


def test_each_clip_of_a_part_comes_once_before_any_comes_again():
    given = Episodes(LAYOUT, some(72)[np.unique(some(72), axis=0, return_index=True)[1]][:40])
    for part in PARTS:
        count, own = given.count(part), {tuple(clip) for clip in given.take(part).codes.tolist()}
        epochs = given.draw(4 * count, 5, 0, part).reshape(4, count, -1)
        assert all({tuple(clip) for clip in epoch.tolist()} == own for epoch in epochs)
    train = given.draw(2 * given.count("train"), 5)
    assert not np.array_equal(train[: len(train) // 2], train[len(train) // 2 :])
    assert not np.array_equal(given.draw(20, 5), given.draw(20, 6))


def test_some_of_a_part_are_drawn_without_replacement_with_their_sources():
    given = episodes(240)
    whole, some_of = given.take("train"), given.take("train", 30)
    assert len(some_of.codes) == len(some_of.sources) == 30
    pairs = {(*clip, source) for clip, source in zip(whole.codes.tolist(), whole.sources.tolist(), strict=True)}
    assert {(*c, s) for c, s in zip(some_of.codes.tolist(), some_of.sources.tolist(), strict=True)} <= pairs
    assert len(given.take("test", 10**6).codes) == given.count("test")


def test_numbers_below_zero_and_unknown_parts_are_refused():
    with pytest.raises(EvidenceError, match="must not be negative"):
        episodes().draw(-1, 0)
    with pytest.raises(
        DatasetError, match="no such part of the clips; found 'training'; expected train, validation, test"
    ):
        episodes().draw(3, 0, part="training")


def test_the_digest_tells_other_clips_labels_and_sources():
    base = episodes()
    changed = some(60)
    changed[7, 0] = 1 - changed[7, 0]
    others = [
        Episodes(LAYOUT, changed, np.arange(60) // 3),
        Episodes(LAYOUT, some(60), np.arange(60) // 4),
        Episodes(ClipLayout(LAYOUT.kinds, 3, {"who": ("me", "them")}), some(60), np.arange(60) // 3),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 4
    assert pickle.loads(pickle.dumps(base)).digest == base.digest == episodes().digest


def test_a_table_shows_labels_sources_and_parts():
    table = episodes(9, 1).to_pandas()
    assert list(table.columns) == ["source", "part", *LAYOUT.variables]
    assert table["b_1"].tolist() == [LAYOUT.kinds["b"][code] for code in some(9)[:, 2]]
    assert sorted(set(table["part"])) == sorted(PARTS)


def test_the_representation_says_what_there_is():
    assert repr(episodes(left_out=2)) == (
        "Episodes(60 clips of 3 frames of 2 nodes and who, 20 sources; train 42, validation 9, test 9, "
        "2 episodes too short and left out)"
    )
