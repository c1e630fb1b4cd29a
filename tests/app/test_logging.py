"""Logs: structured, correlated, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.logging import REDACTED, configure_logging
from app.settings import Settings

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"api_key": CANARY},
        {"headers": {"Cookie": f"herald_session={CANARY}"}},
        {"body": {"account": {"password": CANARY}}},
        {"url": f"http://127.0.0.1/signin?token={CANARY}&next=/"},
        {"items": [f"Bearer {CANARY}"]},
        {"detail": f"sent password={CANARY};"},
    ],
)
def test_secrets_are_left_out(
    settings: Settings, capsys: pytest.CaptureFixture[str], fields: dict[str, object]
) -> None:
    """By the name of the field, and in texts by their form."""
    configure_logging(settings.model_copy(update={"log_format": "json"}))
    structlog.get_logger("t").info("event", **fields)
    (line,) = lines(capsys)
    assert CANARY not in json.dumps(line)
    assert REDACTED in json.dumps(line)


def test_a_stack_trace_shows_no_values(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Local variables hold passwords."""
    configure_logging(settings.model_copy(update={"log_format": "console"}))

    def fail(password: str) -> None:
        raise RuntimeError(f"failed with {len(password)} characters")

    try:
        fail(CANARY)
    except RuntimeError:
        structlog.get_logger("t").exception("failed")
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert CANARY not in said


def test_lines_are_json_with_level_time_and_context(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of libraries that know nothing of structlog."""
    configure_logging(settings.model_copy(update={"log_format": "json"}))
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("t").warning("own", number=1)
        logging.getLogger("library").error("theirs %s", "Bearer " + CANARY)
    own, theirs = lines(capsys)
    assert (own["event"], own["level"], own["number"], own["request_id"]) == ("own", "warning", 1, "r1")
    assert (theirs["level"], theirs["request_id"]) == ("error", "r1")
    assert CANARY not in json.dumps(theirs)
    assert str(own["timestamp"]).endswith("Z")


def test_the_level_is_a_setting(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Less severe events are dropped."""
    configure_logging(settings.model_copy(update={"log_format": "json", "log_level": "error"}))
    structlog.get_logger("t").warning("quiet")
    structlog.get_logger("t").error("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]
