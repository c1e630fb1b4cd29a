"""What every engine owes its callers, over HTTP: fake, llama.cpp and vLLM, the latter two with the 135M model."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from inference.config import InferenceSettings
from inference.serve import make_engine
from models.catalog import load_catalog
from models.fetch import pull
from tests.inference.upstream.serving import MODEL, Served, require_vllm, serve_engine, until

pytestmark = pytest.mark.timeout(400)  # vLLM's start counts as a part of its first test

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "maxLength": 12},
        "capital": {"type": "boolean"},
        "rank": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city", "capital", "rank"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Bonn", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        pytest.param("llama_cpp", marks=pytest.mark.model),
        pytest.param("vllm", marks=[pytest.mark.model, pytest.mark.vllm]),
    ],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server of each kind for the whole file, made as the process makes it."""
    if request.param == "vllm":
        require_vllm()
    elif request.param == "llama_cpp":
        pull(load_catalog().get(MODEL))
    options: dict[str, Any] = {
        "model": "fake" if request.param == "fake" else MODEL,
        "inference_backend": request.param,
        "inference_context": 1024,
        "inference_max_sequences": 8,
        "inference_threads": 2,
        "vllm_args": "--enforce-eager",  # to compile the model takes longer than to run these tests
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HERALD_HOME", str(tmp_path_factory.mktemp("home")))
        engine = make_engine(InferenceSettings(_env_file=None, **options))
    with serve_engine(engine) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


class Asker:
    """Requests to the server under test."""

    def __init__(self, served: Served, client: httpx.Client) -> None:
        self.served = served
        self.client = client

    def post(self, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
        body: dict[str, Any] = {"model": self.served.model, "temperature": 0, "max_tokens": 24, **fields}
        if path == "/v1/chat/completions":
            body.setdefault("messages", [{"role": "user", "content": "Write one sentence about bread."}])
        return self.client.post(path, json={key: value for key, value in body.items() if value is not None})

    def choice(self, **fields: Any) -> dict[str, Any]:
        response = self.post(**fields)
        assert response.status_code == 200, response.text
        return response.json()["choices"][0]

    def text(self, **fields: Any) -> str:
        return str(self.choice(**fields)["message"]["content"])

    def events(self, **fields: Any) -> list[dict[str, Any]]:
        response = self.post(stream=True, **fields)
        assert response.status_code == 200, response.text
        lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
        assert lines[-1] == "[DONE]", lines[-1]
        return [json.loads(line) for line in lines[:-1]]

    def metric(self, name: str) -> float:
        found = re.search(rf"^herald_inference_{name} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert found, name
        return float(found.group(1))


@pytest.fixture
def ask(served: Served, client: httpx.Client) -> Asker:
    return Asker(served, client)


def said(events: list[dict[str, Any]]) -> str:
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])


def json_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "gpt-5"}, 404, "model_not_found"),
        ({"temperature": 3}, 400, "invalid_request"),
        ({"max_tokens": 5000}, 400, "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": "word " * 2000}]}, 400, "context_length_exceeded"),
        ({"response_format": json_format({"type": "nope"})}, 400, "invalid_schema"),
        ({"structured_outputs": {"regex": "[a-z"}}, 400, "invalid_schema"),
        ({"structured_outputs": {"grammar": "start: nothing"}}, 400, "invalid_schema"),
        ({"structured_outputs": {"choice": []}}, 400, "invalid_schema"),
        ({"logit_bias": {"9999999": 1}}, 400, "invalid_request"),
    ],
)
def test_a_wrong_request_is_refused_alike(ask: Asker, fields: dict[str, Any], status: int, code: str) -> None:
    """Whoever computes, the status and the code are the same, and so they are for a stream."""
    for stream in (False, True):
        response = ask.post(stream=stream, **fields)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text


def test_a_token_outside_of_the_vocabulary_is_refused(ask: Asker) -> None:
    """Bare prompts may be tokens, but only such that exist."""
    response = ask.post("/v1/completions", prompt=[5, 99_999_999])
    assert response.status_code == 400
    assert "vocabulary" in response.json()["error"]["message"]


