"""The shapes of briefs, variants and the voice."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.generation.records import Generation, Variant

ProjectId = Annotated[str | None, Field(max_length=100, description="Without it the caller's own default.")]


class GenerateIn(BaseModel):
    """A brief: what is to be said, in a few words."""

    model_config = ConfigDict(extra="forbid")

    project_id: ProjectId = None
    brief: str
    platform: Annotated[str, Field(max_length=40, description="Hold to this platform's limits.")] = ""
    stream: Annotated[bool, Field(description="Answer with server-sent events.")] = False


class VariantOut(BaseModel):
    """One text of a brief. ``error`` says why there is none yet; ``provenance`` where it came from."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    generation_id: str
    kind: str
    text: str
    provenance: dict[str, Any]
    error: dict[str, str] | None
    version: int
    action_id: str | None
    updated_at: datetime


class GenerationOut(BaseModel):
    """A brief with its three variants."""

    id: str
    brief: str
    platform: str
    created_at: datetime
    variants: list[VariantOut]

    @classmethod
    def of(cls, generation: Generation) -> GenerationOut:
        """The wire shape."""
        return cls(
            id=generation.id,
            brief=generation.brief,
            platform=generation.platform,
            created_at=generation.created_at,
            variants=[variant_out(v) for v in generation.variants],
        )


class GenerationsOut(BaseModel):
    """Briefs, the newest first."""

    generations: list[GenerationOut]


class VersionOut(BaseModel):
    """One text that a variant has had."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    text: str
    origin: str
    provenance: dict[str, Any]
    actor: str
    created_at: datetime


class VersionsOut(BaseModel):
    """Every text of a variant, the newest first."""

    versions: list[VersionOut]


class TextIn(BaseModel):
    """A variant's new text."""

    model_config = ConfigDict(extra="forbid")

    text: str


class ProposeIn(BaseModel):
    """Where a variant is to be posted; by default on the brief's platform, with its only account."""

    model_config = ConfigDict(extra="forbid")

    platform: Annotated[str, Field(max_length=40)] = ""
    account: Annotated[str, Field(max_length=100)] = ""


class VoiceIn(BaseModel):
    """How the project talks, and words that it never uses."""

    model_config = ConfigDict(extra="forbid")

    project_id: ProjectId = None
    description: str = ""
    banned_words: Annotated[list[str], Field(max_length=200)] = []


class VoiceOut(BaseModel):
    """How the project talks."""

    description: str
    banned_words: list[str]


def variant_out(variant: Variant) -> VariantOut:
    """The wire shape of a variant."""
    return VariantOut.model_validate(variant)
