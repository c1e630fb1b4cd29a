"""Puts a hosted provider's answer into the form that the engines here have: text, JSON, or a marked tool call."""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import Any

from inference.engine.base import ConstraintKind, GenerationRequest
from inference.engine.constraint import CALL_CLOSE, CALL_OPEN
from inference.errors import ConstraintFailed
from inference.upstream.schema import VALUE


class Form(Enum):
    """What the caller waits for."""

    TEXT = auto()
    VALUE = auto()  # the ``value`` of an object: a text, or JSON
    TEXT_OR_CALL = auto()
    CALL = auto()


def tool_form(request: GenerationRequest) -> Form | None:
    """How tools are asked for, or None when none may be called."""
    if not request.tools or request.constraint is None:
        return None
    return Form.TEXT_OR_CALL if request.constraint.kind is ConstraintKind.TEXT_OR_CALL else Form.CALL


def required_name(request: GenerationRequest) -> str | None:
    """The one function that must be called, or None when any of the tools will do."""
    assert request.constraint is not None
    name = json.loads(request.constraint.text).get("properties", {}).get("name", {}).get("const")
    return name if isinstance(name, str) else None


class Assembly:
    """One answer. Text is passed on as it comes, unless what it is can only be told at its end.

    With tools the text is held back: a provider may write some before it calls, and an answer here is one or the other.
    """

    def __init__(self, form: Form, name: str, *, is_choice: bool = False) -> None:
        """``name`` is whom errors speak of; the value of a choice is passed on without its quotes."""
        self._form = form
        self._name = name
        self._is_choice = is_choice
        self._held: list[str] = []
        self._calls: list[tuple[str, list[str]]] = []

    def text(self, piece: str) -> str:
        """Take a piece of text in; returns what can be passed on now."""
        if self._form is Form.TEXT:
            return piece
        self._held.append(piece)
        return ""

    def open_call(self, function: str) -> None:
        """A tool call begins."""
        self._calls.append((function, []))

    def arguments(self, piece: str) -> None:
        """A piece of the open call's arguments, as JSON text."""
        if not self._calls:
            raise ConstraintFailed(f"{self._name} sent arguments without a call. Send the request again.")
        self._calls[-1][1].append(piece)

    def rest(self, *, is_whole: bool) -> str:
        """What was held back; of an answer that was cut (not ``is_whole``) only text. Raises: ConstraintFailed."""
        held = "".join(self._held)
        if self._form is Form.VALUE:
            return self._value(held) if is_whole else ""
        if not self._calls:
            return held
        if len(self._calls) > 1 or self._form is Form.TEXT:
            allowed = 0 if self._form is Form.TEXT else 1
            raise ConstraintFailed(
                f"{self._name} called {len(self._calls)} functions, {allowed} may be called. Send the request again."
            )
        if not is_whole:
            return CALL_OPEN if self._form is Form.TEXT_OR_CALL else ""
        function, pieces = self._calls[0]
        call = json.dumps({"name": function, "arguments": self._json("".join(pieces) or "{}")}, ensure_ascii=False)
        return call if self._form is Form.CALL else f"{CALL_OPEN}\n{call}\n{CALL_CLOSE}"

    def _value(self, held: str) -> str:
        found = self._json(held)
        if not isinstance(found, dict) or VALUE not in found:
            raise ConstraintFailed(f"{self._name} left the value out of its answer. Send the request again.")
        value = found[VALUE]
        return value if self._is_choice and isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise ConstraintFailed(
                f"{self._name} answered what is not JSON ({error}). Send the request again."
            ) from error
