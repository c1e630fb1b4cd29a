"""Pure decisions about generated texts: how long, what may not stand in them, what is cut, what is added."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app import facts
from app.generation.records import Kind

MAX_CHARS = {Kind.SHORT: 160, Kind.LONG: 700, Kind.CALL: 220}
"""What is asked of the model where the platform allows more, in characters."""
MIN_CHARS = 12
_HASHTAG = re.compile(r"(?<!\w)#\w+")

Measure = Callable[[str], str]
"""Why the platform would not take a text, or ""."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A text after the checks: ``text`` may be used as it is, ``problems`` say what was wrong with what was written."""

    text: str
    problems: tuple[str, ...]
    cut: tuple[str, ...]


def max_chars(kind: Kind, limit: int | None) -> int:
    """How long a variant may be: its kind's length, or the platform's where that is less."""
    wanted = MAX_CHARS[kind]
    return wanted if limit is None else min(wanted, limit)


def checked(written: str, sources: Sequence[str], banned: Sequence[str], measure: Measure) -> Checked:
    """Cut what no source holds, what the voice bans, own hashtags, and what the platform has no room for.

    Args:
        sources: the brief and the passages: where every number, name and address has to come from.
    """
    text = without_own_hashtags(tidy(written), sources)
    problems: list[str] = []
    kept: list[str] = []
    cut: list[str] = []
    for sentence in sentences_of(text):
        missing = sorted(facts.unfounded(sentence, sources))
        said = banned_in(sentence, banned)
        problems += [f"not in the brief or the documents: {', '.join(missing)}"] if missing else []
        problems += [f"banned: {', '.join(said)}"] if said else []
        (cut if missing or said else kept).append(sentence)
    while kept and measure(_joined(kept)):
        problems.append(measure(_joined(kept)))
        cut.append(kept.pop())
    return Checked(_joined(kept), tuple(problems), tuple(s.strip() for s in cut if s.strip()))


def is_enough(text: str) -> bool:
    """Whether the text says anything."""
    return len(text) >= MIN_CHARS


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
        longer = _joined([*kept, sentence])
        if measure(longer) or len(longer) > limit:
            break
        kept.append(sentence)
    return _joined(kept)


def tidy(text: str) -> str:
    """Without quotes around the whole, runs of spaces, and blank lines in a row."""
    text = re.sub(r"[ \t]+", " ", text.replace("\r", "")).strip()
    text = re.sub(r" ?\n ?", "\n", re.sub(r"\n{3,}", "\n\n", text))
    if len(text) > 1 and text[0] in "\"“„'" and text[-1] in "\"”“'" and not any(c in text[1:-1] for c in '"“”„'):
        text = text[1:-1].strip()
    return text


def without_own_hashtags(text: str, sources: Sequence[str]) -> str:
    """Only hashtags that a source has stay."""
    known = {tag.casefold() for source in sources for tag in _HASHTAG.findall(source)}
    bare = _HASHTAG.sub(lambda match: match.group() if match.group().casefold() in known else "", text)
    return tidy(re.sub(r" +([.,!?])", r"\1", bare))


def banned_in(text: str, banned: Sequence[str]) -> list[str]:
    """The banned words and phrases that stand in the text, in any inflection that only adds to them."""
    return [
        word for word in banned if word.strip() and re.search(rf"(?<!\w){re.escape(word.strip())}", text, re.IGNORECASE)
    ]


def sentences_of(text: str) -> list[str]:
    """The sentences with what follows them, so that joining gives the text again."""
    parts: list[str] = []
    for part in re.split(r"(?<=[.!?…])(?=\s)|(?<=\n)(?=\S)", text):
        if parts and not re.search(r"\w", part):
            parts[-1] += part
        elif part:
            parts.append(part)
    return parts


def _joined(sentences: Sequence[str]) -> str:
    return "".join(sentences).strip()
