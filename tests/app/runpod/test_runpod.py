"""``herald runpod`` against RunPod's API as documented: refusals, prices, one pod whatever breaks, and a clean end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.runpod import api as runpod_api
from app.runpod import pods
from app.runpod.api import AnswerLost, NoKey, RunpodApi, RunpodError, read_key
from app.runpod.estimate import find_model
from app.terminal import runpod_commands
from inference.upstream.vllm_fit import fit as fit_here
from tests.app.runpod.fake_api import CREATE_TEMPLATE, KEY, FakeRunpod, serving

_ROOT = Path(__file__).resolve().parents[3]
UP = ("up", "--gpu", "RTX 4090", "--model", "llama-3.1-8b-instruct", "--no-wait", "--yes")
Run = Callable[..., Result]


@pytest.fixture
def account() -> FakeRunpod:
    return FakeRunpod()


@pytest.fixture
def origin(account: FakeRunpod) -> Iterator[str]:
    with serving(account) as url:
        yield url


@pytest.fixture
def pauses(origin: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The waits that were asked for, which take no time; the API is the account, git a clone that was pushed."""
    waited: list[float] = []

    class Api(RunpodApi):
        def __init__(self, key: str) -> None:
            super().__init__(key, origin, waited.append)

    answers = {"remote": "git@github.com:you/herald.git", "rev-parse": "c0ffee" * 6, "branch": "origin/main"}
    monkeypatch.setattr(runpod_commands, "RunpodApi", Api)
    monkeypatch.setattr(runpod_commands, "_git", lambda *arguments: answers[arguments[0]])
    monkeypatch.setattr(runpod_commands, "LOG_SILENCE_S", 2.0)
    # What judges whether a model fits is a process of its own; here it is called, which is as true and quicker.
    monkeypatch.setattr("app.runpod.estimate.subprocess.run", lambda *_, input, **__: _Done(input))
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    return waited


class _Done:
    def __init__(self, question: str) -> None:
        self.stdout = json.dumps(fit_here(json.loads(question)))


@pytest.fixture
def herald(pauses: list[float]) -> Run:
    """Runs ``herald runpod …``."""
    return lambda *arguments, **options: CliRunner().invoke(app, ["runpod", *arguments], **options)


def text_of(result: Result) -> str:
    return " ".join(result.output.split())


# -- the key --------------------------------------------------------------------------------------------------------


def test_without_a_key_the_two_places_for_one_are_named(tmp_path: Path) -> None:
    """And what to do."""
    with pytest.raises(NoKey, match=r"RUNPOD_API_KEY is not set and .*none cannot be read") as raised:
        read_key({"RUNPOD_API_KEY_FILE": str(tmp_path / "none")})
    assert "Settings, API Keys" in raised.value.hint


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """As for every other key."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    with pytest.raises(NoKey, match="mode 644, at most 600"):
        read_key({"RUNPOD_API_KEY_FILE": str(path)})
    path.chmod(0o600)
    assert read_key({"RUNPOD_API_KEY_FILE": str(path)}) == KEY


def test_a_wrong_key_is_said_and_never_shown(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 of RunPod's."""
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SOMETHINGELSE")
    result = herald("gpus")
    assert result.exit_code == 1
    assert "RunPod does not accept the key (401): missing bearer token" in text_of(result)
    assert "SOMETHINGELSE" not in result.output


# -- choosing -------------------------------------------------------------------------------------------------------


def test_an_unknown_gpu_gets_the_nearest_names(herald: Run) -> None:
    """Those of NVIDIA alone, which vLLM's environment is for."""
    result = herald("estimate", "--gpu", "RTX 4900", "--model", "llama-3.1-8b-instruct")
    assert result.exit_code == 1
    assert "has no NVIDIA GPU called 'RTX 4900': RTX 4090" in text_of(result)
    assert "MI300X" not in result.output


def test_a_part_that_several_names_have_lists_them(herald: Run) -> None:
    """L4 is one of them exactly, L is none."""
    assert "is several GPUs" in text_of(herald("estimate", "--gpu", "RTX", "--model", "llama-3.1-8b-instruct"))
    assert herald("estimate", "--gpu", "l4", "--model", "llama-3.2-3b-instruct").exit_code == 0


