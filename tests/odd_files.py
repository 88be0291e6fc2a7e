"""What may stand where a file is expected."""

import os
from pathlib import Path


def put(path: Path, kind: str) -> None:
    """A pipe, a link to a device, a folder or a terabyte of nothing at this place; any other kind leaves it empty."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "hole":
        with open(path, "wb") as stream:
            stream.truncate(1 << 40)
