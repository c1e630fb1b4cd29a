"""The port between the engine for upstreams and each way of speaking to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inference.engine.base import Delta, FinishReason, GenerationRequest, Usage
from inference.errors import InferenceError
from inference.upstream.servers import Server


class Reader(Protocol):
    """Reads the events of one answer. The finish reason and the usage are known once all were read."""

    finish_reason: FinishReason | None
    usage: Usage

    def feed(self, event: Mapping[str, Any]) -> Delta:
        """What an event adds. Raises: InferenceError for an event that reports one."""
        ...

    def rest(self) -> str:
        """What was held back until the end. Raises: ConstraintFailed when it is not what was asked for."""
        ...


class CallAgain(Exception):
    """The dialect has learned to leave a field out; the same request will be said differently now."""


@dataclass(frozen=True, slots=True)
class Call:
    """One streaming POST: ``path`` behind the server's URL, its JSON body, and what reads the events that come."""

    path: str
    body: dict[str, Any]
    reader: Reader


class Dialect(Protocol):
    """How requests are said to one kind of server. Fields that are not named here never get there."""

    name: str
    """Whom error messages speak of."""

    def call(self, request: GenerationRequest, server: Server) -> Call:
        """Translate. May take milliseconds. Raises: InvalidRequest and its kinds for what cannot be said."""
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> InferenceError:
        """Our error for an answer with an error status. Raises: CallAgain."""
        ...


def openai_usage(counted: Mapping[str, Any]) -> Usage:
    """The ``usage`` object of OpenAI's protocol."""
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=counted["prompt_tokens"],
        completion_tokens=counted.get("completion_tokens", 0),
        cached_tokens=details.get("cached_tokens") or 0,
    )
