import gzip

import numpy as np
import pandas as pd
import pytest

from worldnets.episode_tables import episodes_of_table
from worldnets.episodes import PARTS, Split
from worldnets.errors import DatasetError

KINDS = ("sky", "people")


def wide(clips=12, frames=(1, 2, 3), seed=0):
    random = np.random.default_rng(seed)
    table = {f"sky_{t}": random.choice(["dry", "wet"], clips) for t in frames}
    table |= {f"people_{t}": random.integers(0, 3, clips) for t in frames}
    return pd.DataFrame(table)


def long_form(table, frames=(1, 2, 3)):
    """The same clips, one row per frame."""
    rows = [
        {"episode": f"e{i}", "frame": t, **{kind: row[f"{kind}_{t}"] for kind in KINDS}}
        for i, row in table.iterrows()
        for t in frames
    ]
    return pd.DataFrame(rows)


def test_both_forms_say_the_same_whatever_the_order_of_rows_and_columns():
    table = wide()
    first = episodes_of_table(table, kinds=KINDS)
    assert first.layout.kinds == {"sky": ("dry", "wet"), "people": (0, 1, 2)}
    assert first.to_pandas()[table.columns].astype(object).equals(table.astype(object))
    again = episodes_of_table(long_form(table), kinds=KINDS)
    assert again.digest == first.digest
    # Frames in any order; episodes keep the order in which they are first met.
    rows = long_form(table)
    mixed = pd.concat([rows.iloc[i::3] for i in (1, 0, 2)])[["people", "frame", "sky", "episode"]]
    assert episodes_of_table(mixed, kinds=KINDS).digest == first.digest


@pytest.mark.parametrize("first", [0, 7])
def test_frames_are_counted_from_any_number(first):
    table = wide(frames=(first, first + 1, first + 2))
    found = episodes_of_table(table)
    assert found.frames[0] == ("sky_1", "people_1")
    assert found.to_pandas()["sky_3"].tolist() == table[f"sky_{first + 2}"].tolist()


def test_latents_and_sources_have_columns_of_their_own():
    table = wide().assign(place=np.repeat(["north", "south", "east", "west"], 3), weather=[0, 1] * 6)
    found = episodes_of_table(table, latents=["weather"], source="place")
    assert found.layout.latents == {"weather": (0, 1)}
    assert found.codes[:, 0].tolist() == [0, 1] * 6
    assert found.sources.tolist() == np.repeat([0, 1, 2, 3], 3).tolist()
    rows = long_form(table).merge(pd.DataFrame({"episode": [f"e{i}" for i in range(12)], "weather": [0, 1] * 6}))
    rows["place"] = rows["episode"].str[1:].astype(int) // 3
    assert episodes_of_table(rows, latents=["weather"], source="place", kinds=KINDS).digest == (
        episodes_of_table(table, latents=["weather"], source="place", kinds=KINDS).digest
    )


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_a_file_says_the_same_as_the_table(tmp_path, ending):
    table = wide()
    file = tmp_path / f"clips{ending}"
    if ending == ".parquet":
        table.to_parquet(file)
    else:
        text = table.to_csv(index=False, sep="\t" if ending == ".tsv" else ",")
        file.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    assert episodes_of_table(file).digest == episodes_of_table(table).digest


def test_numbers_are_cut_at_the_quantiles_of_training_clips():
    random = np.random.default_rng(1)
    values = pd.DataFrame({f"x_{t}": random.normal(size=40) for t in (1, 2)})
    for split in (Split(0), Split(1)):
        found = episodes_of_table(values, quantise=2, split=split)
        training = values.to_numpy()[found.parts == 0]
        median = np.median(training)
        assert found.layout.kinds["x"] == (f"≤ {median:.3g}", f"> {median:.3g}")
        assert np.array_equal(found.codes, values.to_numpy() > median)
    by_name = episodes_of_table(values.assign(age=random.normal(size=40)), latents=["age"], quantise={"x": 3, "age": 2})
    assert (len(by_name.layout.kinds["x"]), len(by_name.layout.latents["age"])) == (3, 2)


