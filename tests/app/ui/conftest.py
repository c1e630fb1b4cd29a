"""Serves the page over the fake API on a free port and opens a real Chromium on it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Request, Response, expect, sync_playwright

from app.settings import Settings
from app.ui import mount
from automation.browser import find_chromium
from tests.app.ui.fake_api import SESSION, FakeBox, create_app

WITHIN_MS = 15_000
# Playwright's own 5 s are too few where two browsers and a model share two cores.
expect.set_options(timeout=30_000)


@dataclass
class Served:
    """A running page and the state behind it."""

    url: str
    box: FakeBox


@dataclass
class Watched:
    """What a page did that nobody asked for."""

    url: str
    problems: list[str] = field(default_factory=list)
    allowed_status: set[int] = field(default_factory=set)

    def request(self, request: Request) -> None:
        """Note a request to another host."""
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"asked another host: {request.url}")

    def response(self, response: Response) -> None:
        """Note a failed request."""
        if response.status >= 400 and response.status not in self.allowed_status:
            self.problems.append(f"{response.status} {response.url}")


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an app on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="module")
def page_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for a module's tests."""
    box = FakeBox()
    app = mount(create_app(box), Settings(home=tmp_path_factory.mktemp("home"), _env_file=None))
    with serving(app) as url:
        yield Served(url, box)


@pytest.fixture
def served(page_app: Served) -> Served:
    """The server with an empty box."""
    page_app.box.reset()
    return page_app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=find_chromium(playwright), chromium_sandbox=os.geteuid() != 0
        )
        yield found
        found.close()


@pytest.fixture
def watched(served: Served) -> Watched:
    """What the page did that nobody asked for; a test fails over it."""
    return Watched(served.url)


@pytest.fixture
def viewport() -> tuple[int, int]:
    """Width and height of the page in pixels; tests parametrize it."""
    return 1280, 860


@pytest.fixture
def page(
    served: Served, browser: Browser, watched: Watched, viewport: tuple[int, int], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A signed-in page."""
    width, height = viewport
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(WITHIN_MS)
    context.add_cookies([{"name": "herald_session", "value": SESSION, "url": served.url}])
    opened = context.new_page()
    opened.on("request", watched.request)
    opened.on("response", watched.response)
    opened.on("pageerror", lambda error: watched.problems.append(f"script error: {error}"))
    opened.on(
        "console",
        lambda m: (
            watched.problems.append(f"console: {m.text}")
            if m.type == "error" and "Failed to load resource" not in m.text  # seen as a response already
            else None
        ),
    )
    yield opened
    shots = os.environ.get("HERALD_TEST_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=str(Path(shots) / f"{request.node.name}.png"))
    context.close()
    assert watched.problems == []


def choose_tab(page: Page, name: str) -> None:
    """Press a tab; on a narrow page it may lie in the menu of further ones."""
    tab = page.get_by_role("tab", name=name, exact=True)
    more = page.get_by_role("button", name="More tabs")
    expect(tab.or_(more).locator("visible=true").first).to_be_visible()
    if tab.locator("visible=true").count():
        tab.locator("visible=true").first.click()
        return
    more.click()
    page.locator(".overflow-dropdown").get_by_role("button", name=name, exact=True).click()
