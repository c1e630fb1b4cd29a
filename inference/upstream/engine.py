"""The engine that passes requests on: to vLLM or to a hosted provider, in the dialect that it speaks.

Constrained output is checked here again by the validators of the local engine, whoever constrained it; it fails closed.
"""

from __future__ import annotations

import asyncio
import logging
import time

import httpx
from llguidance import LLTokenizer

from inference.engine.base import ConstraintSpec, EngineStatus, GenerationRequest
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from inference.errors import NotReady, QueueFull
from inference.metrics import PREFIX, Page
from inference.upstream.base import Call, CallAgain, Dialect
from inference.upstream.failures import cut_off
from inference.upstream.servers import Fleet, Server, pick
from inference.upstream.streaming import Check, Totals, UpstreamStream

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
FULL_RETRY_AFTER_S = 2.0


class UpstreamEngine:
    """Serves one model that other servers compute."""

    def __init__(
        self, model: str, dialect: Dialect, fleet: Fleet, *, most_in_flight: int, silence_s: float, is_local: bool
    ) -> None:
        """``silence_s`` is the longest wait for the next event of an answer; a server that is local needs no proxy."""
        self._model = model
        self._dialect = dialect
        self._fleet = fleet
        self._most_in_flight = most_in_flight
        self._bytes = LLTokenizer("byte")
        self._compiler = ConstraintCompiler(self._bytes)
        self._totals = Totals()
        self._status = EngineStatus("loading", "waiting for the first server")
        timeout = httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S, pool=None)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=not is_local)

    @property
    def model(self) -> str:
        """Name of the served model."""
        return self._model

    @property
    def adapters(self) -> tuple[str, ...]:
        """None: adapters belong to the local engine."""
        return ()

    def status(self) -> EngineStatus:
        """Ready while at least one server is up; loading with the reason while none is."""
        if self._status.status != "ready" or any(server.is_up for server in self._fleet.servers):
            return self._status
        problems = "; ".join(f"{server.url}: {server.problem}" for server in self._fleet.servers)
        return EngineStatus("loading", problems)

    def metrics(self) -> str:
        """Prometheus' text format."""
        page = Page()
        page.gauge(f"{PREFIX}running", "Requests that are with a server now.", self._in_flight)
        page.gauge(f"{PREFIX}waiting", "Requests that wait for their turn; servers keep their own queues.", 0)
        up = sum(server.is_up for server in self._fleet.servers)
        page.gauge(f"{PREFIX}servers_up", "Servers that requests are sent to.", up)
        page.counter(f"{PREFIX}prompt_tokens_total", "Prompt tokens of ended requests.", self._totals.prompt_tokens)
        page.counter(f"{PREFIX}cached_tokens_total", "Prompt tokens that were cached.", self._totals.cached_tokens)
        page.counter(f"{PREFIX}generated_tokens_total", "Generated tokens.", self._totals.completion_tokens)
        return page.text()

    async def start(self) -> None:
        """Wait for the first server. Raises: StartupError."""
        try:
            await self._fleet.start()
        except Exception as error:
            self._status = EngineStatus("failed", str(error))
            raise
        self._status = EngineStatus("ready", f"{self.model} on {self._dialect.name}")

    async def close(self) -> None:
        """End what is in flight, and the servers that were started here."""
        self._status = EngineStatus("failed", "stopping")
        await self._http.aclose()
        await self._fleet.close()

    async def submit(self, request: GenerationRequest) -> UpstreamStream:
        """Send the request to the least busy server. Raises: InferenceError."""
        started_at = time.monotonic()
        if self._status.status != "ready":
            raise NotReady(f"The model is not ready: {self._status.detail}. Try again in a moment.", retry_after_s=2.0)
        if self._in_flight >= self._most_in_flight:
            raise QueueFull(
                f"{self._in_flight} requests are in flight, at most {self._most_in_flight} are taken "
                "(HERALD_INFERENCE_MAX_SEQUENCES and HERALD_INFERENCE_QUEUE). Try again in a moment.",
                retry_after_s=FULL_RETRY_AFTER_S,
            )
        check = await self._check(request.constraint) if request.constraint is not None else None
        gone: list[Server] = []
        while True:
            server = pick(self._fleet.servers, gone)
            try:
                call, response = await self._send(request, server)
            except CallAgain:
                continue
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                # Nothing of the request arrived there, so another server may have it.
                gone.append(server)
                log.warning("%s cannot be reached: %s", server.url, error)
                if len(gone) == len(self._fleet.servers):
                    raise NotReady(
                        f"{self._dialect.name} cannot be reached at {server.url}. Send the request again in a moment.",
                        retry_after_s=FULL_RETRY_AFTER_S,
                    ) from error
            except httpx.HTTPError as error:
                raise cut_off(self._dialect.name) from error
            else:
                return UpstreamStream(
                    self._dialect.name, server, response, call.reader, check, self._totals, started_at
                )

    @property
    def _in_flight(self) -> int:
        return sum(server.in_flight for server in self._fleet.servers)

    async def _send(self, request: GenerationRequest, server: Server) -> tuple[Call, httpx.Response]:
        """A response whose stream is open; the server counts as busy with it until it is closed."""
        server.in_flight += 1
        try:
            call = await asyncio.to_thread(self._dialect.call, request, server)
            url, headers = f"{server.url}{call.path}", dict(server.headers)
            response = await self._http.send(
                self._http.build_request("POST", url, json=call.body, headers=headers), stream=True
            )
            if response.status_code == 200:
                return call, response
            try:
                body = await response.aread()
            finally:
                await response.aclose()
            raise self._dialect.failure(response.status_code, response.headers, body)
        except BaseException:
            server.in_flight -= 1
            raise

    async def _check(self, spec: ConstraintSpec) -> Check:
        """The constraint over bytes: a schema is refused here exactly when the local engine would refuse it."""
        program = await self._compiler.compile_in_time(spec)
        return Check(spec, ConstraintState(program, self._bytes.vocab_size))
