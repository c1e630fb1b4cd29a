"""What callers may send, in OpenAI's shapes. Only fields that are named here reach the engine; others are ignored.

Sampling fields beyond OpenAI's (``top_k``, ``min_p``, ``repetition_penalty``, ``structured_outputs``) are vLLM's.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.engine.base import ConstraintKind, ConstraintSpec, Sampling
from inference.errors import InvalidRequest, UnsupportedParameter
from inference.server.tools import Tool, ToolChoice, ToolPlan, plan_tools

MAX_MESSAGES = 2048
MAX_TEXT_CHARS = 4_000_000


class Wire(BaseModel):
    """A part of a request body."""

    model_config = ConfigDict(extra="ignore")


class TextPart(Wire):
    """One part of a message's content. Only text is served."""

    type: str
    text: str = Field("", max_length=MAX_TEXT_CHARS)


class ChatMessage(Wire):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    def rendered(self) -> dict[str, Any]:
        """The message as chat templates expect it. Raises: UnsupportedParameter for parts that are not text."""
        content = self.content
        if isinstance(content, list):
            other = next((part.type for part in content if part.type not in ("text", "input_text")), None)
            if other is not None:
                raise UnsupportedParameter(
                    f"Content parts of type {other!r} are not supported; send text.", param="messages"
                )
            content = "".join(part.text for part in content)
        message: dict[str, Any] = {
            "role": "system" if self.role == "developer" else self.role,
            "content": content or "",
        }
        for key in ("name", "tool_call_id"):
            if (value := getattr(self, key)) is not None:
                message[key] = value
        if self.tool_calls:
            message["tool_calls"] = [_template_call(call) for call in self.tool_calls]
        return message


def _template_call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call as templates expect it: arguments as an object, where the wire has them as JSON text."""
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InvalidRequest("A tool call of a message needs function.name.", param="messages")
    arguments = function.get("arguments", "{}")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise InvalidRequest(f"The arguments of a tool call are not JSON: {error}.", param="messages") from error
    return {"type": "function", "function": {"name": function["name"], "arguments": arguments}}


class JsonSchemaFormat(Wire):
    """The ``json_schema`` member of a response format."""

    name: str = ""
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Wire):
    """``response_format``."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    def constraint(self) -> ConstraintSpec | None:
        """What it demands of the output. Raises: InvalidRequest."""
        if self.type == "text":
            return None
        if self.type == "json_object":
            return ConstraintSpec(ConstraintKind.JSON_SCHEMA, '{"type": "object"}')
        if self.json_schema is None or self.json_schema.schema_ is None:
            raise InvalidRequest(
                "response_format of type json_schema needs json_schema.schema.", param="response_format.json_schema"
            )
        return ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(self.json_schema.schema_, ensure_ascii=False))


