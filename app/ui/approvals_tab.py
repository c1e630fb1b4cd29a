"""The Approvals tab: every proposal that waits for a decision, what is under way, and what became of the others."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import LIVE_STATUSES, ApiError, StopState
from app.ui import cards, decisions, markup
from app.ui.components import keyed_view, plain
from app.ui.gateway import Gateway
from app.ui.transcript import Item, View, item, view

HISTORY_LIMIT = 50
_PAGE_HEAD = (
    '<div class="h-page-head"><h1>Approvals</h1>'
    "<p>Nothing leaves this machine in your name before you approve it here or in the chat.</p></div>"
)


@dataclass
class ApprovalsTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the tab; it is read anew whenever it is opened."""
        plain(_PAGE_HEAD)
        approvals = keyed_view("approvals", [*decisions.VERBS, "stop", "resume", "poll"])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        for verb in decisions.VERBS:
            getattr(approvals, verb)(self._decider(verb), None, [approvals], trigger_mode="multiple", **quiet)
        for verb in ("stop", "resume"):
            getattr(approvals, verb)(self._stopper(verb), None, [approvals], trigger_mode="once", **quiet)
        approvals.poll(self.refresh, None, [approvals], trigger_mode="once", **quiet)
        tab.select(self.refresh, None, [approvals], **quiet)

    def refresh(self, request: gr.Request) -> View:
        """Everything as it is now."""
        client = self.gateway.client(request)
        try:
            schemas = self.gateway.schemas(client)
            stop = client.stop_state()
            waiting = client.actions("awaiting_approval", limit=200)
            unsettled = client.actions("unconfirmed", limit=200)
            recent = [a for a in client.actions(limit=HISTORY_LIMIT) if a["status"] not in _OWN_SECTION]
        except ApiError as error:
            return view("replace", "approvals", [item("error", markup.error_box(error.message, error.hint))])
        running = [a for a in recent if a["status"] in LIVE_STATUSES]
        decided = [a for a in recent if a["status"] not in LIVE_STATUSES]
        items = [item("stop", _stop_box(stop))]
        if unsettled:
            items += [item("h:unsettled", _heading("Nobody saw how these ended", len(unsettled)))]
            items += _cards(unsettled, schemas)
        items += [item("h:waiting", _heading("Waiting for you", len(waiting)))]
        items += _cards(waiting, schemas) or [item("nothing", _NOTHING_WAITS)]
        if running:
            items += [item("h:running", _heading("Under way", len(running))), *_cards(running, schemas)]
        if decided:
            items += [item("h:history", _heading("History", 0)), *_cards(decided, schemas, is_compact=True)]
        return view("replace", "approvals", items, origin="poll")

    def _stopper(self, verb: str) -> Any:
        def pressed(request: gr.Request) -> View:
            client = self.gateway.client(request)
            try:
                client.stop_actions() if verb == "stop" else client.resume_actions()
            except ApiError as error:
                return view("patch", "approvals", [item("stop", markup.error_box(error.message, error.hint))])
            return self.refresh(request)

        return pressed

    def _decider(self, verb: str) -> Any:
        def decided(event: gr.EventData, request: gr.Request) -> View:
            pieces = decisions.decide(self.gateway, verb, event, request)
            if any(piece["key"].startswith("n:") and piece["html"] for piece in pieces):
                return view("patch", "approvals", pieces, origin="card")
            return self.refresh(request)

        return decided


_OWN_SECTION = frozenset({"awaiting_approval", "unconfirmed"})


def _stop_box(stop: StopState) -> str:
    """The stop as it stands, with the button that changes it."""
    if not stop["is_stopped"]:
        return (
            '<div class="h-stop"><button type="button" class="h-button h-quiet" data-event="stop" '
            f'data-confirm="Hold everything now?">{markup.icon("cross")}Stop all actions</button></div>'
        )
    why = f": {markup.exact(stop['reason'])}" if stop["reason"] else ""
    return (
        f'<div class="h-error h-stop" role="alert">{markup.icon("alert")}<div><p>All actions are stopped by '
        f"{markup.exact(stop['stopped_by'])} since {markup.time(stop['stopped_at'])}{why}. Nothing is submitted.</p></div>"
        '<button type="button" class="h-button" data-event="resume">Let them go on</button></div>'
    )


_NOTHING_WAITS = (
    f'<div class="h-nothing h-large">{markup.icon("check")}<p>Nothing waits for your approval.</p>'
    "<p>Ask for a post, a page to read or a form to fill in under Chat; its proposal appears here too.</p></div>"
)


def _heading(words: str, count: int) -> str:
    badge = f' <span class="h-count">{count}</span>' if count else ""
    return f'<h2 class="h-section">{words}{badge}</h2>'


def _cards(actions: list[Any], schemas: cards.Schemas, *, is_compact: bool = False) -> list[Item]:
    return [decisions.card_item(action, schemas, is_compact=is_compact) for action in actions]
