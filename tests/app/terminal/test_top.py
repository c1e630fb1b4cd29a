"""``herald top`` against the real model server process: what it says, how it ends, and that it fits the terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from app.cli import app
from app.client import ApiError
from app.terminal.top import picture
from app.terminal.top_figures import History, InferenceProbe, Reading, quantile, read_samples

ROOT = Path(__file__).resolve().parents[3]
KEY = "k"
BODY = {"model": "fake", "messages": [{"role": "user", "content": "a secret word"}], "max_tokens": 30, "seed": 1}
BUCKETS = {0.1: 10.0, 0.2: 30.0, float("inf"): 40.0}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real process with the fake backend."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    environment |= {
        "HERALD_HOME": str(home),
        "HERALD_MODEL": "fake",
        "HERALD_INFERENCE_BACKEND": "fake",
        "HERALD_INFERENCE_KEY": KEY,
        "HERALD_INFERENCE_PORT": "0",
        "HERALD_MODELS_DIR": str(home / "models"),
        "PYTHONPATH": str(ROOT),
    }
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "inference"], env=environment, stdout=output, stderr=output, cwd=home
        )
    try:
        yield wait_served(process, log)
    finally:
        process.terminate()
        process.wait(20)


def wait_served(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        assert process.poll() is None, log.read_text()
        found = re.search(r"listening on (http://\S+),", log.read_text())
        if found:
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=found.group(1), headers=headers, trust_env=False) as client:
                # A request that is refused while it loads would be a call of its own. There is no embedding model here.
                if client.get("/readyz").json()["status"] != "loading":
                    assert client.post("/v1/chat/completions", json=BODY).status_code == 200
                    return found.group(1)
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's Herald."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HERALD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_INFERENCE_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def once(environment: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``herald top --once`` against an origin."""

    def run(origin: str, key: str = KEY) -> Result:
        monkeypatch.setenv("HERALD_INFERENCE_URL", origin)
        monkeypatch.setenv("HERALD_INFERENCE_KEY", key)
        return CliRunner().invoke(app, ["top", "--once"])

    return run


def test_a_server_that_is_not_there_is_one_clear_error(once: Callable[..., Result]) -> None:
    """The address and the next step, exit status 1."""
    result = once("http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "not running at http://127.0.0.1:9" in " ".join(result.output.split())
    assert "./scripts/up" in result.output


def test_a_wrong_key_says_which_key_is_meant(once: Callable[..., Result], origin: str) -> None:
    """Not that the server were away."""
    result = once(origin, "wrong")
    assert result.exit_code == 1
    assert "HERALD_INFERENCE_KEY" in result.output


@pytest.mark.parametrize("page", ["<html>hello</html>", '{"status": "ok"}'])
def test_something_else_at_the_address_is_told_apart(page: str) -> None:
    """A page that is no metrics page is no figure."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=page))
    with pytest.raises(ApiError, match="is no model server of Herald's"):
        InferenceProbe("http://x", "k", transport).read(5)


def test_once_prints_one_picture_of_the_real_process(once: Callable[..., Result], origin: str) -> None:
    """State, figures and the newest call, with no word of what it was about, in 80 columns."""
    result = once(origin)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert "fake" in lines[0]
    assert "0 running, 0 waiting" in result.output
    for label in ("written", "read", "first token", "next token", "cache cells", "cache hits", "batch", "memory"):
        assert label in result.output
    (call,) = [line for line in lines if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert re.search(r"chat +\d+ +0 +\d+ .*(length|stop)", call)
    assert re.search(r"first token +\d+ ms p50", result.output)
    assert "secret" not in result.output
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("ending", ["q", "ctrl-c"])
def test_the_live_picture_moves_and_ends_when_told(ending: str, environment: None, origin: str) -> None:
    """On a terminal: it draws, ends with exit status 0, and leaves the terminal as it was."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(follower)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "top"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "HERALD_INFERENCE_URL": origin, "TERM": "xterm"},
    )
    try:
        screen = read_until(leader, lambda seen: seen.count("running,") >= 2)
        if ending == "q":
            os.write(leader, b"q")
        else:
            process.send_signal(signal.SIGINT)
        screen += read_until(leader, lambda seen: "\x1b[?1049l" in seen)
        assert process.wait(20) == 0, screen
        assert termios.tcgetattr(follower) == before
    finally:
        process.kill()
        process.wait()
        os.close(leader)
        os.close(follower)
    assert "\x1b[?1049h" in screen  # the alternate screen was entered, and above it was left


def read_until(descriptor: int, is_enough: Callable[[str], bool]) -> str:
    seen, deadline_s = "", time.monotonic() + 30
    while not is_enough(seen):
        left_s = deadline_s - time.monotonic()
        assert left_s > 0, seen
        if select.select([descriptor], [], [], left_s)[0]:
            seen += os.read(descriptor, 65536).decode("utf-8", "replace")
    return seen


