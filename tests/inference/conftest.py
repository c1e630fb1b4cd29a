"""What the inference tests share: a driven engine on the fake backend, and a real server on a free loopback port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from inference.backends.base import Backend
from inference.backends.fake import FakeBackend
from inference.batch.lines import BatchLimits
from inference.config import InferenceSettings
from inference.embedder import Embedder
from inference.engine.base import Delta, Sampling
from inference.engine.constraint import ConstraintState
from inference.engine.detokenizer import Detokenizer
from inference.engine.local import LocalEngine
from inference.engine.loop import StepLoop
from inference.engine.scheduler import Limits
from inference.engine.sequences import Sequence
from inference.errors import InferenceError
from inference.reranker import Reranker
from inference.serve import bind
from inference.server.app import create_app
from inference.server.batch_lines import open_batches
from inference.traces import CallLog, TracedEngine

KEY = "test-key"


@dataclass
class Heard:
    """Everything that a sequence's sink was given."""

    items: list[Delta | InferenceError] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items if isinstance(item, Delta))

    @property
    def finish_reason(self) -> str | None:
        last = self.items[-1] if self.items else None
        return last.finish_reason if isinstance(last, Delta) else None

    @property
    def usage(self) -> Any:
        last = self.items[-1]
        assert isinstance(last, Delta)
        return last.usage

    @property
    def error(self) -> InferenceError | None:
        errors = [item for item in self.items if isinstance(item, InferenceError)]
        assert len(errors) <= 1
        return errors[0] if errors else None


class Driver:
    """A step loop without its thread: tests submit, step and look."""

    def __init__(self, backend: Backend, *, queue_limit: int = 1000, **limits: Any) -> None:
        self.backend = backend
        settings = {"max_sequences": 8, "step_tokens": 32, "mixed_step_tokens": 16, **limits}
        self.loop = StepLoop(backend, Limits(**settings), queue_limit=queue_limit)
        self._count = 0

    def make(
        self,
        prompt: str | list[int],
        max_tokens: int = 16,
        *,
        stop: tuple[str, ...] = (),
        constraint: ConstraintState | None = None,
        adapter: str | None = None,
        is_background: bool = False,
        **sampling: Any,
    ) -> tuple[Sequence, Heard]:
        heard = Heard()
        self._count += 1
        tokens = self.backend.tokenize(prompt, parse_control=True) if isinstance(prompt, str) else prompt
        sequence = Sequence(
            request_id=f"r{self._count}",
            prompt_tokens=tokens,
            max_new_tokens=max_tokens,
            sampling=Sampling(**{"temperature": 0.0, **sampling}),
            stop_tokens=self.backend.info.stop_tokens,
            detokenizer=Detokenizer(self.backend.token_bytes, stop),
            token_bytes=self.backend.token_bytes,
            sink=heard.items.append,
            constraint=constraint,
            adapter=adapter,
            is_background=is_background,
        )
        return sequence, heard

    def submit(self, prompt: str | list[int], max_tokens: int = 16, **options: Any) -> tuple[str, Heard]:
        sequence, heard = self.make(prompt, max_tokens, **options)
        self.loop.submit(sequence)
        return sequence.request_id, heard

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.loop._take_messages(is_idle=False)
            self.loop.step()

    def run(self) -> None:
        self.loop.drain()

    def check(self) -> None:
        """The ledger adds up, and agrees with the cells that the backend really holds."""
        slots = self.loop.scheduler.slots
        assert slots.check() == []
        if isinstance(self.backend, FakeBackend):
            assert self.backend.used_cells() == slots.used_cells


@pytest.fixture
def driver() -> Driver:
    """An engine on a roomy fake backend."""
    return Driver(FakeBackend(end_bias=-20.0))


@pytest.fixture
def make_driver() -> Callable[..., Driver]:
    """Make an engine on any backend with any limits."""
    return Driver


@dataclass
class RunningServer:
    """A server on loopback with its engine at hand."""

    url: str
    engine: LocalEngine
    settings: InferenceSettings

    def client(self, key: str = KEY) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)


def run_server(
    settings: InferenceSettings,
    load: Callable[[], Backend],
    embedder: Embedder,
    batch_folder: Path | None = None,
    batch_limits: BatchLimits | None = None,
    call_log: Path | None = None,
    reranker: Reranker | None = None,
) -> Iterator[RunningServer]:
    """Serve in a thread until the generator is closed; batches too where a folder is given."""
    engine = LocalEngine(settings, load)
    traced = TracedEngine(engine, CallLog(call_log))
    batch = None
    if batch_folder is not None:
        limits = batch_limits or BatchLimits()
        concurrency = settings.inference_max_sequences
        batch = open_batches(batch_folder, traced, embedder, concurrency=concurrency, limits=limits)
    ready = threading.Event()

    async def start() -> None:
        try:
            await engine.start()
            await embedder.load()
            if reranker is not None:
                await reranker.load()
        finally:
            ready.set()

    listener = bind(0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    max_body_bytes = settings.inference_max_body_mb << 20
    app = create_app(
        traced, embedder, key=KEY, max_body_bytes=max_body_bytes, start=start, batch=batch, reranker=reranker
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield RunningServer(url, engine, settings)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def make_server(request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningServer]]:
    """Start servers on the fake backend; ``backend``, a folder for batches and settings can be given."""
    running: list[Iterator[RunningServer]] = []

    def make(
        backend: Backend | None = None,
        batch_folder: Path | None = None,
        batch_limits: BatchLimits | None = None,
        call_log: Path | None = None,
        reranker: Reranker | None = None,
        **settings: Any,
    ) -> RunningServer:
        options = {"model": "fake", "inference_context": 1024, "inference_max_body_mb": 1, **settings}
        made = InferenceSettings(_env_file=None, **options)
        embedder = Embedder("all-minilm-l6-v2", None, problem="no embedding model in this test")
        server = run_server(
            made,
            lambda: backend or FakeBackend(context_tokens=1024),
            embedder,
            batch_folder,
            batch_limits,
            call_log,
            reranker,
        )
        running.append(server)
        return next(server)

    yield make
    for server in running:
        next(server, None)
