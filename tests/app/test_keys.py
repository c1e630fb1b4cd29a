"""Keys are made once, privately, and complete."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from app.keys import KeyUnreadable, read_or_create_key


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    """An empty key would let everybody in."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "api.key").write_text("\n")
    with pytest.raises(KeyUnreadable, match="empty"):
        read_or_create_key(tmp_path, "api.key")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(KeyUnreadable):
        read_or_create_key(tmp_path, "api.key")


def test_all_who_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    """And no partial file is left."""
    keys: list[str] = []
    barrier = threading.Barrier(12)

    def ask() -> None:
        barrier.wait()
        keys.append(read_or_create_key(tmp_path, "api.key"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 12
    assert len(set(keys)) == 1
    assert [p.name for p in (tmp_path / "keys").iterdir()] == ["api.key"]
    assert stat.S_IMODE((tmp_path / "keys" / "api.key").stat().st_mode) == 0o600
