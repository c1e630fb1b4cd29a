"""What the tests of upstreams share: a model folder with a tokenizer of bytes, and stand-ins for hosted providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.serve import make_engine
from tests.inference.upstream.asking import PATHS, Make, settings
from tests.inference.upstream.providers import Event, Hub, Provider
from tests.inference.upstream.serving import run_app, serve_engine

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_letters() -> list[str]:
    """The letter that stands for each byte in byte-level tokenizers. Source: GPT-2's bytes_to_unicode."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """256 tokens for the bytes, two control tokens, one that only looks like it; 64 tokens of context; no weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    vocabulary = {letter: number for number, letter in enumerate(byte_letters())}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 256, "content": "<|im_start|>", **flags},
            {"id": 257, "content": "<|im_end|>", **flags},
            {"id": 258, "content": "<tool_call>", **flags, "special": False},
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    options = {"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(options), "utf-8")
    (folder / "config.json").write_text(json.dumps({"vocab_size": 260, "max_position_embeddings": 64}), "utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def hub() -> Iterator[tuple[Hub, str]]:
    """The server of all stand-ins, with its origin."""
    hub = Hub()
    with run_app(hub.app) as origin:
        yield hub, origin


@pytest.fixture
def make(hub: tuple[Hub, str]) -> Iterator[Make]:
    """Start a stand-in for a provider with Herald's endpoint before it; the client speaks to the endpoint."""
    with ExitStack() as stack:

        def start(backend: str, *events: Event, **options: Any) -> tuple[Provider, httpx.Client]:
            provider = Provider(lambda _: events)
            stand_ins, url = hub
            origin = f"{url}/{stand_ins.add(PATHS[backend], provider)}"
            served = stack.enter_context(serve_engine(make_engine(settings(backend, origin, **options))))
            return provider, stack.enter_context(served.client())

        yield start
