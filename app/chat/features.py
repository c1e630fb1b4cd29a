"""What can be counted in a message that says what its author wants: the evidence that ``classifier`` weighs.

Words are looked at in the frame of the message only, that is without the text that it dictates, so that the content of
a post ("Register now at …!") is not taken for the request. Cues are listed for the languages that owners write in.
"""

from __future__ import annotations

import re
import tomllib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.chat import platforms
from app.chat.dictation import dictation_of
from app.chat.form_values import gives_values
from app.chat.spans import addresses

HASH_BUCKETS = 2_048
MAX_FRAME_CHARS = 1_500

_LISTED = tomllib.loads((resources.files("app.chat") / "cues.toml").read_text(encoding="utf-8"))
_CUES: dict[str, str] = {name: words.replace("\n", "") for name, words in _LISTED.items()}
_FILLERS = frozenset(_CUES.pop("fillers").split("|"))
_CUE = {name: re.compile(rf"(?<![\w'’-])(?:{words})(?![\w'’])", re.IGNORECASE) for name, words in _CUES.items()}
# A cue at the head of a clause is a command; in the middle of one it is told or asked about.
_HEAD = (
    r"(?:^|[.!?;,:”\"–-]\s*|\b(?:please|pls|plz|kindly|and|then|n|&|can you|could you|can u|can yuo|would you|to|go|"
    r"now|just|bitte|und|por favor|y|et|e|en|tu peux|peux-tu|you can|that you|us|me|me to|so|anyway|right|dis|aaand|"
    r"yo|ok|hey|mind|possible to|kannst du|könntest du|können sie|könnten sie|puedes|podría[sn]?|"
    r"pourrais-tu|pouvez-vous|"
    r"puoi|può|potresti|podes|pode|podia|kun je|wil je|wants? to|wants? to know)\s+(?:kindly\s+|please\s+|go\s+)?)"
)
_COMMAND = {
    name: re.compile(rf"{_HEAD}(?:{_CUES[name]})(?![\w'’])", re.IGNORECASE)
    for name in ("publish", "read", "form", "write")
}
_FIRST = {
    name: re.compile(rf"^\W*(?:{_CUES[name]})(?![\w'’])", re.IGNORECASE)
    for name in ("publish", "read", "form", "write", "ask", "negation", "hypothetical", "affirm", "draft")
}
_FIELD = re.compile(r"(?<![\w/])[^\W\d_][\w ]{1,24}\s?[:=]\s?(?=\S)(?!//)")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_WORD = re.compile(r"<\w+>|[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|[?!:“]")
_ASKS_TO_PUBLISH = re.compile(
    r"(?:shall|should|may|want me to|would you like me to|soll|je l|lo |posso|zal ik)[^.?!]*\?\s*$", re.I
)


