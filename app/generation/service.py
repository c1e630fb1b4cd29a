"""Use cases: write three variants of a brief, edit one, write one anew, propose one as a post, set the voice."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.actions.records import Action
from app.actions.service import ActionService
from app.adapters import AdapterShelf
from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT
from app.errors import AppError, Conflict, InvalidInput, NotFound
from app.generation import repository
from app.generation.approved import Approved, Wanted, approved_texts, paired
from app.generation.records import (
    Done,
    Event,
    Failure,
    Generation,
    Kind,
    Origin,
    Piece,
    Step,
    Variant,
    VariantDone,
    Version,
    Voice,
    Written,
)
from app.generation.tables import GenerationRow, VariantRow, VariantVersionRow, VoiceRow
from app.generation.writer import Order, write
from app.llm import LlmClient, ModelNotServed
from app.memory.service import MemoryService
from app.text import checked_text
from automation.sites.base import Post
from automation.sites.registry import SITES

log = structlog.get_logger(__name__)

MAX_BRIEF_CHARS = 4_000
MAX_TEXT_CHARS = 10_000
MAX_VOICE_CHARS = 2_000
MAX_BANNED_WORDS = 100
NOTES_CHARS = 1_600  # about 400 tokens: some seconds of prompt on two cores
TITLES = {Kind.SHORT: "the short form", Kind.LONG: "the long form", Kind.CALL: "the call to action"}


class GenerationService:
    """The briefs of one project. Thread-safe; a variant is written by one at a time."""

    def __init__(
        self,
        database: Database,
        memory: MemoryService,
        actions: ActionService,
        llm: LlmClient,
        adapters: AdapterShelf | None = None,
    ) -> None:
        self._database = database
        self._memory = memory
        self._actions = actions
        self._llm = llm
        self._adapters = adapters
        self._busy: set[str] = set()
        self._busy_lock = threading.Lock()

    # -- writing ----------------------------------------------------------------------------------------------

    def generate(self, brief: str, platform: str = "", *, actor: str) -> Generation:
        """Write all three and wait for them. Raises: InvalidInput and the errors of ``app.llm``."""
        for event in self.stream(brief, platform, actor=actor):
            if isinstance(event, Failure):
                raise event.error
            if isinstance(event, Done):
                return event.generation
        raise AssertionError("a generation ends in Done or Failure")

    def stream(self, brief: str, platform: str = "", *, actor: str) -> Iterator[Event]:
        """Accept a brief and report on its writing, which goes on when the reader goes away.

        Raises: InvalidInput before anything is accepted.
        """
        text = checked_text(brief, "The brief", MAX_BRIEF_CHARS)
        _require_platform(platform)
        generation_id, variant_ids = self._accept(text, platform, actor)
        return self._in_thread(
            lambda emit: self._write_all(generation_id, variant_ids, actor, emit), generation_id, variant_ids
        )

    def regenerate(self, variant_id: str, *, actor: str) -> Variant:
        """Write one variant anew; the text that it had stays in its history.

        Raises: NotFound, Conflict (it is being written), and the errors of ``app.llm``.
        """
        with self._database.read() as session:
            variant = _variant(_found(session, variant_id))
            generation = repository.generation_by_id(session, variant.generation_id)
            assert generation is not None, "a variant belongs to a brief"
            brief, platform = generation.brief, generation.platform
        self._claim([variant_id])
        try:
            written = self._written(self._order(brief, platform), variant.kind, lambda _piece: None)
            return self._store(variant_id, written, Origin.REGENERATED if variant.text else Origin.GENERATED, actor)
        finally:
            self._release([variant_id])

    def _accept(self, brief: str, platform: str, actor: str) -> tuple[str, list[str]]:
        at = clock.now()
        generation_id = f"gen_{uuid.uuid4().hex}"
        variant_ids = [f"var_{uuid.uuid4().hex}" for _ in Kind]
        self._claim(variant_ids)
        with self._database.write() as session:
            repository.add(
                session, GenerationRow(id=generation_id, brief=brief, platform=platform, actor=actor, created_at=at)
            )
            for kind, variant_id in zip(Kind, variant_ids, strict=True):
                row = VariantRow(
                    id=variant_id,
                    generation_id=generation_id,
                    kind=kind.value,
                    text="",
                    provenance={},
                    version=0,
                    updated_at=at,
                )
                repository.add(session, row)
        return generation_id, variant_ids

    def _write_all(
        self, generation_id: str, variant_ids: list[str], actor: str, emit: Callable[[Event], None]
    ) -> Event:
        emit(Step("Looking into the documents", generation_id))
        generation = self.get(generation_id)
        order = self._order(generation.brief, generation.platform)
        failure: AppError | None = None
        for kind, variant_id in zip(Kind, variant_ids, strict=True):
            emit(Step(f"Writing {TITLES[kind]}", generation_id, kind))
            try:
                written = self._written(order, kind, lambda text, kind=kind: emit(Piece(kind, text)))  # type: ignore[misc]
                emit(VariantDone(self._store(variant_id, written, Origin.GENERATED, actor)))
            except AppError as error:
                failure = error
                emit(VariantDone(self._store_failure(variant_id, error)))
        done = self.get(generation_id)
        if failure is not None and not any(v.text for v in done.variants):
            return Failure(failure, generation_id)
        return Done(done)

    def _written(self, order: Order, kind: Kind, on_piece: Callable[[str], None]) -> Written:
        """One text, by the adapter that the project uses. Raises: the errors of ``app.llm``."""
        project_id = self._database.project_id or DEFAULT_PROJECT
        adapter = self._adapters.in_use(project_id, self._llm.model) if self._adapters else None
        if adapter:
            try:
                return write(self._llm.with_model(adapter), order, kind, on_piece)
            except ModelNotServed:  # inference looks for adapters when it starts
                log.warning("adapter_not_served", adapter=adapter, project_id=project_id)
        return write(self._llm, order, kind, on_piece)

    def _order(self, brief: str, platform: str) -> Order:
        site = SITES[platform] if platform else None
        return Order(
            brief=brief,
            platform=platform,
            passages=self._memory.context_for(brief, NOTES_CHARS),
            voice=self.voice(),
            limit=site.check(Post("")).limit if site else None,
            measure=(lambda text: site.check(Post(text)).text_problem) if site else (lambda _text: ""),
        )

    def _in_thread(
        self, work: Callable[[Callable[[Event], None]], Event], generation_id: str, variant_ids: list[str]
    ) -> Iterator[Event]:
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()

        def run() -> None:
            try:
                last = work(events.put)
            except AppError as error:
                log.warning("generation_failed", generation_id=generation_id, code=error.code, error=error.message)
                last = Failure(error, generation_id)
            except Exception:
                log.exception("generation_crashed", generation_id=generation_id)
                crash = AppError("The writing failed inside Herald.", hint="Try again; the app's log says more.")
                last = Failure(crash, generation_id)
            self._release(variant_ids)
            events.put(last)

        threading.Thread(target=run, name=f"generate-{generation_id}", daemon=True).start()
        return _until_end(events)

    def _claim(self, variant_ids: list[str]) -> None:
        with self._busy_lock:
            if self._busy & set(variant_ids):
                raise Conflict("This variant is being written just now.", hint="Wait for it.", code="being_written")
            self._busy |= set(variant_ids)

    def _release(self, variant_ids: list[str]) -> None:
        with self._busy_lock:
            self._busy -= set(variant_ids)

    def _store(self, variant_id: str, written: Written, origin: Origin, actor: str) -> Variant:
        with self._database.write() as session:
            row = _found(session, variant_id)
            _add_version(session, row, written.text, written.provenance, origin, actor)
            return _variant(row)

    def _store_failure(self, variant_id: str, error: AppError) -> Variant:
        with self._database.write() as session:
            row = _found(session, variant_id)
            row.error = {"code": error.code, "message": error.message, "hint": error.hint}
            row.updated_at = clock.now()
            return _variant(row)

    # -- reading and deciding ---------------------------------------------------------------------------------

    def get(self, generation_id: str) -> Generation:
        """The brief with its variants. Raises: NotFound."""
        with self._database.read() as session:
            row = repository.generation_by_id(session, generation_id)
            if row is None:
                raise NotFound(
                    f"There is no brief {generation_id[:60]}.", hint="GET /api/v1/generations lists those there are."
                )
            return _generation(row, repository.variants_of(session, [row.id]))

    def newest(self, limit: int = 20) -> list[Generation]:
        """The newest briefs first."""
        with self._database.read() as session:
            rows = repository.newest(session, limit)
            variants = repository.variants_of(session, [row.id for row in rows])
            return [_generation(row, [v for v in variants if v.generation_id == row.id]) for row in rows]

    def history(self, variant_id: str) -> list[Version]:
        """Every text that the variant has had, the newest first. Raises: NotFound."""
        with self._database.read() as session:
            _found(session, variant_id)
            return [
                Version(r.number, r.text, Origin(r.origin), dict(r.provenance), r.actor, r.created_at)
                for r in repository.versions_of(session, variant_id)
            ]

    def edit(self, variant_id: str, text: str, *, actor: str) -> Variant:
        """Replace the text; the earlier one stays in the history. Raises: NotFound, InvalidInput, Conflict."""
        text = checked_text(text, "The text", MAX_TEXT_CHARS).strip()
        self._claim([variant_id])
        try:
            with self._database.write() as session:
                row = _found(session, variant_id)
                if row.text != text:
                    provenance = {"made_by": "person", "edited_version": row.version}
                    _add_version(session, row, text, provenance, Origin.EDITED, actor)
                return _variant(row)
        finally:
            self._release([variant_id])

    def propose(self, variant_id: str, *, platform: str = "", account: str = "", actor: str) -> Action:
        """Make the present text a proposal to post, which waits for its approval like any other.

        Raises: NotFound, Conflict (nothing is written yet), InvalidInput (no platform, or params that are not valid).
        """
        with self._database.write() as session:
            row = _found(session, variant_id)
            if not row.text:
                raise Conflict(
                    "This variant has no text yet, so there is nothing to post.",
                    hint="Write it first: POST /api/v1/variants/{id}/regenerate.",
                    code="not_written",
                )
            generation = repository.generation_by_id(session, row.generation_id)
            chosen = platform or (generation.platform if generation else "")
            _require_platform(chosen, is_needed=True)
            params = {"platform": chosen, "text": row.text, "account": account}
            # A model wrote it, and documents may have had their say: a person looks at it, whatever the policies allow.
            action = self._actions.propose_in(session, "post_social", params, actor=actor, is_tainted=True)
            row.action_id = action.id
            return action

    def approved(self) -> Approved:
        """The texts that a person edited or approved, with the prompts that they were written for."""
        return approved_texts(self._database, self._actions, self._memory, self.voice())

    def paired(self, wanted: Iterable[Wanted]) -> Approved:
        """Texts from elsewhere that a person stands behind, with the prompts that a variant would be asked for by."""
        return paired(wanted, self._memory, self.voice())

    def voice(self) -> Voice:
        """How the project talks."""
        with self._database.read() as session:
            row = repository.voice(session)
            return Voice(row.description, tuple(row.banned_words)) if row else Voice()

    def set_voice(self, voice: Voice) -> Voice:
        """Replace it. Raises: InvalidInput."""
        description = checked_text(voice.description, "The voice", MAX_VOICE_CHARS) if voice.description.strip() else ""
        words = tuple(dict.fromkeys(w.strip() for w in voice.banned_words if w.strip()))
        if len(words) > MAX_BANNED_WORDS:
            raise InvalidInput(
                f"{len(words)} words are banned; at most {MAX_BANNED_WORDS} are allowed.", hint="Shorten the list."
            )
        for word in words:
            checked_text(word, "A banned word", 60)
        with self._database.write() as session:
            row = repository.voice(session)
            if row is None:
                row = VoiceRow(id=f"voi_{uuid.uuid4().hex}", description="", banned_words=[], updated_at=clock.now())
                repository.add(session, row)
            row.description, row.banned_words, row.updated_at = description, list(words), clock.now()
        return Voice(description, words)


def _require_platform(platform: str, *, is_needed: bool = False) -> None:
    if (platform or is_needed) and platform not in SITES:
        named = f"There is no platform {platform!r}." if platform else "The brief names no platform to post on."
        raise InvalidInput(named, hint=f"Known platforms: {', '.join(sorted(SITES))}.", code="unknown_platform")


def _add_version(
    session: Session, row: VariantRow, text: str, provenance: dict[str, Any], origin: Origin, actor: str
) -> None:
    at = clock.now()
    row.text, row.provenance, row.error = text, provenance, None
    row.version, row.updated_at = row.version + 1, at
    version = VariantVersionRow(
        variant_id=row.id,
        number=row.version,
        text=text,
        origin=origin.value,
        provenance=provenance,
        actor=actor,
        created_at=at,
    )
    repository.add(session, version)


def _found(session: Session, variant_id: str) -> VariantRow:
    row = repository.variant_by_id(session, variant_id)
    if row is None:
        raise NotFound(
            f"There is no variant {variant_id[:60]}.", hint="GET /api/v1/generations lists briefs with their variants."
        )
    return row


def _variant(row: VariantRow) -> Variant:
    return Variant(
        row.id, row.generation_id, Kind(row.kind), row.text, dict(row.provenance), row.error, row.version,
        row.action_id, row.updated_at,
    )  # fmt: skip


def _generation(row: GenerationRow, variants: list[VariantRow]) -> Generation:
    order = list(Kind)
    ordered = sorted((_variant(v) for v in variants), key=lambda v: order.index(v.kind))
    return Generation(row.id, row.brief, row.platform, row.actor, row.created_at, tuple(ordered))


def _until_end(events: queue.SimpleQueue[Event]) -> Iterator[Event]:
    while True:
        event = events.get()
        yield event
        if isinstance(event, Done | Failure):
            return
