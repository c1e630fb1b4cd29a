"""One answer on its way back: server-sent events in, deltas out, checked at the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from inference.engine.base import ConstraintKind, ConstraintSpec, Delta, Usage
from inference.engine.constraint import ConstraintState
from inference.errors import InferenceError
from inference.upstream.base import Reader
from inference.upstream.failures import cut_off
from inference.upstream.servers import Server

# These are matched by their grammar alone, so the finished text is read by the matcher here, byte by byte.
_BY_GRAMMAR = frozenset({ConstraintKind.REGEX, ConstraintKind.GRAMMAR})


@dataclass(slots=True)
class Totals:
    """Tokens of all ended requests."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def add(self, usage: Usage) -> None:
        """Count an ended request."""
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cached_tokens += usage.cached_tokens


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint over bytes, which judges finished output whoever constrained it."""

    spec: ConstraintSpec
    state: ConstraintState

    def require(self, text: str) -> None:
        """Raises: ConstraintFailed unless the text satisfies the constraint."""
        if self.spec.kind in _BY_GRAMMAR:
            for byte in text.encode():
                self.state.accept(byte)
        self.state.validate(text)


class UpstreamStream:
    """The deltas of one request. Closing it closes the connection, at which the server stops computing."""

    def __init__(
        self,
        name: str,
        server: Server,
        response: httpx.Response,
        reader: Reader,
        check: Check | None,
        totals: Totals,
        started_at: float,
    ) -> None:
        """``name`` is whom errors speak of; ``started_at`` is monotonic."""
        self._name = name
        self._server = server
        self._response = response
        self._reader = reader
        self._check = check
        self._totals = totals
        self._started_at = started_at
        self._ttft_s = 0.0
        self._texts: list[str] = []
        self._events = server_sent_events(response)
        self._is_over = False

    @property
    def usage(self) -> Usage:
        """What the request has taken so far."""
        return replace(self._reader.usage, ttft_s=self._ttft_s, total_s=time.monotonic() - self._started_at)

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        if self._is_over:
            raise StopAsyncIteration
        try:
            async for event in self._events:
                delta = self._reader.feed(event)
                if delta.text or delta.logprobs:
                    self._ttft_s = self._ttft_s or time.monotonic() - self._started_at
                    self._texts.append(delta.text)
                    return delta
            last = await self._last()
        except InferenceError:
            await self.aclose()
            raise
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
            await self.aclose()
            raise cut_off(self._name) from error
        await self.aclose()
        return last

    async def _last(self) -> Delta:
        if self._reader.finish_reason is None:
            raise cut_off(self._name)
        rest = self._reader.rest()
        self._texts.append(rest)
        if self._check is not None and self._reader.finish_reason == "stop":
            await asyncio.to_thread(self._check.require, "".join(self._texts))
        return Delta(rest, finish_reason=self._reader.finish_reason, usage=self.usage)

    async def aclose(self) -> None:
        """Abort the request unless it is over."""
        if self._is_over:
            return
        self._is_over = True
        self._server.in_flight -= 1
        self._totals.add(self._reader.usage)
        await self._events.aclose()
        await self._response.aclose()


async def server_sent_events(response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    """The JSON of each event; comments, names and ``[DONE]`` are left out. Source: WHATWG HTML, server-sent events.

    Lines end at line feeds alone: to split as Python does would cut JSON text at U+2028.
    """
    data: list[bytes] = []
    pending = b""
    async for chunk in response.aiter_bytes():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in (line.removesuffix(b"\r") for line in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                text, data = b"\n".join(data), []
                if text != b"[DONE]":
                    yield json.loads(text)
