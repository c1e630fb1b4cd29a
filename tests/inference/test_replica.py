"""A replica of vLLM: what stops it, and that it is started as inference starts its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.replica import replica_command
from inference.upstream import opening
from inference.upstream.vllm_plan import GIB, Card
from scripts.setup.box import cache_home
from tests.inference.upstream.serving import require_vllm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's description and a stand-in for vLLM's Python, which prints what it was started with."""
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"num_attention_heads": 8, "num_hidden_layers": 4, "hidden_size": 64, "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(64))
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\necho "key=$VLLM_API_KEY"\nenv | grep -c ^HERALD_\n')
    python.chmod(0o755)
    return folder


def _settings(folder: Path, **options: object) -> InferenceSettings:
    return InferenceSettings(
        _env_file=None, vllm_model=folder, vllm_python=folder.parent / "python", model="small", **options
    )


def test_one_that_others_reach_needs_a_key(folder: Path) -> None:
    """Anybody could ask it otherwise; on loopback it may go without."""
    with pytest.raises(StartupError, match=r"HERALD_VLLM_HOST is 0\.0\.0\.0, which other machines reach"):
        replica_command(_settings(folder, vllm_host="0.0.0.0"))
    command, environment = replica_command(_settings(folder))
    assert "VLLM_API_KEY" not in environment
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_what_is_missing_is_named(folder: Path) -> None:
    """vLLM itself, and the model."""
    with pytest.raises(StartupError, match=r"vLLM's Python .* is not there"):
        replica_command(InferenceSettings(_env_file=None, vllm_model=folder, vllm_python=folder / "no"))
    with pytest.raises(StartupError, match=r"config\.json"):
        replica_command(_settings(folder / "no"))


def test_a_wrong_setting_stops_it_in_one_line() -> None:
    """As the process ends in a container's log."""
    done = subprocess.run(
        [sys.executable, "-m", "inference.replica"],
        env={**os.environ, "HERALD_VLLM_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("the replica cannot start: HERALD_VLLM_PORT: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_becomes_vllm_with_the_options_that_the_gateway_needs(folder: Path, tmp_path: Path) -> None:
    """The key from a file of secrets, in the environment alone; nothing of Herald's own settings is passed on."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "herald_vllm_key").write_text("shared-key\n")
    settings = {
        "HERALD_SECRETS_DIR": str(tmp_path / "secrets"),
        "HERALD_VLLM_HOST": "0.0.0.0",
        "HERALD_VLLM_MODEL": str(folder),
        "HERALD_VLLM_PYTHON": str(tmp_path / "python"),
        "HERALD_MODEL": "small",
    }
    done = subprocess.run(
        [sys.executable, "-m", "inference.replica"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    command, key, passed_on = done.stdout.strip().splitlines()
    assert "--host 0.0.0.0 --port 8000" in command
    assert "--scheduling-policy priority" in command
    assert "--enable-prompt-tokens-details" in command
    assert '--structured-outputs-config {"backend": "guidance"}' in command
    assert "shared-key" not in command
    assert key == "key=shared-key"
    assert passed_on == "0"


def test_it_is_planned_for_the_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As inference plans for its own."""
    monkeypatch.setattr(opening, "find_cards", lambda: (Card("L4", 24 * GIB, (8, 9)),))
    command, _ = replica_command(_settings(folder, vllm_args="--enforce-eager"))
    assert command[command.index("--dtype") + 1] == "bfloat16"
    assert command[-1] == "--enforce-eager"


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
def test_vllm_takes_every_option(folder: Path, monkeypatch: pytest.MonkeyPatch, nodes: int) -> None:
    """Its own parser does, for plans over several cards and over several machines."""
    require_vllm()
    python = cache_home() / "vllm" / "env" / "bin" / "python"
    monkeypatch.setattr(opening, "find_cards", lambda: (Card("H100", 80 * GIB, (9, 0)),) * 8)
    command, _ = replica_command(_settings(folder, vllm_nodes=nodes))
    parse = (
        "import sys\nfrom vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "found = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])\n"
        "print(found.data_parallel_size, found.data_parallel_backend)"
    )
    arguments = command[command.index("vllm.entrypoints.openai.api_server") + 1 :]
    done = subprocess.run(
        [python, "-W", "ignore", "-c", parse, *arguments],
        env={**os.environ, "VLLM_TARGET_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == {1: "8 mp", 2: "16 ray"}[nodes]
