"""Examples as the served model sees them: the prompt by its own template, the answer, and the token that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.backends.base import Backend
from inference.chat_template import ChatTemplate
from inference.finetune.errors import TooLong
from inference.finetune.job import Example


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example in tokens; only those of the answer are learned."""

    prompt: list[int]
    answer: list[int]


def tokens_of(examples: Sequence[Example], backend: Backend, max_tokens: int) -> list[Tokens]:
    """Raises: TooLong, which names the example."""
    template = ChatTemplate(backend)
    end = backend.control_texts[backend.info.end_text]
    found = []
    for example in examples:
        tokens = Tokens(
            template.prompt_tokens(example.messages), [*backend.tokenize(example.answer, parse_control=False), end]
        )
        length = len(tokens.prompt) + len(tokens.answer)
        if length > max_tokens:
            raise TooLong(
                f"The example {example.id} is {length:,} tokens long; at most {max_tokens:,} are allowed.",
                "Leave it out, or shorten its brief.",
            )
        found.append(tokens)
    return found


def shared_prefix(batch: Sequence[Tokens]) -> int:
    """How many tokens all prompts begin with; one of each is left, whose logits predict the rest."""
    shortest = min(len(tokens.prompt) for tokens in batch) - 1
    first = batch[0].prompt
    return next((at for at in range(shortest) if any(t.prompt[at] != first[at] for t in batch)), shortest)
