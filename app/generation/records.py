"""What generation hands around: kinds, the voice, variants with their provenance, and what is reported on the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.errors import AppError


class Kind(StrEnum):
    """The three forms that every brief is written in."""

    SHORT = "short_form"
    LONG = "long_form"
    CALL = "call_to_action"


class Origin(StrEnum):
    """How a version came to be."""

    GENERATED = "generated"
    REGENERATED = "regenerated"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Voice:
    """How a project talks, and words that it never uses."""

    description: str = ""
    banned_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A text that passed the checks. ``provenance`` is JSON-able, see ``docs/api.md``."""

    text: str
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One earlier or present text of a variant."""

    number: int
    text: str
    origin: Origin
    provenance: dict[str, Any]
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Variant:
    """One of a brief's texts as it stands now. Without ``text`` it is not written yet, or ``error`` says why not."""

    id: str
    generation_id: str
    kind: Kind
    text: str
    provenance: dict[str, Any]
    error: dict[str, str] | None
    version: int
    action_id: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Generation:
    """A brief and its variants. ``platform`` is empty when the texts are for no platform in particular."""

    id: str
    brief: str
    platform: str
    actor: str
    created_at: datetime
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done now; ``kind`` while a variant is being written."""

    text: str
    generation_id: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of a variant while it is written; what is kept of it is decided at its end."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class VariantDone:
    """A variant was written and stored, or failed."""

    variant: Variant


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is written and stored; always the last event but for a Failure."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Failure:
    """Nothing could be written; the brief is kept under the generation's id."""

    error: AppError
    generation_id: str


Event = Step | Piece | VariantDone | Done | Failure
