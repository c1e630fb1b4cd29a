"""The API client over real HTTP: what it refuses, what it yields, how errors read."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from app.client import ApiError, Delta, Done, HeraldClient, Status
from tests.app.ui.conftest import serving
from tests.app.ui.fake_api import API_KEY, SESSION, FakeBox, Refusal, create_app


@pytest.fixture
def box() -> FakeBox:
    """A quick box."""
    return FakeBox(delta_s=0.0, step_s=0.05, think_s=0.0)


@pytest.fixture
def url(box: FakeBox) -> Iterator[str]:
    """The fake API's address."""
    with serving(create_app(box)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[HeraldClient]:
    """A client with the key."""
    with HeraldClient(url, api_key=API_KEY) as connected:
        yield connected


def refused(code: str, status: int | None = None) -> Any:
    """Expect an ApiError with this code."""
    return pytest.raises(ApiError, check=lambda e: e.code == code and status in (None, e.status))


def test_nothing_listening_says_how_to_start_it() -> None:
    """A refused connection is a sentence and a next step."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with HeraldClient(address, api_key="x") as client, pytest.raises(ApiError) as caught:
        client.health()
    assert caught.value.code == "unreachable"
    assert str(caught.value) == f"Herald is not running at {address}. Start it with ./scripts/up"


def test_another_program_on_the_port_is_recognised() -> None:
    """An answer without Herald's JSON is not taken for one."""
    other = FastAPI()

    @other.get("/{path:path}")
    def page(path: str) -> HTMLResponse:
        return HTMLResponse("<h1>Hello</h1>")

    with serving(other) as url, HeraldClient(url, api_key="x") as client, refused("bad_response", 200):
        client.conversations()


def test_a_wrong_key_is_refused(url: str) -> None:
    """The API's own words come through."""
    with HeraldClient(url, api_key="wrong") as client, refused("not_authenticated", 401):
        client.conversations()


def test_a_session_is_as_good_as_a_key(url: str) -> None:
    """Pages act with the browser's cookie."""
    with HeraldClient(url, session=SESSION) as client:
        assert client.conversations() == []


@pytest.mark.parametrize("hostile", ["../accounts", "..", ".", "", "a/b", "a?b=c", "a#b", "%2e%2e"])
def test_an_id_cannot_name_another_route(client: HeraldClient, hostile: str) -> None:
    """Whatever is typed as an id is one path segment."""
    with pytest.raises(ApiError, check=lambda e: e.status in (404, 405) or e.code == "bad_response"):
        client.action(hostile)


def test_a_download_outside_the_api_is_refused(client: HeraldClient) -> None:
    """Evidence addresses are paths of the API."""
    with refused("bad_path"):
        client.download("https://evil.example/x")


def test_a_stream_yields_status_pieces_and_the_whole_turn(client: HeraldClient) -> None:
    """The pieces together are the reply, and the last event is the turn."""
    events = list(client.chat_stream("Post on X: Hello"))
    assert isinstance(events[0], Status)
    done = events[-1]
    assert isinstance(done, Done)
    assert "".join(e.text for e in events if isinstance(e, Delta)) == done.turn["reply"]
    assert done.turn["action"] is not None
    assert done.turn["action"]["params"]["text"] == "Hello"


def test_an_error_before_the_stream_is_raised(client: HeraldClient, box: FakeBox) -> None:
    """A refusal of the request itself has its status."""
    box.fail_next_chat = Refusal(503, "inference_unavailable", "No model.", "Wait.")
    with refused("inference_unavailable", 503):
        list(client.chat_stream("Hello"))


def test_an_error_in_the_stream_is_raised(client: HeraldClient, box: FakeBox) -> None:
    """What came before it was not the reply."""
    box.break_next_chat = Refusal(500, "constraint_failed", "The constraint broke.", "Send it again.")
    with refused("constraint_failed"):
        list(client.chat_stream("Hello"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('event: delta\ndata: {"text": "a"}\n\n', "stream_ended"),
        ("", "stream_ended"),
        ("event: delta\ndata: not json\n\n", "bad_response"),
        (": a comment\n\nevent: unknown\ndata: {}\n\n", "stream_ended"),
    ],
)
def test_a_stream_that_breaks_off_is_an_error(body: str, code: str) -> None:
    """A reply without its end is never taken for whole."""
    app = FastAPI()

    @app.post("/api/v1/chat")
    def chat() -> StreamingResponse:
        return StreamingResponse(iter([body]), media_type="text/event-stream")

    with serving(app) as url, HeraldClient(url, api_key="x") as client, refused(code):
        list(client.chat_stream("Hello"))


def test_an_action_goes_its_whole_way(client: HeraldClient) -> None:
    """Propose, edit, approve the new digest, follow it, fetch the evidence."""
    action = client.propose("post_social", {"platform": "x", "text": "Helo"})
    edited = client.edit(action["id"], {"platform": "x", "text": "Hello"})
    assert edited["digest"] != action["digest"]
    with refused("digest_mismatch", 409):
        client.approve(action["id"], action["digest"])
    client.approve(action["id"], edited["digest"])
    seen: list[str] = []
    ended = client.wait(action["id"], on_change=lambda changed: seen.append(changed["status"]))
    assert ended["status"] == "succeeded"
    assert seen[-1] == "succeeded"
    assert client.download(ended["evidence"][0]["url"]).startswith(b"\x89PNG")
    with refused("already_decided", 409):
        client.reject(action["id"])


def test_waiting_for_a_proposal_that_nobody_decides_returns_at_once(client: HeraldClient) -> None:
    """An open proposal does not hang a script."""
    action = client.propose("scrape_url", {"url": "https://a.example"})
    assert client.wait(action["id"])["status"] == "awaiting_approval"


def test_waiting_has_an_end(client: HeraldClient, box: FakeBox) -> None:
    """A worker that never comes is an error that says what to look at."""
    box.step_s = 3
    action = client.propose("scrape_url", {"url": "https://a.example"})
    client.approve(action["id"], action["digest"])
    with refused("timeout"):
        client.wait(action["id"], timeout_s=0.2)


def test_memory_accounts_conversations_and_audit_answer(client: HeraldClient) -> None:
    """Every part of the interface is reachable through the one client."""
    document = client.add_document("prices.txt", io.BytesIO(b"Apples cost 2 euros."))
    assert client.search_memory("apples")[0]["filename"] == "prices.txt"
    assert [d["id"] for d in client.documents()] == [document["id"]]
    client.delete_document(document["id"])
    assert client.documents() == []
    account = client.add_account(platform="x", handle="@acme", username="me", password="secret")
    assert [a["handle"] for a in client.accounts()] == ["acme"]
    assert "password" not in account
    client.delete_account(account["id"])
    turn = client.chat("Post on X: Hello")
    assert [c["id"] for c in client.conversations("hello")] == [turn["conversation_id"]]
    assert client.conversations("nothing like it") == []
    assert len(client.conversation(turn["conversation_id"])["messages"]) == 2
    assert [e["event"] for e in client.audit(limit=1)] == ["proposed"]
    assert [a["id"] for a in client.actions("awaiting_approval")] == [turn["action"]["id"] if turn["action"] else ""]
    client.delete_conversation(turn["conversation_id"])
    with refused("not_found", 404):
        client.conversation(turn["conversation_id"])
