"""What the assistant hands around: lines that can be quoted, claims, the answer, and what is reported on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.errors import AppError

UNKNOWN = "I do not know: your documents say nothing about this."


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, list item or table row of a passage: the smallest thing that can be quoted.

    Attributes:
        quote: exactly as it stands in the passage.
        shown: as the model reads it; a table row has the names of its columns with it.
        similarity: the cosine of its passage with the question.
    """

    asset_id: str
    filename: str
    place: str
    quote: str
    shown: str
    similarity: float = 0.0
    chunk_id: int = 0

    @property
    def source(self) -> str:
        """Where it stands, in words."""
        return f"{self.filename}, {self.place}" if self.place else self.filename

    @property
    def heading(self) -> str:
        """The last part of its place when that is a heading, which says what a bare price is the price of."""
        last = self.place.split(" › ")[-1]
        return "" if last.startswith(("line ", "page ", "row ", "rows ")) else last

    @property
    def in_context(self) -> str:
        """The line under its heading."""
        return f"{self.heading}: {self.shown}" if self.heading else self.shown


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands. ``quote`` is found in the document's text letter by letter."""

    asset_id: str
    filename: str
    quote: str
    place: str
    chunk_id: int = 0

    @classmethod
    def of(cls, line: Line) -> Citation:
        """The citation of a line."""
        return cls(line.asset_id, line.filename, line.quote, line.place, line.chunk_id)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of an answer with the lines that support it."""

    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Signals:
    """What the confidence is reckoned from, each 0 to 1.

    Attributes:
        answered: the model's probability that some line states the answer, when it chose among them.
        stated: its probability that the chosen lines state the answer, asked about them alone.
        similarity: the cosine of the best chosen line's passage with the question.
        overlap: the share of the question's words that stand in the chosen lines.
    """

    answered: float
    stated: float
    similarity: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The finished answer. Without citations it says that nothing is known.

    Attributes:
        confidence: the probability that ``considered``, the best lines that were found, state the answer.
        signals: what it was reckoned from; None when no line was near enough to be looked at.
    """

    answer: str
    citations: tuple[Citation, ...]
    confidence: float
    signals: Signals | None = field(default=None, compare=False)
    considered: tuple[Line, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done now."""

    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """The next piece of the answer; it was checked against its quotes already."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The question could not be answered for a technical reason."""

    error: AppError


Event = Step | Token | Reply | Failure
