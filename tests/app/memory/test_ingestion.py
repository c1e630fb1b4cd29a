"""Ingestion in the background: what fails says why, what is interrupted goes on, what is replaced stays until then."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import text

from app import clock
from app.memory import ingestion
from app.memory.records import AssetStatus, SearchFilter
from app.memory.storage import Originals
from app.services import Services
from tests.app.fakes import FakeEmbedder

LONG = "\n\n".join(f"Paragraph {n}. " + "The shop sells coffee and cake. " * 60 for n in range(12)).encode()


def waiting(services: Services, content: bytes = LONG, name: str = "long.txt") -> str:
    asset, is_new = services.memory.upload(name, content, "t")
    assert is_new
    assert asset.status == AssetStatus.UPLOADED
    return asset.id


def staged(services: Services) -> int:
    with services.database.read() as session:
        return int(session.execute(text("SELECT count(*) FROM staged_chunks")).scalar_one())


def test_a_damaged_file_fails_with_its_reason(services: Services) -> None:
    """Kept, so that it can be looked at and deleted; nobody tries it again."""
    asset_id = waiting(services, b"%PDF-1.7\nrubbish", "menu.pdf")
    services.ingestion.run(asset_id)
    asset = services.memory.asset(asset_id)
    assert asset.status == AssetStatus.FAILED
    assert asset.error is not None
    assert asset.error.code == "document_damaged"
    assert asset.error.hint
    assert services.ingestion.due() == []


def test_a_changed_original_is_not_taken_in(services: Services) -> None:
    """What was uploaded is what is read."""
    asset_id = waiting(services)
    (services.settings.documents_dir / services.memory.asset(asset_id).sha256).write_bytes(b"something else")
    services.ingestion.run(asset_id)
    error = services.memory.asset(asset_id).error
    assert error is not None
    assert error.code == "original_missing"


def test_while_inference_is_down_an_asset_waits(services: Services, embedder: FakeEmbedder) -> None:
    """It says so, is left alone for a while, and goes in by itself afterwards."""
    asset_id = waiting(services)
    embedder.is_down = True
    services.ingestion.run(asset_id)
    asset = services.memory.asset(asset_id)
    assert asset.status == AssetStatus.UPLOADED
    assert asset.error is not None
    assert asset.error.code == "inference_unavailable"
    assert services.ingestion.due() == []
    embedder.is_down = False
    with time_machine.travel(clock.now() + timedelta(seconds=ingestion.RETRY_S + 1), tick=True):
        assert services.ingestion.due() == [asset_id]
        services.ingestion.run(asset_id)
    assert services.memory.asset(asset_id).status == AssetStatus.INGESTED


def test_a_worker_that_dies_again_and_again_gives_the_asset_up(services: Services) -> None:
    """A file that kills its worker must not do so for ever."""
    asset_id = waiting(services)
    for _ in range(ingestion.MAX_ATTEMPTS):
        assert services.ingestion.due() == [asset_id]
        assert services.ingestion._claim(asset_id) is not None
        assert services.ingestion.due() == []
        with services.database.write() as session:  # its process is gone
            session.execute(text("UPDATE assets SET claimed_by = replace(claimed_by, ':', '.') || ':4194304:x'"))
            session.execute(text("UPDATE assets SET claimed_until = '2020-01-01 00:00:00'"))
    services.ingestion.run(asset_id)
    asset = services.memory.asset(asset_id)
    assert asset.status == AssetStatus.FAILED
    assert asset.error is not None
    assert asset.error.code == "ingestion_crashed"


def test_an_interrupted_ingestion_goes_on_where_it_was(
    services: Services, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedded batches are kept; the next worker embeds only the rest."""
    monkeypatch.setattr(ingestion, "BATCH_CHUNKS", 2)
    asset_id = waiting(services)
    looks: list[bool] = []

    def should_stop() -> bool:
        looks.append(len(looks) >= 3)
        return looks[-1]

    services.ingestion.run(asset_id, should_stop)
    asset = services.memory.asset(asset_id)
    assert asset.status == AssetStatus.UPLOADED
    assert staged(services) == 4
    assert not services.memory.search("coffee")
    embedder.texts.clear()
    services.ingestion.run(asset_id)
    done = services.memory.asset(asset_id)
    assert done.status == AssetStatus.INGESTED
    assert done.chunk_count == done.chunks_total > 5
    assert sum("Paragraph 0." in t for t in embedder.texts) == 0
    assert staged(services) == 0


