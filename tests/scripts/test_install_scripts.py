"""The scripts/install-* that an image and a bare machine share: what they would do, refuse, and make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.setup.vllm import vllm_requirement

_ROOT = Path(__file__).resolve().parents[2]
_NAMES = sorted(path.name for path in (_ROOT / "scripts").glob("install-*"))
_ARGUMENTS = {"install-models": ["smollm2-135m-instruct"]}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and what they read, and nothing installed."""
    folder = tmp_path / "clone"
    shutil.copytree(_ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(_ROOT / name, folder / name)
    return folder


def _run(clone: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    base = {**os.environ, "HERALD_PYTHON": sys.executable, "XDG_CACHE_HOME": str(clone.parent / "cache")}
    base["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(
        argv,
        cwd=clone,
        env={**base, **env},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def _contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _as_root(tmp_path: Path, *, knows_cuda: bool = False) -> str:
    """A PATH on which apt-get writes down its arguments and this is root."""
    tools = tmp_path / "tools"
    tools.mkdir()
    bodies = {
        "apt-get": f'echo "$@" >>{tmp_path}/calls',
        "apt-cache": "exit 0" if knows_cuda else "exit 100",
        "id": "echo 0",
        "readlink": 'case "$*" in *cuda*) echo /usr/local/cuda-13.0 ;; *) exec /bin/readlink "$@" ;; esac',
    }
    for name, body in bodies.items():
        (tools / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (tools / name).chmod(0o755)
    return f"{tools}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["install-system", "--dry-run", "kernel"], "install-system knows no part kernel"),
        (["install-app", "--only-this"], "unrecognized arguments: --only-this"),
        (["install-vllm", "--dry-run", "--device", "tpu"], "invalid choice: 'tpu'"),
        (["install-models"], "usage: ./scripts/install-models"),
        (["install-models", "smollm2-135m-instruct"], "Run ./scripts/install-app first"),
        (["install-vllm"], "Run ./scripts/install first"),
    ],
)
def test_a_wrong_call_is_refused(clone: Path, argv: list[str], message: str) -> None:
    """And nothing is made of it."""
    before = _contents(clone)
    done = _run(clone, f"scripts/{argv[0]}", *argv[1:])
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert _contents(clone) == before


def test_packages_are_for_root_alone(clone: Path, tmp_path: Path) -> None:
    """With the command to run instead; a system without apt-get is told the packages' names."""
    path = _as_root(tmp_path)
    (tmp_path / "tools" / "id").write_text("#!/bin/sh\n[ $1 = -un ] && echo anna || echo 1000\n")
    done = _run(clone, "scripts/install-system", "build", PATH=path)
    assert done.returncode == 1
    assert "Only root can install packages, and this is anna." in done.stderr
    assert "sudo ./scripts/install-system build" in done.stderr
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("bash", "env"):
        (bare / name).symlink_to(shutil.which(name) or name)
    done = _run(clone, "scripts/install-system", PATH=str(bare))
    assert "This system has no apt-get." in done.stderr
    assert "python3-venv" in done.stderr


@pytest.mark.parametrize("name", _NAMES)
def test_a_dry_run_on_a_bare_machine_says_what_would_be_done_and_does_nothing(clone: Path, name: str) -> None:
    """Of every install script."""
    before = _contents(clone.parent)
    done = _run(clone, f"scripts/{name}", "--dry-run", *_ARGUMENTS.get(name, []))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "A dry run: nothing was changed."
    assert re.search(r"would (begin|run|make)", done.stdout)
    assert _contents(clone.parent) == before


def test_a_dry_run_names_the_build_of_vllm(clone: Path) -> None:
    """That for cards is the one that pyproject.toml pins, that for CPUs another package."""
    on_cards = _run(clone, "scripts/install-vllm", "--dry-run", "--device", "cuda").stdout
    on_cpus = _run(clone, "scripts/install-vllm", "--dry-run", "--device", "cpu").stdout
    assert re.search(r"^\[2/3\] vllm==[\d.]+:", on_cards, re.MULTILINE)
    assert f"[2/3] {vllm_requirement('cpu')}:" in on_cpus


def test_a_dry_run_tells_what_stops_the_set_up(clone: Path) -> None:
    """What the set-up refuses, its rehearsal refuses."""
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").touch()
    done = _run(clone, "scripts/install-app", "--dry-run")
    assert done.returncode == 1
    assert "was not made by this set-up" in done.stderr


def test_packages_are_installed_for_what_is_asked(clone: Path, tmp_path: Path) -> None:
    """Those to run with by default, compilers for the build, and NVIDIA's compiler of the CUDA that is here."""
    path = _as_root(tmp_path, knows_cuda=True)
    for parts in ([], ["build"], ["vllm"]):
        assert _run(clone, "scripts/install-system", *parts, PATH=path).returncode == 0
    calls = [call for call in (tmp_path / "calls").read_text().splitlines() if call != "update"]
    assert "python3-venv" in calls[0]
    assert "build-essential" not in calls[0]
    assert "build-essential" in calls[1]
    assert "python3-dev" in calls[2]
    assert calls[3].split()[3:5] == ["cuda-nvcc-13-0", "cuda-cudart-dev-13-0"]


def test_a_machine_without_nvidia_s_packages_is_told_so(clone: Path, tmp_path: Path) -> None:
    """Debian's own are installed all the same."""
    done = _run(clone, "scripts/install-system", "vllm", PATH=_as_root(tmp_path))
    assert done.returncode == 0
    assert "No package source offers cuda-nvcc-13-0" in done.stderr


def test_secrets_are_made_once_and_closed_to_others(clone: Path, tmp_path: Path) -> None:
    """The second run changes none; the queue's address holds the queue's password."""
    folder = tmp_path / "secrets"
    assert _run(clone, "scripts/install-secrets", str(folder)).returncode == 0
    made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    assert set(made) == {
        *("herald_inference_key", "herald_vllm_key", "herald_queue_url"),
        *("grafana_password", "queue_password"),
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made["herald_queue_url"] == f"redis://:{made['queue_password']}@queue:6379/0"
    assert all(re.fullmatch(r"[\w-]{43}", made[name]) for name in made if name != "herald_queue_url")
    assert len(set(made.values())) == len(made)
    again = _run(clone, "scripts/install-secrets", str(folder))
    assert again.stdout.count("is there already") == len(made)
    assert {path.name: path.read_text().strip() for path in folder.iterdir()} == made


@pytest.mark.model
def test_models_that_are_here_are_checked_and_kept(tmp_path: Path) -> None:
    """The product's own command fetches them, so nothing is fetched twice."""
    done = subprocess.run(
        [_ROOT / "scripts" / "install-models", "smollm2-135m-instruct"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(".gguf")
