"""What goes wrong with hosted providers, and what is refused before they are asked; with stand-ins for them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.serve import make_engine
from inference.upstream.opening import provider_key
from tests.inference.upstream.asking import CALL, SCHEMA, WEATHER, Make, json_format, post, settings
from tests.inference.upstream.providers import (
    anthropic_events,
    openai_call,
    openai_events,
    refusal,
    text_block,
    tool_block,
)
from tests.inference.upstream.serving import serve_engine, until

REFUSED = [
    (401, {}, 502, "upstream_refused", None),
    (403, {}, 502, "upstream_refused", None),
    (429, {"retry-after": "17"}, 429, "rate_limit_exceeded", "17"),
    (429, {}, 429, "rate_limit_exceeded", "5"),
    (500, {}, 500, "engine_failed", None),
    (503, {"retry-after": "3"}, 503, "not_ready", "3"),
    (529, {}, 503, "not_ready", "5"),
    (404, {}, 404, "model_not_found", None),
    (400, {}, 400, "invalid_request", None),
]


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_errors_of_a_provider_become_ours(make: Make, backend: str) -> None:
    """Status, code and Retry-After; the provider's words where they are fit to be shown, the key never."""
    provider, client = make(backend)
    for status, headers, ours, code, retry_after in REFUSED:
        provider.refusals.append(refusal(status, "Sorry, sk-secret-1 …", headers, code="odd"))
        response = post(client)
        error = response.json()["error"]
        assert (response.status_code, error["code"], response.headers.get("retry-after")) == (ours, code, retry_after)
        assert status not in (401, 403) or "sk-secret-1" not in error["message"]
        assert client.get("/metrics").text.count("herald_inference_running 0\n") == 1


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'{"detail": "no"}', b'{"error": "no"}'])
def test_an_error_in_another_shape_is_still_an_error(make: Make, body: bytes) -> None:
    """Gateways answer in their own shapes."""
    provider, client = make("openai")
    provider.refusals.append(Response(body, status_code=502))
    assert post(client).status_code == 503


def test_a_full_context_is_told_as_such(make: Make) -> None:
    """OpenAI's code, and Anthropic's words."""
    provider, client = make("openai")
    provider.refusals.append(refusal(400, "too long", code="context_length_exceeded", param="messages"))
    assert post(client).json()["error"]["code"] == "context_length_exceeded"
    provider, client = make("anthropic")
    provider.refusals.append(refusal(400, "prompt is too long: 9 tokens > 8 maximum", type="invalid_request_error"))
    assert post(client).json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_stream_that_is_cut_is_an_error(make: Make, backend: str, cut: int) -> None:
    """Wherever it ends before its finish reason: half an answer is none."""
    events = openai_events("Half", " an") if backend == "openai" else anthropic_events(text_block("Half", " an"))
    _, client = make(backend, *events[:cut])
    response = post(client)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_failed")
    assert "Send the request again" in response.json()["error"]["message"]
    lines = [line for line in post(client, stream=True).text.split("\n") if line.startswith("data: ")]
    assert json.loads(lines[-1][6:])["error"]["code"] == "engine_failed"


@pytest.mark.parametrize("garbage", ["data: {nonsense\n\n", 'data: {"choices": [{}]}\n\n', "data: 7\n\n"])
def test_garbage_in_a_stream_is_an_error(make: Make, garbage: str) -> None:
    """What cannot be read is not passed on."""
    _, client = make("openai", openai_events("Hi")[0], garbage)
    assert post(client).json()["error"]["code"] == "engine_failed"