def test_a_re_ingestion_replaces_all_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the former passages are found; afterwards there are as many as before, under new ids."""
    monkeypatch.setattr(ingestion, "BATCH_CHUNKS", 2)
    asset_id = waiting(services)
    services.ingestion.run(asset_id)
    before = services.memory.search("coffee", 50)
    services.memory.ingest(asset_id, "t")
    services.ingestion.run(asset_id, iter([False, False, True]).__next__)
    assert services.memory.search("coffee", 50) == before
    services.ingestion.run(asset_id)
    after = services.memory.search("coffee", 50)
    assert [p.text for p in after] == [p.text for p in before]
    assert not {p.chunk_id for p in after} & {p.chunk_id for p in before}


def test_two_workers_do_not_take_the_same_asset(services: Services) -> None:
    """The claim of a living process holds."""
    asset_id = waiting(services)
    assert services.ingestion._claim(asset_id) is not None
    assert services.ingestion._claim(asset_id) is None
    assert services.ingestion.due() == []


def test_a_deleted_asset_ends_its_ingestion(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an error, and nothing of it stays."""
    asset_id = waiting(services)
    embed = FakeEmbedder.embed

    def deleting(self: FakeEmbedder, texts: list[str]) -> list[list[float]]:
        if services.memory.assets():
            services.memory.delete(asset_id, "t")
        return embed(self, texts)

    monkeypatch.setattr(FakeEmbedder, "embed", deleting)
    services.ingestion.run(asset_id)
    assert services.memory.assets() == []
    assert staged(services) == 0


def test_searches_keep_to_their_filter(services: Services) -> None:
    """By asset, type, tag and time."""
    first, _ = services.memory.upload("a.txt", b"Espresso costs two euro.", "t", ["menu", " menu "])
    second, _ = services.memory.upload("b.md", b"# Espresso\ncosts three euro.", "t")
    for asset in (first, second):
        services.ingestion.run(asset.id)
    services.memory.set_tags(second.id, ["old", "menu"], "t")
    cases = {
        SearchFilter(asset_ids=(first.id,)): {first.id},
        SearchFilter(media_types=("text/markdown",)): {second.id},
        SearchFilter(tags=("old", "other")): {second.id},
        SearchFilter(tags=("menu",)): {first.id, second.id},
        SearchFilter(created_before=first.created_at): set(),
        SearchFilter(created_from=first.created_at): {first.id, second.id},
    }
    for wanted, expected in cases.items():
        assert {p.asset_id for p in services.memory.search("espresso price", wanted=wanted)} == expected, wanted


def test_leftover_files_are_cleared(services: Services) -> None:
    """Those of no asset, after an hour; an asset's stays."""
    asset_id = waiting(services)
    kept = services.settings.documents_dir / services.memory.asset(asset_id).sha256
    (services.settings.documents_dir / ("0" * 64)).write_bytes(b"of a deleted project")
    services.ingestion.clear_leftovers()
    assert len(list(services.settings.documents_dir.iterdir())) == 2
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        services.ingestion.clear_leftovers()
    assert list(services.settings.documents_dir.iterdir()) == [kept]


def test_what_is_uploaded_while_leftovers_are_listed_stays(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of a bucket takes a while, and an old original may be wanted again meanwhile."""
    content = b"We open at nine."
    sha256 = hashlib.sha256(content).hexdigest()
    Originals(services.settings.documents_dir).put(content, sha256)

    def listed(_self: Originals) -> list[str]:
        services.memory.upload("hours.txt", content, "t")
        return [sha256]

    monkeypatch.setattr(Originals, "leftovers", listed)
    services.ingestion.clear_leftovers()
    (asset,) = services.memory.assets()
    assert services.memory.content(asset.id)[1] == content
