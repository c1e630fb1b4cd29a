"""``herald models``: list, pull and use, as an owner types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.cli import app, write_setting
from models.home import herald_home, models_dir

runner = CliRunner()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, and as models folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path


@pytest.mark.parametrize("command", [["pull", "nope"], ["use", "nope"]])
def test_an_unknown_name_fails_with_the_known_ones(command: list[str]) -> None:
    """Exit status 1 and the catalogue's names."""
    result = runner.invoke(app, command)
    assert result.exit_code == 1
    assert "smollm2-135m-instruct" in result.output


def test_an_embedding_model_cannot_be_used_to_chat(here: Path) -> None:
    """Nothing is written."""
    assert runner.invoke(app, ["use", "all-minilm-l6-v2"]).exit_code == 1
    assert not (here / ".env").exists()


def test_list_shows_every_model() -> None:
    """Name, licence and whether it is here."""
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0
    for text in ("qwen2.5-coder-1.5b-instruct", "llama-3.1-8b-instruct", "Apache-2.0", "1.1 GB", "no"):
        assert text in result.output


def test_use_writes_one_line_and_keeps_the_others(here: Path) -> None:
    """Comments, other settings and the file's mode survive."""
    env = here / ".env"
    env.write_text("# mine\nHERALD_PORT=9000\nexport HERALD_MODEL=old\nHERALD_MODEL = older\nX=1\n")
    env.chmod(0o640)
    result = runner.invoke(app, ["use", "smollm2-135m-instruct"])
    assert result.exit_code == 0
    assert "herald models pull smollm2-135m-instruct" in result.output
    assert env.read_text() == "# mine\nHERALD_PORT=9000\nHERALD_MODEL=smollm2-135m-instruct\nX=1\n"
    assert env.stat().st_mode & 0o777 == 0o640


def test_a_new_env_file_is_private(here: Path) -> None:
    """It may come to hold keys."""
    write_setting(here / ".env", "A", "1")
    assert (here / ".env").stat().st_mode & 0o777 == 0o600


def test_homes_follow_the_environment_then_the_env_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes find the same folders."""
    monkeypatch.delenv("HERALD_MODELS_DIR")
    monkeypatch.delenv("HERALD_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert models_dir() == Path("/cache/herald/models")
    assert herald_home() == Path("/data/herald")
    (here / ".env").write_text("HERALD_HOME=/from-file\nHERALD_MODELS_DIR=~/weights\nOTHER=1\n")
    assert herald_home() == Path("/from-file")
    assert models_dir() == Path("~/weights").expanduser()
    monkeypatch.setenv("HERALD_HOME", "/from-environment")
    assert herald_home() == Path("/from-environment")
