"""What a pod will cost, before it is made: an hour, and a thousand posts. Says what it assumes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import InvalidInput
from app.runpod.cards import GIB, Gpu
from models.catalog import Kind, Model, Safetensors, load_catalog
from models.errors import ModelError

# USD for a GB and a month. Source: docs.runpod.io/pods/pricing and pods/storage/types, read in November 2026.
DISK_PRICE, VOLUME_PRICE = 0.10, 0.07
HOURS_A_MONTH = 730.0
# A post as Herald writes it: three variants of about 150 tokens, with the JSON around them.
TOKENS_A_POST = 600
POSTS_AT_ONCE = 32
BANDWIDTH_SHARE = 0.6
_ROOT = Path(__file__).resolve().parents[2]
# What a model's catalogue entry does not say and the plan does not need.
_USUAL_CONTEXT = 131_072


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. ``cloud`` is SECURE or COMMUNITY, sizes in GB."""

    name: str
    model: str
    gpu: Gpu
    count: int
    cloud: str
    disk_gb: int
    volume_gb: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """In USD. ``thousand_posts`` is None when the GPU's speed is not known; ``lines`` say it all to a person."""

    hour: float
    idle_hour: float
    tokens_a_second: float
    thousand_posts: float | None
    lines: tuple[tuple[str, str], ...]


def find_model(name: str) -> tuple[Model, Safetensors]:
    """A chat model that vLLM can load. Raises: InvalidInput, naming those that there are."""
    try:
        model = load_catalog().get(name)
    except ModelError as error:
        raise InvalidInput(str(error), hint="herald models list shows them.", code="unknown_model") from None
    if model.safetensors is None or model.kind is not Kind.CHAT:
        usable = [m.name for m in load_catalog().models.values() if m.safetensors]
        raise InvalidInput(
            f"{name} has no safetensors, which vLLM loads on a GPU.", hint=f"Choose one of {', '.join(usable)}."
        )
    return model, model.safetensors


def fit(gpu: Gpu, count: int, weights: Safetensors) -> dict[str, Any]:
    """How vLLM would serve the model there. Raises: InvalidInput when it does not fit, with what it needs."""
    question = {
        "cards": [{"name": gpu.name, "memory_bytes": gpu.memory_bytes, "capability": gpu.capability}] * count,
        "shape": {
            "weights_bytes": weights.weights_bytes,
            "layers": weights.layers,
            "heads": weights.heads,
            "kv_heads": weights.kv_heads,
            "head_size": weights.head_size,
            "trained_context": _USUAL_CONTEXT,
        },
    }
    # A process of its own: the app never loads what serves models.
    answer = subprocess.run(
        [sys.executable, "-m", "inference.upstream.vllm_fit"],
        input=json.dumps(question), capture_output=True, text=True, check=True, timeout=60, cwd=_ROOT,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(answer.stdout)
    if not found["fits"]:
        raise InvalidInput(
            found["problem"], hint="Name another with --gpu, or more with --count.", code="gpu_too_small"
        )
    return found


def estimate(order: Order, weights: Safetensors, plan: dict[str, Any], tokens_a_second: float = 0.0) -> Estimate:
    """The costs of an order; ``tokens_a_second`` is a measured figure, 0 lets it be assumed."""
    gpus = order.gpu.price * order.count
    disk = order.disk_gb * DISK_PRICE / HOURS_A_MONTH
    volume = order.volume_gb * VOLUME_PRICE / HOURS_A_MONTH
    hour = gpus + disk + volume
    speed = tokens_a_second or assumed_speed(order.gpu, order.count, weights, plan)
    posts = 1000 * TOKENS_A_POST / speed / 3600 * hour if speed else None
    lines = [
        ("model", f"{order.model}, {weights.weights_bytes / GIB:.1f} GiB in 16 bits"),
        ("GPU", f"{order.count} x {order.gpu.name} ({order.gpu.id}), {order.cloud.lower()} cloud: "
                f"{order.gpu.availability.lower()} stock"),
        ("vLLM", f"{plan['context_tokens']:,} tokens of context, {plan['max_sequences']} requests together"
                 + "".join(f", {name} {value}" for name, value, _ in plan["reasons"] if name == "quantization")),
        ("GPUs", f"${gpus:.3f} an hour, RunPod's list price now"),
        ("storage", f"${disk + volume:.4f} an hour: {order.disk_gb} GB of disk while it runs, {order.volume_gb} GB of "
                    f"network volume always (${order.volume_gb * VOLUME_PRICE:.2f} a month, also without the pod)"),
        ("together", f"${hour:.3f} an hour, ${hour * 24:.2f} a day"),
    ]  # fmt: skip
    if posts is None:
        lines.append(("posts", "the speed of this GPU is not known here; measure it, then --tokens-per-s"))
    else:
        basis = (
            "as you measured"
            if tokens_a_second
            else f"assumed: {POSTS_AT_ONCE} posts at once, {BANDWIDTH_SHARE:.0%} of the memory's bandwidth, "
            "prompts not counted"
        )
        lines.append(("1,000 posts", f"${posts:.2f} ({TOKENS_A_POST} tokens each, {speed:,.0f} tokens/s, {basis})"))
    return Estimate(hour, volume, speed, posts, tuple(lines))


def assumed_speed(gpu: Gpu, count: int, weights: Safetensors, plan: dict[str, Any]) -> float:
    """Tokens a second of a full batch: each step reads the weights once, and gives every sequence a token.

    A rule of thumb and no measurement; 0 when the memory's bandwidth is not known.
    """
    is_8_bit = any(name == "quantization" for name, _, _ in plan["reasons"])
    size_bytes = weights.weights_bytes // (2 if is_8_bit else 1)
    # Copies answer side by side, and a copy that is split over cards reads from all of them: both add up.
    steps = gpu.bandwidth * BANDWIDTH_SHARE * count / size_bytes
    return steps * min(POSTS_AT_ONCE, plan["max_sequences"])
