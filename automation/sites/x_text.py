"""How X measures a text: weighted length with emoji and web addresses.

Source: the published twitter-text configuration, version 3 (280 weighted characters; a code point counts 1 inside four
Latin and punctuation ranges and 2 elsewhere; an emoji sequence counts 2; an address counts 23).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path

LIMIT = 280
URL_WEIGHT = 23
_SINGLE_WEIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
# Characters that X refuses anywhere in a post.
_INVALID = re.compile("[\ufffe\ufeff\uffff]")

_EMOJI_BASE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
)
_EMOJI_UNIT = f"{_EMOJI_BASE}(?!\ufe0e)\ufe0f?[\U0001f3fb-\U0001f3ff]?"
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"
    "|[#*0-9]\ufe0f?\u20e3"
    "|\U0001f3f4[\U000e0061-\U000e007a]+\U000e007f"
    f"|{_EMOJI_UNIT}(?:\u200d{_EMOJI_UNIT})*"
)

_DOMAINS = tomllib.loads(Path(__file__).with_name("top_level_domains.toml").read_text(encoding="utf-8"))
_GENERIC_TLDS = frozenset(_DOMAINS["generic"].split())
_COUNTRY_TLDS = frozenset(_DOMAINS["country"].split())
_TLD = "|".join(sorted(_GENERIC_TLDS | _COUNTRY_TLDS, key=lambda tld: (-len(tld), tld)))
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_URL = re.compile(
    r"(?<![@#$＠＃\w.])"
    r"(?P<scheme>https?://)?"
    rf"(?P<domain>(?:{_LABEL}\.)+(?:{_TLD}))(?![\w-]|\.[^\W_]|@)"
    r"(?P<port>:\d+)?"
    r"(?P<path>/(?:[^\s<>\"“”]*[\w/=_#&+\-~%])?)?"
    r"(?P<query>\?[^\s<>\"“”]*[\w/=_#&+\-~%])?",
    re.IGNORECASE,
)


def weighted_length(text: str) -> int:
    """The length that X's composer counts, in weighted characters. Text is counted in Unicode form NFC."""
    text = unicodedata.normalize("NFC", text)
    total, position = 0, 0
    for start, end in url_spans(text):
        total += _plain_weight(text[position:start]) + URL_WEIGHT
        position = end
    return total + _plain_weight(text[position:])


def find_problem(text: str) -> str:
    """Why X would refuse this text, or an empty string."""
    if not text.strip():
        return "The text is empty."
    if _INVALID.search(text):
        return "X refuses texts that contain the character " + " and ".join(
            sorted({f"U+{ord(c):04X}" for c in _INVALID.findall(text)})
        )
    length = weighted_length(text)
    if length > LIMIT:
        return f"The text is {length - LIMIT} over X's limit: it counts {length}, at most {LIMIT} are allowed."
    return ""


def without_urls(text: str) -> str:
    """The text without what X shows as links, which it shortens."""
    parts, position = [], 0
    for start, end in url_spans(text):
        parts.append(text[position:start])
        position = end
    return "".join([*parts, text[position:]])


def url_spans(text: str) -> list[tuple[int, int]]:
    """Where X sees addresses. A bare two-part country domain (example.de) is only text, save .co and .tv."""
    spans = []
    for match in _URL.finditer(text):
        domain = match["domain"].lower()
        tld = domain.rsplit(".", 1)[1]
        is_short = domain.count(".") == 1 and tld in _COUNTRY_TLDS and tld not in ("co", "tv")
        if match["scheme"] or match["path"] or not is_short:
            spans.append(match.span())
    return spans


def _plain_weight(text: str) -> int:
    emoji_count = 0

    def take(_match: re.Match[str]) -> str:
        nonlocal emoji_count
        emoji_count += 1
        return ""

    rest = _EMOJI.sub(take, text)
    return 2 * emoji_count + sum(1 if any(low <= ord(c) <= high for low, high in _SINGLE_WEIGHT) else 2 for c in rest)
