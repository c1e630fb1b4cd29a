"""What of a text that a model wrote may stand: what its sources hold, what nobody banned, what fits, what ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app import facts
from app.lexicon import language_of
from app.looping import loop_start

MIN_CHARS = 12
_HASHTAG = re.compile(r"(?<!\w)#\w+")
_ENDS = re.compile(r"[.!?…]\W*$")
_HASHTAGS_ONLY = re.compile(r"\s*#\w+(?:\s+#\w+)*\s*")

Measure = Callable[[str], str]
"""Why the platform would not take a text, or ""."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A text after the checks: ``text`` may be used as it is, ``problems`` say what was wrong with what was written."""

    text: str
    problems: tuple[str, ...]
    cut: tuple[str, ...]


def checked(
    written: str,
    sources: Sequence[str],
    banned: Sequence[str],
    measure: Measure,
    *,
    also_named: Sequence[str] = (),
    takes_hashtags: bool = False,
) -> Checked:
    """Cut what no source holds, what the voice bans, own hashtags, and what the platform has no room for.

    Args:
        sources: what was asked and the passages: where every number, date, name and address has to come from.
        also_named: names that may stand in it as well.
        takes_hashtags: hashtags may be the model's own, as long as they state nothing.
    """
    text = tidy(written) if takes_hashtags else without_own_hashtags(tidy(written), sources)
    language = language_of(text) or language_of("\n".join(sources))
    problems: list[str] = []
    kept: list[str] = []
    cut: list[str] = []
    for sentence in sentences_of(text):
        missing = sorted(facts.unfounded(sentence, sources, also_named=also_named, language=language))
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


def unlooped(text: str) -> str:
    """``text`` up to where it begins to repeat itself, ended at a whole sentence; as it is when it does not."""
    start = loop_start(text)
    return text if start is None else whole_sentences(text[:start])


def whole_sentences(text: str) -> str:
    """``text`` without a last sentence that does not end. Hashtags at the end stay, each once."""
    parts = sentences_of(text)
    if parts and _HASHTAGS_ONLY.fullmatch(parts[-1]):
        parts[-1] = f" {' '.join(dict.fromkeys(parts[-1].split()))}"
    elif parts and not _ENDS.search(parts[-1]):
        parts = parts[:-1]
    return "".join(parts).strip()


def tidy(text: str) -> str:
    """Without quotes around the whole, runs of spaces, and blank lines in a row."""
    text = re.sub(r"[ \t]+", " ", text.replace("\r", "")).strip()
    text = re.sub(r" ?\n ?", "\n", re.sub(r"\n{3,}", "\n\n", text))
    if len(text) > 1 and text[0] in "\"“„'" and text[-1] in "\"”“'" and not any(c in text[1:-1] for c in '"“”„'):
        text = text[1:-1].strip()
    return text


def without_own_hashtags(text: str, sources: Iterable[str]) -> str:
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
