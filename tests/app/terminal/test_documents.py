"""What ``herald doctor`` says of the place where documents are kept."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from tests.app.s3_server import S3Server


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Result]:
    """Runs it, without inference's part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 0))
    return lambda: CliRunner().invoke(app, ["doctor"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"HERALD_S3_SECRET_KEY": "wrong-secret-0123456789"}, "The key was refused for the bucket herald-test"),
        ({"HERALD_S3_BUCKET": "herald-nowhere"}, "There is no bucket herald-nowhere"),
        ({"HERALD_S3_URL": "http://127.0.0.1:9"}, "at 127.0.0.1:9 does not answer"),
        ({"HERALD_S3_BUCKET": ""}, "HERALD_S3_BUCKET cannot be"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_said(
    doctor: Callable[[], Result], s3: S3Server, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], told: str
) -> None:
    """With the exit status 1 and what to correct."""
    for name, value in (s3.environment() | change).items():
        monkeypatch.setenv(name, value)
    result = doctor()
    assert result.exit_code == 1
    assert told in " ".join(result.stderr.split())
    assert "HERALD_S3_" in result.stderr
    assert "Traceback" not in result.output


def test_a_bucket_is_tried_out(doctor: Callable[[], Result], s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it did, and leaves nothing there."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    result = doctor()
    assert result.exit_code == 0, result.output
    assert f"herald-test/originals/ at {s3.url}: one object was written, read, listed and deleted" in result.stdout
    assert s3.names() == []


def test_a_folder_is_named(doctor: Callable[[], Result], tmp_path: Path) -> None:
    """And not made."""
    result = doctor()
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "home" / "documents") in result.stdout
    assert not (tmp_path / "home").exists()