def test_a_gpu_that_is_too_small_is_refused_with_what_is_needed(herald: Run, account: FakeRunpod) -> None:
    """Before anything is rented."""
    result = herald("up", "--gpu", "A2000", "--model", "llama-3.1-8b-instruct", "--yes", "--no-wait")
    assert result.exit_code == 1
    assert "The model has 15.0 GiB of weights; 1 x RTX A2000" in text_of(result)
    assert not account.calls("POST", "/pods")


def test_a_model_without_safetensors_is_refused_with_those_that_have_some(herald: Run) -> None:
    """vLLM loads nothing else."""
    result = herald("estimate", "--gpu", "L4", "--model", "smollm2-135m-instruct")
    assert result.exit_code == 1
    assert "llama-3.3-70b-instruct" in text_of(result)


def test_more_gpus_than_a_pod_can_have_are_refused(herald: Run) -> None:
    """The catalogue says how many."""
    result = herald("estimate", "--gpu", "L4", "--model", "llama-3.1-8b-instruct", "--count", "9")
    assert "at most 8" in text_of(result)


def test_the_estimate_is_the_catalogues_price_and_says_what_it_assumes(herald: Run) -> None:
    """A figure of one's own replaces the assumption."""
    result = herald("estimate", "--gpu", "4090", "--model", "llama-3.1-8b-instruct")
    text = text_of(result)
    assert result.exit_code == 0, result.output
    assert "GPUs $0.690 an hour, RunPod's list price now" in text
    assert "assumed: 32 posts at once" in text
    measured = json.loads(
        herald(
            "estimate", "--gpu", "4090", "--model", "llama-3.1-8b-instruct", "--tokens-per-s", "1000", "--json"
        ).output
    )
    assert measured["usd_a_thousand_posts"] == pytest.approx(measured["usd_an_hour"] * 600_000 / 1000 / 3600)
    assert measured["usd_an_hour"] == pytest.approx(0.69, abs=0.02)


def test_the_list_of_gpus_begins_with_the_cheapest(herald: Run) -> None:
    """With stock."""
    listed = json.loads(herald("gpus", "--json").output)
    assert [entry["usd_an_hour"] for entry in listed] == sorted(entry["usd_an_hour"] for entry in listed)
    assert {"id": "NVIDIA L4", "usd_an_hour": 0.43, "stock": "LOW"} in listed


# -- up -------------------------------------------------------------------------------------------------------------


def test_nothing_is_rented_without_a_yes(herald: Run, account: FakeRunpod) -> None:
    """The price is shown first."""
    result = herald(*UP[:-1], input="n\n")
    assert result.exit_code == 1
    assert "Rent it?" in result.output
    assert "1,000 posts" in result.output
    assert not account.pods
    assert not account.volumes


def test_a_commit_that_was_not_pushed_is_refused(herald: Run, account: FakeRunpod, monkeypatch: Any) -> None:
    """The pod could not fetch it, and would cost while it fails."""
    answers = {"remote": "https://github.com/you/herald", "rev-parse": "c0ffee" * 6, "branch": ""}
    monkeypatch.setattr(runpod_commands, "_git", lambda *arguments: answers[arguments[0]])
    result = herald(*UP)
    assert result.exit_code == 1
    assert "is on this machine alone" in text_of(result)
    assert not account.pods


def test_a_source_with_a_password_in_it_is_refused(herald: Run) -> None:
    """It would stand in the pod's environment for all to read."""
    result = herald(*UP, "--source", "https://me:secret@host/herald.git")
    assert "without a password" in text_of(result)


def test_up_makes_a_volume_and_a_pod_where_both_can_be(herald: Run, account: FakeRunpod, monkeypatch: Any) -> None:
    """In the data center that has the GPU and volumes, from a body that RunPod's schema accepts."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    result = herald(*UP)
    assert result.exit_code == 0, result.output
    (volume,), (pod,) = account.volumes.values(), account.pods.values()
    assert (volume["name"], volume["dataCenter"], volume["size"]) == ("herald", "EU-RO-1", 50)
    assert pod["mounts"] == {"network": [{"volumeId": volume["id"], "path": "/workspace"}]}
    (body,) = account.calls("POST", "/pods")
    assert body["gpu"] == {"id": "NVIDIA GeForce RTX 4090", "count": 1, "minCudaVersion": "13.0"}
    assert body["env"]["HERALD_SOURCE"] == "https://github.com/you/herald.git"
    assert body["env"]["HF_TOKEN"] == "hf_secret"
    assert f"https://{pod['id']}-8000.proxy.runpod.net" in result.output
    assert "hf_secret" not in result.output
    assert len(json.dumps(body)) < 100_000


def test_the_hubs_token_can_stay_a_secret_of_runpods(herald: Run, account: FakeRunpod) -> None:
    """The pod's environment names it alone."""
    assert herald(*UP, "--hub-secret", "hub").exit_code == 0
    assert account.calls("POST", "/pods")[0]["env"]["HF_TOKEN"] == "{{ RUNPOD_SECRET_hub }}"


