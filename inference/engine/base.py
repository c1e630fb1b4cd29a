"""The port between the HTTP server and an engine: a request in, a stream of deltas out.

An engine is request-level on purpose: the local one batches tokens itself (loop.py), another may be a vLLM server that
takes whole requests. Nothing here knows of HTTP or of llama.cpp.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol


class ConstraintKind(StrEnum):
    """How the text of a constraint is to be read.

    TEXT_OR_CALL is either free text or a tool call that satisfies the JSON schema, between the model's own marks.
    """

    JSON_SCHEMA = "json_schema"
    REGEX = "regex"
    CHOICE = "choice"
    GRAMMAR = "grammar"
    TEXT_OR_CALL = "text_or_call"


@dataclass(frozen=True, slots=True)
class ConstraintSpec:
    """What the output must be: a JSON schema, a regex, a JSON list of strings, or a Lark or GBNF grammar as text."""

    kind: ConstraintKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen, as OpenAI and vLLM define the fields. ``top_k`` 0 and ``min_p`` 0 mean off.

    ``logprobs`` is the number of alternatives to report per token; None reports none, 0 only the chosen token's.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One completion. Exactly one of ``messages`` (chat) and ``prompt`` (bare text or tokens) is set.

    ``adapter`` is one of the engine's adapters; None is the model itself.
    ``is_background`` marks work that nobody waits for: it goes behind everything else and never waits too long.
    """

    request_id: str
    messages: Sequence[Mapping[str, Any]] | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    prompt: str | list[int] | None = None
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    constraint: ConstraintSpec | None = None
    adapter: str | None = None
    is_background: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text in bytes and its natural-log probability under the unmodified distribution."""

    data: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and seconds that a request took. ``queue_s`` waiting, ``ttft_s`` from submission to the first token."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    forced_tokens: int = 0
    queue_s: float = 0.0
    ttft_s: float = 0.0
    total_s: float = 0.0


FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer; the last one carries ``finish_reason`` and ``usage``."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """``status`` is loading, ready or failed; ``detail`` says more to a person."""

    status: Literal["loading", "ready", "failed"]
    detail: str = ""


class DeltaStream(Protocol):
    """The deltas of one request."""

    def __aiter__(self) -> AsyncIterator[Delta]:
        """Iterate to the delta with a finish reason. Raises: InferenceError for what breaks on the way."""
        ...

    async def aclose(self) -> None:
        """Abort the request unless it is over, whether or not anybody has begun to read. May be called twice."""
        ...


class Engine(Protocol):
    """What the HTTP server needs of whatever generates."""

    @property
    def model(self) -> str:
        """Name of the served model."""
        ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that a request may choose."""
        ...

    def status(self) -> EngineStatus:
        """Whether requests can be served now."""
        ...

    def metrics(self) -> str:
        """Counters and histograms in Prometheus' text format."""
        ...

    async def submit(self, request: GenerationRequest) -> DeltaStream:
        """Accept a request; whoever gets the stream must close it.

        Raises: InferenceError for all that is wrong with the request, or a full queue.
        """
        ...

    async def close(self) -> None:
        """Fail what is in flight and free the model."""
        ...