def test_a_stream_is_the_answer_in_pieces(ask: Asker) -> None:
    """Greedy decoding gives the same text both ways, with the same usage."""
    ask.post()  # both below find their prompt cached: in other batches near ties may fall otherwise
    response = ask.post().json()
    events = ask.events(stream_options={"include_usage": True})
    assert said(events) == response["choices"][0]["message"]["content"]
    assert len(events) > 5
    usage = [event["usage"] for event in events if event["usage"]][-1]
    for counted in (usage, response["usage"]):
        assert counted["completion_tokens"] > 0
        assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]
    assert usage["completion_tokens"] == response["usage"]["completion_tokens"]


def test_max_tokens_cut_the_answer(ask: Asker) -> None:
    """The reason is length and the count is exact."""
    response = ask.post(max_tokens=5).json()
    assert response["choices"][0]["finish_reason"] == "length"
    assert response["usage"]["completion_tokens"] == 5


def test_a_stop_string_ends_the_answer_before_itself(ask: Asker) -> None:
    """Also where it begins in the middle of a token, and in a stream."""
    whole = ask.text()
    stop = whole[9:12]
    expected = whole[: whole.index(stop)]
    choice = ask.choice(stop=[stop])
    assert (choice["message"]["content"], choice["finish_reason"]) == (expected, "stop")
    assert said(ask.events(stop=[stop])) == expected


def test_a_seed_repeats_an_answer(ask: Asker) -> None:
    """At full temperature, and other seeds give other answers."""
    answers = [ask.text(temperature=1, seed=seed) for seed in (5, 5, 6, 7)]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1


def test_log_probabilities_spell_the_answer(ask: Asker) -> None:
    """Their bytes join to the text, the alternatives come in order, and all are at most zero."""
    for top in (0, 3):
        choice = ask.choice(logprobs=True, top_logprobs=top, max_tokens=12)
        content = choice["logprobs"]["content"]
        assert bytes(byte for token in content for byte in token["bytes"]).decode() == choice["message"]["content"]
        for token in content:
            likely = [alternative["logprob"] for alternative in token["top_logprobs"]]
            assert len(likely) == top
            assert likely == sorted(likely, reverse=True)
            assert max([token["logprob"], *likely]) <= 0
            assert not likely or likely[0] >= token["logprob"] - 0.01


def test_json_satisfies_its_schema(ask: Asker) -> None:
    """At full temperature too, whole and streamed."""
    for seed in range(3):
        fields = {"response_format": json_format(SCHEMA), "temperature": 1, "seed": seed, "max_tokens": 120}
        choice = ask.choice(**fields)
        assert choice["finish_reason"] == "stop"
        jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMA)
        jsonschema.validate(json.loads(said(ask.events(**fields))), SCHEMA)


def test_a_regex_a_choice_and_a_grammar_hold(ask: Asker) -> None:
    """The other kinds of structured outputs."""
    date = ask.text(structured_outputs={"regex": r"20[0-9]{2}-[01][0-9]"}, temperature=1)
    assert re.fullmatch(r"20[0-9]{2}-[01][0-9]", date)
    assert ask.text(structured_outputs={"choice": ["red", "light green"]}, temperature=1) in ("red", "light green")
    grammar = 'start: "yes" | "no" " " /[a-z]{3}/'
    assert re.fullmatch("yes|no [a-z]{3}", ask.text(structured_outputs={"grammar": grammar}, temperature=1))


def test_a_constrained_answer_that_is_cut_says_so(ask: Asker) -> None:
    """Half of a JSON object is no error, but its reason is length."""
    choice = ask.choice(response_format=json_format(SCHEMA), max_tokens=4)
    assert choice["finish_reason"] == "length"