def reading(at_s: float, calls: list[dict[str, Any]] | None = None, **values: float) -> Reading:
    samples = {f"herald_inference_{name}": value for name, value in values.items()}
    return Reading(at_s, {"status": "ready", "model": "m"}, samples, calls or [])


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ({}, 0.5, None),
        ({0.1: 0.0, float("inf"): 0.0}, 0.5, None),
        (BUCKETS, 0.25, 0.1),
        (BUCKETS, 0.5, 0.15),
        (BUCKETS, 0.95, 0.2),
    ],
)
def test_quantiles_are_those_of_prometheus(buckets: dict[float, float], share: float, expected: float | None) -> None:
    """Even within a bucket; beyond the last bound nothing is known but that bound."""
    found = quantile(buckets, share)
    assert found == (None if expected is None else pytest.approx(expected))


def test_rates_look_at_now_and_at_the_minute() -> None:
    """What is older than a minute does not count, and one reading has no rate."""
    history = History()
    history.add(reading(0, generated_tokens_total=0))
    assert history.rate("generated_tokens_total") is None
    for second in range(1, 101):
        history.add(reading(second, generated_tokens_total=second * 10 + max(0, second - 98) * 90))
    assert history.rate("generated_tokens_total", 2.5) == pytest.approx(100)
    assert history.rate("generated_tokens_total") == pytest.approx((1000 + 180 - 400) / 60)
    assert history.rate("not_there") is None


def test_a_process_that_started_again_begins_at_zero() -> None:
    """Counters that fell back are not negative rates."""
    history = History()
    for at_s, started_at_s, count in ((0, 5.0, 900.0), (1, 5.0, 990.0), (2, 7.0, 3.0)):
        values = {"process_start_time_seconds": started_at_s, "herald_inference_generated_tokens_total": count}
        history.add(Reading(at_s, {}, values, []))
    assert history.rate("generated_tokens_total") is None


def test_an_engine_without_these_figures_is_shown_without_them() -> None:
    """A server elsewhere may not know its cache; dashes stand there, and a failure says why."""
    history = History()
    history.add(Reading(0.0, {"status": "failed", "model": "m", "detail": "no \x1b[31mmemory"}, {}, []))
    console = Console(width=80, record=True, file=StringIO(), color_system=None)
    console.print(picture(history, 80, 5))
    text = console.export_text()
    assert "– running, – waiting" in text
    assert "no ⟦U+001B⟧[31mmemory" in text
    assert "No calls yet." in text


@pytest.mark.parametrize("width", [80, 130])
def test_figures_are_never_cut(width: int) -> None:
    """Large numbers fit 80 columns; only the code of an error gives way."""
    call = {
        "timestamp": "2026-11-21T11:20:08.625Z",
        "gen_ai.operation.name": "text_completion",
        "gen_ai.response.id": "chatcmpl-0123456789abcdef01234567",
        "gen_ai.response.finish_reasons": [],
        "gen_ai.usage.input_tokens": 12345,
        "gen_ai.usage.cache_read.input_tokens": 12000,
        "gen_ai.usage.output_tokens": 10240,
        "gen_ai.server.time_to_first_token": 119.9,
        "gen_ai.server.request.duration": 1240.5,
        "error.type": "context_length_exceeded",
        "herald.outcome": "failed",
        "herald.background": False,
        "herald.constraint": "json_schema",
        "herald.queue_s": 119.0,
        "herald.tokens_per_second": 1234.5,
    }
    values = dict.fromkeys(("generated_tokens_total", "prompt_tokens_total"), 0.0)
    values |= {"cache_cells": 131072, "cache_cells_used": 131072, "running": 128, "waiting": 64}
    history = History()
    history.add(reading(0, **values))
    history.add(reading(1, [call], **{**values, "generated_tokens_total": 123456, "prompt_tokens_total": 123456}))
    console = Console(width=width, record=True, file=StringIO(), color_system=None)
    console.print(picture(history, width, 5))
    text = console.export_text()
    for figure in ("12,345", "12,000", "10,240", "119.9 s", "1240.5 s", "1,234.5", "131,072 of 131,072", "123,456"):
        assert figure in text
    assert max(map(len, text.splitlines())) <= width


def test_samples_are_read_by_their_whole_name() -> None:
    """Comments are passed over, and what is no sample is an error."""
    assert read_samples('# HELP a b\na_bucket{le="1"} 2\nb 1.5\n') == {'a_bucket{le="1"}': 2.0, "b": 1.5}
    with pytest.raises(ValueError, match="not a metric"):
        read_samples("<html>")
