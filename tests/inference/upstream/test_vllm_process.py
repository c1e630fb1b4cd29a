"""vLLM as a child process and as servers elsewhere, with a small server in vLLM's place that speaks its protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.serve import make_engine
from inference.upstream import keeper
from inference.upstream.engine import UpstreamEngine
from inference.upstream.vllm_process import VllmProcess
from tests.inference.upstream.serving import Served, serve_engine, until

# What the real one does with these paths, as far as it matters here: it serves a model to whoever has the key, spells
# the prompt's last letters back, and holds a stream open for a seed of 13. Its child must not outlive it.
STAND_IN = """
import asyncio, json, os, subprocess, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

options = dict(zip(sys.argv[1::1], sys.argv[2::1]))
name, key = options["--served-model-name"], "Bearer " + os.environ.get("VLLM_API_KEY", "")
if "--fail" in sys.argv:
    sys.exit("RuntimeError: Error: the stand-in was told to fail")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
asked = []

async def models(request):
    if request.headers.get("authorization") != key:
        return JSONResponse({"error": "no"}, 401)
    return JSONResponse({"data": [{"id": name, "max_model_len": int(options["--max-model-len"])}],
                         "child": child.pid, "asked": asked, "environment": sorted(os.environ)})

async def complete(request):
    body = await request.json()
    asked.append(body)
    def line(**fields):
        return "data: " + json.dumps(fields) + "\\n\\n"
    async def stream():
        yield line(choices=[{"index": 0, "text": bytes(t for t in body["prompt"] if t < 256).decode()[-3:]}])
        if body.get("seed") == 13:
            await asyncio.Event().wait()
        yield line(choices=[{"index": 0, "text": "", "finish_reason": "stop"}])
        yield line(choices=[], usage={"prompt_tokens": len(body["prompt"]), "completion_tokens": 1})
        yield "data: [DONE]\\n\\n"
    return StreamingResponse(stream(), media_type="text/event-stream")

app = Starlette(routes=[Route("/v1/models", models), Route("/v1/completions", complete, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(options["--port"]), log_level="error")
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with the name of vLLM's server, found before anything else."""
    package = tmp_path / "stand_in" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand_in"))
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    return package / "api_server.py"


@pytest.fixture
def settings(model_folder: Path, stand_in: Path) -> Callable[..., InferenceSettings]:
    def make(**options: Any) -> InferenceSettings:
        fields = {"vllm_model": model_folder, "vllm_python": Path(sys.executable), **options}
        return InferenceSettings(_env_file=None, model="small", inference_backend="vllm", **fields)

    return make


@pytest.fixture
def served(settings: Callable[..., InferenceSettings]) -> Iterator[Served]:
    with serve_engine(make_engine(settings())) as running:
        yield running


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": text}], "max_tokens": 4, **fields}


def process_of(served: Served) -> VllmProcess:
    engine = served.engine
    assert isinstance(engine, UpstreamEngine)
    assert isinstance(engine._fleet, VllmProcess)
    return engine._fleet


def facts(process: VllmProcess) -> dict[str, Any]:
    server = process.servers[0]
    return httpx.get(f"{server.url}/v1/models", headers=dict(server.headers), trust_env=False).json()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_missing_stops_the_start(settings: Callable[..., InferenceSettings], model_folder: Path) -> None:
    """vLLM itself, and weights that it can load; each message names the setting and the command."""
    with pytest.raises(StartupError, match=r"scripts/vllm install.*HERALD_VLLM_PYTHON"):
        make_engine(settings(vllm_python=Path("/nowhere/python")))
    with pytest.raises(StartupError, match="HERALD_VLLM_URLS is 'nonsense'"):
        make_engine(settings(vllm_urls="nonsense"))
    (model_folder / "model.safetensors").unlink()
    with pytest.raises(StartupError, match=r"no safetensors.*HERALD_VLLM_MODEL.*install --model small"):
        make_engine(settings())


def test_vllm_that_ends_at_once_stops_the_start_with_its_last_words(settings: Callable[..., InferenceSettings]) -> None:
    """The process says why, in one line."""
    engine = make_engine(settings(vllm_args="--fail"))
    with serve_engine(engine, waits=False):
        until(lambda: engine.status().status == "failed")
        assert "told to fail" in engine.status().detail


def test_prompts_arrive_as_tokens_and_nothing_else_of_the_caller_s(served: Served) -> None:
    """No text, so no control tokens of callers, and no field that is not ours."""
    with served.client() as client:
        answer = client.post(
            "/v1/chat/completions", json=body("abc<|im_end|>", use_beam_search=True, prompt_logprobs=1)
        )
        refused = client.post("/v1/chat/completions", json=body("x" * 99))
    assert answer.json()["choices"][0]["message"]["content"] == "nt\n"
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    found = facts(process_of(served))
    (asked,) = found["asked"]
    assert asked["prompt"].count(257) == 1
    assert set(asked) == {
        *("model", "prompt", "max_tokens", "stop", "stream", "stream_options", "priority", "temperature", "top_p"),
        *("top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    }
    assert not [name for name in found["environment"] if name.startswith("HERALD_")]


def test_it_is_started_again_when_it_dies(served: Served) -> None:
    """Who was being answered is told to send again; until it is back requests get 503; then all is as before."""
    process = process_of(served)
    first, pid = facts(process)["child"], process.pid
    assert pid is not None
    with served.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=body("abc", stream=True, seed=13)) as response:
            lines = (line for line in response.iter_lines() if line.startswith("data: "))
            next(lines)
            os.killpg(pid, signal.SIGKILL)
            last = json.loads(list(lines)[-1][6:])
        assert last["error"]["code"] == "engine_failed"
        assert "Send the request again" in last["error"]["message"]
        until(lambda: client.get("/readyz").status_code == 503)
        meanwhile = client.post("/v1/chat/completions", json=body("abc"))
        assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (503, "not_ready")
        assert meanwhile.headers["retry-after"]
        until(lambda: process.starts == 2 and served.engine.status().status == "ready")  # not the first one's still
        assert client.post("/v1/chat/completions", json=body("abc")).status_code == 200
    assert process.starts == 2
    until(lambda: not is_alive(first))


def test_what_a_killed_keeper_leaves_is_ended(served: Served) -> None:
    """The server that it kept does not run on beside the next one."""
    process = process_of(served)
    child, pid = facts(process)["child"], process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(child))
    until(lambda: process.starts == 2)


def test_a_client_that_leaves_hangs_up_on_it(served: Served) -> None:
    """Its place is free again."""
    with served.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=body("abc", stream=True, seed=13)) as response:
            lines = response.iter_lines()
            next(lines)
            assert process_of(served).servers[0].in_flight == 1
        until(lambda: process_of(served).servers[0].in_flight == 0)


def test_it_ends_with_its_server(settings: Callable[..., InferenceSettings]) -> None:
    """With all that it started."""
    with serve_engine(make_engine(settings())) as served:
        process = process_of(served)
        pid, child = process.pid, facts(process)["child"]
        assert pid is not None
        assert is_alive(pid)
        assert is_alive(child)
    until(lambda: not is_alive(pid) and not is_alive(child))


def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    """kill -9 leaves nothing running, not even a child of the child that ignores SIGTERM."""
    pids = tmp_path / "pids"
    stubborn = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    command = (
        "import os,subprocess,sys,time; "
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}]); time.sleep(0.2); "
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}'); "
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r}); time.sleep(600)"
    )
    starter = (
        "import subprocess,sys,time; "
        f"subprocess.Popen([sys.executable, {keeper.__file__!r}, sys.executable, '-c', {command!r}], "
        "stdin=subprocess.PIPE, start_new_session=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter])
    try:
        until(pids.exists)
        started = [int(pid) for pid in pids.read_text().split()]
        assert all(is_alive(pid) for pid in started)
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(is_alive(pid) for pid in started))


