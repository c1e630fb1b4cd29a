"""What stands literally in a user's message: addresses, quoted or colon-introduced text, named platforms.

A proposal's values are taken over from here letter by letter, because a small model changes a character now and then.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_FILE_ENDINGS = "pdf|txt|md|docx?|xlsx?|csv|png|jpe?g|gif|webp|mp4|mov|zip|py|js|json|html?"
_ADDRESS = re.compile(
    r"""(?<![\w@/.-])(
        (?:[a-z][a-z0-9+.-]*)://[^\s<>"'“”]+                                         # with a scheme
      | (?:localhost|\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})(?:/[^\s<>"'“”]*)?           # local, with a port
      | (?:[\w-]+\.)+[^\W\d_]{2,24}(?::\d{1,5})?(?:/[^\s<>"'“”]*)?                    # a bare domain
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FILE_NAME = re.compile(rf"^[\w-]+\.(?:{_FILE_ENDINGS})$", re.IGNORECASE)
_TRAILING = ".,;:!?…)]}»"
_QUOTED = re.compile(r"[\"“”„«]([^\"“”„«»]{2,})[\"“”»]|(?<!\w)['‘]([^'’]{2,})['’](?!\w)")
_SIMILAR_ENOUGH = 0.6
_SURELY_SAME = 0.85
_FRAME_WORDS = 6  # "put … on x please"

_X = re.compile(r"\b(?:x|twitter|tweet(?:s|ed|ing)?|x\.com)\b", re.IGNORECASE)
_REQUEST_WORDS = re.compile(
    r"\b(?:(?:do not|don['’]?t|please|then|now|yet) *)+(?:post|publish|share|send)?(?: (?:it|that|this))?\b"
    r"|\b(?:and )?(?:write|draft|tweet|post|publish|share|announce|compose|create|make|give|tell)s?\b"
    r"(?: (?:me|us|it|that|this))?"
    r"|\bon (?:x|twitter)\b|\b(?:a|an|the|some) (?:tweet|post|draft)s?\b|\babout\b",
    re.IGNORECASE,
)
_OTHER_PLATFORMS = re.compile(
    r"\b(?:linked ?in|facebook|fb|insta(?:gram)?|tik ?tok|you ?tube|bluesky|threads|mastodon|pinterest|reddit"
    r"|snapchat)\b",
    re.IGNORECASE,
)


def addresses(text: str) -> list[str]:
    """The web addresses in ``text``, as written, in order and each once."""
    found: dict[str, None] = {}
    for match in _ADDRESS.finditer(text):
        address = match.group(1).rstrip(_TRAILING)
        if not _FILE_NAME.match(address):
            found[address] = None
    return list(found)


def names_only_other_platforms(text: str) -> bool:
    """Whether ``text`` names a social network that this box cannot post to, and does not name X."""
    return bool(_OTHER_PLATFORMS.search(text)) and not _X.search(text)


def topic_of(message: str) -> str:
    """The message without the words that only say what to do with its topic, for looking the topic up in memory."""
    topic = " ".join(_REQUEST_WORDS.sub(" ", message).split()).strip(" ,.;:!?")
    return topic if any(c.isalnum() for c in topic) else message


def exact_text(proposed: str, message: str) -> str:
    """The user's own wording of ``proposed`` when the message dictated it, else ``proposed`` unchanged.

    What a colon introduces is dictated when the proposal is made of it; what stands in quotes only when little else
    is said, since a quoted name inside a request is a detail of the text to write, not the text.
    """
    introduced = _introduced_by_colon(message)
    if introduced and _is_made_of(proposed, introduced):
        return introduced
    for match in _QUOTED.finditer(message):
        quoted = match.group(1) or match.group(2)
        is_whole_text = len((message[: match.start()] + message[match.end() :]).split()) <= _FRAME_WORDS
        if _ratio(proposed, quoted) >= _SURELY_SAME or (is_whole_text and _contains(proposed, quoted)):
            return quoted
    return proposed


def _introduced_by_colon(message: str) -> str:
    """The text after the message's first introducing colon, without quotes around the whole of it; "" if none."""
    for match in re.finditer(":", message):
        opening, rest = message[: match.start()], message[match.end() :]
        # The colon of "https://" or of "9:30" introduces nothing.
        if rest.strip() and not rest.startswith("//") and not (opening[-1:].isdigit() and rest[:1].isdigit()):
            text = rest.strip()
            whole = _QUOTED.fullmatch(text)
            return (whole.group(1) or whole.group(2)) if whole else text
    return ""


def _is_made_of(proposed: str, dictated: str) -> bool:
    is_part = _contains(proposed, dictated) or _contains(dictated, proposed)
    return is_part or _ratio(proposed, dictated) >= _SIMILAR_ENOUGH


def _ratio(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _contains(text: str, part: str) -> bool:
    return " ".join(part.split()).casefold() in " ".join(text.split()).casefold()


def is_quoted_from(value: str, texts: list[str]) -> bool:
    """Whether ``value`` stands in one of ``texts``, case and runs of white space aside."""
    return bool(value.strip()) and any(_contains(text, value) for text in texts)
