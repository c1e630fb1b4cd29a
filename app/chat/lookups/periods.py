"""Spans of days as people name them: ``last week``, ``in October``, ``the last 14 days``. Days are UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

NAMED = ("today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_year", "last_year", "all")
PERIOD = r"^(?:" + "|".join(NAMED) + r"|[1-9][0-9]{0,3}d|20[0-9]{2}-(?:0[1-9]|1[0-2]))$"
"""A name, a number of days up to today (``14d``) or a month (``2026-10``)."""

FIRST_DAY = date(2000, 1, 1)
_MONTHS = (
    "january|januar|janvier|enero",
    "february|februar|février|febrero",
    "march|märz|mars|marzo",
    "april|avril|abril",
    "may|mai|mayo",
    "june|juni|juin|junio",
    "july|juli|juillet|julio",
    "august|août|agosto",
    "september|septembre|septiembre",
    "october|oktober|octobre|octubre",
    "november|novembre|noviembre",
    "december|dezember|décembre|diciembre",
)
_WORDS = {
    "today": r"today|so far today|heute|aujourd['’]hui|hoy",
    "yesterday": r"yesterday|gestern|ayer",
    "this_week": r"this week|diese(?:r)? woche|cette semaine|esta semana",
    "last_week": r"last week|(?:the )?previous week|the week before|letzte[rn]? woche|la semaine dernière"
    r"|la semana pasada",
    "this_month": r"this month|diese[nm]? monat|ce mois(?:-ci)?|este mes",
    "last_month": r"last month|(?:the )?previous month|the month before|letzte[nm]? monat|le mois dernier"
    r"|el mes pasado",
    "this_year": r"this year|diese[sm]? jahr|cette année|este año",
    "last_year": r"last year|letzte[sn]? jahr|l['’]année dernière|el año pasado",
    "7d": r"(?:past|recent) week|vergangenen? woche",
    "30d": r"past month|lately|recently|vergangenen? monat",
    "365d": r"past year",
    "all": r"ever|so far|in total|altogether|overall|all time|to date|insgesamt|bisher|en tout|en total|hasta ahora",
}
_NAMED_SPAN = {name: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) for name, words in _WORDS.items()}
_NUMBERED = re.compile(
    r"(?<!\w)(?:last|past|previous|letzten|vergangenen|derniers|dernières|últimos|últimas) (\d{1,3}|two|three|six) "
    r"(days?|weeks?|months?|tagen?|wochen?|monaten?|jours|semaines|mois|días|semanas|meses)(?!\w)",
    re.IGNORECASE,
)
_COUNTS = {"two": 2, "three": 3, "six": 6}
_MONTH = re.compile(
    r"(?<!\w)(?:in|during|since|im|en|for|of) ("
    + "|".join(f"(?:{names})" for names in _MONTHS)
    + r")(?: (20\d\d))?(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``first`` to ``last``, both included, and what to call them."""

    first: date
    last: date
    label: str


def periods_in(text: str, today: date) -> list[str]:
    """The periods that ``text`` names, in order and each once, in the form of ``PERIOD``."""
    found: list[tuple[int, str]] = []
    for match in _NUMBERED.finditer(text):
        number = _COUNTS.get(match[1].casefold()) or int(match[1])
        unit = match[2].casefold()
        days = 7 if unit[:3] in {"wee", "woc", "sem"} else 30 if unit[:3] in {"mon", "moi", "mes"} else 1
        if number:
            found.append((match.start(), f"{number * days}d"))
    for match in _MONTH.finditer(text):
        number = next(n for n, names in enumerate(_MONTHS, start=1) if match[1].casefold() in names.split("|"))
        year = int(match[2]) if match[2] else today.year - (number > today.month)
        found.append((match.start(), f"{year}-{number:02}"))
    found += [(m.start(), name) for name, pattern in _NAMED_SPAN.items() for m in pattern.finditer(text)]
    return list(dict.fromkeys(name for _, name in sorted(found)))


def span_of(period: str, today: date) -> Span:
    """The days of a period in the form of ``PERIOD``, up to today."""
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    last_month_end = first - timedelta(days=1)
    january = today.replace(month=1, day=1)
    spans = {
        "today": (today, today, "Today"),
        "yesterday": (today - timedelta(days=1), today - timedelta(days=1), "Yesterday"),
        "this_week": (monday, today, "This week"),
        "last_week": (monday - timedelta(days=7), monday - timedelta(days=1), "Last week"),
        "this_month": (first, today, "This month"),
        "last_month": (last_month_end.replace(day=1), last_month_end, "Last month"),
        "this_year": (january, today, "This year"),
        "last_year": (january.replace(year=today.year - 1), january - timedelta(days=1), "Last year"),
    }
    if period == "all":
        return Span(FIRST_DAY, today, "Since the beginning")
    if period.endswith("d"):
        days = int(period[:-1])
        begin, end, name = today - timedelta(days=days - 1), today, f"The last {days} days"
    elif period in spans:
        begin, end, name = spans[period]
    else:
        begin = date.fromisoformat(f"{period}-01")
        end = min(today, (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        return Span(begin, end, f"{begin:%B %Y}")
    days_named = day_name(begin) if begin == end else f"{day_name(begin)} to {day_name(end)}"
    return Span(begin, end, f"{name} ({days_named})")


def day_name(day: date) -> str:
    """``9 November 2026``."""
    return f"{day.day} {day:%B %Y}"
