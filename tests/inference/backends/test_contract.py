"""What every backend must do, run against the fake one and llama.cpp with the smallest real model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from inference.backends.base import Backend, Span
from inference.backends.fake import FakeBackend
from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from models.catalog import load_catalog
from models.fetch import pull


@pytest.fixture(scope="module", params=["fake", pytest.param("llama_cpp", marks=pytest.mark.model)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """One small model for the whole module."""
    if request.param == "fake":
        yield FakeBackend(context_tokens=256, cell_count=256, slot_count=8)
        return
    from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions

    path = pull(load_catalog().get("smollm2-135m-instruct"))
    options = LoadOptions(path=path, model="smollm2", threads=2, context_tokens=256, cell_count=256, slot_count=8)
    made = LlamaCppBackend(options)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(backend: Backend) -> None:
    """Every test starts with empty slots."""
    backend.clear()


def rows(backend: Backend, slot: int, tokens: list[int], at: int = 0) -> Any:
    return backend.decode([Span(slot, at, tokens, 1)])[0].copy()


def close(left: Any, right: Any) -> bool:
    """Whether two rows choose the same token and are near; batches of other shapes round differently."""
    return bool(np.argmax(left) == np.argmax(right)) and float(np.abs(left - right).max()) < 0.5


def test_the_vocabulary_is_consistent(backend: Backend) -> None:
    """Tables have one entry a token, stop tokens exist and are never shown."""
    info = backend.info
    assert len(backend.token_bytes) == info.vocab_size
    assert info.stop_tokens
    assert all(backend.token_bytes[token] == b"" for token in info.stop_tokens)


@pytest.mark.parametrize("text", ["", "Hello, world", "Grüße 🙂 \u202ex", "a\x00b", "  two  spaces\n\n", "<|im_end|>"])
def test_text_survives_tokenizing(backend: Backend, text: str) -> None:
    """Joining the tokens' bytes gives the text back, control tokens' names included."""
    tokens = backend.tokenize(text, parse_control=False)
    assert b"".join(backend.token_bytes[token] for token in tokens).decode() == text


def test_control_tokens_are_parsed_only_on_request(backend: Backend) -> None:
    """The same text is one control token or several plain ones."""
    end = backend.control_texts["<|im_end|>"]
    assert backend.tokenize("<|im_end|>", parse_control=True) == [end]
    assert end not in backend.tokenize("<|im_end|>", parse_control=False)


def test_chunks_give_what_one_batch_gives(backend: Backend) -> None:
    """A prompt that is computed in pieces ends in the same distribution."""
    tokens = backend.tokenize("The quick brown fox jumps over the lazy dog", parse_control=False)
    whole = rows(backend, 0, tokens)
    backend.decode([Span(1, 0, tokens[:3], 0)])
    assert close(whole, rows(backend, 1, tokens[3:], 3))


def test_sequences_of_a_batch_are_independent(backend: Backend) -> None:
    """Rows come in the order of the spans that want them, each as if it were alone."""
    texts = ["One two three four", "Once upon a time there was", "def main():"]
    tokens = [backend.tokenize(text, parse_control=False) for text in texts]
    alone = [rows(backend, slot, part) for slot, part in enumerate(tokens)]
    backend.clear()
    spans = [Span(slot, 0, part, int(slot != 1)) for slot, part in enumerate(tokens)]
    together = backend.decode(spans)
    assert together.shape == (2, backend.info.vocab_size)
    assert close(together[0], alone[0])
    assert close(together[1], alone[2])


def test_rows_in_the_middle_of_a_span_are_those_of_the_shorter_text(backend: Backend) -> None:
    """A span may want several rows: each is what the text up to there would give, so guesses can be checked."""
    tokens = backend.tokenize("One two three four five six seven eight nine", parse_control=False)
    singles = []
    for count in range(len(tokens) - 3, len(tokens) + 1):
        backend.clear()
        singles.append(rows(backend, 0, tokens[:count]))
    backend.clear()
    backend.decode([Span(0, 0, tokens[:3], 0), Span(1, 0, tokens[:2], 0)])
    together = backend.decode([Span(1, 2, tokens[2:5], 1), Span(0, 3, tokens[3:], 4)]).copy()
    assert together.shape == (5, backend.info.vocab_size)
    assert all(close(row, single) for row, single in zip(together[1:], singles, strict=True))


def test_no_rows_are_computed_when_nobody_wants_them(backend: Backend) -> None:
    """A prefill step has an empty result."""
    assert backend.decode([Span(0, 0, [1, 2, 3], 0)]).shape == (0, backend.info.vocab_size)


def test_a_copied_prefix_continues_like_the_original(backend: Backend) -> None:
    """Copying shares the beginning only, and trimming the original leaves the copy alone."""
    tokens = backend.tokenize("The capital of France is the city of", parse_control=False)
    more = backend.tokenize(" and the capital of Spain", parse_control=False)
    fresh = rows(backend, 0, tokens + more)
    backend.clear()
    rows(backend, 0, tokens)
    backend.decode([Span(0, len(tokens), [5, 6, 7], 0)])
    backend.copy(0, 3, len(tokens))
    assert backend.trim(0, 0)
    assert close(fresh, rows(backend, 3, more, len(tokens)))


def test_a_trimmed_slot_continues_from_the_cut(backend: Backend) -> None:
    """After forgetting a wrong continuation the right one gives the right distribution."""
    tokens = backend.tokenize("Two plus two is", parse_control=False)
    more = backend.tokenize(" four, of course", parse_control=False)
    fresh = rows(backend, 0, tokens + more)
    rows(backend, 1, tokens)
    backend.decode([Span(1, len(tokens), [9, 9, 9], 0)])
    assert backend.trim(1, len(tokens))
    assert close(fresh, rows(backend, 1, more, len(tokens)))


def test_shared_cells_are_not_counted_twice(backend: Backend) -> None:
    """Six copies of 100 tokens fit into 256 cells, and forgetting all of them frees the room again."""
    tokens = backend.tokenize("word " * 100, parse_control=False)[:100]
    for _ in range(2):
        backend.decode([Span(0, 0, tokens, 0)])
        for slot in range(1, 7):
            backend.copy(0, slot, 100)
        backend.decode([Span(slot, 100, tokens[:20], 0) for slot in range(1, 7)])
        for slot in range(7):
            assert backend.trim(slot, 0)
    backend.decode([Span(0, 0, (tokens * 3)[:256], 0)])


def test_an_exhausted_cache_is_said_and_survived(backend: Backend) -> None:
    """Over the last cell a batch is refused; after a trim the backend goes on."""
    from inference.backends.base import CacheExhausted

    tokens = (backend.tokenize("word " * 100, parse_control=False) * 3)[:256]
    backend.decode([Span(0, 0, tokens, 0)])
    with pytest.raises(CacheExhausted):
        backend.decode([Span(1, 0, tokens[:8], 1)])
    assert backend.trim(0, 0)
    assert backend.decode([Span(1, 0, tokens[:8], 1)]).shape[0] == 1


def test_constraints_work_on_the_vocabulary(backend: Backend, make_driver: Callable[..., Any]) -> None:
    """Constrained and plain requests run through the engine together, and every cell is accounted for."""
    import json

    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
        "additionalProperties": False,
    }
    compiler = ConstraintCompiler(backend.constraint_tokenizer())
    program = compiler.compile(ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(schema)))
    driver = make_driver(backend, max_sequences=4)
    prompt = "<|im_start|>user\nName a city.<|im_end|>\n<|im_start|>assistant\n"
    heard = []
    for number in range(6):
        constraint = ConstraintState(program, backend.info.vocab_size) if number % 2 else None
        heard.append(driver.submit(prompt, 60, temperature=1.2, seed=number, constraint=constraint)[1])
    driver.run()
    for number, item in enumerate(heard):
        assert item.error is None
        if number % 2:
            assert set(json.loads(item.text)) == {"city", "big"}
            assert item.usage.forced_tokens > 0
    assert heard[-1].usage.cached_tokens > 0
    driver.check()
