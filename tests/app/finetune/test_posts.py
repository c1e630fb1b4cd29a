"""Which posts of the chat teach the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.accounts.service import NewAccount
from app.chat.events import Answer
from app.chat.service import ChatService
from app.finetune.posts import published_posts
from app.generation.approved import Pair
from app.services import Services
from automation.actions.base import ActionResult
from tests.app.chat.fake_inference import FakeInference

ASKED = "Write a tweet that the plum cake is back from Friday and post it"
TEXT = "The plum cake is back from Friday. Come by!"


@pytest.fixture
def inference() -> FakeInference:
    """The scripted model."""
    return FakeInference()


@pytest.fixture
def chat(services: Services, inference: FakeInference) -> Iterator[ChatService]:
    """The chat with the scripted model, and an account to post with."""
    client = inference.client()
    services.accounts.create(NewAccount("x", "@acme", "acme", "", password="s"), actor="t")
    yield ChatService(
        services.database,
        services.conversations,
        services.actions,
        services.accounts,
        services.memory,
        client,
        services.analytics,
    )
    client.close()


def turn(text: str) -> dict[str, Any]:
    """A post on X as the model writes it."""
    return {"action": {"type": "post_social", "params": {"platform": "x", "text": text}}, "reply": "Here it is."}


def proposed(chat: ChatService, inference: FakeInference, *messages: str, turns: list[dict[str, Any]]) -> Answer:
    """The last answer of a conversation."""
    inference.turns = [*turns]
    answer: Answer | None = None
    for message in messages:
        answer = chat.turn(message, answer.conversation_id if answer else None, actor="ada")
    assert answer is not None
    assert answer.action is not None
    return answer


def published(services: Services, answer: Answer) -> None:
    """Have a person approve it, and the worker say that it went out."""
    assert answer.action is not None
    action = services.actions.get(answer.action.id)
    services.actions.approve(action.id, action.digest, actor="ada")
    claim = services.execution.claim(action.id, "worker-1")
    assert claim is not None
    services.execution.finish_success(claim, ActionResult("Posted", {}))


def learned(services: Services) -> tuple[Pair, ...]:
    """The pairs of the posts."""
    return services.generation.paired(published_posts(services.conversations, services.actions)).pairs


def test_what_did_not_go_out_teaches_nothing(chat: ChatService, services: Services, inference: FakeInference) -> None:
    """Proposed, rejected, or approved and not sent yet."""
    answers = [proposed(chat, inference, ASKED, turns=[turn(TEXT)]) for _ in range(3)]
    actions = [services.actions.get(answer.action.id) for answer in answers if answer.action]
    services.actions.reject(actions[0].id, actor="ada")
    services.actions.approve(actions[1].id, actions[1].digest, actor="ada")
    assert learned(services) == ()


def test_what_was_dictated_teaches_nothing(chat: ChatService, services: Services, inference: FakeInference) -> None:
    """The words are the user's own, also where they were edited afterwards."""
    answer = proposed(chat, inference, f"Post on X: {TEXT}", turns=[turn(TEXT)])
    assert answer.action is not None
    services.actions.edit(answer.action.id, {"platform": "x", "text": f"{TEXT} Soon!"}, actor="ada")
    published(services, answer)
    assert learned(services) == ()


def test_a_published_post_is_learned_with_its_request(
    chat: ChatService, services: Services, inference: FakeInference
) -> None:
    """In the form in which variants are asked for; all texts of a conversation are in its group."""
    answer = proposed(chat, inference, ASKED, turns=[turn(TEXT)])
    published(services, answer)
    [pair] = learned(services)
    assert (pair.text, pair.brief, pair.origin, pair.group) == (TEXT, ASKED, "approved", answer.conversation_id)
    assert ASKED in pair.messages[-1]["content"]
    assert pair.schema["properties"]["text"]["maxLength"] == pair.limit == 160


def test_an_edited_post_is_learned_as_it_was_edited(
    chat: ChatService, services: Services, inference: FakeInference
) -> None:
    """The person's words are what is wanted; facts that only they knew are not."""
    wanted = "Friday: the plum cake is back!"
    for text in (wanted, "Plum cake for 3.90 euro from Friday!"):
        answer = proposed(chat, inference, ASKED, turns=[turn(TEXT)])
        assert answer.action is not None
        services.actions.edit(answer.action.id, {"platform": "x", "text": text}, actor="ada")
        published(services, answer)
    assert [(pair.text, pair.origin) for pair in learned(services)] == [(wanted, "edited")]


def test_a_draft_that_was_published_is_learned_with_all_that_was_said(
    chat: ChatService, services: Services, inference: FakeInference
) -> None:
    """“Post it” alone says nothing of what was wanted."""
    asked = "Draft a tweet that the plum cake is back from Friday"
    shown = {"action": None, "reply": f"{TEXT} Shall I post it?"}
    answer = proposed(chat, inference, asked, "ok post it", turns=[shown, turn(TEXT)])
    published(services, answer)
    [pair] = learned(services)
    assert (pair.text, pair.brief, pair.origin) == (TEXT, f"{asked}\nok post it", "approved")


def test_deleted_conversations_and_other_projects_teach_nothing(
    chat: ChatService, services: Services, inference: FakeInference
) -> None:
    """What is gone is gone, and nobody learns from his neighbour."""
    answer = proposed(chat, inference, ASKED, turns=[turn(TEXT)])
    published(services, answer)
    other = services.within("prj_other")
    assert list(published_posts(other.conversations, other.actions)) == []
    services.conversations.delete(answer.conversation_id)
    assert learned(services) == ()
