"""Reads XML section by section: each child of the root as a small tree with its line number.

A two-hour task lists every person on every frame, so the file is never held whole. A document type
declaration is refused: without one there are no entities to expand, neither in exponential numbers
nor from other files, and no annotation tool writes one. That refusal and the line numbers are why
this is expat itself and not ElementTree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat

CHUNK_BYTES = 1 << 20


@dataclass
class Section:
    """Holds one element.

    Attributes:
        line: The line of its start tag, 1-based.
        text: The text directly inside, without its children's.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Section] = field(default_factory=list)
    text: str = ""

    def child(self, *tags: str) -> Section | None:
        """Returns the first child, grandchild, ... along these tags; None where there is none."""
        current: Section | None = self
        for tag in tags:
            current = (
                next((section for section in current.children if section.tag == tag), None)
                if current
                else None
            )
        return current

    def text_of(self, *tags: str) -> str:
        """Returns the text of that child without blanks around it; empty where there is none."""
        section = self.child(*tags)
        return section.text.strip() if section else ""


def read_sections(file: IO[bytes], name: str, root: str) -> Iterator[Section]:
    """Yields the children of the root element, which must be `root`, one after the other.

    name: the file's, for messages. Raises ValueError in one sentence, with the line, for anything
    but such XML.
    """
    builder = _Builder(name, root)
    while chunk := file.read(CHUNK_BYTES):
        builder.feed(chunk, final=False)
        yield from builder.take()
    builder.feed(b"", final=True)
    yield from builder.take()


class _Builder:
    """expat's events, turned into sections."""

    def __init__(self, name: str, root: str) -> None:
        self._name = name
        self._root = root
        self._open: list[Section] = []
        self._done: list[Section] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, chunk: bytes, final: bool) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise ValueError(
                f"{self._name}, line {error.lineno}: expected well-formed XML ({problem})"
            ) from None

    def take(self) -> list[Section]:
        done = self._done
        self._done = []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        section = Section(tag, attributes, self._parser.CurrentLineNumber)
        if not self._open and tag != self._root:
            raise ValueError(
                f"{self._name}, line {section.line}: expected <{self._root}>, found <{tag}>"
            )
        if len(self._open) > 1:  # the root keeps no children: they are handed out
            self._open[-1].children.append(section)
        self._open.append(section)

    def _end(self, _tag: str) -> None:
        section = self._open.pop()
        if len(self._open) == 1:
            self._done.append(section)

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse_doctype(self, *_arguments: object) -> None:
        line = self._parser.CurrentLineNumber
        raise ValueError(
            f"{self._name}, line {line}: expected annotations without a document type (<!DOCTYPE>)"
        )
