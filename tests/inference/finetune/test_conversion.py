"""An adapter of peft as GGUF: what cannot be written, and that llama.cpp computes with it what torch does."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from inference.finetune import comparison, training
from inference.finetune.conversion import Shape, require_known, write_adapter
from inference.finetune.errors import BaseNotTrainable
from inference.finetune.job import Recipe
from inference.finetune.run import deviation_of
from inference.finetune.tokens import Tokens
from models.catalog import load_catalog
from models.fetch import pull

MODEL, HEAD_SIZE = "smollm2-135m-instruct", 64
TEXT = (
    "Our bakery is in the old town, next to the river. Tomorrow we open at seven in the morning, "
    "and there will be fresh bread, cake and coffee for everybody who comes."
)
LLAMA = Shape("llama", layers=2, heads=4, kv_heads=2)


def tensors(rows: int = 16, width: int = 16, rank: int = 2) -> dict[str, np.ndarray]:
    """One layer's query projection, its rows numbered."""
    stem = "base_model.model.model.layers.1.self_attn.q_proj"
    numbered = np.repeat(np.arange(rows, dtype=np.float32)[:, None], rank, axis=1)
    return {f"{stem}.lora_A.weight": np.ones((rank, width), np.float32), f"{stem}.lora_B.weight": numbered}


def stored(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a GGUF file."""
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def test_an_architecture_that_cannot_be_named_is_refused() -> None:
    """The error names those that can."""
    with pytest.raises(BaseNotTrainable, match="'mamba'") as refused:
        require_known("mamba")
    assert "llama" in refused.value.hint


def test_a_layer_without_a_place_is_refused(tmp_path: Path) -> None:
    """Nothing is left behind."""
    odd = {"base_model.model.model.layers.0.self_attn.z_proj.lora_A.weight": np.ones((2, 4), np.float32)}
    with pytest.raises(BaseNotTrainable, match="z_proj"):
        write_adapter(tmp_path / "a.gguf", odd, LLAMA, 16)
    assert not (tmp_path / "a.gguf").exists()


def test_rows_of_query_and_key_are_reordered_where_the_architecture_wants_it(tmp_path: Path) -> None:
    """Llama interleaves the two halves of each head, Qwen2 keeps them."""
    write_adapter(tmp_path / "llama.gguf", tensors(), LLAMA, 16)
    write_adapter(tmp_path / "qwen2.gguf", tensors(), Shape("qwen2", 2, 4, 2), 16)
    name = "blk.1.attn_q.weight.lora_b"
    assert stored(tmp_path / "llama.gguf")[name][:4, 0].tolist() == [0, 2, 1, 3]
    assert stored(tmp_path / "qwen2.gguf")[name][:, 0].tolist() == list(range(16))
    reader = gguf.GGUFReader(tmp_path / "llama.gguf")
    alpha = reader.get_field("adapter.lora.alpha")
    assert alpha is not None
    assert alpha.contents() == 16.0


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_llama_cpp_computes_what_torch_computed(tmp_path: Path) -> None:
    """A random change of all queries and keys has the same effect on each token; with its rows misplaced it has not."""
    base = pull(load_catalog().get(MODEL))
    shape, _ = training.read_shape(base)
    model = training.open_base(base, Recipe(rank=4, alpha=8, dropout=0.0))
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name and ("q_proj" in name or "k_proj" in name):
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    backend = comparison.open_backend(base, MODEL, 512)
    text = backend.tokenize(TEXT, parse_control=False)
    backend.close()
    tokens = Tokens(text[:6], text[6:])
    learned = training.logprobs(model, tokens)
    changes = training.adapter_tensors(model)
    deviations = {}
    unordered = Shape("llama", shape.layers, shape.heads * HEAD_SIZE // 2, shape.kv_heads * HEAD_SIZE // 2)
    for name, written_as in (("right", shape), ("wrong", unordered)):
        path = tmp_path / f"{name}.gguf"
        write_adapter(path, changes, written_as, 8)
        backend = comparison.open_backend(base, MODEL, 512, path)
        assert backend.info.adapters == (name,)
        served = comparison.logprobs(backend, tokens, None), comparison.logprobs(backend, tokens, name)
        backend.close()
        deviations[name] = deviation_of([learned], [served])
    assert deviations["right"] < 0.3
    assert deviations["wrong"] > 0.5
