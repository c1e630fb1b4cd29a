"""The contract of both storages, the folder and a bucket on a real S3 server."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from app.db.engine import StorageFull
from app.memory.storage import OriginalMissing, Originals, OriginalStore, try_out
from tests.app.s3_server import PREFIX, S3Server

CONTENT = b"The shop opens at nine."
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"Coffee costs two euro."
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder's place."""
    return tmp_path / "documents"


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, folder: Path) -> OriginalStore:
    """Each of the two, empty."""
    if request.param == "folder":
        return Originals(folder)
    server: S3Server = request.getfixturevalue("s3")
    return server.storage()


def write(storage: OriginalStore, name: str, content: bytes, request: pytest.FixtureRequest) -> None:
    """Put bytes under a name, behind the storage's back."""
    if isinstance(storage, Originals):
        storage.path_of(name).write_bytes(content)
    else:
        request.getfixturevalue("s3").write(f"{PREFIX}{name}", content)


def test_what_is_not_there_is_missing(storage: OriginalStore) -> None:
    """Reading it says so with the file's name; removing it is no error, and there are no leftovers."""
    with pytest.raises(OriginalMissing, match=r"menu\.pdf"):
        storage.get(SHA256, "menu.pdf")
    storage.remove(SHA256)
    assert list(storage.leftovers()) == []


def test_changed_content_is_not_given_out(storage: OriginalStore, request: pytest.FixtureRequest) -> None:
    """Its hash is compared with its name."""
    storage.put(CONTENT, SHA256)
    write(storage, SHA256, b"The shop opens at ten.", request)
    with pytest.raises(OriginalMissing, match="not what was uploaded"):
        storage.get(SHA256, "menu.pdf")


def test_half_of_a_content_is_stored_anew(storage: OriginalStore, request: pytest.FixtureRequest) -> None:
    """Whatever left it there: the size does not fit."""
    storage.put(OTHER, OTHER_SHA256)
    write(storage, SHA256, CONTENT[:5], request)
    storage.put(CONTENT, SHA256)
    assert storage.get(SHA256, "menu.pdf") == CONTENT


def test_content_comes_back_until_it_is_removed(storage: OriginalStore) -> None:
    """Storing it twice is storing it once; an empty file is a file."""
    storage.put(CONTENT, SHA256)
    storage.put(CONTENT, SHA256)
    assert storage.get(SHA256, "menu.pdf") == CONTENT
    empty = hashlib.sha256(b"").hexdigest()
    storage.put(b"", empty)
    assert storage.get(empty, "empty.txt") == b""
    storage.remove(SHA256)
    with pytest.raises(OriginalMissing):
        storage.get(SHA256, "menu.pdf")
    assert storage.get(empty, "empty.txt") == b""


def test_leftovers_are_what_has_lain_there_for_an_hour(
    storage: OriginalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is new may belong to a row that is about to be written, also what was stored anew."""
    storage.put(CONTENT, SHA256)
    storage.put(OTHER, OTHER_SHA256)
    assert list(storage.leftovers()) == []
    if isinstance(storage, Originals):
        for name in (SHA256, OTHER_SHA256):
            os.utime(folder / name, (time.time() - 3_700, time.time() - 3_700))
        storage.put(OTHER, OTHER_SHA256)
        assert list(storage.leftovers()) == [SHA256]
        return
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=3_700)):
        assert sorted(storage.leftovers()) == sorted([SHA256, OTHER_SHA256])
        storage.put(OTHER, OTHER_SHA256)
        assert list(storage.leftovers()) == [SHA256]


def test_trying_a_storage_out_leaves_nothing(storage: OriginalStore) -> None:
    """It is written, read, listed and deleted."""
    try_out(storage)
    if isinstance(storage, Originals):
        assert list(storage.path_of("x").parent.iterdir()) == []


def test_a_folder_that_cannot_be_written_says_so(folder: Path) -> None:
    """With the system's reason, and not with what the clean-up met."""
    folder.write_text("a file stands in the way")
    with pytest.raises(StorageFull, match="could not be saved"):
        Originals(folder).put(CONTENT, SHA256)
