"""The worker's door for logins by hand: the app connects, the worker shows a browser of its hands through it.

A socket file in the data home, for this user alone. One login at a time. The app sends ``{"account_id", "project_id",
"actor"}`` and then lists of inputs; it gets frames, and in the end ``{"done": true}`` or ``{"error": …}``.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Any

import structlog

from app.errors import AppError
from app.services import Services
from automation.actions.base import ActionContext, ActionError
from automation.hands.client import Hands
from automation.hands.door import door_name, door_path
from automation.hands.wire import Wire, WireBroken
from automation.sites.registry import SITES

log = structlog.get_logger(__name__)

TIMEOUT_S = 600.0
_MOST_WAITING = 500


class RemoteLogins:
    """Serves the door in a thread of its own."""

    def __init__(self, services: Services, hands: Hands) -> None:
        self._services = services
        self._hands = hands
        self._busy = threading.Lock()
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Open the door. Raises: OSError."""
        path = door_path(self._services.settings.home)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with door_name(self._services.settings.home) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen(4)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="logins", daemon=True).start()

    def close(self) -> None:
        """Close the door."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="login", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            wire = Wire(connection)
            try:
                order = wire.receive()
                if order is None:
                    return
                wire.send(self._answer(wire, order))
            except (WireBroken, KeyError):
                log.info("login_page_closed")

    def _answer(self, wire: Wire, order: dict[str, Any]) -> dict[str, Any]:
        if not self._busy.acquire(blocking=False):
            return _error("login_busy", "Somebody logs in right now; one at a time.", "Try again when that is done.")
        try:
            self._log_in(wire, order)
        except (ActionError, AppError) as error:
            log.info("login_failed", code=error.code, error=error.message)
            return _error(error.code, error.message, error.hint)
        finally:
            self._busy.release()
        return {"done": True}

    def _log_in(self, wire: Wire, order: dict[str, Any]) -> None:
        accounts = self._services.within(str(order["project_id"])).accounts
        account = accounts.port(str(order["account_id"]))
        waiting: deque[Any] = deque(maxlen=_MOST_WAITING)
        action_id = f"login_{order['account_id']}"
        threading.Thread(target=self._listen, args=(wire, waiting, action_id), name="inputs", daemon=True).start()

        def inputs() -> list[Any]:
            return [waiting.popleft() for _ in range(len(waiting))]

        with tempfile.TemporaryDirectory(prefix="herald-login-") as folder:
            context = ActionContext(
                action_id=action_id,
                evidence_dir=Path(folder),
                allow_private_addresses=self._services.settings.allow_private_addresses,
                timeout_s=TIMEOUT_S,
                progress=lambda text: wire.send({"progress": text}),
                before_irreversible=_never,
                account=account,
                load_session=lambda: accounts.load_session(account),
            )
            url = account.base_url.rstrip("/") + getattr(SITES.get(account.platform), "home", "/")
            state = self._hands.log_in(context, url, lambda frame: wire.send({"frame": frame}), inputs)
        accounts.keep_login(str(order["account_id"]), state, str(order["actor"]))

    def _listen(self, wire: Wire, waiting: deque[Any], action_id: str) -> None:
        """Take what the owner does; when the page is closed the browser is too."""
        with contextlib.suppress(WireBroken, TimeoutError):
            while (message := wire.receive()) is not None:
                waiting.extend(message.get("inputs") or ())
        self._hands.end(action_id)


def _never() -> None:
    raise ActionError("A login by hand submits nothing.", code="internal_error")


def _error(code: str, message: str, hint: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}
