"""Actions for tests of the hands: each does in its child what its params say. Imported by the zygote as well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from automation.actions.base import (
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    Evidence,
    MediaRef,
    Params,
    Reconciled,
    ReconciledOutcome,
    Risk,
)
from automation.actions.registry import ACTION_TYPES


class ScriptedParams(Params):
    """What to do, and with what."""

    do: str
    paths: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    pid: int = 0
    media: tuple[MediaRef, ...] = ()


class Scripted(ActionType[ScriptedParams]):
    """Does one of its methods, by name."""

    name = "scripted"
    title = "Do as scripted"
    description = "For tests."
    risk = Risk.WRITE
    params_class = ScriptedParams

    def preview(self, params: ScriptedParams, accounts: tuple[Any, ...]) -> tuple[Any, ...]:
        return ()

    def execute(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        found: ActionResult = getattr(self, f"_{params.do}")(params, context)
        return found

    def reconcile(self, params: ScriptedParams, context: ActionContext, began_at: Any) -> Reconciled:
        return Reconciled(ReconciledOutcome.HAPPENED, ActionResult(f"since {began_at.isoformat()}", {}), "looked")

    def _look_around(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        """What can be read, written, connected to, signalled; who and where this is."""
        data = {
            "read": [p for p in params.paths if _can(lambda p=p: os.open(p, os.O_RDONLY))],  # type: ignore[misc]
            "written": [p for p in ("/", "/usr", "/etc", "/tmp") if _can(lambda p=p: Path(p, "x").touch())],  # type: ignore[misc]
            "connected": [p for p in params.ports if _can(lambda p=p: socket.create_connection(("127.0.0.1", p), 2))],  # type: ignore[misc]
            "signalled": _can(lambda: os.kill(params.pid, 0)),
            "uid": os.getuid(),
            "environment": sorted(os.environ),
            "descriptors": [_link(n) for n in range(100)],
            "processes": len(list(Path("/proc").glob("[0-9]*"))),
            "rights": [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")],
        }
        return ActionResult("looked", data)

    def _call_back(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        """Use every callback and value of the context."""
        assert context.credential is not None
        context.progress("Working")
        state = context.load_session() or {}
        context.save_session({**state, "seen": True})
        context.save_recipe({"steps": [context.recipe]})
        context.save_robots("https://example.com", str(context.load_robots("https://example.com")))
        media = [context.media_path(ref).read_text() for ref in params.media]
        (context.evidence_dir / "01-note.txt").write_text("seen")
        (context.evidence_dir / "02-link.txt").symlink_to("/etc/passwd")
        context.before_irreversible()
        return ActionResult(
            "called",
            {"media": media, "password_chars": len(context.credential.password), "intent": context.intent_id},
            (Evidence("text", "A note", "01-note.txt"),),
        )

    def _name_a_path(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        return ActionResult("lied", {}, (Evidence("text", "Keys", "../../keys/api.key"),))

    def _fail(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        error = ActionError("It is busy.", hint="Wait.", code="busy", retryable=True, retry_after_s=7.0)
        error.proposal = {"text": "instead"}
        raise error

    def _break(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        assert context.credential is not None
        raise KeyError(f"password {context.credential.password}")

    def _die(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        os._exit(3)

    def _talk_nonsense(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        descriptor = next(n for n in range(3, 30) if "socket" in _link(n))
        os.write(descriptor, b'{"call": "__init__", "args": []}\n')
        time.sleep(60)
        return ActionResult("unseen", {})

    def _eat_memory(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        context.progress("Eating")
        held = [os.urandom(1_000_000) * 10 for _ in range(60)]
        time.sleep(60)
        return ActionResult(str(len(held)), {})

    def _hang_and_leave_others(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        """Start a process that leaves the group, and hang."""
        code = "import os,time; os.setsid(); os.fork(); time.sleep(300)"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        context.progress("Hanging")
        time.sleep(300)
        return ActionResult("unseen", {})

    def _open_sandbox_page(self, params: ScriptedParams, context: ActionContext) -> ActionResult:
        """What Chromium says of its own sandbox."""
        from automation.browser import open_browser

        with open_browser(context) as session:
            session.page.goto("chrome://sandbox")
            return ActionResult(session.page.inner_text("body"), {})


def _can(call: Any) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def _link(number: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return ""


SCRIPTED = Scripted()
ACTION_TYPES[SCRIPTED.name] = SCRIPTED
