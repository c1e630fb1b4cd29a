"""Words for numbers, weekdays and months in the languages that owners write in, and which of these a text is in.

Languages are ISO 639-1 codes. A word that means something else as often ("sei" is six and "you are" in Italian) counts
where a fact is looked for in a source, but not where a text is suspected of having made one up.
"""

from __future__ import annotations

import re
from functools import cache

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl")

_SMALL_WORDS = {
    "en": "the and is are our we for with at to of on in you your now it this that be come by",
    "de": "der die das und ist wir für mit bei zu am im ein eine nicht auf uns sie ab den dem von euch ihr unser "
    "unsere unseren jetzt um sind wieder",
    "fr": "le la les et est nous pour avec à au aux de des du un une vous notre nos votre en sur dans ce cette",
    "es": "el la los las y es para con a de del un una en nuestro nuestra nuestros te que por su al se tu",
    "it": "il la lo le gli e è per con a di del della un una in nostro nostra siamo al da che si ci",
    "pt": "o a os as e é para com de do da dos das um uma em no na nosso nossa que por ao à você não",
    "nl": "de het een en is wij we voor met bij te op in van ons onze je u niet om uit nu zijn",
}
_COUNTS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn zwanzig",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf vingt",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove venti",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove vinte",
    "nl": "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien "
    "zeventien achttien negentien twintig",
}
_TENS = {
    "en": "thirty forty fifty sixty seventy eighty ninety",
    "de": "dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix",
    "es": "treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "it": "trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "pt": "trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "nl": "dertig veertig vijftig zestig zeventig tachtig negentig",
}
_LARGE = {
    "en": {"hundred": "100", "thousand": "1000", "million": "1000000", "dozen": "12", "half": "half"},
    "de": {"hundert": "100", "tausend": "1000", "dutzend": "12", "halb": "half", "beide": "2", "zwo": "2"},
    "fr": {"cent": "100", "mille": "1000", "douzaine": "12", "demi": "half"},
    "es": {"cien": "100", "mil": "1000", "docena": "12", "media": "half"},
    "it": {"cento": "100", "mille": "1000", "dozzina": "12", "mezza": "half", "mezzo": "half"},
    "pt": {"cem": "100", "mil": "1000", "dúzia": "12", "meia": "half", "duas": "2"},
    "nl": {"honderd": "100", "duizend": "1000", "dozijn": "12", "half": "half"},
}
# They count nothing as often as they count: "one of a kind", "tausend Dank", "tu sei", "flambant neuf".
_VAGUE = {
    "en": "one zero",
    "de": "null eins tausend beide halb",
    "fr": "un zéro neuf mille demi",
    "es": "uno cero mil media",
    "it": "uno zero sei mille mezza mezzo",
    "pt": "um zero mil meia",
    "nl": "een nul half",
}
_WEEKDAYS = {
    "monday": "monday montag lundi lunes lunedì lunedi segunda-feira maandag",
    "tuesday": "tuesday dienstag mardi martes martedì martedi terça-feira dinsdag",
    "wednesday": "wednesday mittwoch mercredi miércoles miercoles mercoledì mercoledi quarta-feira woensdag",
    "thursday": "thursday donnerstag jeudi jueves giovedì giovedi quinta-feira donderdag",
    "friday": "friday freitag vendredi viernes venerdì venerdi sexta-feira vrijdag",
    "saturday": "saturday samstag sonnabend samedi sábado sabado sabato zaterdag",
    "sunday": "sunday sonntag dimanche domingo domenica zondag",
}
_SHORT_WEEKDAYS = {
    "monday": "mon mo lun seg segunda ma",
    "tuesday": "tue tues di mar ter terça",
    "wednesday": "wed mi mer mié qua quarta wo",
    "thursday": "thu thur thurs do jeu jue gio qui quinta",
    "friday": "fri fr ven vie sex sexta vr",
    "saturday": "sat sa sam sáb sab za",
    "sunday": "sun so dim dom zo",
}
_PLAINLY_SHORT = frozenset({"tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat"})
_MONTHS = {
    "january": "january januar jänner janvier enero gennaio janeiro januari",
    "february": "february februar feber février febrero febbraio fevereiro februari",
    "march": "march märz mars marzo março maart",
    "april": "april avril abril aprile",
    "may": "may mai mayo maggio maio mei",
    "june": "june juni juin junio giugno junho",
    "july": "july juli juillet julio luglio julho",
    "august": "august août agosto augustus",
    "september": "september septembre septiembre settembre setembro",
    "october": "october oktober octobre octubre ottobre outubro",
    "november": "november novembre noviembre novembro",
    "december": "december dezember décembre diciembre dicembre dezembro",
}
_SHORT_MONTHS = {name: name[:3] for name in _MONTHS} | {"september": "sep sept"}
_NEAR_DAYS = {
    "tomorrow": "tomorrow demain domani amanhã",
    "yesterday": "yesterday gestern hier ayer ieri ontem gisteren",
}
_ALSO_TOMORROW = "morgen mañana manana tmrw tmr tmw tomoz tomorow tommorow tomorrows"  # "morgen" is a morning as well
# Months that are a plain word of some language as well: they count with a capital inside of a sentence, or by a number.
_ALSO_PLAIN = frozenset({"may", "march", "mars", "mai", "mayo", "mei", "august"})
_WORD = re.compile(r"[^\W\d_]+(?:-feira)?")
_COMPOUND = re.compile(  # "Samstagabend", "zaterdagochtend", "montags"
    r"(montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|maandag|dinsdag|woensdag|donderdag|vrijdag"
    r"|zaterdag|zondag)[^\W\d_]*"
)


