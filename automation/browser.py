"""One browser for one execution: Chromium through Playwright, behind the filtering proxy, with a deadline.

The browser gets a fresh context (no cookies but the account's own), no downloads, no service workers, no way around
the proxy, and is killed when the execution's time is over, whatever its page is doing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from automation.actions.base import ActionContext
from automation.config import AutomationSettings
from automation.egress import Egress, Resolver, open_egress
from automation.errors import ActionError
from automation.remote_inputs import HEIGHT, WIDTH
from automation.session import BrowserSession

log = logging.getLogger(__name__)

VIEWPORT = {"width": WIDTH, "height": HEIGHT}
_SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_FLAGS = (
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-breakpad",
    "--dns-prefetch-disable",
    "--no-pings",
    # Names are resolved by the proxy alone; the browser itself can resolve nothing.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    # WebRTC would open UDP sockets past the proxy.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
)


# What Chromium says on its way out when it can have neither user namespaces nor its setuid program.
_NO_SANDBOX = ("No usable sandbox", "The SUID sandbox helper", "Failed to move to new namespace", "zygote_host_impl")
# How to end the browser of each execution under way in this process, by action id.
_killers: dict[str, Callable[[], None]] = {}


class SandboxForbidden(ActionError):
    """The system does not let Chromium build its sandbox, and the settings do not allow to go on without."""

    code = "sandbox_forbidden"


class BrowserMissing(ActionError):
    """No Chromium is installed, or it does not start."""

    code = "browser_missing"
    is_site_fault = False


def find_chromium(playwright: Playwright | None = None) -> str:
    """The executable to drive: HERALD_CHROMIUM, Playwright's own, or an installed Chromium or Chrome.

    Raises: BrowserMissing, naming the commands that install one.
    """
    chosen = AutomationSettings().chromium
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise BrowserMissing(
                f"HERALD_CHROMIUM is set to {chosen}, which is not an executable file.",
                hint="Correct the setting, or remove it to have the browser searched for.",
            )
        return found
    if playwright is not None and Path(playwright.chromium.executable_path).exists():
        return playwright.chromium.executable_path
    for name in _SYSTEM_BROWSERS:
        if found := shutil.which(name):
            return found
    raise BrowserMissing(
        "No Chromium is installed, so no page can be opened.",
        hint="Install one: sudo apt install chromium, or run: playwright install chromium. "
        "Or name an installed one in HERALD_CHROMIUM.",
    )


@contextlib.contextmanager
def open_browser(
    context: ActionContext,
    *,
    storage_state: dict[str, Any] | None = None,
    max_bytes: int | None = None,
    resolver: Resolver | None = None,
    agent: str = "",
) -> Iterator[BrowserSession]:
    """Start a browser behind the execution's proxy, and take it down again.

    Args:
        agent: what the browser's User-Agent ends with, for sites to know that a program reads; empty for an owner's
            own doing.

    A Playwright error inside becomes an ActionError, with a screenshot of the failure where the page can still be
    drawn. Raises: ActionError.
    """
    deadline = time.monotonic() + context.timeout_s
    context.progress("Starting the browser")
    with (
        open_egress(context, max_bytes=max_bytes, resolver=resolver) as egress,
        _playwright() as playwright,
        _launched(playwright, egress) as browser,
        _killable(browser, deadline + 2, egress, context.action_id),
    ):
        browser_context = browser.new_context(
            viewport=VIEWPORT,  # type: ignore[arg-type]
            storage_state=storage_state,  # type: ignore[arg-type]
            accept_downloads=False,
            service_workers="block",
            locale="en-US",
            user_agent=f"{_plain_agent(browser)} {agent}" if agent else None,
        )
        browser_context.set_default_timeout(min(20.0, context.timeout_s) * 1000)
        session = BrowserSession(context, browser_context.new_page(), egress, deadline)
        try:
            yield session
        except ActionError as error:
            if not session.has_crashed and browser.is_connected() and deadline > time.monotonic():
                session.evidence.screenshot(session.page, "The page when it failed", "failed")
            error.evidence = session.evidence.items
            raise
        except Error as error:
            explained = session.explain(error)
            log.warning("browser error: %s", error.message.partition("\n")[0])
            explained.evidence = session.evidence.items
            raise explained from error


@contextlib.contextmanager
def _playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@contextlib.contextmanager
def _launched(playwright: Playwright, egress: Egress) -> Iterator[Browser]:
    executable = find_chromium(playwright)
    has_sandbox = AutomationSettings().chromium_sandbox and not _is_root()
    try:
        browser = playwright.chromium.launch(
            executable_path=executable,
            headless=True,
            chromium_sandbox=has_sandbox,
            args=list(_FLAGS),
            proxy={"server": egress.url, "bypass": "<-loopback>"},
            timeout=60_000,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
    except Error as error:
        if has_sandbox and any(sign in error.message for sign in _NO_SANDBOX):
            raise SandboxForbidden(
                f"Chromium ({executable}) was not started: this system forbids it the sandbox that shields the machine "
                "from the pages it opens.",
                hint="Allow unprivileged user namespaces (docs/deployment.md says how), or set "
                "HERALD_CHROMIUM_SANDBOX=false to go on without.",
            ) from error
        raise BrowserMissing(
            f"Chromium ({executable}) does not start: {_launch_reason(error.message)}",
            hint="Run: playwright install --with-deps chromium, or set HERALD_CHROMIUM to a browser that works.",
            retryable=True,
        ) from error
    try:
        yield browser
    finally:
        with contextlib.suppress(Error):
            browser.close()


@contextlib.contextmanager
def _killable(browser: Browser, deadline: float, egress: Egress, action_id: str) -> Iterator[None]:
    """Kill the browser's process when time is over, it received too much, or the worker says so.

    A page in an endless loop answers no other request, and one that is being parsed takes its time.
    """
    pid = _browser_pid(browser)

    def kill() -> None:
        log.warning("killing the browser of action %s: its time or bytes are used up, or the worker stops", action_id)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), kill)
    timer.daemon = True
    timer.start()
    egress.on_over_budget = kill
    _killers[action_id] = kill
    try:
        yield
    finally:
        _killers.pop(action_id, None)
        egress.on_over_budget = lambda: None
        timer.cancel()


def kill_browser_of(action_id: str) -> None:
    """End the browser that works for the action, from another thread; its execution then fails at once."""
    kill = _killers.get(action_id)
    if kill is not None:
        kill()


def _plain_agent(browser: Browser) -> str:
    """The User-Agent of a Chromium with a window; source: Chromium's reduced User-Agent."""
    major = browser.version.partition(".")[0]
    return f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"


def _is_root() -> bool:
    """Chromium refuses its sandbox to root. The hands are never root; a test or a tool that opens a browser may be."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _browser_pid(browser: Browser) -> int:
    session = browser.new_browser_cdp_session()
    try:
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    finally:
        session.detach()
    return int(next(p["id"] for p in processes if p["type"] == "browser"))


def _launch_reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and "[pid=" in line] or lines
    return telling[0][:300] if telling else "no reason given"
