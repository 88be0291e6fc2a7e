"""A headless Chromium for tests of the report, and what is asked of its pages."""

import contextlib
import os
import shutil

import pytest

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""

#: [text, ratio, what it stands in] of all text with less contrast to its ground than 4.5 to 1.
LITTLE_CONTRAST = """() => {
  const parse = (colour) => {
    const found = colour.match(/^rgba?\\(([^)]+)\\)/) || colour.match(/^color\\(srgb ([^)]+)\\)/);
    if (!found) return [0, 0, 0, 0];
    const parts = found[1].split(/[ ,/]+/).map(Number);
    const scale = colour.startsWith("color") ? 255 : 1;
    return [parts[0] * scale, parts[1] * scale, parts[2] * scale, parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map((k) => top[k] * top[3] + under[k] * (1 - top[3])).concat(1);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const light = (colour) => {
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), element = walk.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("script, style")) continue;
    const style = getComputedStyle(element), drawn = element.closest("svg");
    const boxes = drawn ? [...element.parentElement.querySelectorAll("rect")] : [];
    const box = boxes.find((rect) => rect.nextElementSibling === element);
    const under = box ? parse(getComputedStyle(box).fill) : ground(element);
    const ink = over(parse(drawn ? style.fill : style.color), under);
    const [a, b] = [light(ink), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([text.slice(0, 40), ratio, element.outerHTML.slice(0, 80)]);
  }
  return found;
}"""


def find():
    """Where a Chromium is, or the test is skipped."""
    pytest.importorskip("playwright", reason="playwright is in the extra `dev`")
    named = os.environ.get("WORLDNETS_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as started:
            found = started.chromium.executable_path
        if not os.path.exists(found):
            pytest.skip("no Chromium: install one, or name one in WORLDNETS_CHROMIUM")
    return found


@contextlib.contextmanager
def chromium():
    """A browser for as long as it is needed."""
    path = find()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, path, wait="load", **options):
    """A page, and a list of what it did that it must not: requests, errors, dialogs, violations of its policy."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(**options)
    page = context.new_page()
    wrong = []
    page.add_init_script(WATCH)
    page.on("request", lambda one: wrong.append(one.url) if one.url.partition("#")[0] != path.as_uri() else None)
    page.on("console", lambda one: wrong.append(one.text))
    page.on("pageerror", lambda one: wrong.append(str(one)))
    page.on("dialog", lambda one: (wrong.append(one.message), one.dismiss()))
    page.goto(path.as_uri(), wait_until=wait)
    yield page, wrong
    context.close()


def focused(page):
    """Id of what has the focus, "" where it has none."""
    return page.evaluate("document.activeElement.id")
