"""What a text states that can be looked up: numbers, addresses, names, and its words in general.

A small model invents a price or a name now and then. Code that finds them in the text and looks for them in its sources
catches that without asking another model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_ADDRESS = re.compile(
    r"https?://[^\s<>\"'“”)]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w@.])(?:[\w-]+\.)+[a-z]{2,12}(?:/[^\s<>\"'“”)]*)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_MENTION = re.compile(r"(?<!\w)@\w+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;…\n]|[-–—•*]\s|[\"“„(])\s*$")
_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty""".split()  # noqa: SIM905 - a list of quoted words is hard to read
_TENS = "thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_UNITS)}
_NUMBER_WORDS |= {word: str(30 + 10 * index) for index, word in enumerate(_TENS)}
_NUMBER_WORDS |= {"hundred": "100", "thousand": "1000", "half": "half", "dozen": "12", "million": "1000000"}
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
    rf"(?:(?P<before>[€$£])\s?)?(?P<number>\d+(?:[.,:/]\d+)*|\b(?:{'|'.join(_NUMBER_WORDS)})\b)"
    rf"(?:[\s-]?(?P<after>{_UNIT})(?!\w))?(?<=[\w€$£%])",
    re.IGNORECASE,
)
# "one of a kind", "zero waste": these words count nothing as often as they count.
_VAGUE = frozenset({"one", "zero"})
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
_MONTHS_AND_DAYS = frozenset(
    """january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday""".split()  # noqa: SIM905
)


def addresses_as_written(text: str) -> list[str]:
    """Web and mail addresses in their order, without what only ends a sentence."""
    return [match.group().rstrip(".,;:!?…") for match in _ADDRESS.finditer(text)]


def addresses_in(text: str) -> set[str]:
    """Web and mail addresses, lower-cased and without what only ends a sentence."""
    return {address.casefold().rstrip("/") for address in addresses_as_written(text)}


def numbers_in(text: str) -> set[str]:
    """Numbers in one spelling: ``1,200`` is ``1200``, ``9:00`` is ``9``, ``3,90`` is ``3.9``, ``twenty`` is ``20``."""
    bare = _ADDRESS.sub(" ", text)
    found = {_plain_number(match.group()) for match in _NUMBER.finditer(bare)}
    words = {word.casefold() for word in _WORD.findall(bare)} - _VAGUE
    return found | {_NUMBER_WORDS[word] for word in words if word in _NUMBER_WORDS}


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
        plain = _NUMBER_WORDS.get(number.casefold(), "") or _plain_number(number)
        found.add((plain, _UNIT_NAMES[unit.casefold()]))
    return found


def names_in(text: str) -> set[str]:
    """Words with a capital that do not merely begin a sentence, months, weekdays and @names; lower-cased."""
    bare = _ADDRESS.sub(lambda match: " " * len(match.group()), text)
    found = {match.group().casefold() for match in _MENTION.finditer(bare)}
    for match in _WORD.finditer(bare):
        word = match.group()
        plain = word.casefold()
        if plain in COMMON_WORDS and plain != "may":
            continue
        begins = bool(_SENTENCE_START.search(bare[: match.start()]))
        is_calendar = plain in _MONTHS_AND_DAYS and plain != "may"
        if word[0].isupper() and (not begins or is_calendar or (len(word) > 1 and word[1:2].isupper())):
            found.add(_singular(plain))
    return found


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


def unfounded(text: str, sources: Iterable[str], *, also_named: Iterable[str] = ()) -> set[str]:
    """The numbers, addresses and names of ``text`` that stand in none of ``sources``.

    Args:
        also_named: texts whose names (not their numbers) may be used too, as a question's in its answer.
    """
    known = "\n".join(sources)
    named = "\n".join([known, *also_named])
    missing = numbers_in(text) - numbers_in(known)
    missing |= addresses_in(text) - addresses_in(known)
    missing |= {f"{number} {unit}" for number, unit in measures_in(text) - measures_in(known) if number not in missing}
    known_words = {_singular(word.casefold()) for word in _WORD.findall(named)} | names_in(named)
    return missing | {name for name in names_in(text) if name not in known_words}


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
