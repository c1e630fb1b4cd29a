"""What vLLM is started with on these cards for this model, and why: memory first, then speed.

Knows the arithmetic alone; it starts nothing. It rests on nvidia-smi and on the config.json of the model.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.errors import StartupError

GIB = 1 << 30
MEMORY_SHARE = 0.90  # vLLM's own default of --gpu-memory-utilization
WORKING_BYTES = int(1.5 * GIB)  # CUDA's context, its graphs and the largest step's activations
LEAST_CONTEXT = 2_048
USUAL_CONTEXT = 16_384
USUAL_SEQUENCE_TOKENS = 1_024  # a chat turn with the brand's memory in its prompt
WEIGHTS_SHARE = 0.70  # of the usable memory: what is left holds the cache
BF16_FROM = (8, 0)
FP8_FROM = (8, 9)
_SMI = ("--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU. ``capability`` is CUDA's compute capability: (8, 9) is Ada, (9, 0) Hopper."""

    name: str
    memory_bytes: int
    capability: tuple[int, int]

    @property
    def usable_bytes(self) -> int:
        """What weights and cache may take."""
        return int(self.memory_bytes * MEMORY_SHARE) - WORKING_BYTES


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides how much memory a model takes. ``quantization`` is the name in its config, empty for none."""

    weights_bytes: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    trained_context: int
    quantization: str = ""

    def cache_bytes(self, cards: int, element_bytes: int) -> int:
        """Of one token on each of ``cards`` that share a copy: keys and values of every layer."""
        return 2 * self.layers * -(-self.kv_heads // cards) * self.head_size * element_bytes


@dataclass(slots=True)
class VllmPlan:
    """Arguments for vLLM's command line, and why each has its value."""

    cards: tuple[Card, ...]
    nodes: int = 1
    context_tokens: int = 0
    max_sequences: int = 0
    reasons: list[tuple[str, str, str]] = field(default_factory=list)

    def choose(self, name: str, value: object, why: str) -> None:
        """Add ``--name value`` (``--name`` alone for True) with its reason."""
        self.reasons.append((name, "" if value is True else str(value), why))

    @property
    def arguments(self) -> list[str]:
        """As on a command line."""
        return [part for name, value, _ in self.reasons for part in (f"--{name}", *([value] if value else []))]


def find_cards() -> tuple[Card, ...]:
    """The NVIDIA GPUs of this machine; none when there is no driver or it does not answer."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        answer = subprocess.run([command, *_SMI], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_cards(answer.stdout)


def parse_cards(text: str) -> tuple[Card, ...]:
    """nvidia-smi's lines ``name, MiB, major.minor``. Lines that say otherwise (a card that fell off) are left out."""
    cards = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        try:
            name, memory_mib, capability = row
            major, minor = capability.split(".")
            cards.append(Card(name, int(memory_mib) << 20, (int(major), int(minor))))
        except ValueError:
            continue
    return tuple(cards)


