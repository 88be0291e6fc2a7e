"""What docs/validity.md comes to, written into README.md and onto each probe's page.

`make validity` runs this after counting.

python benchmarks/validity_tables.py
"""

from __future__ import annotations

from generated import ROOT, write_block

from probes.validity_page import Counted, counted, table

PAGE = ROOT / "docs" / "validity.md"


def sentence(probe: Counted) -> str:
    """One probe's counts in words, for its page."""
    shares = []
    if probe.least_right is not None:
        shares.append(f"those with a wide margin get their claim in at least {probe.least_right:.3f} of the repeats")
    if probe.least_power is not None:
        shares.append(f"those with the effect that is stated in at least {probe.least_power:.3f}")
    if probe.most_false is not None:
        shares.append(f"nulls get theirs in at most {probe.most_false:.3f}")
    held = ""
    if probe.intervals:
        held = f" {probe.intervals} kinds of 95 % intervals are held against numbers that are known."
    failing = f" **{probe.failing} of these do not hold.**" if probe.failing else ""
    return (
        f"{probe.planted} organisms with a known answer, {probe.nulls} nulls. By the limits of exact 95 % intervals "
        f"and in the worst case, {'; '.join(shares)}.{held}{failing} "
        f"[All of them, one by one](../validity.md#{probe.probe})."
    )


def main() -> None:
    """Write the table and the sentences."""
    probes = counted(PAGE.read_text(encoding="utf-8"))
    write_block(ROOT / "README.md", "validity", table(probes, "docs/validity.md#{probe}"))
    for probe in probes:
        write_block(ROOT / "docs" / "probes" / f"{probe.probe}.md", "validity", sentence(probe))


if __name__ == "__main__":
    main()
