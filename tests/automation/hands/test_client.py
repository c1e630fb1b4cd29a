"""The hands: what a child can reach, how it ends, and what the worker believes of what it says."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from automation.actions.base import ActionContext, ActionError, ActionResult, Credential, MediaRef
from automation.config import AutomationSettings
from automation.execution import Interrupted
from automation.hands import client
from automation.hands.client import REGISTRY, Hands, HandsEnded
from automation.hands.wire import pack_context
from automation.host_rules import HostRules
from tests.automation.hands import scripted
from tests.automation.test_egress import Listener

MODULES = (REGISTRY, scripted.__name__)
# Importing it registered it, for the children alone: here the registry stays as the product has it.
scripted.ACTION_TYPES.pop(scripted.SCRIPTED.name, None)


@pytest.fixture(scope="module")
def secret_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data home with something in it that no child may see."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    (home / "herald.db").write_text("rows")
    return home


@pytest.fixture(scope="module")
def hands(secret_home: Path) -> Iterator[Hands]:
    """Hands with a zygote that knows the scripted action."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HERALD_API_KEY", "canary-in-the-environment")
        patch.setattr(client, "_TIME_GRACE_S", 1.0)
        one = Hands(AutomationSettings(_env_file=None, hands_memory_mb=300), hidden=(secret_home,), modules=MODULES)
        one.start()
        yield one
        one.close()


def run(hands: Hands, context: ActionContext, do: str, **more: Any) -> ActionResult:
    return hands.in_child(scripted.SCRIPTED).execute(scripted.ScriptedParams(do=do, **more), context)


def test_a_child_reaches_nothing_of_the_box(
    hands: Hands, secret_home: Path, make_context: Callable[..., ActionContext]
) -> None:
    """No database, no home, no key in the environment, no open file, no network, no other process, no rights."""
    listener = Listener()
    closed = hands.start().is_closed
    try:
        paths = (str(secret_home / "herald.db"), "/home", "/run", "/var/lib", "/etc/shadow")
        found = run(hands, make_context(), "look_around", paths=paths, ports=(listener.port,), pid=os.getpid()).data
    finally:
        listener.close()
    assert "/etc/shadow" not in found["read"]
    assert found["written"] == []
    assert [name for name in found["environment"] if "KEY" in name] == []
    sockets = [d for d in found["descriptors"] if d.startswith("socket")]
    assert len(sockets) == 1, "the wire and nothing else"
    if os.geteuid() == 0:
        assert found["uid"] != 0
        assert str(secret_home / "herald.db") not in found["read"]
        assert not found["signalled"]
    if closed:
        assert found["read"] == []
        assert found["connected"] == []
        assert listener.count == 0
        assert found["processes"] <= 2
        assert {line.split()[1] for line in found["rights"]} == {"0" * 16}


