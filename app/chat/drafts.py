"""Finds the draft that the assistant has shown, and tells whether a message asks to publish it as it stands.

A draft is taken letter by letter, without the words around it. Nothing here decides what a message asks for: that a
post is wanted is known already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.features import evidence_of
from app.chat.prompt import PastMessage

MAX_ASSENT_WORDS = 16
MIN_OPTION_WORDS = 3
MAX_INTRODUCTION_CHARS = 80

_NOUNS = (
    r"draft|version|suggestion|proposal|idea|wording|entwurf|vorschlag|idee|brouillon|proposition|idée|borrador|"
    r"propuesta|bozza|proposta|rascunho|voorstel|concept"
)
_OFFERED = re.compile(
    rf"\b(?:{_NOUNS}|how about|how['’]?s this|how is this|what about|what do you think|like this|try this|maybe this|"
    rf"here(?:['’]s| is| are| you| it)|i propose|my try|the following|wie wär|wie gefällt|que tal|qué tal|qu['’]en "
    rf"(?:dis|pensez)|comme ça|che ne|wat vind|zoals dit)",
    re.I,
)
_LINE_ABOVE = re.compile(r"^(?P<opening>[^\n]+)\n\s*(?P<text>\S.*)$", re.DOTALL)
_SAME_LINE = re.compile(r"^(?P<opening>[^\n:]{1,80}):[ \t]+(?P<text>\S.*)$", re.DOTALL)
_QUOTE_FIRST = re.compile(r"^[\"“„«]\s*(?P<text>[^\"“”„«»]{8,}?)\s*[\"”“»](?P<rest>.*)$", re.DOTALL)
_ASKS = (
    r"shall|should|may i|want|would you|do you|does (?:it|this|that)|is (?:it|this|that)|ok(?:ay)?\b|happy|like it|"
    r"where|which (?:one|network)|was meinst|was sag|publish|post|send|change|soll|passt|gefällt|je l[ea]|ça |"
    r"¿?(?:l[oa]|te|le) (?:publi|gust|parec|sub|cuelg)|posso|l[oa] pubbli|pubblico|zal|goed"
)
_TELLS_HOW_TO_GO_ON = (
    r"tell me|please (?:tell|let|say)|let me know|just say|say the word|i can|i could|sag|ich kann|je peux|dites|"
    r"dis-moi|puedo|dime|fammi|diga|zeg|ik kan"
)
_LAST_PARAGRAPH = re.compile(
    rf"\n\s*\n\s*(?:(?:{_ASKS})[^\n]{{0,120}}\?|(?:{_TELLS_HOW_TO_GO_ON})[^\n]{{0,120}})\s*$", re.I
)
_PUBLISHING = r"(?:post|publish|publi|send|change|veröffentlich|tweet)"
_LAST_SENTENCE = (
    re.compile(
        r"(?:^|(?<=\s))(?:Shall|Should|May I|Want me|Would you|Do you|Soll|Je l|¿?Lo|¿?La|Zal ik|Posso)\b"
        rf"[^.!?\n]*{_PUBLISHING}[^.!?\n]*\?\s*$"
    ),
    re.compile(rf"[^.!?:\n\"”“»]*{_PUBLISHING}[^.!?\n]*\?\s*$", re.I),
)
_OPTION = re.compile(
    r"(?m)^[ \t]*[*_]{0,2}(?:(?:option|variante?|versi[oó]n)\s+)?(?:\d{1,2}|[A-E])[.):][*_]{0,2}[ \t]*\n?[ \t]*(?=\S)|"
    r"^[ \t]*[-*•][ \t]+",
    re.I,
)
_NTH = (
    r"1|first|1st|erste[nrs]?|premi(?:er|ère)|primer[oa]?|prim[oa]|primeir[oa]|eerste",
    r"2|two|second|2nd|zweite[nrs]?|deuxième|seconde?|segund[oa]|second[oa]|tweede",
    r"3|three|third|3rd|dritte[nrs]?|troisième|tercer[oa]?|terz[oa]|terceir[oa]|derde",
    r"4|four|fourth|4th|vierte[nrs]?|quatrième|cuart[oa]|quart[oa]|vierde",
    r"5|five|fifth|5th|fünfte[nrs]?|cinquième|quint[oa]|vijfde",
)
_POINTED_AT = r"\b(?:the|den|die|das|der|la|le|el|de|il|lo|o|number|option|a(?! second| first))\s+|#|\b(?:no|nr)\.?\s*"
_TAKEN = r"(?:^|[.!?,;:…]\s*|\b(?:with|take|use|post|publish|nehm\w*|nimm)\s+)"
_ENDS = r"(?=\s*(?:[.,:;!)]|$|(?:one|option|it|is|on|auf|sur|en|please|pls|bitte)\b))"
_CHOICES = tuple(
    re.compile(rf"(?:{_POINTED_AT})(?:{words})(?![\w%€]|[.,:]\d)|{_TAKEN}(?:{words}|(?-i:{letter})){_ENDS}", re.I)
    for words, letter in zip(_NTH, "ABCDE", strict=True)
)
_LAST_OF_ALL = re.compile(
    r"\b(?:the last|(?:de[nrm]|die|das) letzten?|la dernière|le dernier|l[ao] últim[oa]|el último)\b", re.I
)

_IS_TALK = re.compile(r"\bI(?: would| can|['’]d)\b|\?$")

# "another one about …", "do one that says …", "shorter and post it": a text that does not stand there yet.
_WANTS_OTHER_TEXT = re.compile(
    r"(?<![\w'’])(?:another|new one|one more|something|write|compose|rewrite|redo|make (?:an?|one|it|them|some)|"
    r"do (?:one|a)|draft (?:an?|me|us|one)|about|saying|(?:that |it |one )says?|(?<!\bi )say (?!so|yes|go)|"
    r"tell (?!me\b)\w+|(?:let|letting) \w+ know|mention|that (?:we|our|the|there|i|my|they|he|she)|those|these|"
    r"shorter|longer|funnier|replace|swap|correct (?:it|this|that|the)|fix|remove|drop the|add|change|translate|"
    r"(?:less|more) (?!than)\w+|use (?:an? |some |more )?\w+s|with(?:out)? (?:the |an? |our |some |any |more )?"
    r"(?:hashtags?|emojis?|links?|address|dates?|prices?|numbers?|names?|photos?)|in (?:german|english|french|spanish|"
    r"italian|portuguese|dutch)|auf (?:deutsch|englisch)|en (?:français|anglais|español|inglés)|"
    r"etwas|kürzer|länger|lustiger|dazu|ersetz\w*|ändere?|füge?|schreib\w*|über|dass|noch eine[ns]?|"
    r"quelque chose|plus (?:court|long)|remplace\w*|ajoute\w*|enlève\w*|change[zr]?|écri\w+|"
    r"algo|más (?:cort|larg)\w+|quita|quítal[oa]|añad[ea]|cambi[ae]|escrib[ea]|"
    r"qualcosa|più (?:cort|brev|lung)\w+|togli|aggiungi|cambia|scrivi|"
    r"mais curt\w+|tir[ae]|acrescent[ae]|mud[ae]|escrev[ea]|iets|korter|langer|verander|voeg|schrijf)(?![\w'’])",
    re.I,
)
_DENIED = re.compile(
    r"(?:n['’]?t|\bnot|\bno|\bnothing(?: to)?|\bnever|\bwithout|\bnichts?(?: zu)?|\brien à|\bsin|\bsenza)\s+"
    r"(?:\w+\s+)?$",
    re.I,
)
_THIS_VERY_ONE = re.compile(
    r"(?<![\w'’])(?:(?:put|post|publish|release|place|share|tweet|send|let|fire|chuck|stick|get) "
    r"(?:it|that|this|them|one)|it (?:\w+ ){0,3}(?:go|put|up|out|posted|published)|as it (?:is|stands)|"
    r"as you wrote|unchanged|as is|approved|go ahead|tel(?:le)? quel\w*|l[aeo] (?:publi\w+|mettre|post\w+)|"
    r"\w+-l[ea]|(?:publ|cu[eé]l|s[uú]b|p[oó]n)\w*l[oa]|"
    r"(?:ihn|es|das|den|so) (?:\w+ )?(?:posten|veröffentlichen|raus|online|einstellen|teilen)|"
    r"(?:stell|poste?|veröffentliche|teile?)\w* (?:sie )?(?:ihn|es|das|den)|(?:zo|het) plaatsen)(?![\w'’])",
    re.I,
)
_POINTS = re.compile(r"(?m)^\s*[-*•]\s.*$")
_SAME = re.compile(
    r"\b(?:same|again|also|too|auch|nochmal|dasselbe|aussi|pareil|también|mismo|anche|stesso|também|mesmo|ook|zelfde)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that the assistant has shown or proposed.

    Attributes:
        is_tainted: whether it was made from documents or pages.
        is_proposed: whether it was proposed as a post already.
    """

    text: str
    is_tainted: bool
    is_proposed: bool = False