def test_a_second_up_finds_the_first_ones_pod(herald: Run, account: FakeRunpod) -> None:
    """On whatever page of the list it is, and asks for no price again."""
    account.page = 1
    other = {"name": "other", "image": "x", "gpu": {"id": "NVIDIA L4"}}
    account.add_pod(other, "RUNNING")
    assert herald(*UP).exit_code == 0
    result = herald(*UP[:-1])
    assert result.exit_code == 0, result.output
    assert len(account.calls("POST", "/pods")) == 1


def test_two_pods_of_one_name_are_not_guessed_at(herald: Run, account: FakeRunpod) -> None:
    """Their ids are shown."""
    for _ in range(2):
        account.add_pod({"name": "herald", "image": "x", "gpu": {"id": "NVIDIA L4"}}, "RUNNING")
    result = herald(*UP)
    assert result.exit_code == 1
    assert "2 pods are called 'herald': pod00000 (RUNNING), pod00001 (RUNNING)" in text_of(result)


@pytest.mark.parametrize("path", ["/pods", "/network-volumes"])
def test_an_answer_that_is_lost_makes_no_second_one(herald: Run, account: FakeRunpod, path: str) -> None:
    """What was made is found by its name."""
    account.lose_answer_of = path
    result = herald(*UP)
    assert result.exit_code == 0, result.output
    assert len(account.pods) == len(account.volumes) == 1
    assert len(account.calls("POST", path)) == 1


def test_a_fault_of_runpods_after_create_is_looked_into_and_not_repeated(herald: Run, account: FakeRunpod) -> None:
    """502: nothing was made, so the same command may be run again."""
    account.failures.append(("POST", "/pods", 502, {}))
    result = herald(*UP)
    assert result.exit_code == 1
    assert "The pod was not made: RunPod has a fault (502)" in text_of(result)
    assert len(account.calls("POST", "/pods")) == 1
    assert herald(*UP).exit_code == 0
    assert len(account.pods) == len(account.volumes) == 1


def test_no_stock_says_so_in_runpods_words(herald: Run, account: FakeRunpod) -> None:
    """The volume that was made stays for the next attempt."""
    account.is_full = True
    result = herald(*UP)
    assert result.exit_code == 1
    assert "RunPod cannot place this (400): There are no longer any instances available" in text_of(result)
    account.is_full = False
    assert herald(*UP).exit_code == 0
    assert len(account.volumes) == 1


def test_a_volume_elsewhere_than_the_gpu_says_where_the_gpu_is(herald: Run, account: FakeRunpod) -> None:
    """A pod must be where its volume is."""
    account.volumes["v"] = {"id": "v", "name": "herald", "size": 50, "dataCenter": "US-KS-2", "type": "STANDARD"}
    result = herald(*UP)
    assert result.exit_code == 1
    assert "US-KS-2, where the volume 'herald' is, has no 1 x RTX 4090 free" in text_of(result)
    assert "EU-RO-1, US-TX-3" in text_of(result)


@pytest.mark.parametrize(
    ("status", "words"), [(402, "balance of the RunPod account is too low"), (403, "The key may not do this")]
)
def test_what_no_retry_helps_is_said_at_once(
    herald: Run, account: FakeRunpod, pauses: list[float], status: int, words: str
) -> None:
    """One request, no waiting."""
    account.failures.append(("POST", "/network-volumes", status, {}))
    result = herald(*UP)
    assert result.exit_code == 1
    assert words in text_of(result)
    assert pauses == []