def test_clips_of_one_length_are_cut_from_longer_episodes_and_stay_with_their_source():
    rows = pd.DataFrame({"episode": np.repeat([0, 1, 2, 3], [7, 5, 2, 6]), "x": np.arange(20) % 2})
    rows["frame"] = rows.groupby("episode").cumcount()
    found = episodes_of_table(rows, frames=3)
    assert found.sources.tolist() == [0, 0, 1, 2, 2]
    assert found.left_out == 1
    close = episodes_of_table(rows, frames=3, stride=2)
    assert close.sources.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert close.codes[1].tolist() == [0, 1, 0]
    assert all(len(set(close.parts[close.sources == s].tolist())) == 1 for s in range(3))


def test_clips_that_miss_something_are_dropped_before_the_split():
    table = wide(20).astype(object)
    table.loc[4, "sky_2"] = None
    table.loc[9, "people_1"] = np.nan
    with pytest.raises(DatasetError, match=r"node 'sky', row 4, frame 2: a missing entry; found 1 of 60"):
        episodes_of_table(table)
    found = episodes_of_table(table, missing="drop")
    kept = wide(20).drop(index=[4, 9])
    assert found.to_pandas()[kept.columns].astype(str).to_numpy().tolist() == kept.astype(str).to_numpy().tolist()
    assert found.digest == episodes_of_table(kept.reset_index(drop=True)).digest
    marked = episodes_of_table(table, missing="state")
    assert marked.layout.kinds["sky"] == ("dry", "wet", "missing")
    assert len(marked) == 20


