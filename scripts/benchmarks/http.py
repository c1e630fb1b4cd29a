"""What Herald's own HTTP layer costs: time that it adds to each request, processor time, streams that it holds open.

The inference process is real and its backend fake, so that nearly all of the time is the server's own. Requests start
at fixed moments, whether or not earlier ones have ended; a slow server cannot slow its load down.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from scripts.benchmarks.engine import Row, commit, compare, machine
from scripts.benchmarks.engine_servers import KEY, Running, herald, resident_kib

LIMIT_MS = 5.0
RATE = 50
MAX_TOKENS = 8
LONG_TOKENS = 400_000
PINGS = 100
CHAT = "/v1/chat/completions"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# One stream is written for as long as the benchmark lasts, and all others wait behind it.
IDLE_SETTINGS = {
    "HERALD_INFERENCE_MAX_SEQUENCES": "1",
    "HERALD_INFERENCE_CONTEXT": "500000",
    "HERALD_INFERENCE_QUEUE_TIMEOUT_S": "3600",
}
NO_END = {"256": -100}  # the fake's end token


def cpu_ms(pid: int) -> float:
    """Processor time that a process has used, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS_PER_S


class Connection:
    """As little HTTP as will do: a client library would take longer than the server that is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, server: Running) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", httpx.URL(server.url).port))

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Write a request."""
        content = json.dumps(body).encode() if body else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)

    async def receive(self) -> bytes:
        """Read an answer that has a length. Raises: RuntimeError when it is an error."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
        content = await self.reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"A request was refused: {content.decode()}")
        return content

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


def chat(server: Running, **fields: Any) -> dict[str, Any]:
    """The body of a short chat completion."""
    message = {"role": "user", "content": "hello"}
    return {"model": server.model, "messages": [message], "max_tokens": MAX_TOKENS, **fields}


async def load(server: Running, requests: int) -> list[float]:
    """ms that HTTP adds to the engine's own time, for each request of an open loop."""
    added: list[float] = []
    connections = [await Connection.open(server) for _ in range(RATE)]

    async def one(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        connection = connections.pop()
        started_at = time.perf_counter()
        connection.send("POST", CHAT, chat(server))
        content = await connection.receive()
        took_ms = (time.perf_counter() - started_at) * 1000
        connections.append(connection)
        added.append(took_ms - json.loads(content)["usage"]["timings"]["total_ms"])

    await asyncio.gather(*(one(number / RATE) for number in range(requests)))
    for connection in connections:
        await connection.close()
    return added


async def pings(server: Running, count: int) -> list[float]:
    """ms that /healthz takes, one after the other."""
    connection, times = await Connection.open(server), []
    for _ in range(count):
        started_at = time.perf_counter()
        connection.send("GET", "/healthz")
        await connection.receive()
        times.append((time.perf_counter() - started_at) * 1000)
    await connection.close()
    return times


def measure_load(requests: int) -> list[Row]:
    """The added time's percentiles, and the processor time of a request beside that of a request that does nothing."""
    with herald("fake", backend="fake") as server:
        asyncio.run(load(server, RATE))  # the first requests import and compile
        used_ms = [cpu_ms(server.pid)]
        added = asyncio.run(load(server, requests))
        used_ms.append(cpu_ms(server.pid))
        asyncio.run(pings(server, requests))
        used_ms.append(cpu_ms(server.pid))
    cuts = statistics.quantiles(added, n=100)
    each_ms, floor_ms = ((after - before) / requests for before, after in itertools.pairwise(used_ms))
    return [
        *(compare(f"added by HTTP, p{at}", "ms", [cuts[at - 1]], "limit", [LIMIT_MS]) for at in (50, 95, 99)),
        compare("processor time, chat with its engine", "ms", [each_ms], "/healthz", [floor_ms]),
    ]


async def idle(server: Running, count: int) -> list[Row]:
    """Open streams of which one is written and the others wait; look at what they take and whether all are there."""
    before_kib = resident_kib(server.pid)
    alone_ms = await pings(server, PINGS)
    streams: list[Connection] = []
    for number in range(count):
        streams.append(await Connection.open(server))
        max_tokens = MAX_TOKENS if number else LONG_TOKENS
        streams[-1].send("POST", CHAT, chat(server, max_tokens=max_tokens, stream=True, logit_bias=NO_END))
        await streams[-1].reader.readuntil(b"data: {")
    each_kib = (resident_kib(server.pid) - before_kib) / count
    beside_ms = await pings(server, PINGS)
    reporter = await Connection.open(server)
    reporter.send("GET", "/metrics")
    page = (await reporter.receive()).decode()
    for connection in (reporter, *streams):
        await connection.close()
    gauges = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    held = float(gauges["herald_inference_running"]) + float(gauges["herald_inference_waiting"])
    return [
        compare("idle streams held", "streams", [held], "opened", [count]),
        compare("memory of an idle stream", "KiB", [each_kib], "whole process before", [before_kib]),
        compare(f"/healthz beside {count} streams, median", "ms", beside_ms, "without streams", alone_ms),
    ]


def measure_idle(count: int) -> list[Row]:
    """Idle streams: held, their memory, and whether the server answers others meanwhile."""
    with herald("fake", backend="fake", **IDLE_SETTINGS, HERALD_INFERENCE_QUEUE=str(count)) as server:
        return asyncio.run(idle(server, count))


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1500, help=f"requests at {RATE} a second (1500)")
    parser.add_argument("--streams", type=int, default=500, help="streams open at once (500)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows = [*measure_load(options.requests), *measure_idle(options.streams)]
    print(f"fake backend, {machine()}, commit {commit()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'case':46} {'ours':>9} {'peer':>9} {'ratio':>6}  unit      peer")
    for row in rows:
        print(f"{row.case:46} {row.ours:>9.2f} {row.peer:>9.2f} {row.ratio:>6.2f}  {row.unit:9} {row.peer_name}")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
