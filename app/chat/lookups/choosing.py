"""One step of looking up that the words of a message leave open: the model picks a tool, or that it is time to answer.

It is shown the user's own words and which tools were used; nothing that was found. So no text of a document or a page
can have a say in what is looked up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from app.chat.lookups.tools import TOOLS, Call, Figure, Found
from app.llm import ConstraintFailed, LlmClient, Message, Purpose, Sampling

ANSWER = "answer"
SAMPLING = Sampling(max_tokens=200)
MESSAGE_CHARS = 600


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tool: str
    params: dict[str, Any]


def schema_of(offered: Sequence[str], fixed: dict[str, dict[str, object]]) -> dict[str, Any]:
    """The JSON schema of a step: one of the offered tools with its params, of which ``fixed`` are settled."""
    choices = [
        _object({"tool": {"const": name}, "params": _params_schema(name, fixed.get(name, {}))}) for name in offered
    ]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def choose(
    llm: LlmClient,
    message: str,
    done: Sequence[tuple[Call, Found]],
    offered: Sequence[str],
    fixed: dict[str, dict[str, object]],
    purpose: Purpose,
) -> Call | None:
    """The next call; None when the model would rather answer.

    Raises: ConstraintFailed when it chose something that was not offered, and the errors of ``LlmClient.stream``.
    """
    pieces = llm.stream(_messages(message, done, offered), schema_of(offered, fixed), SAMPLING, purpose)
    return parsed("".join(piece.text for piece in pieces), offered)


def parsed(text: str, offered: Sequence[str]) -> Call | None:
    """Validate a step again, whatever constrained it. Raises: ConstraintFailed."""
    try:
        choice = _Choice.model_validate_json(text)
        if choice.tool not in offered:
            raise ConstraintFailed(f"The model chose the tool {choice.tool[:60]!r}, which was not offered.")
        if choice.tool == ANSWER:
            return None
        figures = choice.params.get("figures")
        params = choice.params | ({"figures": list(dict.fromkeys(figures))} if isinstance(figures, list) else {})
        return Call(choice.tool, TOOLS[choice.tool].params_class.model_validate(params))
    except ValidationError as error:
        raise ConstraintFailed(
            "The model's choice of what to look up broke its contract, so nothing of it was used.",
            hint="Send the message again.",
        ) from error


def _params_schema(name: str, fixed: dict[str, object]) -> dict[str, Any]:
    open_params: dict[str, Any] = {
        "read_analytics": {
            "figures": {
                "type": "array",
                "items": {"type": "string", "enum": list(get_args(Figure))},
                "minItems": 1,
                "maxItems": 4,
            },
        },
        "list_assets": {"status": {"type": "string", "enum": ["any", "ingested", "waiting", "failed"]}},
        "find_conversations": {"words": {"type": "string", "minLength": 3, "maxLength": 80}},
        "search_memory": {"query": {"type": "string", "minLength": 3, "maxLength": 120}},
        ANSWER: {},
    }
    return _object(open_params[name] | {key: {"const": value} for key, value in fixed.items()})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _messages(message: str, done: Sequence[tuple[Call, Found]], offered: Sequence[str]) -> list[Message]:
    return [*_prefix(), {"role": "user", "content": _shown(message, [call.tool for call, _ in done], offered)}]


def _shown(message: str, done: Sequence[str], offered: Sequence[str]) -> str:
    looked_up = f"Looked up already: {', '.join(done)}\n" if done else ""
    return f"{looked_up}Tools: {', '.join(offered)}\nMessage: {message[:MESSAGE_CHARS]}"


@cache
def _prefix() -> Sequence[Message]:
    folder = resources.files("app.chat.prompts")
    messages: list[Message] = [{"role": "system", "content": folder.joinpath("tools.md").read_text("utf-8").strip()}]
    for line in folder.joinpath("tools.jsonl").read_text("utf-8").splitlines():
        example = json.loads(line)
        messages.append({"role": "user", "content": _shown(example["message"], example["done"], example["offered"])})
        messages.append({"role": "assistant", "content": json.dumps(example["choice"])})
    return messages
