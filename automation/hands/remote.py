"""A browser of the hands that is shown to the account's owner: pictures go out, clicks, keys and scrolling come in.

Runs in a child. The owner logs in himself, whatever the site asks of him; what is kept is the browser's storage state.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error, Page
from pydantic import BaseModel

from automation.actions.base import ActionContext
from automation.browser import open_browser
from automation.errors import ActionError
from automation.remote_inputs import INPUTS, Click, Command, Drag, Input, Key, Scroll, Text
from automation.session import BrowserSession

_TICK_MS = 80
_QUALITY = 60


class Frame(BaseModel):
    """What the browser shows: a JPEG of 1280 × 900 pixels in base64, and where it is."""

    jpeg: str
    url: str
    title: str


class LoginCancelled(ActionError):
    """The owner gave up, or closed the page."""

    code = "login_cancelled"


def show_browser(
    url: str, context: ActionContext, show: Callable[[dict[str, Any]], None], inputs: Callable[[], list[Any]]
) -> dict[str, Any]:
    """Open ``url`` and do what the owner does until he says that he is logged in; returns the storage state.

    Args:
        show: given a ``Frame`` whenever the picture changed.
        inputs: what the owner did since it was last asked.

    Raises: ActionError, LoginCancelled.
    """
    with open_browser(context, storage_state=context.load_session()) as session:
        pages = [session.page]
        session.page.context.on("page", lambda page: pages.append(page))  # noqa: PLW0108 - a built-in takes no attributes
        session.open(url, progress="Opening the site")
        shown = ""
        while True:
            session.check()
            page = [page for page in pages if not page.is_closed()][-1]
            for one in INPUTS.validate_python(inputs()):
                if isinstance(one, Command) and one.kind == "done":
                    state: dict[str, Any] = session.page.context.storage_state()  # type: ignore[assignment]
                    return state
                if isinstance(one, Command) and one.kind == "cancel":
                    raise LoginCancelled("The login was given up; nothing was kept.")
                with contextlib.suppress(Error):  # the page went on meanwhile
                    _do(page, one)
            shown = _show(session, page, show, shown)
            with contextlib.suppress(Error):
                page.wait_for_timeout(_TICK_MS)


def _do(page: Page, one: Input) -> None:
    if isinstance(one, Click):
        page.mouse.click(one.x, one.y, click_count=one.count)
    elif isinstance(one, Drag):
        page.mouse.move(one.x, one.y)
        page.mouse.down()
        page.mouse.move(one.to_x, one.to_y, steps=15)
        page.mouse.up()
    elif isinstance(one, Scroll):
        page.mouse.wheel(0, one.dy)
    elif isinstance(one, Text):
        page.keyboard.insert_text(one.text) if len(one.text) > 1 else page.keyboard.type(one.text)
    elif isinstance(one, Key):
        page.keyboard.press(one.key)
    elif one.kind == "back":
        page.go_back(wait_until="commit", timeout=5_000)
    elif one.kind == "reload":
        page.reload(wait_until="commit", timeout=10_000)


def _show(session: BrowserSession, page: Page, show: Callable[[dict[str, Any]], None], shown: str) -> str:
    """Show the picture if it is another one than ``shown``; returns what is shown now."""
    try:
        jpeg = page.screenshot(type="jpeg", quality=_QUALITY, caret="initial", timeout=session.timeout_ms(10))
        frame = Frame(jpeg=base64.b64encode(jpeg).decode(), url=page.url[:2_000], title=page.title()[:300])
    except Error:
        return shown  # between two pages
    seen = hashlib.sha256(jpeg + frame.url.encode()).hexdigest()
    if seen != shown:
        show(frame.model_dump())
    return seen
