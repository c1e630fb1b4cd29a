"""Tools: what a caller offers, the constraint that follows from it, and tool calls read back from the output.

Every call is constrained to its tool's schema, so a call that is reported names a tool that was offered, with arguments
that its schema accepts. One call a turn. Source: OpenAI API reference, function calling.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.engine.base import ConstraintKind, ConstraintSpec, FinishReason
from inference.engine.constraint import CALL_CLOSE, CALL_OPEN
from inference.errors import ConstraintFailed, InvalidRequest
from inference.server.state import new_id

MAX_TOOLS = 128


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Function(_Wire):
    """A function that the model may call; ``parameters`` is a JSON schema of an object."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(_Wire):
    """One element of ``tools``."""

    type: Literal["function"]
    function: Function


class NamedFunction(_Wire):
    """The function that must be called."""

    name: str


class NamedChoice(_Wire):
    """``tool_choice`` that names a function."""

    type: Literal["function"]
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | NamedChoice


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """How the tools of a request are served: ``is_required`` leaves the model no text, ``is_named`` no choice."""

    shown: list[dict[str, Any]]
    constraint: ConstraintSpec
    is_required: bool
    is_named: bool

    def finish_reason(self, reason: FinishReason | None, *, has_call: bool) -> str | None:
        """OpenAI reports ``tool_calls``, except for a function that was named by the caller."""
        return "tool_calls" if has_call and reason == "stop" and not self.is_named else reason

    def is_call(self, text: str) -> bool:
        """Whether an output is a tool call rather than text; outputs that may become either count as calls."""
        return self.is_required or text.startswith(CALL_OPEN[:1])

    def read_call(self, text: str) -> dict[str, Any]:
        """The ``tool_calls`` element of a finished output. Raises: ConstraintFailed when there is none in it."""
        inner = text if self.is_required else text.strip().removeprefix(CALL_OPEN).removesuffix(CALL_CLOSE)
        try:
            call = json.loads(inner)
            function = {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}
        except (ValueError, KeyError, TypeError) as error:
            raise ConstraintFailed(f"The output is not a tool call: {error}") from error
        return {"id": new_id("call"), "type": "function", "function": function}


def plan_tools(tools: list[Tool] | None, choice: ToolChoice | None) -> ToolPlan | None:
    """The plan, or None when no tool may be called. Raises: InvalidRequest."""
    if not tools:
        if choice not in (None, "none"):
            raise InvalidRequest("tool_choice needs tools.", param="tool_choice")
        return None
    if len(tools) > MAX_TOOLS:
        raise InvalidRequest(f"{len(tools)} tools were sent, at most {MAX_TOOLS} are allowed.", param="tools")
    if choice == "none":
        return None
    functions = [tool.function for tool in tools]
    if isinstance(choice, NamedChoice):
        functions = [function for function in functions if function.name == choice.function.name]
        if not functions:
            raise InvalidRequest(
                f"tool_choice names {choice.function.name!r}, which is not in tools.", param="tool_choice"
            )
    schema = json.dumps(_call_schema(functions), ensure_ascii=False)
    is_required = choice == "required" or isinstance(choice, NamedChoice)
    kind = ConstraintKind.JSON_SCHEMA if is_required else ConstraintKind.TEXT_OR_CALL
    shown = [tool.model_dump(exclude_none=True) for tool in tools]
    return ToolPlan(shown, ConstraintSpec(kind, schema), is_required, isinstance(choice, NamedChoice))


def _call_schema(functions: list[Function]) -> dict[str, Any]:
    """A call of any of the functions. Definitions are lifted to the root, where references look for them."""
    definitions: dict[str, Any] = {}
    calls = []
    for function in functions:
        parameters = dict(function.parameters or {"type": "object", "properties": {}, "additionalProperties": False})
        for key in ("$defs", "definitions"):
            for name, value in parameters.pop(key, {}).items():
                if definitions.setdefault(key, {}).setdefault(name, value) != value:
                    raise InvalidRequest(f"Two tools define {key}/{name} differently; rename one.", param="tools")
        call = {
            "type": "object",
            "properties": {"name": {"const": function.name}, "arguments": parameters},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        calls.append(call)
    return {**(calls[0] if len(calls) == 1 else {"anyOf": calls}), **definitions}
