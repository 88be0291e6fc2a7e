"""A small XML tree that knows its lines and refuses every entity: a net file has no use for them, an attacker has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import FormatError
from worldnets.formats.reading import Draft, Source, as_numbers, shown

# Not from xml.sax.saxutils: importing that loads urllib, http and ssl.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"} | {c: f"&#{ord(c)};" for c in "\t\n\r"}
)
DEPTH_LIMIT = 100  # net files need about five
# Anything else would be looked up among all codecs of Python, some of which are no encodings of text at all.
_ENCODING = re.compile(
    r"utf-?(8|16|16[lb]e)|(us-)?ascii|(iso[-_]?8859|latin)[-_]?\d{1,2}|(windows-|cp)125\d|koi8-[ru]", re.IGNORECASE
)


@dataclass(eq=False)
class Element:
    """One element: `text` is what stands directly in it, comments left out; tags are lower case."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The character data directly inside, without white space around it."""
        return "".join(self.pieces).strip()

    def all(self, tag: str) -> Iterator[Element]:
        """The children of that tag, in order."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        """The first child of that tag."""
        return next(self.all(tag), None)


def parse(source: Source) -> Element:
    """The root element of an XML file.

    Raises:
        FormatError: not well-formed, or it declares or uses entities (a declaration of elements is fine), or is nested
            too deeply.
    """
    if not source.data.strip():
        raise FormatError("the file is empty", file=source.file, mend="give a file with a net in it")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root = Element("", {}, 0)
    stack = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEPTH_LIMIT:
            refuse("elements are nested too deeply", mend="this is no net file")
        element = Element(tag.lower(), attributes, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(tag: str) -> None:
        stack.pop()

    def characters(text: str) -> None:
        stack[-1].pieces.append(text)

    def entity(*_: Any) -> NoReturn:
        refuse("the file declares or uses an XML entity", mend="write out what the entity stands for")

    def declaration(version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and not _ENCODING.fullmatch(encoding):
            what = f"the encoding {shown(encoding)} is not supported"
            refuse(what, mend='save the file as UTF-8 and declare encoding="UTF-8"')

    def refuse(what: str, mend: str) -> NoReturn:
        raise FormatError(what, file=source.file, line=parser.CurrentLineNumber, mend=mend)

    parser.XmlDeclHandler = declaration
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = entity
    parser.ExternalEntityRefHandler = entity
    parser.SkippedEntityHandler = entity
    try:
        parser.Parse(source.data, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        mend = "repair the XML; if the file was cut off, fetch or export it again"
        raise FormatError("not well-formed XML", file=source.file, line=error.lineno, found=reason, mend=mend) from None
    except (LookupError, ValueError, UnicodeError) as error:
        if isinstance(error, FormatError):
            raise
        mend = "save the file as UTF-8"
        raise FormatError("the text cannot be decoded", file=source.file, found=str(error), mend=mend) from None
    return root.children[0]


def escaped(text: str, file: str) -> str:
    """Text as it stands in an element or a quoted attribute, so that it reads back unchanged.

    Raises:
        FormatError: characters that XML cannot hold.
    """
    if any((c < " " and c not in "\t\n\r") or c in "\ufffe\uffff" or "\ud800" <= c <= "\udfff" for c in text):
        mend = "rename it without control characters"
        raise FormatError("XML cannot express a name", file=file, found=repr(text), mend=mend)
    return text.translate(_ESCAPES)


def table_of(draft: Draft, node: str, element: Element, tag: str) -> NDArray[np.float64]:
    """The numbers of the child `tag`, parents slowest and the node's own states fastest, as a table."""
    shape = draft.shape(node)
    content = element.first(tag)
    if content is None:
        raise draft.error(FormatError, f"no <{tag}>", node, mend="give the node its probabilities")
    words = content.text.split()
    draft.check_count(node, len(words))
    values = as_numbers(words)
    if isinstance(values, int):
        mend = "write probabilities as decimal numbers"
        raise draft.error(FormatError, "not a number", node, found=shown(words[values]), mend=mend)
    return values.reshape(shape)
