"""``herald batch run`` against the real model server: refusals, results, and every way to be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from inference.backends.fake import FakeBackend
from inference.batch.lines import BatchLimits
from inference.config import InferenceSettings
from inference.embedder import Embedder
from tests.inference.conftest import KEY, RunningServer, run_server

Run = Callable[..., Result]


def write_input(path: Path, count: int, **fields: Any) -> list[str]:
    """A file of requests; returns their ids."""
    entries = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "fake",
                "messages": [{"role": "user", "content": f"hello {number}"}],
                "max_tokens": 20,
                "seed": number,
                **fields,
            },
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return [entry["custom_id"] for entry in entries]


def ids_of(path: Path) -> list[str]:
    return sorted(json.loads(line)["custom_id"] for line in path.read_text().splitlines())


def unwrapped(text: str) -> str:
    """What was printed, whatever the width of the terminal that it was folded for."""
    return " ".join(text.split())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """The model server on a fake backend that takes 10 ms a step."""
    settings = InferenceSettings(
        _env_file=None, model="fake", inference_context=1024, inference_max_sequences=4, inference_backend="fake"
    )
    embedder = Embedder("none", None, problem="no embedding model in this test")
    backend = FakeBackend(context_tokens=1024, end_bias=-20, step_delay_s=0.01)
    yield from run_server(settings, lambda: backend, embedder, tmp_path / "batches", BatchLimits(lines=100))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's Herald."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HERALD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_INFERENCE_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


@pytest.fixture
def herald(environment: None, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``herald batch run in.jsonl -o out.jsonl`` or what else it is given."""
    monkeypatch.setenv("HERALD_INFERENCE_URL", server.url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["batch", "run", *(arguments or ("in.jsonl", "-o", "out.jsonl"))])

    return run


def start_command() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app.cli", "batch", "run", "in.jsonl", "-o", "out.jsonl"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(server: RunningServer, completed: int) -> dict[str, Any]:
    """The newest batch once so many of its requests are done."""
    deadline_s = time.monotonic() + 60
    with server.client() as client:
        while time.monotonic() < deadline_s:
            found = client.get("/v1/batches").json()["data"]
            if found and found[0]["request_counts"]["completed"] >= completed:
                return dict(found[0])
            time.sleep(0.02)
    raise AssertionError(found)


def stored_files(server: RunningServer) -> list[Any]:
    with server.client() as client:
        return list(client.get("/v1/files").json()["data"])


