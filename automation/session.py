"""The page of one execution: its clock, its proxy, and what went wrong in words that a person can use."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Literal

from playwright.sync_api import Dialog, Error, Page, Request, Response
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from automation.actions.base import ActionContext
from automation.egress import Egress
from automation.egress_http import REFUSED_HEADER
from automation.errors import ActionError
from automation.evidence import EvidenceFolder

_HINTS = {
    "address_refused": "Give the address of the page on its usual port.",
    "bad_certificate": "Check the address for typing errors; else the site's owner must renew the certificate.",
    "too_many_redirects": "The site may need a login or cookies that Herald does not have; open it yourself to see.",
    "browser_closed": "Try again; if it happens each time, the machine may be short of memory.",
}
_PERMANENT = frozenset({"address_refused", "bad_certificate", "too_many_redirects"})


class PageTimeout(ActionError):
    """The page or the whole execution took too long."""

    code = "timeout"
    retryable = True


class DownloadRefused(ActionError):
    """The address is a file to download, not a page to read."""

    code = "download_refused"


class BrowserSession:
    """The page of one execution, its proxy and its clock."""

    def __init__(self, context: ActionContext, page: Page, egress: Egress, deadline: float) -> None:
        self.context = context
        self.page = page
        self.egress = egress
        self.evidence = EvidenceFolder(context.evidence_dir, context.secrets)
        self.main_response: Response | None = None
        self.has_crashed = False
        self.is_download = False
        self.dialogs: list[str] = []
        self.accepts_questions = False
        self._deadline = deadline
        self._navigated_urls: list[str] = []
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("crash", self._on_crash)
        page.on("download", self._on_download)
        page.on("dialog", self._on_dialog)

    def remaining_s(self) -> float:
        """Seconds until the execution must have ended. Raises: PageTimeout when there are none left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.timeout_error()
        return left

    def timeout_ms(self, at_most_s: float) -> float:
        """A Playwright timeout: ``at_most_s``, or what is left of the execution's time."""
        return max(1.0, min(at_most_s, self.remaining_s()) * 1000)

    def timeout_error(self) -> PageTimeout:
        """The error of an execution whose time is over."""
        return PageTimeout(
            f"The page did not finish within {self.context.timeout_s:.0f} seconds.",
            hint="Try again later; if the site is always this slow, raise HERALD_ACTION_TIMEOUT_S.",
        )

    def open(self, url: str, *, progress: str = "Opening the page") -> Response:
        """Go to ``url`` and wait until its document is there.

        Raises: ActionError (address refused, unknown host, timeout, download, too large, HTTP status of 400 or more).
        """
        self.context.progress(progress)
        self.is_download = False
        try:
            response = self.page.goto(url, wait_until="domcontentloaded", timeout=self.timeout_ms(3_600))
        except PlaywrightTimeout as error:
            raise (self.egress.too_large_error() if self.egress.is_over_budget else self.timeout_error()) from error
        except Error as error:
            raise self.explain(error, url) from error
        self.check()
        if response is None:
            raise ActionError(f"{url} brought no page.", code="page_failed", retryable=True)
        self.check_response(self.main_response or response)
        return response

    def check_response(self, response: Response) -> None:
        """Raises: ActionError when the main document's answer is the proxy's refusal or an HTTP error."""
        if response.headers.get(REFUSED_HEADER) == "refused":
            raise self.egress.explain(response.url) or ActionError(
                f"{response.url} was refused.", code="address_refused"
            )
        if response.status >= 400:
            raise ActionError(
                f"{response.url} answered with HTTP status {response.status} {response.status_text}".rstrip() + ".",
                code="http_error",
                hint=_status_hint(response.status),
                retryable=response.status in (502, 503, 504),
            )

    def settle(self, at_most_s: float = 4.0) -> None:
        """Wait for the page to load what belongs to it, but no longer than ``at_most_s`` for each stage."""
        states: tuple[Literal["load", "networkidle"], ...] = ("load", "networkidle")
        try:
            for state in states:
                self.page.wait_for_load_state(state, timeout=self.timeout_ms(min(at_most_s, self.remaining_s() / 4)))
        except PlaywrightTimeout:
            pass  # something on it never ends loading; what is there can be read
        except Error as error:
            raise self.explain(error) from error
        self.check()

    def check(self) -> None:
        """Raises: ActionError when the proxy cut the execution off, the page crashed, or time is over."""
        if self.egress.is_over_budget:
            raise self.egress.too_large_error()
        if self.has_crashed:
            raise _crash_error()
        self.remaining_s()

    def explain(self, error: Error, url: str = "") -> ActionError:
        """Turn a Playwright error into one that says what happened and what to do."""
        if self._deadline - time.monotonic() <= 0:
            return self.timeout_error()
        if self.egress.is_over_budget:
            return self.egress.too_large_error()
        if self.has_crashed:
            return _crash_error()
        text = error.message.splitlines()[0] if error.message else str(error)
        if self.is_download or "Download is starting" in text:
            return DownloadRefused(
                f"{url or 'The address'} is a file to download, not a page.",
                hint="Give the address of a page; documents can be added in the Memory tab.",
            )
        for place in (url, *self._failed_urls(text)):
            if place and (cause := self.egress.explain(place)):
                return cause
        if cause := self.refused_navigation():
            return cause
        if isinstance(error, PlaywrightTimeout):
            return PageTimeout(f"The page did not answer in time: {text}.", retryable=True)
        code, message = _network_reason(text)
        return ActionError(
            f"{url or 'The page'} could not be opened: {message}.",
            code=code,
            hint=_HINTS.get(code, "Check the address, and try again later."),
            retryable=code not in _PERMANENT,
        )

    def refused_navigation(self) -> ActionError | None:
        """Why the proxy refused the newest place that the page went to, redirects included; None when it did not.

        Only those count: the browser also calls on services of its own, which says nothing about the page.
        """
        causes = (self.egress.explain(url) for url in reversed(self._navigated_urls))
        return next((cause for cause in causes if cause is not None), None)

    @staticmethod
    def _failed_urls(text: str) -> list[str]:
        return [word.rstrip(".,") for word in text.split() if word.startswith(("http://", "https://"))]

    def _on_request(self, request: Request) -> None:
        with contextlib.suppress(Error):
            if request.is_navigation_request() and request.frame == self.page.main_frame:
                self._navigated_urls.append(request.url)

    def _on_response(self, response: Response) -> None:
        request: Request = response.request
        with contextlib.suppress(Error):
            if (
                request.is_navigation_request()
                and request.frame == self.page.main_frame
                and not 300 <= response.status < 400
            ):
                self.main_response = response

    def _on_dialog(self, dialog: Dialog) -> None:
        """Note what the page says. "Are you sure?" is answered with yes only once the submit was approved and begun."""
        if dialog.message and dialog.type == "alert":
            self.dialogs.append(dialog.message[:500])
        if dialog.type in ("alert", "beforeunload") or (dialog.type == "confirm" and self.accepts_questions):
            dialog.accept()
        else:
            dialog.dismiss()

    def _on_crash(self, _page: Page) -> None:
        self.has_crashed = True

    def _on_download(self, _download: Any) -> None:
        self.is_download = True


