"""What the conversation is told when an action has ended: the answer from a page that was read, or the bare facts."""

from __future__ import annotations

from typing import Any

import structlog

from app.actions.execution import ExecutionService
from app.actions.records import Action, Status
from app.actions.service import ActionService
from app.chat import prompt
from app.chat.passages import best_passages
from app.chat.prompt import Note
from app.chat.service import NOTES_CHARS, with_named_sources
from app.chat.writing import Order, written
from app.conversations.service import ConversationService
from app.db.engine import Database
from app.errors import AppError, NotFound
from app.llm import LlmClient, Purpose

TOLD = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.UNCONFIRMED}
)  # a rejection is the user's own doing and stands on the card

log = structlog.get_logger(__name__)


class OutcomeReporter:
    """Tells each finished action's conversation about it, once. The worker calls it."""

    def __init__(
        self,
        database: Database,
        conversations: ConversationService,
        actions: ActionService,
        execution: ExecutionService,
        llm: LlmClient,
    ) -> None:
        self._database = database
        self._conversations = conversations
        self._actions = actions
        self._execution = execution
        self._llm = llm

    def report_outcome(self, action_id: str) -> None:
        """Append the outcome to the action's conversation, if it has one and was not told yet.

        A page's text goes into a prompt of its own that can only reply: it can never choose an action. When the model
        cannot answer, the conversation gets the page's beginning and the reason instead.
        """
        action = self._actions.get(action_id)
        if action.conversation_id is None or action.status not in TOLD:
            return
        text, sources = self._told(action)
        with self._database.write() as session:
            if not self._execution.mark_reported_in(session, action_id):
                return
            try:
                # Success and failure alike may quote the page that the action ran on.
                # What was proposed instead stands below it as a card of its own.
                instead = (action.error or {}).get("proposal_id")
                self._conversations.append_in(
                    session,
                    action.conversation_id,
                    "assistant",
                    text,
                    sources=sources,
                    is_tainted=True,
                    action_id=instead,
                )
            except NotFound:  # deleted meanwhile: there is nobody to tell
                log.info("outcome_unheard", action_id=action_id)

    def _told(self, action: Action) -> tuple[str, list[dict[str, Any]]]:
        if action.status is not Status.SUCCEEDED:
            error = action.error or {}
            return " ".join(
                part for part in (error.get("message", "It did not work."), error.get("hint", "")) if part
            ), []
        result = action.result or {}
        if action.type != "scrape_url":
            return str(result.get("summary", "Done.")), []
        sources = [_page_source(result)]
        question = self._conversations.question_before_action(action.id)
        try:
            reply = self._answer_from_page(question.content if question else "What does the page say?", result)
        except AppError as error:
            log.warning("page_answer_failed", action_id=action.id, code=error.code, error=error.message)
            beginning = str(result.get("text", ""))[:500]
            return f"I read the page, but could not answer from it: {error.message}\n\nIt begins: {beginning}", sources
        return with_named_sources(reply, sources), sources

    def _answer_from_page(self, question: str, result: dict[str, Any]) -> str:
        passages = best_passages(str(result.get("text", "")), question, NOTES_CHARS, self._llm.embed)
        notes = [Note(str(result.get("title") or result.get("final_url", "the page")), "\n…\n".join(passages))]
        messages = prompt.page_messages(question, notes)
        return written(self._llm, Order(messages, [], Purpose("page", question), on_reply=lambda _text: None)).reply


def _page_source(result: dict[str, Any]) -> dict[str, Any]:
    url = str(result.get("final_url") or result.get("url") or "")
    text = " ".join(str(result.get("text", "")).split())
    return {
        "document_id": None,
        "filename": str(result.get("title") or url),
        "place": url,
        "quote": text[:300],
        "score": 1.0,
    }
