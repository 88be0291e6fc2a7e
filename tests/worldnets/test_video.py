import itertools
import sys
from fractions import Fraction

import numpy as np
import pytest

from tests.videos import blinking, write
from worldnets.errors import DatasetError, MissingDependencyError
from worldnets.video import episodes_of_video, read_video

av = pytest.importorskip("av", reason="needs the extra `video`")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    states, frames = blinking()
    return states, write(tmp_path_factory.mktemp("video") / "blinking.mkv", frames)


def test_a_cell_is_the_mean_of_its_pixels(tmp_path):
    random = np.random.default_rng(1)
    frames = random.integers(0, 256, (5, 22, 31))
    found = read_video(write(tmp_path / "noise.mkv", frames), (4, 5))
    rows, columns = [0, 5, 11, 16, 22], [0, 6, 12, 18, 24, 31]
    expected = [
        [frames[t, a:b, c:d].mean() for a, b in itertools.pairwise(rows) for c, d in itertools.pairwise(columns)]
        for t in range(5)
    ]
    assert found.shape == (5, 20)
    assert found == pytest.approx(np.array(expected), abs=1e-3)


def test_every_other_frame_can_be_taken(clip):
    assert np.array_equal(read_video(clip[1], (2, 2), every=3), read_video(clip[1], (2, 2))[::3])


