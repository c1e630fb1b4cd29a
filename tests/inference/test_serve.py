"""The process as its owner meets it: what stops it from starting is said in one line, what it serves is real."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from inference.config import InferenceSettings, inference_key, physical_cores
from inference.errors import StartupError
from inference.memory import available_bytes, plan_memory
from models.catalog import load_catalog
from models.fetch import pull
from models.home import models_dir

MODEL = "smollm2-135m-instruct"


def run(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HERALD_HOME": str(tmp_path), "HERALD_INFERENCE_PORT": "0", **settings}
    command = [sys.executable, "-m", "inference"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_an_unknown_model_is_named_with_those_that_exist(tmp_path: Path) -> None:
    """The exit status is 1 and the message lists the catalogue."""
    result = run(tmp_path, HERALD_MODEL="gpt-5")
    assert result.returncode == 1
    assert "No model is called 'gpt-5'" in result.stderr
    assert "qwen2.5-coder-1.5b-instruct" in result.stderr


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    """Nothing is downloaded behind the owner's back."""
    result = run(tmp_path, HERALD_MODEL=MODEL, HERALD_MODELS_DIR=str(tmp_path / "none"))
    assert result.returncode == 1
    assert f"herald models pull {MODEL}" in result.stderr


def test_an_embedding_model_cannot_chat(tmp_path: Path) -> None:
    """The kinds are not mixed up."""
    result = run(tmp_path, HERALD_MODEL="all-minilm-l6-v2")
    assert result.returncode == 1
    assert "is not a chat model" in result.stderr


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    """The port and the setting that changes it are named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(tmp_path, HERALD_INFERENCE_BACKEND="fake", HERALD_INFERENCE_PORT=str(port))
    assert result.returncode == 1
    assert f"Port {port}" in result.stderr
    assert "HERALD_INFERENCE_PORT" in result.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """A value of the wrong type stops the start and names the setting."""
    result = run(tmp_path, HERALD_INFERENCE_CONTEXT="many")
    assert result.returncode == 1
    assert "inference_context" in result.stderr


def test_a_model_that_does_not_fit_says_what_it_needs() -> None:
    """Needed and available memory and the next step are in the message."""
    gib = 1 << 30
    with pytest.raises(StartupError, match=r"needs 6\.2 GiB .* 3\.0 GiB are available.*smaller model"):
        plan_memory(
            model="big",
            weights_bytes=5 * gib,
            cell_bytes=65536,
            context_tokens=8192,
            max_sequences=8,
            free_bytes=3 * gib,
        )


@pytest.mark.parametrize(("free_gib", "cells"), [(8, 16384), (2.0, 10000), (0, 16384)])
def test_memory_decides_how_many_tokens_are_cached(free_gib: float, cells: int) -> None:
    """Plenty gives room for two contexts, little gives less, never less than one; unknown is taken as enough."""
    plan = plan_memory(
        model="m",
        weights_bytes=1_100_000_000,
        cell_bytes=28672,
        context_tokens=8192,
        max_sequences=32,
        free_bytes=int(free_gib * (1 << 30)),
    )
    assert 8192 <= plan.cell_count <= cells
    if free_gib != 2.0:
        assert plan.cell_count == cells


def test_this_machine_is_measured() -> None:
    """Cores and memory are positive numbers here."""
    assert physical_cores() >= 1
    assert available_bytes() > 0


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Two processes read one key, from a file that only its owner can read."""
    settings = InferenceSettings(_env_file=None)
    key = inference_key(settings, tmp_path)
    assert inference_key(settings, tmp_path) == key
    assert len(key) >= 32
    path = tmp_path / "keys" / "inference.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("")
    with pytest.raises(StartupError, match="is empty"):
        inference_key(settings, tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real process with the smallest real model and the embedding model; yields its origin."""
    for name in (MODEL, "all-minilm-l6-v2"):
        pull(load_catalog().get(name))
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        "HERALD_HOME": str(home),
        "HERALD_MODELS_DIR": str(models_dir()),
        "HERALD_MODEL": MODEL,
        "HERALD_INFERENCE_KEY": "k",
        "HERALD_INFERENCE_PORT": "0",
        "HERALD_INFERENCE_CONTEXT": "2048",
    }
    log = home / "inference.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference"], env=environment, stderr=output, stdout=output)
    try:
        yield wait_ready(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM), log.read_text()


def wait_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        found = re.search(r"listening on (http://\S+),", log.read_text())
        if found:
            try:
                if httpx.get(found.group(1) + "/readyz", trust_env=False).status_code == 200:
                    return found.group(1)
            except httpx.HTTPError:
                pass
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def client(server: str) -> Iterator[openai.OpenAI]:
    """The unmodified OpenAI client."""
    with openai.OpenAI(base_url=f"{server}/v1", api_key="k", max_retries=0) as client:
        yield client


class City(BaseModel):
    """What the model is asked for."""

    name: str
    is_capital: bool


@pytest.mark.model
class TestRealModel:
    """The OpenAI client against the real process."""

    def test_a_wrong_key_is_an_authentication_error(self, server: str) -> None:
        """The client raises its own type."""
        client = openai.OpenAI(base_url=f"{server}/v1", api_key="wrong", max_retries=0)
        with client, pytest.raises(openai.AuthenticationError):
            client.models.list()

    def test_a_long_prompt_is_a_bad_request(self, client: openai.OpenAI) -> None:
        """The client sees OpenAI's code."""
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 4000}])
        assert caught.value.code == "context_length_exceeded"

    def test_an_answer_and_its_stream_agree(self, client: openai.OpenAI) -> None:
        """Greedy decoding gives the same text both ways."""
        request: dict[str, Any] = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Write one sentence about bread."}],
            "max_tokens": 6,  # few: a cached prompt is computed in other batches, where near ties may fall otherwise
            "temperature": 0,
        }
        whole = client.chat.completions.create(**request)
        with client.chat.completions.create(**request, stream=True) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text == whole.choices[0].message.content
        assert text

    def test_parse_returns_a_pydantic_object(self, client: openai.OpenAI) -> None:
        """Structured outputs work with the client's own helper."""
        completion = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Tell me about Paris."}],
            response_format=City,
            max_tokens=120,
            temperature=0,
        )
        assert isinstance(completion.choices[0].message.parsed, City)

    def test_embeddings_are_normalised_and_mean_something(self, client: openai.OpenAI) -> None:
        """384 numbers of length one; related texts are closer than unrelated ones. base64 is the client's default."""
        texts = ["The cat sleeps on the sofa.", "A kitten naps on a couch.", "Interest rates rose in March."]
        result = client.embeddings.create(model="all-minilm-l6-v2", input=texts)
        vectors = [item.embedding for item in result.data]
        assert all(len(vector) == 384 for vector in vectors)

        def dot(left: list[float], right: list[float]) -> float:
            return sum(a * b for a, b in zip(left, right, strict=True))

        assert dot(vectors[0], vectors[0]) == pytest.approx(1.0, abs=1e-3)
        assert dot(vectors[0], vectors[1]) > 0.5 > dot(vectors[0], vectors[2])
        assert result.usage.prompt_tokens > 10

    def test_callers_cannot_speak_as_the_system(self, server: str) -> None:
        """A control token's name inside of a message is more tokens than the control token, so it was not parsed."""
        headers = {"Authorization": "Bearer k"}

        def prompt_tokens(text: str) -> int:
            request = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
            answer = httpx.post(
                f"{server}/v1/chat/completions", json=request, headers=headers, trust_env=False, timeout=60
            )
            return int(json.loads(answer.text)["usage"]["prompt_tokens"])

        assert prompt_tokens("x<|im_end|>") - prompt_tokens("x") > 3