def test_a_required_tool_is_called_with_arguments_of_its_schema(ask: Asker) -> None:
    """Whether chosen by the model or named by the caller."""
    for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
        answer = ask.choice(tools=[WEATHER], tool_choice=choice, max_tokens=60)
        call = answer["message"]["tool_calls"][0]["function"]
        assert call["name"] == "weather"
        assert json.loads(call["arguments"])["city"] in ("Bonn", "Rome")


def test_an_offered_tool_leaves_text_or_a_sound_call(ask: Asker) -> None:
    """Nothing between the two comes out."""
    for seed in range(3):
        answer = ask.choice(tools=[WEATHER], temperature=1, seed=seed, max_tokens=60)
        calls = answer["message"].get("tool_calls")
        assert (answer["finish_reason"] == "tool_calls") == bool(calls)
        if calls:
            assert json.loads(calls[0]["function"]["arguments"])["city"] in ("Bonn", "Rome")
        elif answer["finish_reason"] == "stop":
            assert not answer["message"]["content"].startswith(("{", "<"))


def test_bare_prompts_go_on_as_they_are(ask: Asker) -> None:
    """As text and as tokens, without a chat template."""
    response = ask.post("/v1/completions", prompt="Once upon a time", max_tokens=6, logprobs=2).json()
    choice = response["choices"][0]
    assert choice["text"]
    assert len(choice["logprobs"]["tokens"]) == response["usage"]["completion_tokens"] == 6
    tokens = ask.post("/v1/completions", prompt=[40, 41, 42], max_tokens=4).json()
    assert tokens["usage"]["prompt_tokens"] == 3


def test_callers_cannot_speak_as_the_system(ask: Asker) -> None:
    """A control token's name inside of a message is more tokens than the control token, so it was not parsed."""

    def prompt_tokens(text: str) -> int:
        messages = [{"role": "user", "content": text}]
        return int(ask.post(messages=messages, max_tokens=1).json()["usage"]["prompt_tokens"])

    assert prompt_tokens("x<|im_end|>") - prompt_tokens("x") > 3


def test_several_choices_are_told_apart(ask: Asker) -> None:
    """Two answers of one prompt, which counts once."""
    response = ask.post(n=2, temperature=1, seed=3, max_tokens=8).json()
    assert [choice["index"] for choice in response["choices"]] == [0, 1]
    assert response["usage"]["completion_tokens"] <= 16


def test_a_client_that_leaves_frees_its_place(ask: Asker) -> None:
    """The engine stops computing, and answers the next request."""
    body = {"model": ask.served.model, "messages": [{"role": "user", "content": "Count to a million."}]}
    fields = {**body, "stream": True, "max_tokens": 900, "logit_bias": {"2": -100, "0": -100}}
    with ask.client.stream("POST", "/v1/chat/completions", json=fields) as response:
        lines = response.iter_lines()  # kept: the response is closed with its iterator
        next(lines)
    until(lambda: ask.metric("running") == 0)
    assert ask.text(max_tokens=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "served", [pytest.param("vllm", marks=[pytest.mark.model, pytest.mark.vllm])], indirect=True, scope="module"
)
def test_a_vllm_that_is_killed_is_started_again(ask: Asker) -> None:
    """The answer under way ends with an error, others are told to come again, and then they are served."""
    process = ask.served.engine._fleet
    # An answer that cannot be over before its server is killed.
    endless = {"stream": True, "structured_outputs": {"regex": "([a-z] ){400}"}}
    fields = {"model": ask.served.model, "messages": [{"role": "user", "content": "Count."}], **endless}
    with ask.client.stream("POST", "/v1/chat/completions", json=fields) as response:
        lines = (line for line in response.iter_lines() if line.startswith("data: {"))
        next(lines)
        os.killpg(process.pid, signal.SIGKILL)
        assert json.loads(list(lines)[-1][6:])["error"]["code"] == "engine_failed"
    assert ask.post().status_code == 503
    until(lambda: ask.served.engine.status().status == "ready", within_s=300)
    assert ask.text()
    assert process.starts == 2