def test_too_many_requests_wait_as_long_as_runpod_says(herald: Run, account: FakeRunpod, pauses: list[float]) -> None:
    """Also for what is asked once only: it was not done."""
    account.failures += [("POST", "/pods", 429, {"Retry-After": "12"}), ("GET", "/catalog/gpus", 503, {})]
    assert herald(*UP).exit_code == 0
    assert 12.0 in pauses
    assert len(account.pods) == 1


def test_a_fault_that_stays_ends_after_five_attempts(herald: Run, account: FakeRunpod, pauses: list[float]) -> None:
    """With the pauses growing."""
    account.failures += [("GET", "/catalog/gpus", 500, {}) for _ in range(5)]
    result = herald(*UP)
    assert result.exit_code == 1
    assert "RunPod has a fault (500)" in text_of(result)
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_network_that_is_down_is_one_sentence() -> None:
    """Nothing was sent, so nothing can have been made."""
    with RunpodApi(KEY, "http://127.0.0.1:9", lambda _: None) as api:
        with pytest.raises(RunpodError, match="RunPod's API cannot be reached") as raised:
            api.create_pod({})
        assert not isinstance(raised.value, AnswerLost)


# -- losing it and getting it back ----------------------------------------------------------------------------------


def test_a_stopped_pod_is_started_again(herald: Run, account: FakeRunpod) -> None:
    """The same one, on its machine."""
    assert herald(*UP).exit_code == 0
    assert herald("down", "--stop", "--yes").exit_code == 0
    (pod,) = account.pods.values()
    assert pod["status"] == "EXITED"
    assert herald(*UP).exit_code == 0
    assert account.pods[pod["id"]]["status"] != "EXITED"
    assert len(account.calls("POST", "/pods")) == 1


@pytest.mark.parametrize("status", ["ERROR", "TERMINATED"])
def test_a_pod_that_was_lost_is_made_anew_with_its_volume(herald: Run, account: FakeRunpod, status: str) -> None:
    """Its data and models are there again."""
    assert herald(*UP).exit_code == 0
    (pod,) = account.pods.values()
    pod["status"] = status
    assert herald(*UP).exit_code == 0
    assert len(account.volumes) == 1
    bodies = account.calls("POST", "/pods")
    assert len(bodies) == 2
    assert bodies[0]["mounts"] == bodies[1]["mounts"]


def test_a_stopped_pod_whose_gpu_was_taken_is_made_anew_elsewhere(herald: Run, account: FakeRunpod) -> None:
    """Nothing was on its machine that the volume does not have; while all is full, nothing is made."""
    assert herald(*UP).exit_code == 0
    (pod,) = account.pods.values()
    pod["status"], account.is_full = "EXITED", True
    result = herald(*UP)
    assert result.exit_code == 1
    assert "There are no longer any instances" in text_of(result)
    assert not account.pods
    account.is_full = False
    assert herald(*UP).exit_code == 0
    assert len(account.pods) == len(account.volumes) == 1


def test_a_broken_pod_with_data_of_its_own_is_left_to_a_person(herald: Run, account: FakeRunpod) -> None:
    """Made by hand, without a network volume: its disk would be lost."""
    body = {"name": "herald", "image": "x", "gpu": {"id": "NVIDIA L4"}}
    account.add_pod(body | {"mounts": {"persistent": {"size": 20, "path": "/workspace"}}}, "ERROR")
    result = herald(*UP)
    assert result.exit_code == 1
    assert "making it anew would lose its data" in text_of(result)
    assert account.pods


# -- following, status, logs, down ----------------------------------------------------------------------------------


def test_up_follows_the_pod_to_its_sign_in_link(herald: Run, account: FakeRunpod, monkeypatch: Any) -> None:
    """Through its states and its log, until the app answers behind the proxy; the link is shown once, at the end."""
    link = "https://pod00000-8000.proxy.runpod.net/signin?token=once"
    account.logs = ["Installing torch", f"Herald is ready: {link} (sign-in link, works once)"]
    states = iter(["starting", "ready"])
    monkeypatch.setattr(runpod_commands, "_probe", lambda _: next(states))
    result = herald(*[part for part in UP if part != "--no-wait"])
    assert result.exit_code == 0, result.output
    assert "Installing torch" in result.output
    assert result.output.count("token=once") == 1
    assert f"Herald is ready: {link}" in text_of(result)


