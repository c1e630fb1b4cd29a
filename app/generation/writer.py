"""Writes one variant: asks the model, checks every sentence by code, asks anew with another seed, cuts the rest."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pydantic_core

from app.generation import prompt, rules
from app.generation.records import Kind, Voice, Written
from app.llm import ConstraintFailed, LlmClient, Purpose, Sampling
from app.looping import loop_start
from app.wording import Checked, Measure, checked, is_enough, whole_sentences

ATTEMPTS = 3
TEMPERATURE = 0.7
CHARS_PER_TOKEN = 2.5
"""Few, so that the limit in tokens is met only when the one in characters already was."""
TOKENS_ASIDE = 24


class Source(Protocol):
    """A passage that a text may take facts from."""

    @property
    def asset_id(self) -> str:
        """Its asset."""

    @property
    def filename(self) -> str:
        """That asset's name."""

    @property
    def place(self) -> str:
        """Where in it."""

    @property
    def text(self) -> str:
        """The passage."""

    @property
    def chunk_id(self) -> int:
        """Its id in the index."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written, and what it must hold to."""

    brief: str
    platform: str
    passages: Sequence[Source]
    voice: Voice
    limit: int | None
    measure: Measure

    @property
    def sources(self) -> list[str]:
        """Where facts may come from."""
        return [self.brief, *(f"{p.filename} {p.place}\n{p.text}" for p in self.passages)]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The passages as the prompt shows them."""
        return [(f"{p.filename}, {p.place}" if p.place else p.filename, p.text) for p in self.passages]


@dataclass(slots=True)
class _Tally:
    """What all attempts took together."""

    purpose: Purpose
    tokens: int = 0
    prompt_tokens: int = 0
    seeds: list[int] = field(default_factory=list)

    def take(self, usage: dict[str, Any] | None) -> None:
        if usage:
            self.tokens += int(usage.get("completion_tokens") or 0)
            self.prompt_tokens += int(usage.get("prompt_tokens") or 0)


def write(llm: LlmClient, order: Order, kind: Kind, on_piece: Callable[[str], None]) -> Written:
    """One variant that holds nothing but facts of the brief and the passages, and that fits.

    The best of some attempts is taken; when none says anything that may stand, the brief's own first sentences are.

    Raises: the errors of ``app.llm``.
    """
    began = time.monotonic()
    limit = rules.max_chars(kind, order.limit)
    tally = _Tally(Purpose("generate", order.brief))
    best: Checked | None = None
    seed = 0
    for attempt in range(ATTEMPTS):
        if attempt:
            on_piece("")  # the last attempt's text is taken back
        tried = secrets.randbelow(2**31)
        tally.seeds.append(tried)
        found = checked(
            _asked(llm, order, kind, limit, tried, tally, on_piece),
            order.sources,
            order.voice.banned_words,
            order.measure,
        )
        if best is None or _worth(found) > _worth(best):
            best, seed = found, tried
        if not found.problems and is_enough(found.text):
            break
    assert best is not None, "there is at least one attempt"
    text, made_by = best.text, "model"
    if not is_enough(text):
        text, made_by, seed = rules.from_brief(order.brief, order.measure, limit), "brief", 0
    if kind is Kind.CALL:
        text = rules.with_address(text, order.brief, order.measure)
    return Written(text, _provenance(llm, order, tally, best, made_by, seed, time.monotonic() - began))


def _worth(found: Checked) -> tuple[bool, bool, int]:
    return (is_enough(found.text), not found.problems, len(found.text))


def _asked(
    llm: LlmClient, order: Order, kind: Kind, limit: int, seed: int, tally: _Tally, on_piece: Callable[[str], None]
) -> str:
    """What the model writes, shown while it comes. A text that ran out of room, or
    began to repeat itself, ends at its last whole sentence."""
    messages = prompt.messages(order.brief, order.notes, order.voice, kind, limit)
    sampling = Sampling(max_tokens=int(limit / CHARS_PER_TOKEN) + TOKENS_ASIDE, temperature=TEMPERATURE, seed=seed)
    raw, text, finish_reason, start = "", "", None, None
    pieces = llm.stream(messages, prompt.schema(limit), sampling, tally.purpose)
    try:
        for piece in pieces:
            raw += piece.text
            tally.take(piece.usage)
            finish_reason = piece.finish_reason or finish_reason
            shown, text = text, _text_of(raw)
            if len(text) > len(shown):
                on_piece(text[len(shown) :])
            if (start := loop_start(text)) is not None:
                break
    finally:
        pieces.close()  # type: ignore[attr-defined]  # closing it aborts the request
    if not text:
        raise ConstraintFailed("The model wrote no text, so nothing of it was used.", hint="Try again.")
    is_cut = start is not None or finish_reason == "length" or len(text) >= limit
    return whole_sentences(text[:start]) if is_cut else text


def _text_of(raw: str) -> str:
    try:
        parsed = pydantic_core.from_json(raw, allow_partial="trailing-strings")
    except ValueError:
        return ""
    text = parsed.get("text") if isinstance(parsed, dict) else None
    return text if isinstance(text, str) else ""


def _provenance(
    llm: LlmClient, order: Order, tally: _Tally, found: Checked, made_by: str, seed: int, seconds: float
) -> dict[str, Any]:
    return {
        "made_by": made_by,
        "model": llm.model,
        "prompt_version": prompt.VERSION,
        "seed": seed,
        "attempts": len(tally.seeds),
        "tokens": tally.tokens,
        "prompt_tokens": tally.prompt_tokens,
        "seconds": round(seconds, 2),
        "platform": order.platform,
        "chunks": [
            {"asset_id": p.asset_id, "filename": p.filename, "place": p.place, "chunk_id": p.chunk_id}
            for p in order.passages
        ],
        "cut": list(found.cut) if made_by == "model" else [],
    }