def test_an_error_inside_of_a_stream_is_passed_on(make: Make) -> None:
    """Both providers report trouble after the first bytes as an event."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    _, client = make("anthropic", anthropic_events(text_block("Hi"))[0], overloaded)
    assert post(client).json()["error"]["code"] == "not_ready"
    _, client = make("openai", openai_events("Hi")[0], {"error": {"message": "The server had an error", "code": None}})
    assert post(client).json()["error"]["code"] == "engine_failed"


@pytest.mark.parametrize(
    ("backend", "fields", "param"),
    [
        ("openai", {"top_k": 5}, "top_k"),
        ("openai", {"min_p": 0.1}, "min_p"),
        ("openai", {"repetition_penalty": 1.1}, "repetition_penalty"),
        ("openai", {"structured_outputs": {"regex": "a+"}}, "structured_outputs"),
        ("anthropic", {"structured_outputs": {"grammar": 'start: "a"'}}, "structured_outputs"),
        ("anthropic", {"seed": 1}, "seed"),
        ("anthropic", {"logprobs": True}, "logprobs"),
        ("anthropic", {"logit_bias": {"1": 2}}, "logit_bias"),
        ("anthropic", {"presence_penalty": 1}, "presence_penalty"),
    ],
)
def test_what_a_provider_cannot_do_is_refused_here(make: Make, backend: str, fields: Any, param: str) -> None:
    """With OpenAI's code and the field's name, and nothing is sent."""
    provider, client = make(backend)
    response = post(client, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", param)
    assert not provider.bodies


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_bare_completions_and_bad_schemas_are_refused_here(make: Make, backend: str) -> None:
    """A schema is refused as the local engine refuses it."""
    provider, client = make(backend)
    response = client.post("/v1/completions", json={"model": "big-1", "prompt": "Once"})
    assert response.json()["error"]["code"] == "unsupported_parameter"
    assert post(client, response_format=json_format({"type": "nope"})).json()["error"]["code"] == "invalid_schema"
    assert not provider.bodies


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    """As does one that is missing, empty or broken over lines; each message names the file and the step."""
    with pytest.raises(StartupError, match=r"keys/openai\.key cannot be read.*HERALD_OPENAI_API_KEY"):
        provider_key("openai", None, tmp_path)
    path = tmp_path / "keys" / "openai.key"
    path.parent.mkdir()
    path.write_text("sk-1\n")
    path.chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        provider_key("openai", None, tmp_path)
    path.chmod(0o600)
    assert provider_key("openai", None, tmp_path) == "sk-1"
    for broken in ("", "a\nb"):
        path.write_text(broken)
        with pytest.raises(StartupError, match="empty or holds blanks"):
            provider_key("openai", None, tmp_path)


@pytest.mark.parametrize("url", ["http://example.com/v1", "ftp://example.com", "nonsense", "https://"])
def test_an_address_that_would_send_secrets_in_clear_stops_the_start(url: str) -> None:
    """Only this machine may be spoken to without TLS."""
    with pytest.raises(StartupError, match="HERALD_OPENAI_BASE_URL"):
        make_engine(
            InferenceSettings(_env_file=None, inference_backend="openai", openai_base_url=url, openai_api_key="k")
        )


def test_the_start_says_that_prompts_leave_the_machine(caplog: pytest.LogCaptureFixture) -> None:
    """One plain line, with the address."""
    with caplog.at_level(logging.WARNING):
        make_engine(InferenceSettings(_env_file=None, model="m", inference_backend="anthropic", anthropic_api_key="k"))
    assert "Prompts leave this machine" in caplog.text
    assert "https://api.anthropic.com" in caplog.text


def test_constrained_output_that_breaks_its_schema_fails(make: Make) -> None:
    """Whatever the provider promised: the check here has the last word."""
    for broken in ('{"city": "A long way from here"}', '{"city": 1}', "Sure! Here it is", '{"city": "Bonn"} '[:9]):
        _, client = make("openai", *openai_events(broken))
        response = post(client, response_format=json_format(SCHEMA))
        assert (response.status_code, response.json()["error"]["code"]) == (500, "constraint_failed")
        _, client = make("anthropic", *anthropic_events(tool_block("answer", broken), stop="tool_use"))
        assert post(client, response_format=json_format(SCHEMA)).json()["error"]["code"] == "constraint_failed"


def test_a_broken_tool_call_fails(make: Make) -> None:
    """A tool that was not offered, wrong arguments, or two calls at once."""
    two = [*openai_call("weather", CALL)]
    second = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "weather", "arguments": CALL}}
    two.insert(3, {"choices": [{"index": 0, "delta": {"tool_calls": [second]}, "finish_reason": None}]})
    for events in (openai_call("sell", CALL), openai_call("weather", '{"city": 3}'), openai_call("weather", "{"), two):
        _, client = make("openai", *events)
        response = post(client, tools=[WEATHER], tool_choice="auto")
        assert response.json()["error"]["code"] == "constraint_failed", response.text


def test_a_refusal_is_told_as_such(make: Make) -> None:
    """It is no answer, and sending it again would not help."""
    _, client = make("openai", *openai_events(refusal="I cannot help with that."))
    response = post(client)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "content_filter")
    assert "I cannot help" in response.json()["error"]["message"]
    _, client = make("anthropic", *anthropic_events(text_block(""), stop="refusal"))
    assert post(client).json()["error"]["code"] == "content_filter"


def test_a_client_that_leaves_hangs_up_on_the_provider(make: Make) -> None:
    """Nobody pays for an answer that nobody reads."""
    provider, client = make("openai", *openai_events("Once")[:2])
    provider.holds = True
    fields = {"model": "big-1", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=fields) as response:
        lines = response.iter_lines()  # kept: the response is closed with its iterator
        next(lines)
        assert "herald_inference_running 1\n" in client.get("/metrics").text
    until(lambda: provider.left == 1)
    until(lambda: "herald_inference_running 0\n" in client.get("/metrics").text)


def test_more_requests_than_are_taken_get_429(make: Make) -> None:
    """The bound is that of the local queue, and says which settings it is."""
    provider, client = make("openai", *openai_events("Once")[:2], inference_max_sequences=1, inference_queue=0)
    provider.holds = True
    fields = {"model": "big-1", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=fields) as response:
        lines = response.iter_lines()  # kept: the response is closed with its iterator
        next(lines)
        refused = post(client)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert "HERALD_INFERENCE_QUEUE" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) > 0


def test_a_provider_that_falls_silent_is_an_error(make: Make) -> None:
    """After the longest wait that is allowed."""
    provider, client = make("openai", *openai_events("Once")[:2], upstream_silence_s=0.3)
    provider.holds = True
    assert post(client).json()["error"]["code"] == "engine_failed"


def test_a_provider_that_cannot_be_reached_is_not_ready() -> None:
    """With Retry-After, so that clients come again by themselves."""
    with serve_engine(make_engine(settings("openai", "http://127.0.0.1:9"))) as served, served.client() as client:
        response = post(client)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_ready")
    assert response.headers["retry-after"] == "2"
