"""Safetensors come from a hub's repository at one commit, every file checked; a gated one says how to get in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Request, Response

from models.catalog import Model, load_catalog
from models.cli import app
from models.errors import CatalogError, DigestMismatch, ModelMissing, NoSourceReachable
from models.safetensors import locate_safetensors, pull_safetensors, read_manifest

REPO = "acme/model"
COMMIT = "a" * 40
WEIGHTS = bytes(range(256)) * 64
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model-00001-of-00001.safetensors": WEIGHTS,
    "consolidated.00.safetensors": b"a second copy of the weights",
    "original/params.json": b"{}",
    "README.md": b"# Model",
}


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub:
    """A model hub with one repository, gated or not, that remembers which tokens came."""

    def __init__(self, server: HTTPServer) -> None:
        self.files = dict(FILES)
        self.is_gated, self.knows = False, "hf_good"
        self.tokens: list[str | None] = []
        server.expect_request(f"/api/models/{REPO}/revision/main").respond_with_handler(self.listing)
        for name in FILES:
            server.expect_request(f"/{REPO}/resolve/{COMMIT}/{name}").respond_with_handler(self.file)

    def refusal(self, request: Request) -> Response | None:
        token = request.headers.get("Authorization")
        self.tokens.append(token)
        if not self.is_gated or token == f"Bearer {self.knows}":
            return None
        # The hub answers 401 without a token and with a useless one, 403 to an account that has not accepted.
        status = 403 if token == "Bearer hf_other" else 401
        return Response("Access to model is restricted.", status, {"X-Error-Code": "GatedRepo"})

    def listing(self, request: Request) -> Response:
        siblings: list[dict[str, Any]] = []
        for name, content in FILES.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_blob(content)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        assert request.args["blobs"] == "true"
        return Response(json.dumps({"sha": COMMIT, "siblings": siblings}), 200, {"Content-Type": "application/json"})

    def file(self, request: Request) -> Response:
        refusal = self.refusal(request)
        return refusal or Response(self.files[request.path.partition(f"{COMMIT}/")[2]])


@pytest.fixture
def hub(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HERALD_HUB_URL", httpserver.url_for("").rstrip("/"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return Hub(httpserver)


def model() -> Model:
    base = load_catalog().get("llama-3.2-1b-instruct")
    weights = base.safetensors.model_copy(update={"repo": REPO}) if base.safetensors else None
    return base.model_copy(update={"name": "test-model", "safetensors": weights})


@pytest.mark.parametrize(
    ("token", "words"), [("", "HF_TOKEN is not set"), ("hf_other", "the account of HF_TOKEN has no access yet")]
)
def test_a_gated_repository_says_how_to_get_access(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, token: str, words: str
) -> None:
    """With the page on which the licence is accepted; afterwards the same command goes on."""
    hub.is_gated = True
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(NoSourceReachable) as raised:
        pull_safetensors(model(), root=tmp_path)
    text = str(raised.value)
    assert f"{REPO} is gated and {words}" in text
    assert f"Open {httpserver.url_for('')}{REPO} in a browser" in text
    assert "Get access and pull again" in text
    assert "hf_other" not in text
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert (pull_safetensors(model(), root=tmp_path) / "config.json").exists()


def test_a_model_without_safetensors_says_what_makes_some(tmp_path: Path) -> None:
    """From its GGUF."""
    with pytest.raises(CatalogError, match=r"scripts/vllm install --model smollm2-135m-instruct"):
        pull_safetensors(load_catalog().get("smollm2-135m-instruct"), root=tmp_path)


def test_what_was_not_pulled_names_the_command(tmp_path: Path) -> None:
    """Nothing is asked of the hub at a start."""
    with pytest.raises(ModelMissing, match="herald models pull test-model --safetensors"):
        locate_safetensors(model(), tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00001.safetensors"])
def test_a_file_that_is_not_what_the_hub_lists_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    """Small files by git's digest, large ones by SHA-256."""
    hub.files[name] = hub.files[name][:-1] + b"!"
    with pytest.raises(NoSourceReachable, match="expected"):
        pull_safetensors(model(), root=tmp_path)
    assert not (tmp_path / "test-model-safetensors" / name).exists()


def test_the_folder_holds_what_vllm_loads_and_no_second_copy(hub: Hub, tmp_path: Path) -> None:
    """At the commit that the branch had."""
    folder = pull_safetensors(model(), root=tmp_path)
    shown = sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    assert shown == ["config.json", "model-00001-of-00001.safetensors", "tokenizer.json"]
    manifest = read_manifest(model(), tmp_path)
    assert manifest is not None
    assert manifest.sources[0].revision == COMMIT  # type: ignore[union-attr]
    assert set(hub.tokens) == {None}


def test_a_file_that_changed_later_is_found(hub: Hub, tmp_path: Path) -> None:
    """Also a small one, whose SHA-256 was pinned when it came."""
    folder = pull_safetensors(model(), root=tmp_path)
    assert locate_safetensors(model(), tmp_path) == folder
    (folder / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(DigestMismatch, match=r"config\.json"):
        locate_safetensors(model(), tmp_path)


def test_a_second_pull_asks_for_nothing(hub: Hub, tmp_path: Path) -> None:
    """Its commit is known and its files are there."""
    pull_safetensors(model(), root=tmp_path)
    count = len(hub.tokens)
    pull_safetensors(model(), root=tmp_path)
    assert len(hub.tokens) == count


def test_the_token_goes_to_no_server_in_clear(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine's own and https alone; the hub of this test is on loopback."""
    from models.sources import _token_headers

    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert _token_headers("http://mirror.example.org/x") == {}
    assert _token_headers("https://mirror.example.org/x") == {"Authorization": "Bearer hf_good"}
    pull_safetensors(model(), root=tmp_path)
    assert "Bearer hf_good" in hub.tokens


def test_the_command_pulls_them(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says the licence first."""
    monkeypatch.setenv("HERALD_MODELS_DIR", str(tmp_path))
    monkeypatch.setattr("models.cli.load_catalog", lambda: type("C", (), {"get": lambda _self, _name: model()})())
    result = CliRunner().invoke(app, ["pull", "test-model", "--safetensors"])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "test-model-safetensors") in result.output
    assert "Accept Meta's licence" in result.output
