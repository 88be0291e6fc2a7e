"""For the site: what documents link to outside docs/ (dataset cards, notebooks, suites) becomes pages of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Folders of the repository whose text files may be linked to.
SHOWN = ("datasets", "notebooks", "examples", "probes", "benchmarks", "worldnets", "tests")
LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")
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


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links at them."""

    def pointed(match: re.Match[str]) -> str:
        path = _outside(match[1], page.file.src_uri)
        if path is None:
            return match[0]
        up = "../" * page.file.src_uri.count("/")
        return f"]({up}{_name(path)}{match[2] or ''})"

    return LINK.sub(pointed, markdown)
