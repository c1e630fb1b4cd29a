"""The ``llm`` command, unmodified: the model comes from its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.clients.serving import City, Server

pytestmark = pytest.mark.model


@pytest.fixture
def llm(server: Server, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command with a folder of its own."""
    model = {
        "model_id": "herald",
        "model_name": server.model,
        "api_base": server.base_url,
        "api_key_name": "herald",
        "supports_schema": True,
        "supports_tools": True,
    }
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump([model]))
    (tmp_path / "keys.json").write_text(json.dumps({"herald": server.key}))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
        command = [sys.executable, "-m", "llm", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_wrong_key_is_reported(llm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The server's own words reach the terminal."""
    result = llm("-m", "herald", "--key", "wrong", "Hello")
    assert result.returncode == 1
    assert "Incorrect API key provided" in result.stderr


def test_a_prompt_is_answered_streamed_or_not(llm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Both ways print the same text."""
    options = ("-m", "herald", "-o", "temperature", "0", "-o", "max_tokens", "4", "Tell me about Paris.")
    streamed, whole = llm(*options), llm("--no-stream", *options)
    assert streamed.returncode == whole.returncode == 0, streamed.stderr + whole.stderr
    assert streamed.stdout == whole.stdout
    assert streamed.stdout.strip()


def test_a_schema_is_kept(llm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """``--schema`` prints JSON that satisfies it."""
    schema = json.dumps(City.model_json_schema())
    result = llm("-m", "herald", "--schema", schema, "-o", "max_tokens", "40", "Tell me about Paris.")
    assert result.returncode == 0, result.stderr
    City.model_validate_json(result.stdout)
