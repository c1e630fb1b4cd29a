"""A finished step is remembered with its inputs; an interrupted one is noticed."""

from __future__ import annotations

from pathlib import Path

from scripts.setup.state import State, fingerprint


def test_a_begun_step_is_seen_as_interrupted_by_the_next_run(tmp_path: Path) -> None:
    """A run that ended between begin and finish leaves its step's name behind."""
    State(tmp_path / "state.json").begin("torch")
    assert State(tmp_path / "state.json").interrupted_step == "torch"


def test_beginning_again_forgets_the_earlier_success(tmp_path: Path) -> None:
    """While a step changes things it is not done, whatever was true before."""
    state = State(tmp_path / "state.json")
    state.finish("torch", "a")
    state.begin("torch")
    assert not State(tmp_path / "state.json").is_done("torch", "a")


def test_a_finished_step_is_done_for_the_same_inputs_only(tmp_path: Path) -> None:
    """Changed inputs make the step run again."""
    State(tmp_path / "state.json").finish("engine", fingerprint("0.3.36", ["-DGGML_AVX2=ON"]), wheel="abc")
    state = State(tmp_path / "state.json")
    assert state.is_done("engine", fingerprint("0.3.36", ["-DGGML_AVX2=ON"]))
    assert not state.is_done("engine", fingerprint("0.3.36", ["-DGGML_AVX2=OFF"]))
    assert state.note("engine", "wheel") == "abc"
    assert state.interrupted_step is None


def test_a_damaged_file_means_that_nothing_is_done(tmp_path: Path) -> None:
    """Half a JSON text, or JSON of another shape, is the same as no file."""
    for text in ("", "{", "[]", '{"steps": 3}', "\x00\xff"):
        (tmp_path / "state.json").write_text(text, "utf-8")
        state = State(tmp_path / "state.json")
        assert not state.is_done("torch", "a")
        assert state.interrupted_step is None


def test_fingerprints_do_not_depend_on_the_order_of_settings() -> None:
    """The environment's order is chance."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
