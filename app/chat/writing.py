"""Has the model write what a turn leaves open, and lets nothing stand that runs in circles or that nobody said.

A turn always ends: one that repeats itself, or that runs out of room, is cut back to its last whole sentence. The text
of a post is held against the user's messages and the passages, like a variant's; what it makes up is written again once
and then cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.chat import faults
from app.chat.contract import Offer, PartialTurn, Proposal, Turn, parse_turn, turn_schema
from app.chat.decision import ASK_FOR_FACTS, ASK_FOR_TEXT
from app.chat.drafts import draft_in
from app.chat.features import offers_post
from app.llm import ConstraintFailed, LlmClient, Message, Purpose, Sampling
from app.looping import loop_start
from app.wording import Checked, checked, is_enough, whole_sentences
from automation.sites.base import Post
from automation.sites.registry import SITES

_NETWORKS = tuple(site.title for site in SITES.values())
SAMPLING = Sampling(max_tokens=1_200)
ANEW = Sampling(max_tokens=600, temperature=0.3)
"""For the second attempt at a post: the same might come again greedily, and a small model strays when it is warmer."""
ASTRAY = Sampling(max_tokens=600, temperature=0.8)
"""For the second attempt where nothing at all was said: "¡" over and over comes back at a lower temperature."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        offers: the settled action, none for words alone.
        may_count: whether the reply may hold digits.
        on_reply: is given each new piece of the reply.
    """

    messages: Sequence[Message]
    offers: Sequence[Offer]
    purpose: Purpose
    on_reply: Callable[[str], None]
    may_count: bool = True


@dataclass(frozen=True, slots=True)
class _Draft:
    """What came. ``reply`` and ``post`` end at a whole sentence where the model did not end them."""

    turn: PartialTurn
    reply: str
    post: str
    is_whole: bool


def written(llm: LlmClient, order: Order) -> Turn:
    """A turn of which only words are open. Raises: ConstraintFailed, and the errors of ``LlmClient.stream``."""
    draft = _drafted(llm, order, SAMPLING)
    if not (draft.is_whole or draft.reply):
        draft = _drafted(llm, replace(order, on_reply=lambda _text: None), ASTRAY)
    if draft.is_whole:
        return parse_turn(draft.turn.text, list(order.offers))
    if not draft.reply:
        raise ConstraintFailed(
            f"The model did not finish its turn within {SAMPLING.max_tokens} tokens, so nothing of it was used.",
            hint="Ask for something shorter.",
        )
    ended = {"action": draft.turn.action, "reply": draft.reply}
    return parse_turn(json.dumps(ended, ensure_ascii=False), list(order.offers))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A text with what was cut from it, and how many things are wrong with it that cutting does not mend."""

    found: Checked
    faults: int

    @property
    def is_good(self) -> bool:
        return is_enough(self.found.text) and not self.faults

    @property
    def worth(self) -> tuple[bool, int, bool, int]:
        return (is_enough(self.found.text), -self.faults, not self.found.problems, len(self.found.text))


def post_written(
    llm: LlmClient, order: Order, message: str, sources: Sequence[str], tell: Callable[[str], None]
) -> Turn:
    """A turn that proposes a post whose text states nothing but what ``sources`` hold, else a question.

    Args:
        message: what was asked.
        sources: the user's messages and the passages that the model was shown.
        tell: is told what is done, where it takes longer.
    Raises: as ``written``.
    """
    offer = order.offers[0]

    def judged(text: str) -> _Attempt:
        return _judged(text, offer, message, sources)

    first = _drafted(llm, order, SAMPLING, is_wanted=lambda text: judged(text).is_good)
    best = judged(first.post)
    if not best.is_good:
        tell("Writing it again, closer to what was said")
        again = replace(order, messages=_reminded(order.messages, message))
        second = _drafted(llm, again, ANEW, is_wanted=lambda _text: False)
        best = max(best, judged(second.post), key=lambda attempt: attempt.worth)
    text = best.found.text
    if not is_enough(text):
        return Turn(ASK_FOR_FACTS if best.found.problems else ASK_FOR_TEXT, None)
    if not first.reply or first.turn.action is None:
        settled = replace(offer, narrow=offer.narrow | {"text": {"const": text}})
        return written(llm, replace(order, offers=[settled]))
    params = offer.action_type.params_class.model_validate(first.turn.action["params"] | {"text": text})
    return Turn(first.reply, Proposal(offer.action_type.name, params))


