"""Pure decisions about a training: which texts are learned from, and whether an adapter is better than the model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic_core

from app import facts
from app.errors import InvalidInput
from app.generation.approved import Approved, Pair

MIN_PAIRS = 20
MIN_HELD_OUT = 5
HELD_OUT_SHARE = 0.2
MAX_PAIRS = 2_000
MIN_GAIN = 0.01
"""An adapter has to lower the loss on held-out texts by this share at least: less may be chance."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One held-out text: mean loss in nats a token and what was written, without and with the adapter."""

    id: str
    base_loss: float
    loss: float
    base_text: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reasons`` say why the adapter is not better; ``figures`` are for its card."""

    reasons: tuple[str, ...]
    figures: dict[str, Any]


def joined(variants: Approved, posts: Approved) -> Approved:
    """All that a person stands behind. A text that is among the variants is not learned twice."""
    known = {pair.text.casefold() for pair in variants.pairs}
    added = [pair for pair in posts.pairs if pair.text.casefold() not in known]
    left_out = Counter(variants.left_out) + Counter(posts.left_out)
    return Approved((*variants.pairs, *added), dict(left_out))


def split(approved: Approved) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from, and pairs to compare on; all of one brief or conversation are on the same side.

    Raises: InvalidInput when there are too few.
    """
    pairs = list(approved.pairs)[-MAX_PAIRS:]
    if len(pairs) < MIN_PAIRS:
        left_out = "".join(f" {count} were left out: {why}." for why, count in approved.left_out.items())
        raise InvalidInput(
            f"There are {len(pairs)} texts to learn from; at least {MIN_PAIRS} are needed.{left_out}",
            hint="Write variants under Create, then edit them or approve them as posts; or have the chat write posts.",
            code="too_few_pairs",
        )
    wanted = max(MIN_HELD_OUT, round(len(pairs) * HELD_OUT_SHARE))
    held_out: list[Pair] = []
    # By a digest of what was asked: the same texts are held out next time, and new ones change little.
    groups = sorted(_groups(pairs), key=lambda group: hashlib.sha256(group[0].brief.encode()).digest())
    for group in groups:
        if len(held_out) >= wanted:
            break
        held_out += group
    held_ids = {pair.id for pair in held_out}
    training = [pair for pair in pairs if pair.id not in held_ids]
    if len(training) < len(held_out):
        raise InvalidInput(
            f"The {len(pairs)} texts come from {len(groups)} briefs and conversations; after {len(held_out)} "
            f"are held out, {len(training)} are left to learn from.",
            hint="Edit or approve texts of more briefs, or post more from the chat.",
            code="too_few_pairs",
        )
    return training, held_out


def _groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs that have a brief or a conversation in common, however many steps apart."""
    groups: list[tuple[set[str], list[Pair]]] = []
    for pair in pairs:
        keys = {f"group {pair.group}", f"brief {pair.brief.casefold()}"}
        like = [group for group in groups if group[0] & keys]
        groups = [group for group in groups if not group[0] & keys]
        groups.append((keys.union(*(k for k, _ in like)), [*(p for _, members in like for p in members), pair]))
    return [members for _, members in groups]


def verdict(compared: Sequence[Compared], held_out: Sequence[Pair]) -> Verdict:
    """Whether the adapter is better on the held-out texts, and in nothing that counts worse."""
    by_id = {pair.id: pair for pair in held_out}
    rows = [(row, by_id[row.id]) for row in compared]
    base, loss = _mean([row.base_loss for row, _ in rows]), _mean([row.loss for row, _ in rows])
    lower = sum(row.loss < row.base_loss for row, _ in rows)
    reasons = []
    if not loss < base * (1 - MIN_GAIN):
        reasons.append(f"its loss on held-out texts is {loss:.3f}, without it {base:.3f}")
    if lower * 2 <= len(rows):
        reasons.append(f"it is better on {lower} of {len(rows)} held-out texts")
    figures: dict[str, Any] = {"base_loss": round(base, 4), "loss": round(loss, 4), "lower_on": lower, "of": len(rows)}
    checks: dict[str, tuple[Callable[[str, Pair], bool], str]] = {
        "invented": (_has_invented, "texts with made-up facts"),
        "lost": (_has_lost, "texts that lost a fact of their brief"),
        "empty_or_too_long": (_has_wrong_length, "texts of a wrong length"),
    }
    for name, (is_wrong, words) in checks.items():
        before = sum(is_wrong(text_of(row.base_text), pair) for row, pair in rows)
        after = sum(is_wrong(text_of(row.text), pair) for row, pair in rows)
        figures[name] = {"base": before, "adapter": after}
        if after > before:
            reasons.append(f"it writes {after} {words}, without it {before}")
    return Verdict(tuple(reasons), figures)


def text_of(answer: str) -> str:
    """The text out of the model's JSON, as far as that goes; "" for none."""
    try:
        parsed = pydantic_core.from_json(answer, allow_partial="trailing-strings")
    except ValueError:
        return ""
    text = parsed.get("text") if isinstance(parsed, dict) else None
    return text.strip() if isinstance(text, str) else ""


def _has_invented(text: str, pair: Pair) -> bool:
    return bool(facts.unfounded(text, pair.sources))


def _has_lost(text: str, pair: Pair) -> bool:
    """Whether a number or an address that the person's own text keeps from the brief is missing."""
    wanted = (facts.numbers_in(pair.text) | facts.addresses_in(pair.text)) & (
        facts.numbers_in(pair.brief) | facts.addresses_in(pair.brief)
    )
    return not wanted <= facts.numbers_in(text) | facts.addresses_in(text)


def _has_wrong_length(text: str, pair: Pair) -> bool:
    return not text or len(text) > pair.limit


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
