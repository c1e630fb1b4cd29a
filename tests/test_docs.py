"""The documentation says what the code does: settings, routes, commands and links agree."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import typer
from fastapi import FastAPI

from app.api import add_routes
from scripts.docs.settings import env_example, sections, settings_page

_ROOT = Path(__file__).resolve().parents[1]
_PAGES = sorted([*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")])
_METHODS = {"get", "post", "put", "patch", "delete"}
# Read by the benchmarks and the reliability tests alone.
_INTERNAL_VARIABLES = {"HERALD_REQUIRE_PDS", "HERALD_REQUIRE_VLLM", "HERALD_WHEELS", "HERALD_CRASH_POINT"}


def _shell_commands(page: Path) -> list[str]:
    """The lines of the page's shell examples, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def test_the_settings_pages_are_what_the_settings_classes_say() -> None:
    """`python -m scripts.docs.settings` writes both."""
    assert (_ROOT / ".env.example").read_text("utf-8") == env_example()
    assert (_ROOT / "docs" / "settings.md").read_text("utf-8") == settings_page()


def test_every_setting_says_what_it_is_for() -> None:
    """A variable without a description helps nobody."""
    silent = [setting.name for settings in sections().values() for setting in settings if not setting.description]
    assert not silent


def test_every_variable_that_the_code_reads_is_documented() -> None:
    """Also those that no settings class holds."""
    known = {setting.name for settings in sections().values() for setting in settings} | _INTERNAL_VARIABLES
    folders = ["app", "automation", "inference", "models", "scripts"]
    files = [path for folder in folders for path in (_ROOT / folder).rglob("*") if path.suffix in {".py", ""}]
    files += [_ROOT / "docker-compose.yml", _ROOT / "Dockerfile.gpu", *_PAGES]
    unknown = {
        f"{name} ({path.relative_to(_ROOT)})"
        for path in files
        if path.is_file()
        for name in re.findall(r"\bHERALD_[A-Z][A-Z_]*[A-Z]\b", path.read_text("utf-8", "ignore"))
        if name not in known
    }
    assert not unknown


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    """`docs/api.md` names each as METHOD and path."""
    app = FastAPI()
    add_routes(app)
    exist = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method in _METHODS
    }
    text = (_ROOT / "docs" / "api.md").read_text("utf-8")
    documented = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /api/v1/[^`\s?]*)`", text))
    documented.discard("GET /api/v1/openapi.json")
    assert documented == exist


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """A link to a file that is not there is worse than none."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_scripts_that_a_page_names_exist_and_can_be_run(page: Path) -> None:
    """Also in running text."""
    names = set(re.findall(r"`\./((?:scripts|\.ci)/[\w-]+)", page.read_text("utf-8")))
    names |= {name for line in _shell_commands(page) for name in re.findall(r"^\./(scripts/[\w-]+)", line)}
    assert not [name for name in names if not os.access(_ROOT / name, os.X_OK)]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_herald_commands_that_a_page_shows_exist(page: Path) -> None:
    """Commands and their options, as the command line itself knows them."""
    from app.cli import app as cli

    root = typer.main.get_command(cli)
    unknown = []
    for line in _shell_commands(page):
        found = re.search(r"(?:^|\s)(?:\.venv/bin/)?herald((?:\s+[a-z][\w-]*)*)(.*)$", line)
        if found is None or "herald:" in line:
            continue
        command, words = root, found.group(1).split()
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        if command is root or not set(re.findall(r"\s(--[\w-]+)", found.group(2))) <= options:
            unknown.append(line)
    assert not unknown


def test_the_readme_opens_with_one_sentence_the_two_commands_and_the_picture() -> None:
    """What a newcomer sees first."""
    text = (_ROOT / "README.md").read_text("utf-8")
    order = ["# Herald", "Herald is", "./scripts/up", "./scripts/test", "](docs/images/chat.png)", "\n## "]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert (_ROOT / "docs" / "images" / "chat.png").stat().st_size > 10_000
