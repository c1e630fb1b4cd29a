"""The contract of the model's turn: ``{"action": null | {"type", "params"}, "reply": str}`` and nothing else.

The schema is the union of the offered action types' params schemas. The action stands before the reply, so that the
reply is written by a model that has seen it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.llm import ConstraintFailed
from automation.actions.base import ActionType, Params

MAX_REPLY_CHARS = 1_500
# Keywords that the constraint engine cannot apply while generating; Pydantic checks them when the turn is parsed.
UNCONSTRAINED = frozenset({"propertyNames"})


@dataclass(frozen=True, slots=True)
class Offer:
    """An action type that this turn may choose, its params schema perhaps narrowed to what the user has named.

    Attributes:
        narrow: property name → JSON schema keywords that are laid over that property ("url" → {"enum": [...]}).
        omit: optional properties that this turn has no use for.
    """

    action_type: ActionType[Any]
    narrow: dict[str, dict[str, Any]] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()

    def params_schema(self) -> dict[str, Any]:
        """The params schema of this offer. What is left is required, so that the model never skips one by accident."""
        schema = copy.deepcopy(self.action_type.params_class.model_json_schema())
        schema["properties"] = {k: v for k, v in schema["properties"].items() if k not in self.omit}
        schema["required"] = list(schema["properties"])
        for name, keywords in self.narrow.items():
            schema["properties"][name] = keywords if "const" in keywords else schema["properties"][name] | keywords
        return _without(schema, UNCONSTRAINED)


def _without(schema: Any, keywords: frozenset[str]) -> Any:
    if isinstance(schema, dict):
        return {k: _without(v, keywords) for k, v in schema.items() if k not in keywords}
    if isinstance(schema, list):
        return [_without(item, keywords) for item in schema]
    return schema


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str
    params: dict[str, Any]


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    action: _Action | None
    reply: Annotated[str, Field(max_length=MAX_REPLY_CHARS)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A chosen action, validated by its params class."""

    type: str
    params: Params


@dataclass(frozen=True, slots=True)
class Turn:
    """The model's whole turn."""

    reply: str
    action: Proposal | None


def turn_schema(offers: list[Offer], *, must_act: bool = False, may_count: bool = True) -> dict[str, Any]:
    """The JSON schema of a turn that may choose among ``offers`` (none: it can only reply).

    Args:
        must_act: the choice to act was made already; null is no choice any more.
        may_count: whether the reply may hold digits.
    """
    choices: list[dict[str, Any]] = [] if must_act else [{"type": "null"}]
    definitions: dict[str, Any] = {}
    for offer in offers:
        params = offer.params_schema()
        definitions |= params.pop("$defs", {})
        choices.append(_object({"type": {"const": offer.action_type.name}, "params": params}))
    action = choices[0] if len(choices) == 1 else {"anyOf": choices}
    reply: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_REPLY_CHARS}
    if not may_count:
        reply = {"type": "string", "pattern": r"^[^0-9]{1,600}$"}
    schema = _object({"action": action, "reply": reply})
    return schema | {"$defs": definitions} if definitions else schema


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def parse_turn(text: str, offers: list[Offer]) -> Turn:
    """Validate a finished turn again, whatever constrained it.

    Raises: ConstraintFailed when it is not exactly a turn that ``offers`` allow.
    """
    try:
        raw = _Turn.model_validate_json(text)
        if raw.action is None:
            return Turn(raw.reply, None)
        offer = next((o for o in offers if o.action_type.name == raw.action.type), None)
        if offer is None:
            raise ConstraintFailed(f"The model chose the action {raw.action.type!r}, which was not offered.")
        params = offer.action_type.params_class.model_validate(raw.action.params)
    except ValidationError as error:
        raise ConstraintFailed(
            "The model's turn broke its contract, so nothing of it was used.", hint="Send the message again."
        ) from error
    return Turn(raw.reply, Proposal(raw.action.type, params))


@dataclass(slots=True)
class PartialTurn:
    """Reads a turn while it streams: what of it is there.

    Args:
        on_reply: called by ``show`` with each new piece of the reply.
    """

    on_reply: Callable[[str], None]
    text: str = ""
    _parsed: dict[str, Any] = field(default_factory=dict)
    _shown: int = 0

    def take(self, piece: str) -> None:
        """Take in the next piece of the model's JSON."""
        self.text += piece
        try:
            parsed = pydantic_core.from_json(self.text, allow_partial="trailing-strings")
        except ValueError:
            parsed = None
        self._parsed = parsed if isinstance(parsed, dict) else {}

    @property
    def reply(self) -> str | None:
        """The reply so far, None before it begins: until then the action may be half there."""
        reply = self._parsed.get("reply")
        return reply if isinstance(reply, str) else None

    @property
    def post(self) -> str:
        """The text of the post so far, "" without one."""
        action = self._parsed.get("action")
        params = action.get("params") if isinstance(action, dict) else None
        text = params.get("text") if isinstance(params, dict) else None
        return text if isinstance(text, str) else ""

    @property
    def action(self) -> dict[str, Any] | None:
        """The action so far."""
        return self._parsed.get("action")

    def show(self) -> None:
        """Pass on what the reply has grown by."""
        reply = self.reply or ""
        if len(reply) > self._shown:
            self.on_reply(reply[self._shown :])
            self._shown = len(reply)
