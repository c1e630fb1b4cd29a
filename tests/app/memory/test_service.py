"""Documents in, passages out; nothing half-stored."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from app.errors import InvalidInput, NotFound, TooLarge, TooManyRequests, UpstreamFailed
from app.llm import InferenceUnavailable
from app.memory import service as memory_service
from app.memory.service import safe_filename
from app.services import Services
from tests.app.fakes import FakeEmbedder

HOURS = b"# Hours\nWe open daily at nine in the morning.\n# Menu\nEspresso costs 2.50 euro, cake costs 4.00 euro.\n"


def counts(services: Services) -> dict[str, int]:
    with services.database.read() as session:
        return {
            table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("assets", "chunks", "chunk_vectors", "chunk_texts_docsize")
        } | {"files": len(list(services.settings.documents_dir.glob("*")))}


EMPTY = {"assets": 0, "chunks": 0, "chunk_vectors": 0, "chunk_texts_docsize": 0, "files": 0}


def test_while_inference_is_down_nothing_is_stored(services: Services, embedder: FakeEmbedder) -> None:
    """A clear error, and no trace of the document."""
    embedder.is_down = True
    with pytest.raises(InferenceUnavailable):
        services.memory.add("hours.md", HOURS, "t")
    assert counts(services) | {"files": 0} == EMPTY
    embedder.is_down = False
    assert services.memory.add("hours.md", HOURS, "t")[1]


def test_a_document_over_the_limit_is_refused(services: Services) -> None:
    """With the actual and the allowed size."""
    limit = services.settings.max_upload_bytes
    with pytest.raises(TooLarge) as refusal:
        services.memory.add("big.txt", b"a" * (limit + 1), "t")
    assert f"{limit + 1:,}" in refusal.value.message
    assert f"{limit:,}" in refusal.value.message


def test_too_much_text_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before minutes of embedding begin."""
    monkeypatch.setattr(memory_service, "MAX_WAITED_CHARS", 100)
    with pytest.raises(TooLarge, match="101"):
        services.memory.add("long.txt", b"a" * 101, "t")


def test_a_ninth_document_at_once_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that uploads cannot take every thread of the server; afterwards there is room again."""
    everybody_is_in = threading.Barrier(9)
    go_on = threading.Event()
    embed = FakeEmbedder.embed

    def slow(self: FakeEmbedder, texts: list[str]) -> list[list[float]]:
        everybody_is_in.wait(30)
        go_on.wait(30)
        return embed(self, texts)

    monkeypatch.setattr(FakeEmbedder, "embed", slow)
    threads = [
        threading.Thread(target=services.memory.add, args=(f"{n}.txt", f"document {n}".encode(), "t")) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    everybody_is_in.wait(30)
    with pytest.raises(TooManyRequests, match=r"ninth\.txt"):
        services.memory.add("ninth.txt", b"one too many", "t")
    go_on.set()
    for thread in threads:
        thread.join()
    monkeypatch.setattr(FakeEmbedder, "embed", embed)
    assert services.memory.add("ninth.txt", b"one too many", "t")[1]
    assert len(services.memory.assets()) == 9


def test_vectors_of_another_size_are_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another embedding model would make the index meaningless."""
    monkeypatch.setattr(FakeEmbedder, "embed", lambda _self, texts: [[0.1] * 768 for _ in texts])
    with pytest.raises(UpstreamFailed, match="768"):
        services.memory.add("hours.md", HOURS, "t")
    assert services.memory.assets() == []


