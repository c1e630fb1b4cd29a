"""A build that crashes is replaced by a safer one, once and for all; any other failure is told as it is."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.catalog import load_catalog
from models.fetch import locate
from scripts.setup import engine
from scripts.setup.box import Box
from scripts.setup.cpu import Level
from scripts.setup.errors import SetupError
from scripts.setup.progress import Progress


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "constraints.txt").write_text("llama-cpp-python==0.3.36\n")
    (tmp_path / "model.gguf").write_bytes(b"weights")
    box = Box(tmp_path, Progress(1, io.StringIO()))
    box.progress.step()
    return box


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Level]:
    """Levels that were built, instead of building for minutes."""
    built: list[Level] = []

    def install(box: Box, level: Level, inputs: str) -> None:
        built.append(level)
        box.state.finish("engine", inputs, wheel=f"wheel of {level}")

    monkeypatch.setattr(engine, "_install", install)
    return built


def _trial_ends_with(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> list[int]:
    left = list(statuses)

    def run_logged(*_args: object, **_options: object) -> int:
        return left.pop(0)

    monkeypatch.setattr(engine, "run_logged", run_logged)
    return left


def test_a_failure_that_is_no_crash_is_told_and_nothing_is_built(
    box: Box, builds: list[Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable model does not become readable by a safer build."""
    engine.install_engine(box)
    _trial_ends_with(monkeypatch, 1)
    with pytest.raises(SetupError, match="could not decode"):
        engine.prove_engine(box, box.root / "model.gguf")
    assert builds == [Level.TUNED]


def test_a_crash_in_the_plainest_build_is_the_end(
    box: Box, builds: list[Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing safer to build."""
    engine.install_engine(box)
    _trial_ends_with(monkeypatch, *[-signal.SIGILL] * 3)
    with pytest.raises(SetupError, match="SIGILL"):
        engine.prove_engine(box, box.root / "model.gguf")
    assert builds == [Level.TUNED, Level.AVX2, Level.PLAIN]


@pytest.mark.parametrize("crash", [signal.SIGILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_leads_to_the_next_safer_build_which_is_remembered(
    box: Box, builds: list[Level], monkeypatch: pytest.MonkeyPatch, crash: signal.Signals
) -> None:
    """The next clone on this machine does not build the crashing one first."""
    engine.install_engine(box)
    _trial_ends_with(monkeypatch, -crash, 0)
    engine.prove_engine(box, box.root / "model.gguf")
    assert builds == [Level.TUNED, Level.AVX2]
    builds.clear()
    box.state.forget("engine")
    engine.install_engine(box)
    assert builds == [Level.AVX2]


def test_a_proved_build_is_not_tried_again(box: Box, builds: list[Level], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run takes no time."""
    engine.install_engine(box)
    _trial_ends_with(monkeypatch, 0)
    engine.prove_engine(box, box.root / "model.gguf")
    engine.prove_engine(box, box.root / "model.gguf")
    engine.install_engine(box)
    assert builds == [Level.TUNED]


def test_a_compiler_that_does_not_know_an_instruction_set_gets_a_safer_build(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old compiler on a new CPU."""
    built: list[Level] = []

    def install(box: Box, level: Level, inputs: str) -> None:
        built.append(level)
        if level is Level.TUNED:
            log = box.log("engine")
            log.parent.mkdir(parents=True)
            log.write_text("c++: error: unrecognized command-line option '-mavx512bf16'\n")
            raise SetupError("could not be built", "read the log", log)
        box.state.finish("engine", inputs)

    monkeypatch.setattr(engine, "_install", install)
    engine.install_engine(box)
    assert built == [Level.TUNED, Level.AVX2]


@pytest.mark.model
def test_the_trial_says_no_to_what_is_no_model_and_yes_to_one(tmp_path: Path) -> None:
    """The child process that the set-up relies on, with the installed engine and the small model."""
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and nothing else")
    assert _try(tmp_path / "broken.gguf") == 1
    assert _try(locate(load_catalog().get("smollm2-135m-instruct"))) == 0


def _try(model: Path) -> int:
    argv = [sys.executable, "-m", "scripts.setup.try_engine", str(model)]
    return subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, check=False).returncode


def test_the_builds_steps_are_shown_as_numbers() -> None:
    """A compiler's command line says nothing to anybody."""
    assert engine.build_step("[153/262] /usr/bin/c++ -O3 -o x.o") == "153 of 262"
    assert engine.build_step("Building wheel for llama-cpp-python") == ""


def _measuring_says(monkeypatch: pytest.MonkeyPatch, status: int) -> list[object]:
    calls: list[object] = []

    def run_logged(argv: list[object], log: Path, *_args: object, **_options: object) -> int:
        calls.append(argv)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("repacked weights\n")
        return status

    monkeypatch.setattr(engine, "run_logged", run_logged)
    return calls


def test_what_cannot_be_measured_does_not_stop_the_set_up(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs speed at most; and it is not tried at every start."""
    box.state.finish("models", "inputs", files=[("model", str(box.root / "model.gguf"), 7)])
    calls = _measuring_says(monkeypatch, 1)
    engine.tune_engine(box)
    engine.tune_engine(box)
    assert len(calls) == 1


def test_what_is_fastest_is_measured_again_for_another_engine_or_model(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each; and never where inference is elsewhere."""
    calls = _measuring_says(monkeypatch, 0)
    engine.tune_engine(box)
    assert calls == []
    for wheel, name in (("one", "a"), ("one", "a"), ("two", "a"), ("two", "b")):
        box.state.finish("engine", "inputs", wheel=wheel)
        box.state.finish("models", "inputs", files=[(name, str(box.root / "model.gguf"), 7)])
        engine.tune_engine(box)
    assert len(calls) == 3


@pytest.mark.parametrize(("chosen", "what"), [("gpu", "allowed are native, portable, cuda"), ("cuda", "compiler nvcc")])
def test_a_build_that_cannot_be_made_is_refused(
    box: Box, monkeypatch: pytest.MonkeyPatch, chosen: str, what: str
) -> None:
    """An unknown name, and CUDA without its compiler; before anything is built."""
    monkeypatch.setenv("HERALD_ENGINE_BUILD", chosen)
    which = engine.shutil.which
    monkeypatch.setattr(engine.shutil, "which", lambda name, **_: None if name == "nvcc" else which(name))
    with pytest.raises(SetupError, match=what):
        engine.install_engine(box)


def test_another_kind_of_build_is_another_wheel(box: Box, builds: list[Level], monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp of the one does not stand for the other."""
    engine.install_engine(box)
    engine.install_engine(box)
    monkeypatch.setenv("HERALD_ENGINE_BUILD", "portable")
    engine.install_engine(box)
    assert builds == [Level.TUNED, Level.TUNED]