class StructuredOutputs(Wire):
    """vLLM's ``structured_outputs``: exactly one of its members."""

    json_: dict[str, Any] | str | None = Field(None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None

    def constraint(self) -> ConstraintSpec | None:
        """What it demands of the output. Raises: InvalidRequest."""
        found: list[ConstraintSpec] = []
        if self.json_ is not None:
            text = self.json_ if isinstance(self.json_, str) else json.dumps(self.json_, ensure_ascii=False)
            found.append(ConstraintSpec(ConstraintKind.JSON_SCHEMA, text))
        if self.regex is not None:
            found.append(ConstraintSpec(ConstraintKind.REGEX, self.regex))
        if self.choice is not None:
            found.append(ConstraintSpec(ConstraintKind.CHOICE, json.dumps(self.choice, ensure_ascii=False)))
        if self.grammar is not None:
            found.append(ConstraintSpec(ConstraintKind.GRAMMAR, self.grammar))
        if len(found) > 1:
            raise InvalidRequest(
                "structured_outputs takes one of json, regex, choice, grammar.", param="structured_outputs"
            )
        return found[0] if found else None


class StreamOptions(Wire):
    """``stream_options``."""

    include_usage: bool = False


class SamplingFields(Wire):
    """The fields that chat and bare completions share."""

    model: str
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    n: int = Field(1, ge=1, le=128)
    logit_bias: dict[str, float] | None = Field(None, max_length=1024)
    structured_outputs: StructuredOutputs | None = None

    @field_validator("stop")
    @classmethod
    def _few_and_not_empty(cls, value: str | list[str] | None) -> str | list[str] | None:
        texts = [value] if isinstance(value, str) else value or []
        if len(texts) > 4 or any(not text or len(text) > 1000 for text in texts):
            raise ValueError("takes at most 4 texts of 1 to 1000 characters")
        return value

    @field_validator("logit_bias")
    @classmethod
    def _token_numbers(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for token, bias in (value or {}).items():
            if not token.isdecimal() or not -100 <= bias <= 100:
                raise ValueError(f"maps token numbers to -100…100, not {token!r} to {bias}")
        return value

    def stops(self) -> tuple[str, ...]:
        """Stop strings as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def sampling(self, logprobs: int | None = None) -> Sampling:
        """The engine's settings; what is not given gets OpenAI's default."""

        def given(value: float | None, default: float) -> float:
            return default if value is None else value

        return Sampling(
            temperature=given(self.temperature, 1.0),
            top_p=given(self.top_p, 1.0),
            top_k=max(0, self.top_k or 0),
            min_p=given(self.min_p, 0.0),
            presence_penalty=given(self.presence_penalty, 0.0),
            frequency_penalty=given(self.frequency_penalty, 0.0),
            repetition_penalty=given(self.repetition_penalty, 1.0),
            seed=None if self.seed is None else self.seed % 2**63,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            logprobs=logprobs,
        )


class ChatCompletionBody(SamplingFields):
    """``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None

    def constraint(self) -> ConstraintSpec | None:
        """What the output must be. Raises: InvalidRequest."""
        found = [
            spec
            for source in (self.response_format, self.structured_outputs)
            if source is not None and (spec := source.constraint()) is not None
        ]
        if len(found) > 1:
            raise InvalidRequest("Give response_format or structured_outputs, not both.", param="structured_outputs")
        if found and self.stop:
            raise InvalidRequest(
                "stop would cut a constrained output in the middle; leave it out or drop the constraint.", param="stop"
            )
        return found[0] if found else None

    def tool_plan(self) -> ToolPlan | None:
        """How the tools are served. Raises: InvalidRequest."""
        plan = plan_tools(self.tools, self.tool_choice)
        if plan is not None and (self.response_format is not None and self.response_format.type != "text"):
            raise InvalidRequest("Give tools or a response_format, not both.", param="response_format")
        if plan is not None and self.structured_outputs is not None:
            raise InvalidRequest("Give tools or structured_outputs, not both.", param="structured_outputs")
        if plan is not None and self.stop:
            raise InvalidRequest("stop would cut a tool call in the middle; leave it out.", param="stop")
        return plan


class CompletionBody(SamplingFields):
    """``POST /v1/completions``: a bare prompt, no chat template."""

    prompt: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | list[str] | list[int] | list[list[int]]
    echo: bool = False
    suffix: str | None = None
    logprobs: int | None = Field(None, ge=0, le=20)

    def prompts(self) -> list[str | list[int]]:
        """The prompts, each text or tokens. Raises: InvalidRequest."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and all(isinstance(item, int) for item in self.prompt):
            return [[item for item in self.prompt if isinstance(item, int)]]
        prompts = [item for item in self.prompt if not isinstance(item, int)]
        if not prompts:
            raise InvalidRequest("The prompt is empty. Send at least one token.", param="prompt")
        return prompts


class RerankBody(Wire):
    """``POST /v1/rerank``. Documents are texts, or objects with a ``text``; ``top_n`` 0 or null returns all."""

    model: str
    query: str = Field(max_length=MAX_TEXT_CHARS)
    documents: list[Annotated[str, Field(max_length=MAX_TEXT_CHARS)]]
    top_n: int | None = Field(None, ge=0)
    return_documents: bool = False

    @field_validator("documents", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [document.get("text") if isinstance(document, dict) else document for document in value]


class EmbeddingsBody(Wire):
    """``POST /v1/embeddings``."""

    model: str
    input: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | list[Annotated[str, Field(max_length=MAX_TEXT_CHARS)]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
