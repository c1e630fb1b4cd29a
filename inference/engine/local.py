"""The local engine: prepares requests (template, tokens, constraint), gives them to the step loop, streams what comes.

Bridges the loop's thread and asyncio: deltas of a step are handed over together, with one wake-up of the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from inference.backends.base import Backend
from inference.chat_template import ChatTemplate
from inference.config import InferenceSettings
from inference.engine.base import Delta, DeltaStream, EngineStatus, GenerationRequest, Usage
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from inference.engine.detokenizer import Detokenizer
from inference.engine.loop import StepLoop
from inference.engine.scheduler import Limits
from inference.engine.sequences import Sequence
from inference.errors import ContextLengthExceeded, InferenceError, InvalidRequest, NotReady
from inference.metrics import engine_page

log = logging.getLogger(__name__)

Item = Delta | InferenceError


class LocalEngine:
    """Serves one model that this process loads."""

    def __init__(self, settings: InferenceSettings, load: Callable[[], Backend]) -> None:
        """``load`` makes the backend; it is called in a worker thread by ``start``."""
        self._settings = settings
        self._load = load
        self._status = EngineStatus("loading", f"loading {settings.model}")
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._outbox: list[tuple[asyncio.Queue[Item], Item]] = []
        self._backend: Backend | None = None
        self.step_loop: StepLoop | None = None

    @property
    def model(self) -> str:
        """Name of the served model."""
        return self._settings.model

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that fitted the model; none before it is loaded."""
        return self._backend.info.adapters if self._backend is not None else ()

    def status(self) -> EngineStatus:
        """Loading, ready, or failed with the reason."""
        if self.step_loop is not None and self.step_loop.failure:
            return EngineStatus("failed", self.step_loop.failure)
        return self._status

    def metrics(self) -> str:
        """Prometheus' text format."""
        return engine_page(self.step_loop)

    async def start(self) -> None:
        """Load the model and begin to serve; a failure is kept as the status and raised.

        Raises: StartupError, or whatever the loader raises.
        """
        self._event_loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._start)
        except Exception as error:
            self._status = EngineStatus("failed", str(error))
            raise
        self._status = EngineStatus("ready", f"{self.model} on {self._settings.inference_backend}")

    def _start(self) -> None:
        backend = self._load()
        self._template = ChatTemplate(backend)
        self._compiler = ConstraintCompiler(backend.constraint_tokenizer(), backend.control_texts)
        limits = Limits(
            max_sequences=self._settings.inference_max_sequences,
            queue_timeout_s=self._settings.inference_queue_timeout_s,
        )
        self._backend = backend
        self.step_loop = StepLoop(
            backend,
            limits,
            queue_limit=self._settings.inference_queue,
            on_step_end=self._flush,
        )
        self.step_loop.start()

    async def close(self) -> None:
        """Fail what is in flight and free the model."""
        self._status = EngineStatus("failed", "stopping")
        if self.step_loop is not None:
            await asyncio.to_thread(self.step_loop.close)

    async def submit(self, request: GenerationRequest) -> DeltaStream:
        """Prepare and queue a request. Raises: InferenceError."""
        step_loop = self.step_loop
        if step_loop is None or self._status.status != "ready":
            raise NotReady(f"The model is not ready: {self._status.detail}. Try again in a moment.", retry_after_s=2.0)
        arrivals: asyncio.Queue[Item] = asyncio.Queue()
        sequence = await self._prepare(request, arrivals)
        step_loop.submit(sequence)
        return _LocalStream(step_loop, sequence, arrivals)

    async def _prepare(self, request: GenerationRequest, arrivals: asyncio.Queue[Item]) -> Sequence:
        backend = self._backend
        assert backend is not None
        # Long texts take milliseconds to tokenize, schemas up to seconds to compile: neither may stop other streams.
        tokens = await asyncio.to_thread(self._tokenize, request)
        context = backend.info.context_tokens
        room = context - len(tokens)
        if room < 1 or (request.max_tokens or 0) > room:
            asked = f" and {request.max_tokens:,} in the completion" if request.max_tokens else ""
            raise ContextLengthExceeded(
                f"This model's maximum context length is {context:,} tokens. However, the request has {len(tokens):,} "
                f"tokens in the prompt{asked}. Shorten the messages or max_tokens.",
                param="messages" if request.messages is not None else "prompt",
            )
        for token in request.sampling.logit_bias:
            if token >= backend.info.vocab_size:
                raise InvalidRequest(
                    f"logit_bias names token {token}, the vocabulary has {backend.info.vocab_size:,}.",
                    param="logit_bias",
                )
        constraint = None
        if request.constraint is not None:
            program = await self._compiler.compile_in_time(request.constraint)
            constraint = ConstraintState(program, backend.info.vocab_size)
        return Sequence(
            request_id=request.request_id,
            prompt_tokens=tokens,
            max_new_tokens=request.max_tokens or room,
            sampling=request.sampling,
            stop_tokens=backend.info.stop_tokens,
            detokenizer=Detokenizer(backend.token_bytes, request.stop),
            token_bytes=backend.token_bytes,
            sink=lambda item: self._outbox.append((arrivals, item)),
            constraint=constraint,
            adapter=request.adapter,
            is_background=request.is_background,
        )

    def _tokenize(self, request: GenerationRequest) -> list[int]:
        if request.messages is not None:
            tokens = self._template.prompt_tokens(request.messages, request.tools)
        elif isinstance(request.prompt, str):
            tokens = self._template.plain_tokens(request.prompt)
        else:
            tokens = self._checked_tokens(request.prompt or [])
        if not tokens:
            raise InvalidRequest("The prompt is empty. Send at least one token.", param="prompt")
        return tokens

    def _checked_tokens(self, tokens: list[int]) -> list[int]:
        assert self._backend is not None
        size = self._backend.info.vocab_size
        for token in tokens:
            if not 0 <= token < size:
                raise InvalidRequest(f"Token {token} is not in the vocabulary of {size:,}.", param="prompt")
        return tokens

    def _flush(self) -> None:
        """Called by the loop's thread after each step."""
        if not self._outbox:
            return
        items, self._outbox = self._outbox, []
        assert self._event_loop is not None
        try:
            self._event_loop.call_soon_threadsafe(_deliver, items)
        except RuntimeError:
            log.warning("The event loop is closed; %d deltas have no reader", len(items))


class _LocalStream:
    """What the step loop sends for one request. Not a generator: an unread generator cannot be closed."""

    def __init__(self, step_loop: StepLoop, sequence: Sequence, arrivals: asyncio.Queue[Item]) -> None:
        self._step_loop = step_loop
        self._sequence = sequence
        self._arrivals = arrivals
        self._is_over = False

    @property
    def usage(self) -> Usage:
        """What the request has taken so far, for one that does not end with a result."""
        return self._sequence.usage()

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        if self._is_over:
            raise StopAsyncIteration
        item = await self._arrivals.get()
        if isinstance(item, InferenceError):
            self._is_over = True
            raise item
        self._is_over = item.finish_reason is not None
        return item

    async def aclose(self) -> None:
        """Abort the request unless it is over."""
        if not self._is_over:
            self._is_over = True
            self._step_loop.abort(self._sequence.request_id)


def _deliver(items: list[tuple[asyncio.Queue[Any], Item]]) -> None:
    for arrivals, item in items:
        arrivals.put_nowait(item)