def _changed(change, form="wide"):
    table = wide() if form == "wide" else long_form(wide())
    return change(table)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t: t.iloc[:0], {}, "no episodes; found a table without rows"),
        (lambda t: t[["sky_1", "people_1"]], {}, "too short to be continued; found one frame"),
        (lambda t: t[[]].assign(who=1), {"latents": ["who"]}, "no frames; found no column of a frame"),
        (lambda t: t.assign(note="x"), {}, r"node 'note': a column of no frame; expected names like .*latents="),
        (lambda t: t.drop(columns="sky_2"), {}, "node 'sky_2': a frame lacks a kind"),
        (lambda t: t.drop(columns=["sky_2", "people_2"]), {}, r"frames are not consecutive; found \[1, 3\]"),
        (lambda t: t.assign(sky_02="dry"), {}, "node 'sky_02': a frame stands twice; found sky_2"),
        (lambda t: pd.concat([t, t[["sky_1"]]], axis=1), {}, "node 'sky_1': a column stands twice"),
        (lambda t: t.rename(columns={"sky_1": 5}), {}, "a column's name is no text; found 5"),
        (lambda t: t.assign(episode=[1, 2, 3, 1] * 3), {}, "row 1: an episode stands twice"),
        (lambda t: t.assign(episode=[None, *range(11)]), {}, "node 'episode', row 0: a missing entry"),
        (lambda t: t.assign(sky_1=None, sky_2=None, sky_3=None), {}, "node 'sky': a column all missing"),
        (
            lambda t: t.assign(sky_1=None, sky_2=None, sky_3=None),
            {"missing": "drop"},
            "node 'sky': a column all missing",
        ),
        (lambda t: t.assign(sky_1=None), {"missing": "drop"}, "every clip misses something; found 12 clips"),
        (lambda t: t.assign(sky_1=[*range(11), "wet"]), {}, "texts and numbers in one column"),
        (lambda t: t.iloc[:2], {}, "too few sources to train"),
        (lambda t: t, {"latents": ["who"]}, "no such column; found 'who'"),
        (lambda t: t, {"latents": "who"}, "latents is no list of names"),
        (lambda t: t, {"source": "who"}, "no such column; found 'who'"),
        (lambda t: t, {"kinds": ["skies"]}, "node 'skies': no column of this kind.*did you mean 'sky'"),
        (lambda t: t, {"form": "broad"}, "unknown form of a table; found 'broad'; expected wide or long"),
        (lambda t: t, {"missing": "ignore"}, "what to do with missing entries; found 'ignore'"),
        (lambda t: t, {"quantise": 1}, "a number of levels; found 1; expected a whole number from 2 to 64"),
        (lambda t: t, {"quantise": {"clouds": 2}}, "levels of no column; found 'clouds'"),
        (lambda t: t, {"quantise": {"sky": 2}}, "node 'sky': levels of what are no numbers"),
        (lambda t: t, {"states": {"clouds": ["a", "b"]}}, "states of no column; found 'clouds'"),
        (lambda t: t, {"states": {"sky": ["dry", "grey"]}}, "node 'sky', row .*: unknown state; found 'wet'"),
        (lambda t: t, {"states": {"people": [0, 1, 2]}, "quantise": {"people": 2}}, "both levels and states"),
        (lambda t: t, {"frames": 9}, "no episode is long enough for a clip; found at most 3 frames"),
        (lambda t: t, {"frames": 1}, "frames of a clip; found 1; expected a whole number ≥ 2"),
        (lambda t: t, {"frames": 2, "stride": 0}, "stride of a clip; found 0"),
        (lambda t: t, {"stride": 2}, "a stride of whole episodes"),
    ],
)
def test_a_wide_table_that_is_wrong_is_refused(change, options, said):
    with pytest.raises(DatasetError, match=said) as caught:
        episodes_of_table(_changed(change), **options)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            lambda t: t[(t["episode"] != "e4") | (t["frame"] != 2)],
            {},
            r"of episode 'e4': frames are not consecutive.*3 after",
        ),
        (
            lambda t: pd.concat([t, t.iloc[[7]]]),
            {},
            r"row of episode 'e2': a frame stands twice; found frame 2 after frame 2",
        ),
        (
            lambda t: t[(t["episode"] != "e4") | (t["frame"] != 3)],
            {},
            r"not equally long; found 2 frames in 'e4', 3.*frames=2",
        ),
        (lambda t: t.assign(frame=t["frame"].astype(str)), {}, "node 'frame': frames that are no numbers"),
        (lambda t: t.assign(frame=t["frame"] + 0.5), {}, "row 0: a frame's number is not whole; found 1.5"),
        (lambda t: t.assign(frame=t["frame"].where(t.index > 3)), {}, "node 'frame', row 0: a missing entry"),
        (
            lambda t: t.assign(who=range(36)),
            {"latents": ["who"]},
            r"node 'who', row of episode 'e0': more than one label",
        ),
        (lambda t: t.assign(who=range(36)), {"source": "who"}, r"node 'who', row of episode 'e0': more than one label"),
        (lambda t: t[["episode", "frame"]], {}, "frames with nothing in them"),
        (lambda t: t, {"form": "long", "frame": "time"}, "no such column; found 'time'"),
        (lambda t: t, {"kinds": ["cloud"]}, "node 'cloud': no column of this kind"),
    ],
)
def test_a_long_table_that_is_wrong_is_refused(change, options, said):
    with pytest.raises(DatasetError, match=said) as caught:
        episodes_of_table(_changed(change, "long"), **options)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.csv", None, "no such file"),
        ("empty.csv", b"", "an empty file"),
        ("twice.csv", b"sky_1,sky_2,sky_1\na,b,c\n", "node 'sky_1': a column stands twice"),
        ("unnamed.csv", b",sky_1,sky_2\n0,a,b\n", "a column without a name; found column 1"),
        ("ragged.csv", b"sky_1,sky_2\na,b\na,b,c\n", "not a readable table"),
        ("binary.csv", b"\xff\xfe\x00sky\n\x80\n", "not a readable table"),
        ("text.parquet", b"sky_1,sky_2\na,b\n", "not a readable table"),
        ("packed.csv.gz", b"not packed", "not a readable table"),
        ("clips.xlsx", b"", "a table of an unknown kind; found .xlsx"),
        ("clips", b"", "a table of an unknown kind; found no ending"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, said):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as caught:
        episodes_of_table(file)
    assert str(file) in str(caught.value)


def test_a_number_that_is_none_in_a_file_is_pointed_at(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text("x_1,x_2\n" + "0,1\n1,0\n" * 9 + "0,o\n")
    with pytest.raises(DatasetError, match=r"node 'x', row 18, frame 2: texts and numbers in one column; found 'o'"):
        episodes_of_table(file)


def test_every_part_has_clips_of_its_own():
    found = episodes_of_table(wide(40))
    assert [found.count(part) for part in PARTS] == [28, 6, 6]
