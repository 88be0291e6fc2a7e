"""Videos made frame by frame, with PyAV."""

import numpy as np


def write(path, frames, codec="ffv1"):
    """Grey frames [frames, height, width] as a file, without loss under the default codec."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="gray")))
        container.mux(stream.encode(None))
    return path


def blinking(count=80, height=24, width=32, seed=0):
    """A grid of 2 × 2 cells, each of one brightness that stays for a while."""
    random = np.random.default_rng(seed)
    states = np.zeros((count, 2, 2), dtype=int)
    for t in range(1, count):
        states[t] = np.where(random.random((2, 2)) < 0.2, 1 - states[t - 1], states[t - 1])
    values = 40 + 150 * states + 5 * np.arange(4).reshape(2, 2)
    return states, np.repeat(np.repeat(values, height // 2, axis=1), width // 2, axis=2)
