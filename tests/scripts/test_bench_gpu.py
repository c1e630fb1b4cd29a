"""The benchmark for cards, without a card: what it refuses, how it takes turns and counts, that its parts measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.upstream.vllm_plan import GIB, Card
from inference.upstream.vllm_process import VllmOptions
from scripts.benchmarks import gpu
from scripts.benchmarks.engine import Row
from scripts.benchmarks.engine_servers import PeerFailed, Running, herald

L4 = Card("L4", 24 * GIB, (8, 9))


@pytest.fixture
def served(tmp_path: Path) -> VllmOptions:
    """A model's description, and vLLM's Python, which is a script that a test writes."""
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"num_attention_heads": 8, "num_hidden_layers": 4, "hidden_size": 64, "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(64))
    (tmp_path / "python").touch()
    return VllmOptions(
        python=tmp_path / "python",
        folder=folder,
        model="small",
        context_tokens=4096,
        max_sequences=4,
        log=tmp_path / "vllm.log",
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Herald's real inference process on the fake backend."""
    home = str(tmp_path_factory.mktemp("home"))
    with herald("fake", backend="fake", HERALD_HOME=home) as server:
        yield server


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds is 0, at least 1 is needed"),
        (["--streams", "1", "2000"], "each must be from 1 to 1024"),
        (["--skip", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is allowed."""
    with pytest.raises(SystemExit) as ended:
        gpu.options_of(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_without_a_card_it_says_what_was_found_and_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No figure is printed that could be taken for one of a card."""
    monkeypatch.setattr(gpu, "find_cards", tuple)
    assert gpu.main([]) == 1
    said = capsys.readouterr()
    assert "nvidia-smi is not here or names no card" in said.err
    assert "compute capability 7.5 or newer is needed" in said.err
    assert "--on-cpu" in said.err
    assert not said.out


def test_a_card_that_vllm_does_not_know_is_refused() -> None:
    """One from before Turing; with --on-cpu no card is looked for."""
    with pytest.raises(gpu.Refused, match=r"P100 has compute capability 6\.0"):
        gpu.choose_card((Card("P100", 16 * GIB, (6, 0)),), on_cpu=False)
    assert gpu.choose_card((), on_cpu=True) is None
    assert gpu.choose_card((L4, L4), on_cpu=False) == L4


def test_a_model_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started."""
    monkeypatch.setattr(gpu, "find_cards", lambda: (L4,))
    assert gpu.main(["--folder", str(tmp_path / "no")]) == 1
    assert "does not describe a model" in capsys.readouterr().err


def test_generation_that_ends_early_is_told_with_its_last_words(served: VllmOptions, tmp_path: Path) -> None:
    """Half of the rounds are no measurement."""
    served.python.write_text("#!/bin/sh\necho 'ROUND [10, 2.0]'\necho 'out of memory' >&2\nexit 3\n")
    served.python.chmod(0o755)
    with pytest.raises(PeerFailed, match="status 3 after 1 rounds: out of memory"):
        gpu.generate_rounds(served, L4, [["a"], ["b"]], tmp_path)
    assert gpu.generate_rounds(served, L4, [["a"]], tmp_path) == [5.0]


def test_each_side_begins_every_other_round_with_prompts_of_its_own() -> None:
    """Both share one cache of prefixes: a prompt that came before would be half answered."""
    a, b = (Running(name, "", "", 0) for name in "ab")
    turns = list(gpu.in_turns(3, [a, b]))
    assert [side.name for _, side in turns] == ["a", "b", "b", "a", "a", "b"]
    assert len({seed for seed, _ in turns}) == 6
    texts = [text for seed in (1, 2) for text in gpu.batch_texts(3, seed)]
    assert len(set(texts)) == 6


def test_the_other_side_gets_the_settings_of_the_server(served: VllmOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan's words as arguments of a function: numbers as numbers, switches as True."""
    monkeypatch.setenv("HERALD_VLLM_PYTHON", str(served.python))
    options = gpu.options_of(["--folder", str(served.folder), "--model", "small", "--streams", "8"])
    planned = gpu.vllm_options(options, L4, served.log)
    engine = gpu.engine_arguments(planned, L4)
    assert engine["model"] == str(served.folder)
    assert engine["dtype"] == "bfloat16"
    assert engine["max_num_seqs"] == 8
    assert engine["max_model_len"] == 4096
    assert engine["gpu_memory_utilization"] == 0.9
    assert engine["enable_prefix_caching"] is True
    assert "enforce_eager" not in engine
    assert gpu.engine_arguments(replace(planned, planned=()), None)["enforce_eager"] is True


def test_the_table_says_whether_an_aim_is_reached() -> None:
    """At the aim is reached, below is not."""
    rows = [Row(name, "tokens/s", ours, "vllm", 100.0, ours / 100) for name, ours in (("a", 98.0), ("b", 97.0))]
    text = gpu.table([gpu.Verdict(row, gpu.AIMS["streams"]) for row in rows]).splitlines()
    assert "0.980" in text[1]
    assert "not reached" not in text[1]
    assert "0.970" in text[2]
    assert "not reached" in text[2]


@pytest.mark.slow
def test_streams_json_and_batches_are_measured(gateway: Running) -> None:
    """Against the real server: every part comes to a positive speed on both sides."""
    options = gpu.options_of(["--streams", "2", "--rounds", "1", "--requests", "1"])
    (streams,) = gpu.measure_streams(replace(gateway, name="vllm"), gateway, options)
    (shaped,) = gpu.measure_json(gateway, options)
    for verdict in (streams, shaped):
        assert verdict.row.ours > 0
        assert verdict.row.peer > 0
    assert (streams.row.peer_name, shaped.row.peer_name) == ("vllm", "free text")
    assert gpu.batch_round(gateway, gpu.batch_texts(5, 1)) > 0
