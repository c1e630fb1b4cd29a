"""The bucket: what it says when it cannot, and a box whose documents lie there while it goes away and comes back."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from fastapi.testclient import TestClient

from app import clock
from app.main import create_app
from app.memory.ingestion import RETRY_S
from app.memory.storage import OriginalMissing, Originals, OriginalStore, StorageUnavailable
from app.services import Services, build_services, originals_of
from app.settings import Settings, SettingsInvalid, load_settings
from automation.redaction import KNOWN
from tests.app.conftest import BASE_URL, KEY
from tests.app.fakes import FakeEmbedder
from tests.app.s3_server import PREFIX, S3Server

CONTENT = b"The shop opens at nine."
TEA = b"Tea costs one euro."
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ASSETS = "/api/v1/projects/prj_default/assets"


def calls_of(storage: OriginalStore) -> list[Callable[[], object]]:
    """Everything that is done with an original."""
    return [
        lambda: storage.put(CONTENT, SHA256),
        lambda: storage.get(SHA256, "menu.pdf"),
        lambda: storage.remove(SHA256),
        lambda: list(storage.leftovers()),
    ]


@pytest.fixture
def bucket_box(s3: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A box that keeps its documents in the bucket."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    given = settings.model_dump(include={"home", "api_key"})
    box = build_services(
        Settings(**given), embedder=FakeEmbedder(), wake=lambda _id: None, wake_ingestion=lambda _id: None
    )
    yield box
    box.close()


@pytest.fixture
def client(bucket_box: Services) -> TestClient:
    """Its API, with the key."""
    app = create_app(services=bucket_box, with_ui=False)
    return TestClient(app, base_url=BASE_URL, raise_server_exceptions=False, headers={"Authorization": f"Bearer {KEY}"})


def names_in(s3: S3Server) -> list[str]:
    """Of the bucket's originals."""
    return [name.removeprefix(PREFIX) for name in s3.names()]


def test_a_wrong_key_a_missing_bucket_and_a_lost_server_are_told_apart(s3: S3Server) -> None:
    """Each says what to correct; nobody sees the key."""
    for call in calls_of(s3.storage(secret_key="wrong-secret-0123456789")):
        with pytest.raises(StorageUnavailable, match="key was refused") as refused:
            call()
        assert "HERALD_S3_SECRET_KEY" in refused.value.hint
        assert "wrong-secret" not in refused.value.message + refused.value.hint
    for call in calls_of(s3.storage("herald-nowhere")):
        with pytest.raises(StorageUnavailable, match="no bucket herald-nowhere") as absent:
            call()
        assert "HERALD_S3_BUCKET" in absent.value.hint
    s3.go_away()
    for call in calls_of(s3.storage()):
        with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1:\d+ does not answer: NewConnectionError") as lost:
            call()
        assert "HERALD_S3_URL" in lost.value.hint


def test_an_upload_is_one_request(s3: S3Server) -> None:
    """Of 12 MB too, so that one that is cut off leaves nothing; a second one at once is none."""
    content = os.urandom(12_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    storage = s3.storage()
    storage.put(content, sha256)
    assert storage.get(sha256, "film.pdf") == content
    assert s3.part_count(f"{PREFIX}{sha256}") == 1
    s3.write(f"{PREFIX}{sha256}", bytes(len(content)))
    storage.put(content, sha256)
    assert s3.names() == [f"{PREFIX}{sha256}"]
    with pytest.raises(OriginalMissing):
        storage.get(sha256, "film.pdf")  # it was not sent once more


def test_what_else_is_in_the_bucket_is_no_leftover(s3: S3Server) -> None:
    """Names that are no SHA-256, and what lies outside the prefix."""
    s3.write(f"{PREFIX}notes.txt", b"mine")
    s3.write(SHA256, b"of another program")
    s3.write(f"{PREFIX}deeper/{SHA256}", b"of another box")
    s3.write(f"{PREFIX}{SHA256}", CONTENT)
    with time_machine.travel(clock.now() + timedelta(seconds=3_700)):
        assert list(s3.storage().leftovers()) == [SHA256]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"HERALD_S3_SECRET_KEY": ""}, "HERALD_S3_SECRET_KEY cannot be what it is: HERALD_S3_URL is set and needs it"),
        ({"HERALD_S3_ACCESS_KEY": ""}, "HERALD_S3_ACCESS_KEY cannot be what it is"),
        ({"HERALD_S3_BUCKET": ""}, "HERALD_S3_BUCKET cannot be ''"),
        ({"HERALD_S3_BUCKET": "Not_A_Bucket"}, "HERALD_S3_BUCKET cannot be 'Not_A_Bucket'"),
        ({"HERALD_S3_URL": "http://127.0.0.1:9000/path"}, "scheme, host and port"),
        ({"HERALD_S3_URL": "ftp://127.0.0.1"}, "HERALD_S3_URL cannot be"),
        ({"HERALD_S3_PREFIX": "no-slash"}, "HERALD_S3_PREFIX cannot be 'no-slash'"),
    ],
)
def test_a_half_set_storage_is_refused_at_the_start(
    s3: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], told: str
) -> None:
    """By the name of what is missing or wrong."""
    for name, value in (s3.environment() | change).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=re.escape(told)):
        load_settings()


