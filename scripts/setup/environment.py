"""The virtual environment, PyTorch, and the pinned dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from scripts.setup.box import Box
from scripts.setup.commands import run_logged
from scripts.setup.errors import SetupError
from scripts.setup.settings_seen import setting
from scripts.setup.state import FILE_NAME, State, fingerprint

_NEEDED_BYTES = 8_000_000_000
_SETUPTOOLS = "setuptools>=77"


def prepare_environment(box: Box) -> None:
    """Make ``.venv``, or make it anew when it was left half-built, moved, or made by another Python."""
    inputs = fingerprint(sys.version, str(Path(sys.executable).resolve()), str(box.root))
    _refuse_foreign(box)
    broken = box.state.interrupted_step
    if box.state.is_done("environment", inputs) and broken is None and box.python.exists():
        return
    box.progress.begin(
        f"Repairing the virtual environment ({broken} was interrupted)" if broken else "Making the virtual environment"
    )
    _refuse_full_disk(box.root)
    shutil.rmtree(box.venv, ignore_errors=True)
    box.log("environment").unlink(missing_ok=True)
    # The stamp file comes first: whatever is in the folder from now on is ours to remove.
    State(box.venv / FILE_NAME).begin("environment")
    box.reload_state()
    box.call(
        sys.executable, "-m", "venv", box.venv,
        log_name="environment", what="The virtual environment could not be made",
        todo="Install this Python's venv module (apt-get install python3-venv) and run the same command again.",
    )  # fmt: skip
    box.pip("install", _SETUPTOOLS, "wheel", log_name="environment", what="setuptools could not be installed")
    box.state.finish("environment", inputs)
    box.progress.done(f"Virtual environment with Python {sys.version.split()[0]}")


def _refuse_foreign(box: Box) -> None:
    if box.venv.exists() and not box.state.path.exists() and any(box.venv.iterdir()):
        raise SetupError(
            f"{box.venv} exists and was not made by this set-up.",
            "Move it away or delete it, then run the same command again.",
        )
    parent = box.venv if box.venv.exists() else box.root
    if not os.access(parent, os.W_OK):
        raise SetupError(
            f"{parent} cannot be written by this user.",
            "Run as the user who owns it, or clone the repository as this user.",
        )


def _refuse_full_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise SetupError(
            f"{folder} has {free / 1e9:.1f} GB free; the set-up needs {_NEEDED_BYTES / 1e9:.0f} GB.",
            "Free some disk space and run the same command again.",
        )


def install_torch(box: Box) -> None:
    """Install PyTorch before anything that needs it: pulled in as a dependency it would come in its largest build.

    Without an NVIDIA GPU the CPU build is asked for first; where the package index offers none, the default build is
    taken. ``HERALD_TORCH_INDEX`` names another index for this one package.
    """
    version = box.pinned("torch")
    index = setting(box.root, "HERALD_TORCH_INDEX")
    has_gpu = has_nvidia_gpu()
    inputs = fingerprint(version, index, has_gpu)
    if box.state.is_done("torch", inputs):
        return
    box.progress.begin(f"Installing PyTorch {version}")
    box.state.begin("torch")
    log = box.log("torch")
    log.unlink(missing_ok=True)
    from_index = ["--index-url", index] if index else []
    pip: list[str | Path] = [
        box.python,
        "-m",
        "pip",
        "--no-input",
        "--disable-pip-version-check",
        "install",
        *from_index,
    ]
    is_cpu_build = not has_gpu and run_logged([*pip, f"torch=={version}+cpu"], log, box.progress, cwd=box.root) == 0
    if not is_cpu_build:
        box.pip(
            "install",
            *from_index,
            f"torch=={version}",
            log_name="torch",
            what=f"PyTorch {version} could not be installed",
        )
    box.state.finish("torch", inputs)
    box.progress.done(f"PyTorch {version} ({_build_words(is_cpu_build, has_gpu)})")


def _build_words(is_cpu_build: bool, has_gpu: bool) -> str:
    if is_cpu_build:
        return "CPU build"
    return "build for GPUs" if has_gpu else "default build, with GPU libraries; HERALD_TORCH_INDEX can avoid them"


def has_nvidia_gpu() -> bool:
    """Whether nvidia-smi is here and names a card."""
    if not shutil.which("nvidia-smi"):
        return False
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install_dependencies(box: Box) -> None:
    """Install the product in editable form with exactly the versions of constraints.txt."""
    project = tomllib.loads((box.root / "pyproject.toml").read_text("utf-8"))
    packages = sorted(p.parent.name for p in box.root.glob("*/__init__.py"))
    constraints = (box.root / "constraints.txt").read_text("utf-8")
    inputs = fingerprint(project["project"], project["build-system"], constraints, packages)
    installed = set(box.state.note("dependencies", "extras") or ())
    if box.state.is_done("dependencies", inputs) and box.extras <= installed:
        return
    extras = sorted(box.extras | installed)
    box.progress.begin("Installing the pinned dependencies")
    box.log("dependencies").unlink(missing_ok=True)
    box.state.begin("dependencies")
    target = f"{box.root}[{','.join(extras)}]" if extras else str(box.root)
    box.pip(
        "install", "--no-build-isolation", "-c", box.root / "constraints.txt", "-e", target,
        log_name="dependencies", what="The pinned dependencies could not be installed",
    )  # fmt: skip
    box.pip("check", log_name="dependencies", what="The installed packages do not fit together")
    box.state.finish("dependencies", inputs, extras=extras)
    box.progress.done("Dependencies" + (f" with {', '.join(extras)}" if extras else ""))
