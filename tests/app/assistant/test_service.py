"""Questions: what is refused, what cannot come out, what is answered and how it is cited."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi.testclient import TestClient

from app.assistant.records import UNKNOWN, Failure, Reply, Step, Token
from app.assistant.service import MAX_QUESTION_CHARS, AssistantService
from app.errors import InvalidInput
from app.llm import ConstraintFailed, InferenceUnavailable, LlmClient
from app.services import Services

PRICES = "# Prices\n- Espresso: 2.60 euro\n- Flat white: 3.90 euro\n- Oat milk: 0.40 euro extra\n"


class Model:
    """A server of judged completions: each is an answer with the probability of its first true."""

    def __init__(self) -> None:
        self.answers: list[tuple[dict[str, Any], float | None] | httpx.Response] = []
        self.requests: list[dict[str, Any]] = []

    def client(self) -> LlmClient:
        """The real client, wired to this server."""
        return LlmClient("http://inference.test", "key", "model", transport=httpx.MockTransport(self._answer))

    def prompt_of(self, index: int) -> str:
        """The newest message of a request."""
        return str(self.requests[index]["messages"][-1]["content"])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.Response):
            return answer
        said, probability = answer
        jsonschema.validate(said, body["response_format"]["json_schema"]["schema"])
        choice = {"message": {"content": json.dumps(said)}, "finish_reason": "stop"}
        if probability is not None:
            top = [("true", probability), ("false", 1 - probability), ('"', 0.01)]
            entries = [{"token": f" {word}", "logprob": math.log(p)} for word, p in top if p > 0]
            choice["logprobs"] = {
                "content": [{"token": '{"', "top_logprobs": []}, {"token": " true", "top_logprobs": entries}]
            }
        usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 40}}
        return httpx.Response(200, json={"choices": [choice], "usage": usage})


@pytest.fixture
def model() -> Model:
    """The scripted model."""
    return Model()


@pytest.fixture
def assistant(services: Services, model: Model) -> Iterator[AssistantService]:
    """The assistant over a real memory that holds a price list."""
    services.memory.add("prices.md", PRICES.encode(), "t")
    client = model.client()
    client.embed = services.memory._embedder.embed  # type: ignore[method-assign]
    yield AssistantService(services.memory, client)
    client.close()


def test_a_bad_question_is_refused(assistant: AssistantService, model: Model) -> None:
    """Empty and over-long ones, before anything is asked."""
    for question in (" ", "x" * (MAX_QUESTION_CHARS + 1)):
        with pytest.raises(InvalidInput):
            assistant.ask(question)
    assert model.requests == []


def test_without_documents_nothing_is_known(services: Services, model: Model) -> None:
    """The model is not even asked."""
    reply = AssistantService(services.memory, model.client()).ask("How much is a flat white?")
    assert (reply.answer, reply.citations, reply.confidence) == (UNKNOWN, (), 0.0)
    assert model.requests == []


def test_lines_that_do_not_state_the_answer_are_no_answer(assistant: AssistantService, model: Model) -> None:
    """The check refuses twice, on different lines, and nothing is written or cited."""
    model.answers = [
        ({"answered": True, "lines": [1]}, 0.6),
        ({"stated": False}, 0.02),
        ({"answered": True, "lines": [2]}, 0.5),
        ({"stated": False}, 0.02),
    ]
    reply = assistant.ask("How much is a cappuccino?")
    assert reply.answer == UNKNOWN
    assert reply.citations == ()
    assert reply.confidence < 0.5
    assert "Espresso" not in model.prompt_of(2)


def test_a_hopeless_choice_is_not_checked(assistant: AssistantService, model: Model) -> None:
    """The model itself says that no line answers."""
    model.answers = [({"answered": False, "lines": [1]}, 0.001)]
    assert assistant.ask("Who is the mayor?").answer == UNKNOWN
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "written",
    [
        "A flat white is 4.90 euro.",
        "Our barista Paolo makes a flat white for 3.90 euro.",
        "An espresso is 3.90 euro.",
        "It rains in Spain mostly on plains.",
    ],
)
def test_a_claim_that_its_line_does_not_hold_never_comes_out(
    assistant: AssistantService, model: Model, written: str
) -> None:
    """A made-up price or name, what is true of another line, other words: the owner's own words come instead."""
    model.answers = [
        ({"answered": True, "lines": [2]}, 0.99),
        ({"stated": True}, 0.99),
        ({"claims": [{"line": 1, "text": written}]}, None),
    ]
    reply = assistant.ask("How much is a flat white?")
    assert reply.answer == "Flat white: 3.90 euro"
    assert [c.quote for c in reply.citations] == ["- Flat white: 3.90 euro"]


