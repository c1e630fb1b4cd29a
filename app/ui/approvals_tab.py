"""The Approvals tab: every proposal that waits for a decision, what is under way, and what became of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import LIVE_STATUSES, ApiError
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
        approvals = keyed_view("approvals", ["approve", "reject", "save", "poll"])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        for verb in ("approve", "reject", "save"):
            getattr(approvals, verb)(self._decider(verb), None, [approvals], trigger_mode="multiple", **quiet)
        approvals.poll(self.refresh, None, [approvals], trigger_mode="once", **quiet)
        tab.select(self.refresh, None, [approvals], **quiet)

    def refresh(self, request: gr.Request) -> View:
        """Everything as it is now."""
        client = self.gateway.client(request)
        try:
            schemas = self.gateway.schemas(client)
            waiting = client.actions("awaiting_approval", limit=200)
            recent = [a for a in client.actions(limit=HISTORY_LIMIT) if a["status"] != "awaiting_approval"]
        except ApiError as error:
            return view("replace", "approvals", [item("error", markup.error_box(error.message, error.hint))])
        running = [a for a in recent if a["status"] in LIVE_STATUSES]
        decided = [a for a in recent if a["status"] not in LIVE_STATUSES]
        items = [item("h:waiting", _heading("Waiting for you", len(waiting)))]
        items += _cards(waiting, schemas) or [item("nothing", _NOTHING_WAITS)]
        if running:
            items += [item("h:running", _heading("Under way", len(running))), *_cards(running, schemas)]
        if decided:
            items += [item("h:history", _heading("History", 0)), *_cards(decided, schemas, is_compact=True)]
        return view("replace", "approvals", items, origin="poll")

    def _decider(self, verb: str) -> Any:
        def decided(event: gr.EventData, request: gr.Request) -> View:
            pieces = decisions.decide(self.gateway, verb, event, request)
            if any(piece["key"].startswith("n:") and piece["html"] for piece in pieces):
                return view("patch", "approvals", pieces, origin="card")
            return self.refresh(request)

        return decided


_NOTHING_WAITS = (
    f'<div class="h-nothing h-large">{markup.icon("check")}<p>Nothing waits for your approval.</p>'
    "<p>Ask for a post, a page to read or a form to fill in under Chat; its proposal appears here too.</p></div>"
)


def _heading(words: str, count: int) -> str:
    badge = f' <span class="h-count">{count}</span>' if count else ""
    return f'<h2 class="h-section">{words}{badge}</h2>'


def _cards(actions: list[Any], schemas: cards.Schemas, *, is_compact: bool = False) -> list[Item]:
    return [decisions.card_item(action, schemas, is_compact=is_compact) for action in actions]
