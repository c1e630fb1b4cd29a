"""The contract of a turn: its schema, its second validation, its reading while it streams."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from app.chat.contract import MAX_REPLY_CHARS, Offer, PartialTurn, parse_turn, turn_schema
from app.chat.prompt import turn_json
from app.llm import ConstraintFailed
from automation.actions.registry import ACTION_TYPES

OFFERS = [Offer(t) for t in ACTION_TYPES.values()]
POST = {"type": "post_social", "params": {"platform": "x", "text": "Hi", "account": ""}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure, I will post that!",
        "null",
        "[]",
        '{"action": null}',
        '{"reply": "hi"}',
        '{"action": null, "reply": 5}',
        '{"action": null, "reply": "hi", "more": 1}',
        '{"action": {"type": "delete_everything", "params": {}}, "reply": "hi"}',
        '{"action": {"type": "post_social", "params": {"platform": "x"}}, "reply": "hi"}',
        '{"action": {"type": "post_social", "params": {"platform": "myspace", "text": "a"}}, "reply": "hi"}',
        '{"action": {"type": "scrape_url", "params": {"url": "a.example", "then": "b"}}, "reply": "hi"}',
        '{"action": null, "reply": "hi"} and then some',
        json.dumps({"action": None, "reply": "a" * (MAX_REPLY_CHARS + 1)}),
    ],
)
def test_anything_but_a_turn_is_refused(text: str) -> None:
    """Whatever the constraint let through, only the contract is used."""
    with pytest.raises(ConstraintFailed):
        parse_turn(text, OFFERS)


def test_an_action_that_was_not_offered_is_refused() -> None:
    """The type must be one of this turn's offers, not just any that exists."""
    with pytest.raises(ConstraintFailed, match="not offered"):
        parse_turn(turn_json("ok", POST), [Offer(ACTION_TYPES["scrape_url"])])


def test_a_turn_is_read() -> None:
    """Reply and validated params come out."""
    turn = parse_turn(turn_json("ok", POST), OFFERS)
    assert turn.reply == "ok"
    assert turn.action is not None
    assert turn.action.params.model_dump() == POST["params"] | {"media": ()}
    assert parse_turn(turn_json("hello", None), []).action is None


def _is_valid(schema: dict[str, Any], turn: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(turn)


def test_the_schema_is_the_union_of_the_offers() -> None:
    """Each offered type's params and null, nothing else, decision first."""
    schema = turn_schema(OFFERS)
    assert list(schema["properties"]) == ["action", "reply"]
    assert _is_valid(schema, {"action": POST | {"params": POST["params"] | {"media": []}}, "reply": "ok"})
    assert _is_valid(schema, {"action": None, "reply": "ok"})
    assert not _is_valid(schema, {"action": {"type": "scrape_url", "params": POST["params"]}, "reply": "ok"})
    assert not _is_valid(turn_schema([]), {"action": POST, "reply": "ok"})
    assert not _is_valid(turn_schema(OFFERS[:1], must_act=True), {"action": None, "reply": "ok"})


def test_an_offer_is_narrowed_to_what_the_user_named() -> None:
    """An address that the user did not write cannot be chosen."""
    schema = turn_schema([Offer(ACTION_TYPES["scrape_url"], {"url": {"enum": ["a.example"]}})])
    assert _is_valid(schema, {"action": {"type": "scrape_url", "params": {"url": "a.example"}}, "reply": "ok"})
    assert not _is_valid(schema, {"action": {"type": "scrape_url", "params": {"url": "evil.example"}}, "reply": "ok"})
    without_account = turn_schema([Offer(ACTION_TYPES["post_social"], omit=frozenset({"account", "media"}))])
    assert not _is_valid(without_account, {"action": POST, "reply": "ok"})


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_reply_streams_out_of_the_json_whatever_the_pieces(size: int) -> None:
    """Escapes and emoji cut in the middle come out whole."""
    text = '{"action": null, "reply": "Grüße \\"wörtlich\\" \\u263a\\n🎉 end"}'
    shown: list[str] = []
    draft = PartialTurn(shown.append)
    for start in range(0, len(text), size):
        draft.take(text[start : start + size])
        draft.show()
    assert "".join(shown) == json.loads(text)["reply"]