def test_a_pod_that_dies_while_it_starts_is_said(herald: Run, account: FakeRunpod, monkeypatch: Any) -> None:
    """With the way on."""

    def die(_: str) -> str:
        for pod in account.pods.values():
            pod["status"] = "EXITED"
        return "no answer"

    monkeypatch.setattr(runpod_commands, "_probe", die)
    result = herald(*[part for part in UP if part != "--no-wait"])
    assert result.exit_code == 1
    assert "The pod was lost: it is EXITED. Run the same command again." in text_of(result)


def test_status_shows_no_secret_and_its_exit_status_is_whether_herald_answers(
    herald: Run, account: FakeRunpod, monkeypatch: Any
) -> None:
    """For scripts."""
    assert "has no pod called 'herald'" in text_of(herald("status"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert herald(*UP).exit_code == 0
    (pod,) = account.pods.values()
    pod["status"] = "RUNNING"
    monkeypatch.setattr(runpod_commands, "_probe", lambda _: "ready")
    result = herald("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["usd_an_hour"] == 0.7
    assert "hf_secret" not in result.output
    monkeypatch.setattr(runpod_commands, "_probe", lambda _: "answers 502")
    assert herald("status").exit_code == 1


def test_logs_prints_the_lines(herald: Run, account: FakeRunpod) -> None:
    """Of the pod of that name."""
    account.logs = ["one", "two \x1b[31m"]
    assert herald(*UP).exit_code == 0
    result = herald("logs")
    assert result.exit_code == 0
    assert result.output.splitlines()[-2:] == ["one", "two ⟦U+001B⟧[31m"]


def test_down_ends_the_pod_and_keeps_the_volume(herald: Run, account: FakeRunpod) -> None:
    """What it goes on costing is said."""
    assert herald(*UP).exit_code == 0
    assert herald("down", input="n\n").exit_code == 1
    assert account.pods
    result = herald("down", "--yes")
    assert result.exit_code == 0
    assert not account.pods
    assert "The volume herald stays (50 GB, about $3.50 a month)" in text_of(result)
    assert herald("down", "--yes").exit_code == 0


def test_down_destroys_the_volume_only_when_told_to(herald: Run, account: FakeRunpod) -> None:
    """In capital letters."""
    assert herald(*UP).exit_code == 0
    result = herald("down", "--delete-volume", input="y\n")
    assert result.exit_code == 0, result.output
    assert "DESTROY the volume herald" in result.output
    assert not account.pods
    assert not account.volumes


# -- the rest -------------------------------------------------------------------------------------------------------


def test_a_gpu_of_unknown_speed_has_no_price_for_posts(herald: Run, account: FakeRunpod) -> None:
    """Rather than a guess."""
    account.gpus[0] |= {"id": "NVIDIA New Thing", "name": "New Thing"}
    result = herald("estimate", "--gpu", "new thing", "--model", "llama-3.1-8b-instruct")
    assert "the speed of this GPU is not known here" in text_of(result)


def test_the_catalogues_sizes_are_those_of_the_models() -> None:
    """Two bytes a parameter: 15 GiB for Llama's 8 billion."""
    _, weights = find_model("llama-3.1-8b-instruct")
    assert weights.weights_bytes == 16_060_522_496
    assert weights.is_gated


def test_the_template_for_the_console_is_one_that_runpod_accepts() -> None:
    """And starts a pod as ``up`` does."""
    template = json.loads((_ROOT / "scripts" / "runpod-template.json").read_text("utf-8"))
    jsonschema.validate(template, CREATE_TEMPLATE)
    assert template["image"] == pods.IMAGE
    assert template["entrypoint"] == ["/bin/bash", "-c"]
    assert template["cmd"] == [pods.BOOT]
    assert template["ports"] == [f"{pods.PORT}/http"]
    assert template["mounts"]["persistent"]["path"] == pods.MOUNT
    assert set(template["env"]) >= {"HERALD_SOURCE", "HERALD_REVISION", "HERALD_MODEL", "HERALD_VOLUME"}


def test_the_key_is_not_in_what_is_logged_of_it() -> None:
    """Redaction knows it from the moment it is read."""
    read_key({"RUNPOD_API_KEY": KEY})
    assert KEY not in runpod_api.KNOWN.taken_out_of(f"Bearer {KEY}")
