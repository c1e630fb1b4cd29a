"""The set-up as a user meets it when something is wrong: what failed, what to do, exit status 1, no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and what they read, and nothing installed."""
    folder = tmp_path / "clone"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "scripts", folder / "scripts", ignore=ignore)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(_ROOT / name, folder / name)
    return folder


def _run(clone: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=clone,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_an_environment_that_it_did_not_make_is_left_alone(clone: Path) -> None:
    """A developer's own .venv is not deleted."""
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").touch()
    done = _run(clone, sys.executable, "-m", "scripts.setup")
    assert done.returncode == 1
    assert "was not made by this set-up" in done.stderr
    assert "Move it away or delete it" in done.stderr
    assert "Traceback" not in done.stderr
    assert (clone / ".venv" / "mine").exists()


def test_a_python_that_is_too_old_is_named(clone: Path, tmp_path: Path) -> None:
    """HERALD_PYTHON is checked before anything is made."""
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = _run(clone, "./scripts/install", HERALD_PYTHON=str(old))
    assert done.returncode == 1
    assert f"HERALD_PYTHON names {old}, which is not Python 3.11 or newer." in done.stderr
    assert not (clone / ".venv").exists()


def test_a_machine_without_python_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    """A PATH with the shell's own tools and no Python at all."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "readlink", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = _run(clone, "./scripts/install", PATH=str(tools), HERALD_PYTHON="")
    assert done.returncode == 1
    assert "There is no Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_a_python_without_venv_names_its_package(clone: Path, tmp_path: Path) -> None:
    """Debian ships Python without it; `id` makes this an ordinary user."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "readlink", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    python = tools / "python3"
    answers = f"""case "$2" in
    *ensurepip*) exit 1 ;;
    *sys.executable*) echo {python} ;;
    *) exec {sys.executable} "$@" ;;
    esac"""
    for path, body in ((tools / "id", "echo 1000"), (python, answers)):
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)
    done = _run(clone, "./scripts/install", PATH=str(tools), HERALD_PYTHON="")
    assert done.returncode == 1
    assert f"{python} lacks the modules that make a virtual environment." in done.stderr
    version = "{}.{}".format(*sys.version_info[:2])
    assert f"Run: sudo apt-get install -y python{version}-venv" in done.stderr


def test_an_unknown_option_of_up_starts_nothing(clone: Path) -> None:
    """A typing error is no reason to install gigabytes."""
    done = _run(clone, "./scripts/up", "--detatch")
    assert done.returncode == 2
    assert "usage: ./scripts/up [--detach]" in done.stderr
    assert not (clone / ".venv").exists()


def test_down_on_a_clone_that_was_never_set_up_says_so(clone: Path) -> None:
    """Nothing to end is no failure."""
    done = _run(clone, "./scripts/down")
    assert done.returncode == 0
    assert "nothing of it runs" in done.stdout
