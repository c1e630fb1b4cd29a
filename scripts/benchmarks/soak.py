"""The engine under clients that come and vanish: does every cell stay accounted for, and does its memory stay flat?

Clients ask for everything that the endpoint offers, with mistakes among it, and close the connection at random moments:
before the answer's head, in the middle of a stream, between tokens. At the end everything must be idle again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from scripts.benchmarks.engine import SCHEMA, WORDS, machine
from scripts.benchmarks.engine_servers import KEY, Running, herald, resident_kib

METRIC = "herald_inference_"
IDLE_TIMEOUT_S = 120
# Growth of the resident memory from the second quarter to the last that counts as flat: the allocator's own noise.
FLAT_SHARE = 0.05
TOOL = {"type": "function", "function": {"name": "post", "parameters": SCHEMA["properties"]["action"]}}
EXPECTED_STATUS = {200, 400, 429}


def body(rng: random.Random, model: str) -> tuple[str, dict[str, Any]]:
    """A random request: its path and body. About one in ten is wrong on purpose."""
    shared = " ".join(WORDS[: rng.choice([0, 20, 60])] * 3)
    text = f"{shared} {' '.join(rng.choices(WORDS, k=rng.randrange(3, 40)))}"
    fields: dict[str, Any] = {"model": model, "max_tokens": rng.randrange(1, 64), "stream": rng.random() < 0.6}
    chat = {**fields, "messages": [{"role": "user", "content": text}]}
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("chat/completions", chat),
        ("chat/completions", {**chat, "temperature": 0}),
        ("chat/completions", {**chat, "n": rng.randrange(2, 5), "seed": 1}),
        ("chat/completions", {**chat, "stop": ["the", "."], "logprobs": True, "top_logprobs": 3}),
        ("chat/completions", {**chat, "frequency_penalty": 1.0, "logit_bias": {"5": -100}}),
        ("chat/completions", {**chat, "tools": [TOOL], "tool_choice": "required"}),
        ("chat/completions", {**chat, "response_format": _format(SCHEMA)}),
        ("chat/completions", {**chat, "structured_outputs": {"regex": "[a-z]{3,20} [0-9]{1,4}"}}),
        ("chat/completions", {**chat, "structured_outputs": {"choice": ["yes", "no", "perhaps"]}}),
        ("completions", {**fields, "prompt": text * 4}),  # quotes itself
        ("completions", {**fields, "prompt": rng.choices(range(100, 9000), k=rng.randrange(1, 400))}),
    ]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("chat/completions", {**chat, "messages": [{"role": "user", "content": text * 400}]}),
        ("chat/completions", {**chat, "response_format": _format({"$ref": "https://example.com/schema"})}),
        ("completions", {**fields, "prompt": [10_000_000]}),
    ]
    return rng.choice(wrong if rng.random() < 0.1 else kinds)


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "turn", "schema": schema}}


class Soak:
    """Clients at work on one server, and what they met."""

    def __init__(self, server: Running, seed: int) -> None:
        self._server = server
        self._rng = random.Random(seed)  # noqa: S311
        self.outcomes: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.memory_mib: list[float] = []
        self.is_over = False

    @property
    def requests(self) -> int:
        """Requests that were begun."""
        return sum(self.outcomes.values())

    async def client(self) -> None:
        """Ask, one request after the other, until it is over; vanish from four in ten."""
        while not self.is_over:
            path, fields = body(self._rng, self._server.model)
            patience_s = self._rng.expovariate(1.5) if self._rng.random() < 0.4 else None
            try:
                await asyncio.wait_for(self._ask(path, fields), patience_s)
            except TimeoutError:
                self.outcomes["client vanished"] += 1
            except httpx.HTTPError as error:
                self.outcomes["connection lost"] += 1
                self.unexpected.append(f"{type(error).__name__}: {error}")

    async def _ask(self, path: str, fields: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            httpx.AsyncClient(headers=headers, timeout=300, trust_env=False) as client,
            client.stream("POST", f"{self._server.url}/v1/{path}", json=fields) as response,
        ):
            text = (await response.aread()).decode()
        status = response.status_code
        is_broken = status not in EXPECTED_STATUS or (status == 200 and '"error":{' in text.replace(" ", ""))
        if is_broken:
            self.unexpected.append(f"{status}: {text[-300:]}")
        self.outcomes["answered" if status == 200 else f"refused with {status}"] += 1

    async def watch(self) -> None:
        """Note the server's memory every few seconds."""
        while not self.is_over:
            # The weights are mapped from their file and say nothing.
            self.memory_mib.append(resident_kib(self._server.pid, "RssAnon") / 1024)
            await asyncio.sleep(2)


