"""How requests are said to Anthropic's Messages API. A JSON answer is asked for as the input of a forced tool.

Sources: Anthropic API reference, messages, streaming and errors; its guide to tool use (``tool_choice``, ``strict``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.engine.base import ConstraintKind, Delta, FinishReason, GenerationRequest, Sampling, Usage
from inference.errors import ContentRefused, EngineFailed, InferenceError, UnsupportedParameter
from inference.upstream.assembly import Assembly, Form, required_name, tool_form
from inference.upstream.base import Call
from inference.upstream.conversation import anthropic_messages
from inference.upstream.failures import event_failure, failure
from inference.upstream.schema import provider_schema, strict_form
from inference.upstream.servers import Server

VERSION = "2023-06-01"
# The interface has no default; asking for more than a model can give is an error there.
DEFAULT_MAX_TOKENS = 4096
ANSWER_TOOL = "answer"
_KEY_HINT = "Put a valid one into keys/anthropic.key of the data folder, or into HERALD_ANTHROPIC_API_KEY."
_STOPS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}


class AnthropicDialect:
    """Messages, always as a stream."""

    name = "Anthropic"

    def call(self, request: GenerationRequest, server: Server) -> Call:
        """Raises: UnsupportedParameter for what the interface cannot say, InvalidSchema."""
        if request.messages is None:
            raise UnsupportedParameter(
                "Hosted models have no bare completions. Use /v1/chat/completions.", param="prompt"
            )
        _require_supported(request.sampling)
        system, turns = anthropic_messages(request.messages)
        body: dict[str, Any] = {
            "model": server.model,
            "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
            "messages": turns,
            "stream": True,
        }
        if system:
            body["system"] = system
        if request.stop:
            body["stop_sequences"] = list(request.stop)
        form = tool_form(request)
        if form is not None:
            body |= {
                "tools": [_tool(tool["function"]) for tool in request.tools or ()],
                "tool_choice": {**_tool_choice(request, form), "disable_parallel_tool_use": True},
            }
        elif request.constraint is not None:
            schema, is_wrapped = provider_schema(request.constraint, self.name)
            body |= {
                "tools": [_answer_tool(schema)],
                "tool_choice": {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True},
            }
            form = Form.VALUE if is_wrapped else Form.TEXT
        is_choice = request.constraint is not None and request.constraint.kind is ConstraintKind.CHOICE
        assembly = Assembly(form or Form.TEXT, self.name, is_choice=is_choice)
        is_answer = request.constraint is not None and not request.tools
        return Call("/v1/messages", body, _AnthropicReader(assembly, is_answer=is_answer))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> InferenceError:
        """Our error for an answer with an error status."""
        return failure(self.name, _KEY_HINT, status, headers, body)


def _tool_choice(request: GenerationRequest, form: Form) -> dict[str, str]:
    if form is Form.TEXT_OR_CALL:
        return {"type": "auto"}
    name = required_name(request)
    return {"type": "tool", "name": name} if name else {"type": "any"}


def _require_supported(sampling: Sampling) -> None:
    """Temperature, top_p and top_k are accepted and not sent: the interface has them no more. Others change what is
    promised, so they are refused."""
    absent: dict[str, Any] = {
        "seed": None,
        "logprobs": None,
        "logit_bias": {},
        "min_p": 0.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
    }
    for field, default in absent.items():
        if getattr(sampling, field) != default:
            raise UnsupportedParameter(f"Anthropic has no {field}. Leave it out.", param=field)


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    tool: dict[str, Any] = {"name": function["name"], "input_schema": parameters}
    if function.get("description"):
        tool["description"] = function["description"]
    return tool


def _answer_tool(schema: dict[str, Any]) -> dict[str, Any]:
    tool = {"name": ANSWER_TOOL, "description": "Give the answer in this form.", "input_schema": schema}
    # Strict tools take no recursion, and telling it from other references is not worth the trouble.
    strict = None if '"$ref"' in json.dumps(schema) else strict_form(schema)
    return tool if strict is None else {**tool, "input_schema": strict, "strict": True}


class _AnthropicReader:
    """Events of a message: start, content blocks with their deltas, delta (the end's reason and the usage), stop."""

    def __init__(self, assembly: Assembly, *, is_answer: bool) -> None:
        """``is_answer``: the input of the answer tool is the answer, and text beside it is none."""
        self.finish_reason: FinishReason | None = None
        self.usage = Usage()
        self._assembly = assembly
        self._is_answer = is_answer
        self._is_in_tool = False
        self._has_input = False

    def feed(self, event: Mapping[str, Any]) -> Delta:
        """Raises: InferenceError for an event that reports one, ContentRefused."""
        match event.get("type"):
            case "error":
                raise event_failure(AnthropicDialect.name, _KEY_HINT, event.get("error"))
            case "message_start":
                self._count(event["message"].get("usage") or {})
            case "content_block_start":
                return self._open(event["content_block"])
            case "content_block_delta":
                return self._piece(event["delta"])
            case "content_block_stop":
                return self._close()
            case "message_delta":
                self._count(event.get("usage") or {})
                self._finish(event["delta"])
        return Delta()

    def rest(self) -> str:
        """Raises: ConstraintFailed."""
        return self._assembly.rest(is_whole=self.finish_reason == "stop")

    def _open(self, block: Mapping[str, Any]) -> Delta:
        self._is_in_tool, self._has_input = block["type"] == "tool_use", False
        if self._is_in_tool and not self._is_answer:
            self._assembly.open_call(block["name"])
        return Delta()

    def _piece(self, delta: Mapping[str, Any]) -> Delta:
        if delta["type"] == "text_delta" and not self._is_answer:
            return Delta(self._assembly.text(delta["text"]))
        if delta["type"] == "input_json_delta" and self._is_in_tool:
            piece = delta["partial_json"]
            self._has_input = self._has_input or bool(piece)
            return self._input(piece)
        return Delta()  # thinking, its signature, citations

    def _close(self) -> Delta:
        is_empty = self._is_in_tool and not self._has_input
        self._is_in_tool = False
        return self._input("{}") if is_empty else Delta()

    def _input(self, piece: str) -> Delta:
        if self._is_answer:
            return Delta(self._assembly.text(piece))
        self._assembly.arguments(piece)
        return Delta()

    def _count(self, counted: Mapping[str, Any]) -> None:
        """Counts are cumulative, and what is left out stands. Prompt tokens are the sum of new, cached and stored."""
        cached = counted.get("cache_read_input_tokens") or 0
        prompt = (counted.get("input_tokens") or 0) + cached + (counted.get("cache_creation_input_tokens") or 0)
        self.usage = Usage(
            prompt_tokens=prompt or self.usage.prompt_tokens,
            completion_tokens=counted.get("output_tokens") or self.usage.completion_tokens,
            cached_tokens=cached or self.usage.cached_tokens,
        )

    def _finish(self, delta: Mapping[str, Any]) -> None:
        reason = delta.get("stop_reason")
        if reason == "refusal":
            explanation = (delta.get("stop_details") or {}).get("explanation")
            raise ContentRefused(f"Anthropic refused to answer: {explanation or 'it gave no reason'}")
        if reason not in _STOPS:
            raise EngineFailed(f"Anthropic ended the answer with {reason!r}. Send the request again.")
        self.finish_reason = _STOPS[reason]
