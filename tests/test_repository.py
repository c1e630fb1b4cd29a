"""The repository itself: what is imported is declared, what is declared is pinned, and nothing of a machine gets in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_PRODUCT = ("app", "automation", "inference", "models")
_LARGEST_FILE_BYTES = 1_000_000
# Declared by name, and part of the contract of what is declared: FastAPI is made of Starlette, AnyIO and Pydantic.
_EXTRAS = {"inference/cluster": "cluster", "inference/finetune": "finetune"}
"""Folders whose packages an extra brings."""
_COME_WITH = {
    "starlette": "fastapi",
    "anyio": "fastapi",
    "pydantic-core": "pydantic",
    "pandas": "gradio",
    "huggingface-hub": "transformers",
}


def _tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listing.split("\0") if name and (path := _ROOT / name).is_file()]


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement_names(requirements: list[str]) -> set[str]:
    return {_normalised(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]) for requirement in requirements}


def _project() -> dict[str, object]:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _imported_packages(folder: str, but: Iterable[str] = ()) -> dict[str, str]:
    """Top-level name → a file that imports it; ``but`` are folders in it that are not looked at."""
    found: dict[str, str] = {}
    for path in (_ROOT / folder).rglob("*.py"):
        if any(path.is_relative_to(_ROOT / other) for other in but):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(_ROOT)))
    return found


@pytest.mark.parametrize("folder", [*_PRODUCT, *_EXTRAS])
def test_every_imported_package_is_a_declared_dependency(folder: str) -> None:
    """What comes along by chance goes away by chance."""
    project = _project()
    declared = _requirement_names(project["dependencies"])  # type: ignore[arg-type]
    if folder in _EXTRAS:
        declared |= _requirement_names(project["optional-dependencies"][_EXTRAS[folder]])  # type: ignore[index]
    provides = packages_distributions()
    undeclared = {
        f"{name} ({file})"
        for name, file in _imported_packages(folder, but=_EXTRAS.keys() - {folder}).items()
        if name not in sys.stdlib_module_names
        and name not in (*_PRODUCT, "scripts")
        and not {_COME_WITH.get(d := _normalised(p), d) for p in provides.get(name, [name])} & declared
    }
    assert not undeclared


def test_the_setup_needs_nothing_but_the_standard_library() -> None:
    """It runs before anything is installed; llama_cpp is what it tries out, in a child process."""
    imported = set(_imported_packages("scripts/setup")) - set(sys.stdlib_module_names)
    assert imported == {"scripts", "llama_cpp"}


def test_every_declared_dependency_is_pinned() -> None:
    """constraints.txt is as new as pyproject.toml; ./scripts/lock writes it."""
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = _requirement_names([*project["dependencies"], *extras["test"], *extras["check"]])  # type: ignore[misc]
    lines = (_ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {_normalised(line.partition("==")[0]) for line in lines if re.match(r"^[A-Za-z0-9]", line)}
    assert wanted <= pinned
    assert all("+" not in line for line in lines if line.startswith("torch=="))


def test_no_file_names_a_machine_or_a_package_index() -> None:
    """Paths and hosts of whoever wrote a file help nobody who reads it."""
    marks = re.compile(
        r"/wor[k]/|/root/|/home/[a-z]+/|/opt/(?:py[p]i|wheels)|//(?:files\.)?(?:py[p]i|pythonhoste[d])\."
    )
    found = [
        f"{path.relative_to(_ROOT)}: {match.group()}"
        for path in _tracked_files()
        if path != Path(__file__) and (match := marks.search(_text_of(path)))
    ]
    assert not found


def test_no_tracked_file_is_large() -> None:
    """Weights and recordings belong elsewhere."""
    large = [str(path.relative_to(_ROOT)) for path in _tracked_files() if path.stat().st_size > _LARGEST_FILE_BYTES]
    assert not large


def test_no_module_is_named_after_nothing() -> None:
    """A file is named after what it owns."""
    names = {"utils.py", "helpers.py", "manager.py", "common.py", "misc.py"}
    assert not [str(path.relative_to(_ROOT)) for path in _tracked_files() if path.name in names]


@pytest.mark.parametrize(
    "name", ["install", "install-app", "install-system", "up", "down", "test", "check", "lock", "vllm", "pds", "fuzz"]
)
def test_the_scripts_can_be_run_and_stop_at_errors(name: str) -> None:
    """Executable in git's eyes too, and no half-run scripts."""
    path = _ROOT / "scripts" / name
    staged = subprocess.run(["git", "ls-files", "-s", str(path)], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert staged.stdout.startswith("100755")
    assert re.search(r"^set -e?uo pipefail$", path.read_text("utf-8"), re.MULTILINE)
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
