"""The worker's side of the hands: gives each action to a child, answers its questions and takes its result.

The worker keeps the database, the keys and the proxy; a child gets one action's params, its login and its files.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from automation.actions.base import ActionContext, ActionResult, ActionType, Params, Reconciled
from automation.browser import BrowserMissing, find_chromium
from automation.config import AutomationSettings
from automation.egress import EgressProxy, Resolver
from automation.errors import ActionError
from automation.hands.wire import (
    Wire,
    WireBroken,
    is_evidence_name,
    pack_context,
    pack_error,
    read_reconciled,
    read_result,
    run_callback,
    unpack_error,
)

log = logging.getLogger(__name__)

R = TypeVar("R")

REGISTRY = "automation.actions.registry"
MAX_EVIDENCE_FILES = 100
MAX_EVIDENCE_BYTES = 100_000_000
_START_TIMEOUT_S = 60.0
_TIME_GRACE_S = 20.0
_HANG_UP_TIMEOUT_S = 30.0
_PREFIX = "herald-hands-"
# What programs need of the environment; nothing of Herald's own goes along but what is set below.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "FONTCONFIG_PATH", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


class HandsUnavailable(ActionError):
    """The process that runs actions cannot be started."""

    code = "hands_unavailable"
    retryable = True
    is_site_fault = False


class HandsEnded(ActionError):
    """The process of one action ended without a result."""

    code = "hands_ended"
    retryable = True
    is_site_fault = False  # the site did nothing: it must not get a rest because a process of ours was killed


@dataclass(frozen=True, slots=True)
class Isolation:
    """How far the hands are shut off on this system.

    Attributes:
        uid: the user that they run as.
        is_closed: whether they have mounts, network and processes of their own; ``problem`` says why not.
        sandbox_problem: why Chromium cannot build its sandbox from user namespaces; its setuid program may serve.
    """

    uid: int
    gid: int
    is_closed: bool
    problem: str
    sandbox_problem: str

    def warnings(self, settings: AutomationSettings) -> tuple[str, ...]:
        """What is not shut off here, in sentences for the owner; empty when everything holds."""
        found = []
        if not self.is_closed:
            found.append(f"Actions run without mounts, network and processes of their own: {self.problem}.")
        if not settings.chromium_sandbox:
            found.append("Chromium runs without its sandbox: HERALD_CHROMIUM_SANDBOX is false.")
        elif self.sandbox_problem:
            found.append(
                f"Chromium may not get its sandbox, and is not started without it: {self.sandbox_problem}. "
                "docs/deployment.md says how to allow it; HERALD_CHROMIUM_SANDBOX=false goes on without."
            )
        return tuple(found)


class Hands:
    """Runs actions in children. Thread-safe; the zygote behind it is started when first needed, and again if it dies.

    Args:
        hidden: folders that no child may see, such as the data home.
        modules: what the zygote imports; the registry, and in a test what adds sites to it.
        resolver: how the proxy resolves names; the system's way by default.
    """

    def __init__(
        self,
        settings: AutomationSettings,
        *,
        hidden: tuple[Path, ...] = (),
        modules: tuple[str, ...] = (REGISTRY,),
        resolver: Resolver | None = None,
    ) -> None:
        self._settings = settings
        self._hidden = hidden
        self._modules = modules
        self._resolver = resolver
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._running: dict[str, socket.socket] = {}
        self._is_closing = False

    def start(self) -> Isolation:
        """Start the zygote unless it runs; says how far it is shut off. Raises: HandsUnavailable."""
        with self._lock:
            if self._zygote is None or not self._zygote.is_alive():
                if self._zygote is not None:
                    log.warning("the process that starts the hands had ended; starting it again")
                    self._zygote.close()
                self._zygote = _Zygote(self._settings, self._hidden, self._modules)
            return self._zygote.isolation

    def close(self) -> None:
        """End the zygote and every child."""
        self._is_closing = True
        for action_id in list(self._running):
            self.end(action_id)
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def end(self, action_id: str) -> None:
        """End the child that works for the action, from any thread; its execution then fails with HandsEnded."""
        connection = self._running.get(action_id)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)

    def in_child(self, action: ActionType[Any]) -> InHands:
        """``action``, with its ``execute`` and ``reconcile`` running in a child."""
        return InHands(action, self)

    def log_in(
        self,
        context: ActionContext,
        url: str,
        show: Callable[[dict[str, Any]], None],
        inputs: Callable[[], list[Any]],
    ) -> dict[str, Any]:
        """Show a child's browser to the account's owner, who logs in; returns the storage state. See ``remote``.

        Raises: ActionError; whatever ``show`` and ``inputs`` raise.
        """
        order = {"method": "log_in", "title": "Log in", "url": url}
        return self.call(context, order, _read_state, {"login.show": show, "login.inputs": inputs})

    def call(
        self,
        context: ActionContext,
        order: dict[str, Any],
        read: Callable[[Any], R],
        more: dict[str, Callable[..., Any]] | None = None,
    ) -> R:
        """Have a child carry out ``order``; returns its result as ``read`` (which may raise WireBroken) takes it.

        ``more`` are callbacks besides the context's.

        Raises: ActionError (the child's own, HandsEnded, HandsUnavailable); whatever a callback of the context raises.
        """
        with self._child(context) as (connection, scratch):
            talk = _Talk(Wire(connection), context, scratch, more or {})
            with self._egress(context, connection, talk) as egress:
                try:
                    talk.wire.send(order | {"context": pack_context(context)})
                    return read(talk.until_done(egress))
                except (WireBroken, TimeoutError) as error:
                    raise talk.ended(error) from error

    @contextlib.contextmanager
    def _child(self, context: ActionContext) -> Iterator[tuple[socket.socket, Path]]:
        """A child for one action, with a scratch folder of its own; afterwards nothing of it is left."""
        self.start()
        zygote = self._zygote
        if zygote is None or self._is_closing:
            raise HandsUnavailable("The worker is stopping.")
        ours, theirs = socket.socketpair()
        scratch = zygote.new_scratch()
        self._running[context.action_id] = ours
        try:
            ours.settimeout(context.timeout_s + 3 * _TIME_GRACE_S)
            with theirs:
                zygote.fork(
                    theirs,
                    {
                        "scratch": str(scratch),
                        "time_s": context.timeout_s + _TIME_GRACE_S,
                        "memory_bytes": int(self._settings.hands_memory_mb * 1_000_000),
                    },
                )
            yield ours, scratch
        finally:
            self._running.pop(context.action_id, None)
            _hang_up(ours)
            shutil.rmtree(scratch, ignore_errors=True)

    @contextlib.contextmanager
    def _egress(self, context: ActionContext, connection: socket.socket, talk: _Talk) -> Iterator[EgressProxy]:
        """The proxy of one action. It listens in the child's network and connects from the worker's."""
        try:
            data, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        except OSError as error:
            raise talk.ended(error) from error
        if not data or not descriptors:
            raise talk.ended(None)
        with (
            socket.socket(fileno=descriptors[0]) as listener,
            EgressProxy(
                allow_private_addresses=context.allow_private_addresses,
                max_bytes=int(self._settings.max_page_mb * 1_000_000),
                resolver=self._resolver,
                host_rules=context.host_rules,
                listener=listener,
            ) as egress,
        ):
            egress.on_over_budget = talk.tell_over_budget
            yield egress


class InHands:
    """An action type whose steps run in a child. The rest of the port is the action's own; see ``Hands.in_child``."""

    def __init__(self, action: ActionType[Any], hands: Hands) -> None:
        self._action = action
        self._hands = hands
        self.name = action.name
        self.title = action.title

    def execute(self, params: Params, context: ActionContext) -> ActionResult:
        """See ``ActionType.execute``."""
        return self._call(read_result, "execute", params, context)

    def reconcile(self, params: Params, context: ActionContext, began_at: datetime) -> Reconciled:
        """See ``ActionType.reconcile``."""
        return self._call(read_reconciled, "reconcile", params, context, began_at=began_at.isoformat())

    def _call(self, read: Callable[[Any], R], method: str, params: Params, context: ActionContext, **more: Any) -> R:
        order = {"method": method, "type": self.name, "title": self.title, "params": params.model_dump(mode="json")}
        return self._hands.call(context, order | more, read)


class _Talk:
    """The conversation with one child."""

    def __init__(self, wire: Wire, context: ActionContext, scratch: Path, more: dict[str, Callable[..., Any]]) -> None:
        self.wire = wire
        self._more = more
        self._context = context
        self._scratch = scratch
        self._sending = threading.Lock()
        self._handed_over = 0

    def until_done(self, egress: EgressProxy) -> Any:
        """Answer what the child asks until its result is there.

        Raises: ActionError, WireBroken, TimeoutError; whatever a callback raises, and the child is ended then.
        """
        while (message := self.wire.receive()) is not None:
            if "call" in message:
                answer = self._answer(str(message["call"]), message.get("args"), egress)
                self._send({"return": answer})
            elif "log" in message:
                level = logging.getLevelName(str(message.get("level", "info")).upper())
                log.log(level if isinstance(level, int) else logging.INFO, "%s", str(message["log"])[:20_000])
            elif "result" in message:
                self._keep_evidence()
                return message["result"]
            elif "error" in message:
                self._keep_evidence()
                raise unpack_error(message["error"])
            elif "over" in message:
                raise _over_error(message)
            else:
                raise WireBroken(f"a message of {list(message)[:3]}")
        raise self.ended(None)

    def tell_over_budget(self) -> None:
        """Called by the proxy's thread when the child received more than it may."""
        with contextlib.suppress(WireBroken):
            self._send({"event": "over_budget"})

    def ended(self, cause: BaseException | None) -> ActionError:
        """The error of a child that ended without a result; the keeper's reason stands behind a broken line."""
        if isinstance(cause, TimeoutError):
            return _over_error({"over": "time"})
        with contextlib.suppress(WireBroken, OSError):
            self.wire.connection.shutdown(socket.SHUT_WR)  # it may still be running
            while (message := self.wire.receive()) is not None:
                if "over" in message:
                    return _over_error(message)
        return HandsEnded(
            "The process that worked for this action ended before it was done.",
            hint="Try again; if it happens each time, the worker's log may say why.",
        )

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self.wire.send(message)

    def _answer(self, name: str, arguments: Any, egress: EgressProxy) -> Any:
        if name == "egress.is_over_budget":
            return egress.is_over_budget
        if name == "egress.too_large_error":
            return pack_error(egress.too_large_error())
        if name == "egress.explain":
            try:
                found = egress.explain(str(arguments[0]))
            except (ValueError, TypeError, IndexError):
                return None
            return pack_error(found) if found else None
        if name in self._more:
            return self._more[name](*arguments)
        return run_callback(self._context, name, arguments, self._hand_over)

    def _hand_over(self, path: Path) -> Path:
        """Copy a file to where the child may read it; returns the child's own name for it, within its scratch."""
        self._handed_over += 1
        folder = self._scratch / "files" / str(self._handed_over)
        folder.mkdir()
        owner = self._scratch.stat()
        copy = folder / path.name
        shutil.copyfile(path, copy)
        for made in (folder, copy):
            os.chown(made, owner.st_uid, owner.st_gid)
        return Path("files") / str(self._handed_over) / path.name

    def _keep_evidence(self) -> None:
        """Take over the files that the child wrote, once nothing of it runs any more."""
        _hang_up(self.wire.connection)
        left_bytes = MAX_EVIDENCE_BYTES
        for path in sorted((self._scratch / "evidence").iterdir())[:MAX_EVIDENCE_FILES]:
            status = path.lstat()
            is_plain = stat.S_ISREG(status.st_mode) and is_evidence_name(path.name)
            if not is_plain or status.st_size > left_bytes:
                log.warning("a file of action %s was not kept as evidence: %r", self._context.action_id, path.name)
                continue
            left_bytes -= status.st_size
            shutil.copyfile(path, self._context.evidence_dir / path.name, follow_symlinks=False)


class _Zygote:
    """The process that forks the children, and the folder in which each gets its scratch."""

    def __init__(self, settings: AutomationSettings, hidden: tuple[Path, ...], modules: tuple[str, ...]) -> None:
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o711)
        self._lock = threading.Lock()
        self._count = 0
        for name in ("root", "trial"):
            (self.folder / name).mkdir(0o755)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "automation.hands.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_environment(settings, modules),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.isolation = self._prepare(settings, hidden, modules)

    def _prepare(self, settings: AutomationSettings, hidden: tuple[Path, ...], modules: tuple[str, ...]) -> Isolation:
        order = {
            "modules": list(modules),
            "root": str(self.folder / "root"),
            "trial": str(self.folder / "trial"),
            "visible": [str(p) for p in _visible(settings, modules)],
            "hidden": [str(p) for p in hidden],
        }
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            self._control.send(json.dumps(order).encode())
            answer = self._control.recv(10_000)
            return Isolation(**json.loads(answer))
        except (OSError, ValueError) as error:
            self.close()
            raise HandsUnavailable(
                "The process that runs actions could not be started.", hint="The worker's log says why."
            ) from error

    def is_alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def new_scratch(self) -> Path:
        """An empty folder for one child, which owns it."""
        with self._lock:
            self._count += 1
            scratch = self.folder / str(self._count)
        for folder in (scratch, *(scratch / name for name in ("evidence", "files", "home", "tmp"))):
            folder.mkdir(0o700)
            if self.isolation.uid != os.geteuid():
                os.chown(folder, self.isolation.uid, self.isolation.gid)
        return scratch

    def fork(self, connection: socket.socket, order: dict[str, Any]) -> None:
        """Start a child at the other end of ``connection``. Raises: HandsUnavailable."""
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(order).encode()], [connection.fileno()])
        except OSError as error:
            raise HandsUnavailable("The process that runs actions has ended.", hint="Try again.") from error

    def close(self) -> None:
        """End it, its children and its folder."""
        self._control.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_leftovers() -> None:
    """Remove the folders of workers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdigit() and not _is_running(int(pid)) and folder.stat().st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _environment(settings: AutomationSettings, modules: tuple[str, ...]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    packages = dict.fromkeys([str(folder.parent) for folder in _packages(modules)] + [str(p) for p in _libraries()])
    return kept | {
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PLAYWRIGHT_BROWSERS_PATH": str(_browsers_folder()),
        "HERALD_CHROMIUM": settings.chromium,
        "HERALD_CHROMIUM_SANDBOX": str(settings.chromium_sandbox).lower(),
    }


def _libraries() -> list[Path]:
    """The folders of installed packages."""
    return [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]


def _browsers_folder() -> Path:
    """Where Playwright keeps the browsers that it downloaded for this user."""
    return Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")


def _packages(modules: tuple[str, ...]) -> list[Path]:
    """The folders of Herald's own packages that a child needs."""
    found: list[Path] = []
    for name in {module.partition(".")[0] for module in (REGISTRY, *modules)}:
        spec = importlib.util.find_spec(name)
        found += map(Path, spec.submodule_search_locations or ()) if spec else ()
    return found


