"""Pure decisions about generated texts: how long each kind is, and what stands in for one of which nothing is left."""

from __future__ import annotations

from app import facts
from app.generation.records import Kind
from app.wording import Measure, sentences_of, tidy

MAX_CHARS = {Kind.SHORT: 160, Kind.LONG: 700, Kind.CALL: 220}
"""What is asked of the model where the platform allows more, in characters."""


def max_chars(kind: Kind, limit: int | None) -> int:
    """How long a variant may be: its kind's length, or the platform's where that is less."""
    wanted = MAX_CHARS[kind]
    return wanted if limit is None else min(wanted, limit)


def with_address(text: str, brief: str, measure: Measure) -> str:
    """A call to action with the brief's address, which it is about, if there is room for it."""
    for address in facts.addresses_as_written(brief):
        if address.casefold() in text.casefold():
            return text
        longer = f"{text} {address}"
        if not measure(longer):
            return longer
    return text


def from_brief(brief: str, measure: Measure, limit: int) -> str:
    """The brief's own first sentences: what is left when nothing that was written may be used."""
    kept: list[str] = []
    for sentence in sentences_of(tidy(brief)):
        longer = "".join([*kept, sentence]).strip()
        if measure(longer) or len(longer) > limit:
            break
        kept.append(sentence)
    return "".join(kept).strip()
