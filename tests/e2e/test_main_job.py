"""The main job with the default model: a message, a proposal, an approval, a real browser, evidence, an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.client import ApiError, HeraldClient
from app.settings import Settings
from tests.e2e.box import Box, running_box
from tests.sites import shop, social
from tests.sites.serving import serve

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box with the default model for all of these tests."""
    default_model = str(Settings.model_fields["model"].default)
    with running_box(tmp_path_factory.mktemp("box") / "home", model=default_model) as running:
        yield running


@pytest.fixture
def client(box: Box) -> Iterator[HeraldClient]:
    """The box's API."""
    with box.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def social_url() -> Iterator[str]:
    """A social network with a login, a composer and a timeline."""
    with serve(social.create_app()) as url:
        yield url


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    """A shop with prices."""
    with serve(shop.create_app()) as url:
        yield url


def test_a_wrong_key_reaches_nothing(box: Box) -> None:
    """Without the key there is no chat."""
    with HeraldClient(box.url, api_key="wrong") as stranger, pytest.raises(ApiError) as raised:
        stranger.chat("hello")
    assert raised.value.status == 401


def test_a_post_is_proposed_approved_published_and_proved(client: HeraldClient, social_url: str) -> None:
    """The first message of the README, to the evidence."""
    client.add_account(
        platform="x",
        handle="@acme",
        username="acme",
        password="s3cret",
        base_url=social_url,
    )
    turn = client.chat("Post on X: We open at 9am tomorrow!")
    action = turn["action"]
    assert action is not None
    assert action["type"] == "post_social"
    assert action["params"]["text"] == "We open at 9am tomorrow!"
    assert action["status"] == "awaiting_approval"
    posts = httpx.get(f"{social_url}/_posts", trust_env=False).json()
    assert posts == []

    client.approve(action["id"], action["digest"])
    done = client.wait(action["id"], timeout_s=180)
    assert done["status"] == "succeeded", done["error"]
    posts = httpx.get(f"{social_url}/_posts", trust_env=False).json()
    assert [post["text"] for post in posts] == ["We open at 9am tomorrow!"]
    screenshots = [e for e in done["evidence"] if e["kind"] == "screenshot"]
    assert client.download(screenshots[-1]["url"]).startswith(PNG)


def test_a_page_is_read_and_its_prices_are_quoted(client: HeraldClient, shop_url: str) -> None:
    """Nothing is read before the approval; the answer has the page's own figures and names the page."""
    turn = client.chat(f"Read {shop_url}/prices and tell me what the sourdough bread costs")
    action = turn["action"]
    assert action is not None
    assert action["type"] == "scrape_url"
    client.approve(action["id"], action["digest"])
    done = client.wait(action["id"], timeout_s=180)
    assert done["status"] == "succeeded", done["error"]
    answer = _last_answer(client, turn["conversation_id"], after=2)
    assert "4.20" in answer["content"]
    assert answer["sources"][0]["place"].startswith(shop_url)


def test_a_document_is_answered_from_and_named(client: HeraldClient, tmp_path: Path) -> None:
    """What was dropped into memory is used in the next answer, with its name."""
    document = tmp_path / "opening-hours.md"
    document.write_text("# Opening hours\n\nOn Sundays the bakery is open from 8:15 to 12:45.\n", encoding="utf-8")
    with document.open("rb") as content:
        client.add_document(document.name, content)
    turn = client.chat("When is the bakery open on Sundays?")
    assert turn["action"] is None
    assert "8:15" in turn["reply"]
    assert "opening-hours.md" in turn["reply"]
    assert turn["sources"][0]["filename"] == "opening-hours.md"


def test_killed_processes_come_back_and_the_work_goes_on(box: Box, client: HeraldClient, shop_url: str) -> None:
    """A worker and an inference process that die in the middle leave a clear status; what was approved still runs."""
    turn = client.chat(f"Read {shop_url}/prices and tell me the prices")
    action = turn["action"]
    assert action is not None
    box.kill("automation.worker")
    client.approve(action["id"], action["digest"])
    done = client.wait(action["id"], timeout_s=240)
    assert done["status"] == "succeeded", done["error"]
    box.kill("inference")
    with pytest.raises(ApiError) as raised:
        client.chat("hello")
    assert raised.value.status == 503
    box.wait_until_ready()
    assert client.chat("hello")["reply"]


def _last_answer(client: HeraldClient, conversation_id: str, *, after: int) -> dict[str, object]:
    """Wait for the message that follows the first ``after`` ones."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        messages = client.conversation(conversation_id)["messages"]
        if len(messages) > after:
            return dict(messages[-1])
        time.sleep(0.5)
    raise AssertionError("the outcome was not reported to the conversation")
