"""The browser behind its proxy: no way around it, no page that outlives its action."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from automation import browser
from automation.actions.base import ActionContext, ActionError
from automation.browser import find_chromium, kill_browser_of, open_browser
from automation.egress import EgressProxy

pytestmark = pytest.mark.browser


def test_a_wrong_executable_is_named(
    monkeypatch: pytest.MonkeyPatch, make_context: Callable[..., ActionContext]
) -> None:
    """HERALD_CHROMIUM that is no program, and one that is no browser, are clear errors."""
    monkeypatch.setenv("HERALD_CHROMIUM", "/nonexistent/chromium")
    with pytest.raises(ActionError, match="HERALD_CHROMIUM") as caught:
        find_chromium()
    assert caught.value.code == "browser_missing"
    monkeypatch.setenv("HERALD_CHROMIUM", "/bin/false")
    with pytest.raises(ActionError, match="does not start") as caught, open_browser(make_context()):
        pass
    assert "playwright install" in caught.value.hint


def test_no_browser_at_all_names_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any Chromium the error says how to install one."""
    monkeypatch.setattr(browser.shutil, "which", lambda _name: None)
    with pytest.raises(ActionError) as caught:
        find_chromium()
    assert "apt install chromium" in caught.value.hint


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_way_around_the_proxy(shop_url: str, make_context: Callable[..., ActionContext]) -> None:
    """Images, frames, fetch, beacons, websockets, prefetch and WebRTC of a page reach nothing that is forbidden."""
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = tcp.getsockname()[1]
    udp.bind(("127.0.0.1", port))
    udp.settimeout(0.1)
    shop_port = int(shop_url.rsplit(":", 1)[1])

    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host != "127.0.0.2" else ["127.0.0.2"]

    refused: list[tuple[str, int]] = []
    with open_browser(make_context(), resolver=resolve) as session:
        assert isinstance(session.egress, EgressProxy)
        # The shop itself is allowed; the listener's port stands for everything that is not.
        checked = session.egress._checked_addresses

        async def check(host: str, wanted: int) -> object:
            if wanted != shop_port:
                refused.append((host, wanted))
                raise ActionError("not here", code="address_refused")
            return await checked(host, wanted)

        session.egress._checked_addresses = check  # type: ignore[assignment, method-assign]
        session.open(f"{shop_url}/reaching?to=http://127.0.0.1:{port}/x")
        session.settle()
        session.page.wait_for_timeout(1_500)
        text = session.page.inner_text("#out")
    tcp.settimeout(0.1)
    with pytest.raises(TimeoutError):
        tcp.accept()
    with pytest.raises(TimeoutError):
        udp.recvfrom(2_000)
    assert refused, "the page did try"
    assert "ws-failed" in text
    assert "ws-open" not in text
    tcp.close()
    udp.close()


def test_killing_from_another_thread_ends_the_execution(
    shop_url: str, make_context: Callable[..., ActionContext]
) -> None:
    """A stopping worker ends a page that never loads at once."""
    context = make_context()
    threading.Timer(4.0, kill_browser_of, [context.action_id]).start()
    started = time.monotonic()
    with pytest.raises(ActionError), open_browser(context) as session:
        session.open(f"{shop_url}/hang")
    assert time.monotonic() - started < 20
    kill_browser_of(context.action_id)  # over: nothing to end


def test_a_killed_worker_leaves_no_browser_behind(shop_url: str, tmp_path: Path) -> None:
    """After kill -9 of the process its Chromium is gone within seconds."""
    script = f"""
import sys, time
from pathlib import Path
from automation.actions.base import ActionContext
from automation.browser import open_browser, _browser_pid
context = ActionContext("a", Path({str(tmp_path)!r}), True, 60, lambda t: None, lambda: None)
with open_browser(context) as session:
    print(_browser_pid(session.page.context.browser), flush=True)
    time.sleep(60)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _is_alive(pid):
        time.sleep(0.2)
    assert not _is_alive(pid)


def test_context_is_fresh_and_takes_no_downloads(shop_url: str, make_context: Callable[..., ActionContext]) -> None:
    """Nothing of an earlier execution is there; evidence files have plain names."""
    for _ in range(2):
        with open_browser(make_context()) as session:
            session.open(shop_url)
            assert session.page.evaluate("() => localStorage.length + document.cookie.length") == 0
            session.page.evaluate("() => { localStorage.setItem('a', 'b'); document.cookie = 'c=d'; }")
            session.evidence.screenshot(session.page, "Label", "../../etc/pass wd ä\x00")
            item = session.evidence.items[0]
            assert re.fullmatch(r"01-[a-z0-9-]+\.png", item.filename)
            assert (session.context.evidence_dir / item.filename).read_bytes().startswith(b"\x89PNG")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_what_the_browser_asks_for_itself_is_not_blamed_on_the_page(
    shop_url: str, make_context: Callable[..., ActionContext]
) -> None:
    """Chromium calls on services of its own now and then; the proxy's refusal of those is no reason of the page's."""

    async def resolve(host: str, port: int) -> list[str]:
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [host]

    with open_browser(make_context(), resolver=resolve) as session:
        session.open(shop_url)
        # As in the background: a request that is no navigation, refused by the proxy.
        session.page.evaluate("fetch('http://services.test/').catch(() => null)")
        assert isinstance(session.egress, EgressProxy)
        assert ("services.test", 80) in session.egress.log.failures
        with pytest.raises(ActionError) as caught:
            session.open(f"{shop_url}/loop")
        assert caught.value.code == "too_many_redirects"
        with pytest.raises(ActionError) as caught:
            session.open(f"{shop_url}/redirect?to=http://elsewhere.test/")
        assert (caught.value.code, "elsewhere.test" in caught.value.message) == ("host_not_found", True)