def test_requests_go_to_the_least_busy_of_several_servers(
    settings: Callable[..., InferenceSettings], stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that dies is passed over, with its key refused it is none, and one that returns is used again."""
    from inference.upstream.vllm_process import _free_port

    monkeypatch.setattr("inference.upstream.servers.PROBE_S", 0.1)
    ports, running = [_free_port(), _free_port()], []

    def run(port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(stand_in), "--port", str(port), "--served-model-name", "other"]
        return subprocess.Popen([*command, "--max-model-len", "64"], env={**os.environ, "VLLM_API_KEY": "fleet"})

    urls = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    try:
        running = [run(port) for port in ports]
        engine = make_engine(settings(vllm_urls=urls, vllm_key="fleet"))
        with serve_engine(engine) as served, served.client() as client:
            servers = engine._fleet.servers
            until(lambda: all(server.is_up for server in servers))
            fields = body("abc", stream=True, seed=13)
            with client.stream("POST", "/v1/chat/completions", json=fields) as one:
                first = one.iter_lines()
                next(first)
                with client.stream("POST", "/v1/chat/completions", json=fields) as two:
                    second = two.iter_lines()
                    next(second)
                    assert [server.in_flight for server in servers] == [1, 1]
            os.kill(running[0].pid, signal.SIGKILL)
            running[0].wait()
            for _ in range(3):
                assert client.post("/v1/chat/completions", json=body("abc")).status_code == 200
            until(lambda: not servers[0].is_up)
            assert served.engine.status().status == "ready"
            running[0] = run(ports[0])
            until(lambda: servers[0].is_up)
        wrong = make_engine(settings(vllm_urls=urls, vllm_key="wrong"))
        with serve_engine(wrong, waits=False) as served, served.client() as client:
            until(lambda: all("401" in server.problem for server in wrong._fleet.servers))
            assert client.get("/readyz").status_code == 503
    finally:
        for process in running:
            process.terminate()
            process.wait(10)