def _visible(settings: AutomationSettings, modules: tuple[str, ...]) -> list[Path]:
    folders = [Path(p) for p in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)]
    folders += [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")]
    folders += [*_libraries(), *_packages(modules)]
    folders.append(_browsers_folder())
    with contextlib.suppress(BrowserMissing):
        folders.append(Path(find_chromium()).resolve().parent)
    return folders


def _read_state(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("cookies"), list):
        raise WireBroken("a storage state without cookies")
    return value


def _hang_up(connection: socket.socket) -> None:
    """Tell the keeper to end the child, and wait until both are gone."""
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_HANG_UP_TIMEOUT_S)
        while connection.recv(1_000_000):
            pass
    except OSError:
        pass
    finally:
        connection.close()


def _over_error(message: dict[str, Any]) -> ActionError:
    if message.get("over") == "memory":
        used, allowed = (float(message.get(name) or 0) / 1e6 for name in ("used_bytes", "allowed_bytes"))
        return ActionError(
            f"The browser used {used:,.0f} MB of memory; one action may use {allowed:,.0f} MB, so it was ended.",
            code="out_of_memory",
            hint="Try a lighter page, or raise HERALD_HANDS_MEMORY_MB.",
        )
    return ActionError(
        "The action did not end within its time, so its process was ended.",
        code="timeout",
        hint="Try again later; if the site is always this slow, raise HERALD_ACTION_TIMEOUT_S.",
        retryable=True,
    )
