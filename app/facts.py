"""What a text states that can be looked up: numbers, addresses, names, and its words in general.

A small model invents a price or a name now and then. Code that finds them in the text and looks for them in its sources
catches that without asking another model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from app.lexicon import calendar_words, language_of, near_days, number_words

_ADDRESS = re.compile(
    r"https?://[^\s<>\"'“”)]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w@.])(?:[\w-]+\.)+[a-z]{2,12}(?:/[^\s<>\"'“”)]*)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_MENTION = re.compile(r"(?<!\w)@\w+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# Whatever is no word, number or comma begins a sentence: a full stop, a line break, a bullet, an emoji, a quote.
_SENTENCE_START = re.compile(r"(?:^|[^\w\s,'’)\]%€$£&@#])\s*$")
_HASHTAG = re.compile(r"(?<!\w)#(\w+)")
_TIME = re.compile(r"(?<![\d.,:])([01]?\d|2[0-4])\s?[hu]\s?([0-5]\d)(?!\d)", re.IGNORECASE)
_AFTERNOON = re.compile(
    r"(?<![\d.,:])(1[0-2]|0?[1-9])([:.][0-5]\d)?\s?(?:p\.?m\b|(?:in the |this )?(?:afternoon|evening))", re.I
)
_LATE_HOUR = re.compile(
    r"(?<![\d.,:])(1[3-9]|2[0-3])(?:([:.][0-5]\d)(?!\d)|(?=\s?(?:h|u|uhr|uur|heures|o'clock)\b))", re.IGNORECASE
)
_PHONE = re.compile(r"(?<!\w)[+(]?\d(?:[\s()/-]{0,2}\d){6,}(?!\w)")
_CLOCK = re.compile(r"(?<![\d.,:])(1[0-2]|0?[1-9])(?:[:.][0-5]\d)?\s?([ap])\.?m\b", re.IGNORECASE)
_COUNTED = re.compile(
    r"(?:\d[\d.,]*|\b(?:eine?[mnrs]?|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn)) $", re.IGNORECASE
)
BEFORE_CHARS = 40  # of a word, which tell whether it begins a sentence or is counted
TITLE_CASE_SHARE = 0.6
"""Of a text's words: above it its capitals say nothing about names."""
_UNIT_SPELLINGS = """euro: euro euros eur €
    dollar: dollar dollars usd $
    pound: pound pounds gbp £
    cent: cent cents
    percent: percent %
    metre: metre metres meter meters m
    kilometre: kilometre kilometres kilometer kilometers km
    gram: gram grams g
    kilogram: kilogram kilograms kilo kilos kg
    litre: litre litres liter liters l
    minute: minute minutes min
    hour: hour hours
    day: day days
    week: week weeks
    month: month months
    year: year years"""
_UNIT_NAMES = {
    spelling: name.strip()
    for name, _, spellings in (line.partition(":") for line in _UNIT_SPELLINGS.splitlines())
    for spelling in spellings.split()
}
_UNIT = "|".join(sorted(map(re.escape, _UNIT_NAMES), key=len, reverse=True))
_MEASURE = re.compile(
    rf"(?:(?P<before>[€$£])\s?)?(?P<number>\d+(?:[.,:/]\d+)*|(?<![\w-])(?:{'|'.join(number_words('en'))})\b)"
    rf"(?:[\s-]?(?P<after>{_UNIT})(?!\w))?(?<=[\w€$£%])",
    re.IGNORECASE,
)
COMMON_WORDS = frozenset(
    """
    a about after again all also am an and another any are as at be because been before being between both but by can
    could did do does doing down each every few for from further had has have he her here hers him his how i if in into
    is it its just let like may me might more most much must my no nor not now of off on once only or other our ours out
    over own per please same she should so some such than that the their them then there these they this those through
    to today tomorrow too under until up us very was we were what when where which while who why will with would yes yet
    you your yours
    """.split()  # noqa: SIM905 - a list of a hundred quoted words is hard to read
)


def addresses_as_written(text: str) -> list[str]:
    """Web and mail addresses in their order, without what only ends a sentence."""
    return [match.group().rstrip(".,;:!?…") for match in _ADDRESS.finditer(text)]


def addresses_in(text: str) -> set[str]:
    """Web and mail addresses, lower-cased and without what only ends a sentence."""
    return {address.casefold().rstrip("/") for address in addresses_as_written(text)}


