"""Briefs: what is refused, what is written and kept, what is proposed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.actions.records import Status
from app.errors import Conflict, InvalidInput, NotFound
from app.generation.records import Done, Failure, Kind, Origin, Piece, VariantDone, Voice
from app.generation.service import MAX_BRIEF_CHARS, GenerationService
from app.llm import InferenceBusy
from app.services import Services
from tests.app.chat.fake_inference import FakeInference

BRIEF = "Plum crumble is back from Friday, 3.80 euro a slice. Book at lindenhof.example/cake"
SHORT = {"text": "Plum crumble is back from Friday!"}
LONG = {"text": "Plum crumble is back. From Friday you get a slice for 3.80 euro."}
CALL = {"text": "Plum crumble is back. Book a slice now!"}


@pytest.fixture
def inference() -> FakeInference:
    """The scripted model."""
    return FakeInference()


@pytest.fixture
def generation(services: Services, inference: FakeInference) -> Iterator[GenerationService]:
    """The service over a real database, with the scripted model behind the real client."""
    client = inference.client()
    yield GenerationService(services.database, services.memory, services.actions, client)
    client.close()


@pytest.mark.parametrize(
    ("brief", "platform"), [("", ""), ("x" * (MAX_BRIEF_CHARS + 1), ""), (BRIEF, "myspace"), ("a\x00b", "")]
)
def test_a_bad_brief_is_refused_before_anything_is_kept(
    generation: GenerationService, brief: str, platform: str
) -> None:
    """Empty, over-long, for no known platform."""
    with pytest.raises(InvalidInput):
        generation.generate(brief, platform, actor="t")
    assert generation.newest() == []


def test_a_model_that_is_busy_loses_nothing(generation: GenerationService, inference: FakeInference) -> None:
    """The brief is kept with what went wrong, and each variant can be written later."""
    busy = httpx.Response(429, json={"error": {"message": "queue full", "code": "queue_full"}})
    inference.turns = [busy] * 3
    with pytest.raises(InferenceBusy):
        generation.generate(BRIEF, actor="t")
    kept = generation.newest()[0]
    assert [v.error["code"] for v in kept.variants if v.error] == ["inference_busy"] * 3
    with pytest.raises(Conflict, match="no text yet"):
        generation.propose(kept.variants[0].id, actor="t")
    inference.turns = [SHORT]
    written = generation.regenerate(kept.variants[0].id, actor="t")
    assert (written.text, written.error, written.version) == (SHORT["text"], None, 1)


def test_a_made_up_fact_is_written_again_with_another_seed(
    generation: GenerationService, inference: FakeInference
) -> None:
    """The second attempt holds; both are counted, and the first one's text is taken back."""
    made_up = {"text": "Plum crumble is back for only 1.99 euro, says Paolo."}
    inference.turns = [made_up, SHORT, LONG, CALL]
    events = list(generation.stream(BRIEF, actor="t"))
    done = events[-1]
    assert isinstance(done, Done)
    first = done.generation.variants[0]
    assert first.text == SHORT["text"]
    assert first.provenance["attempts"] == 2
    seeds = [r["seed"] for r in inference.requests[:2]]
    assert seeds[0] != seeds[1] == first.provenance["seed"]
    assert Piece(Kind.SHORT, "") in events


def test_when_nothing_holds_the_briefs_own_words_are_taken(
    generation: GenerationService, inference: FakeInference
) -> None:
    """Three variants come out whatever the model does, and none with a fact of its own."""
    bad: dict[str, Any] = {"text": "Only 1.99 euro until Monday with Paolo"}
    inference.turns = [bad] * 9
    variants = generation.generate(BRIEF, actor="t").variants
    assert {v.provenance["made_by"] for v in variants} == {"brief"}
    assert all("1.99" not in v.text and v.text.startswith("Plum crumble is back from Friday") for v in variants)


def test_three_variants_are_written_with_their_provenance(
    generation: GenerationService, inference: FakeInference, services: Services
) -> None:
    """Voice, documents and the platform's limit reach the model; what it took is kept with each text."""
    services.memory.add("cakes.md", b"# Cakes\nPlum crumble is baked with plums from Mrs Lang's garden.", "t")
    generation.set_voice(Voice("Dry and short.", ("passion", "passion", " ")))
    inference.turns = [SHORT, LONG, CALL]
    events = list(generation.stream(BRIEF, "x", actor="ann"))
    assert [e.variant.kind for e in events if isinstance(e, VariantDone)] == list(Kind)
    made = generation.newest()[0]
    assert [v.text for v in made.variants] == [SHORT["text"], LONG["text"], f"{CALL['text']} lindenhof.example/cake"]
    prompt = inference.prompt_of(0)
    assert "Voice: Dry and short." in prompt
    assert "Never write: passion\n" in prompt
    assert "Mrs Lang" in prompt
    assert inference.schema_of(1)["properties"]["text"]["maxLength"] == 280
    provenance = made.variants[0].provenance
    assert provenance["chunks"][0]["filename"] == "cakes.md"
    assert (provenance["model"], provenance["platform"], provenance["attempts"]) == ("model", "x", 1)
    assert {"seed", "seconds", "tokens", "prompt_version", "cut"} <= set(provenance)