def test_numbers_outside_of_the_enum_cannot_be_asked_for(assistant: AssistantService, model: Model) -> None:
    """The schema names the lines that exist, and what breaks it all the same is not used."""
    model.answers = [httpx.Response(200, json={"choices": [{"message": {"content": '{"lines": [99]}'}}]})]
    with pytest.raises(ConstraintFailed):
        assistant.ask("How much is a flat white?")
    schema = model.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["lines"]["items"] == {"enum": [1, 2, 3]}


def test_an_answer_cites_what_stands_in_the_document(assistant: AssistantService, model: Model) -> None:
    """The quote is the document's own bytes; the writer sees the chosen lines and nothing else."""
    model.answers = [
        ({"answered": True, "lines": [2, 3]}, 0.98),
        ({"stated": True}, 0.97),
        (
            {
                "claims": [
                    {"line": 1, "text": "A flat white is 3.90 euro."},
                    {"line": 2, "text": "With oat milk it is 0.40 euro extra."},
                ]
            },
            None,
        ),
    ]
    events = list(assistant.stream("How much is a flat white with oat milk?"))
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert reply.answer == "A flat white is 3.90 euro. With oat milk it is 0.40 euro extra."
    assert all(c.quote in PRICES and c.filename == "prices.md" for c in reply.citations)
    assert len(reply.citations) == 2
    assert reply.confidence > 0.5
    assert "".join(e.text for e in events if isinstance(e, Token)) == reply.answer
    assert [e.text for e in events if isinstance(e, Step)][-1] == "Writing"
    assert "Espresso" not in model.prompt_of(2)


def test_a_model_that_is_away_ends_the_stream_with_its_error(assistant: AssistantService, model: Model) -> None:
    """A clear failure, not a broken stream."""
    model.answers = [httpx.Response(503, json={"error": {"message": "loading", "code": "loading"}})]
    last = list(assistant.stream("How much is a flat white?"))[-1]
    assert isinstance(last, Failure)
    assert isinstance(last.error, InferenceUnavailable)


def test_the_route_answers_whole_and_as_events(
    client: TestClient, services: Services, assistant: AssistantService, model: Model
) -> None:
    """The same body at the end of both."""
    project = services.within("prj_default")
    project.memory.add("prices.md", PRICES.encode(), "t")
    project.assistant = AssistantService(project.memory, assistant._llm)
    script = [
        ({"answered": True, "lines": [2]}, 0.99),
        ({"stated": True}, 0.99),
        ({"claims": [{"line": 1, "text": "A flat white is 3.90 euro."}]}, None),
    ]
    model.answers = [*script, *script]
    whole = client.post("/api/v1/assistant/query", json={"question": "How much is a flat white?"}).json()
    cited = whole["citations"][0]
    assert project.memory.passage(cited["asset_id"], cited["chunk_id"]).asset.filename == "prices.md"
    assert cited | {"asset_id": "", "chunk_id": 0} == {
        "asset_id": "", "filename": "prices.md", "quote": "- Flat white: 3.90 euro", "place": "Prices", "chunk_id": 0
    }  # fmt: skip
    answer = client.post("/api/v1/assistant/query", json={"question": "How much is a flat white?", "stream": True})
    events = [e.split("\n") for e in answer.text.strip().split("\n\n")]
    names = [e[0].removeprefix("event: ") for e in events]
    assert names[-3:] == ["token", "citations", "done"]
    assert json.loads(events[-1][1].removeprefix("data: ")) == whole
    assert client.post("/api/v1/assistant/query", json={"question": ""}).status_code == 422
    assert client.post("/api/v1/assistant/query", json={}).status_code == 422