def read_model_shape(folder: Path) -> ModelShape:
    """From ``config.json`` and the sizes of the safetensors. Raises: StartupError."""
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config = config | config.get("text_config", {})
        heads = int(config["num_attention_heads"])
        return ModelShape(
            weights_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
            trained_context=int(config.get("max_position_embeddings") or USUAL_CONTEXT),
            quantization=str((config.get("quantization_config") or {}).get("quant_method", "")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartupError(
            f"{path} does not describe a model that vLLM serves: {error!r}. Set HERALD_VLLM_MODEL to the folder of one."
        ) from error


def plan_vllm(
    cards: tuple[Card, ...], shape: ModelShape, *, context_tokens: int = 0, max_sequences: int = 0, nodes: int = 1
) -> VllmPlan:
    """Choose for these cards of each of ``nodes`` equal machines; 0 leaves a size to the plan.

    Raises: StartupError when the model does not fit, with what it needs and what there is.
    """
    same = tuple(card for card in cards if (card.name, card.memory_bytes) == (cards[0].name, cards[0].memory_bytes))
    plan, card = VllmPlan(same, nodes), same[0]
    total = f"{len(same) * nodes} x {card.name} with {card.memory_bytes / GIB:.0f} GiB"
    has_bf16 = card.capability >= BF16_FROM
    plan.choose(
        "dtype",
        "bfloat16" if has_bf16 else "float16",
        f"compute capability {'.'.join(map(str, card.capability))} {'has' if has_bf16 else 'lacks'} bfloat16",
    )
    weights_bytes = _choose_weights(plan, shape, total)
    split, stages = _choose_parallel(plan, shape, weights_bytes)
    # A stage holds its part of the layers, and their cache alone.
    room_bytes = (card.usable_bytes - weights_bytes // (split * stages)) * stages
    _choose_cache(plan, shape, room_bytes, split, context_tokens)
    _choose_batch(plan, card, max_sequences)
    return plan


def _choose_weights(plan: VllmPlan, shape: ModelShape, total: str) -> int:
    """How the weights are held; returns their bytes."""
    card, room = plan.cards[0], int(sum(c.usable_bytes for c in plan.cards) * plan.nodes * WEIGHTS_SHARE)
    needed = f"{shape.weights_bytes / GIB:.1f} GiB of weights"
    if shape.quantization or shape.weights_bytes <= room:
        return shape.weights_bytes
    if card.capability >= BF16_FROM and shape.weights_bytes // 2 <= room:
        kind = "computed in FP8" if card.capability >= FP8_FROM else "held in 8 bits, computed in 16"
        plan.choose("quantization", "fp8", f"{needed} leave too little for the cache on {total}; {kind}")
        return shape.weights_bytes // 2
    raise StartupError(
        f"The model has {needed}; {total} have room for {room / GIB:.1f} GiB beside the cache. Choose a smaller model, "
        "one that is quantized already (AWQ), or more or larger cards."
    )


def _choose_parallel(plan: VllmPlan, shape: ModelShape, weights_bytes: int) -> tuple[int, int]:
    """As few cards a copy as hold it, and as many copies as there are cards for.

    Layers are split over machines only where one machine's cards do not hold them: a step then waits for the network
    once a machine, where a split of each layer would wait twice a layer.
    Returns: the cards that share each layer, and the stages that layers are split into.
    """
    count, usable = len(plan.cards), plan.cards[0].usable_bytes
    splits = [n for n in (1, 2, 4, 8, 16) if n <= count and shape.heads % n == 0]
    split = next((n for n in splits if weights_bytes // n <= usable * WEIGHTS_SHARE), 0)
    if not split and plan.nodes > 1 and weights_bytes // (splits[-1] * plan.nodes) <= usable * WEIGHTS_SHARE:
        plan.choose("tensor-parallel-size", splits[-1], f"{count} cards on each of {plan.nodes} machines")
        plan.choose("pipeline-parallel-size", plan.nodes, f"{weights_bytes / GIB:.1f} GiB of weights fit no machine")
        plan.choose("distributed-executor-backend", "ray", "several machines compute together")
        return splits[-1], plan.nodes
    if not split:
        raise StartupError(
            f"The weights ({weights_bytes / GIB:.1f} GiB) cannot be split evenly over {count} cards with "
            f"{usable / GIB:.1f} GiB each: the model has {shape.heads} attention heads. Use 1, 2, 4 or 8 equal cards."
        )
    why = f"{weights_bytes / GIB:.1f} GiB of weights, {usable / GIB:.1f} GiB usable on a card"
    plan.choose("tensor-parallel-size", split, why)
    copies = count // split * plan.nodes
    if copies > 1:
        plan.choose("data-parallel-size", copies, f"{copies} copies answer more than one that is split")
    if plan.nodes > 1:
        plan.choose("data-parallel-size-local", count // split, "copies on each machine")
        plan.choose("data-parallel-backend", "ray", f"{plan.nodes} machines")
    return split, 1


def _choose_cache(plan: VllmPlan, shape: ModelShape, room_bytes: int, split: int, context_tokens: int) -> None:
    wanted = min(context_tokens or USUAL_CONTEXT, shape.trained_context)
    tokens = room_bytes // shape.cache_bytes(split, 2)
    if tokens < 4 * wanted and plan.cards[0].capability >= FP8_FROM:
        tokens = room_bytes // shape.cache_bytes(split, 1)
        plan.choose("kv-cache-dtype", "fp8", "in 16 bits the cache would hold fewer than four full contexts")
    if tokens < min(wanted, LEAST_CONTEXT):
        raise StartupError(
            f"Beside the weights there is room for {tokens:,} tokens of cache, at least {LEAST_CONTEXT:,} are needed. "
            "Choose a smaller model or a larger card."
        )
    plan.context_tokens = min(wanted, tokens // 256 * 256 or tokens)
    why = f"the cache holds {tokens:,} tokens; the model was trained on {shape.trained_context:,}"
    plan.choose("max-model-len", plan.context_tokens, why)
    plan.max_sequences = max(1, min(tokens // USUAL_SEQUENCE_TOKENS, 1_024) // 8 * 8) if tokens >= 8_192 else 4


def _choose_batch(plan: VllmPlan, card: Card, max_sequences: int) -> None:
    size = card.memory_bytes / GIB
    most = 1_024 if size >= 70 else 256 if size >= 20 else 64
    fitting = min(plan.max_sequences, most)
    plan.max_sequences = max_sequences or fitting
    why = (
        "as set"
        if max_sequences
        else f"of about {USUAL_SEQUENCE_TOKENS:,} tokens each fit; at most {most} on {size:.0f} GiB"
    )
    plan.choose("max-num-seqs", plan.max_sequences, why)
    budget = 8_192 if size >= 70 else 4_096 if size >= 20 else 2_048
    plan.choose("max-num-batched-tokens", budget, "longer prompts are cut into pieces, so that nobody's answer stalls")
    plan.choose("enable-prefix-caching", True, "every request begins with the same instructions")
    plan.choose("enable-chunked-prefill", True, "prompts and answers share a step")
    plan.choose("gpu-memory-utilization", MEMORY_SHARE, "the rest is for the driver and other programs' contexts")
