"""Only a cross-encoder's folder is served, in its own model's order, and no more requests wait than may."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from inference.config import InferenceSettings
from inference.errors import NotReady, QueueFull, QueueTimeout, StartupError
from inference.reranker import BATCH_DOCUMENTS, Reranker, check_folder
from inference.serve import make_reranker
from tests.inference.cross_encoders import make_cross_encoder

QUERY = "when does the bakery open on monday"
DOCUMENTS = [
    "the bakery on monday: open at seven",
    "bread costs seven",
    "oat cake",
    "the price the price",
    "open open open",
    "cake on monday",
    "monday",
    "bread at the bakery costs the price on monday",
    "seven " * 200,
    "when",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that works."""
    return make_cross_encoder(tmp_path_factory.mktemp("rerankers") / "tiny-reranker")


def test_a_path_without_a_folder_is_refused(tmp_path: Path) -> None:
    """Nothing there, or a file."""
    with pytest.raises(StartupError, match="nothing there"):
        check_folder(tmp_path / "missing")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(StartupError, match="a file, not a folder"):
        check_folder(tmp_path / "model.bin")


def test_a_folder_without_a_readable_config_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    """The names of its files help to see which folder was meant."""
    with pytest.raises(StartupError, match="holds no files"):
        check_folder(tmp_path)
    (tmp_path / "weights.gguf").write_bytes(b"x")
    with pytest.raises(StartupError, match=r"holds weights\.gguf"):
        check_folder(tmp_path)
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(StartupError, match=r"config\.json or modules\.json is unreadable"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, "no architecture with 2 labels"),
        ({"architectures": ["BertModel"]}, "BertModel with 2 labels"),
        ({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "no", "1": "yes"}}, "with 2 labels"),
        ({"architectures": ["Qwen3ForCausalLM"], "num_labels": 1}, "Qwen3ForCausalLM with 1 labels"),
    ],
)
def test_another_kind_of_model_is_refused_with_its_kind(tmp_path: Path, config: object, found: str) -> None:
    """An embedding model, a classifier or a chat model in place of a cross-encoder."""
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(StartupError, match=found):
        check_folder(tmp_path)


def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    """A pickle is named, and not opened."""
    path = make_cross_encoder(tmp_path / "pickled", safe=False)
    with pytest.raises(StartupError, match=r"holds pytorch_model\.bin and no safetensors"):
        check_folder(path)


def test_code_beside_the_model_is_refused(tmp_path: Path, folder: Path) -> None:
    """Modules of the folder's own would be imported from it."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "modules.json").write_text('[{"type": "own_code.Evil", "path": ""}]', encoding="utf-8")
    with pytest.raises(StartupError, match=r"adds own_code\.Evil"):
        check_folder(tmp_path)


def test_a_reranker_that_is_called_like_another_model_is_refused(folder: Path) -> None:
    """A request could not say which of the two it means."""
    settings = InferenceSettings(_env_file=None, model="tiny-reranker", reranker_path=folder)
    with pytest.raises(StartupError, match="the name of another served model"):
        make_reranker(settings)


def test_without_the_setting_there_is_none() -> None:
    """The default."""
    assert make_reranker(InferenceSettings(_env_file=None)) is None


def test_weights_that_cannot_be_loaded_are_a_problem_that_every_request_is_told(tmp_path: Path) -> None:
    """The process goes on without it; before the load a request is told to wait."""

    async def scenario() -> None:
        path = make_cross_encoder(tmp_path / "broken")
        (path / "model.safetensors").write_bytes(b"not weights")
        reranker = Reranker(path)
        with pytest.raises(NotReady, match="not loaded yet"):
            await reranker.score(QUERY, DOCUMENTS)
        await reranker.load()
        assert not reranker.is_ready
        with pytest.raises(NotReady, match="broken could not be loaded"):
            await reranker.score(QUERY, DOCUMENTS)
        reranker.close()

    asyncio.run(scenario())


def test_scores_are_those_of_the_library(folder: Path) -> None:
    """In the documents' order, over several batches, long ones cut; the tokens are counted."""

    async def scenario() -> None:
        from sentence_transformers import CrossEncoder

        settings = InferenceSettings(_env_file=None, reranker_path=folder)
        reranker = make_reranker(settings)
        assert reranker is not None
        await reranker.load()
        relevance = await reranker.score(QUERY, DOCUMENTS)
        wanted = CrossEncoder(str(folder), device="cpu", local_files_only=True).predict(
            [(QUERY, document) for document in DOCUMENTS], show_progress_bar=False
        )
        assert len(DOCUMENTS) > BATCH_DOCUMENTS
        assert relevance.scores == pytest.approx(list(wanted), abs=1e-5)
        assert max(relevance.scores) - min(relevance.scores) > 0.01
        assert len(DOCUMENTS) * 10 < relevance.tokens <= len(DOCUMENTS) * 48
        assert reranker.metrics.documents == len(DOCUMENTS)
        reranker.close()

    asyncio.run(scenario())


def test_requests_take_turns_and_too_many_or_too_long_waits_are_refused(folder: Path) -> None:
    """One is worked on, one waits, a third is refused at once; the one that waits gives up after its time."""

    async def scenario() -> None:
        reranker = Reranker(folder, queue_limit=1, queue_timeout_s=0.3)
        await reranker.load()
        began, go_on = threading.Event(), threading.Event()
        score = reranker._score

        def held(pairs: list[tuple[str, str]]) -> tuple[list[float], int]:
            began.set()
            assert go_on.wait(60)
            return score(pairs)

        reranker._score = held  # type: ignore[method-assign]
        first = asyncio.ensure_future(reranker.score(QUERY, DOCUMENTS))
        await asyncio.to_thread(began.wait, 60)
        second = asyncio.ensure_future(reranker.score(QUERY, DOCUMENTS))
        await asyncio.sleep(0)
        assert reranker.metrics.waiting == 1
        with pytest.raises(QueueFull, match="1 requests wait for the reranker, 1 may"):
            await reranker.score(QUERY, DOCUMENTS)
        with pytest.raises(QueueTimeout, match=r"busy for 0\.3 s"):
            await second
        go_on.set()
        assert len((await first).scores) == len(DOCUMENTS)
        assert reranker.metrics.waiting == 0
        assert len((await reranker.score(QUERY, ["oat cake"])).scores) == 1
        reranker.close()

    asyncio.run(scenario())


def test_a_request_that_is_given_up_frees_its_turn(folder: Path) -> None:
    """What was being computed ends unread; the next request is answered."""

    async def scenario() -> None:
        reranker = Reranker(folder)
        await reranker.load()
        given_up = asyncio.ensure_future(reranker.score(QUERY, DOCUMENTS * 20))
        while not reranker._turn.locked():
            await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert len((await asyncio.wait_for(reranker.score(QUERY, ["oat cake"]), 60)).scores) == 1
        assert reranker.metrics.documents == 1
        reranker.close()

    asyncio.run(scenario())
