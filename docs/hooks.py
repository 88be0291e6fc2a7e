"""For the site: what documents link to outside docs/ (dataset cards, notebooks, suites) becomes pages of its own, and
`<!-- names: worldnets.draw -->` on a page of the API becomes a section for every public name of that module.

A name that several modules export stands once: where a page names it by itself, or else under the first that is asked.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Folders of the repository whose text files may be linked to.
SHOWN = ("datasets", "notebooks", "examples", "probes", "benchmarks", "worldnets", "tests")
LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")
NAMES = re.compile(r"<!-- names: ([\w.]+) -->")
NAMED = re.compile(r"^::: ([\w.]+)$", flags=re.MULTILINE)
#: A letter with an index, as in x_k, C_{k−1} or W\\*_0; what stands in code is left alone.
INDEXED = re.compile(
    r"(?<![\w`.*])((?:Σ|Π)?(?:KL|[A-Za-zα-ω]|Σ|Π))(\\?\*|′|⊥)?"
    r"_(\{(?:[^{}]|\{[^{}]*\})*\}|t[−+]\d|(?<=[A-Z*]_)[a-z]{2,}|[A-Za-z]{1,2}|[0-9]+)(?![\w_])"
)
POWER = re.compile(r"(?<=\d)\^(\d+)")
CODE = re.compile(r"(^ *(`{3,}).*?^ *\2$|`[^`\n]+`|<!--.*?-->|\]\([^)]*\))", flags=re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".toml": "toml", ".ipynb": "json"}


def _outside(target: str, page: str) -> Path | None:
    """What a relative link of a page leads to, relative to the repository, if that is outside docs/."""
    full = (ROOT / "docs" / page).parent.joinpath(target).resolve()
    if not full.is_relative_to(ROOT) or full.is_relative_to(ROOT / "docs"):
        return None
    found = full.relative_to(ROOT)
    return found if found.parts[0] in SHOWN or found.name in {"README.md", "CONTRIBUTING.md"} else None


def _name(path: Path) -> str:
    """The page of a file outside docs/."""
    return f"files/{path.with_suffix('.md' if path.suffix == '.md' else path.suffix + '.md').as_posix()}"


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    from mkdocs.structure.files import File

    wanted = set()
    for file in files.documentation_pages():
        for match in LINK.finditer(Path(file.abs_src_path).read_text(encoding="utf-8")):
            path = _outside(match[1], file.src_uri)
            if path is not None and (ROOT / path).is_file():
                wanted.add(path)
    for path in sorted(wanted):
        text = (ROOT / path).read_text(encoding="utf-8")
        if path.suffix != ".md":
            text = f"# {path.as_posix()}\n\n``````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n``````\n"
        else:
            text = LINK.sub("", re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text))  # its own links stay words
        files.append(File.generated(config, _name(path), content=text))
    return files


def public(module: str) -> dict[str, str]:
    """Where each public name of a module is defined: {"Inference": "worldnets.inference.exact.Inference", …}."""
    found = importlib.import_module(module)
    homes = {}
    for name in found.__all__:
        value = getattr(found, name)
        if inspect.ismodule(value):
            continue  # has a page of its own
        here = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
        plain = inspect.isclass(value) or inspect.isfunction(value)
        homes[name] = here if plain else f"{getattr(found, '_HOME', {}).get(name, module)}.{name}"
    return homes


def placed(pages: Iterable[Path]) -> dict[str, list[str]]:
    """For each module that a page asks for, the names that stand there, as `public` spells them."""
    texts = [path.read_text(encoding="utf-8") for path in pages]
    seen = {name for text in texts for name in NAMED.findall(text)}
    lists: dict[str, list[str]] = {}
    for text in texts:
        for module in NAMES.findall(text):
            lists[module] = [name for name in dict.fromkeys(public(module).values()) if name not in seen]
            seen |= set(lists[module])
    return lists


def api_pages(config: Any) -> list[Path]:
    """The pages of the API, in the order of the navigation."""
    named = re.findall(r"api/\w+\.md", str(config["nav"]))
    return [ROOT / "docs" / name for name in named]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links at them, and list names; a page without neighbours needs no list of them beside it."""
    if page.parent is None:
        page.meta["hide"] = ["navigation"]
    if NAMES.search(markdown):
        lists = placed(api_pages(config))
        markdown = NAMES.sub(lambda match: "\n\n".join(f"::: {name}" for name in lists[match[1]]), markdown)

    def pointed(match: re.Match[str]) -> str:
        path = _outside(match[1], page.file.src_uri)
        if path is None:
            return match[0]
        up = "../" * page.file.src_uri.count("/")
        return f"]({up}{_name(path)}{match[2] or ''})"

    return typeset(LINK.sub(pointed, markdown))


def typeset(markdown: str) -> str:
    """x_k and 2^16 as they are printed; on GitHub they stay as they are written."""

    def indexed(match: re.Match[str]) -> str:
        inside = match[3][1:-1] if match[3].startswith("{") else match[3]
        return f"{match[1]}{match[2] or ''}<sub>{INDEXED.sub(indexed, inside)}</sub>"

    parts = CODE.split(markdown)
    for place in range(0, len(parts), 3):  # what is between pieces of code; the split keeps a piece and its fence
        parts[place] = POWER.sub(r"<sup>\1</sup>", INDEXED.sub(indexed, parts[place]))
    return "".join(part for place, part in enumerate(parts) if place % 3 < 2)
