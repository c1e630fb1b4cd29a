"""What callers of ``/v1/responses`` may send, and the chat request that it comes down to.

Source: OpenAI API reference, responses. Fields that are not named here are ignored; those that need a memory of earlier
responses, or tools that run on the server, are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from inference.errors import InvalidRequest, UnsupportedParameter
from inference.server.schemas import (
    MAX_MESSAGES,
    MAX_TEXT_CHARS,
    ChatCompletionBody,
    ChatMessage,
    JsonSchemaFormat,
    ResponseFormat,
    Wire,
)
from inference.server.tools import Function, NamedChoice, NamedFunction, Tool

LOGPROBS = "message.output_text.logprobs"
NOTHING_IS_KEPT = "Nothing of a response is kept here: send the whole conversation as input."
# Where the fields of a chat request come from, to name the right one in an error.
FIELDS = {"messages": "input", "response_format": "text.format", "response_format.json_schema": "text.format.schema"}


class Part(Wire):
    """One part of an item's content. Only text is served."""

    type: str
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] = ""
    refusal: str = ""


Content = Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | list[Part]


class Item(Wire):
    """One item of ``input``: a message, a function call, or what the function gave back."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Content | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: Content | None = None

    def add_to(self, messages: list[ChatMessage]) -> None:
        """Append the item to a conversation. Raises: InvalidRequest, UnsupportedParameter."""
        if self.type == "message":
            if self.role is None or self.content is None:
                raise InvalidRequest("A message of input needs role and content.", param="input")
            messages.append(ChatMessage(role=self.role, content=_text(self.content)))
        elif self.type == "function_call":
            if self.call_id is None or self.name is None or self.arguments is None:
                raise InvalidRequest("A function_call of input needs call_id, name and arguments.", param="input")
            # Text and calls of one turn are items here and one message to the model.
            if not messages or messages[-1].role != "assistant":
                messages.append(ChatMessage(role="assistant"))
            function = {"name": self.name, "arguments": self.arguments}
            call = {"id": self.call_id, "type": "function", "function": function}
            messages[-1].tool_calls = [*(messages[-1].tool_calls or []), call]
        elif self.type == "function_call_output":
            if self.call_id is None or self.output is None:
                raise InvalidRequest("A function_call_output of input needs call_id and output.", param="input")
            messages.append(ChatMessage(role="tool", content=_text(self.output), tool_call_id=self.call_id))
        elif self.type == "item_reference":
            raise UnsupportedParameter(f"Items cannot be referred to. {NOTHING_IS_KEPT}", param="input")
        else:
            raise UnsupportedParameter(
                f"Items of type {self.type!r} are not supported; send message, function_call or function_call_output.",
                param="input",
            )


def _text(content: str | list[Part]) -> str:
    if isinstance(content, str):
        return content
    known = ("input_text", "output_text", "text", "refusal")
    other = next((part.type for part in content if part.type not in known), None)
    if other is not None:
        raise UnsupportedParameter(f"Content parts of type {other!r} are not supported; send text.", param="input")
    return "".join(part.refusal if part.type == "refusal" else part.text for part in content)


def _as_items(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class FunctionTool(Function):
    """One element of ``tools``, with the function's members beside its type."""

    type: Literal["function"]
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_functions(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind != "function":
            raise UnsupportedParameter(
                f"Tools of type {kind!r} are not offered; only functions, which the caller runs, are.", param="tools"
            )
        return value


class FunctionChoice(Wire):
    """``tool_choice`` that names a function."""

    type: Literal["function"]
    name: str


class TextFormat(JsonSchemaFormat):
    """``text.format``, with the members of a JSON schema beside its type."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    description: str | None = None


class TextOptions(Wire):
    """``text``."""

    format: TextFormat = TextFormat()


class ResponseBody(Wire):
    """``POST /v1/responses``."""

    model: str
    input: Annotated[list[Item], BeforeValidator(_as_items), Field(min_length=1, max_length=MAX_MESSAGES - 1)]
    instructions: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    text: TextOptions = TextOptions()
    tools: list[FunctionTool] = Field(default_factory=list)
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice = "auto"
    include: list[str] | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(
        None, max_length=16
    )
    stream: bool = False
    store: bool | None = None
    background: bool | None = None
    truncation: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None

    @model_validator(mode="after")
    def _nothing_that_is_not_offered(self) -> Self:
        for field in ("store", "previous_response_id", "conversation"):
            if getattr(self, field):
                raise UnsupportedParameter(f"{field} is not supported. {NOTHING_IS_KEPT}", param=field)
        if self.background:
            raise UnsupportedParameter("background is not supported; stream, or use a batch.", param="background")
        if self.prompt is not None:
            raise UnsupportedParameter("prompt is not supported; send instructions and input.", param="prompt")
        if self.truncation not in (None, "disabled"):
            raise UnsupportedParameter(
                f"truncation is {self.truncation!r}, only 'disabled' is supported; shorten the input yourself.",
                param="truncation",
            )
        return self

    @property
    def has_logprobs(self) -> bool:
        """Whether each token's log-probability is asked for."""
        return bool(self.top_logprobs) or LOGPROBS in (self.include or ())

    def chat(self) -> ChatCompletionBody:
        """The same as a chat request. Raises: InvalidRequest, UnsupportedParameter."""
        messages = [] if self.instructions is None else [ChatMessage(role="system", content=self.instructions)]
        for item in self.input:
            item.add_to(messages)
        text = self.text.format
        choice = self.tool_choice
        return ChatCompletionBody(
            model=self.model,
            messages=messages,
            max_completion_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            logprobs=self.has_logprobs,
            top_logprobs=(self.top_logprobs or 0) if self.has_logprobs else None,
            response_format=ResponseFormat(type=text.type, json_schema=text if text.type == "json_schema" else None),
            tools=[Tool(type="function", function=tool) for tool in self.tools] or None,
            tool_choice=_named(choice) if self.tools or choice != "auto" else None,
        )


def _named(choice: Literal["none", "auto", "required"] | FunctionChoice) -> Any:
    if isinstance(choice, FunctionChoice):
        return NamedChoice(type="function", function=NamedFunction(name=choice.name))
    return choice
