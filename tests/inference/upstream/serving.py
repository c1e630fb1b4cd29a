"""Serves any engine through the real HTTP application, and stands in for providers, each on a free loopback port."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from inference.embedder import Embedder
from inference.serve import bind
from inference.server.app import create_app
from inference.traces import CallLog, TracedEngine
from inference.upstream.opening import vllm_folder

KEY = "test-key"
MODEL = "smollm2-135m-instruct"


@dataclass
class Served:
    """A running Herald endpoint."""

    url: str
    engine: Any

    @property
    def model(self) -> str:
        return str(self.engine.model)

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)


@contextmanager
def run_app(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Any ASGI application in a thread; yields its origin."""
    listener = bind(0)
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def serve_engine(engine: Any, *, waits: bool = True) -> Iterator[Served]:
    """Herald's endpoint over an engine; with ``waits`` it is started before the first request."""
    started = threading.Event()
    problems: list[Exception] = []

    async def start() -> None:
        try:
            await engine.start()
        except Exception as error:
            problems.append(error)
        finally:
            started.set()

    embedder = Embedder("all-minilm-l6-v2", None, problem="no embedding model in this test")
    traced = TracedEngine(engine, CallLog(None))
    app = create_app(traced, embedder, key=KEY, max_body_bytes=1 << 20, start=start)
    with run_app(app) as url:
        if waits:
            assert started.wait(300)
            assert not problems, problems
        yield Served(url, engine)


def until(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def require_vllm() -> None:
    """Skip where vLLM is not installed, unless it must be."""
    parts = (vllm_folder() / "env" / "bin" / "python", vllm_folder() / "models" / MODEL / "model.safetensors")
    if all(part.exists() for part in parts):
        return
    message = "vLLM is not installed: run ./scripts/vllm install"
    if os.environ.get("HERALD_REQUIRE_VLLM") == "1":
        pytest.fail(message)
    pytest.skip(message)
