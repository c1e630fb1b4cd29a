"""The cases of ``./scripts/eval actions``: what an owner says, turn by turn, and what a careful assistant proposes.

Development and test cases never share an author, so that neither a style nor a turn of phrase stands on both sides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.chat.features import Before, Evidence, evidence_of
from app.chat.spans import addresses

CASES = Path(__file__).with_name("cases")
Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation, judged by its last turn.

    Attributes:
        turns: the user's messages.
        replies: what the assistant had answered before the last of them (``{"reply", "action"}``), where it is judged
            without running the earlier turns.
        expected: ``{"type", "params"}`` or None. A post's ``text`` is the exact text, or ``{"composed": true}`` where
            it is to be written, or ``{"drafted": text}`` where it is the assistant's own draft.
    """

    id: str
    author: str
    style: str
    language: str
    business: str
    tags: tuple[str, ...]
    turns: tuple[str, ...]
    replies: tuple[dict[str, Any], ...]
    expected: dict[str, Any] | None

    @property
    def type(self) -> str:
        """The expected type, "null" for none."""
        return self.expected["type"] if self.expected else "null"

    def before(self) -> Before | None:
        """What the assistant said last, as the case has it."""
        if not self.replies:
            return None
        last = self.replies[-1]
        return Before(last["reply"], last["action"]["type"] if last["action"] else None)

    def evidence(self) -> Evidence:
        """The evidence of the last turn, as the chat collects it."""
        has_address = any(addresses(turn) for turn in self.turns[:-1])
        return evidence_of(self.turns[-1], self.before(), has_address=has_address)


def load_cases(split: Split) -> list[Case]:
    """All cases of a split, in the order of their file."""
    lines = (CASES / f"actions_{split}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Case(**row | {name: tuple(row[name]) for name in ("tags", "turns", "replies")}) for row in rows]
