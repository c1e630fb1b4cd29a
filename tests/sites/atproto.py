"""A real server of the AT Protocol on loopback, as ``./scripts/pds install`` set it up, and what it holds."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from scripts.lifeline import die_with_parent
from scripts.setup.box import cache_home
from scripts.setup.pds import node_home

PASSWORD = "s3cret"


@dataclass
class Server:
    """The running server; accounts are made as tests need them."""

    url: str

    def create_account(self, name: str) -> str:
        """Make ``name``.test with ``PASSWORD``; returns its handle."""
        handle = f"{name}.test"
        self.call("com.atproto.server.createAccount", handle=handle, email=f"{name}@example.com", password=PASSWORD)
        return handle

    def call(self, method: str, **body: Any) -> dict[str, Any]:
        """A procedure without a login."""
        response = httpx.post(f"{self.url}/xrpc/{method}", json=body, timeout=60, trust_env=False)
        assert response.is_success, response.text
        return dict(response.json())

    def posts(self, handle: str) -> list[dict[str, Any]]:
        """The account's post records, as anybody may read them."""
        query = {"repo": handle, "collection": "app.bsky.feed.post", "limit": "100"}
        response = httpx.get(f"{self.url}/xrpc/com.atproto.repo.listRecords", params=query, timeout=60, trust_env=False)
        assert response.is_success, response.text
        return list(response.json()["records"])


@contextlib.contextmanager
def serve_pds() -> Iterator[Server]:
    """Start the server and take it down again; skips where it is not set up, unless HERALD_REQUIRE_PDS=1."""
    folder = cache_home() / "pds"
    script, node = folder / "server" / "serve.mjs", node_home(folder) / "bin" / "node"
    if not (script.exists() and node.exists()):
        message = f"there is no AT Protocol server in {folder}: run ./scripts/pds install"
        if os.environ.get("HERALD_REQUIRE_PDS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    process = subprocess.Popen(
        [node, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LOG_ENABLED": "false"},
        preexec_fn=die_with_parent(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the AT Protocol server ended before it was ready"
        yield Server(json.loads(line)["url"])
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
