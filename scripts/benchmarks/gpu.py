"""Herald before vLLM against vLLM alone, on an NVIDIA card: streams, offline batches, JSON actions against free text.

One vLLM on the first card serves both sides, so what differs is Herald alone: half of the rounds ask it directly, half
through Herald's gateway, in turns and with prompts that nobody asked before. Offline batches go through the gateway's
/v1/batches; then the servers end, and vLLM's LLM.generate gets prompts of the same make in the same card.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.terminal.batch_endpoint import ENDED, BatchEndpoint
from inference.config import processor_name
from inference.errors import StartupError
from inference.upstream.opening import vllm_folder
from inference.upstream.vllm_plan import GIB, Card, find_cards, plan_vllm, read_model_shape
from inference.upstream.vllm_process import VllmOptions, require
from scripts.benchmarks.engine import MAX_TOKENS, WORDS, Row, commit, compare, prompt, throughput
from scripts.benchmarks.engine_servers import KEY, PeerFailed, Running, herald, vllm

AIMS = {"streams": 0.98, "batch": 0.99, "json": 0.95}
CONTEXT_TOKENS = 4096
LEAST_CAPABILITY = (7, 5)  # vLLM's own
POLL_S = 0.2

# Run in vLLM's environment. Prompts are rendered before the clock starts, which is to the advantage of this side.
GENERATE = """
import json, sys, time
from vllm import LLM, SamplingParams
order = json.load(open(sys.argv[1]))
llm = LLM(**order["engine"])
tokenizer = llm.get_tokenizer()
sampling = SamplingParams(temperature=0.8, max_tokens=order["max_tokens"])
for texts in order["rounds"]:
    turns = [[{"role": "user", "content": text}] for text in texts]
    prompts = [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
    started_at = time.perf_counter()
    answers = llm.generate(prompts, sampling, use_tqdm=False)
    took_s = time.perf_counter() - started_at
    tokens = sum(len(answer.outputs[0].token_ids) for answer in answers)
    print("ROUND", json.dumps([tokens, took_s]), flush=True)
"""


class Refused(Exception):
    """The benchmark cannot run here; the text says what was found, what is needed, and what to do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison with its aim: the least ratio that counts as reached."""

    row: Row
    aim: float

    @property
    def is_reached(self) -> bool:
        """Whether the ratio is at least the aim."""
        return self.row.ratio >= self.aim


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./scripts/bench gpu", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="the name under which the model is served")
    parser.add_argument("--folder", type=Path, help="its safetensors; those of ./scripts/install-vllm by default")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 32, 256], help="streams at once (1 32 256)")
    parser.add_argument("--requests", type=int, default=2, help="requests of each stream in a round (2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (5)")
    parser.add_argument("--batch", type=int, default=1000, help="lines of an offline batch (1000)")
    parser.add_argument("--skip", nargs="*", default=[], choices=list(AIMS), help="parts to leave out")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--on-cpu", action="store_true", help="try the script without a card; its figures mean nothing")
    options = parser.parse_args(arguments)
    for name in ("requests", "rounds", "batch"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}, at least 1 is needed")
    if min(options.streams) < 1 or max(options.streams) > 1024:
        parser.error(f"--streams are {options.streams}, each must be from 1 to 1024")
    options.folder = (options.folder or vllm_folder() / "models" / options.model).expanduser()
    return options


def choose_card(cards: tuple[Card, ...], *, on_cpu: bool) -> Card | None:
    """The first card; None for the processor. Raises: Refused when there is none that vLLM computes on."""
    if on_cpu:
        return None
    needed = f"an NVIDIA card with compute capability {'.'.join(map(str, LEAST_CAPABILITY))} or newer is needed"
    todo = "Run it on a machine with one, or with --on-cpu to try the script at small sizes."
    if not cards:
        raise Refused(f"nvidia-smi is not here or names no card; {needed}. {todo}")
    if cards[0].capability < LEAST_CAPABILITY:
        found = f"{cards[0].name} has compute capability {'.'.join(map(str, cards[0].capability))}"
        raise Refused(f"{found}; {needed}. {todo}")
    return cards[0]


def vllm_options(options: argparse.Namespace, card: Card | None, log: Path) -> VllmOptions:
    """What both sides are served with. Raises: StartupError."""
    most = max(options.streams)
    planned: tuple[str, ...] = ()
    if card is not None:
        shape = read_model_shape(options.folder)
        planned = tuple(plan_vllm((card,), shape, context_tokens=CONTEXT_TOKENS, max_sequences=most).arguments)
    python = os.environ.get("HERALD_VLLM_PYTHON") or vllm_folder() / "env" / "bin" / "python"
    found = VllmOptions(
        python=Path(python).expanduser(), folder=options.folder, model=options.model, log=log,
        context_tokens=CONTEXT_TOKENS, max_sequences=most, planned=planned,
        more="" if card is not None else "--enforce-eager",
    )  # fmt: skip
    require(found)
    return found


def in_turns(rounds: int, sides: list[Running]) -> Iterator[tuple[int, Running]]:
    """Every side once a round, each beginning every other round, with a seed that no other pair has."""
    seeds = itertools.count(1)
    for number in range(rounds):
        for side in sides if number % 2 == 0 else sides[::-1]:
            yield next(seeds), side


def measure_streams(bare: Running, gateway: Running, options: argparse.Namespace) -> list[Verdict]:
    """Tokens per second of all streams together, through the gateway and without it."""
    verdicts = []
    for streams in options.streams:
        speeds: dict[str, list[float]] = {bare.name: [], gateway.name: []}
        for seed, side in in_turns(options.rounds, [bare, gateway]):
            speed = asyncio.run(throughput(side, streams, options.requests, 10_000 * streams + seed, constrained=False))
            speeds[side.name].append(speed)
            _say(f"{streams} streams, {side.name}: {speed:.1f} tokens/s")
        row = compare(f"{streams} streams", "tokens/s", speeds[gateway.name], bare.name, speeds[bare.name])
        verdicts.append(Verdict(row, AIMS["streams"]))
    return verdicts


def measure_json(gateway: Running, options: argparse.Namespace) -> list[Verdict]:
    """Answers in the shape of an action against free text, both through the gateway."""
    verdicts = []
    for streams in options.streams:
        speeds: dict[bool, list[float]] = {True: [], False: []}
        seeds = itertools.count(20_000_000 + 10_000 * streams)
        for number, is_json in itertools.product(range(options.rounds), (True, False)):
            constrained = is_json if number % 2 == 0 else not is_json
            run = throughput(gateway, streams, options.requests, next(seeds), constrained=constrained)
            speeds[constrained].append(asyncio.run(run))
            kind = "JSON" if constrained else "free text"
            _say(f"{streams} streams, {kind}: {speeds[constrained][-1]:.1f} tokens/s")
        row = compare(f"JSON actions, {streams} streams", "tokens/s", speeds[True], "free text", speeds[False])
        verdicts.append(Verdict(row, AIMS["json"]))
    return verdicts


def batch_texts(lines: int, seed: int) -> list[str]:
    """Prompts of about 200 tokens that share their first 150, as those of the streams."""
    rng = random.Random(seed)  # noqa: S311
    shared = rng.choices(WORDS, k=140)
    return [prompt(rng, shared) for _ in range(lines)]


def batch_round(gateway: Running, texts: list[str]) -> float:
    """Tokens per second of one offline batch, from its upload to its end. Raises: PeerFailed for lost lines."""
    body = {"model": gateway.model, "max_tokens": MAX_TOKENS, "temperature": 0.8}
    rows = (
        {
            "custom_id": str(number),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {**body, "messages": [{"role": "user", "content": text}]},
        }
        for number, text in enumerate(texts)
    )
    content = io.BytesIO("".join(f"{json.dumps(row)}\n" for row in rows).encode())
    with BatchEndpoint(gateway.url, KEY) as endpoint:
        started_at = time.perf_counter()
        batch = endpoint.start(content, "/v1/chat/completions", {})
        while batch["status"] not in ENDED:
            time.sleep(POLL_S)
            batch = endpoint.batch(batch["id"])
        took_s = time.perf_counter() - started_at
        answers = [json.loads(line) for line in endpoint.lines(batch["output_file_id"])]
    if len(answers) != len(texts):
        raise PeerFailed(f"The batch ended {batch['status']} with {len(answers)} of {len(texts)} answers.")
    return sum(answer["response"]["body"]["usage"]["completion_tokens"] for answer in answers) / took_s


def engine_arguments(options: VllmOptions, card: Card | None) -> dict[str, Any]:
    """The server's own settings as arguments of ``vllm.LLM``."""
    found: dict[str, Any] = {
        "model": str(options.folder),
        "max_model_len": options.context_tokens,
        "max_num_seqs": options.max_sequences,
    }
    words = list(options.planned)
    while words:
        name = words.pop(0).removeprefix("--").replace("-", "_")
        found[name] = _value(words.pop(0)) if words and not words[0].startswith("--") else True
    return found if card is not None else {**found, "enforce_eager": True}


def _value(word: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def generate_rounds(options: VllmOptions, card: Card | None, rounds: list[list[str]], folder: Path) -> list[float]:
    """Tokens per second of ``LLM.generate`` in a process of its own, round for round. Raises: PeerFailed."""
    order = folder / "generate.json"
    engine = engine_arguments(options, card)
    order.write_text(json.dumps({"engine": engine, "max_tokens": MAX_TOKENS, "rounds": rounds}), "utf-8")
    command = [str(options.python), "-W", "ignore", "-c", GENERATE, str(order)]
    environment = {**options.environment(KEY), **_card_environment(card)}
    log = folder / "generate.log"
    with log.open("wb") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, env=environment, check=False)
    found = [json.loads(line[6:]) for line in done.stdout.decode().splitlines() if line.startswith("ROUND ")]
    if len(found) != len(rounds):
        last = (log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]
        raise PeerFailed(f"LLM.generate ended with status {done.returncode} after {len(found)} rounds: {last[:300]}")
    return [tokens / took_s for tokens, took_s in found]


def _card_environment(card: Card | None) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": "0"} if card is not None else {"VLLM_CPU_KVCACHE_SPACE": "2"}


def measure(options: argparse.Namespace, card: Card | None, folder: Path) -> list[Verdict]:
    """All parts that were asked for. Raises: StartupError, PeerFailed."""
    served = vllm_options(options, card, folder / "vllm.log")
    verdicts: list[Verdict] = []
    batches: list[float] = []
    texts = [batch_texts(options.batch, 30_000_000 + number) for number in range(2 * options.rounds)]
    with ExitStack() as stack:
        _say("starting vLLM, which compiles for minutes on a card")
        bare = stack.enter_context(vllm("vllm", served, **_card_environment(card)))
        settings = {
            "HERALD_VLLM_URLS": bare.url,
            "HERALD_VLLM_KEY": KEY,
            "HERALD_VLLM_MODEL": str(options.folder),
            "HERALD_HOME": str(folder / "home"),
            "HERALD_INFERENCE_MAX_SEQUENCES": str(max(options.streams)),
            "HERALD_INFERENCE_QUEUE": str(max(options.streams)),
        }
        gateway = stack.enter_context(herald(options.model, backend="vllm", **settings))
        for side in (bare, gateway):  # what is compiled at the first request is not what is measured
            asyncio.run(throughput(side, min(2, max(options.streams)), 1, 1, constrained=side is gateway))
        if "streams" not in options.skip:
            verdicts += measure_streams(bare, gateway, options)
        if "json" not in options.skip:
            verdicts += measure_json(gateway, options)
        if "batch" not in options.skip:
            for number in range(options.rounds):
                batches.append(batch_round(gateway, texts[number]))
                _say(f"offline batch of {options.batch} lines: {batches[-1]:.1f} tokens/s")
    if batches:
        _say("the servers have ended; LLM.generate loads the model")
        generated = generate_rounds(served, card, texts[options.rounds :], folder)
        row = compare(f"offline batch, {options.batch} lines", "tokens/s", batches, "LLM.generate", generated)
        verdicts.append(Verdict(row, AIMS["batch"]))
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """The medians, their ratios, and whether the aims are reached."""
    lines = [f"{'case':34} {'herald':>10} {'peer':>10} {'ratio':>7} {'aim':>6}  {'':11} peer"]
    for verdict in verdicts:
        row, word = verdict.row, "reached" if verdict.is_reached else "not reached"
        figures = f"{row.ours:>10.1f} {row.peer:>10.1f} {row.ratio:>7.3f} {verdict.aim:>6.2f}"
        lines.append(f"{row.case:34} {figures}  {word:11} {row.peer_name}")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Measure and print; 0 when it was measured, whatever came of it; 1 when it could not be."""
    options = options_of(arguments)
    # Being told to end unwinds the stack, so that no vLLM is left behind on the card.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        card = choose_card(find_cards(), on_cpu=options.on_cpu)
        with tempfile.TemporaryDirectory(prefix="herald-bench-gpu-") as folder:
            verdicts = measure(options, card, Path(folder))
    except (Refused, StartupError, PeerFailed) as error:
        print(f"bench gpu cannot measure: {error}", file=sys.stderr)
        return 1
    where = f"{card.name}, {card.memory_bytes / GIB:.0f} GiB" if card else f"NO CARD, {processor_name()}"
    print(f"{options.model}, {where}, {options.rounds} rounds, commit {commit()}, load {os.getloadavg()[0]:.1f}")
    print(table(verdicts))
    if options.json:
        rows = [{**asdict(verdict.row), "aim": verdict.aim, "reached": verdict.is_reached} for verdict in verdicts]
        options.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
