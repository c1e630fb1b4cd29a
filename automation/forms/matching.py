"""Which field a person means by a name. Pure: exact first, then close, never a guess between two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a select, a radio group or a checkbox group."""

    label: str
    value: str
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field as read from the page. ``index`` and ``frame`` find its elements again; ``group`` is its form.

    ``marks`` is what a later run finds it by (see ``automation.recipes``).
    """

    index: int
    frame: int
    kind: str
    names: tuple[str, ...]
    group: int
    section: str = ""
    options: tuple[Option, ...] = ()
    required: bool = False
    disabled: bool = False
    readonly: bool = False
    max_length: int = 0
    multiple: bool = False
    marks: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def title(self) -> str:
        """What the page calls the field."""
        return self.names[0].rstrip(" *:") if self.names else f"unnamed {self.kind} field"


@dataclass(slots=True)
class Assignment:
    """Which field each name means; what was not found, and what could be several."""

    fields: dict[str, Field] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    ambiguous: dict[str, list[Field]] = field(default_factory=dict)
    cost: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every name has its field."""
        return not self.missing and not self.ambiguous


_STOPWORDS = frozenset(
    "your the a an please enter type select choose pick optional required field here in of for us we".split()  # noqa: SIM905
)
_SYNONYMS = tuple(
    frozenset(group.split("|"))
    for group in (
        "email|e mail|mail|email address|e mail address|mail address",
        "phone|telephone|tel|mobile|phone number|telephone number|mobile number|cell phone",
        "message|comment|comments|enquiry|inquiry|question|note|notes",
        "name|full name",
        "first name|given name|forename|fname",
        "last name|surname|family name|lname",
        "zip|zip code|postcode|post code|postal code",
        "guests|number guests|party size|people|number people|persons|number persons|how many people",
        "company|organisation|organization|business|company name",
        "subject|topic|regarding",
        "address|street address|street",
        "city|town",
        "date|day",
        "password|pass word",
    )
)
_BY_TYPE = {"email": _SYNONYMS[0], "tel": _SYNONYMS[1], "date": _SYNONYMS[12], "password": _SYNONYMS[13]}
# "Name" is part of too many labels (company name, user name) for a part to stand for the whole.
_NEVER_ALONE = frozenset({"name", "number", "address", "code", "type"})
_RANKS = 6


def match(names: Sequence[str], fields: Sequence[Field]) -> Assignment:
    """Assign each name its field: all exact matches first, then closer and closer to a likeness."""
    result = Assignment()
    open_names, free = list(names), list(fields)
    for rank in range(_RANKS):
        for name in list(open_names):
            found = [f for f in free if _rank(name, f) == rank]
            best = _narrow(name, found)
            if len(best) == 1:
                result.fields[name] = best[0]
                result.cost += rank
                free.remove(best[0])
                open_names.remove(name)
                result.ambiguous.pop(name, None)
            elif len(best) > 1:
                result.ambiguous.setdefault(name, best)
    result.missing = [name for name in open_names if name not in result.ambiguous]
    result.fields = {name: result.fields[name] for name in names if name in result.fields}
    return result


def choose_option(value: str, options: Sequence[Option]) -> Option | None:
    """The choice that ``value`` means: by label, then by stored value, then the only close one."""
    usable = [o for o in options if not o.disabled]
    for key in (lambda o: o.label.strip() == value.strip(), lambda o: words(o.label) == words(value) != ()):
        exact = [o for o in usable if key(o)]
        if exact:
            return exact[0]
    by_value = [o for o in usable if o.value and o.value.strip().casefold() == value.strip().casefold()]
    if by_value:
        return by_value[0]
    wanted = words(value)
    close = [o for o in usable if wanted and words(o.label)[: len(wanted)] == wanted]
    close = close or [o for o in usable if wanted and set(wanted) <= set(words(o.label))]
    return close[0] if len(close) == 1 else None


def words(text: str) -> tuple[str, ...]:
    """The words of a name in lower case, without punctuation, marks of obligation and camelCase."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", text))
    text = re.sub(r"\((?:required|optional)\)", " ", text.casefold())
    return tuple(re.findall(r"[^\W_]+", text))


def _content(text: str) -> tuple[str, ...]:
    all_words = words(text)
    return tuple(w for w in all_words if w not in _STOPWORDS) or all_words


def _rank(name: str, candidate: Field) -> int | None:
    """How close the field's closest name is: 0 exact … 5 misspelt; None when it is another field."""
    ranks = [r for r in (_likeness(name, own) for own in candidate.names) if r is not None]
    if " ".join(_content(name)) in _BY_TYPE.get(candidate.kind, ()):
        ranks.append(3)
    return min(ranks, default=None)


def _likeness(name: str, own: str) -> int | None:
    if name.strip() == own.strip():
        return 0
    a, b = words(name), words(own)
    if not a or not b:
        return None
    if a == b or "".join(a) == "".join(b):
        return 0
    a, b = _content(name), _content(own)
    if a == b or "".join(a) == "".join(b):
        return 1
    if any(" ".join(a) in group and " ".join(b) in group for group in _SYNONYMS):
        return 2
    short, is_lead = (a, b[: len(a)] == a) if len(a) < len(b) else (b, a[-len(b) :] == b)
    if is_lead and not set(short) <= _NEVER_ALONE:
        return 4
    one, other = "".join(a), "".join(b)
    if min(len(one), len(other)) >= 5 and SequenceMatcher(None, one, other).ratio() >= 0.88:
        return 5
    return None


def _narrow(name: str, found: list[Field]) -> list[Field]:
    """Of several fields that match equally: the one whose foremost name does it."""
    if len(found) < 2:
        return found
    places = [
        min(i for i, own in enumerate(f.names or ("",)) if _likeness(name, own) is not None or i == len(f.names) - 1)
        for f in found
    ]
    best = min(places)
    return [f for f, place in zip(found, places, strict=True) if place == best]
