"""Write the tables of docs/results.md and docs/untrusted.md from the code that they describe."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.generated import write_block  # noqa: E402
from probes.columns import FINDINGS, VERDICTS_FIRST, VERDICTS_LAST, markdown, own_markdown  # noqa: E402
from probes.limits import markdown as limits  # noqa: E402


def main() -> None:
    """Write them."""
    page = ROOT / "docs" / "results.md"
    write_block(page, "findings", markdown(FINDINGS))
    write_block(page, "verdicts", markdown((*VERDICTS_FIRST, *VERDICTS_LAST)))
    write_block(page, "own", own_markdown())
    write_block(ROOT / "docs" / "untrusted.md", "limits", limits())


if __name__ == "__main__":
    main()
