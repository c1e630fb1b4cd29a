"""Results survive a crash at any byte, and a full disk leaves no half line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from inference.batch.journal import Journal, write_atomically


def entry(number: int) -> dict[str, Any]:
    return {"custom_id": f"request-{number}", "response": {"text": "Grüße 🙂\n\u2028\ud800"}}


def test_an_id_is_written_once(tmp_path: Path) -> None:
    """A second result for the same request is refused, also after the file was opened again."""
    with Journal(tmp_path / "out.jsonl") as journal:
        journal.append(entry(1))
        with pytest.raises(ValueError, match="request-1"):
            journal.append(entry(1))
    with Journal(tmp_path / "out.jsonl") as journal, pytest.raises(ValueError, match="request-1"):
        journal.append(entry(1))


def test_a_line_that_the_disk_refused_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is as before, and the line can be written once there is room."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(tmp_path / "out.jsonl") as journal:
        journal.append(entry(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                journal.append(entry(2))
        assert [line["custom_id"] for line in journal.entries()] == ["request-1"]
        journal.append(entry(2))
        assert list(journal.entries()) == [entry(1), entry(2)]


def test_a_file_cut_at_any_byte_is_repaired(tmp_path: Path) -> None:
    """Whole lines stay, the torn one is written anew, and nothing is there twice."""
    path = tmp_path / "out.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.append(entry(number))
    data = path.read_bytes()
    for size_bytes in range(len(data)):
        path.write_bytes(data[:size_bytes])
        with Journal(path) as journal:
            assert len(journal.ids) == data[:size_bytes].count(b"\n")
            for number in range(3):
                if f"request-{number}" not in journal.ids:
                    journal.append(entry(number))
        assert path.read_bytes() == data


@pytest.mark.parametrize("tail", [b"\x00" * 100, b"\x00\n", b"[]\n", b'{"custom_id": 1}\n', b"\xff\n"])
def test_what_is_no_result_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    """Such as the zeros that a power cut leaves."""
    path = tmp_path / "out.jsonl"
    whole = json.dumps(entry(1)).encode() + b"\n"
    path.write_bytes(whole + tail)
    with Journal(path) as journal:
        assert journal.ids == {"request-1"}
    assert path.read_bytes() == whole


def test_a_record_is_replaced_or_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash while writing leaves the old content."""
    path = tmp_path / "record.json"
    write_atomically(path, b"old")

    def crash(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
