"""One turn: a message in, the model's constrained turn out, a proposal stored that waits for its approval."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.accounts.service import AccountService
from app.actions.records import Action
from app.actions.service import ActionService
from app.analytics.service import AnalyticsService
from app.chat import prompt
from app.chat.contract import Offer, Turn, turn_schema
from app.chat.decision import ASK_FOR_VALUES, Decision, decide
from app.chat.events import Answer, Delta, Event, Failure, Progress
from app.chat.features import offers_post
from app.chat.lookups.asking import Asked
from app.chat.lookups.steps import LookedUp, LookUps
from app.chat.lookups.telling import comment_without_numbers
from app.chat.lookups.tools import Toolbox, recorded
from app.chat.offers import literal, refused_addresses
from app.chat.opinion import opinion_of
from app.chat.prompt import Note, PastMessage
from app.chat.spans import is_quoted_from, topic_of
from app.chat.writing import Order, draft_checked, post_written, written
from app.conversations.service import ConversationService, StoredMessage
from app.db.engine import Database
from app.errors import AppError, Conflict
from app.llm import LlmClient, Message, Purpose, Sampling
from app.memory.records import Passage
from app.memory.service import MemoryService
from app.text import checked_text
from automation.actions.post_social import PostSocialParams

log = structlog.get_logger(__name__)

MAX_MESSAGE_CHARS = 8_000
NOTES_CHARS = 3_600  # about 900 tokens: some seconds of prompt on two cores
WAIT_FOR_DOCUMENTS_S = 20.0  # who drops a page and asks at once is answered from it
POLL_S = 0.1
_WARM_UP = Purpose("warm_up")


@dataclass(slots=True)
class _Request:
    """One turn under way."""

    conversation_id: str
    message: str
    history: list[PastMessage]
    said: list[str]
    purpose: Purpose
    emit: Callable[[Event], None]
    passages: list[Passage] = field(default_factory=list)
    looked_up: LookedUp = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # names of documents that are not in memory yet

    def progress(self, text: str) -> None:
        """Say what is being done."""
        self.emit(Progress(text, self.conversation_id))

    @property
    def notes(self) -> list[Note]:
        return [Note(f"{p.filename}, {p.place}" if p.place else p.filename, p.text) for p in self.passages]

    @property
    def sources(self) -> list[str]:
        """Where the facts of a written post may come from: the user, the passages, and the last draft or answer
        from documents that was shown."""
        last = next((past for past in reversed(self.history) if past.role == "assistant"), None)
        shown = [str((last.action or {}).get("params", {}).get("text", ""))] if last else []
        shown += [last.content] if last and (last.is_tainted or offers_post(last.content)) else []
        return [*self.said, *(f"{note.source}\n{note.text}" for note in self.notes), *shown]

    @property
    def is_tainted(self) -> bool:
        """Whether documents or pages have something to say to this turn."""
        return bool(self.passages) or any(past.is_tainted for past in self.history)


class ChatService:
    """Turns of the conversations. Thread-safe; one turn at a time in a conversation."""

    def __init__(
        self,
        database: Database,
        conversations: ConversationService,
        actions: ActionService,
        accounts: AccountService,
        memory: MemoryService,
        llm: LlmClient,
        analytics: AnalyticsService,
    ) -> None:
        self._database = database
        self._conversations = conversations
        self._actions = actions
        self._accounts = accounts
        self._memory = memory
        self._llm = llm
        self._lookups = LookUps(Toolbox(memory, conversations, analytics), llm)
        self._busy: set[str] = set()
        self._busy_lock = threading.Lock()

    def turn(self, message: str, conversation_id: str | None = None, *, actor: str) -> Answer:
        """Run one turn to its end.

        Raises: InvalidInput, NotFound, Conflict (a turn is under way), and the errors of ``app.llm``.
        """
        for event in self.stream(message, conversation_id, actor=actor):
            if isinstance(event, Failure):
                raise event.error
            if isinstance(event, Answer):
                return event
        raise AssertionError("a turn ends in an answer or a failure")

    def stream(self, message: str, conversation_id: str | None = None, *, actor: str) -> Iterator[Event]:
        """Start one turn and report on it; the last event is an Answer or a Failure.

        The turn runs in a thread of its own: a caller who goes away finds the answer in the conversation.

        Raises: InvalidInput, NotFound, Conflict before anything is accepted.
        """
        text = checked_text(message, "The message", MAX_MESSAGE_CHARS)
        kept_id = self._accept(text, conversation_id)
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        threading.Thread(
            target=self._run, args=(kept_id, text, actor, events.put), name=f"turn-{kept_id}", daemon=True
        ).start()
        return _until_end(events)

    def warm_up(self, is_stopping: threading.Event) -> None:
        """Wait for inference and let it read the prompt that all turns share, so that the first is not slower."""
        while not is_stopping.wait(1.0):
            if self._llm.status()["status"] != "ready":
                continue
            try:
                opinion_of(self._llm, "Hi!", None)
                for _ in self._llm.stream(
                    prompt.turn_messages([], "Hi!"), turn_schema([]), Sampling(max_tokens=1), _WARM_UP
                ):
                    pass
            except AppError as error:
                log.info("warm_up_failed", code=error.code, error=error.message)
            return

    def _accept(self, text: str, conversation_id: str | None) -> str:
        """Store the message and claim its conversation. A message whose turn failed is not stored twice."""
        if conversation_id is None:
            with self._database.write() as session:
                conversation_id = self._conversations.create_in(session, text).id
                self._conversations.append_in(session, conversation_id, "user", text)
            self._claim(conversation_id)
            return conversation_id
        self._conversations.get(conversation_id)
        self._claim(conversation_id)
        try:
            last = self._conversations.messages(conversation_id, 1)
            if not (last and last[-1].role == "user" and last[-1].content == text):
                self._conversations.append(conversation_id, "user", text)
        except BaseException:
            self._busy.discard(conversation_id)
            raise
        return conversation_id

    def _claim(self, conversation_id: str) -> None:
        with self._busy_lock:
            if conversation_id in self._busy:
                raise Conflict(
                    "An answer in this conversation is still being written.",
                    hint="Wait for it, or begin another conversation.",
                    code="turn_in_progress",
                )
            self._busy.add(conversation_id)

    def _run(self, conversation_id: str, text: str, actor: str, emit: Callable[[Event], None]) -> None:
        try:
            emit(self._answered(conversation_id, text, actor, emit))
        except AppError as error:
            log.warning("turn_failed", conversation_id=conversation_id, code=error.code, error=error.message)
            emit(Failure(error, conversation_id))
        except Exception:
            log.exception("turn_crashed", conversation_id=conversation_id)
            crash = AppError("The turn failed inside Herald.", hint="Send it again; the app's log says more.")
            emit(Failure(crash, conversation_id))
        finally:
            self._busy.discard(conversation_id)

    def _answered(self, conversation_id: str, text: str, actor: str, emit: Callable[[Event], None]) -> Answer:
        stored = self._conversations.messages(conversation_id, prompt.HISTORY_MESSAGES + 1)
        history = self._past(stored[:-1])
        request = _Request(
            conversation_id=conversation_id,
            message=text,
            history=history,
            said=[past.content for past in history if past.role == "user"] + [text],
            purpose=Purpose("chat", text),
            emit=emit,
        )
        request.progress("Thinking")
        with self._database.read() as session:
            accounts = self._accounts.ports(session)
        decision = decide(text, history, accounts, self._llm)
        is_talk = decision.offer is None and not decision.question
        told = self._looked_up(request) if is_talk else None
        if told is None and (is_talk or decision.is_written):
            self._remember(request)
        turn, passages = told or self._written(request, decision)
        is_from_tainted = decision.is_written and request.is_tainted
        is_tainted = bool(passages) or bool(request.looked_up) or decision.is_tainted or is_from_tainted
        turn = self._checked(request, turn)
        drafted = _drafted(request, decision, turn)
        return self._keep(request, turn, passages, actor, is_tainted=is_tainted, drafted=drafted)

    def _looked_up(self, request: _Request) -> tuple[Turn, list[Passage]] | None:
        """The answer to what the read-only tools answer; None for all else, and where they found nothing."""
        asked, request.looked_up = self._lookups.run(
            request.message, request.conversation_id, request.purpose, request.progress
        )
        found = [each for _, each in request.looked_up]
        told = "\n\n".join(each.told for each in found if each.told)
        notes = [note for each in found for note in each.notes]
        passages = [passage for each in found for passage in each.passages]
        if not told and not notes:
            return None
        if told:
            request.emit(Delta(told))
        if notes:
            request.emit(Delta("\n\n" if told else ""))
            messages = prompt.answer_messages(request.history, request.message, notes)
            reply = written(self._llm, self._order(request, messages)).reply
        else:
            reply = self._commented(request, asked, told)
        return Turn("\n\n".join(part for part in (told, reply) if part), None), passages

    def _commented(self, request: _Request, asked: Asked, told: str) -> str:
        """What is left to say beside figures and lists, if more was asked for; it states no number of its own."""
        if not asked.wants_comment:
            return ""
        messages = prompt.comment_messages(request.history, request.message, told)
        reply = written(self._llm, self._order(request, messages, may_count=False)).reply
        return comment_without_numbers(reply)

    def _remember(self, request: _Request) -> None:
        """Look the topic up in memory, after a short wait for documents that were dropped a moment ago."""
        give_up_at = time.monotonic() + WAIT_FOR_DOCUMENTS_S
        request.unread = self._memory.being_read()
        while request.unread and time.monotonic() < give_up_at:
            request.progress(f"Waiting for {_listed(request.unread)} to be read")
            time.sleep(POLL_S)
            request.unread = self._memory.being_read()
        request.progress("Looking into memory")
        request.passages = self._memory.context_for(topic_of(request.message), NOTES_CHARS)

    def _past(self, stored: list[StoredMessage]) -> list[PastMessage]:
        actions = self._actions.get_many([m.action_id for m in stored if m.action_id])
        past = []
        for m in stored:
            action = actions.get(m.action_id) if m.action_id else None
            past.append(PastMessage(m.role, m.content, _as_turn(action), is_tainted=m.is_tainted))
        return past

    def _written(self, request: _Request, decision: Decision) -> tuple[Turn, list[Passage]]:
        """The decided turn in words, and the passages that it may have been made from."""
        if decision.question:
            request.emit(Delta(decision.question))
            return Turn(decision.question, None), []
        offers = [decision.offer] if decision.offer else []
        messages = prompt.turn_messages(request.history, request.message, writes=decision.is_written)
        passages: list[Passage] = []
        if request.passages and decision.offer is None:
            request.progress("Reading the documents")
            messages, passages = self._with_documents(request), request.passages
        elif request.is_tainted and decision.is_written:
            request.progress("Writing with the documents")
            messages, passages = self._with_documents(request, writes=True), request.passages
        order = self._order(request, messages, offers)
        if decision.is_written:
            return post_written(self._llm, order, request.message, request.sources, request.progress), passages
        turn = written(self._llm, order)
        return (turn if turn.action else Turn(draft_checked(turn.reply, request.sources), None)), passages

    def _with_documents(self, request: _Request, *, writes: bool = False) -> list[Message]:
        return prompt.answer_messages(request.history, request.message, request.notes, writes=writes)

    def _order(
        self, request: _Request, messages: list[Message], offers: list[Offer] | None = None, *, may_count: bool = True
    ) -> Order:
        """The reply is streamed as it is written, unless it is checked yet."""
        return Order(
            messages=messages,
            offers=offers or [],
            purpose=request.purpose,
            on_reply=lambda text: request.emit(Delta(text if may_count else "")),
            may_count=may_count,
        )

    def _checked(self, request: _Request, turn: Turn) -> Turn:
        """The turn without values that the user never gave, and a word on addresses that cannot be opened."""
        action = literal(turn.action, request.said) if turn.action else None
        reply = ASK_FOR_VALUES if turn.action and not action else turn.reply
        refused = [] if action else refused_addresses(request.message)
        unread = (
            [f"{_listed(request.unread)} is not in this answer: it is still being read, so ask again in a while."]
            if request.unread
            else []
        )
        return Turn(" ".join([*refused, reply, *unread]), action)

    def _keep(
        self, request: _Request, turn: Turn, passages: list[Passage], actor: str, *, is_tainted: bool, drafted: str
    ) -> Answer:
        """Store the reply and its proposal together."""
        sources = [_source(p) for p in passages_used(turn, passages)]
        lookups = [recorded(call, found) for call, found in request.looked_up]
        reply = with_named_sources(turn.reply, sources) if turn.action is None else turn.reply
        with self._database.write() as session:
            action = None
            if turn.action is not None:
                action = self._actions.propose_in(
                    session,
                    turn.action.type,
                    turn.action.params.model_dump(mode="json"),
                    actor=f"model for {actor}",
                    conversation_id=request.conversation_id,
                    is_tainted=is_tainted,
                )
            message = self._conversations.append_in(
                session,
                request.conversation_id,
                "assistant",
                reply,
                sources=sources,
                is_tainted=is_tainted,
                action_id=action.id if action else None,
                lookups=lookups,
                drafted=drafted,
            )
        return Answer(request.conversation_id, message.id, reply, sources, action, lookups)


def _drafted(request: _Request, decision: Decision, turn: Turn) -> str:
    """The text of the proposed post where the model wrote it, in this turn or as a draft before; "" for the user's."""
    text = turn.action.params.text if turn.action and isinstance(turn.action.params, PostSocialParams) else ""
    if decision.is_written or not text or is_quoted_from(text, request.said):
        return text if decision.is_written else ""
    return text if any(past.role == "assistant" and text in past.content for past in request.history) else ""


