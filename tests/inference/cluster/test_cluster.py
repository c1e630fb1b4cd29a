"""``herald batch run --cluster`` on a real Ray cluster of two nodes on loopback: refusals, results, killed workers."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import app

_ROOT = Path(__file__).resolve().parents[3]
RAY = Path(sys.executable).with_name("ray")
MODEL = "smollm2-135m-instruct"
BOTH_NODES_S = 120


def free_ports(count: int) -> list[int]:
    """Below the ephemeral ones, so that nobody takes them in between."""
    found: list[int] = []
    for port in range(21_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as probe:
            if len(found) < count and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            break
    return found


def write_input(path: Path, count: int, **fields: Any) -> list[str]:
    """A file of requests; returns their ids."""
    entries = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": MODEL,
                "messages": [{"role": "user", "content": f"Write a word about the number {number}."}],
                "max_tokens": 12,
                "temperature": 0,
                **fields,
            },
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return [entry["custom_id"] for entry in entries]


def ids_of(path: Path) -> list[str]:
    return sorted(json.loads(line)["custom_id"] for line in path.read_text().splitlines())


def herald(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["batch", "run", "in.jsonl", "-o", "out.jsonl", *arguments])


@pytest.fixture(scope="module")
def nodes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the nodes share: the token without which Ray answers nobody."""
    folder = tmp_path_factory.mktemp("r")
    (folder / "token").write_text(secrets.token_hex(32))
    return folder


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, nodes_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's Herald but its models."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HERALD_") and name != "HERALD_MODELS_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(nodes_folder / "token"))


