"""What an owner does to a browser that is shown to him, as the app takes it and the hands carry it out."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

WIDTH, HEIGHT = 1280, 900
"""The size of the picture in pixels; the browser's own (``automation.browser.VIEWPORT``)."""
_KEY = re.compile(r"((Control|Shift|Alt)\+){0,2}([A-Za-z0-9]|[A-Z][A-Za-z]{1,15}|F\d{1,2})")
MAX_TEXT_CHARS = 2_000


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Click(_Input):
    """A press of the mouse at a place of the picture, in its pixels."""

    kind: Literal["click"]
    x: Annotated[float, Field(ge=0, le=WIDTH)]
    y: Annotated[float, Field(ge=0, le=HEIGHT)]
    count: Annotated[int, Field(ge=1, le=3)] = 1


class Drag(_Input):
    """The mouse pressed at one place and let go at another, as sliders want it."""

    kind: Literal["drag"]
    x: Annotated[float, Field(ge=0, le=WIDTH)]
    y: Annotated[float, Field(ge=0, le=HEIGHT)]
    to_x: Annotated[float, Field(ge=0, le=WIDTH)]
    to_y: Annotated[float, Field(ge=0, le=HEIGHT)]


class Scroll(_Input):
    """The wheel, in pixels."""

    kind: Literal["scroll"]
    dy: Annotated[float, Field(ge=-5_000, le=5_000)]


class Text(_Input):
    """Characters that were typed or pasted."""

    kind: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class Key(_Input):
    """A key that writes nothing, such as Enter, Backspace or Control+a."""

    kind: Literal["key"]
    key: Annotated[str, Field(pattern=f"^{_KEY.pattern}$")]


class Command(_Input):
    """A button beside the picture. ``done``: the owner is logged in; ``cancel``: he gives up."""

    kind: Literal["back", "reload", "done", "cancel"]


Input = Annotated[Click | Drag | Scroll | Text | Key | Command, Field(discriminator="kind")]
INPUTS: TypeAdapter[list[Input]] = TypeAdapter(list[Input])
