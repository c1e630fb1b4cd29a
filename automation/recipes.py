"""How an earlier run of a form went, so that the next one need not search: the fields, the button, the answer.

A recipe is JSON and holds no value that was ever entered. Each step is known by several marks. What a person sees
(kind and name, label, a button's words, where a form is sent) must be as it was; what only the page's author sees (id,
name attribute, path, placeholder) tells apart what looks alike. Touches neither browser nor database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

VISIBLE = frozenset({"role", "label", "target"})
_MASK = "…"
_MASKED_WORD_CHARS = 3


class Step(BaseModel):
    """One field or the button: ``title`` is what the page calls it, ``marks`` is what it is found again by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    marks: dict[str, str]


class Confirmation(BaseModel):
    """The answer that the page gave, the entered values masked out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    status: int
    text: str


class Recipe(BaseModel):
    """One way through one form. ``confirmation`` is None until a run with it has succeeded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: str
    path: str
    fields: dict[str, Step]
    submit: Step
    confirmation: Confirmation | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """Which runs share a recipe: the page and the names that its values were given under."""

    origin: str
    path: str
    names: tuple[str, ...]


def kind_of(url: str, names: Iterable[str]) -> Kind:
    """The kind of a run on a normalised address; its query plays no part."""
    parts = urlsplit(url)
    return Kind(f"{parts.scheme}://{parts.netloc}", parts.path or "/", tuple(sorted(names)))


def parsed(raw: dict[str, Any] | None, kind: Kind) -> Recipe | None:
    """The recipe, or None when there is none, it cannot be read, or it is of another kind: then one looks anew."""
    try:
        recipe = Recipe.model_validate(raw) if raw is not None else None
    except ValidationError:
        return None
    if recipe is None or kind != Kind(recipe.origin, recipe.path, tuple(sorted(recipe.fields))):
        return None
    return recipe


def located(step: Step, candidates: Sequence[Step]) -> int | None:
    """The index of the one candidate that is this step; None when what a person sees has changed or is ambiguous."""
    seen = {name: value for name, value in step.marks.items() if name in VISIBLE}
    hidden = {name: value for name, value in step.marks.items() if name not in VISIBLE}
    alike = [
        (sum(candidate.marks.get(name) == value for name, value in hidden.items()), index)
        for index, candidate in enumerate(candidates)
        if all(candidate.marks.get(name) == value for name, value in seen.items())
    ]
    if len(alike) == 1:
        return alike[0][1]
    alike.sort(reverse=True)
    if not alike or alike[0][0] == alike[1][0]:
        return None
    return alike[0][1]


def changes(old: Recipe, new: Recipe) -> list[str]:
    """What a person should know before the new one is used, one line a step."""
    lines = [
        f"{name}: “{step.title}” {_difference(step, new.fields[name])}"
        for name, step in old.fields.items()
        if not _is_same(step, new.fields[name])
    ]
    if not _is_same(old.submit, new.submit):
        lines.append(f"The button: “{old.submit.title}” {_difference(old.submit, new.submit)}")
    return lines or ["The page now has several fields or buttons that look alike."]


def is_same_button(old: Recipe, new: Recipe) -> bool:
    """Whether a person would see the same button, which sends the form to the same place."""
    return _is_same(old.submit, new.submit)


def _is_same(old: Step, new: Step) -> bool:
    return all(new.marks.get(name) == value for name, value in old.marks.items() if name in VISIBLE)


def _difference(old: Step, new: Step) -> str:
    if old.title != new.title:
        return f"was not found; “{new.title}” would be used instead"
    if old.marks.get("target") != new.marks.get("target"):
        return f"now sends the form to {new.marks.get('target') or 'its own page'}, not to {old.marks.get('target')}"
    return f"is of another kind now ({new.marks.get('role', '').partition(':')[0] or 'unknown'})"


def confirmation_of(url: str, status: int, text: str, values: Iterable[str]) -> Confirmation:
    """The page's answer without what was entered: whole values and their longer words become ``…``."""
    found = sorted(_told_parts(values), key=lambda part: (-len(part), part))
    pattern = re.compile("|".join(re.escape(part) for part in found), re.I) if found else None

    def masked(content: str) -> str:
        return pattern.sub(_MASK, content) if pattern else content

    return Confirmation(path=masked(urlsplit(url).path), status=status, text=masked(" ".join(text.split()))[:300])


def _told_parts(values: Iterable[str]) -> set[str]:
    parts = set()
    for value in values:
        squeezed = " ".join(value.split())
        if squeezed:
            parts.add(squeezed)
        parts |= {word for word in re.findall(r"\w+", value) if len(word) >= _MASKED_WORD_CHARS}
    return parts
