"""The servers that requests go to: which of them are up, how busy each is, and what it serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from inference.errors import NotReady

log = logging.getLogger(__name__)

PROBE_S = 2.0
PROBE_TIMEOUT_S = 10.0
RETRY_AFTER_S = 2.0


@dataclass(slots=True, eq=False)
class Server:
    """One server. ``url`` is what paths are appended to; ``problem`` says why it is not up.

    ``model`` is the name under which it serves the model, ``context_tokens`` bounds a request where that is known.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    context_tokens: int | None = None
    in_flight: int = 0
    is_up: bool = False
    problem: str = "not asked yet"


class Fleet(Protocol):
    """Servers that serve the same model."""

    @property
    def servers(self) -> Sequence[Server]:
        """All of them, whether up or not."""
        ...

    async def start(self) -> None:
        """Return once at least one of them serves. Raises: StartupError when none ever will."""
        ...

    async def close(self) -> None:
        """Stop watching them, and end those that were started here."""
        ...


def pick(servers: Sequence[Server], but_not: Collection[Server]) -> Server:
    """The least busy one that is up. Raises: NotReady with what is wrong."""
    up = [server for server in servers if server.is_up and server not in but_not]
    if not up:
        problems = "; ".join(f"{server.url}: {server.problem}" for server in servers)
        raise NotReady(
            f"No server is ready ({problems}). Send the request again in a moment.", retry_after_s=RETRY_AFTER_S
        )
    return min(up, key=lambda server: server.in_flight)


async def ask(http: httpx.AsyncClient, server: Server, model: str) -> None:
    """Ask a vLLM server what it serves, and note whether it is up. Source: GET /v1/models of OpenAI and vLLM."""
    try:
        response = await http.get(f"{server.url}/v1/models", headers=server.headers, timeout=PROBE_TIMEOUT_S)
        if response.status_code != 200:
            server.is_up, server.problem = False, f"answers {response.status_code} to GET /v1/models"
            return
        served = {row["id"]: row.get("max_model_len") for row in response.json()["data"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        server.is_up, server.problem = False, f"does not answer ({type(error).__name__})"
        return
    name = model if model in served else next(iter(served), "") if len(served) == 1 else ""
    if not name:
        server.is_up, server.problem = False, f"serves {', '.join(served) or 'nothing'}, not {model}"
        return
    server.model, server.context_tokens = name, served[name]
    server.is_up, server.problem = True, ""


class HostedServer:
    """A provider's address, which nobody watches: each request finds out for itself."""

    def __init__(self, server: Server) -> None:
        server.is_up, server.problem = True, ""
        self.servers = [server]

    async def start(self) -> None:
        """Nothing to wait for."""

    async def close(self) -> None:
        """Nothing to end."""


class WatchedServers:
    """vLLM servers that somebody else runs. Each is asked again and again, so one that returns is used again."""

    def __init__(self, urls: Sequence[str], key: str, model: str) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.servers = [Server(url.rstrip("/").removesuffix("/v1"), headers) for url in urls]
        self._model = model
        self._http = httpx.AsyncClient(trust_env=False)
        self._watch: asyncio.Task[None] | None = None
        self._is_one_up = asyncio.Event()

    async def start(self) -> None:
        """Wait for the first of them."""
        self._watch = asyncio.create_task(self._ask_all())
        await self._is_one_up.wait()

    async def _ask_all(self) -> None:
        while True:
            before = [server.is_up for server in self.servers]
            await asyncio.gather(*(ask(self._http, server, self._model) for server in self.servers))
            for was_up, server in zip(before, self.servers, strict=True):
                if was_up != server.is_up:
                    log.info("%s %s", server.url, "is up" if server.is_up else server.problem)
            if any(server.is_up for server in self.servers):
                self._is_one_up.set()
            await asyncio.sleep(PROBE_S)

    async def close(self) -> None:
        """Stop asking; the servers are left alone."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._http.aclose()