def test_a_failing_transaction_leaves_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rows nor a file."""
    monkeypatch.setattr(services.audit, "record", lambda *_a, **_k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        services.memory.add("hours.md", HOURS, "t")
    assert counts(services) == EMPTY


@pytest.mark.parametrize("question", ["", "  ", "\x00", "a" * 2_001, "\ud800"])
def test_an_unacceptable_question_is_refused(services: Services, question: str) -> None:
    """As everywhere."""
    with pytest.raises(InvalidInput):
        services.memory.search(question)


def test_the_same_content_is_stored_once(services: Services) -> None:
    """Under its first name."""
    first, is_new = services.memory.add("hours.md", HOURS, "t")
    again, is_new_again = services.memory.add("copy.md", HOURS, "t")
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert counts(services)["files"] == 1


def test_the_same_upload_at_the_same_time_is_stored_once(services: Services) -> None:
    """Eight at once: one document, one file, one set of chunks."""
    results: list[tuple[str, bool]] = []
    barrier = threading.Barrier(8)

    def upload() -> None:
        barrier.wait()
        document, is_new = services.memory.add("hours.md", HOURS, "t")
        results.append((document.id, is_new))

    threads = [threading.Thread(target=upload) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({document_id for document_id, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1
    assert counts(services) == {"assets": 1, "chunks": 2, "chunk_vectors": 2, "chunk_texts_docsize": 2, "files": 1}


def test_passages_are_found_by_their_words_with_their_place(services: Services) -> None:
    """The best one first."""
    services.memory.add("shop.md", HOURS, "t")
    services.memory.add("other.txt", b"Our team loves long walks.", "t")
    best = services.memory.search("What does an espresso cost?")[0]
    assert (best.filename, best.place) == ("shop.md", "Menu")
    assert "2.50" in best.text
    assert 0 < best.score <= 1


def test_inflected_and_accented_words_are_found(services: Services) -> None:
    """Full-text search stems and ignores accents."""
    services.memory.add("a.txt", "The café opens early.".encode(), "t")
    services.memory.add("b.txt", b"Parking is behind the house.", "t")
    assert services.memory.search("cafe opening")[0].filename == "a.txt"


@pytest.mark.parametrize(
    "hostile", ['" OR 1', "NEAR(a b)", "*", "a:b AND", "Robert'); DROP TABLE chunks;--", "👋", "%_"]
)
def test_query_syntax_is_harmless(services: Services, hostile: str) -> None:
    """It is looked up as words."""
    services.memory.add("shop.md", HOURS, "t")
    assert isinstance(services.memory.search(hostile), list)
    assert len(services.memory.assets()) == 1


def test_a_search_in_an_empty_memory_finds_nothing(services: Services, embedder: FakeEmbedder) -> None:
    """And does not bother inference."""
    embedder.is_down = True
    assert services.memory.search("anything") == []
    assert services.memory.context_for("anything", 1_000) == []


def test_the_context_keeps_to_its_budget_and_to_what_matters(services: Services) -> None:
    """Irrelevant and redundant passages stay out."""
    services.memory.add("shop.md", HOURS, "t")
    services.memory.add("copy.txt", b"We open daily at nine in the morning!", "t")
    found = services.memory.context_for("When do you open in the morning?", 2_000)
    assert len(found) == 1
    assert "nine" in found[0].text
    assert services.memory.context_for("When do you open in the morning?", 10) == []
    assert services.memory.context_for("quantum chromodynamics", 2_000) == []


def test_a_deleted_document_is_gone_everywhere(services: Services) -> None:
    """Rows, vectors, words, file; and it can be uploaded again."""
    document, _ = services.memory.add("shop.md", HOURS, "t")
    services.memory.delete(document.id, "t")
    assert counts(services) == EMPTY
    assert services.memory.search("espresso") == []
    with pytest.raises(NotFound):
        services.memory.delete(document.id, "t")
    assert services.memory.add("shop.md", HOURS, "t")[1]
    assert [e.event for e in services.audit.entries()][::-1] == ["memory.added", "memory.removed", "memory.added"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\menu.pdf", "menu.pdf"),
        ("in\u202efdp.exe", "infdp.exe"),
        ("a\x00b\n.txt", "ab.txt"),
        ("...", "document"),
        ("", "document"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("Speisekarte ☕.md", "Speisekarte ☕.md"),
    ],
)
def test_filenames_are_made_safe(given: str, kept: str) -> None:
    """Only the last part, without what cannot be seen."""
    assert safe_filename(given) == kept
