"""A relay before a test site that breaks one connection: before a request arrives, or before its answer does."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Dropping:
    """Relays to ``target``; the first request whose path holds ``path`` loses its connection.

    Args:
        when: "before" the request is passed on, or "after" the target has answered it.
    """

    def __init__(self, target: str, path: str, when: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._path, self._when = path.encode(), when
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dropped = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The relay's origin."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        """One exchange; the proxy before it sends one request for each connection."""
        request = _read_message(client)
        is_dropped = self._path in request.partition(b"\r\n")[0] and not self.dropped
        if is_dropped:
            self.dropped += 1
            if self._when == "before":
                return
        with socket.create_connection(self._target) as server:
            server.sendall(request)
            answer = b""
            while chunk := server.recv(65_536):
                answer += chunk
        if not is_dropped:
            client.sendall(answer)


def _read_message(client: socket.socket) -> bytes:
    """A whole request: its head, and as many bytes as Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(65_536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    sizes = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(sizes[0] if sizes else 0):
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body