def test_the_key_of_the_bucket_comes_from_files_and_no_log_shows_it(
    s3: S3Server, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other secrets do."""
    (tmp_path / "secrets").mkdir()
    for name, value in s3.environment().items():
        if name.endswith("_KEY"):
            (tmp_path / "secrets" / name.lower()).write_text(f"{value}\n")
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HERALD_SECRETS_DIR", str(tmp_path / "secrets"))
    storage = originals_of(load_settings())
    storage.put(CONTENT, SHA256)
    assert names_in(s3) == [SHA256]
    assert s3.secret_key not in KNOWN.taken_out_of(f"refused {s3.secret_key}")
    assert s3.secret_key not in repr(vars(storage))


def test_an_upload_while_the_storage_is_away_keeps_nothing(client: TestClient, s3: S3Server) -> None:
    """503 that says so; sent again when it is back, it goes in."""
    s3.go_away()
    for path, field in ((ASSETS, "file"), ("/api/v1/memory/documents", "file")):
        answer = client.post(path, files={field: ("hours.txt", CONTENT)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable"), path
        assert client.get(ASSETS).json() == {"assets": []}
    s3.come_back()
    assert s3.names() == []
    assert client.post(ASSETS, files={"file": ("hours.txt", CONTENT)}).status_code == 201
    assert names_in(s3) == [SHA256]


def test_a_document_waits_for_the_storage_and_goes_on(client: TestClient, bucket_box: Services, s3: S3Server) -> None:
    """Its status says what it waits for; after half a minute it is due again."""
    url = f"{ASSETS}/{client.post(ASSETS, files={'file': ('hours.txt', CONTENT)}).json()['id']}"
    s3.go_away()
    bucket_box.ingestion.run(url.rpartition("/")[2])
    waiting = client.get(url).json()
    assert (waiting["status"], waiting["error"]["code"]) == ("uploaded", "storage_unavailable")
    assert client.get(f"{url}/content").status_code == 503
    s3.come_back()
    assert bucket_box.ingestion.due() == []
    with time_machine.travel(clock.now() + timedelta(seconds=RETRY_S + 1)):
        (due,) = bucket_box.ingestion.due()
        bucket_box.ingestion.run(due)
    assert client.get(url).json()["status"] == "ingested"
    assert client.get(f"{url}/content").content == CONTENT
    assert not bucket_box.settings.documents_dir.exists()


def test_a_document_is_deleted_while_the_storage_is_away(
    client: TestClient, bucket_box: Services, s3: S3Server
) -> None:
    """Its original goes when the worker clears up after the storage's return; another asset's stays."""
    url = f"{ASSETS}/{client.post(ASSETS, files={'file': ('hours.txt', CONTENT)}).json()['id']}"
    client.post(ASSETS, files={"file": ("menu.txt", TEA)})
    s3.go_away()
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    with pytest.raises(StorageUnavailable):
        bucket_box.clear_leftovers()
    s3.come_back()
    assert SHA256 in names_in(s3)
    with time_machine.travel(clock.now() + timedelta(seconds=3_700)):
        bucket_box.clear_leftovers()
    assert names_in(s3) == [hashlib.sha256(TEA).hexdigest()]


def test_a_mirror_of_the_folder_is_the_bucket(client: TestClient, settings: Settings, s3: S3Server) -> None:
    """The names are the same, so that a box goes on after its folder was copied."""
    folder = Originals(settings.documents_dir)
    asset = client.post(ASSETS, files={"file": ("hours.txt", CONTENT)}).json()
    s3.empty()
    assert client.get(f"{ASSETS}/{asset['id']}/content").json()["error"]["code"] == "original_missing"
    folder.put(CONTENT, SHA256)
    for path in settings.documents_dir.iterdir():
        s3.write(f"{PREFIX}{path.name}", path.read_bytes())
    assert client.get(f"{ASSETS}/{asset['id']}/content").content == CONTENT