def test_what_a_child_says_is_not_believed(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """Evidence that names a path, and a call of what is no callback, end the action without a result."""
    with pytest.raises(HandsEnded):
        run(hands, make_context(), "name_a_path")
    with pytest.raises(HandsEnded):
        run(hands, make_context(), "talk_nonsense")


def test_errors_arrive_whole(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """Code, hint, retry-after and proposal of the executor's error are the worker's."""
    with pytest.raises(ActionError, match=r"It is busy\.") as caught:
        run(hands, make_context(), "fail")
    error = caught.value
    assert (error.code, error.hint, error.retryable, error.retry_after_s) == ("busy", "Wait.", True, 7.0)
    assert error.proposal == {"text": "instead"}


def test_a_bug_in_a_child_shows_no_password(
    hands: Hands, make_context: Callable[..., ActionContext], caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error is told without its text; the worker's log has the traceback without the password."""
    with pytest.raises(ActionError) as caught:
        run(hands, make_context(credential=Credential("jo", "hunter2")), "break")
    assert caught.value.code == "internal_error"
    assert "hunter2" not in caught.value.message + caplog.text
    assert "KeyError" in caplog.text


def test_a_child_that_dies_is_an_error(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """Without a result the action failed, and may be tried again."""
    with pytest.raises(HandsEnded) as caught:
        run(hands, make_context(), "die")
    assert caught.value.retryable


def test_a_child_that_dies_before_it_is_told_what_to_do_is_the_same_error(
    hands: Hands, make_context: Callable[..., ActionContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing had begun: the action may be tried again, as after a death in its middle."""
    context = make_context()

    def pack(packed: ActionContext) -> dict[str, Any]:
        hands.end(packed.action_id)
        return pack_context(packed)

    monkeypatch.setattr("automation.hands.client.pack_context", pack)
    with pytest.raises(HandsEnded) as caught:
        run(hands, context, "fail")
    assert caught.value.retryable


def test_memory_is_limited(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """A child over its memory is ended, with the actual and the allowed amount."""
    with pytest.raises(ActionError, match="300 MB") as caught:
        run(hands, make_context(), "eat_memory")
    assert caught.value.code == "out_of_memory"


def test_time_is_limited_and_nothing_outlives_the_action(
    hands: Hands, make_context: Callable[..., ActionContext]
) -> None:
    """A child that hangs is ended with all that it started, also what left its process group."""
    before = _python_sleepers()
    with pytest.raises(ActionError) as caught:
        run(hands, make_context(timeout_s=1.0), "hang_and_leave_others")
    assert caught.value.code == "timeout"
    assert _python_sleepers() == before


def test_ending_from_another_thread(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """A stopping worker ends an action at once."""
    context = make_context(progress=lambda _t: threading.Thread(target=hands.end, args=[context.action_id]).start())
    with pytest.raises(HandsEnded):
        run(hands, context, "hang_and_leave_others")


def test_a_callback_that_refuses_ends_the_child(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """When the worker says no before the irreversible step, there is no child left that could take it."""

    def refuse() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        run(hands, make_context(before_irreversible=refuse, credential=Credential("jo", "x")), "call_back")


def test_a_killed_zygote_is_replaced(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """Losing the process that forks costs no later action."""
    zygote = hands._zygote
    assert zygote is not None
    zygote._process.kill()
    zygote._process.wait()
    assert run(hands, make_context(), "look_around").summary == "looked"


def test_callbacks_files_and_evidence(hands: Hands, tmp_path: Path, make_context: Callable[..., ActionContext]) -> None:
    """Each callback reaches the worker in order, media are handed over, plain evidence is kept and links are not."""
    photo = tmp_path / "photo.png"
    photo.write_text("pixels")
    ref = MediaRef(sha256=hashlib.sha256(b"pixels").hexdigest(), filename="photo.png", media_type="image/png")
    said: list[object] = []
    context = make_context(
        progress=said.append,
        before_irreversible=lambda: said.append("irreversible"),
        credential=Credential("jo", "hunter2"),
        load_session=lambda: {"cookies": []},
        save_session=said.append,
        recipe={"v": 1},
        save_recipe=said.append,
        load_robots=lambda origin: f"# {origin}",
        save_robots=lambda origin, text: said.append((origin, text)),
        media_path=lambda _ref: photo,
        intent_id="int_1",
    )
    result = run(hands, context, "call_back", media=(ref,))
    assert result.data == {"media": ["pixels"], "password_chars": 7, "intent": "int_1"}
    assert said == [
        "Working",
        {"cookies": [], "seen": True},
        {"steps": [{"v": 1}]},
        ("https://example.com", "# https://example.com"),
        "irreversible",
    ]
    assert [p.name for p in context.evidence_dir.iterdir()] == ["01-note.txt"]
    assert result.evidence[0].filename == "01-note.txt"


def test_reconcile_runs_in_a_child(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """A look afterwards is shut off as well."""
    began_at = datetime(2026, 11, 1, tzinfo=UTC)
    found = hands.in_child(scripted.SCRIPTED).reconcile(scripted.ScriptedParams(do="-"), make_context(), began_at)
    assert (found.outcome, found.note) == ("happened", "looked")
    assert found.result is not None
    assert found.result.summary == "since 2026-11-01T00:00:00+00:00"


def test_killing_the_worker_ends_its_children(tmp_path: Path) -> None:
    """After kill -9 of the worker no zygote, keeper, child or stray is left."""
    script = f"""
from pathlib import Path
from automation.actions.base import ActionContext
from automation.config import AutomationSettings
from automation.hands.client import Hands
from tests.automation.hands import scripted
hands = Hands(AutomationSettings(_env_file=None), modules={MODULES!r})
context = ActionContext("a", Path({str(tmp_path)!r}), True, 60, lambda t: print(t, flush=True), lambda: None)
hands.in_child(scripted.SCRIPTED).execute(scripted.ScriptedParams(do="hang_and_leave_others"), context)
"""
    before = _python_sleepers()
    root = str(Path(__file__).parents[3])
    worker = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "Hanging\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _python_sleepers() != before:
        time.sleep(0.1)
    assert _python_sleepers() == before


@pytest.mark.browser
def test_chromium_runs_in_its_sandbox(hands: Hands, make_context: Callable[..., ActionContext]) -> None:
    """Chromium itself says that it is adequately sandboxed, also when the worker is root."""
    roomy = Hands(AutomationSettings(_env_file=None), modules=MODULES)
    try:
        assert "adequately sandboxed" in run(roomy, make_context(), "open_sandbox_page").summary
    finally:
        roomy.close()


@pytest.mark.browser
def test_the_proxy_outside_judges_what_the_child_opens(
    shop_url: str, make_context: Callable[..., ActionContext]
) -> None:
    """A page is read through the worker's proxy; a denied host and too many bytes are explained as ever."""
    scrape = scripted.ACTION_TYPES["scrape_url"]
    hands = Hands(AutomationSettings(_env_file=None, max_page_mb=0.1))
    try:
        held = hands.in_child(scrape)
        assert held.execute(scrape.params_class(url=shop_url), make_context()).summary.startswith("Read ")
        denied = make_context(host_rules=HostRules(denied=("127.0.0.1",)))
        with pytest.raises(ActionError, match="denied hosts"):
            held.execute(scrape.params_class(url=shop_url), denied)
        with pytest.raises(ActionError, match="the most that one action may receive"):
            held.execute(scrape.params_class(url=f"{shop_url}/endless"), make_context())
    finally:
        hands.close()


def _python_sleepers() -> set[str]:
    """Processes that a scripted action left behind."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"os.setsid(); os.fork(); time.sleep(300)" in line and b"herald" not in line and b"from pathlib" not in line:
            found.add(entry.name)
    return found