def draft_before(message: str, history: Sequence[PastMessage]) -> Draft | None:
    """The draft that ``message`` may mean: in the last reply, else in the one before it if the message points to it.

    Of several options it is the one that the message chooses; None where it chooses none.
    """
    replies = [at for at, past in enumerate(history) if past.role == "assistant"]
    for back, at in enumerate(reversed(replies[-2:])):
        past = history[at]
        asked = history[at - 1].content if at and history[at - 1].role == "user" else ""
        if past.action:
            is_meant = past.action["type"] == "post_social" and (back == 0 or _SAME.search(message))
            return Draft(str(past.action["params"]["text"]), past.is_tainted, is_proposed=True) if is_meant else None
        if back and not _THIS_VERY_ONE.search(message):
            return None
        if text := shown_draft(past.content, asked, message):
            return Draft(text, past.is_tainted)
    return None


def is_to_be_published(message: str, draft: Draft) -> bool:
    """Whether a request to post gives no content of its own, so that it means ``draft`` as it stands."""
    for match in _WANTS_OTHER_TEXT.finditer(message):
        if not _DENIED.search(message[: match.start()]):
            return False
    is_short = len(_POINTS.sub("", message).split()) <= MAX_ASSENT_WORDS
    return is_short or (not draft.is_proposed and bool(_THIS_VERY_ONE.search(message)))