def _reminded(messages: Sequence[Message], message: str) -> list[Message]:
    *before, last = messages
    return [*before, {"role": last["role"], "content": f"{last['content']}\n{faults.reminder(message)}"}]


def _judged(text: str, offer: Offer, message: str, sources: Sequence[str]) -> _Attempt:
    site = SITES[str(offer.narrow["platform"]["const"])]
    plain = faults.without_echo(text, message)
    found = checked(
        plain,
        sources,
        [],
        lambda part: site.check(Post(part)).text_problem,
        also_named=_NETWORKS,
        takes_hashtags=True,
    )
    wrong = [faults.is_in_another_language(found.text, message), faults.is_beside_the_point(found.text, message)]
    return _Attempt(found, sum(wrong) + len(faults.left_out(found.text, message)))


def _drafted(
    llm: LlmClient, order: Order, sampling: Sampling, *, is_wanted: Callable[[str], bool] | None = None
) -> _Draft:
    """Stream a turn until it ends, repeats itself, or has a post that is not wanted; such a one gets no reply."""
    turn = PartialTurn(order.on_reply)
    finish_reason, start, is_left = None, None, False
    schema = turn_schema(list(order.offers), must_act=bool(order.offers), may_count=order.may_count)
    pieces = llm.stream(list(order.messages), schema, sampling, order.purpose)
    try:
        for piece in pieces:
            is_first = turn.reply is None
            turn.take(piece.text)
            finish_reason = piece.finish_reason or finish_reason
            is_first = is_first and turn.reply is not None
            is_left = is_first and is_wanted is not None and not is_wanted(_post(turn, order, None))
            start = loop_start(_open_text(turn, order))
            if is_left or start is not None:
                break
            turn.show()
    finally:
        pieces.close()  # type: ignore[attr-defined]  # closing it aborts the request
    is_whole = not is_left and start is None and finish_reason not in {None, "length"}
    reply = "" if is_left else _reply(turn, start, is_whole=is_whole)
    return _Draft(turn, reply, _post(turn, order, start), is_whole)


def _open_text(turn: PartialTurn, order: Order) -> str:
    """What the model is writing at the moment; a settled text may repeat itself as it likes."""
    if turn.reply is not None:
        return turn.reply
    return turn.post if _room(order) is not None else ""


def _room(order: Order) -> int | None:
    """The most characters of a post that is to be written, None where there is none."""
    room: int | None = order.offers[0].narrow.get("text", {}).get("maxLength") if order.offers else None
    return room


def _reply(turn: PartialTurn, start: int | None, *, is_whole: bool) -> str:
    reply = turn.reply or ""
    if is_whole:
        return reply
    cut = whole_sentences(reply[:start]) or reply[:start].strip()
    return cut if re.search(r"\w", cut) else ""  # "¡" over and over leaves nothing to show


def _post(turn: PartialTurn, order: Order, start: int | None) -> str:
    post = turn.post
    room = _room(order)
    if turn.reply is None:
        return whole_sentences(post[:start])
    return whole_sentences(post) if room is not None and len(post) >= room else post


def draft_checked(reply: str, sources: Sequence[str]) -> str:
    """A reply whose draft of a post, if it shows one, states nothing but what ``sources`` hold."""
    draft = draft_in(reply) if offers_post(reply) else ""
    if not draft:
        return reply
    found = checked(draft, sources, [], lambda _text: "", also_named=_NETWORKS, takes_hashtags=True)
    if not found.cut:
        return reply
    return reply.replace(draft, found.text) if is_enough(found.text) else ASK_FOR_FACTS