def numbers_in(text: str, language: str = "en") -> set[str]:
    """Numbers in one spelling: ``1,200`` is ``1200``, ``9:00`` is ``9``, ``3,90`` is ``3.9``, ``twenty`` is ``20``.

    Args:
        language: whose words for numbers count; "" for those of all, the ambiguous ones too.
    """
    bare = _TIME.sub(r"\1:\2", _ADDRESS.sub(" ", text))
    return {_plain_number(match.group()) for match in _NUMBER.finditer(bare)} | _numbers_in_words(bare, language)


def _numbers_in_words(text: str, language: str) -> set[str]:
    known, found = number_words(language), set()
    for word in _HYPHENATED.findall(text.casefold()):
        parts = [known[word]] if word in known else [known[part] for part in word.split("-") if part in known]
        tens = [int(part) for part in parts if part.isdigit()]
        if len(tens) == len(parts) == 2 and tens[0] in range(20, 100, 10) and tens[1] < 10:
            parts = [str(sum(tens))]  # "twenty-five"
        found.update(parts)
    return found


def _known_numbers(text: str) -> set[str]:
    """All numbers that ``text`` states, a time of the day in either way of counting the hours and either spelling."""
    found = numbers_in(text, "")
    for match in _AFTERNOON.finditer(text):
        found.add(_plain_number(f"{int(match.group(1)) % 12 + 12}{match.group(2) or ''}".replace(".", ":")))
    for match in _LATE_HOUR.finditer(text):
        found.add(_plain_number(f"{int(match.group(1)) - 12}{match.group(2) or ''}".replace(".", ":")))
    spelled = {_plain_number(number.replace(":", ".")) for number in found if re.fullmatch(r"\d+:\d\d", number)}
    times = {number.replace(".", ":") for number in re.findall(r"\b\d{1,2}\.[0-5]\d\b", text)}
    return found | spelled | {_plain_number(time) for time in times}


def _contradicted_hours(text: str, known: str) -> set[str]:
    """Hours that ``known`` puts on the other side of noon: ``7pm`` where 7am was given."""
    given = {(int(match.group(1)), match.group(2).casefold()) for match in _CLOCK.finditer(known)}
    told = {(int(match.group(1)), match.group(2).casefold()) for match in _CLOCK.finditer(text)}
    other = {"a": "p", "p": "a"}
    return {f"{hour} {half}m" for hour, half in told - given if (hour, other[half]) in given}


def _plain_number(text: str) -> str:
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", text):
        return text.replace(",", "").replace(".", "")
    if re.fullmatch(r"\d{1,2}:00", text):
        return text[:-3].lstrip("0") or "0"
    if re.fullmatch(r"\d+[.,]\d+", text):
        whole, _, rest = text.replace(",", ".").partition(".")
        rest = rest.rstrip("0")
        return f"{whole.lstrip('0') or '0'}.{rest}" if rest else whole.lstrip("0") or "0"
    return text.lstrip("0") or "0"


def measures_in(text: str) -> set[tuple[str, str]]:
    """Numbers with the unit right behind or before them: ``2,050 metres``, ``€9``, ``40 percent``, ``9 %``."""
    found: set[tuple[str, str]] = set()
    for match in _MEASURE.finditer(_ADDRESS.sub(" ", text)):
        unit = match.group("after") or match.group("before")
        if not unit:
            continue
        number = match.group("number")
        plain = number_words("en").get(number.casefold(), "") or _plain_number(number)
        found.add((plain, _UNIT_NAMES[unit.casefold()]))
    return found


def names_in(text: str, language: str = "en") -> set[str]:
    """Words with a capital that do not merely begin a sentence, and @names; lower-cased.

    In German, which capitalises all nouns, only the later words of a run of them inside of a sentence count ("zur
    Bäckerei Müller"), unless a number or an article is before it ("ein Glas Wein"). Words in capitals alone are
    shouted; in a headline, where most words have a capital, none is a name.
    """
    # What ends a sentence behind an address stays, so that the next word is known to begin one.
    bare = _ADDRESS.sub(lambda match: re.sub(r"^.*?(?=[.,;:!?…]*$)", " ", match.group(), flags=re.DOTALL), text)
    found = {match.group().casefold() for match in _MENTION.finditer(bare)}
    if language != "de" and _is_title_case(bare):
        return found
    is_run = False
    for match in _WORD.finditer(bare):
        word = match.group()
        before = bare[max(0, match.start() - BEFORE_CHARS) : match.start()]
        is_first = bool(_SENTENCE_START.search(before))
        was_run, is_run = is_run, word[0].isupper() and not is_first and (is_run or not _COUNTED.search(before))
        if not word[0].isupper() or word.isupper() or _is_common(word) or calendar_words(word, with_short=True):
            continue
        if language == "de" and not (was_run and before.endswith(" ") and not is_first):
            continue
        if not is_first or any(letter.isupper() for letter in word[1:]):
            found.add(_singular(word.casefold()))
    return found


