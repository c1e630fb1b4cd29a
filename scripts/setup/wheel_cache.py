"""Keeps built wheels under a key of everything that went into them, each beside its SHA-256."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path


class WheelCache:
    """A folder ``<key>/<wheel>`` with ``<wheel>.sha256``. An entry appears complete or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Path | None:
        """The wheel stored under ``key``; None when there is none, or its digest differs (it is then removed)."""
        entry = self._folder / key
        for wheel in sorted(entry.glob("*.whl")):
            try:
                wanted = wheel.with_name(wheel.name + ".sha256").read_text("utf-8").split()[0]
            except (OSError, IndexError):
                wanted = ""
            if wanted == sha256_of(wheel):
                return wheel
        shutil.rmtree(entry, ignore_errors=True)
        return None

    def put(self, key: str, wheel: Path) -> Path:
        """Store a copy of ``wheel`` and return where it lies. An entry that came in the meantime is left as it is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=self._folder))
        try:
            kept = partial / wheel.name
            shutil.copyfile(wheel, kept)
            kept.with_name(kept.name + ".sha256").write_text(f"{sha256_of(kept)}  {kept.name}\n", "utf-8")
            try:
                partial.rename(self._folder / key)
            except OSError:  # another set-up stored it first
                if self.get(key) is None:
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        found = self.get(key)
        if found is None:
            raise OSError(f"The wheel just stored under {self._folder / key} cannot be read back.")
        return found


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
