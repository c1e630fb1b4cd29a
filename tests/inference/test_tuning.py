"""What is fastest is measured apart, kept beside the weights, and believed only where it was measured."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from inference import tuning
from inference.tuning import CANDIDATES, FILE_NAME, Tuning, choose, load_tuning, machine, tune
from models.catalog import load_catalog
from models.fetch import locate

PLAIN, REPACKED = Tuning(repacks=False), Tuning()


def keep(folder: Path, **fields: object) -> Path:
    kept = {"machine": machine(), "chosen": {"repacks": False, "flash_attention": None}, **fields}
    (folder / FILE_NAME).write_text(json.dumps(kept))
    return folder / "model.gguf"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"chosen": {"speed": "high"}}'])
def test_a_file_that_makes_no_sense_is_not_used(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """The defaults serve, and the log names the file."""
    (tmp_path / FILE_NAME).write_text(text)
    with caplog.at_level(logging.WARNING):
        assert load_tuning(tmp_path / "model.gguf") == Tuning()
    assert FILE_NAME in caplog.text


@pytest.mark.parametrize("other", [{"engine": "0.0.1"}, {"processor": "another"}, {"cores": "512"}])
def test_a_measurement_of_another_machine_is_not_used(tmp_path: Path, other: dict[str, str]) -> None:
    """A folder of models may be shared, or outlive an upgrade of the engine."""
    assert load_tuning(keep(tmp_path)) == PLAIN
    assert load_tuning(keep(tmp_path, machine={**machine(), **other})) == Tuning()
    assert load_tuning(tmp_path / "absent" / "model.gguf") == Tuning()


def test_only_a_clear_advantage_is_taken() -> None:
    """Noise changes nothing; a default that cannot run is left."""
    assert choose({}) == Tuning()
    assert choose({REPACKED: 1.0, PLAIN: 0.97}) == REPACKED
    assert choose({REPACKED: 1.0, PLAIN: 0.8}) == PLAIN
    assert choose({PLAIN: 5.0}) == PLAIN


def test_a_way_that_crashes_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are measured all the same, each as often as the rest."""
    asked: list[Tuning] = []

    def measured(_: Path, way: Tuning) -> float | None:
        asked.append(way)
        return None if way == REPACKED else 2.0 + CANDIDATES.index(way)

    monkeypatch.setattr(tuning, "measure_apart", measured)
    assert tune(tmp_path / "model.gguf") == PLAIN
    assert asked.count(REPACKED) == 1
    assert asked.count(PLAIN) == tuning.ROUNDS
    assert load_tuning(tmp_path / "model.gguf") == PLAIN


def test_a_child_that_ends_badly_has_no_figure(tmp_path: Path) -> None:
    """A file that is no model ends the child, not this process."""
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"no model")
    assert tuning.measure_apart(broken, Tuning()) is None


@pytest.mark.model
@pytest.mark.slow
def test_a_real_model_is_measured(tmp_path: Path) -> None:
    """Every way has a figure, and what is kept is what the engine will load."""
    source = locate(load_catalog().get("smollm2-135m-instruct"))
    model = tmp_path / source.name
    model.symlink_to(source)
    chosen = tune(model)
    kept = json.loads((tmp_path / FILE_NAME).read_text())
    assert len(kept["measured"]) == len(CANDIDATES)
    assert all(0.05 < row["seconds"] < 120 for row in kept["measured"])
    assert load_tuning(model) == chosen


def test_an_unknown_model_is_said() -> None:
    """The set-up goes on without a measurement, and its log says why there is none."""
    command = [sys.executable, "-m", "inference.tuning", "no-such-model"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "no-such-model" in answer.stderr
