"""``herald doctor``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference import doctor
from inference.upstream import opening
from inference.upstream.vllm_plan import GIB, Card


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With its value and what is wrong with it."""
    monkeypatch.setenv("HERALD_INFERENCE_CONTEXT", "12")
    assert doctor.main() == 1
    assert "HERALD_INFERENCE_CONTEXT cannot be '12'" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words that the start would use."""
    monkeypatch.setenv("HERALD_MODEL", "no-such-model")
    assert doctor.main() == 1
    assert "No model is called 'no-such-model'" in capsys.readouterr().err


@pytest.mark.model
def test_the_choice_for_a_cpu_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Cores, memory, and what the model takes of it."""
    monkeypatch.setenv("HERALD_MODEL", "smollm2-135m-instruct")
    assert doctor.main() == 0
    said = capsys.readouterr().out
    assert "cores" in said
    assert "tokens over all requests" in said


def test_the_choice_for_a_gpu_is_printed_with_its_reasons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As vLLM would be started."""
    config = {"num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    (tmp_path / "config.json").write_text(json.dumps(config))
    cards = (Card("NVIDIA L4", 23 * GIB, (8, 9)),)
    for module in (doctor, opening):
        monkeypatch.setattr(module, "find_cards", lambda: cards)
    monkeypatch.setenv("HERALD_INFERENCE_BACKEND", "vllm")
    monkeypatch.setenv("HERALD_VLLM_MODEL", str(tmp_path))
    monkeypatch.setenv("HERALD_VLLM_ARGS", "--enforce-eager")
    assert doctor.main() == 0
    said = capsys.readouterr().out
    assert "NVIDIA L4, compute capability 8.9" in said
    assert "--max-model-len" in said
    assert "--enforce-eager" in said
