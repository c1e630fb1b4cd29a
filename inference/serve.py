"""The composition root of the inference process: settings, files, memory, models, server."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from inference.adapters import find_adapters
from inference.backends.base import Backend
from inference.batch.lines import BatchLimits
from inference.config import InferenceSettings, inference_key, physical_cores
from inference.embedder import Embedder
from inference.engine.base import Engine
from inference.engine.local import LocalEngine
from inference.errors import StartupError
from inference.memory import GIB, available_bytes, plan_memory
from inference.reranker import Reranker, check_folder, weights_bytes
from inference.server.app import create_app
from inference.server.batch_lines import open_batches
from inference.server.state import BatchState
from inference.traces import CallLog, TracedEngine
from inference.tuning import load_tuning
from inference.upstream.engine import UpstreamEngine
from inference.upstream.opening import open_upstream
from models.catalog import Kind, load_catalog
from models.errors import ModelError
from models.fetch import locate
from models.home import herald_home

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
CACHE_SLOTS = 16
MAX_SEQUENCES = 128


def main() -> int:
    """Run until stopped; the exit status is 1 with one clear line when the server cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s inference %(levelname)s %(message)s")
    for noisy in ("httpx", "httpcore", "sentence_transformers", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = InferenceSettings()
        return serve(settings)
    except StartupError as error:
        print(f"inference cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except ValueError as error:
        print(f"inference cannot start: a setting is wrong: {error}", file=sys.stderr)  # noqa: T201
        return 1


def serve(settings: InferenceSettings) -> int:
    """Load and serve. Raises: StartupError for all that is known to be wrong before the first request."""
    listener = bind(settings.inference_port)
    key = inference_key(settings)
    engine = make_engine(settings)
    traced = TracedEngine(engine, open_call_log())
    embedder = make_embedder(settings)
    reranker = make_reranker(settings)
    failures: list[str] = []

    async def start() -> None:
        try:
            await engine.start()
            await embedder.load()
            if reranker is not None:
                await reranker.load()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, StartupError):
                log.exception("The model could not be loaded")
            failures.append(str(error))
            server.should_exit = True
            return
        names = (settings.model, embedder.name, *([reranker.name] if reranker is not None else []))
        log.info("ready: %s", ", ".join(names))

    max_body_bytes = settings.inference_max_body_mb * (1 << 20)
    batch = make_batches(settings, traced, embedder)
    app = create_app(
        traced, embedder, key=key, max_body_bytes=max_body_bytes, start=start, batch=batch, reranker=reranker
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=5, lifespan="on", server_header=False
    )
    server = uvicorn.Server(config)
    log.info("listening on http://%s:%d, loading %s", HOST, listener.getsockname()[1], settings.model)
    server.run(sockets=[listener])
    if failures:
        raise StartupError(failures[0])
    return 0


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one. Raises: StartupError."""
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, answers wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise StartupError(
            f"Port {port} on {HOST} cannot be opened: {reason}. Stop that program, or set HERALD_INFERENCE_PORT."
        ) from error
    return listener


def make_engine(settings: InferenceSettings) -> LocalEngine | UpstreamEngine:
    """The engine that the settings ask for; it is not started. Raises: StartupError."""
    if settings.inference_backend in ("vllm", "openai", "anthropic"):
        return open_upstream(settings)
    return LocalEngine(settings, backend_loader(settings))


def backend_loader(settings: InferenceSettings) -> Callable[[], Backend]:
    """What will load the model, after everything that can be checked before was checked. Raises: StartupError."""
    if settings.inference_backend == "fake":
        from inference.backends.fake import FakeBackend

        return lambda: FakeBackend(context_tokens=settings.inference_context, model=settings.model)
    if settings.inference_max_sequences > MAX_SEQUENCES:
        raise StartupError(
            f"HERALD_INFERENCE_MAX_SEQUENCES is {settings.inference_max_sequences}; llama.cpp decodes at most "
            f"{MAX_SEQUENCES} requests together. Lower it, or use the backend vllm."
        )
    path = locate_model(settings.model, Kind.CHAT)
    from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions, read_shape

    shape = read_shape(path)
    context_tokens = min(settings.inference_context, shape.trained_context)
    plan = plan_memory(
        model=settings.model,
        weights_bytes=shape.weights_bytes,
        cell_bytes=shape.cell_bytes,
        context_tokens=context_tokens,
        max_sequences=settings.inference_max_sequences,
        free_bytes=_left_for_the_model(settings),
    )
    log.info("%s takes about %.1f GiB, %d tokens of cache", settings.model, plan.needed_bytes / GIB, plan.cell_count)
    taken = {settings.model, settings.embedding_model}
    if settings.reranker_path is not None:
        taken.add(settings.reranker_path.resolve().name)
    options = LoadOptions(
        path=path,
        model=settings.model,
        threads=settings.inference_threads or physical_cores(),
        context_tokens=context_tokens,
        cell_count=plan.cell_count,
        slot_count=settings.inference_max_sequences + CACHE_SLOTS,
        adapters=find_adapters(herald_home() / "adapters", taken),
        tuning=load_tuning(path),
    )
    return lambda: LlamaCppBackend(options)


def _left_for_the_model(settings: InferenceSettings) -> int:
    """Available memory less what the reranker will take; 0 when the system does not say."""
    free_bytes = available_bytes()
    if not free_bytes or settings.reranker_path is None:
        return free_bytes
    return max(1, free_bytes - weights_bytes(settings.reranker_path))


def locate_model(name: str, kind: Kind) -> Path:
    """The verified files of a model of the right kind. Raises: StartupError."""
    try:
        model = load_catalog().get(name)
        if model.kind is not kind:
            raise StartupError(f"{name} is not a {kind} model. See herald models list.")
        return locate(model)
    except ModelError as error:
        raise StartupError(str(error)) from error


def make_batches(settings: InferenceSettings, engine: Engine, embedder: Embedder) -> BatchState:
    """Offline generation, kept in the data home. Raises: StartupError."""
    folder = herald_home() / "batches"
    limits = BatchLimits(line_bytes=settings.inference_max_body_mb * (1 << 20))
    try:
        # One more than run together, so that a place that falls free is taken in the same step.
        return open_batches(folder, engine, embedder, concurrency=settings.inference_max_sequences, limits=limits)
    except OSError as error:
        raise StartupError(
            f"The folder {folder} cannot be used: {error.strerror or error}. Check that the user who runs Herald owns "
            "it and that the disk is not full."
        ) from error


def open_call_log() -> CallLog:
    """The record of all calls in the data home. Raises: StartupError."""
    path = herald_home() / "logs" / "calls.jsonl"
    try:
        return CallLog(path)
    except OSError as error:
        raise StartupError(
            f"The folder {path.parent} cannot be used: {error.strerror or error}. Check that the user who runs Herald "
            "owns it and that the disk is not full."
        ) from error


def make_embedder(settings: InferenceSettings) -> Embedder:
    """The embedding model, or one that says why there is none: chat works without it."""
    try:
        path = locate_model(settings.embedding_model, Kind.EMBEDDING)
    except StartupError as error:
        log.warning("%s", error)
        return Embedder(settings.embedding_model, None, problem=str(error))
    return Embedder(settings.embedding_model, path, threads=max(1, physical_cores() // 2))


def make_reranker(settings: InferenceSettings) -> Reranker | None:
    """The cross-encoder of the settings; None without one.

    Raises: StartupError for a path that is none, or whose name another model has.
    """
    if settings.reranker_path is None:
        return None
    check_folder(settings.reranker_path)
    reranker = Reranker(
        settings.reranker_path,
        threads=max(1, physical_cores() // 2),
        queue_limit=settings.inference_queue,
        queue_timeout_s=settings.inference_queue_timeout_s,
    )
    if reranker.name in {settings.model, settings.embedding_model}:
        raise StartupError(
            f"HERALD_RERANKER_PATH ends in {reranker.name}, the name of another served model. Rename the folder."
        )
    return reranker