def shown_draft(reply: str, asked: str, message: str) -> str:
    """The draft in ``reply``, "" for none.

    Args:
        asked: what the user had said before it: a reply without any introduction is a draft where one was asked for.
        message: what the user says to it, which may choose one of several.
    """
    options = options_in(reply)
    if options:
        return _chosen(message, options) if all(len(text.split()) >= MIN_OPTION_WORDS for text in options) else ""
    text, is_offered = _without_frame(reply)
    return text if is_offered or (_asks_for_text(asked) and not _IS_TALK.search(text)) else ""


def draft_in(reply: str) -> str:
    """The draft that a reply shows, without the words around it; "" when it is not plain which part that is."""
    return "" if options_in(reply) else _without_frame(reply)[0]


def options_in(reply: str) -> list[str]:
    """The texts of a list of several, without their numbers; empty where there is no list."""
    starts = list(_OPTION.finditer(reply))
    if len(starts) < 2:
        return []
    ends = [match.start() for match in starts[1:]] + [len(reply)]
    texts = [reply[match.end() : end].strip() for match, end in zip(starts, ends, strict=True)]
    texts[-1] = re.split(r"\n\s*\n", texts[-1])[0]
    return [_unquoted(_without_asking_back(text)) for text in texts]


def _chosen(message: str, options: Sequence[str]) -> str:
    if _LAST_OF_ALL.search(message):
        return options[-1]
    named = [at for at, pattern in enumerate(_CHOICES[: len(options)]) if pattern.search(message)]
    return options[named[0]] if len(named) == 1 else ""


def _without_frame(reply: str) -> tuple[str, bool]:
    """The reply without introduction and closing question, and whether there was one of them."""
    whole = reply.strip()
    text = _without_asking_back(whole)
    is_offered = text != whole
    above = _LINE_ABOVE.match(text)
    if above and (_introduces(above["opening"]) or _is_quote(above["text"])):
        text, is_offered = above["text"], True
    elif (same := _SAME_LINE.match(text)) and (_OFFERED.search(same["opening"]) or _QUOTE_FIRST.match(same["text"])):
        text, is_offered = same["text"], True
    quote = _QUOTE_FIRST.match(text)
    if quote and (is_offered or not quote["rest"].strip()):
        return quote["text"], True
    return text, is_offered


def _introduces(line: str) -> bool:
    """Whether the first line only leads to the text below it."""
    line = line.strip()
    if len(line) > MAX_INTRODUCTION_CHARS:
        return False
    return line.endswith((":", "👇")) or (not line[-1:].isalnum() and bool(_OFFERED.search(line)))


def _without_asking_back(text: str) -> str:
    shorter = _LAST_PARAGRAPH.sub("", text)
    for pattern in _LAST_SENTENCE:
        cut = pattern.sub("", shorter).strip()
        if cut and cut != shorter:
            return cut
    return shorter.strip()


def _unquoted(text: str) -> str:
    return text.strip()[1:-1].strip() if _is_quote(text) else text


def _is_quote(text: str) -> bool:
    quote = _QUOTE_FIRST.match(text.strip())
    return quote is not None and not quote["rest"]


def _asks_for_text(asked: str) -> bool:
    cues = evidence_of(asked).values
    return bool(cues.get("draft") or cues.get("write") or cues.get("ideas") or cues.get("change"))
