"""Training from the project's own texts: which they are, what is kept of a training, and who writes with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.accounts.service import NewAccount
from app.actions.records import Status
from app.errors import InvalidInput
from app.finetune.service import FinetuneService, TrainingFailed
from app.generation.records import Kind
from app.generation.service import GenerationService
from app.services import Services
from tests.app.chat.fake_inference import FakeInference

# A trainer that trains nothing: it says what a real one says, about the job that it is given.
TRAINER = """
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
assert pathlib.Path(sys.argv[1]).stat().st_mode & 0o077 == 0
print("a library says hello")
print(json.dumps({"stage": "Training", "done": 1, "of": 2, "loss": 2.5}))
LOSS
pathlib.Path(job["adapter_path"]).write_bytes(b"GGUF")
rows = [{"id": e["id"], "base_loss": 3.0, "loss": loss, "base_text": e["answer"], "text": e["answer"]}
        for e in job["held_out"]]
report = {"compared": rows, "steps": 2, "seconds": 1.5, "device": "cpu", "trained_values": 10, "deviation": 0.1}
print(json.dumps({"stage": "done", "report": report}))
"""


@pytest.fixture
def inference() -> FakeInference:
    """The scripted model."""
    return FakeInference()


@pytest.fixture
def generation(services: Services, inference: FakeInference) -> Iterator[GenerationService]:
    """Generation with the scripted model."""
    client = inference.client()
    yield GenerationService(services.database, services.memory, services.actions, client, services.adapters)
    client.close()


@pytest.fixture
def make(services: Services, generation: GenerationService, tmp_path: Path) -> Any:
    """A finetune service whose trainer ends with this line of Python."""

    def make(line: str = "loss = 1.0") -> FinetuneService:
        script = tmp_path / "trainer.py"
        script.write_text(TRAINER.replace("LOSS", line), encoding="utf-8")
        command = (sys.executable, str(script))
        return FinetuneService(
            services.database,
            services.audit,
            generation,
            services.conversations,
            services.actions,
            services.adapters,
            "model",
            command=command,
        )

    return make


def edited(generation: GenerationService, inference: FakeInference, count: int) -> None:
    """So many briefs, of each of which one text was edited by a person."""
    for number in range(count):
        brief = f"Cake number {number} is here for {number}.50 euro"
        text = {"text": f"Cake number {number} is here."}
        inference.turns = [text, text, text]
        short = generation.generate(brief, actor="t").variants[0]
        generation.edit(short.id, f"Hey ho! Cake number {number}, {number}.50 euro.", actor="t")


def test_too_few_texts_train_nothing(make: Any, generation: GenerationService, inference: FakeInference) -> None:
    """No process is started for them."""
    edited(generation, inference, 2)
    with pytest.raises(InvalidInput, match="2 texts to learn from; at least 20"):
        make("sys.exit('started')").train("", {}, lambda *_: None, actor="t")


def test_a_training_that_fails_leaves_nothing(
    make: Any, services: Services, generation: GenerationService, inference: FakeInference
) -> None:
    """Whether it says why, or is killed."""
    edited(generation, inference, 20)
    said = "print(json.dumps({'stage': 'failed', 'error': 'No memory.', 'hint': 'Buy some.'})); sys.exit(1)"
    with pytest.raises(TrainingFailed, match=r"No memory\.") as refused:
        make(said).train("mine", {}, lambda *_: None, actor="t")
    assert refused.value.hint == "Buy some."
    with pytest.raises(TrainingFailed, match=r"status -9 while: Training\. It was killed"):
        make("import os; os.kill(os.getpid(), 9)").train("mine", {}, lambda *_: None, actor="t")
    assert [path.name for path in services.adapters.folder.iterdir()] == ["training.log"]


def test_one_that_is_no_better_is_refused_and_its_weights_are_deleted(
    make: Any, services: Services, generation: GenerationService, inference: FakeInference
) -> None:
    """Its card stays, to say so."""
    edited(generation, inference, 20)
    card = make("loss = 3.0").train("mine", {}, lambda *_: None, actor="t")
    assert card.status == "refused"
    assert "its loss on held-out texts is 3.000" in card.reasons[0]
    assert not services.adapters.path_of("mine").exists()


def test_a_better_one_is_kept_used_and_rolled_back(
    make: Any, services: Services, generation: GenerationService, inference: FakeInference
) -> None:
    """The project writes with it, until it is rolled back or is not served; everything is in the audit log."""
    edited(generation, inference, 20)
    told: list[tuple[str, int, int, float | None]] = []
    service = make()
    card = service.train("", {"seed": 3}, lambda *step: told.append(step), actor="t")
    assert (card.name, card.status, card.trained_on, card.held_out) == ("default-1", "ready", 15, 5)
    assert told == [("Training", 1, 2, 2.5)]
    service.use("default-1", actor="t")
    short = generation.newest()[0].variants[0]
    inference.turns = [{"text": "Hey ho, the cake is here!"}]
    assert generation.regenerate(short.id, actor="t").provenance["model"] == "default-1"
    gone = httpx.Response(404, json={"error": {"message": "not served", "code": "model_not_found"}})
    inference.turns = [gone, {"text": "The cake is here again!"}]
    assert generation.regenerate(short.id, actor="t").provenance["model"] == "model"
    assert service.roll_back("default-1", actor="t") is None
    inference.turns = [{"text": "The cake is here at last!"}]
    assert generation.regenerate(short.id, actor="t").provenance["model"] == "model"
    events = [entry.event for entry in services.audit.entries(limit=10)]
    assert [e for e in events if e.startswith("adapter.")] == [
        "adapter.rolled_back", "adapter.used", "adapter.trained",
    ]  # fmt: skip


def test_what_is_learned_is_what_a_person_edited_or_approved(
    services: Services, generation: GenerationService, inference: FakeInference
) -> None:
    """With the prompt that it was written for; what was never looked at, rejected or made up teaches nothing."""
    texts = [{"text": f"The cake is here, {kind}."} for kind in ("yes", "indeed", "really")]
    inference.turns = list(texts)
    short, long, call = generation.generate("The cake is here", "x", actor="t").variants
    prompt = inference.requests[0]["messages"]
    assert generation.approved().pairs == ()
    approved = generation.propose(short.id, platform="x", actor="t")
    services.accounts.create(NewAccount("x", "@acme", "acme", "", password="s"), actor="t")
    approved = services.actions.get(approved.id)
    services.actions.approve(approved.id, approved.digest, actor="ada")
    rejected = generation.propose(call.id, platform="x", actor="t")
    services.actions.reject(rejected.id, actor="ada")
    generation.edit(long.id, "The cake is here for 9 euro.", actor="ada")
    found = generation.approved()
    assert [(pair.text, pair.origin) for pair in found.pairs] == [(texts[0]["text"], "approved")]
    assert list(found.pairs[0].messages) == prompt
    assert json.loads(found.pairs[0].answer) == texts[0]
    assert found.left_out == {"with facts that its brief and documents do not hold": 1}
    generation.edit(long.id, "Hey ho, the cake is here!", actor="ada")
    assert ("Hey ho, the cake is here!", "edited") in [(p.text, p.origin) for p in generation.approved().pairs]
    assert services.actions.get(approved.id).status is Status.APPROVED
    assert Kind(long.kind) is Kind.LONG


def test_a_project_learns_from_its_own_texts_only(
    services: Services, generation: GenerationService, inference: FakeInference
) -> None:
    """Another project's are not there for it."""
    edited(generation, inference, 1)
    within = services.within("prj_other")
    assert within.generation.approved().pairs == ()
    assert len(services.within("prj_default").generation.approved().pairs) == 1
