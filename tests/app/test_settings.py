"""Settings: a bad value names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, SettingsInvalid, load_settings


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's environment."""
    import os

    for name in [n for n in os.environ if n.startswith("HERALD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HERALD_PORT", "eighty"),
        ("HERALD_PORT", "0"),
        ("HERALD_PORT", "70000"),
        ("HERALD_INFERENCE_PORT", "-1"),
        ("HERALD_INFERENCE_URL", "not a url"),
        ("HERALD_ALLOW_PRIVATE_ADDRESSES", "perhaps"),
        ("HERALD_LOG_LEVEL", "loud"),
        ("HERALD_MAX_UPLOAD_MB", "0"),
        ("HERALD_PROPOSAL_EXPIRES_H", "-1"),
    ],
)
def test_a_malformed_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """With the value that was given."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    assert name in refusal.value.message
    assert value in refusal.value.message
    assert ".env.example" in refusal.value.hint


def test_a_malformed_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors end up in logs."""
    monkeypatch.setenv("HERALD_API_KEY", "my secret key")
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    assert "HERALD_API_KEY" in refusal.value.message
    assert "my secret key" not in refusal.value.message


def test_an_unreadable_dotenv_is_a_clear_error(tmp_path: Path) -> None:
    """As a Windows editor may save it."""
    (tmp_path / ".env").write_bytes("HERALD_MODEL=Grüße".encode("cp1252"))
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_settings()


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one does not fix them one by one."""
    monkeypatch.setenv("HERALD_PORT", "x")
    monkeypatch.setenv("HERALD_LOG_LEVEL", "y")
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    assert "HERALD_PORT" in refusal.value.message
    assert "HERALD_LOG_LEVEL" in refusal.value.message


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty values count as unset, and what belongs to other processes is no error."""
    (tmp_path / ".env").write_text("HERALD_PORT=9001\nHERALD_HOST=0.0.0.0\nHERALD_API_KEY=\nHERALD_HUB_URL=http://x\n")
    monkeypatch.setenv("HERALD_PORT", "9002")
    settings = load_settings()
    assert (settings.port, settings.host, settings.api_key) == (9002, "0.0.0.0", None)


def test_keys_are_not_shown() -> None:
    """Neither in repr nor in str."""
    assert "hunter2" not in repr(Settings(api_key="hunter2", inference_key="hunter2", _env_file=None))


@pytest.mark.parametrize(
    ("host", "is_loopback", "names"),
    [
        ("127.0.0.1", True, True),
        ("localhost", True, True),
        ("::1", True, True),
        ("0.0.0.0", False, False),
        ("192.168.1.5", False, False),
    ],
)
def test_only_a_loopback_address_restricts_names_by_itself(host: str, is_loopback: bool, names: bool) -> None:
    """Elsewhere the names are unknown, and a setting gives them."""
    settings = Settings(host=host, _env_file=None)
    assert (settings.is_loopback, bool(settings.host_names)) == (is_loopback, names)


def test_host_names_come_as_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case and spaces aside."""
    monkeypatch.setenv("HERALD_ALLOWED_HOSTS", "Herald.example, 10.0.0.5")
    assert load_settings().host_names == ("herald.example", "10.0.0.5")
    monkeypatch.setenv("HERALD_ALLOWED_HOSTS", "*")
    assert load_settings().host_names == ()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("", "http://127.0.0.1:8001"),
        ("http://gpu.example:9000/", "http://gpu.example:9000"),
        ("https://gpu.example/v1", "https://gpu.example"),
    ],
)
def test_inference_is_local_unless_an_address_is_given(given: str, used: str) -> None:
    """With or without ``/v1``."""
    assert Settings(inference_url=given, _env_file=None).inference_origin == used


def test_a_queue_elsewhere_than_on_redis_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of another kind of server; what it holds is not repeated."""
    monkeypatch.setenv("HERALD_QUEUE_URL", "amqp://user:hidden@host")
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    assert "HERALD_QUEUE_URL cannot be what it is: must begin with redis://" in refusal.value.message
    assert "hidden" not in refusal.value.message


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no text."""
    (tmp_path / "herald_api_key").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("HERALD_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsInvalid, match="herald_api_key cannot be read"):
        load_settings()


def test_a_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker mounts it; a variable goes first, an empty file counts as none, and all three processes read alike."""
    from automation.config import AutomationSettings
    from inference.config import InferenceSettings

    for name, content in (
        ("api_key", "from-a-file\n"),
        ("inference_key", "shared\n"),
        ("vault_key", ""),
        ("model", "m"),
    ):
        (tmp_path / f"herald_{name}").write_text(content)
    (tmp_path / "herald_action_timeout_s").write_text("33")
    monkeypatch.setenv("HERALD_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("HERALD_MODEL", "from-the-environment")
    settings = load_settings()
    assert settings.api_key_text() == "from-a-file"
    assert settings.vault_key is None
    assert settings.model == "from-the-environment"
    inference = InferenceSettings()
    assert inference.inference_key is not None
    assert inference.inference_key.get_secret_value() == settings.inference_key_text() == "shared"
    assert AutomationSettings().action_timeout_s == 33
    monkeypatch.setenv("HERALD_SECRETS_DIR", str(tmp_path / "nowhere"))
    assert load_settings().api_key is None
