"""The engine against its peers on this machine: tokens per second, constrained tokens per second, time to first token.

Every figure comes over HTTP from servers that run side by side and are asked in turns, so that whatever else the
machine does hits all of them. Prompts of about 200 tokens share their first 150; an answer may have 128 tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from inference.config import processor_name
from models.catalog import load_catalog
from models.fetch import locate
from scripts.benchmarks.engine_servers import (
    KEY,
    PeerFailed,
    Running,
    alone,
    herald,
    llama_cpp_server,
    vllm_cpu,
    xllamacpp,
)

WORD_LIST = """
bread oven morning street butter flour window market people coffee paper winter garden music house river letter
number green yellow summer plate story teacher animal kitchen bottle doctor picture village
"""
WORDS = tuple(WORD_LIST.split())
MAX_TOKENS = 128
PEERS = ["xllamacpp", "llama_cpp_server", "vllm_cpu"]
CACHED_PREFIX_WORDS = 1450
SCHEMA = {
    "type": "object",
    "properties": {
        "reply": {"type": "string", "minLength": 40, "maxLength": 300},
        "action": {
            "type": "object",
            "properties": {
                "type": {"const": "post_social"},
                "params": {
                    "type": "object",
                    "properties": {
                        "platform": {"enum": ["x", "linkedin", "facebook"]},
                        "text": {"type": "string", "minLength": 40, "maxLength": 280},
                    },
                    "required": ["platform", "text"],
                    "additionalProperties": False,
                },
            },
            "required": ["type", "params"],
            "additionalProperties": False,
        },
    },
    "required": ["reply", "action"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: our figure, the peer's, and ours divided by the peer's."""

    case: str
    unit: str
    ours: float
    peer_name: str
    peer: float
    ratio: float


@dataclass(slots=True)
class Answer:
    """What one request took, in seconds, and how many tokens it gave."""

    tokens: int
    first_s: float
    total_s: float
    usage: dict[str, Any]


def prompt(rng: random.Random, shared: list[str], own_words: int = 40) -> str:
    """A prompt that begins with the shared words and ends with its own."""
    own = " ".join(rng.choices(WORDS, k=own_words))
    return f"{' '.join(shared)}\n\nContinue this list with many more words, a long one: {own}"


async def ask(client: httpx.AsyncClient, server: Running, text: str, **fields: Any) -> Answer:
    """One streamed chat completion. Without a seed: vLLM on the CPU ends at the first of them in a large batch."""
    body: dict[str, Any] = {
        "model": server.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0.8,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }
    started_at, first_s, pieces, usage = time.perf_counter(), 0.0, 0, {}
    async with client.stream("POST", f"{server.url}/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise PeerFailed(f"{server.name}: {response.status_code} {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise PeerFailed(f"{server.name}: {event['error']}")
            usage = event.get("usage") or usage
            if event["choices"] and event["choices"][0]["delta"].get("content"):
                pieces += 1
                first_s = first_s or time.perf_counter() - started_at
    return Answer(int(usage.get("completion_tokens", pieces)), first_s, time.perf_counter() - started_at, usage)


async def throughput(server: Running, clients: int, requests: int, seed: int, *, constrained: bool) -> float:
    """Tokens per second of all clients together; each sends its requests one after the other."""
    rng = random.Random(seed)  # noqa: S311
    shared = rng.choices(WORDS, k=140)
    fields: dict[str, Any] = {}
    if constrained:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "turn", "schema": SCHEMA}}
    timeout, limits = httpx.Timeout(1200), httpx.Limits(max_connections=clients)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(timeout=timeout, limits=limits, headers=headers, trust_env=False) as client:

        async def one(number: int) -> int:
            own = random.Random(seed * 1000 + number)  # noqa: S311
            total = 0
            for _ in range(requests):
                answer = await ask(client, server, prompt(own, shared), **fields)
                total += answer.tokens
            return total

        started_at = time.perf_counter()
        tokens = sum(await asyncio.gather(*(one(number) for number in range(clients))))
        return tokens / (time.perf_counter() - started_at)


async def first_token(server: Running, seed: int) -> tuple[float, float]:
    """Seconds to the first token with a new prefix of about 1,500 tokens, and with the same one again."""
    rng = random.Random(seed)  # noqa: S311
    shared = rng.choices(WORDS, k=CACHED_PREFIX_WORDS)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(timeout=1200, headers=headers, trust_env=False) as client:
        cold = await ask(client, server, prompt(rng, shared, 5), max_tokens=2)
        warm = await ask(client, server, prompt(rng, shared, 5), max_tokens=2)
    return cold.first_s, warm.first_s


