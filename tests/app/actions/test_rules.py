"""The digest binds every part of what runs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.actions.rules import WORKER_DEAD_AFTER_S, canonical_json, digest_of, is_worker_dead
from automation.actions.base import Account

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ACCOUNT = Account("x", "acme", "https://x.com")
PARAMS = '{"platform":"x","text":"Grüß Gott 👋"}'


def test_not_a_number_has_no_canonical_form() -> None:
    """JSON has no NaN, so nothing with one can be approved."""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"amount": float("nan")})


def test_the_digest_is_that_of_the_documented_json() -> None:
    """Anybody can recompute it from the API's fields."""
    documented = (
        '{"account":{"base_url":"https://x.com","handle":"acme","platform":"x"},'
        '"expires_at":"2026-11-21T09:00:00.000000Z","intent_id":"int_1","not_before":null,'
        '"params":{"platform":"x","text":"Grüß Gott 👋"},"project_id":"prj_1","target":"x.com","type":"post_social"}'
    )
    digest = digest_of("post_social", PARAMS, ACCOUNT, AT, target="x.com", intent_id="int_1", project_id="prj_1")
    assert digest == hashlib.sha256(documented.encode()).hexdigest()


def test_every_part_changes_the_digest() -> None:
    """Type, a single character of the params, each field of the account, the moments, the target, the intent."""
    digests = {
        digest_of("post_social", PARAMS, ACCOUNT, AT),
        digest_of("fill_form", PARAMS, ACCOUNT, AT),
        digest_of("post_social", PARAMS.replace("ü", "u\u0308"), ACCOUNT, AT),
        digest_of("post_social", PARAMS, None, AT),
        digest_of("post_social", PARAMS, replace(ACCOUNT, platform="y"), AT),
        digest_of("post_social", PARAMS, replace(ACCOUNT, handle="acme2"), AT),
        digest_of("post_social", PARAMS, replace(ACCOUNT, base_url="http://x.com"), AT),
        digest_of("post_social", PARAMS, ACCOUNT, AT + timedelta(microseconds=1)),
        digest_of("post_social", PARAMS, ACCOUNT, AT, target="x.example"),
        digest_of("post_social", PARAMS, ACCOUNT, AT, not_before=AT),
        digest_of("post_social", PARAMS, ACCOUNT, AT, intent_id="int_1"),
        digest_of("post_social", PARAMS, ACCOUNT, AT, project_id="prj_1"),
    }
    assert len(digests) == 12


def test_a_worker_is_dead_after_missing_several_beats() -> None:
    """And one that was never seen counts as dead."""
    assert is_worker_dead(None, AT)
    assert is_worker_dead(AT - timedelta(seconds=WORKER_DEAD_AFTER_S + 0.1), AT)
    assert not is_worker_dead(AT - timedelta(seconds=WORKER_DEAD_AFTER_S - 0.1), AT)