@pytest.fixture(scope="module")
def cluster(nodes_folder: Path) -> Iterator[str]:
    """The address of a cluster of two nodes with one processor each."""
    port, client_port = free_ports(2)
    environment = os.environ | {
        "PYTHONPATH": str(_ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(nodes_folder / "token"),
        "HERALD_HOME": str(nodes_folder / "home"),
        "HERALD_INFERENCE_MAX_SEQUENCES": "4",
        # A process of Ray's for each client imports for longer than its usual 30 s where the machine is busy.
        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "240",
        # That process is forked from one whose gRPC threads run: its handlers for forks lock up now and then.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
    common = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000"]
    common += ["--disable-usage-stats", "--block"]
    head = [f"--port={port}", f"--ray-client-server-port={client_port}", "--head", "--include-dashboard=false"]
    head += [f"--temp-dir={nodes_folder}"]
    nodes: list[subprocess.Popen[bytes]] = []
    with (nodes_folder / "nodes.log").open("wb") as log:

        def start(*arguments: str) -> None:
            command = [RAY, "start", *arguments, *common]
            nodes.append(
                subprocess.Popen(command, env=environment, cwd=nodes_folder, stdout=log, stderr=log, process_group=0)
            )

        try:
            start(*head)
            wait_for_port(port)
            start(f"--address=127.0.0.1:{port}")
            wait_for_nodes(port, environment)
            yield f"ray://127.0.0.1:{client_port}"
        finally:
            for node in reversed(nodes):
                node.terminate()
            for node in reversed(nodes):
                try:
                    node.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(node.pid, signal.SIGKILL)
                    node.wait()


def wait_for_port(port: int) -> None:
    until = time.monotonic() + BOTH_NODES_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the head did not start")


def wait_for_nodes(port: int, environment: dict[str, str]) -> None:
    """Until both nodes have joined."""
    look = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level=50); "
    look += "print(sum(node['Alive'] for node in ray.nodes()))"
    until = time.monotonic() + BOTH_NODES_S
    while time.monotonic() < until:
        command = [sys.executable, "-c", look, f"127.0.0.1:{port}"]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        if found.stdout.strip() == "2":
            return
        time.sleep(1)
    raise AssertionError(found.stderr)


def workers_of(nodes_folder: Path) -> list[int]:
    """The processes of this cluster's workers that answer lines, as Ray names them."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            title, environment = (folder / "cmdline").read_text(), (folder / "environ").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if title.startswith("ray::") and "(Worker)" in title and str(nodes_folder) in environment:
            found.append(int(folder.name))
    return found


def test_a_file_that_is_not_of_requests_is_refused_before_anything_is_connected() -> None:
    """With the line and what it should be."""
    Path("in.jsonl").write_text('{"custom_id": "a"}\n')
    result = herald("--cluster", "ray://127.0.0.1:9")
    assert result.exit_code == 1
    assert "The first line holds no request" in " ".join(result.output.split())
    assert not Path("out.jsonl").exists()


def test_a_cluster_that_is_not_there_is_said_with_the_forms_of_an_address() -> None:
    """Nothing is left behind."""
    write_input(Path("in.jsonl"), 1)
    result = herald("--cluster", "127.0.0.1:9")
    text = " ".join(result.output.split())
    assert result.exit_code == 1
    assert "There is no connection to the cluster at 127.0.0.1:9" in text
    assert "ray://HOST:10001" in text
    assert not Path("out.jsonl").exists()


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_more_workers_than_fit_are_refused_with_what_there_is(cluster: str) -> None:
    """Two nodes with one processor each have room for two."""
    write_input(Path("in.jsonl"), 1)
    result = herald("--cluster", cluster, "--workers", "3")
    text = " ".join(result.output.split())
    assert result.exit_code == 1
    assert "3 workers with 1 CPUs and 0 GPUs each do not fit" in text
    assert "2 would" in text


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_model_that_no_node_has_is_the_error_and_not_ten_stacks_of_it(cluster: str) -> None:
    """The worker's own words reach the person."""
    write_input(Path("in.jsonl"), 2, model="no-such-model")
    result = herald("--cluster", cluster)
    assert result.exit_code == 1
    assert "No model is called 'no-such-model'" in " ".join(result.output.split())


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_every_line_has_one_answer_and_a_refused_one_is_in_the_errors(cluster: str) -> None:
    """A second run asks for the refused one alone."""
    wanted = write_input(Path("in.jsonl"), 9)
    lines = Path("in.jsonl").read_text().splitlines()
    refused = json.loads(lines[4])
    refused["body"]["max_tokens"] = -1
    Path("in.jsonl").write_text("\n".join([*lines[:4], json.dumps(refused), *lines[5:]]) + "\n")
    result = herald("--cluster", cluster)
    assert result.exit_code == 1, result.output
    assert ids_of(Path("out.jsonl")) == sorted(set(wanted) - {"request-4"})
    assert ids_of(Path("out.errors.jsonl")) == ["request-4"]
    assert all(json.loads(line)["response"]["body"]["usage"] for line in Path("out.jsonl").read_text().splitlines())
    Path("in.jsonl").write_text("\n".join(lines) + "\n")
    result = herald("--cluster", cluster)
    assert result.exit_code == 0, result.output
    assert "1 answers" in result.output
    assert ids_of(Path("out.jsonl")) == sorted(wanted)
    assert not Path("out.errors.jsonl").exists()
    assert not list(Path().glob(".out.jsonl.shards"))


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_loses_and_doubles_nothing(cluster: str, nodes_folder: Path, tmp_path: Path) -> None:
    """Its blocks are answered by another; the file has each id once."""
    wanted = write_input(tmp_path / "in.jsonl", 60, max_tokens=40)
    command = [sys.executable, "-m", "app.cli", "batch", "run", "in.jsonl", "-o", "out.jsonl", "--cluster", cluster]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    shards = tmp_path / ".out.jsonl.shards"
    wait_until(lambda: list(shards.glob("*.jsonl")) or process.poll() is not None)
    victims = workers_of(nodes_folder)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert ids_of(tmp_path / "out.jsonl") == sorted(wanted)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_client_that_is_killed_goes_on_where_it_was(cluster: str, tmp_path: Path) -> None:
    """What its shards hold is not asked for again."""
    wanted = write_input(tmp_path / "in.jsonl", 60, max_tokens=40)
    command = [sys.executable, "-m", "app.cli", "batch", "run", "in.jsonl", "-o", "out.jsonl", "--cluster", cluster]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    shards = tmp_path / ".out.jsonl.shards"
    wait_until(lambda: list(shards.glob("*.jsonl")) or process.poll() is not None)
    process.kill()
    process.communicate()
    kept = len([line for path in shards.glob("*.jsonl") for line in path.read_text().splitlines()])
    assert 0 < kept < len(wanted)
    result = herald("--cluster", cluster)
    assert result.exit_code == 0, result.output
    assert f"{len(wanted):,} in out.jsonl" in " ".join(result.output.split())
    assert ids_of(tmp_path / "out.jsonl") == sorted(wanted)


def wait_until(is_so: Callable[[], Any], limit_s: float = 300) -> None:
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)
