"""The real process, killed again and again in the middle of a batch: no line is lost, none has two results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from models.catalog import load_catalog
from models.fetch import pull
from models.home import models_dir

CHAT = "/v1/chat/completions"
MODEL = "smollm2-135m-instruct"
LINES = 300


@contextmanager
def process(home: Path, **settings: str) -> Iterator[tuple[openai.OpenAI, subprocess.Popen[bytes]]]:
    """``python -m inference`` on a free port; killed at the end like by ``kill -9``."""
    environment = {
        **os.environ,
        "HERALD_HOME": str(home),
        "HERALD_INFERENCE_KEY": "k",
        "HERALD_INFERENCE_PORT": "0",
        **settings,
    }
    log = home / "inference.log"
    with log.open("wb") as output:
        child = subprocess.Popen([sys.executable, "-m", "inference"], env=environment, stdout=output, stderr=output)
    try:
        with (
            httpx.Client(trust_env=False) as http,
            openai.OpenAI(
                base_url=_origin(child, log, http) + "/v1", api_key="k", max_retries=0, http_client=http
            ) as client,
        ):
            yield client, child
    finally:
        child.kill()
        child.wait(10)


def _origin(child: subprocess.Popen[bytes], log: Path, http: httpx.Client) -> str:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        assert child.poll() is None, log.read_text()
        if found := re.search(r"listening on (http://\S+),", log.read_text()):
            try:
                http.get(found[1] + "/healthz")
            except httpx.TransportError:
                pass
            else:
                return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def finished(client: openai.OpenAI, batch_id: str, timeout_s: float) -> Any:
    """The batch once it is completed."""
    deadline_s = time.monotonic() + timeout_s
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        assert time.monotonic() < deadline_s, batch
        time.sleep(0.1)
    return batch


def test_a_batch_survives_kills(tmp_path: Path) -> None:
    """After each kill the end of the journal is torn too, as a power cut would; the results are whole all the same."""
    fake = {
        "HERALD_INFERENCE_BACKEND": "fake",
        "HERALD_MODEL": "fake",
        "HERALD_MODELS_DIR": str(tmp_path / "none"),
        "HERALD_INFERENCE_MAX_SEQUENCES": "4",
    }
    entries = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": CHAT,
            "body": {
                "model": "fake",
                "messages": [{"role": "user", "content": f"hello {number}"}],
                "max_tokens": 30 if number % 10 else 100_000,  # every tenth fails
                "seed": number,
            },
        }
        for number in range(LINES)
    ]
    content = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    with process(tmp_path, **fake) as (client, _):
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    output = tmp_path / "batches" / f"{batch.id}.output.jsonl"
    kills, done = 0, 0
    for goal in (20, 80, 140):
        with process(tmp_path, **fake) as (client, child):
            while (counts := client.batches.retrieve(batch.id).request_counts).completed < goal:
                assert counts.total == LINES
                time.sleep(0.005)
            child.kill()
            child.wait(10)
        written = output.read_bytes().splitlines(keepends=True)
        assert goal <= len(written) < LINES * 0.9
        assert len(written) >= done
        done = len(written) - 1
        output.write_bytes(b"".join(written[:-1]) + written[-1][:-5])
        kills += 1
    assert kills == 3
    with process(tmp_path, **fake) as (client, _):
        batch = finished(client, batch.id, 60)
        answers = [json.loads(entry) for entry in client.files.content(batch.output_file_id).text.splitlines()]
        errors = [json.loads(entry) for entry in client.files.content(batch.error_file_id).text.splitlines()]
    assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES * 9 // 10, "failed": LINES // 10}
    ids = [entry["custom_id"] for entry in answers + errors]
    assert sorted(ids) == sorted(entry["custom_id"] for entry in entries)
    used = sum(entry["response"]["body"]["usage"]["completion_tokens"] for entry in answers)
    assert batch.usage.output_tokens == used > 0
    leftovers = [path.name for path in (tmp_path / "batches").iterdir() if path.suffix == ".jsonl"]
    assert leftovers == []


@pytest.mark.model
def test_a_real_model_answers_a_batch_in_the_lines_own_schemas(tmp_path: Path) -> None:
    """Each line's constraint holds, and the usage says what the batch took."""
    pull(load_catalog().get(MODEL))
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green", "blue"]}, "hot": {"type": "boolean"}},
        "required": ["colour", "hot"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}
    entries = [
        {
            "custom_id": thing,
            "method": "POST",
            "url": CHAT,
            "body": {
                "model": MODEL,
                "messages": [{"role": "user", "content": f"Which colour is {thing}, and is it hot?"}],
                "max_tokens": 48,
                "temperature": 0,
                **({"response_format": form} if thing != "the moon" else {}),
            },
        }
        for thing in ("fire", "the sea", "grass", "the moon")
    ]
    content = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    settings = {"HERALD_MODEL": MODEL, "HERALD_MODELS_DIR": str(models_dir()), "HERALD_INFERENCE_CONTEXT": "1024"}
    with process(tmp_path, **settings) as (client, _):
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        batch = finished(client, batch.id, 120)
        answers = [json.loads(entry) for entry in client.files.content(batch.output_file_id).text.splitlines()]
    assert batch.error_file_id is None
    texts = {entry["custom_id"]: entry["response"]["body"]["choices"][0]["message"]["content"] for entry in answers}
    assert texts.keys() == {"fire", "the sea", "grass", "the moon"}
    for thing in ("fire", "the sea", "grass"):
        value = json.loads(texts[thing])
        assert value["colour"] in ("red", "green", "blue")
        assert isinstance(value["hot"], bool)
    assert texts["the moon"]
    assert batch.usage.total_tokens == sum(entry["response"]["body"]["usage"]["total_tokens"] for entry in answers)
