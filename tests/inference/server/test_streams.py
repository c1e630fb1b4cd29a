"""Streams on the wire: hundreds held at once, signs of life while nothing comes, answers that leave at once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from inference.backends.fake import FakeBackend
from inference.serve import bind
from inference.server import wire

COUNT = 500


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "stream": True, **fields}


async def opened(url: str) -> asyncio.StreamWriter:
    """A connection on which a stream has begun; without a client library, which would take longer than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    content = json.dumps(body(max_tokens=900))
    head = (
        f"Host: x\r\nAuthorization: Bearer test-key\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    )
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{content}".encode())
    await reader.readuntil(b"data: {")
    return writer


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Connections that the server accepts have Nagle's algorithm off, which would hold small writes back for 40 ms."""

    async def accepted_option() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def see(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(see, sock=bind(0))
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            option = await found
            writer.close()
            await writer.wait_closed()
        return option

    assert asyncio.run(accepted_option())


def test_a_silent_stream_gives_signs_of_life(make_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment line comes while the generation takes its time; it is no event."""
    monkeypatch.setattr(wire, "KEEPALIVE_S", 0.02)
    server = make_server(FakeBackend(context_tokens=1024, step_delay_s=0.2, end_bias=-20))
    with server.client() as client:
        text = client.post("/v1/chat/completions", json=body(max_tokens=2)).text
    assert ": still working\n\n" in text
    assert text.endswith("data: [DONE]\n\n")


def test_hundreds_of_idle_streams_are_held(make_server: Callable[..., Any]) -> None:
    """All stay open behind one that is written, others are served beside them, and nothing is left when they go."""
    backend = FakeBackend(context_tokens=1024, step_delay_s=0.05, end_bias=-20)
    server = make_server(backend, inference_max_sequences=1, inference_queue=COUNT, inference_queue_timeout_s=600)
    step_loop = server.engine.step_loop

    async def hold() -> None:
        writers = [await opened(server.url) for _ in range(COUNT)]
        assert step_loop.unfinished == COUNT
        with server.client() as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/v1/models").status_code == 200
        assert step_loop.unfinished == COUNT
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers))

    asyncio.run(hold())
    with server.client() as client:
        # A request that is served proves that the places of the others are free.
        assert client.post("/v1/chat/completions", json={**body(max_tokens=1), "stream": False}).status_code == 200
    assert step_loop.counters.aborted == COUNT
    assert step_loop.unfinished == 0
    assert step_loop.scheduler.slots.check() == []
