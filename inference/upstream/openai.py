"""How requests are said to OpenAI and to servers that speak its ``/chat/completions``.

Sources: OpenAI API reference, chat and streaming; its guide to structured outputs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from inference.engine.base import (
    ConstraintKind,
    Delta,
    FinishReason,
    GenerationRequest,
    Sampling,
    TokenLogprob,
    Usage,
)
from inference.errors import ContentRefused, EngineFailed, InferenceError, UnsupportedParameter
from inference.upstream.assembly import Assembly, Form, required_name, tool_form
from inference.upstream.base import Call, CallAgain, openai_usage
from inference.upstream.conversation import openai_messages
from inference.upstream.failures import event_failure, failure
from inference.upstream.schema import provider_schema, strict_form
from inference.upstream.servers import Server

log = logging.getLogger(__name__)

_KEY_HINT = "Put a valid one into keys/openai.key of the data folder, or into HERALD_OPENAI_API_KEY."
_HINTS = frozenset({"temperature", "top_p"})
_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
}


class OpenAIDialect:
    """Chat completions, always as a stream."""

    name = "OpenAI"

    def __init__(self) -> None:
        self._left_out: set[str] = set()

    def call(self, request: GenerationRequest, server: Server) -> Call:
        """Raises: UnsupportedParameter for what the interface cannot say, InvalidSchema."""
        if request.messages is None:
            raise UnsupportedParameter(
                "Hosted models have no bare completions. Use /v1/chat/completions.", param="prompt"
            )
        form = tool_form(request)
        body: dict[str, Any] = {
            "model": server.model,
            "messages": openai_messages(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **{key: value for key, value in _sampling(request.sampling).items() if key not in self._left_out},
        }
        if request.max_tokens is not None:
            body["max_completion_tokens"] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        if form is not None:
            name = required_name(request) if form is Form.CALL else None
            choice: Any = {"type": "function", "function": {"name": name}} if name else "required"
            body |= {
                "tools": [dict(tool) for tool in request.tools or ()],
                "tool_choice": choice if form is Form.CALL else "auto",
                "parallel_tool_calls": False,
            }
        elif request.constraint is not None:
            schema, is_wrapped = provider_schema(request.constraint, self.name)
            strict = strict_form(schema)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": strict or schema, "strict": strict is not None},
            }
            form = Form.VALUE if is_wrapped else Form.TEXT
        is_choice = request.constraint is not None and request.constraint.kind is ConstraintKind.CHOICE
        return Call(
            "/chat/completions", body, _OpenAIReader(Assembly(form or Form.TEXT, self.name, is_choice=is_choice))
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> InferenceError:
        """Our error for an answer with an error status. Raises: CallAgain."""
        error = failure(self.name, _KEY_HINT, status, headers, body)
        if status == 400 and error.param in _HINTS and error.param not in self._left_out:
            # Reasoning models take no temperature but their own. How warm an answer is, is a wish and no promise.
            log.warning("The model does not take %s, which is left out from now on", error.param)
            self._left_out.add(error.param)
            raise CallAgain
        return error


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """Only what differs from OpenAI's defaults: its reasoning models refuse even the mention of some fields."""
    for field, default in (("top_k", 0), ("min_p", 0.0), ("repetition_penalty", 1.0)):
        if getattr(sampling, field) != default:
            raise UnsupportedParameter(f"OpenAI has no {field}. Leave it out.", param=field)
    fields: dict[str, Any] = {
        field: value
        for field, default in (
            ("temperature", 1.0),
            ("top_p", 1.0),
            ("presence_penalty", 0.0),
            ("frequency_penalty", 0.0),
            ("seed", None),
        )
        if (value := getattr(sampling, field)) != default
    }
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    return fields


class _OpenAIReader:
    """Chat completion chunks."""

    def __init__(self, assembly: Assembly) -> None:
        self.finish_reason: FinishReason | None = None
        self.usage = Usage()
        self._assembly = assembly
        self._calls = 0
        self._refusal: list[str] = []

    def feed(self, event: Mapping[str, Any]) -> Delta:
        """Raises: InferenceError for an event that reports one, ContentRefused."""
        if event.get("error"):
            raise event_failure(OpenAIDialect.name, _KEY_HINT, event["error"])
        if counted := event.get("usage"):
            self.usage = openai_usage(counted)
        if not event.get("choices"):
            return Delta()
        choice = event["choices"][0]
        said = choice.get("delta") or {}
        if refusal := said.get("refusal"):
            self._refusal.append(refusal)
        for call in said.get("tool_calls") or ():
            self._take_call(call)
        if reason := choice.get("finish_reason"):
            self._finish(reason)
        return Delta(self._assembly.text(said.get("content") or ""), _logprobs(choice.get("logprobs")))

    def rest(self) -> str:
        """Raises: ConstraintFailed."""
        return self._assembly.rest(is_whole=self.finish_reason == "stop")

    def _take_call(self, call: Mapping[str, Any]) -> None:
        function = call.get("function") or {}
        if call.get("index", 0) >= self._calls:
            self._calls += 1
            self._assembly.open_call(function.get("name") or "")
        self._assembly.arguments(function.get("arguments") or "")

    def _finish(self, reason: str) -> None:
        if self._refusal or reason == "content_filter":
            raise ContentRefused(
                f"OpenAI refused to answer: {''.join(self._refusal) or 'its content filter stopped it'}"
            )
        if reason not in _FINISHES:
            raise EngineFailed(f"OpenAI ended the answer with {reason!r}. Send the request again.")
        self.finish_reason = _FINISHES[reason]


def _logprobs(found: Any) -> tuple[TokenLogprob, ...]:
    rows = (found or {}).get("content") or ()
    return tuple(
        TokenLogprob(_bytes(row), row["logprob"], tuple((_bytes(top), top["logprob"]) for top in row["top_logprobs"]))
        for row in rows
    )


def _bytes(row: Mapping[str, Any]) -> bytes:
    data = row.get("bytes")
    return bytes(data) if data is not None else str(row["token"]).encode()