def metrics(server: Running) -> dict[str, float]:
    """The server's plain counters and gauges."""
    headers = {"Authorization": f"Bearer {KEY}"}
    page = httpx.get(f"{server.url}/metrics", headers=headers, trust_env=False, timeout=30).text
    rows = [line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#")]
    return {name.removeprefix(METRIC): float(value) for name, _, value in rows}


def wait_until_idle(server: Running) -> bool:
    """Whether nothing runs or waits any more, within two minutes."""
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < deadline:
        now = metrics(server)
        if now["running"] == now["waiting"] == 0:
            return True
        time.sleep(0.5)
    return False


async def soak(server: Running, options: argparse.Namespace) -> Soak:
    """Run all clients until both the time and the number of requests are reached."""
    made = Soak(server, options.seed)
    tasks = [asyncio.create_task(made.client()) for _ in range(options.clients)]
    watcher = asyncio.create_task(made.watch())
    deadline = time.monotonic() + 60 * options.minutes
    while time.monotonic() < deadline or made.requests < options.requests:
        await asyncio.sleep(1)
        left_s = max(0.0, deadline - time.monotonic())
        print(
            f"\r  {made.requests} requests, {left_s:.0f} s left, {made.memory_mib[-1]:.0f} MiB ",
            end="",
            file=sys.stderr,
        )
        if watcher.done():
            break
    made.is_over = True
    await asyncio.gather(*tasks)
    await watcher
    print(file=sys.stderr)
    return made


def main() -> int:
    """Run, print what happened, and end with status 1 when anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="a model of the catalogue that is here")
    parser.add_argument("--minutes", type=float, default=10.0, help="shortest time (10)")
    parser.add_argument("--requests", type=int, default=2000, help="fewest requests (2000)")
    parser.add_argument("--clients", type=int, default=24, help="clients at once (24)")
    parser.add_argument("--seed", type=int, default=1, help="what is random is the same for the same seed (1)")
    parser.add_argument("--json", type=Path, help="also write what happened to this file")
    options = parser.parse_args()
    with herald(options.model) as server:
        made = asyncio.run(soak(server, options))
        is_idle = wait_until_idle(server)
        counters = metrics(server)
    quarter = max(1, len(made.memory_mib) // 4)
    early = statistics.median(made.memory_mib[quarter : 2 * quarter])
    late = statistics.median(made.memory_mib[-quarter:])
    growth = late / early - 1
    checks = {
        "everything is idle at the end": is_idle,
        "no idle check found a cell astray": counters["cache_problems_total"] == 0,
        "no answer broke": not made.unexpected,
        f"memory grew by less than {FLAT_SHARE:.0%}": growth < FLAT_SHARE,
    }
    print(f"{options.model}, {machine()}, {options.clients} clients, {len(made.memory_mib) * 2 / 60:.1f} minutes")
    for name, count in made.outcomes.most_common():
        print(f"{name:28} {count:>7}")
    for name in ("steps_total", "preempted_total", 'requests_total{outcome="aborted"}', "cache_problems_total"):
        print(f"{name:40} {counters.get(name, 0):>7.0f}")
    print(f"memory, second quarter to last: {early:.0f} to {late:.0f} MiB ({growth:+.1%})")
    for text in made.unexpected[:5]:
        print(f"  {text}")
    for name, is_good in checks.items():
        print(f"{'yes' if is_good else 'NO '} {name}")
    if options.json:
        report = {"outcomes": made.outcomes, "memory_mib": made.memory_mib, "metrics": counters, "checks": checks}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
