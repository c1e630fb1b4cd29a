"""The main job as a newcomer does it: the sign-in link, the chat, the card, the evidence, all in a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from app.settings import Settings
from automation.browser import find_chromium
from tests.e2e.box import ROOT, Box, running_box
from tests.sites import shop, social
from tests.sites.serving import serve

expect.set_options(timeout=30_000)
pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]
TURN_WITHIN_MS = 180_000
HANDLE, PASSWORD = next(iter(social.ACCOUNTS.items()))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box with the default model for all of these tests."""
    default_model = str(Settings.model_fields["model"].default)
    with running_box(tmp_path_factory.mktemp("box") / "home", model=default_model) as running:
        yield running


@pytest.fixture(scope="module")
def page(box: Box) -> Iterator[Page]:
    """A browser that signed in with the link that ``herald signin`` prints."""
    command = [sys.executable, "-m", "app.cli", "signin"]
    link = subprocess.run(command, cwd=ROOT, env=box.environment, capture_output=True, text=True, check=True).stdout
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(playwright), chromium_sandbox=os.geteuid() != 0
        )
        opened = browser.new_page(viewport={"width": 1280, "height": 860})
        opened.goto(f"{box.url}/")
        expect(opened.get_by_role("heading", name="Sign in to Herald")).to_be_visible()
        opened.goto(link.strip())
        expect(opened.get_by_role("heading", name="What shall we announce?")).to_be_visible(timeout=30_000)
        yield opened
        browser.close()


@pytest.fixture(autouse=True)
def shot(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """HERALD_TEST_SHOTS names a folder for a picture of each test's end."""
    yield
    folder = os.environ.get("HERALD_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{request.node.name}.png"))


def send(page: Page, message: str) -> None:
    """Start a new conversation with a message."""
    page.get_by_role("tab", name="Chat").click()
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".h-welcome")).to_be_visible()
    page.locator("#message textarea").fill(message)
    page.keyboard.press("Enter")


def approve(page: Page) -> None:
    """Press Approve and wait for the end."""
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".h-card")).to_have_attribute("data-status", "succeeded", timeout=TURN_WITHIN_MS)


def test_a_post_goes_from_the_chat_to_its_evidence(page: Page, box: Box) -> None:
    """Connect the account, ask, see the exact card, approve, see the screenshot and the post's address."""
    with serve(social.create_app()) as site:
        page.get_by_role("tab", name="Settings").click()
        page.get_by_text("Connect an account").click()
        page.get_by_label("Handle").fill(f"@{HANDLE}")
        page.get_by_label("Login name or mail address").fill(HANDLE)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Address of the site").fill(site)
        page.get_by_role("button", name="Connect").click()
        expect(page.locator("#accounts")).to_contain_text(f"@{HANDLE}")
        send(page, "Post on X: We open at 9am tomorrow!")
        card = page.locator(".h-card")
        expect(card).to_be_visible(timeout=TURN_WITHIN_MS)
        expect(card).to_contain_text("We open at 9am tomorrow!")
        expect(card).to_contain_text("/ 280")
        assert httpx.get(f"{site}/_posts", trust_env=False).json() == []
        approve(page)
        posts = httpx.get(f"{site}/_posts", trust_env=False).json()
        assert [post["text"] for post in posts] == ["We open at 9am tomorrow!"]
        expect(card.locator("img").first).to_be_visible()
        assert card.locator("img").first.evaluate("i => i.decode().then(() => i.naturalWidth)") > 300
        expect(card.locator(".h-final a").first).to_contain_text(site)
        page.reload()
        expect(page.locator(".h-card")).to_have_attribute("data-status", "succeeded")


def test_a_page_is_read_and_the_answer_quotes_it(page: Page) -> None:
    """The answer stands below the card, with the page as its source."""
    with serve(shop.create_app()) as site:
        send(page, f"Read {site}/prices and tell me what the sourdough bread costs")
        expect(page.locator(".h-card")).to_be_visible(timeout=TURN_WITHIN_MS)
        approve(page)
        answer = page.locator(".h-assistant").last
        expect(answer).to_contain_text("4.20", timeout=TURN_WITHIN_MS)
        expect(answer.locator(".h-source")).to_be_visible()


def test_a_dropped_document_is_used_with_its_name(page: Page) -> None:
    """Add it under Memory, ask in the chat, open the source."""
    page.get_by_role("tab", name="Memory").click()
    text = b"# Opening hours\n\nOn Sundays the bakery is open from 8:15 to 12:45.\n"
    file = {"name": "opening-hours.md", "mimeType": "text/markdown", "buffer": text}
    page.locator("input[type=file]").set_input_files([file])
    expect(page.locator("#documents")).to_contain_text("opening-hours.md", timeout=TURN_WITHIN_MS)
    send(page, "When is the bakery open on Sundays?")
    source = page.locator(".h-source").first
    expect(source).to_contain_text("opening-hours.md", timeout=TURN_WITHIN_MS)
    expect(page.locator(".h-prose").last).to_contain_text("8:15")
    source.locator("summary").click()
    expect(source).to_contain_text("from 8:15 to 12:45")
