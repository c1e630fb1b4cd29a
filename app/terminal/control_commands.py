"""``herald limits``, ``herald policies`` and the stop: what holds actions back, and who must approve them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.terminal import render
from app.terminal.connection import connect, err, out, plain, reported

limits_app = typer.Typer(help="How often, and when not, accounts and sites may be used.", no_args_is_help=True)
policies_app = typer.Typer(help="Who may approve what, and what needs two people or nobody.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
TargetOption = Annotated[str, typer.Option("--site", help="A host such as x.com; * for every site.")]
AccountOption = Annotated[str, typer.Option("--account", help="platform:handle; * for every account.")]


def stop_actions(reason: Annotated[str, typer.Option(help="Why, for those who ask.")] = "") -> None:
    """Stop all actions: nothing irreversible begins until resume-actions."""
    with reported(), connect() as client:
        stop = client.stop_actions(reason)
        err.print(plain(f"Stopped by {stop['stopped_by']}. Nothing is submitted until: herald resume-actions", "bold"))


def resume_actions() -> None:
    """Let actions go on after stop-actions."""
    with reported(), connect() as client:
        client.resume_actions()
        err.print(plain("Actions go on.", "dim"))


@limits_app.command("list")
def list_limits(as_json: JsonOption = False) -> None:
    """List the limits."""
    with reported(), connect() as client:
        found = client.limits()
        if as_json:
            out.print_json(json.dumps(found))
            return
        rows = ((one["id"], one["words"], one["target"], one["account"]) for one in found)
        out.print(render.table(("id", "limit", "site", "account"), rows))


@limits_app.command("rate")
def add_rate(
    count: Annotated[int, typer.Argument(min=1, help="At most so many …")],
    per_s: Annotated[int, typer.Argument(min=1, help="… in any so many seconds.")],
    site: TargetOption = "*",
    account: AccountOption = "*",
    by_site: Annotated[bool, typer.Option("--by-site", help="Count each site, not each account.")] = False,
) -> None:
    """Limit how often an account (or a site) is used."""
    rule = {"kind": "rate", "max_count": count, "per_s": per_s, "counted_by": "site" if by_site else "account"}
    with reported(), connect() as client:
        added = client.add_limit(rule, target=site, account=account)
        out.print(plain(f"{added['id']}  {added['words']}"))


@limits_app.command("quiet")
def add_quiet_hours(
    starts: Annotated[str, typer.Argument(help="22:00")],
    ends: Annotated[str, typer.Argument(help="07:00")],
    time_zone: Annotated[str, typer.Argument(help="Europe/Berlin")],
    site: TargetOption = "*",
    account: AccountOption = "*",
) -> None:
    """Let nothing go out at these hours."""
    rule = {"kind": "quiet_hours", "starts": starts, "ends": ends, "time_zone": time_zone}
    with reported(), connect() as client:
        added = client.add_limit(rule, target=site, account=account)
        out.print(plain(f"{added['id']}  {added['words']}"))


@limits_app.command("remove")
def remove_limit(limit_id: str) -> None:
    """Remove a limit."""
    with reported(), connect() as client:
        client.remove_limit(limit_id)
        err.print(plain("Removed.", "dim"))


@policies_app.command("list")
def list_policies(as_json: JsonOption = False) -> None:
    """List the approval policies."""
    with reported(), connect() as client:
        found = client.policies()
        if as_json:
            out.print_json(json.dumps(found))
            return
        rows = (
            (
                one["id"],
                one["name"],
                one["type"],
                one["account"],
                "nobody" if one["is_auto"] else f"{one['people_needed']} of {', '.join(one['approvers'])}",
            )
            for one in found
        )
        out.print(render.table(("id", "policy", "type", "account", "needs"), rows))


@policies_app.command("add")
def add_policy(
    name: Annotated[str, typer.Argument(help="What cards and errors call it.")],
    type_name: Annotated[str, typer.Option("--type", help="An action type; * for all.")] = "*",
    account: AccountOption = "*",
    risk: Annotated[str, typer.Option(help="read, write or *.")] = "*",
    approver: Annotated[list[str] | None, typer.Option(help="role:owner, user:ID; may be repeated.")] = None,
    people: Annotated[int, typer.Option(min=1, max=5, help="How many different people.")] = 1,
    above: Annotated[int | None, typer.Option(min=0, help="Only above this amount, in minor units.")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Needs nobody, unless text from outside had a part.")] = False,
) -> None:
    """Add an approval policy; it counts for what is approved from now on."""
    body = {
        "name": name,
        "type": type_name,
        "account": account,
        "risk": risk,
        "amount_above_minor": above,
        "approvers": approver or ["*"],
        "people_needed": people,
        "is_auto": auto,
    }
    with reported(), connect() as client:
        out.print(plain(f"{client.add_policy(body)['id']}  {name}"))


@policies_app.command("remove")
def remove_policy(policy_id: str) -> None:
    """Remove an approval policy."""
    with reported(), connect() as client:
        client.remove_policy(policy_id)
        err.print(plain("Removed.", "dim"))
