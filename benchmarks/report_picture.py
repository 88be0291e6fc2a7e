"""A picture of a part of a report, light and dark, for a document.

    python benchmarks/report_picture.py runs/quick/report.html picture [--part verdicts] [--width 1100]

Writes picture-light.png and picture-dark.png: the part from its heading on, as a reader sees it who opens the file and
follows a link to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from report_size import chromium_path


def main() -> None:
    """Take the two pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the HTML file")
    parser.add_argument("out", help="where the pictures go, without their ending")
    parser.add_argument("--part", default="verdicts", help="id of a heading: what stands after # in a link to it")
    parser.add_argument("--width", type=int, default=1100, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, default=620, help="how much of the part is shown, in CSS pixels")
    options = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            size = {"width": options.width, "height": options.height}
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=2)
            page.goto(f"{options.report.resolve().as_uri()}#{options.part}")
            page.locator(f"[id='{options.part}']").wait_for()
            # The mark on what a link led to is for readers on the way, not for a picture.
            page.add_style_tag(content=":target { background: none !important; box-shadow: none !important; }")
            page.screenshot(path=f"{options.out}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()
