"""Messages as chat templates have them, as messages of hosted providers, which tie results to calls by id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def numbered_calls(messages: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Each message with the ids of its tool calls: those that the results behind it name, else made up in order."""
    numbered: list[tuple[Mapping[str, Any], list[str]]] = []
    for index, message in enumerate(messages):
        calls = message.get("tool_calls") or []
        named = []
        for later in messages[index + 1 : index + 1 + len(calls)]:
            if later["role"] != "tool":
                break
            named.append(later.get("tool_call_id", ""))
        ids = [(named[at] if at < len(named) else "") or f"call_{index}_{at}" for at in range(len(calls))]
        numbered.append((message, ids))
    return numbered


def openai_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Source: OpenAI API reference, chat, messages."""
    result: list[dict[str, Any]] = []
    for message, ids in numbered_calls(messages):
        said = {key: message[key] for key in ("role", "content", "name") if key in message}
        if message["role"] == "tool":
            said["tool_call_id"] = message.get("tool_call_id") or _last_id(result)
        if ids:
            said["content"] = message["content"] or None
            said["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {
                        "name": call["function"]["name"],
                        "arguments": json.dumps(call["function"]["arguments"], ensure_ascii=False),
                    },
                }
                for call_id, call in zip(ids, message["tool_calls"], strict=True)
            ]
        result.append(said)
    return result


def _last_id(result: Sequence[Mapping[str, Any]]) -> str:
    calls = next((said["tool_calls"] for said in reversed(result) if said.get("tool_calls")), None)
    return calls[0]["id"] if calls else "call_0"


def anthropic_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The system text, and the turns. Source: Anthropic API reference, messages."""
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    last_id = "call_0"
    for message, ids in numbered_calls(messages):
        content = message["content"]
        if message["role"] == "system":
            system.append(content)
        elif message["role"] == "tool":
            block = {"type": "tool_result", "tool_use_id": message.get("tool_call_id") or last_id, "content": content}
            turns.append({"role": "user", "content": [block]})
        elif ids:
            blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if content else []
            for call_id, call in zip(ids, message["tool_calls"], strict=True):
                function = call["function"]
                blocks.append(
                    {"type": "tool_use", "id": call_id, "name": function["name"], "input": function["arguments"]}
                )
            last_id = ids[0]
            turns.append({"role": "assistant", "content": blocks})
        else:
            turns.append({"role": message["role"], "content": content})
    return "\n\n".join(system), turns