def test_a_server_that_does_not_run_is_said_in_one_sentence(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that starts it; nothing is left behind."""
    write_input(Path("in.jsonl"), 1)
    monkeypatch.setenv("HERALD_INFERENCE_URL", "http://127.0.0.1:9")
    result = herald()
    assert result.exit_code == 1
    assert "The model server is not running at http://127.0.0.1:9." in unwrapped(result.stderr)
    assert "./scripts/up" in unwrapped(result.stderr)
    assert not Path("out.jsonl").exists()


def test_wrong_files_are_said(herald: Run, server: RunningServer) -> None:
    """No input, an input that is its own output, an output of something else, a line that is no request."""
    assert "nothing.jsonl: No such file" in unwrapped(herald("nothing.jsonl", "-o", "out.jsonl").stderr)
    ids = write_input(Path("in.jsonl"), 3)
    assert "overwrite the input" in unwrapped(herald("in.jsonl", "-o", "in.jsonl").stderr)
    assert ids_of(Path("in.jsonl")) == ids
    Path("notes.jsonl").write_text("my notes\n")
    assert "notes.jsonl, line 1 is not a result" in unwrapped(herald("in.jsonl", "-o", "notes.jsonl").stderr)
    assert Path("notes.jsonl").read_text() == "my notes\n"
    Path("other.jsonl").write_text('{"custom_id": "another"}\n')
    assert "'another' whose requests are not in in.jsonl" in unwrapped(herald("in.jsonl", "-o", "other.jsonl").stderr)
    with Path("in.jsonl").open("a") as file:
        file.write("{\n")
    result = herald()
    assert result.exit_code == 1
    assert "Line 4: it is not JSON" in unwrapped(result.stderr)
    assert stored_files(server) == []


def test_a_wrong_key_is_said(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own words."""
    write_input(Path("in.jsonl"), 1)
    monkeypatch.setenv("HERALD_INFERENCE_KEY", "wrong")
    result = herald()
    assert result.exit_code == 1
    assert "Incorrect API key provided" in unwrapped(result.stderr)


def test_every_request_is_answered_once(herald: Run, server: RunningServer) -> None:
    """Tokens are summed up, nothing stays on the server, and a second run has nothing to do."""
    ids = write_input(Path("in.jsonl"), 12)
    result = herald()
    assert result.exit_code == 0, result.output
    assert "12 answers" in result.stdout
    assert "240 written" in result.stdout
    assert ids_of(Path("out.jsonl")) == sorted(ids)
    assert stored_files(server) == []
    before = Path("out.jsonl").read_bytes()
    result = herald()
    assert (result.exit_code, Path("out.jsonl").read_bytes()) == (0, before)
    assert "All 12 requests have their answers" in unwrapped(result.stderr)


def test_an_existing_output_is_completed(herald: Run, server: RunningServer) -> None:
    """Its whole lines stay, its torn last line is answered anew, and a wrong line keeps its number."""
    ids = write_input(Path("in.jsonl"), 8)
    assert herald().exit_code == 0
    lines = Path("out.jsonl").read_text().splitlines(keepends=True)
    Path("out.jsonl").write_text("".join(lines[:3]) + lines[3][:40])
    with Path("in.jsonl").open("a") as file:
        file.write("[]\n")
    assert "Line 9: it is not a JSON object" in unwrapped(herald().stderr)
    write_input(Path("in.jsonl"), 8)
    result = herald()
    assert result.exit_code == 0
    assert "5 answers" in result.stdout
    assert Path("out.jsonl").read_text().startswith("".join(lines[:3]))
    assert ids_of(Path("out.jsonl")) == sorted(ids)


def test_failed_requests_are_kept_apart_and_tried_again(herald: Run) -> None:
    """They have a file of their own, which goes once they are answered."""
    ids = write_input(Path("in.jsonl"), 3)
    text = Path("in.jsonl").read_text()
    broken = text.splitlines(keepends=True)
    broken[1] = broken[1].replace('"max_tokens": 20', '"max_tokens": 9999')
    Path("in.jsonl").write_text("".join(broken))
    result = herald()
    assert result.exit_code == 1
    assert "1 requests failed" in unwrapped(result.stderr)
    assert "request-1: This model's maximum context length" in unwrapped(result.stderr)
    assert ids_of(Path("out.errors.jsonl")) == ["request-1"]
    Path("in.jsonl").write_text(text)
    assert herald().exit_code == 0
    assert ids_of(Path("out.jsonl")) == ids
    assert not Path("out.errors.jsonl").exists()


def test_ctrl_c_keeps_what_is_done(herald: Run, server: RunningServer) -> None:
    """The batch stops on the server too; the next run answers the rest."""
    ids = write_input(Path("in.jsonl"), 60)
    with start_command() as command:
        wait_for(server, 5)
        command.send_signal(signal.SIGINT)
        text, _ = command.communicate(timeout=30)
    assert command.returncode == 130, text
    assert "The same command goes on where it was." in text
    done = len(ids_of(Path("out.jsonl")))
    assert 5 <= done < 60
    assert wait_for(server, 0)["status"] == "cancelled"
    result = herald()
    assert result.exit_code == 0, result.output
    assert f"{60 - done} answers" in result.stdout
    assert ids_of(Path("out.jsonl")) == sorted(ids)


def test_a_killed_command_finds_its_batch_again(herald: Run, server: RunningServer) -> None:
    """The server went on meanwhile; no request is answered twice."""
    ids = write_input(Path("in.jsonl"), 40)
    with start_command() as command:
        started = wait_for(server, 5)
        command.kill()
    result = herald()
    assert result.exit_code == 0, result.output
    assert "an earlier run has started" in unwrapped(result.stderr)
    assert "40 answers" in result.stdout
    assert ids_of(Path("out.jsonl")) == sorted(ids)
    assert wait_for(server, 40)["id"] == started["id"]


def test_a_batch_that_was_stopped_before_it_was_fetched_is_gone_on_with(herald: Run, server: RunningServer) -> None:
    """Such as by a second Ctrl-C: its answers are fetched, and the rest is run."""
    ids = write_input(Path("in.jsonl"), 40)
    with start_command() as command:
        started = wait_for(server, 5)
        command.kill()
    with server.client() as client:
        client.post(f"/v1/batches/{started['id']}/cancel").raise_for_status()
        while client.get(f"/v1/batches/{started['id']}").json()["status"] != "cancelled":
            time.sleep(0.02)
    result = herald()
    assert result.exit_code == 0, result.output
    assert ids_of(Path("out.jsonl")) == sorted(ids)


def test_a_killed_server_is_waited_for(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts again on the same port, goes on with the batch, and the command ends well."""
    ids = write_input(Path("in.jsonl"), 400, max_tokens=60)
    for name, value in {
        "BACKEND": "fake",
        "MAX_SEQUENCES": "2",
        "PORT": "0",
    }.items():
        monkeypatch.setenv(f"HERALD_INFERENCE_{name}", value)
    monkeypatch.setenv("HERALD_MODEL", "fake")
    monkeypatch.setenv("HERALD_MODELS_DIR", str(tmp_path / "none"))
    first, url = _start_server(tmp_path / "first.log")
    second = None
    try:
        monkeypatch.setenv("HERALD_INFERENCE_PORT", url.rpartition(":")[2])
        with start_command() as command:
            with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as client:
                while not _completed(client, url) > 10:
                    assert command.poll() is None, command.communicate()
                    time.sleep(0.01)
            first.kill()
            first.wait(10)
            second, _ = _start_server(tmp_path / "second.log")
            text, _ = command.communicate(timeout=90)
        assert command.returncode == 0, text
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait(10)
    assert ids_of(Path("out.jsonl")) == sorted(ids)


def _completed(client: httpx.Client, url: str) -> int:
    found = client.get(f"{url}/v1/batches").json()["data"]
    return int(found[0]["request_counts"]["completed"]) if found else 0


def _start_server(log: Path) -> tuple[subprocess.Popen[bytes], str]:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference"], stdout=output, stderr=output)
    deadline_s = time.monotonic() + 60
    while "ready" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.05)
    return process, log.read_text().partition("listening on ")[2].partition(",")[0]
