"""``herald``: the command line. Commands ask the running app over HTTP.

``signin``, ``audit``, ``vault``, ``models``, ``finetune`` and ``runpod`` work without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.client import ApiError, HeraldClient, Preview
from app.settings import load_settings
from app.terminal import (
    audit_commands,
    batch,
    control_commands,
    finetune_commands,
    render,
    runpod_commands,
    top,
    vault_commands,
)
from app.terminal import chat as chatting
from app.terminal.connection import EXIT_ACTION_FAILED, EXIT_ERROR, connect, err, out, plain, reported, show_error
from automation.sites.registry import SITES
from models.cli import app as models_app

app = typer.Typer(
    name="herald",
    help="Herald: a marketing department in a box. It proposes, you approve, it does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
actions_app = typer.Typer(help="Proposals, and what became of them.", no_args_is_help=True)
memory_app = typer.Typer(help="Documents that answers rest on.", no_args_is_help=True)
users_app = typer.Typer(help="People who signed up on this box.", no_args_is_help=True)
accounts_app = typer.Typer(help="Accounts that Herald posts as.", no_args_is_help=True)
recipes_app = typer.Typer(help="How forms were filled in before.", no_args_is_help=True)
conversations_app = typer.Typer(help="Earlier conversations.", no_args_is_help=True)
app.add_typer(actions_app, name="actions")
app.add_typer(memory_app, name="memory")
app.add_typer(accounts_app, name="accounts")
app.add_typer(recipes_app, name="recipes")
app.add_typer(conversations_app, name="conversations")
app.add_typer(control_commands.limits_app, name="limits")
app.add_typer(control_commands.policies_app, name="policies")
app.command("stop-actions")(control_commands.stop_actions)
app.command("resume-actions")(control_commands.resume_actions)
app.add_typer(users_app, name="users")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(vault_commands.app, name="vault")
app.add_typer(models_app, name="models")
app.add_typer(batch.app, name="batch")
app.add_typer(runpod_commands.app, name="runpod")
app.add_typer(finetune_commands.app, name="finetune")

if TYPE_CHECKING:
    from app.services import Services

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def main() -> None:
    """The ``herald`` command."""
    app()


# -- chat -----------------------------------------------------------------------------------------------------------


@app.command()
def chat(
    once: Annotated[str | None, typer.Option("--once", help="Send one message and end; - reads it from stdin.")] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="With --once: approve exactly the printed proposal.")
    ] = False,
    as_json: JsonOption = False,
    conversation: Annotated[str | None, typer.Option("--conversation", "-c", help="Go on with this one.")] = None,
) -> None:
    """Chat. With --once for scripts: exit status 0 done, 1 error, 3 awaiting approval, 4 the action failed."""
    if once is None and (approve or as_json):
        show_error("--approve and --json go with --once.", 'herald chat --once "…" --approve')
        raise typer.Exit(2)
    with reported(), connect() as client:
        if once is None:
            client.conversations()  # says at once when nothing runs or the key is wrong
            chatting.interactive(client, conversation)
            return
        message = sys.stdin.read() if once == "-" else once
        status = chatting.once(client, message, conversation, approve=approve, as_json=as_json)
    raise typer.Exit(status)


# -- actions --------------------------------------------------------------------------------------------------------


@actions_app.command("list")
def list_actions(
    status: Annotated[str, typer.Option(help="Only those with this status, such as awaiting_approval.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List actions, newest first."""
    with reported(), connect() as client:
        found = client.actions(status, limit)
        if as_json:
            out.print_json(json.dumps(found))
            return
        if not found:
            err.print(plain("No actions yet. Ask for one with `herald chat`.", "dim"))
            return
        rows = (
            (a["id"], render.status_text(a["status"]), render.moment(a["created_at"]), a["title"], _gist(a["preview"]))
            for a in found
        )
        out.print(render.table(("id", "status", "proposed", "what", "of"), rows))


def _gist(preview: list[Preview]) -> str:
    longest = max((line["value"] for line in preview), key=len, default="")
    flat = " ".join(longest.split())
    return flat if len(flat) <= 60 else f"{flat[:60]}…"


@actions_app.command("show")
def show_action(action_id: str, as_json: JsonOption = False) -> None:
    """Show one action with its evidence."""
    with reported(), connect() as client:
        action = client.action(action_id)
        if as_json:
            out.print_json(json.dumps(action))
            return
        out.print(render.card(action, client.base_url))
        for part in render.details(action):
            out.print(part)


