"""Looks up what a message asks for, step by step, before it is answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from app import clock
from app.chat.lookups.asking import Asked, asked_in
from app.chat.lookups.choosing import ANSWER, choose
from app.chat.lookups.tools import TOOLS, Call, Found, SearchMemory, Toolbox
from app.chat.spans import topic_of
from app.llm import LlmClient, Purpose

MAX_STEPS = 3
LookedUp = list[tuple[Call, Found]]


class LookUps:
    """The steps over one project's tools."""

    def __init__(self, toolbox: Toolbox, llm: LlmClient) -> None:
        self._toolbox = toolbox
        self._llm = llm

    def run(
        self, message: str, conversation_id: str, purpose: Purpose, progress: Callable[[str], None]
    ) -> tuple[Asked, LookedUp]:
        """What the message asks for and what was found, in order; nothing for ordinary talk, which costs nothing.

        Raises: the errors of ``app.llm``.
        """
        asked = asked_in(message, _today())
        waiting, done = list(asked.settled), LookedUp()
        while len(done) < MAX_STEPS:
            call = waiting.pop(0) if waiting else self._chosen(message, asked, done, purpose)
            if call is None:
                break
            progress(TOOLS[call.tool].progress)
            found = self._toolbox.run(call, conversation_id)
            done.append((call, found))
            if call.tool == "find_conversations" and not found.count:
                waiting.append(Call("search_memory", SearchMemory(query=topic_of(message)[:200])))
        return asked, done

    def _chosen(self, message: str, asked: Asked, done: LookedUp, purpose: Purpose) -> Call | None:
        """The model's choice where the words left something open."""
        used = {call.tool for call, _ in done}
        if not asked.left_open or (used and not asked.has_parts):
            return None
        first = [name for name in asked.left_open if name not in used]
        others = [name for name in TOOLS if name not in used and name not in asked.left_open]
        return choose(self._llm, message, done, first or [*others, ANSWER], asked.fixed, purpose)


def _today() -> date:
    return clock.now().date()
