"""Cuts passages into lines that can be quoted, and chooses those that a question may be answered from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app import facts
from app.assistant.records import Line

MAX_LINES = 12
MAX_LINE_CHARS = 400
OVERLAP_WEIGHT = 0.3
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“„(]?[A-ZÀ-ÝΑ-ΩА-Я0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Za-z]|e\.g|i\.e|approx|ca|Dr|Mr|Mrs|Ms|St|No|vs|etc|Str)|\b\d{1,2})\.$")
_RULE = re.compile(r"[|\s:+=_-]+")
_HEADING = re.compile(r"#{1,6}\s")


class Found(Protocol):
    """A passage as retrieval hands it out."""

    @property
    def asset_id(self) -> str:
        """The asset that it stands in."""

    @property
    def filename(self) -> str:
        """That asset's name."""

    @property
    def place(self) -> str:
        """Page, heading or rows."""

    @property
    def text(self) -> str:
        """Its text, as it stands there."""

    @property
    def similarity(self) -> float:
        """Its cosine with the question."""

    @property
    def chunk_id(self) -> int:
        """Its id in the index."""


def lines_of(passage: Found) -> list[Line]:
    """Every sentence, list item and table row of a passage; headings and rules are no lines."""
    lines: list[Line] = []
    columns: list[str] = []
    for raw in passage.text.splitlines():
        text = raw.strip()
        if not text or _RULE.fullmatch(text) or _HEADING.match(text):
            continue
        if text.startswith("|") and text.count("|") > 2:
            if not columns:
                columns = _cells(text)
                continue
            lines.append(_line(passage, text, _named_row(columns, _cells(text))))
            continue
        columns = []
        lines += [_line(passage, sentence, sentence) for sentence in sentences_of(text)]
    return lines


def _line(passage: Found, quote: str, shown: str) -> Line:
    return Line(
        passage.asset_id,
        passage.filename,
        passage.place,
        quote,
        shown[:MAX_LINE_CHARS],
        passage.similarity,
        passage.chunk_id,
    )


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def _named_row(columns: Sequence[str], cells: Sequence[str]) -> str:
    named = [f"{c}: {v}" if c else v for c, v in zip(columns[1:], cells[1:], strict=False) if v]
    return f"{cells[0]}: {', '.join(named)}" if named else " ".join(cells)


def sentences_of(text: str) -> list[str]:
    """The sentences of one line of text, letter by letter."""
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if _ABBREVIATION.search(text[start : match.start()].rstrip('"”’)')):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def chosen_lines(
    question: str, passages: Iterable[Found], embed: Callable[[list[str]], list[list[float]]], limit: int = MAX_LINES
) -> list[Line]:
    """The lines nearest to the question by meaning and by words, in the order of their documents.

    Fewer lines make a shorter prompt: on two cores each costs about a third of a second before the first word.
    """
    lines = list({(line.asset_id, line.quote): line for p in passages for line in lines_of(p)}.values())
    if len(lines) <= limit:
        return lines
    vectors = embed([question, *(line.in_context for line in lines)])
    scores = [
        _cosine(vectors[0], vector) + OVERLAP_WEIGHT * overlap(question, [line])
        for vector, line in zip(vectors[1:], lines, strict=True)
    ]
    best = sorted(range(len(lines)), key=lambda i: (-scores[i], i))[:limit]
    return [lines[i] for i in sorted(best)]


def overlap(question: str, lines: Iterable[Line]) -> float:
    """The share of the question's words that stand in the lines or their places, 0 to 1."""
    return facts.share_of_words(question, [f"{line.in_context} {line.filename}" for line in lines])


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines under the numbers by which the model may name them."""

    lines: tuple[Line, ...]

    def text(self) -> str:
        """The lines under the names of their sources."""
        rows: list[str] = []
        source = None
        for number, line in enumerate(self.lines, 1):
            if (line.filename, line.heading) != source:
                source = (line.filename, line.heading)
                rows.append(f"[{', '.join(filter(None, source))}]")
            rows.append(f"{number}: {line.shown}")
        return "\n".join(rows)

    def numbers(self) -> list[int]:
        """The numbers that exist."""
        return list(range(1, len(self.lines) + 1))

    def named(self, numbers: Iterable[int]) -> tuple[Line, ...]:
        """The lines of those numbers, each once, in order."""
        return tuple(self.lines[number - 1] for number in sorted(set(numbers)))
