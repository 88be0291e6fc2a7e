import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worldnets.episode_stream import EpisodeStream, EpisodeWriter, holds_episodes, read_episodes, write_episodes
from worldnets.episodes import PARTS, ClipLayout, Episodes, Split
from worldnets.errors import CapacityError, DatasetError

LAYOUT = ClipLayout({"a": (0, 1), "b": tuple(range(9))}, 4, {"number": tuple(range(30_000))})
CLIPS = 3000
SMALL = 24 * 8 * 700  # bytes for eight buffers of about 600 clips


def codes(clips, seed=0):
    """The first column numbers the clips, so that each can be told from all others."""
    random = np.random.default_rng(seed)
    given = np.stack([random.integers(0, size, clips) for size in LAYOUT.cardinalities], axis=1)
    given[:, 0] = np.arange(clips)
    return given


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("episodes") / "clips.parquet"
    given = codes(CLIPS)
    with EpisodeWriter(file, LAYOUT, sources=True, row_group=200) as writer:
        for first in range(0, CLIPS, 450):  # pieces that do not end where row groups do
            writer.write(given[first : first + 450], np.arange(first, min(first + 450, CLIPS)) // 4)
    return file


@pytest.fixture(scope="module")
def stream(path):
    return EpisodeStream(path, memory=SMALL)


def test_what_is_written_piece_by_piece_is_read_back_whole(path):
    again = read_episodes(path)
    assert np.array_equal(again.codes, codes(CLIPS))
    assert np.array_equal(again.sources, np.arange(CLIPS) // 4)
    assert again.layout == LAYOUT


def test_episodes_written_and_read_have_the_same_digest(tmp_path):
    for sources in (None, np.arange(90) // 3):
        given = Episodes(LAYOUT, codes(90), sources, Split(4, 0.2, 0.1))
        assert read_episodes(write_episodes(given, tmp_path / "e.parquet"), given.split).digest == given.digest


def test_a_stream_divides_sources_as_episodes_in_memory_do(path, stream):
    whole = read_episodes(path)
    for part in PARTS:
        assert stream.count(part) == whole.count(part)
        assert np.array_equal(stream.take(part).codes, whole.take(part).codes)
        assert np.array_equal(stream.take(part).sources, whole.take(part).sources)
        assert np.array_equal(np.concatenate([taken.codes for taken in stream.batches(part)]), whole.take(part).codes)


def test_clips_without_sources_are_each_a_source(tmp_path):
    given = Episodes(LAYOUT, codes(500))
    file = write_episodes(given, tmp_path / "own.parquet", row_group=64)
    streamed = EpisodeStream(file)
    assert streamed.source_count == 500
    assert np.array_equal(streamed.take("test").codes, given.take("test").codes)
    assert np.array_equal(streamed.take("test").sources, given.take("test").sources)


def test_a_drawn_clip_depends_on_the_seed_and_its_number_alone(stream):
    train = stream.count("train")
    whole = stream.draw(2 * train + 100, 7)
    for first, rows in ((0, 1), (333, 700), (train - 5, 10), (2 * train, 100), (650, 0)):
        assert np.array_equal(stream.draw(rows, 7, first), whole[first : first + rows])
    assert not np.array_equal(stream.draw(50, 8), whole[:50])


def test_each_clip_comes_once_in_every_epoch_and_in_another_order(stream):
    for part in PARTS:
        count = stream.count(part)
        drawn = stream.draw(2 * count, 3, 0, part)[:, 0].reshape(2, count)
        own = np.sort(stream.take(part).codes[:, 0])
        assert np.array_equal(np.sort(drawn, axis=1), np.stack([own, own]))
        assert not np.array_equal(drawn[0], drawn[1])


def test_clips_are_shuffled_over_row_groups_and_inside_buffers(stream):
    drawn = stream.draw(stream.count("train"), 11)[:, 0].astype(float)
    place = np.arange(len(drawn))
    assert abs(np.corrcoef(place, drawn)[0, 1]) < 0.6  # a file of fifteen groups, in random order
    step = np.abs(np.diff(drawn))
    assert np.median(step) > 50  # neighbours in the file are no neighbours in the order
    seeds = np.stack([stream.draw(200, seed)[:, 0] for seed in range(30)])
    assert seeds.min() < 300
    assert seeds.max() > CLIPS - 300  # an epoch may begin anywhere


def test_no_buffer_is_larger_than_it_may_be(path):
    streamed = EpisodeStream(path, memory=SMALL)
    streamed.draw(streamed.count("train"), 0)
    sizes = [len(taken.codes) for taken in streamed._buffers.values()]
    assert 1 < len(sizes) <= 8
    assert max(sizes) <= streamed.buffer_rows
    assert sum(taken.codes.nbytes + taken.sources.nbytes for taken in streamed._buffers.values()) <= SMALL


def test_a_sample_is_drawn_without_replacement_with_its_sources(stream):
    taken = stream.take("train", 400)
    assert len(set(taken.codes[:, 0].tolist())) == 400
    assert np.array_equal(taken.sources, taken.codes[:, 0] // 4)


def test_the_digest_tells_other_files_splits_and_orders(path, stream, tmp_path):
    other = tmp_path / "other.parquet"
    changed = codes(CLIPS)
    changed[77, 1] = 1 - changed[77, 1]
    with EpisodeWriter(other, LAYOUT, sources=True, row_group=200) as writer:
        writer.write(changed, np.arange(CLIPS) // 4)
    others = [EpisodeStream(path, Split(1), memory=SMALL), EpisodeStream(path, memory=2 * SMALL)]
    digests = {one.digest for one in (stream, *others, EpisodeStream(other, memory=SMALL))}
    assert len(digests) == 4
    assert EpisodeStream(path, memory=SMALL).digest == stream.digest
    again = pickle.loads(pickle.dumps(stream))
    assert again.digest == stream.digest
    assert np.array_equal(again.draw(30, 2), stream.draw(30, 2))


def test_memory_stays_flat_on_a_file_ten_times_the_buffers(tmp_path):
    code = """
import json, resource, sys
import numpy as np
from worldnets.episodes import ClipLayout
from worldnets.episode_stream import EpisodeStream, EpisodeWriter
path, clips, memory = sys.argv[1], 250_000, 2 << 20
layout = ClipLayout({f"c{i}": (0, 1) for i in range(8)}, 6, {})
random = np.random.default_rng(0)
with EpisodeWriter(path, layout, row_group=1024) as writer:
    for _ in range(25):
        writer.write(random.integers(0, 2, (clips // 25, 48), dtype=np.int16))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
stream = EpisodeStream(path, memory=memory)
for seed in range(8):  # all buffers are full
    stream.draw(512, seed)
before = peak()
total = stream.count("train")
for first in range(0, total, 2048):
    stream.draw(min(2048, total - first), first % 8, first)
print(json.dumps({"grown": peak() - before, "memory": memory, "codes": total * 48 * 2}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path / "large.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["codes"] > 8 * found["memory"]
    # The allocator's own slack, a third of the file at most where reading it all would be the whole.
    assert found["grown"] < found["codes"] / 3


# What is no such file


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"absent.parquet: no such file"):
        EpisodeStream(tmp_path / "absent.parquet")
    text = tmp_path / "text.parquet"
    text.write_text("no parquet at all")
    with pytest.raises(DatasetError, match=r"text.parquet: cannot read or write parquet"):
        EpisodeStream(text)
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), table)
    assert not holds_episodes(table)
    with pytest.raises(DatasetError, match="a parquet file that holds no episodes"):
        EpisodeStream(table)


def _with_page(path, tmp_path, change):
    file = pq.ParquetFile(path)
    page = json.loads(file.metadata.metadata[b"worldnets.episodes"])
    change(page)
    out = tmp_path / "changed.parquet"
    with pq.ParquetWriter(out, file.schema_arrow) as writer:
        writer.write_table(file.read())
        writer.add_key_value_metadata({"worldnets.episodes": json.dumps(page)})
    return out


def test_a_damaged_or_newer_file_is_refused(path, tmp_path):
    with pytest.raises(DatasetError, match="a newer file format; found 2; expected 1"):
        EpisodeStream(_with_page(path, tmp_path, lambda page: page.update(format=2)))
    with pytest.raises(DatasetError, match="a damaged episodes file"):
        EpisodeStream(_with_page(path, tmp_path, lambda page: page.update(clips=7)))
    with pytest.raises(DatasetError, match="a damaged episodes file"):
        EpisodeStream(_with_page(path, tmp_path, lambda page: page.pop("layout")))
    with pytest.raises(DatasetError, match=r"changed.parquet: clips too short to be continued"):
        EpisodeStream(_with_page(path, tmp_path, lambda page: page["layout"].update(length=1)))
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match="cannot read or write parquet"):
        EpisodeStream(cut)


def test_other_clips_than_were_written_are_noticed_when_all_are_read(path, tmp_path):
    with pytest.raises(DatasetError, match="clips that do not match their checksum"):
        read_episodes(_with_page(path, tmp_path, lambda page: page.update(sha256="0" * 64)))


def test_codes_in_a_file_that_are_no_states_are_refused_when_read(tmp_path):
    narrow = ClipLayout({"a": (0, 1)}, 2, {})
    file = write_episodes(Episodes(narrow, np.ones((40, 2), dtype=int)), tmp_path / "n.parquet")
    wrong = _with_page(file, tmp_path, lambda page: page["layout"]["kinds"].update(a=[0]))
    with pytest.raises(DatasetError, match="a code that is no state"):
        EpisodeStream(wrong).draw(3, 0)


def test_a_row_group_larger_than_a_buffer_is_refused_with_the_memory_it_needs(path):
    with pytest.raises(CapacityError, match=r"does not fit into a buffer; found 200 clips of 9 columns") as caught:
        EpisodeStream(path, memory=8 * 100 * 26)
    needed = int(caught.value.mend.split("memory=")[1].split(",")[0])
    assert EpisodeStream(path, memory=needed).buffer_rows == 200


def test_a_part_without_clips_is_refused(tmp_path):
    file = tmp_path / "gaps.parquet"
    with EpisodeWriter(file, LAYOUT, sources=True) as writer:
        writer.write(codes(20), np.arange(20) * 10**6)
    with pytest.raises(DatasetError, match=r"no clips for (train|validation|test)"):
        EpisodeStream(file, Split(0, 0.0001, 0.0001))


def test_writing_wrong_things_is_refused_and_leaves_nothing_behind(tmp_path):
    file = tmp_path / "w.parquet"
    with pytest.raises(DatasetError, match="sources given or missing"), EpisodeWriter(file, LAYOUT) as writer:
        writer.write(codes(9000), np.arange(9000))
    with (
        pytest.raises(DatasetError, match="sources of clips"),
        EpisodeWriter(file, LAYOUT, sources=True) as writer,
    ):
        writer.write(codes(5), [-1, 0, 1, 2, 3])
    pieces = iter([codes(9000), codes(5)[:, :3]])  # the first is on the disk when the second fails
    with pytest.raises(DatasetError, match="not the codes"), EpisodeWriter(file, LAYOUT) as writer:
        list(map(writer.write, pieces))
    with pytest.raises(DatasetError, match="no clips"), EpisodeWriter(file, LAYOUT):
        pass
    with (
        pytest.raises(DatasetError, match=r"cannot read or write parquet|no such file"),
        EpisodeWriter(tmp_path / "no" / "w.parquet", LAYOUT) as writer,
    ):
        writer.write(codes(9000))
    assert list(tmp_path.iterdir()) == []
