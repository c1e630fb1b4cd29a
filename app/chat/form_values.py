"""Reads the values that a message gives for a form: "name: Ada, guests = 4", "with email ada@ada.example", "4 guests".

What is read here is copied letter by letter. Where a message gives values in a way that is not understood, nothing is
returned and the language model reads them instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from app.chat import form_patterns as patterns
from app.chat.spans import addresses

MAX_FIELDS = 50
MASK = 0xE000  # of the private use area
MAX_LOWER_CASE_WORDS = 3  # "owner ali demir": a key and a name, all in lower case
MIN_SENTENCE_WORDS = 4  # a shorter value ends in the question mark of the request: "… and the postcode LS1 4AP?"
MAX_LABELLED_WORDS = 8
TAIL_CHARS = 200  # where thanks and the like are looked for


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
    if values_of(message) or patterns.MAIL.search(text) or re.search(r"\d", text) or re.search(r"[:=]\s*\S", text):
        return True
    if patterns.KNOWN_KEY.search(text):
        return True
    words = text.split()
    inside = [word for before, word in pairwise(words) if before[-1] not in ".!?"]
    return any(w[:1].isupper() and w.strip(".,!?\"'") not in {"I", "I'm"} for w in inside) and len(words) > 6


def values_over(message: str, earlier: Mapping[str, str]) -> dict[str, str]:
    """The values of ``message`` over those given ``earlier``, whose names stay; only these where it gives none.

    Empty where the message gives values in a way that is not understood.
    """
    given = values_of(message) or _renewed(message, earlier)
    if not given and gives_values(message):
        return {}
    names = {name.casefold(): name for name in earlier}
    mails = [name for name, value in earlier.items() if patterns.MAIL.fullmatch(value)]
    if len(mails) == 1:
        names.setdefault("email", mails[0])
    return dict(earlier) | {names.get(name.casefold(), name): value for name, value in given.items()}


def _renewed(message: str, earlier: Mapping[str, str]) -> dict[str, str]:
    """Values that are corrected in passing: "make it dogs per week 40"."""
    found = {name: re.search(rf"\b{re.escape(name)}\s+(?:is |to )?(\S+)", message, re.IGNORECASE) for name in earlier}
    return {name: match[1].strip(".,;!?") for name, match in found.items() if match}


def _fields_in(text: str, *, is_list: bool = False) -> dict[str, str]:
    is_list = is_list or text.lstrip()[:1] in {":", "→", "-", "–"}
    text = re.sub(r"[^\S\n]{2,}", " ", _masked(text))
    text = patterns.OPENING.sub("", text, count=1)
    lines = _lines(text)
    if len(lines) == 1:  # of a list line by line, each line may be a sentence
        text = _without_tail(text)
    long = patterns.LONG_PAIR.search(text)
    sentences = _sentences(_lines(text[: long.start()] if long else text))
    fields = _best([_in_sentence(sentence) for sentence in sentences]) or (_by_label(text) if is_list else {})
    if 1 < len(lines) > len(fields) and len(by_line := _by_label("\n".join(lines))) == len(lines):
        fields = by_line
    if long:
        fields[_key(long["key"])] = _value(long["value"], keeps_stop=True)
    if not fields:
        if name := patterns.AS_NAME.search(text):
            fields["name"] = name["value"]
        if mail := patterns.MAIL.search(text):
            fields["email"] = mail.group()
    return {_unmasked(key): _unmasked(value) for key, value in list(fields.items())[:MAX_FIELDS]}


def _masked(text: str) -> str:
    """``text`` with the signs inside of quotes hidden, so that nothing is split there."""
    return patterns.QUOTED.sub(
        lambda m: re.sub(r"[,;:=.!?/ ]", lambda sign: chr(MASK + ord(sign.group())), m.group()), text
    )


def _unmasked(text: str) -> str:
    return "".join(chr(ord(c) - MASK) if MASK <= ord(c) < MASK + 128 else c for c in text)


def _lines(text: str) -> list[str]:
    return [patterns.BULLET.sub("", line).strip() for line in text.splitlines() if line.strip()]


def _sentences(lines: list[str]) -> list[str]:
    """The sentences of all lines; a line "key: value" stays whole where it stands among other lines."""
    found: list[str] = []
    for line in lines:
        if len(lines) > 1 and patterns.PAIR.match(line):
            found.append(line)
            continue
        pieces = patterns.SENTENCE_END.split(line)
        found.append(pieces[0])
        for before, piece in pairwise(pieces):
            is_date = before[-2:-1].isdigit() and patterns.MONTH.match(piece)
            if is_date or patterns.ABBREVIATED.search(before):
                found[-1] += f" {piece}"
            else:
                found.append(piece)
    return found


def _in_sentence(sentence: str) -> tuple[dict[str, str], bool]:
    """The fields of a sentence, and whether it plainly gives values."""
    if fields := _by_sign(sentence):
        return fields, True
    sentence = _without_tail(sentence)
    fields = (
        {m["key"]: m["value"] for m in patterns.AS_KEY.finditer(_unmasked(sentence))}
        or _by_segment(sentence, must_be_whole=True)
        or _spoken(sentence)
        or _by_segment(sentence)
    )
    is_plain = any(patterns.KNOWN_KEYS.fullmatch(key) or re.search(r"[\d@]", value) for key, value in fields.items())
    return fields, is_plain


def _best(found: list[tuple[dict[str, str], bool]]) -> dict[str, str]:
    """The fields of all sentences, or of those alone that plainly give values where others only might."""
    plain = [fields for fields, is_plain in found if is_plain]
    return {key: value for fields in plain or [fields for fields, _ in found] for key, value in fields.items()}


def _by_sign(text: str) -> dict[str, str]:
    """ "key: value" and "key=value": a value reaches to the next key, or to the end of its sentence."""
    pairs = [
        pair
        for pair in patterns.PAIR.finditer(text)
        if not patterns.LIST_NAMES.match(_key(pair["key"] or pair["word"]))
    ]
    if len(pairs) <= 1 and (colon := re.search(r"[:=]\s+(?=\S)", text)):
        listed = _without_tail(text[colon.end() :])
        if not pairs or patterns.NOT_A_KEY.match(pairs[0]["key"] or pairs[0]["word"]):
            return _by_segment(listed) or _by_label(listed)
        if len(labelled := _by_label(listed)) > 1 and not patterns.KNOWN_KEYS.fullmatch(_key(text[: colon.start()])):
            return labelled
    fields = _by_segment(text[: pairs[0].start()]) if pairs else {}
    for pair, following in zip(pairs, [*pairs[1:], None], strict=False):
        key = _key(pair["key"] or pair["word"])
        value = text[pair.end() : following.start() if following else len(text)]
        is_long = bool(re.fullmatch(patterns.LONG_KEY, key, re.IGNORECASE))
        fields[key] = _value(patterns.NEXT_CLAUSE.sub("", _without_closing(value)), keeps_stop=is_long).removesuffix(
            " /"
        )
    return {key: value for key, value in fields.items() if key and value}


def _without_closing(value: str) -> str:
    *before, last = re.split(r"(,\s+)", value)
    return "".join(before[:-1]) if before and patterns.CLOSING.match(last) else value


def _by_segment(text: str, *, must_be_whole: bool = False) -> dict[str, str]:
    """ "name Ada Lovelace, 4 guests and time 19:30": segments that are a key and its value, and what belongs to them.

    Args:
        must_be_whole: nothing is understood unless there are two segments or more, and each is a pair.
    """
    split = patterns.SEPARATORS.split(text)
    segments = [_without_tail(segment) for segment in split[::2]]
    found = [_pair_in(segment) for segment in segments]
    if must_be_whole and (len(found) < 2 or any(pair is None or patterns.SPOKEN.search(pair[1]) for pair in found)):
        return {}
    if not any(found):
        name = patterns.AS_NAME.search(segments[0])
        return {"name": name["value"]} if name and len(segments) == 1 else {}
    fields: dict[str, str] = {}
    for at, (segment, pair) in enumerate(zip(segments, found, strict=True)):
        if pair:
            fields[pair[0]] = pair[1]
        elif not segment or patterns.CLOSING.match(segment):
            continue
        elif fields and _continues(segment, split[2 * at - 1]):
            fields[next(reversed(fields))] += split[2 * at - 1] + segment
        elif loose := _loose_pair(segment, is_first=not fields):
            fields[loose[0]] = loose[1]
    return fields


def _pair_in(segment: str) -> tuple[str, str] | None:
    for text in dict.fromkeys([segment, patterns.LEAD.sub("", segment), patterns.COMMANDED.sub("", segment, count=1)]):
        match = (
            patterns.COUNT.match(text)
            or patterns.QUOTED_VALUE.match(text)
            or patterns.FOR_KEY.match(text)
            or patterns.IS.match(text)
            or patterns.KNOWN.match(text)
            or patterns.LOWER_THEN_VALUE.match(text)
            or patterns.LABELLED_NUMBER.match(text)
        )
        if match and not patterns.NOT_A_KEY.match(match["key"]) and not patterns.NO_VALUE.search(match["value"]):
            return _key(match["key"]), _value(match["value"])
    return None


def _continues(segment: str, separator: str) -> bool:
    """Whether a segment is the rest of the value before it: "Yin and Nidra", "two adults and one child"."""
    is_joined = bool(separator.strip()) and not re.search(r"[,;/]", separator)
    return is_joined and (len(segment.split()) == 1 or bool(patterns.BEGINS_A_PHRASE.match(segment)))


def _loose_pair(segment: str, *, is_first: bool) -> tuple[str, str] | None:
    """A word and its value, where other values are plain: "colour blush", "item butcher twine"."""
    if mail := patterns.MAIL.fullmatch(segment):
        return "email", mail.group()
    if is_first and (name := patterns.AS_NAME.search(segment)):
        return "name", name["value"]
    words = patterns.LEAD.sub("", segment).split()
    if not 2 + is_first <= len(words) <= MAX_LOWER_CASE_WORDS or patterns.NOT_A_KEY.match(" ".join(words)):
        return None
    return (words[0], _value(" ".join(words[1:]))) if words[0].isalpha() else None


def _spoken(text: str) -> dict[str, str]:
    """ "serial number is HW22 area is Leeds": two or more keys, and no sign between them."""
    keys = list(patterns.SPOKEN.finditer(text))
    if len(keys) < 2 or re.search(r"[,;:\n]", text):
        return {}
    ends = [following.start() for following in keys[1:]] + [len(text)]
    values = (
        re.sub(rf"\s+(?:{patterns.AND})\s*$", "", text[key.end() : end]) for key, end in zip(keys, ends, strict=True)
    )
    return {_key(key["key"]): _value(value) for key, value in zip(keys, values, strict=True)}


def _by_label(text: str) -> dict[str, str]:
    """ "Menge 8 Fässer, Liefertag Donnerstag": two or more short pieces of a list, a label and its value each."""
    pieces = [_without_tail(piece) for piece in patterns.LIST_SEPARATORS.split(text)]
    found = [patterns.LABEL.match(piece) for piece in pieces if piece]
    labelled = [
        m for m in found if m and len(m[0].split()) <= MAX_LABELLED_WORDS and not patterns.NOT_A_KEY.match(m["key"])
    ]
    if len(labelled) < 2 or len(labelled) != len(found):
        return {}
    return {match["key"]: _value(match["value"]) for match in labelled}


def _without_tail(text: str) -> str:
    return text[:-TAIL_CHARS] + patterns.TAIL.sub("", text[-TAIL_CHARS:])


def _key(text: str) -> str:
    return re.sub(r"\s+was\b.*$", "", patterns.LEAD.sub("", patterns.KEY_LEAD.sub("", text.strip(), count=1)))


def _value(text: str, *, keeps_stop: bool = False) -> str:
    value = text.strip()
    is_sentence = value.endswith(("?", ".") if keeps_stop else "?") and len(value.split()) >= MIN_SENTENCE_WORDS
    if not is_sentence:
        value = _without_tail(value.rstrip("?")).strip()
    if len(value) > 1 and value[0] in "\"“„«'" and value[-1] in "\"”“»'":
        value = value[1:-1]
    return value
