"""``herald chat``: a turn streamed to the terminal, the card, the decision, the job, and the answer at its end."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.prompt import Prompt
from rich.status import Status as Spinner
from rich.text import Text

from app import invisibles
from app.client import Action, ApiError, Delta, Done, HeraldClient, Message, Status, Turn
from app.terminal import render
from app.terminal.connection import EXIT_ACTION_FAILED, EXIT_AWAITING, err, out, plain, show_error
from app.terminal.editing import edited_params

FOLLOW_UP_TIMEOUT_S = 180.0
"""How long the message about a result is waited for: on two cores the model reads a long page slowly."""

HELP = "/new starts a new conversation, /list shows the others, /open ID goes on with one, /quit leaves."


def once(client: HeraldClient, message: str, conversation_id: str | None, *, approve: bool, as_json: bool) -> int:
    """One message for a script; returns the exit status.

    With ``approve`` exactly the proposal that was shown is approved: its digest goes along, so a change in between is
    refused.
    """
    turn = client.chat(message, conversation_id) if as_json else stream_turn(client, message, conversation_id)
    action, follow_up = turn["action"], list[Message]()
    if action and not as_json:
        out.print(render.card(action, client.base_url))
    if action and approve:
        action = client.approve(action["id"], action["digest"])
        action, follow_up = finish(client, action, is_quiet=as_json)
    if as_json:
        answers = [message["content"] for message in follow_up]
        out.print_json(json.dumps({**turn, "action": action, "follow_up": answers}, ensure_ascii=True))
    return _exit_status(action)


def _exit_status(action: Action | None) -> int:
    if action is None or action["status"] == "succeeded":
        return 0
    return EXIT_AWAITING if action["status"] == "awaiting_approval" else EXIT_ACTION_FAILED


def interactive(client: HeraldClient, conversation_id: str | None) -> None:
    """Chat until the person leaves."""
    err.print(Text("Herald", "bold") + plain(f" at {client.base_url}. {HELP}", "dim"))
    while True:
        try:
            message = Prompt.ask(Text("\nyou", "bold cyan"), console=err).strip()
        except (EOFError, KeyboardInterrupt):
            err.print()
            return
        if message in {"/quit", "/exit"}:
            return
        if not message:
            continue
        try:
            conversation_id = _command(client, message, conversation_id)
        except ApiError as error:
            show_error(error.message, error.hint)
        except KeyboardInterrupt:
            err.print(plain("\nStopped.", "dim"))


def _command(client: HeraldClient, message: str, conversation_id: str | None) -> str | None:
    word, _, rest = message.partition(" ")
    if word == "/new":
        return None
    if word == "/list":
        out.print(conversation_table(client))
        return conversation_id
    if word == "/open":
        show_conversation(client, rest.strip())
        return rest.strip()
    if word.startswith("/"):
        err.print(plain(HELP, "dim"))
        return conversation_id
    turn = stream_turn(client, message, conversation_id)
    if turn["action"]:
        decide(client, turn["action"])
    return turn["conversation_id"]


def stream_turn(client: HeraldClient, message: str, conversation_id: str | None) -> Turn:
    """Send a message, show the reply as it comes and its sources below."""
    text, written = "", 0
    spinner = err.status(plain("Sending…", "dim"))
    spinner.start()
    started = time.monotonic()
    try:
        for event in client.chat_stream(message, conversation_id):
            if isinstance(event, Status):
                spinner.update(plain(f"{event.text}… {time.monotonic() - started:.0f} s", "dim"))
            elif isinstance(event, Delta):
                spinner.stop()
                text += event.text
                shown = invisibles.shown(text)
                out.out(shown[written:], end="", highlight=False)
                written = len(shown)
            elif isinstance(event, Done):
                spinner.stop()
                _finish_reply(event.turn, text)
                return event.turn
    finally:
        spinner.stop()
    raise AssertionError("chat_stream ends with Done or raises")


def _finish_reply(turn: Turn, streamed: str) -> None:
    """Show the reply where it did not stream, or was changed when it was held against what the user had said."""
    if streamed.strip() not in turn["reply"]:
        out.print(plain("\n\nAfter a check of its facts:", "dim"))
    if not streamed or streamed.strip() not in turn["reply"]:
        out.out(invisibles.shown(turn["reply"]), end="", highlight=False)
    out.print()
    for line in (*render.sources(turn["sources"]), *render.lookups(turn["lookups"])):
        out.print(line)


def decide(client: HeraldClient, action: Action) -> Action:
    """Show the card and do what the person says until it is decided or left for later."""
    while True:
        out.print(render.card(action, client.base_url))
        has_problem = any(line["problem"] for line in action["preview"])
        choice = _ask_choice(has_problem)
        try:
            if choice == "l":
                err.print(plain(f"It waits for you: herald actions approve {action['id']}", "dim"))
                return action
            if choice == "r":
                action = client.reject(action["id"])
                err.print(plain("Rejected. Nothing was done.", "dim"))
                return action
            if choice == "a":
                return finish(client, client.approve(action["id"], action["digest"]))[0]
            params = edited_params(action)
            if params is not None:
                action = client.edit(action["id"], params)
        except ApiError as error:
            show_error(error.message, error.hint)
            action = client.action(action["id"])
            if action["status"] != "awaiting_approval":
                return action


def _ask_choice(has_problem: bool) -> str:
    words = "" if has_problem else "[b]a[/b]pprove, "
    choices = ["e", "r", "l"] if has_problem else ["a", "e", "r", "l"]
    return Prompt.ask(f"{words}[b]e[/b]dit, [b]r[/b]eject or [b]l[/b]ater", choices=choices, default="l", console=err)


def finish(client: HeraldClient, action: Action, *, is_quiet: bool = False) -> tuple[Action, list[Message]]:
    """Follow an approved action to its end, show the evidence and what the conversation says about it."""
    approved = action
    with err.status(plain("Queued…", "dim")) if not is_quiet else _Silence() as spinner:
        action = client.wait(action["id"], on_change=lambda changed: spinner.update(_progress(changed)))
    if not is_quiet:
        out.print(plain(action["title"], "bold") + Text(": ") + render.status_text(action["status"]))
        for part in render.outcome(action, client.base_url):
            out.print(part)
    follow_up = _follow_up(client, approved, is_quiet)
    if not is_quiet:
        _show_follow_up(action, follow_up)
    return action, follow_up


class _Silence:
    """A spinner that shows nothing, for output that a program reads."""

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def update(self, _text: Any) -> None:
        """Say nothing."""


def _progress(action: Action) -> Text:
    phrase = action["progress"] or ("waiting for the worker" if action["status"] == "approved" else "starting")
    return plain(
        f"{render.STATUS_WORDS.get(action['status'], (action['status'], ''))[0].capitalize()}: {phrase}…", "dim"
    )


def _follow_up(client: HeraldClient, approved: Action, is_quiet: bool) -> list[Message]:
    """Messages that came after the action in its conversation; waits for the first one."""
    if not approved["conversation_id"]:
        return []
    deadline = time.monotonic() + FOLLOW_UP_TIMEOUT_S
    spinner: Spinner | _Silence = _Silence() if is_quiet else err.status(plain("Writing about the result…", "dim"))
    with spinner:
        while True:
            found = _messages_after(client, approved)
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.5)


def _messages_after(client: HeraldClient, action: Action) -> list[Message]:
    try:
        messages = client.conversation(action["conversation_id"] or "")["messages"]
    except ApiError as error:
        if error.status == 404:  # deleted meanwhile
            return []
        raise
    position = next(
        (i for i, m in enumerate(messages) if m["action"] and m["action"]["id"] == action["id"]), len(messages)
    )
    return [m for m in messages[position + 1 :] if m["role"] == "assistant"]


def _show_follow_up(action: Action, follow_up: list[Message]) -> None:
    summary = str((action["result"] or {}).get("summary", ""))
    for message in follow_up:
        if message["content"].strip() == summary.strip():
            continue  # said already
        out.print()
        out.out(invisibles.shown(message["content"]), highlight=False)
        for line in (*render.sources(message["sources"]), *render.lookups(message["lookups"])):
            out.print(line)


def conversation_table(client: HeraldClient, query: str = "") -> Any:
    """The conversations, newest first."""
    rows = ((c["id"], render.moment(c["updated_at"]), c["title"]) for c in client.conversations(query))
    return render.table(("id", "last", "title"), rows)


def show_conversation(client: HeraldClient, conversation_id: str) -> None:
    """Print a whole conversation with its cards."""
    for message in client.conversation(conversation_id)["messages"]:
        who = Text("you", "bold cyan") if message["role"] == "user" else Text("herald", "bold")
        out.print(who + plain(f"  {render.moment(message['created_at'])}", "dim"))
        out.out(invisibles.shown(message["content"]), highlight=False)
        for line in (*render.sources(message["sources"]), *render.lookups(message["lookups"])):
            out.print(line)
        if message["action"]:
            out.print(render.card(message["action"], client.base_url))
        out.print()
