"""The Chat tab: conversations to the left, the transcript with its cards, and the message box."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from app.client import OPEN_STATUSES, ApiError, Conversation, ConversationHead, Delta, Done, Status
from app.ui import decisions, markup
from app.ui.components import keyed_view, plain, wired
from app.ui.gateway import Gateway
from app.ui.transcript import (
    Item,
    View,
    conversation_items,
    empty_items,
    item,
    live_html,
    user_html,
    view,
)

_REDRAW_S = 0.07
"""A stream is drawn at most this often: faster is not readable and costs both sides."""

SIDEBAR_TEMPLATE = f"""
<div class="h-side-head"><button type="button" class="h-button h-new" data-event="fresh">{markup.icon("plus")}New chat</button>
<button type="button" class="h-button h-quiet h-square h-side-close" data-menu aria-label="Close the list">{markup.icon("cross")}</button></div>
<input type="search" class="h-search" data-input-event="search" placeholder="Find a conversation" aria-label="Find a conversation">
<nav class="h-conversations" aria-label="Conversations" data-slot></nav>
"""

_STOPPED = item("t:error", '<p class="h-stopped" role="status">Stopped. No more is written for that message.</p>')
_MENU_BUTTON = (
    f'<button type="button" class="h-button h-quiet h-menu" data-menu>{markup.icon("menu")}Conversations</button>'
)

Outputs = tuple[Any, Any, Any]
"""Message box, transcript, conversation list."""


@dataclass
class ChatTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self) -> None:
        """Lay out the tab inside the current Blocks."""
        with gr.Row(elem_id="chat", equal_height=True):
            with gr.Column(elem_id="sidebar", scale=0, min_width=264):
                side = wired("conversations", ["fresh", "open", "delete", "search"], template=SIDEBAR_TEMPLATE)
            with gr.Column(elem_id="stage", scale=1, min_width=280):
                plain(_MENU_BUTTON, elem_id="stage-head")
                transcript = keyed_view("transcript", [*decisions.VERBS, "poll", "reload"])
                with gr.Row(elem_id="composer"):
                    box = gr.Textbox(
                        placeholder="Ask Herald, or tell it what to post, read or fill in",
                        label="Message",
                        show_label=False,
                        container=False,
                        lines=1,
                        max_lines=8,
                        autofocus=True,
                        elem_id="message",
                        submit_btn="Send",
                    )
                    stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=72)
                scope = gr.Textbox(visible=False, elem_id="scope")
        self._wire(side, transcript, box, stop, scope)

    def _wire(self, side: Any, transcript: Any, box: Any, stop: Any, scope: Any) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        turn = box.submit(
            self.take_turn,
            [box, scope],
            [box, transcript, side],
            js="(message) => window.herald.begin(message)",
            trigger_mode="multiple",
            **quiet,
        )
        stop.click(self.stopped, [scope], [transcript, side], js="() => window.herald.stop()", cancels=[turn], **quiet)
        side.fresh(lambda: view("replace", "", empty_items()), None, [transcript], **quiet)
        side.open(self.open, None, [transcript], **quiet)
        side.delete(self.delete, None, [transcript, side], **quiet)
        side.search(self.search, None, [side], trigger_mode="always_last", **quiet)
        for verb in decisions.VERBS:
            getattr(transcript, verb)(self._decider(verb), None, [transcript], trigger_mode="multiple", **quiet)
        transcript.poll(self.poll, None, [transcript, side], trigger_mode="once", **quiet)
        transcript.reload(self.reload, None, [transcript, side], **quiet)
        self.on_load = (self.load, [scope], [transcript, side], "() => [window.herald.scopeOfAddress()]", quiet)

    # -- a turn -----------------------------------------------------------------------------------------------

    def take_turn(self, message: str, scope: str, request: gr.Request) -> Iterator[Outputs]:
        """Send a message and show what comes back while it comes."""
        if not message or not message.strip():
            yield gr.skip(), gr.skip(), gr.skip()
            return
        client = self.gateway.client(request)
        drawn = _LiveTurn(message, scope)
        yield "", drawn.view(), gr.skip()
        try:
            for event in client.chat_stream(message, scope or None):
                if isinstance(event, Done):
                    after = self._after_turn(client, event.turn["conversation_id"], drawn.scope)
                    yield gr.skip(), after, self._list(client)
                elif drawn.take(event):
                    yield gr.skip(), drawn.view(), gr.skip()
        except ApiError as error:
            yield gr.skip(), _failed_turn(drawn.scope, message, error), self._list(client)

    def _after_turn(self, client: Any, conversation_id: str, scope: str) -> View:
        conversation = client.conversation(conversation_id)
        items = conversation_items(conversation, self.gateway.schemas(client))
        return view("replace", conversation_id, items, expect=scope, origin="turn")

    def stopped(self, scope: str, request: gr.Request) -> tuple[Any, Any]:
        """Show what the box kept of a turn that the person stopped."""
        client = self.gateway.client(request)
        if scope:
            shown = self._shown(client, scope)
            return {**shown, "items": [*shown["items"], _STOPPED], "expect": scope}, self._list(client)
        return view("patch", "", [item("t:reply", ""), _STOPPED]), self._list(client)

    # -- conversations ----------------------------------------------------------------------------------------

    def load(self, scope: str, request: gr.Request) -> tuple[Any, Any]:
        """The first view of a page: the conversation that its address names, else a new one."""
        client = self.gateway.client(request)
        return self._shown(client, scope or ""), self._list(client)

    def reload(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Show the present conversation as it is stored, after a connection was lost."""
        client = self.gateway.client(request)
        return self._shown(client, str(event.scope or "")), self._list(client)

    def open(self, event: gr.EventData, request: gr.Request) -> View:
        """Show another conversation."""
        return self._shown(self.gateway.client(request), str(event.id))

    def delete(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Delete a conversation, and leave it when it is the one that is shown."""
        client = self.gateway.client(request)
        conversation_id = str(event.id)
        try:
            client.delete_conversation(conversation_id)
        except ApiError as error:
            if error.status != 404:
                return gr.skip(), {"html": markup.error_box(error.message, error.hint)}
        return view("replace", "", empty_items(), expect=conversation_id), self._list(client)

    def search(self, event: gr.EventData, request: gr.Request) -> dict[str, str]:
        """The conversations that hold the words."""
        return self._list(self.gateway.client(request), str(event.value or "").strip())

    def _shown(self, client: Any, scope: str) -> View:
        if not scope:
            return view("replace", "", empty_items())
        try:
            conversation = client.conversation(scope)
            return view("replace", scope, conversation_items(conversation, self.gateway.schemas(client)))
        except ApiError as error:
            return view("replace", "", [item("t:error", markup.error_box(error.message, error.hint)), *empty_items()])

    def _list(self, client: Any, query: str = "") -> dict[str, str]:
        try:
            return {"html": _conversation_list(client.conversations(query), query)}
        except ApiError as error:
            return {"html": markup.error_box(error.message, error.hint)}

    # -- cards ------------------------------------------------------------------------------------------------

    def _decider(self, verb: str) -> Any:
        def decided(event: gr.EventData, request: gr.Request) -> View:
            return view(
                "patch", str(event.scope or ""), decisions.decide(self.gateway, verb, event, request), origin="card"
            )

        return decided

    def poll(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """What changed since: cards under way and messages that came after them."""
        scope = str(event.scope or "")
        client = self.gateway.client(request)
        try:
            conversation = client.conversation(scope)
            items = conversation_items(conversation, self.gateway.schemas(client))
        except ApiError:
            return gr.skip(), gr.skip()  # the health line of the page says what is wrong
        watched = {str(key) for key in (event.keys or [])}
        return view("patch", scope, _from_first_watched(conversation, items, watched), origin="poll"), gr.skip()


@dataclass
class _LiveTurn:
    """A turn as it is drawn while it goes on."""

    message: str
    scope: str
    adopted: str = ""
    content: str = ""
    status: str = "Sending"
    drawn_at_s: float = 0.0
    turn_id: str = field(default_factory=lambda: secrets.token_hex(6))

    def take(self, event: Status | Delta) -> bool:
        """Take in what came; True when it is time to draw again."""
        is_due = time.monotonic() - self.drawn_at_s >= _REDRAW_S
        if isinstance(event, Delta):
            self.content += event.text
        else:
            self.status = event.text or self.status
            self.adopted = event.conversation_id if not self.scope else ""
            is_due = True
        return is_due

    def view(self) -> View:
        """The person's message and the reply so far. A new conversation that has got its id becomes the shown one."""
        self.drawn_at_s = time.monotonic()
        items = [
            item("welcome", ""),
            item("t:error", ""),
            item("t:user", user_html(self.message)),
            item("t:reply", live_html(self.turn_id, self.content, self.status)),
        ]
        made = view("patch", self.scope, items, origin="turn", adopt=self.adopted)
        self.scope, self.adopted = self.scope or self.adopted, ""
        return made


def _from_first_watched(conversation: Conversation, items: list[Item], watched: set[str]) -> list[Item]:
    open_ids = {
        f"a:{m['action']['id']}"
        for m in conversation["messages"]
        if m["action"] and m["action"]["status"] in OPEN_STATUSES
    }
    first = next(
        (i for i, piece in enumerate(items) if piece["key"] in watched or piece["key"] in open_ids), len(items)
    )
    return items[first:]


def _failed_turn(scope: str, message: str, error: ApiError) -> View:
    box = markup.error_box(error.message, " ".join(filter(None, [error.hint, "Your message is back in the box."])))
    items = [item("t:user", ""), item("t:reply", ""), item("t:error", box)]
    if not scope and not error.conversation_id:
        items += empty_items()
    return view("patch", scope, items, origin="turn", restore=message, adopt="" if scope else error.conversation_id)


def _conversation_list(heads: list[ConversationHead], query: str) -> str:
    if not heads:
        words = "No conversation holds these words." if query else "Your conversations will appear here."
        return f'<p class="h-nothing">{words}</p>'
    return "".join(
        f'<div class="h-conversation" data-conversation="{markup.text(head["id"])}">'
        f'<button type="button" class="h-open" data-event="open" data-id="{markup.text(head["id"])}">'
        f'<span class="h-title">{markup.exact(head["title"] or "Untitled")}</span>{markup.time(head["updated_at"])}</button>'
        f'<button type="button" class="h-button h-quiet h-square" data-event="delete" data-id="{markup.text(head["id"])}" '
        f'data-confirm="Delete?" aria-label="Delete {markup.text(head["title"])}">{markup.icon("trash")}</button></div>'
        for head in heads
    )