async def quotation(server: Running, seed: int) -> float:
    """Tokens per second of one client whose answer repeats a passage of its prompt."""
    words = random.Random(seed).choices(WORDS, k=60)  # noqa: S311
    text = f"Repeat this text word for word, and then once more:\n\n{' '.join(words)}."
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(timeout=1200, headers=headers, trust_env=False) as client:
        await ask(client, server, text, max_tokens=1)  # the prompt is not what is measured
        answer = await ask(client, server, text, temperature=0)
    return answer.tokens / answer.total_s


def compare(case: str, unit: str, ours: list[float], peer_name: str, peer: list[float]) -> Row:
    """Medians side by side."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Row(case, unit, round(mine, 3), peer_name, round(theirs, 3), round(mine / theirs, 3))


def measure_throughput(servers: list[Running], options: argparse.Namespace) -> list[Row]:
    """Plain and constrained tokens per second at every number of clients, servers in turns."""
    rows: list[Row] = []
    for clients in options.clients:
        figures: dict[tuple[str, bool], list[float]] = {}
        for round_number in range(options.rounds):
            for constrained in (False, True):
                for server in servers:
                    if not server.can_batch and (constrained or clients > 1):
                        continue
                    seed = 10 * clients + round_number
                    with alone(server, servers):
                        speed = asyncio.run(
                            throughput(server, clients, options.requests, seed, constrained=constrained)
                        )
                    figures.setdefault((server.name, constrained), []).append(speed)
                    kind = "json" if constrained else "plain"
                    print(f"  {clients} clients, {kind}, {server.name}: {speed:.1f} tokens/s", file=sys.stderr)
        ours, ours_json = figures["herald", False], figures["herald", True]
        for (name, constrained), speeds in figures.items():
            if name != "herald":
                case = f"{'JSON' if constrained else 'plain'}, {clients} clients"
                rows.append(compare(case, "tokens/s", ours_json if constrained else ours, name, speeds))
        rows.append(compare(f"JSON, {clients} clients", "tokens/s", ours_json, "herald unconstrained", ours))
    return rows


def measure_first_token(servers: list[Running], rounds: int) -> list[Row]:
    """Warm against cold."""
    with alone(servers[0], servers):
        pairs = [
            asyncio.run(first_token(servers[0], 7000 + time.time_ns() % 1000 + number)) for number in range(rounds)
        ]
    cold, warm = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [compare("first token, 1,500-token prefix cached", "s", warm, "herald cold", cold)]


def measure_quotation(servers: list[Running], rounds: int) -> list[Row]:
    """Answers that quote, servers in turns."""
    speeds: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers:
            with alone(server, servers):
                speeds[server.name].append(asyncio.run(quotation(server, 500 + number)))
            print(f"  quoting, {server.name}: {speeds[server.name][-1]:.1f} tokens/s", file=sys.stderr)
    ours = speeds.pop("herald")
    return [
        compare("an answer that quotes, 1 client", "tokens/s", ours, name, theirs) for name, theirs in speeds.items()
    ]


def peer(name: str, path: Path, options: argparse.Namespace) -> AbstractContextManager[Running]:
    """A peer's server by its name."""
    clients = max(options.clients)
    match name:
        case "xllamacpp":
            return xllamacpp(path, clients)
        case "vllm_cpu":
            return vllm_cpu(options.model, clients)
    return llama_cpp_server(path)


def machine() -> str:
    """Cores and processor."""
    return f"{os.cpu_count()} cores, {processor_name()}"


def commit() -> str:
    """The measured commit."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="a model of the catalogue that is here")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="concurrent clients (1 8 32)")
    parser.add_argument("--requests", type=int, default=1, help="requests of each client in a round (1)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (3)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="peers to compare with")
    parser.add_argument("--skip", nargs="*", default=[], help="any of: throughput first_token quotation")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    path = locate(load_catalog().get(options.model))
    rows: list[Row] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(herald(options.model))]
        for name in options.peers:
            try:
                servers.append(stack.enter_context(peer(name, path, options)))
            except PeerFailed as error:
                print(error, file=sys.stderr)
        if "throughput" not in options.skip:
            rows += measure_throughput(servers, options)
        if "first_token" not in options.skip:
            rows += measure_first_token(servers, options.rounds)
        if "quotation" not in options.skip:
            rows += measure_quotation(servers, options.rounds)
    print(f"{options.model}, {machine()}, commit {commit()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'case':42} {'ours':>9} {'peer':>9} {'ratio':>6}  unit      peer")
    for row in rows:
        print(f"{row.case:42} {row.ours:>9.2f} {row.peer:>9.2f} {row.ratio:>6.2f}  {row.unit:9} {row.peer_name}")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
