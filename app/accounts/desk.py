"""Logins by hand, the app's side: passes pictures on from the worker's browser, and clicks and keys to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from app.errors import Conflict, NotFound, Unavailable
from automation.hands.door import door_name
from automation.hands.wire import MAX_LINE_BYTES

CONNECT_TIMEOUT_S = 5.0


class LoginDesk:
    """The logins under way, one for each account at most."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._open: dict[str, asyncio.StreamWriter] = {}

    async def run(self, account_id: str, project_id: str, actor: str) -> AsyncIterator[dict[str, Any]]:
        """Begin a login and yield what the worker says: progress, frames, and at the end ``done`` or ``error``.

        The browser is closed when the iterator is. Raises: Conflict, Unavailable.
        """
        if account_id in self._open:
            raise Conflict(
                "This account is being logged in already, in another window.", hint="Use that one, or close it first."
            )
        reader, writer = await self._connect()
        self._open[account_id] = writer
        try:
            await _send(writer, {"account_id": account_id, "project_id": project_id, "actor": actor})
            while line := await reader.readline():
                message: dict[str, Any] = json.loads(line)
                yield message
                if "done" in message or "error" in message:
                    return
            yield {"error": {"code": "worker_gone", "message": "The worker ended.", "hint": "Try again in a moment."}}
        finally:
            self._open.pop(account_id, None)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, account_id: str, inputs: list[dict[str, Any]]) -> None:
        """Pass on what the owner did. Raises: NotFound."""
        writer = self._open.get(account_id)
        if writer is None:
            raise NotFound(
                "No login of this account is under way.", hint="Open its login page again.", code="login_not_open"
            )
        await _send(writer, {"inputs": inputs})

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            with door_name(self._home) as name:
                return await asyncio.wait_for(
                    asyncio.open_unix_connection(name, limit=MAX_LINE_BYTES), CONNECT_TIMEOUT_S
                )
        except (OSError, TimeoutError) as error:
            raise Unavailable(
                "The worker, which runs the browser, cannot be reached.",
                hint="Start it with ./scripts/up; `herald status` says how it is.",
            ) from error


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    with contextlib.suppress(ConnectionError):
        await writer.drain()
