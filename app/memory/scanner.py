"""Asking a ClamAV daemon whether a file is known malware. Source: ``clamd(8)``, command INSTREAM."""

from __future__ import annotations

import re
import socket
import struct

from app.errors import InvalidInput, Unavailable

TIMEOUT_S = 60.0
_PIECE_BYTES = 64 * 1024


class VirusScanner:
    """A clamd at ``unix:/path`` or ``host:port``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def check(self, content: bytes, filename: str) -> None:
        """Let a clean file pass. Raises: InvalidInput for an infected one, Unavailable when clamd does not answer."""
        try:
            answer = self._ask(content)
        except OSError as error:
            raise self._unavailable(filename, str(error)) from error
        found = re.fullmatch(r"stream: (.+) FOUND", answer)
        if found:
            raise InvalidInput(
                f"{filename} holds malware: the virus scan found {found[1][:100]}.",
                hint="Delete it and have the machine that it came from checked.",
                code="document_infected",
            )
        if answer != "stream: OK":
            raise self._unavailable(filename, f"clamd answered {answer[:200]!r}")

    def _ask(self, content: bytes) -> str:
        with self._connected() as connection:
            connection.sendall(b"zINSTREAM\0")
            for start in range(0, len(content), _PIECE_BYTES):
                piece = content[start : start + _PIECE_BYTES]
                connection.sendall(struct.pack("!I", len(piece)) + piece)
            connection.sendall(struct.pack("!I", 0))
            answer = b""
            while not answer.endswith(b"\0") and len(answer) < 4_096:
                received = connection.recv(4_096)
                if not received:
                    break
                answer += received
        return answer.rstrip(b"\0\n").decode("utf-8", "replace")

    def _connected(self) -> socket.socket:
        if self._address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT_S)
            try:
                connection.connect(self._address.removeprefix("unix:"))
            except OSError:
                connection.close()
                raise
            return connection
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S)

    def _unavailable(self, filename: str, reason: str) -> Unavailable:
        return Unavailable(
            f"{filename} was not taken in yet: the virus scan at {self._address} failed ({reason}).",
            hint="Start clamd and raise its StreamMaxLength to the largest upload, or unset HERALD_CLAMD.",
            code="virus_scan_failed",
        )