def test_an_edit_keeps_the_earlier_text(generation: GenerationService, inference: FakeInference) -> None:
    """History grows by one a change; the same text again is no change; an empty one is refused."""
    inference.turns = [SHORT, LONG, CALL, SHORT]
    variant = generation.generate(BRIEF, actor="ann").variants[1]
    with pytest.raises(InvalidInput):
        generation.edit(variant.id, " \n", actor="bob")
    assert generation.edit(variant.id, "Crumble time.", actor="bob").version == 2
    assert generation.edit(variant.id, "Crumble time.", actor="bob").version == 2
    generation.regenerate(variant.id, actor="ann")
    history = generation.history(variant.id)
    assert [(v.number, v.origin) for v in history] == [
        (3, Origin.REGENERATED), (2, Origin.EDITED), (1, Origin.GENERATED)
    ]  # fmt: skip
    assert (history[1].text, history[1].actor) == ("Crumble time.", "bob")


def test_a_variant_is_proposed_and_waits_for_approval(
    generation: GenerationService, inference: FakeInference, services: Services
) -> None:
    """A normal proposal with the present text; without a platform it is refused."""
    inference.turns = [SHORT, LONG, CALL]
    variant = generation.generate(BRIEF, actor="ann").variants[0]
    with pytest.raises(InvalidInput, match="no platform"):
        generation.propose(variant.id, actor="ann")
    action = generation.propose(variant.id, platform="x", actor="ann")
    assert action.status is Status.AWAITING_APPROVAL
    assert action.params["text"] == SHORT["text"]
    assert action.is_tainted
    assert services.actions.newest()[0].id == action.id
    assert generation.newest()[0].variants[0].action_id == action.id


def test_a_writing_that_fails_inside_ends_in_a_failure(
    generation: GenerationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is told; the variants can be written again."""

    def broken(*_arguments: Any, **_more: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("app.generation.service.write", broken)
    last = list(generation.stream(BRIEF, actor="t"))[-1]
    assert isinstance(last, Failure)
    monkeypatch.undo()
    with pytest.raises(NotFound):
        generation.regenerate("var_nope", actor="t")


def test_the_routes_write_list_edit_and_propose(client: TestClient, services: Services) -> None:
    """As the interface promises, whole and streamed; other ids are 404."""
    inference = FakeInference(turns=[SHORT, LONG, CALL, SHORT, LONG, CALL])
    project = services.within("prj_default")
    project.generation = GenerationService(project.database, project.memory, project.actions, inference.client())
    body = {"project_id": "prj_default", "brief": BRIEF, "platform": "x"}
    variants = client.post("/api/v1/generate", json=body).json()["variants"]
    assert [v["kind"] for v in variants] == ["short_form", "long_form", "call_to_action"]
    assert all(v["text"] and v["provenance"]["model"] == "model" for v in variants)
    streamed = client.post("/api/v1/generate", json=body | {"stream": True}).text.strip().split("\n\n")
    assert streamed[-1].startswith("event: done")
    assert len(json.loads(streamed[-1].split("data: ")[1])["variants"]) == 3
    path = f"/api/v1/variants/{variants[0]['id']}"
    assert client.patch(path, json={"text": "New words"}).json()["text"] == "New words"
    assert len(client.get(f"{path}/versions").json()["versions"]) == 2
    proposed = client.post(f"{path}/propose", json={})
    assert proposed.status_code == 201
    assert proposed.json()["status"] == "awaiting_approval"
    assert len(client.get("/api/v1/generations").json()["generations"]) == 2
    assert client.get(f"/api/v1/generations/{variants[0]['generation_id']}").json()["brief"] == BRIEF
    assert client.get("/api/v1/generations/gen_nope").status_code == 404
    assert client.patch("/api/v1/variants/var_nope", json={"text": "x"}).status_code == 404
    voice = {"description": "Dry.", "banned_words": ["unique"]}
    assert client.put("/api/v1/voice", json=voice).json() == client.get("/api/v1/voice").json() == voice
    assert client.put("/api/v1/voice", json={"description": "x" * 3000}).status_code == 422
