"""What a press of a card's button does: the call, the card as it is then, and a notice if it failed."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.client import Action, ApiError, HeraldClient
from app.ui import cards, markup
from app.ui.gateway import Gateway
from app.ui.transcript import Item

VERBS = ("approve", "reject", "save", "cancel", "settle")
_REPEATED = {"already_decided", "not_cancellable", "not_unconfirmed"}
_FINE_WHEN_REPEATED = {
    "approve": {"approved", "sending", "succeeded", "failed", "unconfirmed"},
    "reject": {"rejected"},
    "cancel": {"cancelled"},
    "settle": {"succeeded", "failed"},
    "save": set[str](),
}


def decide(gateway: Gateway, verb: str, event: gr.EventData, request: gr.Request) -> list[Item]:
    """Decide, save, cancel or settle what the event names, and return the pieces of the page that change.

    Pressing a button twice is not an error: the second press finds the decision of the first.
    """
    action_id = str(event.action)
    client = gateway.client(request)
    try:
        action = _send(client, verb, action_id, event)
    except ApiError as error:
        return _after_failure(gateway, client, verb, action_id, error)
    return [card_item(action, gateway.schemas(client)), notice(action_id)]


def _send(client: HeraldClient, verb: str, action_id: str, event: gr.EventData) -> Action:
    if verb == "approve":
        return client.approve(action_id, str(event.digest))
    if verb == "reject":
        return client.reject(action_id)
    if verb == "cancel":
        return client.cancel(action_id)
    if verb == "settle":
        return client.settle(action_id, str(event.outcome), url=str(event.url).strip())
    params: Any = event.params
    return client.edit(action_id, dict(params))


def _after_failure(gateway: Gateway, client: HeraldClient, verb: str, action_id: str, error: ApiError) -> list[Item]:
    try:
        action = client.action(action_id)
        card = [card_item(action, gateway.schemas(client))]
    except ApiError:
        return [notice(action_id, error)]
    if error.code in _REPEATED and action["status"] in _FINE_WHEN_REPEATED[verb]:
        return [*card, notice(action_id)]
    if (verb, action["status"]) in {("save", "awaiting_approval"), ("settle", "unconfirmed")}:
        return [notice(action_id, error)]  # the form stays open with what was typed
    return [*card, notice(action_id, error)]


def card_item(action: Action, schemas: cards.Schemas, *, is_compact: bool = False) -> Item:
    """The keyed piece of an action's card."""
    return {"key": f"a:{action['id']}", "html": cards.card(action, schemas, is_compact=is_compact), "after": ""}


def notice(action_id: str, error: ApiError | None = None) -> Item:
    """What went wrong, right below the card; without an error it goes away."""
    html = markup.error_box(error.message, error.hint) if error else ""
    return {"key": f"n:{action_id}", "html": html, "after": f"a:{action_id}"}
