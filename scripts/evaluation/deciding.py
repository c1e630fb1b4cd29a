"""Judges the decision alone, in this process: no app, no reply, and no model where its opinions are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.chat.contract import Offer
from app.chat.decision import decide
from app.chat.prompt import PastMessage
from app.llm import UNNAMED, LlmClient, Message, Purpose
from scripts.evaluation.cases import Case
from scripts.evaluation.judging import Outcome, is_exact, wanted_type


class RememberedOpinion(LlmClient):
    """A model that has said already what it takes the one message for."""

    def __init__(self, model: str, opinion: Sequence[float]) -> None:
        super().__init__("http://127.0.0.1", "", model)
        self._opinion = list(opinion)

    def first_word(self, messages: list[Message], words: Sequence[str], purpose: Purpose = UNNAMED) -> list[float]:
        """The remembered answer."""
        return self._opinion


def outcome_of(case: Case, llm: LlmClient) -> Outcome:
    """Decide the case's last turn; params that the model would still write are taken as they should be."""
    history: list[PastMessage] = []
    for turn, reply in zip(case.turns, case.replies, strict=False):
        history += [PastMessage("user", turn), PastMessage("assistant", reply["reply"], reply["action"])]
    decision = decide(case.turns[-1], history, (), llm)
    action = _action(decision.offer) if decision.offer else None
    before = case.replies[-1]["reply"] if case.replies else ""
    return Outcome(
        case.id,
        wanted_type(case),
        action["type"] if action else "null",
        is_exact(case, action, before),
        0.0,
        str(action or decision.question or "an answer in words"),
    )


def _action(offer: Offer) -> dict[str, Any]:
    """The settled params of the offer; a text to be written is "…", which is wrong where one was dictated."""
    params: dict[str, Any] = {}
    for name, keywords in offer.narrow.items():
        if "const" in keywords:
            params[name] = keywords["const"]
        elif "enum" in keywords:
            params[name] = keywords["enum"][0]
        elif "properties" in keywords:
            params[name] = {field: schema["const"] for field, schema in keywords["properties"].items()}
    if offer.action_type.name == "post_social":
        params.setdefault("text", "…")
    params.setdefault("fields", {})
    return {"type": offer.action_type.name, "params": params}
