"""The open project's rules for actions, under Settings: how often and when, who approves, and which sites.

Its forms and buttons ask the API themselves (``data-api-post``, ``data-call``), so every refusal is the API's own.
"""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import ApiError, LimitInfo, NetworkInfo, PolicyInfo
from app.ui import markup
from app.ui.components import plain, wired
from app.ui.gateway import Gateway
from automation.actions.registry import ACTION_TYPES

_HEADING = """<h2 class="h-section">Rules for actions</h2>
<p class="h-hint">They hold for the open project, from the next step of every action on. Without any, what is approved runs at once.</p>"""

_TARGET = """<div class="h-field"><label for="h-{0}-account">Account (<code>*</code> for every one)</label>
<input id="h-{0}-account" name="account" value="*" placeholder="x:acme" required maxlength="150"></div>
<div class="h-field"><label for="h-{0}-target">Site (<code>*</code> for every one)</label>
<input id="h-{0}-target" name="target" value="*" placeholder="x.com" required maxlength="300"></div>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Add the rule</button></form></details>
"""

LIMIT_FORMS = f"""
<details class="h-more h-add-account"><summary>{markup.icon("clock")}At most so many</summary>
<form class="h-form" data-api-post="/api/v1/action-limits" data-done="changed" autocomplete="off">
<input type="hidden" name="rule.kind" value="rate">
<div class="h-field"><label for="h-rate-count">At most</label><input id="h-rate-count" name="rule.max_count" type="number" data-number min="1" max="100000" value="10" required></div>
<div class="h-field"><label for="h-rate-span">in any</label><select id="h-rate-span" name="rule.per_s" data-number>
<option value="3600">hour</option><option value="86400" selected>day</option><option value="604800">week</option></select></div>
<div class="h-field"><label for="h-rate-by">counted for</label><select id="h-rate-by" name="rule.counted_by">
<option value="account">each account</option><option value="site">each site</option></select></div>
{_TARGET.format("rate")}
<details class="h-more h-add-account"><summary>{markup.icon("clock")}Quiet hours</summary>
<form class="h-form" data-api-post="/api/v1/action-limits" data-done="changed" autocomplete="off">
<input type="hidden" name="rule.kind" value="quiet_hours">
<div class="h-field"><label for="h-quiet-starts">From</label><input id="h-quiet-starts" name="rule.starts" type="time" value="22:00" required></div>
<div class="h-field"><label for="h-quiet-ends">to</label><input id="h-quiet-ends" name="rule.ends" type="time" value="07:00" required></div>
<div class="h-field"><label for="h-quiet-zone">by the clocks of</label><input id="h-quiet-zone" name="rule.time_zone" data-own-time-zone placeholder="Europe/Berlin" required maxlength="60"></div>
{_TARGET.format("quiet")}
<details class="h-more h-add-account"><summary>{markup.icon("check")}Who approves</summary>
<form class="h-form" data-api-post="/api/v1/approval-policies" data-done="changed" autocomplete="off">
<div class="h-field"><label for="h-policy-name">Name of the policy</label><input id="h-policy-name" name="name" placeholder="Two look at every ad" required maxlength="100"></div>
<div class="h-field"><label for="h-policy-type">Kind of action</label><select id="h-policy-type" name="type"><option value="*">every kind</option>
{"".join(f'<option value="{name}">{markup.text(kind.title)}</option>' for name, kind in ACTION_TYPES.items())}</select></div>
<div class="h-field"><label for="h-policy-account">Account (<code>*</code> for every one)</label><input id="h-policy-account" name="account" value="*" placeholder="x:acme" required maxlength="150"></div>
<div class="h-field"><label for="h-policy-who">Approved by (one a line: <code>role:owner</code>, <code>user:ID</code>, <code>*</code>)</label>
<textarea id="h-policy-who" name="approvers" data-lines rows="2" required>*</textarea></div>
<div class="h-field"><label for="h-policy-people">Different people needed</label><input id="h-policy-people" name="people_needed" type="number" data-number min="1" max="5" value="1" required></div>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Add the policy</button></form></details>
"""


