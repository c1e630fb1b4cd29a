"""A process number counts within one machine or one container of it."""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path

import pytest

from app.processes import process_space


def _tell(answers: object) -> None:
    answers.put(process_space())  # type: ignore[attr-defined]


def test_processes_that_see_each_other_agree() -> None:
    """A child of this one, as another worker on the same machine would be."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_tell, args=(answers,))
    process.start()
    assert answers.get(timeout=60) == process_space()
    process.join()


def test_containers_of_one_name_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker gives containers that share a network one name, and each its own numbers."""
    here = process_space()
    assert here.startswith(socket.gethostname())
    monkeypatch.setattr(Path, "readlink", lambda _self: Path("pid:[4026539999]"))
    assert process_space() == f"{socket.gethostname()}.4026539999"
    assert process_space() != here


def test_where_nothing_is_told_the_machine_s_name_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc."""

    def refuse(_self: Path) -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "readlink", refuse)
    assert process_space() == socket.gethostname()
