"""Whole chat turns against the running product: time to first token, tokens per second, seconds a turn.

Start the box first (``./scripts/up --detach``). Each message is sent in a conversation of its own, which is deleted
afterwards; what is proposed is rejected, so nothing runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from app.client import ApiError, Delta, Done, HeraldClient
from app.llm import LlmClient, Sampling
from app.settings import Settings, load_settings
from inference.config import processor_name

MESSAGES = (
    ("post", "Post on X: We open at 9am tomorrow!"),
    ("read", "Read https://jos-bakery.example/prices and tell me the prices"),
    ("talk", "What should I keep in mind when I announce new opening hours?"),
)
WORDS = "Explain in about one hundred words why a small bakery should tell its customers about new opening hours."


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure: the median of its runs, and the slowest."""

    case: str
    unit: str
    median: float
    worst: float
    runs: int


def measure_turns(client: HeraldClient, rounds: int) -> list[Row]:
    """Seconds to the first visible piece of the reply, and to the end of the turn."""
    first: dict[str, list[float]] = {name: [] for name, _ in MESSAGES}
    whole: dict[str, list[float]] = {name: [] for name, _ in MESSAGES}
    for round_number in range(rounds):
        for name, message in MESSAGES:
            started_at = time.perf_counter()
            shown_at = 0.0
            for event in client.chat_stream(message):
                if isinstance(event, Delta) and not shown_at:
                    shown_at = time.perf_counter()
                if isinstance(event, Done):
                    first[name].append((shown_at or time.perf_counter()) - started_at)
                    whole[name].append(time.perf_counter() - started_at)
                    forget(client, event)
            print(f"  round {round_number + 1}: {name} {whole[name][-1]:.2f} s", file=sys.stderr)
    rows = [row(f"{name}: first piece of the reply", "s", first[name]) for name, _ in MESSAGES]
    return rows + [row(f"{name}: whole turn", "s", whole[name]) for name, _ in MESSAGES]


def forget(client: HeraldClient, event: Done) -> None:
    """Leave no trace of a measured turn."""
    action = event.turn["action"]
    if action is not None:
        client.reject(action["id"], "benchmark")
    client.delete_conversation(event.turn["conversation_id"])


def measure_tokens(settings: Settings, rounds: int) -> list[Row]:
    """The engine alone, through its endpoint: time to first token and tokens per second of a constrained reply."""
    llm = LlmClient(settings.inference_origin, settings.inference_key_text(), settings.model)
    schema = {
        "type": "object",
        "properties": {"reply": {"type": "string", "maxLength": 900}},
        "required": ["reply"],
        "additionalProperties": False,
    }
    first, speed = [], []
    for round_number in range(rounds):
        # A different first word a round, so that the prefix cache does not answer for the prompt.
        message = f"Request {round_number} at {time.time_ns()}. {WORDS}"
        started_at = time.perf_counter()
        first_at, last_at, tokens = 0.0, 0.0, 0
        for piece in llm.stream([{"role": "user", "content": message}], schema, Sampling(max_tokens=200)):
            if piece.text:
                last_at = time.perf_counter()
                first_at = first_at or last_at
            if piece.usage:
                tokens = int(piece.usage["completion_tokens"])
        first.append(first_at - started_at)
        speed.append((tokens - 1) / max(last_at - first_at, 1e-9))
    llm.close()
    return [row("engine: time to first token", "s", first), row("engine: decoding", "tokens/s", speed)]


def row(case: str, unit: str, values: list[float]) -> Row:
    """The median and the worst: the smallest speed, the longest time."""
    worst = min(values) if unit.endswith("/s") else max(values)
    return Row(case, unit, round(statistics.median(values), 3), round(worst, 3), len(values))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each message is sent (5)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    settings = load_settings()
    client = HeraldClient(settings.local_url, api_key=settings.api_key_text())
    try:
        client.chat("hello")  # the first turn fills the prefix cache, as the box's own warm-up does
        rows = measure_tokens(settings, options.rounds) + measure_turns(client, options.rounds)
    except (ApiError, httpx.HTTPError) as error:
        print(f"{error}\nThe benchmark measures the running box: start it with ./scripts/up --detach", file=sys.stderr)
        return 1
    print(f"{settings.model}, {os.cpu_count()} cores, {processor_name()}")
    print(f"{'case':36} {'median':>10} {'worst':>10} unit")
    for r in rows:
        print(f"{r.case:36} {r.median:>10.2f} {r.worst:>10.2f} {r.unit}")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
