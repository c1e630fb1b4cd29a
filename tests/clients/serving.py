"""A real inference process with the smallest real model, as a client meets it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field

from models.home import models_dir

MODEL = "smollm2-135m-instruct"
KEY = "k"
START_TIMEOUT_S = 90


@dataclass(frozen=True, slots=True)
class Server:
    """What a client is told."""

    base_url: str
    key: str = KEY
    model: str = MODEL


class City(BaseModel):
    """A city of the world."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=12)
    is_capital: bool


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """The process, ready to answer."""
    environment = {
        **os.environ,
        "HERALD_HOME": str(home),
        "HERALD_MODELS_DIR": str(models_dir()),
        "HERALD_MODEL": MODEL,
        "HERALD_INFERENCE_KEY": KEY,
        "HERALD_INFERENCE_PORT": "0",
        "HERALD_INFERENCE_CONTEXT": "2048",
        "HERALD_EMBEDDING_MODEL": "none",  # chat works without one, and loading it takes longer than all of these tests
    }
    log = home / "inference.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference"], env=environment, stderr=output, stdout=output)
    try:
        yield Server(f"{_ready_origin(process, log)}/v1")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM), log.read_text()


def _ready_origin(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        found = re.search(r"listening on (http://\S+),", log.read_text())
        # Without an embedding model chat is served all the same.
        if found is not None and httpx.get(f"{found[1]}/readyz", trust_env=False).json()["status"] != "loading":
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())