@actions_app.command("approve")
def approve_action(
    action_id: str,
    digest: Annotated[str, typer.Option(help="Approve only if this is its digest; without it the card is shown.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
) -> None:
    """Approve a proposal. Without --digest it is shown and asked for."""
    with reported(), connect() as client:
        if not digest:
            action = client.action(action_id)
            out.print(render.card(action, client.base_url))
            if action["status"] == "awaiting_approval" and not typer.confirm("Approve exactly this?", err=True):
                raise typer.Exit(EXIT_ERROR)
            digest = action["digest"]
        action = client.approve(action_id, digest)
        if wait:
            action, _ = chatting.finish(client, action)
        else:
            out.print(render.status_text(action["status"]))
    if action["status"] in {"failed", "unconfirmed"}:
        raise typer.Exit(EXIT_ACTION_FAILED)


@actions_app.command("reject")
def reject_action(action_id: str, reason: Annotated[str, typer.Option(help="Why, for the record.")] = "") -> None:
    """Reject a proposal."""
    with reported(), connect() as client:
        out.print(render.status_text(client.reject(action_id, reason)["status"]))


@actions_app.command("cancel")
def cancel_action(action_id: str, reason: Annotated[str, typer.Option(help="Why, for the record.")] = "") -> None:
    """Take an approval back, as long as nothing is being submitted."""
    with reported(), connect() as client:
        out.print(render.status_text(client.cancel(action_id, reason)["status"]))


@actions_app.command("settle")
def settle_action(
    action_id: str,
    outcome: Annotated[str, typer.Argument(help="What you found at the site: succeeded or failed.")],
    url: Annotated[str, typer.Option(help="Where it is.")] = "",
    note: Annotated[str, typer.Option(help="For the record.")] = "",
) -> None:
    """Say what became of an unconfirmed action."""
    with reported(), connect() as client:
        out.print(render.status_text(client.settle(action_id, outcome, url=url, note=note)["status"]))


# -- memory ---------------------------------------------------------------------------------------------------------


@memory_app.command("add")
def add_documents(files: list[Path]) -> None:
    """Add documents: text, Markdown or PDF. One that is refused does not stop the others."""
    failures = 0
    with reported(), connect() as client:
        for path in files:
            failures += not _add_document(client, path)
    if failures:
        raise typer.Exit(EXIT_ERROR)


def _add_document(client: HeraldClient, path: Path) -> bool:
    try:
        with err.status(plain(f"{path.name}: sending, reading and indexing…", "dim")), path.open("rb") as content:
            document = client.add_document(path.name, content)
    except OSError as error:
        show_error(f"{path}: {error.strerror or error}.", "Check the name and whether you may read it.")
        return False
    except ApiError as error:
        if error.code == "unreachable":
            raise
        show_error(f"{path.name}: {error.message}", error.hint)
        return False
    out.print(plain(f"{document['id']}  {document['filename']}: {document['chunk_count']} passages"))
    return True


@memory_app.command("list")
def list_documents(as_json: JsonOption = False) -> None:
    """List the documents."""
    with reported(), connect() as client:
        found = client.documents()
        if as_json:
            out.print_json(json.dumps(found))
            return
        rows = (
            (d["id"], d["filename"], d["chunk_count"], d["size_bytes"], render.moment(d["created_at"])) for d in found
        )
        out.print(render.table(("id", "document", "passages", "bytes", "added"), rows))


@memory_app.command("search")
def search_memory(query: str, k: Annotated[int, typer.Option(min=1, max=50)] = 5, as_json: JsonOption = False) -> None:
    """Show the passages that a question finds."""
    with reported(), connect() as client:
        hits = client.search_memory(query, k)
        if as_json:
            out.print_json(json.dumps(hits))
            return
        if not hits:
            err.print(plain("Nothing in memory answers that.", "dim"))
        for hit in hits:
            out.print(plain(hit["filename"], "bold") + plain(f"  {hit['place'] or ''}", "dim"))
            out.print(plain(f"{hit['text']}\n"))


@memory_app.command("delete")
def delete_document(document_id: str) -> None:
    """Forget a document."""
    with reported(), connect() as client:
        client.delete_document(document_id)
        err.print(plain("Forgotten.", "dim"))


# -- accounts -------------------------------------------------------------------------------------------------------


@accounts_app.command("add")
def add_account(
    platform: Annotated[str, typer.Argument(help=", ".join(SITES))],
    handle: Annotated[str, typer.Option(help="The account's name on the platform, @acme.")],
    username: Annotated[str, typer.Option(help="What it logs in with: a name or a mail address.")],
    base_url: Annotated[str, typer.Option("--base-url", help="The site, if it is not the platform's own.")] = "",
) -> None:
    """Connect an account. The password is asked for, or read from stdin or HERALD_ACCOUNT_PASSWORD; it may be empty."""
    with reported(), connect() as client:
        password = _password()
        account = client.add_account(
            platform=platform, handle=handle, username=username, password=password, base_url=base_url
        )
        name = f"@{account['handle'].lstrip('@')}"
        out.print(plain(f"{account['id']}  {name} on {account['platform']}"))
        if not password:
            err.print(plain(f"It has no password. Log in yourself: herald accounts login {platform} {name}", "dim"))


def _password() -> str:
    if "HERALD_ACCOUNT_PASSWORD" in os.environ:
        return os.environ["HERALD_ACCOUNT_PASSWORD"]
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@accounts_app.command("list")
def list_accounts(as_json: JsonOption = False) -> None:
    """List the connected accounts."""
    with reported(), connect() as client:
        found = client.accounts()
        if as_json:
            out.print_json(json.dumps(found))
            return
        rows = ((a["id"], a["platform"], f"@{a['handle'].lstrip('@')}", a["base_url"]) for a in found)
        out.print(render.table(("id", "platform", "handle", "site"), rows))


@accounts_app.command("login")
def log_in_account(
    platform: Annotated[str, typer.Argument(help="x")], handle: Annotated[str, typer.Argument(help="@acme")]
) -> None:
    """Print the address of the page on which you log in to the platform yourself."""
    with reported(), connect() as client:
        wanted = (platform.lower(), handle.lstrip("@").casefold())
        for account in client.accounts():
            if (account["platform"], account["handle"].lstrip("@").casefold()) == wanted:
                out.print(plain(f"{client.base_url}/api/v1/accounts/{account['id']}/login"), soft_wrap=True)
                return
        raise typer.BadParameter(f"{handle} on {platform} is not connected; herald accounts list shows those that are.")


@accounts_app.command("remove")
def remove_account(account_id: str) -> None:
    """Disconnect an account and destroy its stored password."""
    with reported(), connect() as client:
        client.delete_account(account_id)
        err.print(plain("Removed.", "dim"))


# -- recipes --------------------------------------------------------------------------------------------------------


@recipes_app.command("list")
def list_recipes(as_json: JsonOption = False) -> None:
    """List recipes by page, the newest version first; the active one is followed by the next run."""
    with reported(), connect() as client:
        found = client.recipes()
        if as_json:
            out.print_json(json.dumps(found))
            return
        rows = (
            (r["id"], r["state"], f"v{r['version']}", f"{r['uses']}×", r["origin"] + r["path"], ", ".join(r["fields"]))
            for r in found
        )
        out.print(render.table(("id", "state", "version", "used", "page", "values"), rows))


@recipes_app.command("remove")
def remove_recipe(recipe_id: str) -> None:
    """Forget a recipe; the next run looks at the page anew."""
    with reported(), connect() as client:
        client.delete_recipe(recipe_id)
        err.print(plain("Removed.", "dim"))


# -- conversations, signing in, status --------------------------------------------------------------------------------


@conversations_app.command("list")
def list_conversations(query: Annotated[str, typer.Option("--query", "-q", help="Words to find.")] = "") -> None:
    """List conversations, newest first."""
    with reported(), connect() as client:
        out.print(chatting.conversation_table(client, query))


@conversations_app.command("show")
def show_conversation(conversation_id: str) -> None:
    """Print a conversation."""
    with reported(), connect() as client:
        chatting.show_conversation(client, conversation_id)


@app.command()
def signin() -> None:
    """Print a one-time link that signs a browser in."""
    from app.services import build_services

    with reported():
        services = build_services(load_settings())
        try:
            typer.echo(services.auth.create_signin_link())
        finally:
            services.close()


@users_app.command("list")
def list_users() -> None:
    """Show who signed up on this box. Works without the app, on its machine alone."""
    with _own_services() as services:
        rows = (
            (u.id, u.email or "", u.name, "owner of the box" if u.is_box_owner else "")
            for u in services.auth.users.all()
        )
        out.print(render.table(("id", "mail", "name", ""), rows))


@users_app.command("reset")
def reset_password(email: str) -> None:
    """Print a link that sets a new password for somebody, once, within an hour."""
    with _own_services() as services:
        typer.echo(services.auth.users.create_reset_link(email))


@contextmanager
def _own_services() -> Iterator[Services]:
    from app.services import build_services

    with reported():
        services = build_services(load_settings())
        try:
            yield services
        finally:
            services.close()


@app.command()
def status(as_json: JsonOption = False) -> None:
    """What each process is doing. Exit status 0 when all is well, else 1."""
    with reported(), connect() as client:
        state = client.health()
        if as_json:
            out.print_json(json.dumps(state))
        else:
            out.print(render.health(state))
    if state["status"] != "ok":
        raise typer.Exit(EXIT_ERROR)


@app.command()
def doctor() -> None:
    """Print what inference found on this machine and chose for it, and whether the storage of documents works."""
    from app.terminal.documents import show_storage

    # A process of its own: the app never loads what serves models.
    status = subprocess.run([sys.executable, "-m", "inference.doctor"], check=False).returncode
    with reported():
        show_storage(load_settings())
    raise typer.Exit(status)


@app.command("top")
def show_top(
    once: Annotated[bool, typer.Option("--once", help="Print one picture, over one second, and end.")] = False,
) -> None:
    """Watch the model server: requests, tokens a second, latencies, cache, memory, newest calls. q ends it."""
    top.run(once=once)


if __name__ == "__main__":
    main()
