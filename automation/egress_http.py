"""The little HTTP/1.1 that the filtering proxy speaks: request heads in, response heads out. No sockets, no policy."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 60_000
REFUSED_HEADER = "x-herald-egress"
_HOP_BY_HOP = {
    b"connection",
    b"proxy-connection",
    b"keep-alive",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"upgrade",
}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}|[0-9A-Fa-f:.%]{2,64}")


class BadRequest(ValueError):
    """What arrived is not HTTP that the proxy can relay."""


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Everything up to and including the empty line. Raises: BadRequest."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise BadRequest(f"The header is larger than {MAX_HEAD_BYTES} bytes.") from error


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A proxy request: the method, the target host and port, and for plain HTTP the path and headers to forward."""

    method: bytes
    host: str
    port: int
    path: bytes
    headers: tuple[bytes, ...]

    @property
    def is_connect(self) -> bool:
        """Whether the client asks for a tunnel."""
        return self.method == b"CONNECT"

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read a request head. Raises: BadRequest."""
        lines = head[:-4].split(b"\r\n")
        parts = lines[0].split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1.") or not re.fullmatch(rb"[A-Z]{1,20}", parts[0]):
            raise BadRequest("This is a proxy for web browsers; the request line is not HTTP.")
        method, target = parts[0], parts[1]
        try:
            text = target.decode("ascii")
            url = urlsplit("//" + text) if method == b"CONNECT" else urlsplit(text)
            host, port = url.hostname or "", url.port
        except ValueError as error:
            raise BadRequest("The request's target is not an address.") from error
        if method != b"CONNECT" and url.scheme != "http":
            raise BadRequest("This proxy takes http:// addresses and CONNECT.")
        if method == b"CONNECT" and (port is None or url.path):
            raise BadRequest("CONNECT needs a host and a port.")
        if "@" in url.netloc or not _HOST.fullmatch(host):
            raise BadRequest("The request's target names no host.")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return cls(method, host, port or 80, path.encode("ascii"), tuple(lines[1:]))

    def to_origin(self) -> bytes:
        """The request as the origin server gets it: path only, own Host, one exchange per connection."""
        netloc = f"[{self.host}]" if ":" in self.host else self.host
        host = netloc if self.port == 80 else f"{netloc}:{self.port}"
        kept = [line for line in self.headers if _name(line) not in _HOP_BY_HOP | {b"host"}]
        lines = [
            self.method + b" " + self.path + b" HTTP/1.1",
            b"Host: " + host.encode("ascii"),
            *kept,
            b"Connection: close",
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"


def close_response_head(head: bytes) -> tuple[bool, bytes]:
    """Rewrite a response head to ``Connection: close``; also says whether it is final (not 1xx). Raises: BadRequest."""
    lines = head[:-4].split(b"\r\n")
    status = _STATUS_LINE.fullmatch(lines[0])
    if not status:
        raise BadRequest("The site's answer is not HTTP/1.")
    if status[1].startswith(b"1"):
        return False, head
    kept = [line for line in lines[1:] if _name(line) not in _HOP_BY_HOP | {REFUSED_HEADER.encode()}]
    return True, b"\r\n".join([lines[0], *kept, b"Connection: close"]) + b"\r\n\r\n"


def refusal_response(status: int, message: str) -> bytes:
    """The proxy's own answer, marked so that it is not mistaken for the site's."""
    reason = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway"}[status]
    body = message.encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"{REFUSED_HEADER}: refused\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _name(line: bytes) -> bytes:
    return line.split(b":", 1)[0].strip().lower()
