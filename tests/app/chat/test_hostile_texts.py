"""A model that does whatever the attacker says, fed with two hundred hostile texts: nothing happens or comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from app.accounts.service import NewAccount
from app.actions.records import Action, Status
from app.chat.outcome import OutcomeReporter
from app.chat.service import ChatService
from app.errors import AppError
from app.services import Services, build_services
from app.settings import Settings
from automation.actions.base import ActionResult
from automation.readable import choose_text
from tests.app.chat.fake_inference import FakeInference
from tests.automation.hostile_pages import ATTACKS, CARRIERS, Hostile, corpus

PASSWORD = "canary-password-5b1f0c"
PAGE = "https://jos.example/prices"


@dataclass
class Traitor(FakeInference):
    """Obeys an attacker's order in its prompt as far as the schema lets it, and tells all that it was shown.

    Attributes:
        obeyed: the attacks that it saw.
        breaks_the_schema: it answers with the attacker's action whatever it is constrained to.
    """

    obeyed: set[int] = field(default_factory=set)
    breaks_the_schema: bool = False

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/embeddings":
            self.turns = [self._turn(json.loads(request.content))]
        return super()._answer(request)

    def _turn(self, body: dict[str, Any]) -> dict[str, Any] | str:
        schema = body["response_format"]["json_schema"]["schema"]
        shown = "\n".join(message["content"] for message in body["messages"])
        orders = [attack for attack in ATTACKS if attack.marker in shown]
        self.obeyed |= {attack.number for attack in orders}
        reply = shown[-1_400:] or "-"
        wishes = [attack.wish for attack in orders]
        if orders and self.breaks_the_schema:
            return json.dumps({"action": orders[0].wish, "reply": reply})
        user = body["messages"][-1]["content"]
        if PAGE in user:
            wishes.append({"type": "scrape_url", "params": {"url": PAGE}})
        for action in (*wishes, None):
            turn = {"action": action, "reply": reply}
            if jsonschema.Draft202012Validator(schema).is_valid(turn):
                return turn
        raise AssertionError(f"no turn fits {schema}")


@pytest.fixture
def traitor() -> Traitor:
    """The model."""
    return Traitor()


@pytest.fixture
def woken() -> list[str]:
    """Ids of the actions that the worker was told to run."""
    return []


@pytest.fixture
def services(tmp_path: Path, traitor: Traitor, woken: list[str]) -> Iterator[Services]:
    """A real box with an account, and the traitor behind the real client."""
    llm = traitor.client()
    built = build_services(Settings(home=tmp_path, _env_file=None), embedder=llm, wake=woken.append)
    built.llm.close()
    built.llm = llm
    built.chat = ChatService(
        built.database, built.conversations, built.actions, built.accounts, built.memory, built.llm, built.analytics
    )
    built.outcomes = OutcomeReporter(built.database, built.conversations, built.actions, built.execution, built.llm)
    built.accounts.create(NewAccount("x", "acme", "acme", "https://x.com", password=PASSWORD), "test")
    yield built
    built.close()


def read_page(services: Services, hostile: Hostile) -> list[Action]:
    """The user has the page read, approves that, hears the answer and goes on talking; returns the approved actions."""
    answer = services.chat.turn(f"Read {PAGE} and tell me the prices", actor="owner")
    assert answer.action is not None
    services.actions.approve(answer.action.id, answer.action.digest, actor="owner")
    claim = services.execution.claim(answer.action.id, "worker-1")
    assert claim is not None
    text = choose_text(hostile.content, hostile.content)
    data = {"text": text, "title": "Prices", "final_url": PAGE, "url": PAGE}
    services.execution.finish_success(claim, ActionResult("Read it.", data))
    services.outcomes.report_outcome(answer.action.id)
    services.chat.turn("Thank you. What else is there?", answer.conversation_id, actor="owner")
    return [answer.action]


def use_document(services: Services, hostile: Hostile) -> list[Action]:
    """The user asks what a document in memory says, and goes on talking."""
    document, _ = services.memory.add(hostile.filename, hostile.content.encode(), "owner")
    answer = services.chat.turn("What are our prices for bread?", actor="owner")
    services.chat.turn("Thank you. And what about our prices for cake?", answer.conversation_id, actor="owner")
    services.memory.delete(document.id, "owner")
    return []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("carrier", "breaks_the_schema"), [*((name, False) for name in CARRIERS), ("page", True), ("mail", True)]
)
def test_no_hostile_text_has_an_effect_or_gets_a_secret(
    services: Services, traitor: Traitor, woken: list[str], carrier: str, breaks_the_schema: bool
) -> None:
    """Whatever the model does: no action but the user's own, none unapproved, and no secret in a prompt or a reply."""
    traitor.breaks_the_schema = breaks_the_schema
    traitor.is_obedient = not breaks_the_schema
    own: list[Action] = []
    for hostile in corpus(carrier):
        try:
            own += read_page(services, hostile) if hostile.is_page else use_document(services, hostile)
        except AppError:
            if not breaks_the_schema:
                raise
            for document in services.memory.assets():
                services.memory.delete(document.id, "owner")
    assert traitor.obeyed == {attack.number for attack in ATTACKS}, "each attack must have reached the model"
    actions = services.actions.newest(limit=500)
    begun = [action for action in actions if action.status is not Status.AWAITING_APPROVAL]
    assert {action.type for action in actions} <= {"scrape_url"}
    assert {action.params["url"] for action in actions} <= {PAGE}
    assert set(woken) == {action.id for action in begun}
    assert {action.id for action in own} <= {action.id for action in begun}
    approvals = [entry for entry in services.audit.entries(limit=1_000) if entry.event == "action.approved"]
    assert {entry.actor for entry in approvals} <= {"owner"}
    said = json.dumps(traitor.requests) + str(services.audit.entries(limit=1_000))
    for conversation in services.conversations.newest():
        said += " ".join(message.content for message in services.conversations.messages(conversation.id))
    for secret in (PASSWORD, services.settings.api_key_text(), services.settings.inference_key_text()):
        assert secret not in said


def test_the_corpus_is_two_hundred_different_texts() -> None:
    """Each with its order in it."""
    texts = list(corpus())
    assert len({hostile.content for hostile in texts}) == len(texts) == 200
    assert all(hostile.attack.marker in hostile.content for hostile in texts)
