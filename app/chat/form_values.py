"""Reads the values that a message gives for a form: "name: Ada, guests = 4", "with email ada@ada.example", "4 guests".

What is read here is copied letter by letter. Where a message gives values in a way that is not understood, nothing is
returned and the language model reads them instead.
"""

from __future__ import annotations

import re

from app.chat.spans import addresses

MAX_FIELDS = 50
MAX_LOWER_CASE_WORDS = 3  # "owner ali demir": a key and a name, all in lower case
MIN_SENTENCE_WORDS = 4  # a shorter value ends in the question mark of the request: "… and the postcode LS1 4AP?"
_AND = r"and|und|et|y|e|en|&|with|mit|avec|con|com|met"
_KEYS = (
    r"(?:full|first|last|given|family|business|company|stand|rider|user|contact|serial|phone|order|customer)?[ -]?"
    r"(?:names?|numbers?)|nmae|surname|e-?mails?(?: address)?|emial|mail|phone|telephone|tel|mobile|company|firma?|"
    r"organi[sz]ation|city|town|country|address|street|postcode|zip(?: code)?|date|time|guests?|subject|message|"
    r"comment|"
    r"quantity|size|title|speaker|director|captain|team|club|genre|minutes|tickets?|amount|contact|category|agency|"
    r"campaign|plan|reference|website|vorname|nachname|telefon|e-?mail-?adresse|ort|stadt|anreise|abreise|datum|uhrzeit|"
    r"personen|nachricht|nom|prénom|courriel|téléphone|ville|entreprise|société|date|heure|nombre|apellidos?|correo|"
    r"teléfono|ciudad|empresa|fecha|hora|nome|cognome|città|telefono|azienda|data|ora|telefone|cidade|clube|naam|"
    r"voornaam|achternaam|telefoon|stad|bedrijf|maat"
)
_PAIR = re.compile(
    rf"(?:(?:^|[,;.!?\n–—(]|\s/|\b(?:{_AND})\b)\s*(?P<key>[^\W\d_][\w'’/-]*(?: [\w'’/-]+){{0,3}}?)"
    r"|\s(?P<word>[^\W\d_][\w'’/-]*))(?<!\d)\s*[:=]\s*(?=\S)(?!//)(?![^\W\d_]\w*\s*[:=]\s)",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(
    rf"\s*(?:[;\n]|,(?!\d)|\s/\s)\s*(?:(?:{_AND})\s+)?|(?<!\d)\.\s+(?=[^\W\d_])|\s+(?:{_AND})\s+", re.IGNORECASE
)
_LIST_SEPARATORS = re.compile(r"\s*(?:[;\n]|,(?!\d)|\s/\s)\s*|\.\s+(?=[^\W\d_])")
_LABEL = re.compile(r"^(?P<key>[^\W\d_][\w'’-]+)\s+(?P<value>\S.*)$")
MAX_LABELLED_WORDS = 8
# "serial number is HW22 area is Leeds", spoken without a comma: a key of two words begins where no word in lower case
# is before it.
_SPOKEN = re.compile(r"(?:^|(?<=\s))(?P<key>(?:(?<![a-z] )[a-zà-ÿ]+ )?[a-zà-ÿ]+) (?:is|ist|est|es) (?=\S)")
_LIST_NAMES = re.compile(
    r"^(?:(?:these|the|following|as)\s+)*(?:particulars|details|values|data|info|follows|angaben|daten|datos|données|dati)$",
    re.IGNORECASE,
)
_IS = re.compile(
    r"^(?:(?:my|the|our|die|der|das|le|la|il|el|o|a)\s+)?(?P<key>[^\W\d_][\w ]{1,24}?)\s+(?:is|ist|est|es|è|é)\s+"
    r"(?P<value>.+)$",
    re.IGNORECASE,
)
_KNOWN = re.compile(rf"^(?:(?:my|the|our|for|to)\s+)*(?P<key>(?:[\w]+ )?(?:{_KEYS}))\s+(?P<value>\S.*)$", re.IGNORECASE)
_KNOWN_KEY = re.compile(rf"\b(?:{_KEYS})\s+(?!is\b|of\b|in\b|and\b|on\b|field)\w", re.IGNORECASE)
_QUOTED_VALUE = re.compile(r"^(?P<key>[^\W\d_]\w*(?: \w+)?)\s+[\"“„«'](?P<value>[^\"“”„«»]+)[\"”“»']$")
_LOWER_THEN_VALUE = re.compile(r"^(?P<key>[a-zà-ÿ]+(?: [a-zà-ÿ]+){0,2})\s+(?P<value>(?:[A-ZÀ-Ý\d\"“+(]|\S+@).*)$")
_COUNT = re.compile(
    r"^(?:for\s+)?(?P<value>\d+)\s+(?P<key>guests|people|persons|tickets|seats|adults|children|nights|rooms|personen|"
    r"gäste|personnes|personas|persone|pessoas)$",
    re.IGNORECASE,
)
_AS_KEY = re.compile(
    r"[\"“„](?P<value>[^\"“”„]+)[\"”“]\s+(?:as|for|into|in|als|como|comme|come)\s+(?:the\s+|a\s+)?(?P<key>\w+)",
    re.IGNORECASE,
)
_AS_NAME = re.compile(
    r"\b(?:as|for|als|für|pour|para|per|voor)\s+(?P<value>[A-ZÀ-Ý][\w'’.-]*(?:\s+[A-ZÀ-Ý][\w'’.-]*){1,3})(?=\W|$)"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TAIL = re.compile(
    r"[\s,.;!🙏😊❤️♥-]*(?:\b(?:(?:and (?:then )?|please )?(?:send|submit) (?:it|this|the form)(?: off)?|please|pls|plz|"
    r"(?:many )?thanks?(?: a lot| so much)?|thank ?you(?: so much)?|cheers|ta|sorry|merci|danke(?: schön)?|bitte|"
    r"grazie|gracias|obrigad[oa]|dank je|bedankt|por favor|grande|vergelt's gott)\b"
    r"[\s.!🙏😊❤️♥]*)*$",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^[^\w\"“„«'+]*(?:(?:for (?:me|us)|to order|to send|with|using|on|an|aus|in|mit|avec|con|com|met|as follows|"
    r"these values|and)\b"
    r"[^\w\"“„«'+]*(?:(?:the|this|these)\s+(?:values:?\s*)?)?)*",
    re.IGNORECASE,
)
_NOT_A_KEY = re.compile(
    r"^(?:for|as|to|at|in|on|from|of|subscribe|register|sign|add|get|put|book|join|apply|please|pls|send|fill|enter|"
    r"request|reserve|submit|i|we|it|als|für|pour|para|per|voor)\b",
    re.IGNORECASE,
)


def values_of(message: str) -> dict[str, str]:
    """Field name → value, as the message gives them; empty when it gives none or not in a way that is understood."""
    found_addresses = addresses(message)
    for address in found_addresses:
        before, _, after = message.partition(address)
        for part in (after, before):
            if fields := _fields_in(part):
                return fields
    return {} if found_addresses else _fields_in(message, is_list=True)


def gives_values(message: str) -> bool:
    """Whether something in ``message`` may be a value for a form, understood or not."""
    text = message
    for address in addresses(message):
        text = text.replace(address, " ")
    if values_of(message) or _MAIL.search(text) or re.search(r"\d", text) or re.search(r"[:=]\s*\S", text):
        return True
    words = text.split()
    if _KNOWN_KEY.search(text):
        return True
    return any(w[:1].isupper() and w.strip(".,!?\"'") not in {"I", "I'm"} for w in words[1:]) and len(words) > 6


def _fields_in(text: str, *, is_list: bool = False) -> dict[str, str]:
    is_list = is_list or text.lstrip()[:1] in {":", "→", "-", "–"}
    text = _OPENING.sub("", text, count=1)
    if "\n" not in text.strip():  # of a list line by line, each line may be a sentence
        text = _TAIL.sub("", text)
    if not text.strip():
        return {}
    fields = (
        _by_sign(text)
        or {m["key"]: m["value"] for m in _AS_KEY.finditer(text)}
        or _spoken(text)
        or _by_segment(text)
        or (_by_label(text) if is_list else {})
    )
    if not fields:
        if name := _AS_NAME.search(text):
            fields["name"] = name["value"]
        if mail := _MAIL.search(text):
            fields["email"] = mail.group()
    return dict(list(fields.items())[:MAX_FIELDS])


def _by_sign(text: str) -> dict[str, str]:
    """ "key: value" and "key=value": a value reaches to the next key."""
    pairs = list(_PAIR.finditer(text))
    if len(pairs) == 1 and _LIST_NAMES.match(_key(pairs[0]["key"] or pairs[0]["word"])):
        listed = text[pairs[0].end() :]
        return _by_segment(listed) or _by_label(listed)
    fields = _by_segment(text[: pairs[0].start()]) if pairs else {}
    for pair, following in zip(pairs, [*pairs[1:], None], strict=False):
        value = text[pair.end() : following.start() if following else len(text)]
        fields[_key(pair["key"] or pair["word"])] = _value(value, keeps_stop="\n" in text).removesuffix(" /")
    return {key: value for key, value in fields.items() if key and value}


def _by_segment(text: str) -> dict[str, str]:
    """ "name Ada Lovelace, 4 guests and time 19:30": each segment is a key and its value, or nothing is understood."""
    fields: dict[str, str] = {}
    for raw in _SEPARATORS.split(text):
        segment = _TAIL.sub("", raw)
        if not segment:
            continue
        match = (
            _COUNT.match(segment)
            or _QUOTED_VALUE.match(segment)
            or _IS.match(segment)
            or _KNOWN.match(segment)
            or (_LOWER_THEN_VALUE.match(segment))
        )
        if match and not _NOT_A_KEY.match(match["key"]):
            fields[_key(match["key"])] = _value(match["value"])
            continue
        words = segment.split()
        if fields and len(words) == 2:
            fields[words[0]] = _value(words[1])
        elif not fields and (name := _AS_NAME.search(segment)):
            fields["name"] = name["value"]
        elif fields and len(words) == MAX_LOWER_CASE_WORDS and not _NOT_A_KEY.match(segment):
            fields[words[0]] = _value(" ".join(words[1:]))
        elif fields and (mail := _MAIL.fullmatch(segment)):
            fields["email"] = mail.group()
        else:
            return {}
    return fields


def _spoken(text: str) -> dict[str, str]:
    """ "serial number is HW22 area is Leeds": two or more keys, and no sign between them."""
    keys = list(_SPOKEN.finditer(text))
    if len(keys) < 2 or re.search(r"[,;:\n]", text):
        return {}
    ends = [following.start() for following in keys[1:]] + [len(text)]
    values = (re.sub(rf"\s+(?:{_AND})\s*$", "", text[key.end() : end]) for key, end in zip(keys, ends, strict=True))
    return {_key(key["key"]): _value(value) for key, value in zip(keys, values, strict=True)}


def _by_label(text: str) -> dict[str, str]:
    """ "Menge 8 Fässer, Liefertag Donnerstag": two or more short pieces of a list, a label and its value each."""
    pieces = [_TAIL.sub("", piece) for piece in _LIST_SEPARATORS.split(text)]
    found = [_LABEL.match(piece) for piece in pieces if piece]
    labelled = [m for m in found if m and len(m[0].split()) <= MAX_LABELLED_WORDS and not _NOT_A_KEY.match(m["key"])]
    if len(labelled) < 2 or len(labelled) != len(found):
        return {}
    return {match["key"]: _value(match["value"]) for match in labelled}


def _key(text: str) -> str:
    return re.sub(r"^(?:my|the|our|and|with)\s+", "", text.strip(), flags=re.IGNORECASE)


def _value(text: str, *, keeps_stop: bool = False) -> str:
    value = text.strip()
    is_sentence = value.endswith(("?", ".") if keeps_stop else "?") and len(value.split()) >= MIN_SENTENCE_WORDS
    if not is_sentence:
        value = _TAIL.sub("", value.rstrip("?")).strip()
    if len(value) > 1 and value[0] in "\"“„«'" and value[-1] in "\"”“»'":
        value = value[1:-1]
    return value
