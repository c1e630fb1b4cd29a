"""One training from its job to its report: tokens, training, conversion, comparison."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inference.finetune import comparison, conversion, training
from inference.finetune.errors import ConversionWrong
from inference.finetune.job import Compared, Job, Progress, Report
from inference.finetune.tokens import Tokens, tokens_of

MAX_DEVIATION = 0.5
"""Beyond it, what was converted is not what was learned. Seen on the 135M model: at most 0.41 for a right adapter (one
that changes next to nothing, 0.04 for a trained one), 0.77 with the rows of queries and keys misplaced."""

Tell = Callable[[Progress], None]


def run(job: Job, base: Path, tell: Tell) -> Report:
    """Train, convert and compare. ``job.adapter_path`` is there when this returns, and only then.

    Args:
        base: the verified GGUF of ``job.model``.
    Raises: FinetuneError, StartupError.
    """
    began = time.monotonic()
    tell(Progress(stage="Reading the model"))
    shape, weights = training.read_shape(base)
    training.require_memory(weights)
    backend = comparison.open_backend(base, job.model, job.max_tokens)
    try:
        tokens = tokens_of(job.training, backend, job.max_tokens)
        held_out = tokens_of(job.held_out, backend, job.max_tokens)
    finally:
        backend.close()
    tell(Progress(stage="Loading the weights"))
    model = training.open_base(base, job.recipe)
    steps = training.train(
        model,
        tokens,
        job.recipe,
        lambda step, of, loss: tell(Progress(stage="Training", done=step, of=of, loss=round(loss, 4))),
    )
    tensors = training.adapter_tensors(model)
    learned = [training.logprobs(model, example) for example in held_out]
    del model
    staged = job.adapter_path.with_name(f".{job.adapter_path.stem}.trained")
    job.adapter_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        conversion.write_adapter(staged, tensors, shape, job.recipe.alpha)
        compared, deviation = _compare(job, base, staged, held_out, learned, tell)
        staged.replace(job.adapter_path)
    finally:
        staged.unlink(missing_ok=True)
    return Report(
        compared=compared,
        steps=steps,
        seconds=round(time.monotonic() - began, 1),
        device=training.device(),
        trained_values=sum(values.size for values in tensors.values()),
        deviation=deviation,
    )


def _compare(
    job: Job,
    base: Path,
    adapter: Path,
    held_out: Sequence[Tokens],
    learned: Sequence[tuple[np.ndarray, np.ndarray]],
    tell: Tell,
) -> tuple[list[Compared], float]:
    room = job.max_tokens + comparison.MAX_TEXT_TOKENS  # the longest prompt and the longest text
    backend = comparison.open_backend(base, job.model, room, adapter)
    name = adapter.stem
    if name not in backend.info.adapters:
        backend.close()
        raise ConversionWrong("llama.cpp does not load the adapter that was made.", "Report this as a bug.")
    served = []
    for at, tokens in enumerate(held_out, 1):
        served.append((comparison.logprobs(backend, tokens, None), comparison.logprobs(backend, tokens, name)))
        tell(Progress(stage="Comparing on held-out texts", done=at, of=len(held_out)))
    deviation = deviation_of(learned, served)
    if deviation > MAX_DEVIATION:
        backend.close()
        raise ConversionWrong(
            f"In llama.cpp the adapter deviates by {deviation:.2f} of its effect from what was trained; at most "
            f"{MAX_DEVIATION} is allowed.",
            "Report this as a bug, with the model's name.",
        )
    count = [0]

    def on_text() -> None:
        count[0] += 1
        tell(Progress(stage="Writing with and without the adapter", done=count[0], of=2 * len(job.held_out)))

    texts = comparison.written(backend, job.held_out, (None, name), on_text)
    rows = zip(job.held_out, served, texts[None], texts[name], strict=True)
    return [
        Compared(
            id=example.id,
            base_loss=round(float(-without.mean()), 4),
            loss=round(float(-changed.mean()), 4),
            base_text=base_text,
            text=text,
        )
        for example, (without, changed), base_text, text in rows
    ], deviation


def deviation_of(
    learned: Sequence[tuple[np.ndarray, np.ndarray]], served: Sequence[tuple[np.ndarray, np.ndarray]]
) -> float:
    """How far the served adapter's effect is from the learned one: 0 for the same, about 1 for something else.

    The effect is what the adapter adds to each token's log-probability. Its difference between the two programs is
    divided by its size and twice what they differ by without any adapter (llama.cpp computes with quantised numbers).
    """
    pairs = list(zip(learned, served, strict=True))
    wanted = np.concatenate([changed - base for base, changed in learned])
    got = np.concatenate([changed - base for base, changed in served])
    noise = _rms(np.concatenate([ours[0] - theirs[0] for ours, theirs in pairs]))
    scale = _rms(wanted) + 2 * noise
    return round(_rms(got - wanted) / scale, 4) if scale else 0.0


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))