def _is_common(word: str) -> bool:
    plain = word.casefold()
    return plain in COMMON_WORDS or re.split(r"['’]", plain)[0] in COMMON_WORDS


def _is_title_case(text: str) -> bool:
    words = _WORD.findall(text)
    return len(words) > 4 and sum(word[0].isupper() for word in words) > TITLE_CASE_SHARE * len(words)


def words_in(text: str) -> set[str]:
    """The stems of the words that carry meaning: compared, never shown."""
    return {stem_of(word) for word in _WORD.findall(text) if word.casefold() not in COMMON_WORDS and len(word) > 1}


def stem_of(word: str) -> str:
    """A crude stem that joins ``open``, ``opens`` and ``opening``; accents are dropped."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    plain = re.sub(r"['’]s$", "", plain)
    for ending in ("ing", "ies", "ed", "es", "s", "e", "y"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 3:
            return plain[: -len(ending)]
    return plain


def unfounded(text: str, sources: Iterable[str], *, also_named: Iterable[str] = (), language: str = "") -> set[str]:
    """The numbers, addresses, weekdays, months and names of ``text`` that stand in none of ``sources``.

    Args:
        also_named: texts whose names (not their numbers) may be used too, as a question's in its answer.
        language: of the text, "" to tell it from its words.
    """
    known = "\n".join(sources)
    named = "\n".join([known, *also_named])
    language = language or language_of(text) or language_of(known) or "en"
    plain = _HASHTAG.sub(lambda tag: tag.group(1) if any(c.isdigit() for c in tag.group()) else " ", text)
    plain = _PHONE.sub(
        lambda match: " " if _digits(match) in set(map(_digits, _PHONE.finditer(known))) else match.group(), plain
    )
    held = _facts_of(known, named)
    missing = numbers_in(plain, language) - held.numbers
    missing |= _contradicted_hours(plain, known)
    missing |= addresses_in(text) - held.addresses
    missing |= {f"{number} {unit}" for number, unit in measures_in(plain) - held.measures if number not in missing}
    missing |= {word for name, word in calendar_words(plain).items() if name not in held.dates}
    missing |= {word for name, word in near_days(plain).items() if name not in held.near_days}
    return missing | {name for name in names_in(plain, language) if name not in held.words}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What sources state, each as the functions of this module give it."""

    numbers: frozenset[str]
    addresses: frozenset[str]
    measures: frozenset[tuple[str, str]]
    dates: frozenset[str]
    near_days: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=8)
def _facts_of(known: str, named: str) -> _Facts:
    """Read once for all sentences of a text: sources are long, and each sentence is held against them."""
    return _Facts(
        frozenset(_known_numbers(known)),
        frozenset(addresses_in(known)),
        frozenset(measures_in(known)),
        frozenset(calendar_words(known, with_short=True)),
        frozenset(near_days(known, with_ambiguous=True)),
        frozenset({_singular(word.casefold()) for word in _WORD.findall(named)} | names_in(named)),
    )


def left_out(text: str, source: str) -> set[str]:
    """The numbers, weekdays, months and addresses of ``source`` that ``text`` does not have."""
    lost = numbers_in(source, language_of(source) or "en") - _known_numbers(text)
    lost |= addresses_in(source) - addresses_in(text)
    dates = calendar_words(text, with_short=True)
    return lost | {word for name, word in calendar_words(source).items() if name not in dates}


def _digits(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match.group())


def _singular(word: str) -> str:
    return re.sub(r"['’]s$|s$", "", word) if len(word) > 3 else word


def share_of_words(text: str, sources: Iterable[str]) -> float:
    """Which share of the meaning-carrying words of ``text`` stands in ``sources``; 1.0 for a text without any."""
    wanted = words_in(text)
    known = words_in("\n".join(sources))
    return len(wanted & known) / len(wanted) if wanted else 1.0


def is_about_another(text: str, own: str, others: Iterable[str]) -> bool:
    """Whether a word of ``text`` stands in one of ``others`` but not in ``own``: it tells of them what is true of it.

    ``The house blend is 46 euro`` out of the row of the Guji, with the row of the house blend among the others.
    """
    known = words_in(own)
    foreign = words_in("\n".join(others))
    return any(not _has_like(word, known) and _has_like(word, foreign) for word in words_in(text))


def _has_like(word: str, words: set[str]) -> bool:
    """Whether one of the words is this one but for its ending (``ethiopian``, ``ethiopia``)."""
    return word in words or any(
        min(len(word), len(other)) >= 5 and (word.startswith(other) or other.startswith(word)) for other in words
    )
