"""Two small social networks on loopback that outlive every kill: they count what really was published.

The keyed one takes a key from its caller and keeps one post a key; the keyless one publishes whatever it is sent.
Faults can be laid out ahead: each request for a post takes the next one.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FAULTS = ("429", "503", "hang", "trickle", "reset_after", "reset_before")
HANG_S = 30.0
TRICKLE_BYTES_S = 1.0


@dataclass(slots=True)
class Post:
    """One publication, as the world sees it."""

    network: str
    key: str
    text: str
    at: float = field(default_factory=time.time)


class Network(ThreadingHTTPServer):
    """Both networks on one port: ``/keyed/posts`` and ``/keyless/posts``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[Post] = []
        self.faults: deque[str] = deque()
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="network", daemon=True)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Network:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def publish(self, network: str, key: str, text: str) -> Post:
        """Keep a post; on the keyed network the one that has the key already is given back."""
        with self.lock:
            if network == "keyed":
                for post in self.posts:
                    if post.network == network and post.key == key:
                        return post
            post = Post(network, key, text)
            self.posts.append(post)
            return post

    def found(self, network: str, *, key: str = "", text: str = "") -> list[Post]:
        """The posts with this key or this text."""
        with self.lock:
            return [p for p in self.posts if p.network == network and (p.key == key if key else p.text == text)]

    def next_fault(self) -> str:
        """The fault that the next request for a post meets; empty for none."""
        with self.lock:
            return self.faults.popleft() if self.faults else ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of its request is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: Network
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Posts by ``key`` or by ``text``."""
        parts = urlsplit(self.path)
        network, query = parts.path.split("/")[1], parse_qs(parts.query)
        posts = self.server.found(network, key=query.get("key", [""])[0], text=query.get("text", [""])[0])
        self._answer(200, {"posts": [{"url": self._url(p), "text": p.text, "at": p.at} for p in posts]})

    def do_POST(self) -> None:
        """Publish, unless a fault is due."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        network, fault = self.path.split("/")[1], self.server.next_fault()
        if fault == "429":
            self._answer(429, {"error": "slow down"}, retry_after_s=1)
        elif fault == "503":
            self._answer(503, {"error": "down"})
        elif fault == "reset_before":
            self._reset()
        else:
            post = self.server.publish(network, str(body.get("key", "")), str(body["text"]))
            if fault == "reset_after":
                self._reset()
            elif fault == "hang":
                time.sleep(HANG_S)
                self.close_connection = True
            else:
                self._answer(201, {"url": self._url(post)}, is_slow=fault == "trickle")

    def _url(self, post: Post) -> str:
        return f"{self.server.origin}/{post.network}/{self.server.posts.index(post)}"

    def _answer(self, status: int, body: dict[str, Any], *, retry_after_s: int = 0, is_slow: bool = False) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after_s:
            self.send_header("Retry-After", str(retry_after_s))
        self.end_headers()
        for piece in [data[i : i + 1] for i in range(len(data))] if is_slow else [data]:
            self.wfile.write(piece)
            self.wfile.flush()
            if is_slow:
                time.sleep(1 / TRICKLE_BYTES_S)

    def _reset(self) -> None:
        """End the connection with a reset: the client cannot know whether it was heard."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: thousands of requests come."""
