"""Turn pip's resolution report into constraints.txt: names and versions, no index, no host, no path."""

import json
import sys
from pathlib import Path

PGMAX = "0.6.1"  # installed without its dependencies, so no resolution names it
HEADER = "# Versions this project is developed and tested with. Made by `make constraints`; do not edit by hand.\n"


def main(report: str, out: str) -> None:
    """Write `name==version` lines for everything in `report` but the project itself."""
    found = {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in _items(report)}
    found.pop("worldnets")
    found["pgmax"] = PGMAX
    Path(out).write_text(HEADER + "".join(f"{name}=={found[name]}\n" for name in sorted(found)))


def _items(report: str) -> list[dict]:
    return json.loads(Path(report).read_text())["install"]


if __name__ == "__main__":
    main(*sys.argv[1:])
