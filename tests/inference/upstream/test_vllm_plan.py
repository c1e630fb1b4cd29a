"""What vLLM is started with on which cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.upstream import opening
from inference.upstream.vllm_plan import GIB, Card, ModelShape, VllmPlan, parse_cards, plan_vllm, read_model_shape

T4 = Card("Tesla T4", 15 * GIB, (7, 5))
A4000 = Card("RTX A4000", 16 * GIB, (8, 6))
RTX_4090 = Card("RTX 4090", 24 * GIB, (8, 9))
A100 = Card("A100", 80 * GIB, (8, 0))
LLAMA_8B = ModelShape(16 * GIB, layers=32, heads=32, kv_heads=8, head_size=128, trained_context=131_072)
LLAMA_70B = ModelShape(141 * GIB, layers=80, heads=64, kv_heads=8, head_size=128, trained_context=131_072)


def values(plan: VllmPlan) -> dict[str, str]:
    return {name: value for name, value, _ in plan.reasons}


def test_a_model_that_does_not_fit_is_refused_with_both_sizes() -> None:
    """Also in 8 bits, and where the card has no 8 bits."""
    with pytest.raises(StartupError, match=r"141\.0 GiB of weights; 1 x RTX 4090 with 24 GiB have room for 14\.\d GiB"):
        plan_vllm((RTX_4090,), LLAMA_70B)
    with pytest.raises(StartupError, match=r"16\.0 GiB of weights; 1 x Tesla T4"):
        plan_vllm((T4,), LLAMA_8B)


def test_weights_that_no_even_split_holds_are_refused() -> None:
    """Three cards hold them together, but heads are split by powers of two."""
    with pytest.raises(StartupError, match="cannot be split evenly over 3 cards"):
        plan_vllm((A100,) * 3, ModelShape(120 * GIB, 80, 63, 7, 128, 8192))


def test_a_cache_without_room_is_refused() -> None:
    """A model with a huge cache a token, on the smallest card."""
    shape = ModelShape(8 * GIB, layers=80, heads=64, kv_heads=64, head_size=128, trained_context=32_768)
    with pytest.raises(StartupError, match=r"room for 1,\d+ tokens of cache, at least 2,048"):
        plan_vllm((T4,), shape)


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    """No config, and one that is not of a language model."""
    with pytest.raises(StartupError, match=r"config\.json"):
        read_model_shape(tmp_path)
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    with pytest.raises(StartupError, match="num_attention_heads"):
        read_model_shape(tmp_path)


def test_the_shape_is_read_from_the_folder(tmp_path: Path) -> None:
    """Sizes of all weight files, the head size derived, a quantization named."""
    config = {"num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 64, "max_position_embeddings": 512}
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "awq"}}))
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(bytes(100))
    assert read_model_shape(tmp_path) == ModelShape(200, 2, 4, 4, 16, 512, "awq")


def test_cards_are_read_as_nvidia_smi_prints_them() -> None:
    """A card that fell off the bus is left out."""
    text = "NVIDIA H200, 143771, 9.0\nNVIDIA H200, [GPU is lost], [N/A]\n"
    assert parse_cards(text) == (Card("NVIDIA H200", 143771 << 20, (9, 0)),)
    assert parse_cards("") == ()


@pytest.mark.parametrize(
    ("cards", "shape", "expected"),
    [
        ((T4,), ModelShape(3 * GIB, 28, 12, 2, 128, 32_768), {"dtype": "float16", "max-num-seqs": "64"}),
        ((A4000,), LLAMA_8B, {"dtype": "bfloat16", "quantization": "fp8", "tensor-parallel-size": "1"}),
        ((A4000,) * 2, LLAMA_8B, {"quantization": "", "tensor-parallel-size": "2", "data-parallel-size": ""}),
        ((A100,) * 4, LLAMA_70B, {"tensor-parallel-size": "4", "quantization": "", "max-num-batched-tokens": "8192"}),
        ((A100,) * 4, LLAMA_8B, {"tensor-parallel-size": "1", "data-parallel-size": "4", "max-num-seqs": "432"}),
        ((RTX_4090, T4), LLAMA_8B, {"quantization": "fp8", "data-parallel-size": "", "max-model-len": "16384"}),
    ],
)
def test_settings_follow_from_the_cards(cards: tuple[Card, ...], shape: ModelShape, expected: dict[str, str]) -> None:
    """An empty value says that the argument is not there; of unequal cards those like the first are used."""
    found = values(plan_vllm(cards, shape))
    assert {name: found.get(name, "") for name in expected} == expected


def test_what_is_quantized_already_stays_as_it_is() -> None:
    """vLLM reads it from the model's own description."""
    shape = ModelShape(6 * GIB, 32, 32, 8, 128, 131_072, "awq")
    assert "quantization" not in values(plan_vllm((A4000,), shape))


def test_the_cache_is_held_in_8_bits_where_it_would_be_small() -> None:
    """Fewer than four contexts in 16 bits."""
    plan = plan_vllm((RTX_4090,), LLAMA_8B, context_tokens=32_768)
    assert values(plan)["kv-cache-dtype"] == "fp8"
    assert plan.context_tokens == 32_768


def test_what_the_owner_set_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And what he did not set is chosen; without a GPU there is no plan at all."""
    config = {"num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 131_072}))
    monkeypatch.setattr(opening, "find_cards", lambda: (A100,))
    plan = opening.plan_of(InferenceSettings(inference_max_sequences=12, _env_file=None), tmp_path)
    assert plan is not None
    assert (plan.max_sequences, plan.context_tokens) == (12, 16_384)
    assert plan.arguments[:2] == ["--dtype", "bfloat16"]
    assert "--enable-prefix-caching" in plan.arguments
    monkeypatch.setattr(opening, "find_cards", tuple)
    assert opening.plan_of(InferenceSettings(_env_file=None), tmp_path) is None


def test_layers_are_split_over_machines_only_where_one_does_not_hold_them() -> None:
    """Two machines with two A100 each hold a copy of 70B together; 900 GiB are too much for twice four."""
    with pytest.raises(StartupError, match=r"900\.0 GiB of weights; 8 x A100"):
        plan_vllm((A100,) * 4, ModelShape(900 * GIB, 80, 64, 8, 128, 8192, ""), nodes=2)
    plan = values(plan_vllm((A100,) * 2, LLAMA_70B, nodes=2))
    assert plan["tensor-parallel-size"] == "2"
    assert plan["pipeline-parallel-size"] == "2"
    assert plan["distributed-executor-backend"] == "ray"
    assert "data-parallel-size" not in plan
    # Each of the four cards holds half of the heads and half of the layers of the cache.
    alone = plan_vllm((A100,) * 4, LLAMA_70B)
    assert plan["max-model-len"] == values(alone)["max-model-len"]


def test_copies_are_spread_over_machines() -> None:
    """A model that one card holds is copied to every card of all of them."""
    plan = values(plan_vllm((A100,) * 4, LLAMA_8B, nodes=3))
    assert plan["tensor-parallel-size"] == "1"
    assert plan["data-parallel-size"] == "12"
    assert plan["data-parallel-size-local"] == "4"
    assert plan["data-parallel-backend"] == "ray"
    assert "pipeline-parallel-size" not in plan