def _as_turn(action: Action | None) -> dict[str, Any] | None:
    """An earlier proposal as the model would have written it."""
    if action is None:
        return None
    return {"type": action.type, "params": {k: v for k, v in action.params.items() if v != ""}}


def _listed(names: list[str]) -> str:
    """Names for a sentence: the first, and how many more."""
    return names[0] if len(names) == 1 else f"{names[0]} with {len(names) - 1} more"


def _source(passage: Passage) -> dict[str, Any]:
    return {
        "document_id": passage.asset_id,
        "chunk_id": passage.chunk_id,
        "filename": passage.filename,
        "place": passage.place,
        "quote": passage.text,
        "score": passage.score,
    }


def _until_end(events: queue.SimpleQueue[Event]) -> Iterator[Event]:
    while True:
        event = events.get()
        yield event
        if isinstance(event, Answer | Failure):
            return


def passages_used(turn: Turn, passages: list[Passage]) -> list[Passage]:
    """The passages that the text was made from: those it shares the most words with, at least the best one."""
    text = turn.reply
    if turn.action is not None:
        text += " " + " ".join(str(v) for v in turn.action.params.model_dump().values())
    words = _content_words(text)
    overlaps = [(len(words & _content_words(p.text)), p) for p in passages]
    most = max((n for n, _ in overlaps), default=0)
    return [p for n, p in overlaps if n and n >= most / 2] or passages[:1]


def _content_words(text: str) -> set[str]:
    return {w.strip(".,;:!?()\"'“”").casefold() for w in text.split() if len(w) > 3 or any(c.isdigit() for c in w)}


def with_named_sources(reply: str, sources: list[dict[str, Any]]) -> str:
    """The reply with the names of its sources, unless it names them itself."""
    names = dict.fromkeys(
        f"{s['filename']} ({s['place']})" if s["place"] else str(s["filename"])
        for s in sources
        if str(s["filename"]).casefold() not in reply.casefold()
    )
    if not names:
        return reply
    return f"{reply}\n\n{'Source' if len(names) == 1 else 'Sources'}: {', '.join(names)}"
