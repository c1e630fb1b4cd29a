"""Finds the text that a message dictates, letter by letter, and what is left of the message without it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.chat import platforms
from app.chat.spans import addresses

MAX_OPENING_WORDS = 45
MIN_WORDS_ALONE = 4
_QUOTED = re.compile(
    r"[“„\"]([^“”„\"]{2,})[”“\"]|«(?=\s*[^\s«»])([^«»]{2,})»|(?<!\w)['‘]([^'‘]{2,}?)['’](?!\w)",
)
_COLON = re.compile(r"\s?:(?=\s)|\s?:(?=[“„\"«'‘])|(?<=[^\d\s/]):(?=[^\W\d_])|(?<=this)\s+[-–—]\s+", re.IGNORECASE)
_RULE = re.compile(r"(?m)^[ \t]*[-–—=*_]{3,}[ \t]*$")
_LIST = re.compile(r"\s*\n\s*[-*•]\s")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_DASH = re.compile(r"\s+[-–—]\s+|\s*👉\s*")
# Words before a quotation that make it the name of a thing: 'a tweet about "Black Forest"'.
_NAMES_A_THING = re.compile(
    r"\b(?:about|of|on|called|named|titled|as|for|re|über|zu|von|namens|sur|de|du|appelée?|sobre|del?|llamad[oa]|su|di|"
    r"chiamat[oa]|chamad[oa]|over|genaamd|does|is|was|turn|change)\s*$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"\b(?:that|dass|que|che|dat)\s*$", re.IGNORECASE)
_ONLY_PUNCTUATION = re.compile(r"^[\s,.;:!?…–—-]*$")
_REQUEST_GOES_ON = re.compile(
    r"^[\s,.;–—-]*(?:please|(?:many )?thanks|thank you|cheers|ta|(?:kind )?regards|and|then|on|to|as|bitte|danke|"
    r"vielen dank|por favor|gracias|merci|grazie|obrigad[oa]|bedankt)\b",
    re.I,
)
# "put this on X word for word …": what follows is the text, without a sign.
_VERBATIM = re.compile(
    r"^(?P<frame>[^:\n]{0,80}?\b(?:word for word|exactly (?:as|like) (?:i|we) (?:say|said|write|wrote) (?:it|this)|"
    r"verbatim|wörtlich|wortwörtlich|mot pour mot|palabra por palabra|parola per parola|letterlijk))[\s,]+"
    r"(?P<text>\S+(?: \S+){3,})$",
    re.IGNORECASE | re.DOTALL,
)
# The text first, the request behind it: "We are closed today. Post that on X please."
_BEHIND = re.compile(
    r"^(?P<text>.{8,}?[.!?…\"”])\s+(?P<frame>(?:please |pls |now |can you |could you |bitte )?"
    r"(?:post|tweet|share|publish|put|poste?|teile|publica|publie|pubblica|plaats) "
    r"(?:this|that|it|das|dies|esto|ça|questo|dit)\b[^.!?]{0,60}[.!?]*)$",
    re.IGNORECASE | re.DOTALL,
)
# "Post on X We open at 9": a sentence right behind the network's name.
_BARE = re.compile(
    r"^(?P<frame>(?:please |pls |can you |could you )?(?:[Pp]ost|[Ss]hare|[Pp]ublish|[Pp]ut)(?: this| that)? "
    r"(?:on|to|in) [\w.]+(?: [Ii]n)?)\s+(?P<text>(?-i:[A-Z0-9])\S*(?: \S+){2,})$",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Dictation:
    """A text to be taken over exactly, and the request around it.

    Attributes:
        frame: the message without the text, for judging what is asked.
        kind: how it was set off: "colon", "quotes", "line" or "dash".
    """

    text: str
    frame: str
    kind: str


def dictation_of(message: str) -> Dictation | None:
    """The dictated text of ``message``, None when it dictates none.

    Whatever stands after the first introducing colon counts, or on the lines below an introduction, or in quotes that
    are not merely the name of something.
    """
    return (
        _below_rule(message)
        or _after_colon(message)
        or _in_quotes(message)
        or _below(message)
        or _after_dash(message)
        or _around_request(message)
    )


def _below_rule(message: str) -> Dictation | None:
    """Under the only line of dashes, whatever the notes above it are."""
    parts = _RULE.split(message)
    if len(parts) != 2 or not all(part.strip() for part in parts):
        return None
    return Dictation(_unquoted(parts[1].strip()), f"{parts[0].strip()} :", "line")


def _after_colon(message: str) -> Dictation | None:
    first_quote = _QUOTED.search(message)
    for match in _COLON.finditer(message):
        opening, rest = message[: match.start()], message[match.end() :]
        if rest.startswith("//") or not rest.strip():
            continue
        if first_quote and first_quote.start() < match.start() < first_quote.end():
            return None  # the colon stands inside of a quotation
        if _LIST.match(rest) and (quote := _QUOTED.search(rest)) and _stands_alone(quote):
            return None  # news in points; what is quoted behind them may be the text
        if not opening.strip() or _NAMES_A_THING.search(opening):
            return None
        if len(opening.split()) > MAX_OPENING_WORDS and not _sets_off(_last_sentence(opening), rest):
            continue
        text, request = _split_quoted(rest.strip())
        return Dictation(text, f"{opening.strip()} : {request}".strip(), "colon")
    return None


def _last_sentence(text: str) -> str:
    return _SENTENCE_END.split(text.strip())[-1]


def _sets_off(request: str, rest: str) -> bool:
    """Behind a long story: whether its last sentence is short and the text stands in quotes or on the lines below."""
    return len(request.split()) <= MAX_OPENING_WORDS and bool(_QUOTED.match(rest.lstrip()) or rest.startswith("\n"))


def _split_quoted(text: str) -> tuple[str, str]:
    """A quoted text without its quotes, and the words of the request behind it; all of an unquoted text."""
    match = _QUOTED.match(text)
    if match and (match.end() == len(text) or _REQUEST_GOES_ON.match(text[match.end() :]) or _stands_alone(match)):
        return _inner(match), text[match.end() :].strip()
    return text, ""


def _stands_alone(match: re.Match[str]) -> bool:
    """Whether a quotation is made of whole sentences, and nothing else is quoted behind it."""
    text = _inner(match)
    is_whole = len(text.split()) >= MIN_WORDS_ALONE and text.rstrip()[-1:] in ".!?…"
    return is_whole and not _QUOTED.search(match.string, match.end())


def _in_quotes(message: str) -> Dictation | None:
    found = [m for m in _QUOTED.finditer(message) if not _ONLY_PUNCTUATION.match(_inner(m))]
    if len(found) != 1:
        return None
    match = found[0]
    before, after = message[: match.start()], message[match.end() :]
    if _NAMES_A_THING.search(before):
        return None
    if len(f"{before} {after}".split()) > MAX_OPENING_WORDS and not (
        _stands_alone(match) and platforms.mentions(_last_sentence(before))
    ):
        return None
    if _CLAUSE.search(before) and len(after.split()) > 2 and not platforms.mentions(after):
        return None  # 'announce that "The Seagull" won the prize': a name at the head of a clause
    return Dictation(_inner(match), f"{before.strip()} “” {after.strip()}".strip(), "quotes")


def _below(message: str) -> Dictation | None:
    opening, _, rest = message.partition("\n")
    if not rest.strip() or len(opening.split()) > MAX_OPENING_WORDS or not opening.strip():
        return None
    return Dictation(_unquoted(rest.strip()), f"{opening.strip()} :", "line")


def _after_dash(message: str) -> Dictation | None:
    """Only right behind a short opening that names a network: a dash stands in many sentences."""
    match = _DASH.search(message)
    if not match:
        return None
    opening, rest = message[: match.start()], message[match.end() :]
    if not rest.strip() or len(opening.split()) > 6 or not platforms.mentions(opening) or addresses(opening):
        return None
    return Dictation(_unquoted(rest.strip()), f"{opening.strip()} :", "dash")


def _around_request(message: str) -> Dictation | None:
    """A whole sentence before or behind a bare request, or all that follows "word for word"."""
    match = _VERBATIM.match(message) or _BEHIND.match(message) or _BARE.match(message)
    if not match or (match.re is not _BEHIND and not platforms.mentions(match["frame"])):
        return None
    return Dictation(_unquoted(match["text"].strip()), f"{match['frame'].strip()} :", "plain")


def _unquoted(text: str) -> str:
    """``text`` without quotes around the whole of it."""
    whole = _QUOTED.fullmatch(text)
    return _inner(whole) if whole else text


def _inner(match: re.Match[str]) -> str:
    text: str = next(group for group in match.groups() if group is not None)
    return text.strip() if match.group().startswith("«") else text
