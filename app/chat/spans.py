"""What stands literally in a user's message: addresses, the topic, values that the user wrote."""

from __future__ import annotations

import re

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
_REQUEST_WORDS = re.compile(
    r"\b(?:(?:do not|don['’]?t|please|then|now|yet) *)+(?:post|publish|share|send)?(?: (?:it|that|this))?\b"
    r"|\b(?:and )?(?:write|draft|tweet|post|publish|share|announce|compose|create|make|give|tell)s?\b"
    r"(?: (?:me|us|it|that|this))?"
    r"|\bon (?:x|twitter)\b|\b(?:a|an|the|some) (?:tweet|post|draft)s?\b|\babout\b",
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


def topic_of(message: str) -> str:
    """The message without the words that only say what to do with its topic, for looking the topic up in memory."""
    topic = " ".join(_REQUEST_WORDS.sub(" ", message).split()).strip(" ,.;:!?")
    return topic if any(c.isalnum() for c in topic) else message


def _contains(text: str, part: str) -> bool:
    return " ".join(part.split()).casefold() in " ".join(text.split()).casefold()


def is_quoted_from(value: str, texts: list[str]) -> bool:
    """Whether ``value`` stands in one of ``texts``, case and runs of white space aside."""
    return bool(value.strip()) and any(_contains(text, value) for text in texts)
