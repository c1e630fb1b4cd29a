"""The model alone against the model with its adapter, both in llama.cpp as they are served."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inference.backends.base import Span
from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions
from inference.config import InferenceSettings, physical_cores
from inference.engine.base import ConstraintKind, ConstraintSpec, GenerationRequest, Sampling
from inference.engine.local import LocalEngine
from inference.finetune.job import Example
from inference.finetune.tokens import Tokens

SLOTS = 64
"""Sequences, and the most rows of logits that one step gives."""
STEP_TOKENS = 256
MAX_TEXT_TOKENS = 400
TOGETHER = 4


def open_backend(path: Path, model: str, context_tokens: int, adapter: Path | None = None) -> LlamaCppBackend:
    """The served file, with the adapter if there is one. Raises: StartupError."""
    return LlamaCppBackend(
        LoadOptions(
            path=path,
            model=model,
            threads=physical_cores(),
            context_tokens=context_tokens,
            cell_count=context_tokens * (TOGETHER + 1),
            slot_count=SLOTS,
            adapters={adapter.stem: adapter} if adapter else {},
        )
    )


def logprobs(backend: LlamaCppBackend, tokens: Tokens, adapter: str | None) -> np.ndarray:
    """The log-probability of each token of the answer: (n,) float32. The cache is empty before and after."""
    fed, rows = [*tokens.prompt, *tokens.answer[:-1]], []
    answer_from = len(tokens.prompt) - 1  # the first token whose logits predict the answer
    at = 0
    while at < len(fed):
        end = min(at + STEP_TOKENS, answer_from) if at < answer_from else min(at + SLOTS, len(fed))
        wanted = 0 if at < answer_from else end - at
        rows.append(np.array(backend.decode([Span(0, at, fed[at:end], wanted)], adapter)))
        at = end
    backend.trim(0, 0)
    logits = np.concatenate(rows).astype(np.float64)
    peak = logits.max(axis=1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return np.asarray(logits[np.arange(len(tokens.answer)), tokens.answer] - total, dtype=np.float32)


def written(
    backend: LlamaCppBackend,
    examples: Sequence[Example],
    adapters: Sequence[str | None],
    on_text: Callable[[], None],
) -> dict[str | None, list[str]]:
    """What the engine writes for each example, greedily and within its schema, by adapter. Closes the backend."""

    async def all_of_them() -> dict[str | None, list[str]]:
        # Nobody waits for these: on a busy machine they take their time.
        settings = InferenceSettings(
            model=backend.info.model, inference_max_sequences=TOGETHER, inference_queue_timeout_s=86_400.0
        )
        engine = LocalEngine(settings, lambda: backend)
        await engine.start()
        try:
            texts: dict[str | None, list[str]] = {}
            for adapter in adapters:
                texts[adapter] = []
                for at in range(0, len(examples), TOGETHER):
                    batch = examples[at : at + TOGETHER]
                    texts[adapter] += await asyncio.gather(*(_text(engine, e, adapter, on_text) for e in batch))
            return texts
        finally:
            await engine.close()

    return asyncio.run(all_of_them())


async def _text(engine: LocalEngine, example: Example, adapter: str | None, on_text: Callable[[], None]) -> str:
    request = GenerationRequest(
        request_id=uuid.uuid4().hex,
        messages=example.messages,
        max_tokens=MAX_TEXT_TOKENS,
        sampling=Sampling(temperature=0.0),
        constraint=ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(example.answer_schema)),
        adapter=adapter,
    )
    stream = await engine.submit(request)
    try:
        text = "".join([delta.text async for delta in stream])
    finally:
        await stream.aclose()
    on_text()
    return text
