"""What a message says of the way to it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field


class LookupOut(BaseModel):
    """A read-only tool that was used for a reply: its name, its params, and how much it found."""

    tool: str
    params: dict[str, Any]
    found: Annotated[int, Field(description="How many things were found: lines of figures, documents, passages …")]
