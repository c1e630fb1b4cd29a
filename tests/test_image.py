"""Dockerfile.gpu: what it copies is there, what it runs was copied before, and code comes last. No Docker needed."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_CODE = {"app", "automation", "inference", "models"}


@dataclass
class Stage:
    """One FROM with its instructions, in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        return [rest for kind, rest in self.steps if kind == instruction]


def _read() -> tuple[dict[str, str], dict[str, Stage]]:
    """The global build arguments, and the stages by name."""
    text = (_ROOT / "Dockerfile.gpu").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            current = stages[name] = Stage(name, base)
        elif current is not None:
            current.steps.append((instruction, " ".join(rest.split())))
        else:
            name, _, value = rest.partition("=")
            arguments[name] = value
    return arguments, stages


_ARGUMENTS, _STAGES = _read()


def _resolved(base: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: _ARGUMENTS[found[1]], base)


def _line(stage: Stage) -> list[Stage]:
    """The stage after those it stands on."""
    below = _STAGES.get(_resolved(stage.base))
    return [*(_line(below) if below else []), stage]


def _sources(copy: str) -> list[str]:
    return [] if "--from=" in copy else [word for word in copy.split()[:-1] if not word.startswith("--")]


def _called(run: str) -> list[str]:
    return re.findall(r"\./(scripts/[\w-]+)", run)


def _assembled(stage: Stage, folder: Path) -> Path:
    """What the build context gives this stage, laid out as in the image."""
    for kind, rest in [step for part in _line(stage) for step in part.steps]:
        if kind != "COPY":
            continue
        for source in _sources(rest):
            target = folder / rest.split()[-1]
            if (_ROOT / source).is_dir():
                shutil.copytree(
                    _ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
                )
            else:
                target = target / Path(source).name if rest.endswith("/") else target
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(_ROOT / source, target)
    return folder


def _run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "HERALD_PYTHON": sys.executable,
        "XDG_CACHE_HOME": str(folder / "c"),
    }
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=150)


def test_the_bases_are_pinned_by_digest() -> None:
    """A tag is moved by others."""
    bases = {_resolved(stage.base) for stage in _STAGES.values()} - set(_STAGES)
    assert len(bases) == 2
    assert all(re.fullmatch(r"nvidia/cuda:[\w.-]+@sha256:[0-9a-f]{64}", base) for base in bases)
    versions = {re.search(r":([\d.]+)-", base)[1] for base in bases}  # type: ignore[index]
    assert len(versions) == 1  # what was compiled with one CUDA finds its libraries


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    """Tracked by git, and no pattern of .dockerignore keeps it out."""
    tracked = subprocess.run(["git", "ls-files"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    ignored = (_ROOT / ".dockerignore").read_text("utf-8").split()
    sources = {source for stage in _STAGES.values() for copy in stage.of("COPY") for source in _sources(copy)}
    assert sources >= _CODE
    for source in sources:
        assert any(name == source or name.startswith(f"{source}/") for name in tracked), source
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), source
    assert {"secrets", ".env", ".venv"} <= set(ignored)


@pytest.mark.parametrize("name", list(_STAGES))
def test_what_a_stage_runs_was_copied_before(name: str) -> None:
    """Scripts of ours alone do the work, and each exists."""
    copied: set[str] = set()
    for stage in _line(_STAGES[name]):
        for kind, rest in stage.steps:
            if kind == "COPY":
                copied |= set(_sources(rest))
            if kind == "RUN":
                assert _called(rest), rest
                assert not re.search(r"\b(pip|curl|wget) ", rest), rest
                assert set(_called(rest)) <= copied
                assert all(os.access(_ROOT / script, os.X_OK) for script in _called(rest))


def test_a_change_of_code_runs_nothing_again() -> None:
    """The last stage only copies, and no stage that it stands on, or copies from, sees the app's code."""
    last = list(_STAGES.values())[-1]
    assert not last.of("RUN")
    assert {source for copy in last.of("COPY") for source in _sources(copy)} >= _CODE
    for stage in list(_STAGES.values())[:-1]:
        seen = {source for copy in stage.of("COPY") for source in _sources(copy)} & _CODE
        assert seen <= ({"models"} if stage.name == "weights" else set())


def test_it_runs_as_nobody_in_particular() -> None:
    """A number, so that Kubernetes can see that it is not root; with tini, a health check and both volumes."""
    last = list(_STAGES.values())[-1]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last.of("USER")[-1])
    assert last.of("ENTRYPOINT") == ['["tini", "--"]']
    assert '"scripts.container_health", "app"' in last.of("HEALTHCHECK")[0]
    assert last.of("VOLUME") == ['["/data", "/models"]']
    assert not [stage.name for stage in _STAGES.values() if "root" in stage.of("USER")]


def test_both_choices_of_environments_are_stages() -> None:
    """The build argument names one of them, and vLLM's Python is where the script puts it."""
    assert _STAGES["herald"].base == "${ENVIRONMENTS}"
    assert {"with-vllm", "without-vllm"} <= set(_STAGES)
    assert "--folder /opt/vllm " in _STAGES["vllm"].of("RUN")[0]
    assert _STAGES["with-vllm"].of("ENV") == ["HERALD_VLLM_PYTHON=/opt/vllm/env/bin/python"]


def test_no_weights_are_baked_in_unless_a_build_asks() -> None:
    """The argument is empty by default, and nothing else fetches any."""
    assert 'BAKED_MODELS=""' in _STAGES["weights"].of("ARG")
    runs = [(stage.name, run) for stage in _STAGES.values() for run in stage.of("RUN") if "install-models" in run]
    assert [name for name, _ in runs] == ["weights"]
    assert runs[0][1].startswith('if [ -n "${BAKED_MODELS}" ]')


@pytest.mark.parametrize("name", ["build", "vllm", "without-vllm", "with-vllm", "weights"])
def test_the_copied_files_are_enough_for_the_scripts(name: str, tmp_path: Path) -> None:
    """Each script of the stage rehearses its work among the files that the stage has, and no others."""
    folder = _assembled(_STAGES[name], tmp_path)
    for script in {script for run in _STAGES[name].of("RUN") for script in _called(run)}:
        argv = ["smollm2-135m-instruct"] if script.endswith("models") else []
        done = _run(folder, script, "--dry-run", *argv)
        assert done.returncode == 0, done.stderr


def test_the_copied_files_are_enough_for_the_processes(tmp_path: Path) -> None:
    """All three start from what the last stage holds; the health check says that nobody answers."""
    folder = _assembled(_STAGES["herald"], tmp_path)
    done = _run(folder, sys.executable, "-c", "import app.main, app.cli, automation.worker, inference.serve")
    assert done.returncode == 0, done.stderr
    assert _run(folder, sys.executable, "-m", "scripts.container_health").returncode == 2