@dataclass
class RulesPanel:
    """Builds the panel and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the panel; it is read anew whenever the tab is opened."""
        plain(_HEADING)
        form = wired("rules-form", ["changed"], value=LIMIT_FORMS)
        rules = wired("rules", ["changed"])
        sites = wired("sites-form", ["changed"])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        form.changed(self.rules, None, [rules], **quiet)
        rules.changed(self.rules, None, [rules], **quiet)
        sites.changed(self.sites, None, [sites], **quiet)
        tab.select(self.rules, None, [rules], **quiet)
        tab.select(self.sites, None, [sites], **quiet)

    def rules(self, request: gr.Request) -> str:
        """Limits and policies, each with a way to remove it."""
        try:
            client = self.gateway.client(request)
            rows = [*map(_limit, client.limits()), *map(_policy, client.policies())]
        except ApiError as error:
            return markup.error_box(error.message, error.hint)
        if not rows:
            return '<p class="h-nothing">No rules yet.</p>'
        return f'<ul class="h-list">{"".join(rows)}</ul>'

    def sites(self, request: gr.Request) -> str:
        """The lists of hosts, as a form that replaces them."""
        try:
            project_id = self.gateway.project_id(request)
            return _sites(project_id, self.gateway.client(request).network(project_id))
        except ApiError as error:
            return markup.error_box(error.message, error.hint)


def _limit(limit: LimitInfo) -> str:
    return _row(limit["words"], _scope(limit["account"], limit["target"]), f"action-limits/{limit['id']}")


def _policy(policy: PolicyInfo) -> str:
    people = f"{policy['people_needed']} people" if policy["people_needed"] > 1 else "one person"
    how = "approved by itself" if policy["is_auto"] else f"{people} of {', '.join(policy['approvers'])}"
    above = policy["amount_above_minor"]
    kind = "every kind" if policy["type"] == "*" else policy["type"]
    detail = [kind, _scope(policy["account"], "*"), how]
    detail += [f"above {above / 100:,.2f}"] if above is not None else []
    detail += [] if policy["risk"] == "*" else [f"risk {policy['risk']}"]
    return _row(policy["name"], "; ".join(detail), f"approval-policies/{policy['id']}")


def _scope(account: str, target: str) -> str:
    named = [part for part in (account, target) if part != "*"]
    return " on ".join(named) or "every account"


def _row(title: str, detail: str, path: str) -> str:
    return (
        f'<li><strong>{markup.exact(title)}</strong><span class="h-detail">{markup.exact(detail)}</span><span class="h-row-end">'
        f'<button type="button" class="h-button h-quiet" data-call="DELETE /api/v1/{markup.text(path)}" data-done="changed" '
        f'data-confirm="Remove it?" aria-label="Remove {markup.text(title)}">Remove</button></span></li>'
    )


def _sites(project_id: str, network: NetworkInfo) -> str:
    fields = (
        ("allowed", "Only these sites may be opened (empty: all but those below)", network["allowed"]),
        ("denied", "Never these", network["denied"]),
        ("own", "Our own sites, read without asking their robots.txt", network["own"]),
    )
    areas = "".join(
        f'<div class="h-field"><label for="h-net-{name}">{label}</label>'
        f'<textarea id="h-net-{name}" name="{name}" data-lines rows="2" placeholder="acme.example">'
        f"{markup.text(chr(10).join(hosts))}</textarea></div>"
        for name, label, hosts in fields
    )
    return f"""<details class="h-more h-add-account"><summary>{markup.icon("page")}Sites that automation may open</summary>
<form class="h-form" data-api-post="/api/v1/projects/{markup.text(project_id)}/network" data-method="PUT" data-done="changed" autocomplete="off">
{areas}<p class="h-hint">One host a line; each also means everything below it.</p>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Save the lists</button></form></details>"""