def language_of(text: str) -> str:
    """The language whose small words ``text`` has most of, "" where it has none or as many of two."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    counts = sorted(((sum(word in small for word in words), code) for code, small in _small_words().items()))
    (second, _), (most, best) = counts[-2:]
    return best if most > second else ""


@cache
def _small_words() -> dict[str, frozenset[str]]:
    return {code: frozenset(words.split()) for code, words in _SMALL_WORDS.items()}


@cache
def number_words(language: str = "") -> dict[str, str]:
    """Word → figures: of ``language`` the plain ones, of "" those of all languages with the vague ones."""
    if language:
        known = _number_words_of(language)
        return {word: number for word, number in known.items() if word not in _VAGUE[language].split()}
    return {word: number for code in reversed(LANGUAGES) for word, number in _number_words_of(code).items()}


def _number_words_of(language: str) -> dict[str, str]:
    found = {word: str(number) for number, word in enumerate(_COUNTS[language].split())}
    found |= {word: str(30 + 10 * index) for index, word in enumerate(_TENS[language].split())}
    return found | _LARGE[language]


def calendar_words(text: str, *, with_short: bool = False) -> dict[str, str]:
    """Weekdays and months in any language: each one's English name, lower-cased, → the word that says it.

    Args:
        with_short: short forms ("Mon", "Dec") and plain words that may be months count as well.
    """
    found: dict[str, str] = {}
    known = _calendar(with_short)
    for match in _WORD.finditer(text):
        word = match.group()
        plain = word.casefold()
        compound = _COMPOUND.fullmatch(plain)
        name = known.get(compound.group(1) if compound else plain) or known.get(plain.removesuffix("s"))
        if name and with_short and plain in _short_forms() and not _is_short_form(text, match):
            continue
        if name and (with_short or plain not in _ALSO_PLAIN or _is_month(text, match)):
            found.setdefault(name, plain)
    return found


def near_days(text: str, *, with_ambiguous: bool = False) -> dict[str, str]:
    """Tomorrow and yesterday in any language: the English word → the word that says it.

    Today is left out: "come by today" is a way of speaking.
    """
    found: dict[str, str] = {}
    for word in re.findall(r"[^\W\d_]+", text.casefold()):
        name = _near()[0].get(word) or (_near()[1].get(word) if with_ambiguous else None)
        if name:
            found.setdefault(name, word)
    return found


@cache
def _near() -> tuple[dict[str, str], dict[str, str]]:
    """The plain words, and those that mean something else as well ("hier" is French for yesterday, German for here)."""
    known = {word: name for name, words in _NEAR_DAYS.items() for word in words.split()}
    ambiguous = dict.fromkeys(_ALSO_TOMORROW.split(), "tomorrow") | {"hier": known.pop("hier")}
    return known, ambiguous


def _is_short_form(text: str, match: re.Match[str]) -> bool:
    """Whether "So" is Sunday and "mon" Monday: beside a dash, beside a number, or with a capital and longer."""
    word, behind = match.group(), text[match.end() :]
    if word.casefold() in _PLAINLY_SHORT or (len(word) > 2 and word[0].isupper()):
        return True
    if re.match(r"\s?[-–/]\s?\w", behind) or text[: match.start()].endswith(("-", "–")):
        return True
    return (len(word) > 2 or word[0].isupper()) and bool(re.match(r"[.:]?\s?\d", behind))


@cache
def _short_forms() -> frozenset[str]:
    tables = (_SHORT_WEEKDAYS, _SHORT_MONTHS)
    return frozenset(word for table in tables for words in table.values() for word in words.split() if word != "may")


def _is_month(text: str, match: re.Match[str]) -> bool:
    before, behind = text[: match.start()].rstrip(), text[match.end() :].lstrip()
    by_number = bool(re.search(r"\d(?:st|nd|rd|th|er|º|\.)?(?: of| de)?$", before) or re.match(r"\d", behind))
    return by_number or (match.group()[0].isupper() and bool(re.search(r"[^\W\d_],?$", before)))


@cache
def _calendar(with_short: bool) -> dict[str, str]:
    tables = [_WEEKDAYS, _MONTHS, *([_SHORT_WEEKDAYS, _SHORT_MONTHS] if with_short else [])]
    return {word: name for table in reversed(tables) for name, words in table.items() for word in words.split()}
