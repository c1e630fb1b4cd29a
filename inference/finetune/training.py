"""Trains low-rank changes of the served model's own weights with torch and peft, on a GPU where there is one.

The weights come out of the GGUF that is served, dequantised, so that what is learned fits what it will be added to.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging as transformers_logging

from inference.finetune import conversion
from inference.finetune.errors import OutOfMemory
from inference.finetune.job import Recipe
from inference.finetune.tokens import Tokens, shared_prefix
from inference.memory import GIB, available_bytes

LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP_SHARE = 0.1
# Loading holds every weight twice for a moment; the rest is for activations and the optimiser.
BYTES_PER_WEIGHT = 8
ACTIVATION_BYTES = 1 << 30
_SMALLER = "Stop other programs, choose a smaller model, or train with --batch 1."


def read_shape(path: Path) -> tuple[conversion.Shape, int]:
    """What the conversion needs of the base, and how many weights it has, from the header alone.

    Raises: BaseNotTrainable for an unknown architecture.
    """
    reader = gguf.GGUFReader(path)

    def number(key: str, default: int = 0) -> int:
        field = reader.get_field(f"{architecture}.{key}")
        return int(field.contents()) if field else default

    field = reader.get_field("general.architecture")
    architecture = str(field.contents()) if field else "unknown"
    conversion.require_known(architecture)
    heads = number("attention.head_count")
    shape = conversion.Shape(architecture, number("block_count"), heads, number("attention.head_count_kv", heads))
    return shape, sum(int(tensor.n_elements) for tensor in reader.tensors)


def require_memory(weights: int) -> None:
    """Raises: OutOfMemory when training so many weights would not fit, before an hour is spent on it."""
    needed, free = weights * BYTES_PER_WEIGHT + ACTIVATION_BYTES, available_bytes()
    if free and needed > free:
        raise OutOfMemory(
            f"Training this model takes about {needed / GIB:.1f} GiB of memory; {free / GIB:.1f} GiB are free.",
            "Stop Herald while it trains (./scripts/down), or choose a smaller model.",
        )


def device() -> str:
    """Where it is computed."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def open_base(path: Path, recipe: Recipe) -> Any:
    """The dequantised base with an adapter that changes nothing yet. Raises: OutOfMemory."""
    torch.manual_seed(recipe.seed)
    transformers_logging.disable_progress_bar()
    is_gpu = device() == "cuda"
    with memory_watched():
        base: Any = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=torch.bfloat16 if is_gpu else torch.float32,
            local_files_only=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between the versions of peft and transformers
            model = get_peft_model(
                base.to(device()),
                LoraConfig(
                    r=recipe.rank,
                    lora_alpha=recipe.alpha,
                    lora_dropout=recipe.dropout,
                    target_modules=LINEAR_LAYERS,
                    task_type="CAUSAL_LM",
                ),
            )
    return model


def train(model: Any, examples: Sequence[Tokens], recipe: Recipe, on_step: Callable[[int, int, float], None]) -> int:
    """Change the adapter; ``on_step`` is told step, steps and the step's loss. Returns the number of steps.

    Raises: OutOfMemory.
    """
    steps = recipe.epochs * math.ceil(len(examples) / recipe.batch)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.0)
    warm_up = max(1, round(steps * WARM_UP_SHARE))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))),
    )
    model.train()
    with memory_watched():
        for step, batch in enumerate(_batches(examples, recipe), 1):
            loss = -torch.cat(_answer_logprobs(model, batch)).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            on_step(step, steps, float(loss.detach()))
    model.eval()
    return steps


def logprobs(model: Any, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """The log-probability of each token of the answer, by the base alone and with the adapter: (n,) float32 each."""
    model.eval()
    with torch.no_grad(), memory_watched():
        with model.disable_adapter():
            base = _answer_logprobs(model, [tokens])[0].float().cpu().numpy()
        return base, _answer_logprobs(model, [tokens])[0].float().cpu().numpy()


def adapter_tensors(model: Any) -> dict[str, np.ndarray]:
    """The adapter's weights as peft names them, float32."""
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in state.items()}


def _batches(examples: Sequence[Tokens], recipe: Recipe) -> Iterator[list[Tokens]]:
    order = random.Random(recipe.seed)  # noqa: S311 - an order that can be had again, no secret
    for _epoch in range(recipe.epochs):
        shuffled = order.sample(list(examples), len(examples))
        for at in range(0, len(shuffled), recipe.batch):
            yield shuffled[at : at + recipe.batch]


def _answer_logprobs(model: Any, batch: Sequence[Tokens]) -> list[torch.Tensor]:
    """For each example the log-probabilities of its answer's tokens.

    The prompts' common beginning (the instructions and examples, most of the tokens) is computed once for all of them.
    """
    causal = model.get_base_model()
    where = next(causal.parameters()).device
    prefix = shared_prefix(batch)
    cache = DynamicCache(config=causal.config)
    if prefix:
        causal.model(
            input_ids=torch.tensor([batch[0].prompt[:prefix]], device=where), past_key_values=cache, use_cache=True
        )
        cache.batch_repeat_interleave(len(batch))
    rests = [[*tokens.prompt[prefix:], *tokens.answer[:-1]] for tokens in batch]
    width = max(map(len, rests))
    ids = torch.zeros((len(batch), width), dtype=torch.long, device=where)
    mask = torch.zeros((len(batch), prefix + width), dtype=torch.long, device=where)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(rest, device=where)
        mask[row, : prefix + len(rest)] = 1
    hidden = causal.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True).last_hidden_state
    found = []
    for row, (tokens, rest) in enumerate(zip(batch, rests, strict=True)):
        states = hidden[row, len(rest) - len(tokens.answer) : len(rest)]  # the state before each token of the answer
        logits = causal.lm_head(states).float()
        wanted = torch.tensor(tokens.answer, device=where)
        found.append(-torch.nn.functional.cross_entropy(logits, wanted, reduction="none"))
    return found


@contextmanager
def memory_watched() -> Iterator[None]:
    """Torch's words for too little memory in ours. Raises: OutOfMemory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory("The memory ran out while training.", _SMALLER) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise OutOfMemory("The memory ran out while training.", _SMALLER) from error