def test_states_are_dark_below_the_median_of_the_cell_and_bright_above(clip):
    states, path = clip
    found = episodes_of_video(path, (2, 2), frames=4, stride=2)
    assert found.layout.kinds == dict.fromkeys(["r1c1", "r1c2", "r2c1", "r2c2"], ("dark", "bright"))
    assert found.source_count == 10
    starts = [8 * segment + start for segment in range(10) for start in (0, 2, 4)]
    expected = [states[start : start + 4].ravel() for start in starts]
    assert np.array_equal(found.codes, expected)
    assert found.sources.tolist() == [start // 8 for start in starts]


def test_training_and_test_clips_share_no_frame(clip):
    found = episodes_of_video(clip[1], (2, 2), frames=4)
    shown = {}
    for segment, part in zip(found.sources.tolist(), found.parts.tolist(), strict=True):
        shown.setdefault(part, set()).update(range(8 * segment, 8 * segment + 8))
    assert not shown[0] & shown[1]
    assert not shown[0] & shown[2]


def test_one_median_for_all_cells_shows_the_picture_and_not_its_changes(tmp_path):
    ramp = np.arange(60)[:, None, None] % 5
    frames = np.where(np.arange(8)[None, None, :] < 4, 10, 200) + ramp + np.zeros((60, 8, 1), dtype=int)
    path = write(tmp_path / "halves.mkv", frames)
    assert episodes_of_video(path, (1, 2), frames=3).codes.mean(axis=0) == pytest.approx(0.4, abs=0.1)
    overall = episodes_of_video(path, (1, 3), frames=3, threshold="overall").codes.reshape(-1, 3)
    assert (overall[:, 0] == 0).all()
    assert (overall[:, 2] == 1).all()


def test_more_levels_have_the_same_share_of_training_frames(tmp_path):
    frames = np.repeat(np.repeat(np.random.default_rng(2).permutation(200)[:, None, None], 8, 1), 8, 2)
    path = write(tmp_path / "levels.mkv", frames)
    found = episodes_of_video(path, (1, 1), levels=4, frames=2, stride=2)
    assert found.layout.kinds["r1c1"] == (0, 1, 2, 3)
    counted = np.bincount(found.take("train").codes.ravel())
    assert counted.max() - counted.min() <= 2


def test_several_videos_are_never_mixed_in_a_clip(tmp_path, clip):
    other = write(tmp_path / "other.mkv", blinking(40, seed=3)[1])
    found = episodes_of_video([clip[1], other], (2, 2), frames=4, stride=4)
    assert found.source_count == 10
    whole = [episodes_of_video(path, (2, 2), frames=4, stride=4, segments=5) for path in (clip[1], other)]
    assert len(found) == sum(len(one) for one in whole)


def test_a_lossy_video_of_the_usual_kind_is_read(tmp_path):
    _, frames = blinking()
    whole, lossy = write(tmp_path / "whole.mkv", frames), write(tmp_path / "lossy.mp4", frames, "mpeg4")
    assert read_video(lossy, (2, 2)) == pytest.approx(read_video(whole, (2, 2)), abs=12)  # of the 150 of a change


# What is no such video


def _sizes(path):
    """A stream whose frames change their size: packets of two encoders, one after the other."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuvj420p"
        other = av.CodecContext.create("mjpeg", "w")
        other.height, other.width, other.pix_fmt, other.time_base = 32, 48, "yuvj420p", Fraction(1, 25)
        for number, (encoder, size) in enumerate([(stream, (16, 16))] * 12 + [(other, (32, 48))] * 12):
            frame = av.VideoFrame.from_ndarray(np.full(size, 10 * number, dtype=np.uint8), format="gray")
            frame.pts = number
            for packet in encoder.encode(frame.reformat(format="yuvj420p")):
                packet.stream = stream
                container.mux(packet)
    return path


def test_frames_of_different_sizes_are_refused(tmp_path):
    path = _sizes(tmp_path / "sizes.avi")
    said = r"sizes.avi: frame 13 has another size than those before it; found 48 × 32 pixels; expected 16 × 16"
    with pytest.raises(DatasetError, match=said):
        read_video(path, (2, 2))


def test_a_video_of_one_frame_or_none_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"one.mkv: a video of one frame"):
        episodes_of_video(write(tmp_path / "one.mkv", blinking(1)[1]), (2, 2))
    with av.open(str(tmp_path / "none.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuvj420p"
        container.start_encoding()
    with pytest.raises(DatasetError, match=r"none.avi: (a video without frames|not a readable video)"):
        read_video(tmp_path / "none.avi", (2, 2))


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video " * 1000)
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(DatasetError, match=rf"{name}: not a readable video"):
            read_video(tmp_path / name)
    with pytest.raises(DatasetError, match=r"absent.mp4: no such file"):
        read_video(tmp_path / "absent.mp4")


def test_a_damaged_video_is_refused_and_not_cut_short(tmp_path):
    path = write(tmp_path / "whole.mkv", np.random.default_rng(0).integers(0, 256, (60, 48, 64)))
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = bytes(len(content) // 3)
    (tmp_path / "damaged.mkv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"damaged.mkv: frames are missing after frame 20; found 29 times"):
        read_video(tmp_path / "damaged.mkv", (2, 2))


@pytest.mark.parametrize(
    ("name", "codec", "said"),
    [
        ("a.avi", "ffv1", "a video cut short; found 29 frames; expected 60, as its header says"),
        ("a.mkv", "ffv1", r"a video cut short; found 29 frames, 1\.16 s; expected 2\.40 s, as its header says"),
        ("a.mkv", "mpeg4", r"a video cut short; found \d+ frames, .* s; expected 2\.40 s"),
        ("a.avi", "mpeg4", r"(frame \d+ is damaged|a video cut short)"),
        ("a.mp4", "mpeg4", "not a readable video; found Invalid data"),  # its table of contents stands at the end
    ],
)
def test_a_video_cut_short_is_refused(tmp_path, name, codec, said):
    path = write(tmp_path / name, np.random.default_rng(0).integers(0, 256, (60, 48, 64)), codec)
    whole = read_video(path, (2, 2))
    assert len(whole) == 60
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DatasetError, match=rf"{name}: {said}") as caught:
        read_video(path, (2, 2))
    assert "ffmpeg" in caught.value.mend


def test_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DatasetError, match=r"sound.wav: no video in the file; found audio"):
        read_video(tmp_path / "sound.wav")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": (0, 4)}, r"a grid; found \(0, 4\); expected two whole numbers from 1 to 64"),
        ({"grid": 4}, "a grid; found 4"),
        ({"grid": (25, 4)}, "a grid finer than the frames; found 25 × 4 cells on 24 × 32 pixels"),
        ({"levels": 1}, "a number of levels"),
        ({"frames": 1}, "frames of a video; found 1; expected a whole number ≥ 2"),
        ({"stride": 0}, "stride of a video"),
        ({"every": 0}, "every of a video"),
        ({"segments": 2.5}, "segments of a video"),
        ({"threshold": "mean"}, "where to cut brightness; found 'mean'"),
        ({"frames": 9}, r"a video too short; found 80 frames; expected at least 10 segments × 9 frames.*segments=8"),
        ({"segments": 2}, "too few sources"),
    ],
)
def test_options_that_make_no_clips_are_refused(clip, options, said):
    with pytest.raises(DatasetError, match=said):
        episodes_of_video(clip[1], **{"grid": (2, 2), "frames": 4, **options})


def test_a_video_in_which_nothing_changes_is_refused(tmp_path):
    still = write(tmp_path / "still.mkv", np.full((60, 8, 8), 77))
    with pytest.raises(DatasetError, match="nothing changes in the video"):
        episodes_of_video(still, (2, 2), frames=4)
    with pytest.raises(DatasetError, match="no video"):
        episodes_of_video([])


def test_without_pyav_the_extra_to_install_is_named(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        MissingDependencyError, match=r"reading a video needs PyAV. Mend: pip install 'worldnets\[video\]'"
    ):
        read_video(clip[1])
