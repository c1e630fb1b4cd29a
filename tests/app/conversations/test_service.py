"""Conversations are kept, found and forgotten."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.conversations.service import title_of
from app.errors import NotFound
from app.services import Services


def test_an_unknown_conversation_is_not_found(client: TestClient, services: Services) -> None:
    """To read, to append, to delete."""
    assert client.get("/api/v1/conversations/conv_x").status_code == 404
    assert client.delete("/api/v1/conversations/conv_x").status_code == 404
    with pytest.raises(NotFound):
        services.conversations.append("conv_x", "user", "hi")


def test_messages_come_in_order_with_their_action_as_it_is_now(client: TestClient, services: Services) -> None:
    """Not as it was when it was proposed."""
    conversation = services.conversations.create("Read example.com please")
    services.conversations.append(conversation.id, "user", "Read example.com please")
    action = services.actions.propose(
        "scrape_url", {"url": "https://example.com"}, actor="model", conversation_id=conversation.id
    )
    sources = [{"document_id": "doc_1", "filename": "a.md", "place": "Menu", "quote": "q", "score": 0.5}]
    services.conversations.append(conversation.id, "assistant", "I can.", sources=sources, action_id=action.id)
    services.actions.reject(action.id, actor="owner")
    body = client.get(f"/api/v1/conversations/{conversation.id}").json()
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("user", "Read example.com please"),
        ("assistant", "I can."),
    ]
    assert body["messages"][1]["sources"] == sources
    assert body["messages"][0]["action"] is None
    assert body["messages"][1]["action"]["status"] == "rejected"
    question = services.conversations.question_before_action(action.id)
    assert question is not None
    assert question.content == "Read example.com please"


def test_the_newest_messages_alone(services: Services) -> None:
    """In their order."""
    conversation = services.conversations.create("x")
    for number in range(5):
        services.conversations.append(conversation.id, "user", str(number))
    assert [m.content for m in services.conversations.messages(conversation.id, newest_only=2)] == ["3", "4"]


def test_the_last_used_conversation_comes_first(client: TestClient, services: Services) -> None:
    """Whichever was begun first."""
    first, second = services.conversations.create("first"), services.conversations.create("second")
    services.conversations.append(first.id, "user", "again")
    listed = client.get("/api/v1/conversations").json()["conversations"]
    assert [c["id"] for c in listed] == [first.id, second.id]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("espresso", True),
        ("ESPRESSO", True),
        ("100%", True),
        ("100_", False),
        ("%", True),
        ("tea", False),
        ("'", False),
    ],
)
def test_search_looks_into_titles_and_messages_literally(
    client: TestClient, services: Services, q: str, found: bool
) -> None:
    """Case aside; wildcards are characters like others."""
    conversation = services.conversations.create("Coffee")
    services.conversations.append(conversation.id, "user", "Espresso is 100% arabica")
    services.conversations.create("Something else")
    listed = client.get("/api/v1/conversations", params={"q": q}).json()["conversations"]
    assert [c["id"] for c in listed] == ([conversation.id] if found else [])


def test_a_search_with_a_control_character_is_refused(client: TestClient) -> None:
    """A NUL ends a full-text query in the middle of a quoted word."""
    answer = client.get("/api/v1/conversations", params={"q": "!Wr\x00E"})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "text_unacceptable"


def test_deleting_keeps_the_action_for_the_log(client: TestClient, services: Services) -> None:
    """Messages go; what was done stays recorded."""
    conversation = services.conversations.create("x")
    action = services.actions.propose(
        "scrape_url", {"url": "https://example.com"}, actor="model", conversation_id=conversation.id
    )
    services.conversations.append(conversation.id, "assistant", "ok", action_id=action.id)
    assert client.delete(f"/api/v1/conversations/{conversation.id}").status_code == 204
    assert client.get(f"/api/v1/actions/{action.id}").json()["conversation_id"] is None
    assert services.conversations.question_before_action(action.id) is None


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Hi", "Hi"),
        ("  two\n\nlines  ", "two lines"),
        ("word " * 40, "word " * 14 + "word…"),
        ("x" * 200, "x" * 79 + "…"),
    ],
)
def test_titles_are_one_short_line(message: str, title: str) -> None:
    """Cut at a word where there is one."""
    assert title_of(message) == title
