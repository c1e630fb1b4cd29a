"""LoRA adapters: found by name, loaded when they fit, chosen per request by ``model``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import httpx
import numpy as np
import pytest

from inference.adapters import find_adapters
from inference.backends.fake import FakeBackend
from models.catalog import load_catalog
from models.fetch import pull

MODEL = "smollm2-135m-instruct"
LAYERS, WIDTH, RANK = 30, 576, 4


def write_adapter(path: Path, seed: int, width: int = WIDTH) -> None:
    """An adapter in llama.cpp's format: a random change of every layer's query projection."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 16.0)
    for layer in range(LAYERS):
        for part, shape in (("a", (RANK, width)), ("b", (width, RANK))):
            values = rng.normal(0, 0.2, shape).astype(np.float32)
            writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_{part}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def complete(
    client: httpx.Client,
    model: str,
    prompt: str = "Our bakery is in the old town, next to the river. Tomorrow it opens at",
) -> dict[str, Any]:
    body = {"model": model, "prompt": prompt, "max_tokens": 12, "temperature": 0}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"] == model
    return dict(answer)


def test_names_that_cannot_be_served_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Odd names and names of models are logged with what to do; other files and absent folders are nothing."""
    assert find_adapters(tmp_path / "absent") == {}
    for name in ("brand-voice.gguf", "Büro.gguf", "taken.gguf", ".hidden.gguf", "notes.txt"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.ERROR):
        assert find_adapters(tmp_path, {"taken"}) == {"brand-voice": tmp_path / "brand-voice.gguf"}
    assert "rename the file" in caplog.text
    assert "Büro" in caplog.text


def test_an_adapter_that_is_not_there_is_a_model_that_is_not_there(make_server: Callable[..., Any]) -> None:
    """The error names what is served; listed adapters say whose they are."""
    server = make_server(FakeBackend(context_tokens=1024, adapters=("brand",)))
    with server.client() as client:
        refused = client.post("/v1/completions", json={"model": "legal", "prompt": "hello"})
        assert refused.status_code == 404
        assert "served: 'fake', 'brand'" in refused.json()["error"]["message"]
        models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
        assert models["brand"]["parent"] == "fake"
        assert "parent" not in models["fake"]
        chat = {"model": "brand", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        assert client.post("/v1/chat/completions", json=chat).json()["model"] == "brand"


@pytest.fixture
def backend(tmp_path: Path) -> Any:
    """The smallest real model with two adapters that fit, one that does not, and one that is no adapter."""
    from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions

    write_adapter(tmp_path / "brand.gguf", 1)
    write_adapter(tmp_path / "legal.gguf", 2)
    write_adapter(tmp_path / "misfit.gguf", 3, width=64)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    options = LoadOptions(
        path=pull(load_catalog().get(MODEL)),
        model=MODEL,
        threads=2,
        context_tokens=512,
        cell_count=1024,
        slot_count=12,
        adapters=find_adapters(tmp_path),
    )
    return LlamaCppBackend(options)


@pytest.mark.model
def test_each_request_gets_its_own_adapter(backend: Any, make_server: Callable[..., Any]) -> None:
    """Answers differ from the model's own, stay the same in turns and at once, and misfits are not served."""
    assert backend.info.adapters == ("brand", "legal")
    server = make_server(backend, model=MODEL, inference_context=512)
    names = (MODEL, "brand", "legal")
    with server.client() as client:
        texts = {name: complete(client, name)["choices"][0]["text"] for name in names}
        assert len(set(texts.values())) == 3
        for name in (*names, *reversed(names)):
            assert complete(client, name)["choices"][0]["text"] == texts[name]
        assert complete(client, "brand")["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
