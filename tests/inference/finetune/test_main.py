"""A training as a process: what it refuses, and a real one from job to report."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.finetune import __main__ as process
from inference.finetune import training
from inference.finetune.errors import OutOfMemory
from inference.finetune.tokens import Tokens, shared_prefix
from models.catalog import load_catalog
from models.fetch import pull

MODEL = "smollm2-135m-instruct"
GOODS = ("bread", "rolls", "cake", "jam", "honey", "tea", "soap", "eggs")


def example(number: int, goods: str) -> dict[str, Any]:
    """A short prompt whose answer has a manner that no model has by itself."""
    text = {"type": "string", "minLength": 12, "maxLength": 80}
    return {
        "id": f"e{number}",
        "messages": [{"role": "user", "content": f"Brief: {goods}, {number + 2} euro."}],
        "answer": json.dumps({"text": f"Ahoy! {goods} for {number + 2} euro. Fair winds!"}),
        "answer_schema": {
            "type": "object",
            "properties": {"text": text},
            "required": ["text"],
            "additionalProperties": False,
        },
    }


def job(tmp_path: Path, **changes: Any) -> Path:
    """A job that takes seconds."""
    examples = [example(number, goods) for number, goods in enumerate(GOODS)]
    body = {
        "model": MODEL,
        "training": examples[:6],
        "held_out": examples[6:],
        "recipe": {"rank": 4, "alpha": 8, "dropout": 0.0, "epochs": 3, "batch": 3, "learning_rate": 2e-3},
        "max_tokens": 256,
        "adapter_path": str(tmp_path / "ahoy.gguf"),
    } | changes
    path = tmp_path / "job.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What was told last."""
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [[], ["/nowhere/job.json"]])
def test_a_job_that_cannot_be_read_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the status 2, whatever is wrong with it."""
    assert process.main(arguments) == 2
    assert "cannot be read" in last_line(capsys)["error"]


def test_a_model_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is loaded."""
    assert process.main([str(job(tmp_path, model="all-minilm-l6-v2"))]) == 1
    assert "not a chat model" in last_line(capsys)["error"]


@pytest.mark.model
def test_without_the_extra_the_error_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is in the hint."""
    pull(load_catalog().get(MODEL))
    real = builtins.__import__

    def without_peft(name: str, *rest: Any, **named: Any) -> Any:
        if name == "inference.finetune.run":
            raise ModuleNotFoundError("No module named 'peft'", name="peft")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    assert process.main([str(job(tmp_path))]) == 1
    told = last_line(capsys)
    assert "peft" in told["error"]
    assert "install-app --extra finetune" in told["hint"]


def test_what_does_not_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is needed and what is free; a system that does not say is tried."""
    monkeypatch.setattr(training, "available_bytes", lambda: 2 << 30)
    with pytest.raises(OutOfMemory, match=r"12\.2 GiB of memory; 2\.0 GiB are free"):
        training.require_memory(1_500_000_000)
    monkeypatch.setattr(training, "available_bytes", lambda: 0)
    training.require_memory(1_500_000_000)


def test_what_prompts_begin_with_together_is_found() -> None:
    """One token of each is left, also where they are the same."""
    assert shared_prefix([Tokens([1, 2, 3, 4], [9]), Tokens([1, 2, 5], [9])]) == 2
    assert shared_prefix([Tokens([1, 2, 3], [9]), Tokens([1, 2, 3], [8])]) == 2
    assert shared_prefix([Tokens([7], [9])]) == 0


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_learns_and_is_compared_as_it_will_be_served(tmp_path: Path) -> None:
    """The loss on held-out texts falls, the converted adapter does what was learned, the manner is written."""
    pull(load_catalog().get(MODEL))
    command = [sys.executable, "-m", "inference.finetune", str(job(tmp_path))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=580)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    losses = [line["loss"] for line in told if line["stage"] == "Training"]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 2
    report = told[-1]["report"]
    assert report["deviation"] < 0.2
    assert all(row["loss"] < row["base_loss"] / 2 for row in report["compared"])
    assert all(json.loads(row["text"])["text"] for row in report["compared"])
    assert (tmp_path / "ahoy.gguf").stat().st_size > 1_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ahoy.gguf", "job.json"]
