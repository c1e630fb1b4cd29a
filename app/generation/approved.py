"""Texts that a person stands behind, each with the prompt that it was written for: what a model can learn from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app import facts
from app.actions.records import Action, Status
from app.actions.service import ActionService
from app.db.engine import Database
from app.errors import NotFound
from app.generation import prompt, repository, rules
from app.generation.records import Kind, Origin, Voice
from app.generation.tables import GenerationRow, VariantRow, VariantVersionRow
from app.llm import Message
from app.memory.service import MemoryService
from automation.sites.base import Post
from automation.sites.registry import SITES

APPROVED = frozenset({Status.APPROVED, Status.SENDING, Status.SUCCEEDED, Status.UNCONFIRMED, Status.FAILED})


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt as the model gets it, and the text that is wanted.

    Attributes:
        group: texts of one group are never on both sides of a comparison.
        sources: where the text's facts may come from: the brief and its passages.
        origin: ``edited`` by a person, or ``approved`` as it was.
    """

    id: str
    group: str
    brief: str
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    limit: int
    text: str
    sources: tuple[str, ...]
    origin: str

    @property
    def answer(self) -> str:
        """The text as the model has to write it."""
        return json.dumps({"text": self.text}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Approved:
    """The pairs, and how many texts were left out for which reason."""

    pairs: tuple[Pair, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text that a person stands behind, with what it was written from.

    Attributes:
        platform: "" for none.
        kind: how long it is to be.
        chunks: ``{"asset_id", "chunk_id", "filename", "place"}`` of each passage.
    """

    id: str
    group: str
    brief: str
    platform: str
    kind: Kind
    chunks: Sequence[dict[str, Any]]
    text: str
    origin: str


def approved_texts(database: Database, actions: ActionService, memory: MemoryService, voice: Voice) -> Approved:
    """The project's variants that were edited or approved by a person, the oldest first."""
    wanted: list[Wanted] = []
    with database.read() as session:
        for generation, variant, versions in _written(session):
            text, origin = _wanted(versions, _action(actions, variant))
            if text:
                chunks: list[dict[str, Any]] = next(
                    (v.provenance.get("chunks", []) for v in versions if v.origin != Origin.EDITED), []
                )
                kind, platform = Kind(variant.kind), generation.platform
                brief = generation.brief
                wanted.append(Wanted(variant.id, brief, brief, platform, kind, chunks, text, origin))
    return paired(wanted, memory, voice)


def paired(wanted: Iterable[Wanted], memory: MemoryService, voice: Voice) -> Approved:
    """Each text once for its brief, with the prompt that asks for it.

    A text that states what neither its brief nor its passages hold is left out: it would teach to invent.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    left_out: Counter[str] = Counter()
    for each in wanted:
        pair = _pair(each, memory, voice)
        if len(pair.text) > pair.limit:
            left_out["longer than the platform or its kind allows"] += 1
        elif facts.unfounded(pair.text, pair.sources):
            left_out["with facts that its brief and documents do not hold"] += 1
        else:
            pairs[pair.brief.casefold(), pair.text.casefold()] = pair
    return Approved(tuple(pairs.values()), dict(left_out))


def _written(session: Session) -> Iterator[tuple[GenerationRow, VariantRow, list[VariantVersionRow]]]:
    for generation in repository.every(session):
        for variant in sorted(repository.variants_of(session, [generation.id]), key=lambda v: v.kind):
            if versions := repository.versions_of(session, variant.id):
                yield generation, variant, versions


def _action(actions: ActionService, variant: VariantRow) -> Action | None:
    if variant.action_id is None:
        return None
    try:
        return actions.get(variant.action_id)
    except NotFound:
        return None


def _wanted(versions: Sequence[VariantVersionRow], action: Action | None) -> tuple[str, str]:
    """The text that a person approved, else the one that they edited last; "" for neither."""
    is_approved = action is not None and action.status in APPROVED
    if is_approved and action is not None and is_by_a_person(action):
        text = str(action.params.get("text", "")).strip()
        generated = {version.text.strip() for version in versions if version.origin != Origin.EDITED}
        return text, "approved" if text in generated else "edited"
    newest = versions[0]
    if newest.origin == Origin.EDITED and (action is None or action.status is not Status.REJECTED):
        return newest.text.strip(), "edited"
    return "", ""


def is_by_a_person(action: Action) -> bool:
    """Whether somebody, not a policy alone, approved it."""
    return any(not approval.by.startswith("policy ") for approval in action.approvals)


def _pair(wanted: Wanted, memory: MemoryService, voice: Voice) -> Pair:
    site = SITES.get(wanted.platform)
    limit = rules.max_chars(wanted.kind, site.check(Post("")).limit if site else None)
    notes = _notes(wanted.chunks, memory)
    return Pair(
        id=wanted.id,
        group=wanted.group,
        brief=wanted.brief,
        messages=tuple(prompt.messages(wanted.brief, notes, voice, wanted.kind, limit)),
        schema=prompt.schema(limit),
        limit=limit,
        text=wanted.text,
        sources=(wanted.brief, *(f"{source}\n{passage}" for source, passage in notes)),
        origin=wanted.origin,
    )


def _notes(chunks: Sequence[dict[str, Any]], memory: MemoryService) -> list[tuple[str, str]]:
    """The passages that the text was written with, as far as they still are in memory."""
    notes = []
    for chunk in chunks:
        try:
            passage = memory.passage(str(chunk["asset_id"]), int(chunk["chunk_id"]))
        except NotFound:
            continue
        source = f"{chunk['filename']}, {chunk['place']}" if chunk["place"] else str(chunk["filename"])
        notes.append((source, passage.text))
    return notes