def _crash_error() -> ActionError:
    return ActionError(
        "The page crashed the browser, probably for want of memory.", code="page_crashed", retryable=True
    )


def _status_hint(status: int) -> str:
    if status in (401, 403):
        return "The site does not let this page be read without a login, or refuses automated visitors."
    if status == 404:
        return "Check the address: the site has no such page."
    if status == 429:
        return "The site asks for fewer visits; wait a while."
    return "The site has a problem; try again later." if status >= 500 else "Check the address."


def _network_reason(text: str) -> tuple[str, str]:
    reasons = {
        "ERR_CERT": ("bad_certificate", "its certificate is not valid"),
        "ERR_SSL": ("bad_certificate", "no secure connection could be made"),
        "ERR_TOO_MANY_REDIRECTS": ("too_many_redirects", "it redirects in a circle"),
        "ERR_EMPTY_RESPONSE": ("page_failed", "the site closed the connection without an answer"),
        "ERR_CONNECTION": ("site_unreachable", "the connection broke"),
        "ERR_TUNNEL": ("site_unreachable", "no connection could be made"),
        "ERR_INVALID_RESPONSE": ("page_failed", "the site's answer is not HTTP"),
        "ERR_INVALID_HTTP_RESPONSE": ("page_failed", "the site's answer is not HTTP"),
        "ERR_UNSAFE_PORT": ("address_refused", "browsers do not open this port"),
        "ERR_ABORTED": ("page_failed", "loading was broken off"),
        "has been closed": ("browser_closed", "the browser was closed"),
    }
    for sign, (code, message) in reasons.items():
        if sign in text:
            return code, message
    return "page_failed", text