SHOWS_A_DRAFT = re.compile(r"^[^\n]{0,80}:[ \t]*\n\s*(?=[^\s\-*•\d])")
"""A reply that introduces a text on the lines below: "Here is a draft:" and the draft; no list."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the assistant said last: its words, and the type of the action that it proposed with them or None."""

    reply: str
    action_type: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A message prepared for weighing.

    Attributes:
        frame: the request in lower case with placeholders for addresses, networks and the dictated text.
        values: the named features, each 0 to 1.
    """

    frame: str
    values: dict[str, float]


def evidence_of(message: str, before: Before | None = None, *, has_address: bool = False) -> Evidence:
    """Everything countable in ``message``.

    Args:
        has_address: whether an address stands in an earlier message, which a short answer may refer to.
    """
    dictation = dictation_of(message)
    spoken = (dictation.frame if dictation else message)[:MAX_FRAME_CHARS]
    urls = addresses(spoken)
    all_urls = addresses(message)
    context = _context_of(before)
    plain = _without_addresses(spoken, urls)
    has_values = bool(urls or all_urls or has_address or context == "asked") and gives_values(message)
    values: dict[str, float] = {
        "dictated": float(dictation is not None),
        f"dictated_{dictation.kind}" if dictation else "dictated_none": 1.0,
        "address": float(bool(urls)),
        "address_anywhere": float(bool(all_urls)),
        "address_path": float(any("/" in a.split("://")[-1].rstrip("/") for a in urls)),
        "address_scheme": float(any("://" in a for a in urls)),
        "address_before": float(has_address),
        "platform": float(bool(platforms.mentions(spoken))),
        "other_network": float(bool(platforms.other_networks(spoken))),
        "mail": float(bool(_MAIL.search(message))),
        "fields": min(len(_FIELD.findall(_without_addresses(message, all_urls))), 4) / 4,
        "question": float(plain.rstrip(" \"'”)😅🤔👀").endswith("?")),
        "question_inside": float("?" in plain),
        "exclaims": float("!" in plain),
        "short": float(len(message.split()) <= 4),
        "medium": float(5 <= len(message.split()) <= 12),
        "long": float(len(message.split()) > 30),
        "values": float(bool(all_urls or has_address or context == "asked") and has_values),
        "values_missing": float(bool(urls) and not has_values),
        "nothing_said": float(dictation is None and not urls and _said_words(plain) == 0),
        "little_said": float(dictation is None and not urls and _said_words(plain) == 1),
        "only_address": float(bool(all_urls) and len(message.split()) <= 3),
        f"context_{context}": 1.0,
    }
    for name, pattern in _CUE.items():
        values[name] = float(bool(pattern.search(plain)))
    for name, pattern in _COMMAND.items():
        values[f"command_{name}"] = float(bool(pattern.search(plain)))
    for name, pattern in _FIRST.items():
        values[f"first_{name}"] = float(bool(pattern.search(plain)))
    return Evidence(_masked(spoken, urls), {name: value for name, value in values.items() if value})


def _said_words(plain: str) -> int:
    """How many words of content are left without the words of the request itself: "post it on X please" has none."""
    text = platforms.mask(plain, " ", " ")
    for name in ("publish", "polite", "affirm", "thanks", "ask", "own"):
        text = _CUE[name].sub(" ", text)
    return sum(1 for w in re.findall(r"[^\W\d_]{3,}|\d+", text.casefold()) if w not in _FILLERS)


def offers_post(reply: str) -> bool:
    """Whether a reply shows a draft, or asks whether to publish it."""
    if asks_to_publish(reply):
        return not re.search(r"\bread\b", reply, re.I)
    return bool(SHOWS_A_DRAFT.match(reply))


def asks_to_publish(text: str) -> bool:
    """Whether ``text`` ends in asking whether to publish or to read something."""
    return bool(_ASKS_TO_PUBLISH.search(text) and re.search(r"post|publi|read|veröff|tweet", text, re.I))


def begins_with_command(text: str) -> bool:
    """Whether the first word is an order to write or to publish."""
    return bool(_FIRST["publish"].match(text) or _FIRST["write"].match(text))


def _context_of(before: Before | None) -> str:
    if before is None:
        return "none"
    if before.action_type:
        return before.action_type
    if offers_post(before.reply):
        return "offer_post"
    if asks_to_publish(before.reply):
        return "offer_read"
    return "asked" if before.reply.rstrip().endswith("?") or "address" in before.reply else "said"


def _without_addresses(text: str, urls: Sequence[str]) -> str:
    for url in sorted(urls, key=len, reverse=True):
        text = text.replace(url, "<url>")
    return _MAIL.sub("<mail>", text)


def _masked(text: str, urls: Sequence[str]) -> str:
    return platforms.mask(_without_addresses(text, urls), "<net>", "<other>").casefold()


NAMES: tuple[str, ...] = (
    *(f"dictated{kind}" for kind in ("", "_none", "_colon", "_quotes", "_line", "_dash", "_plain")),
    *("address", "address_anywhere", "address_path", "address_scheme", "address_before", "platform", "other_network"),
    *("mail", "fields", "question"),
    *("question_inside", "exclaims", "short", "medium", "long", "only_address"),
    *("values", "values_missing", "nothing_said", "little_said"),
    *(
        f"context_{kind}"
        for kind in ("none", "post_social", "scrape_url", "fill_form", "offer_post", "offer_read", "asked", "said")
    ),
    *_CUES,
    *(f"command_{name}" for name in _COMMAND),
    *(f"first_{name}" for name in _FIRST),
)
_INDEX = {name: at for at, name in enumerate(NAMES)}
_PAIRS = tuple(combinations(range(len(NAMES)), 2))
NAMED_COUNT = len(NAMES) + len(_PAIRS)


def named_vector(evidence: Evidence) -> NDArray[np.float32]:
    """The named features and their products in pairs: (NAMED_COUNT,) float32."""
    base = np.zeros(len(NAMES), dtype=np.float32)
    for name, value in evidence.values.items():
        base[_INDEX[name]] = value
    first, second = np.array(_PAIRS).T
    return np.concatenate([base, base[first] * base[second]])


def word_vector(evidence: Evidence) -> NDArray[np.float32]:
    """Hashed words, pairs of words and character pieces of the frame, of length 1: (2 * HASH_BUCKETS,) float32."""
    words = [*_WORD.findall(evidence.frame), "</s>"]
    context = next((name for name in evidence.values if name.startswith("context_")), "context_none")
    grams = [*words, *(f"{a} {b}" for a, b in zip(["<s>", *words], words, strict=False))]
    grams += [f"{context} {w}" for w in words] if context != "context_none" else []
    pieces = [f"<{w}>"[i : i + n] for w in words if w[0].isalpha() for n in (3, 4) for i in range(len(w) + 3 - n)]
    return np.concatenate([_hashed(grams), _hashed(pieces)])


def _hashed(grams: Sequence[str]) -> NDArray[np.float32]:
    vector = np.zeros(HASH_BUCKETS, dtype=np.float32)
    for gram in set(grams):
        code = zlib.crc32(gram.encode())
        vector[code % HASH_BUCKETS] += 1.0 if code & 0x80000000 else -1.0
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
