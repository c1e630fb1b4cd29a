"""The Settings tab: connected accounts, rules for actions, keys for programs, what each process is doing, and the end of the audit log."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import AccountInfo, ApiError, AuditEntry, Health
from app.ui import markup
from app.ui.components import plain, wired
from app.ui.gateway import Gateway
from app.ui.keys_panel import KeysPanel
from app.ui.rules_panel import RulesPanel
from automation.sites.registry import SITES

AUDIT_LIMIT = 30
PLATFORMS = {site.platform: site.title for site in SITES.values()}
_GOOD = {"ok", "ready", "running", "alive", "idle", "busy"}

# The browser sends the password straight to the API; it never passes through a Gradio event.
ACCOUNT_FORM = f"""
<details class="h-more h-add-account"><summary>{markup.icon("plus")}Connect an account</summary>
<form class="h-form" data-api-post="/api/v1/accounts" data-done="changed" autocomplete="off">
<div class="h-field"><label for="h-platform">Platform</label><select id="h-platform" name="platform">
{"".join(f'<option value="{name}">{title}</option>' for name, title in PLATFORMS.items())}</select></div>
<div class="h-field"><label for="h-handle">Handle</label><input id="h-handle" name="handle" placeholder="@acme" required maxlength="100"></div>
<div class="h-field"><label for="h-username">Login name or mail address</label>
<input id="h-username" name="username" required maxlength="320" autocomplete="off"></div>
<div class="h-field"><label for="h-password">Password</label>
<input id="h-password" name="password" type="password" autocomplete="new-password" data-optional></div>
<div class="h-field"><label for="h-base-url">Address of the site (only for another server)</label>
<input id="h-base-url" name="base_url" type="url" placeholder="https://x.com" data-optional></div>
<p class="h-hint">The password is stored encrypted on this machine and is used only to log in for what you approve.
Leave it empty to log in yourself instead, in a browser that Herald shows you.</p>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Connect</button></form></details>
"""


@dataclass
class SettingsTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the tab; it is read anew whenever it is opened."""
        with gr.Column(elem_classes="h-page"):
            heading = '<div class="h-page-head"><h1>Settings</h1></div><h2 class="h-section">Accounts</h2>'
            plain(heading)
            accounts = wired("accounts", ["delete"])
            form = wired("account-form", ["changed"], value=ACCOUNT_FORM)
            RulesPanel(self.gateway).build(tab)
            KeysPanel(self.gateway).build(tab)
            plain('<h2 class="h-section">This box</h2>')
            health = wired("health", [])
            plain('<h2 class="h-section">Audit log</h2>')
            audit = wired("audit", [])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        form.changed(self.accounts, None, [accounts], **quiet)
        accounts.delete(self.delete_account, None, [accounts], **quiet)
        tab.select(self.accounts, None, [accounts], **quiet)
        tab.select(self.state, None, [health, audit], **quiet)

    def accounts(self, request: gr.Request) -> str:
        """The connected accounts."""
        try:
            return _accounts(self.gateway.client(request).accounts())
        except ApiError as error:
            return markup.error_box(error.message, error.hint)

    def delete_account(self, event: gr.EventData, request: gr.Request) -> str:
        """Disconnect an account; one that is gone already is fine."""
        try:
            self.gateway.client(request).delete_account(str(event.id))
        except ApiError as error:
            if error.status != 404:
                return markup.error_box(error.message, error.hint) + self.accounts(request)
        return self.accounts(request)

    def state(self, request: gr.Request) -> tuple[str, str]:
        """What each process says, and the newest audit entries."""
        client = self.gateway.client(request)
        try:
            health = _health(client.health())
        except ApiError as error:
            health = markup.error_box(error.message, error.hint)
        try:
            return health, _audit(client.audit(limit=AUDIT_LIMIT))
        except ApiError as error:
            return health, markup.error_box(error.message, error.hint)


def _accounts(accounts: list[AccountInfo]) -> str:
    if not accounts:
        return '<p class="h-nothing">No account is connected. Posts need one.</p>'
    rows = "".join(
        f'<li><span class="h-platform">{markup.text(PLATFORMS.get(a["platform"], a["platform"]))}</span>'
        f'<strong>@{markup.exact(a["handle"].lstrip("@"))}</strong><span class="h-url">{markup.exact(a["base_url"])}</span>'
        f'<a class="h-button h-quiet" target="_blank" rel="noopener" '
        f'href="/api/v1/accounts/{markup.text(a["id"])}/login">Log in yourself</a>'
        f'<button type="button" class="h-button h-quiet" data-event="delete" data-id="{markup.text(a["id"])}" '
        f'data-confirm="Remove it?">Remove</button></li>'
        for a in accounts
    )
    return f'<ul class="h-list">{rows}</ul>'


def _health(health: Health) -> str:
    parts: tuple[tuple[str, Any], ...] = (
        ("Web app", health.get("app")),
        ("Database", health.get("database")),
        ("Language model", health.get("inference")),
        ("Worker", health.get("worker")),
    )
    rows = "".join(_health_row(name, state) for name, state in parts)
    return f'<ul class="h-list h-health">{rows}</ul>'


def _health_row(name: str, state: Any) -> str:
    values = dict(state) if isinstance(state, Mapping) else {"status": state}
    status = str(values.pop("status", "") or "unknown")
    details = []
    for key, value in values.items():
        if value in (None, ""):
            continue
        shown = markup.time(str(value)) if key.endswith("_at") else markup.exact(str(value))
        details.append(f"<span>{markup.text(key.removesuffix('_at').replace('_', ' '))}: {shown}</span>")
    good = "h-good" if status.lower() in _GOOD else "h-bad"
    return (
        f'<li><span class="h-dot {good}"></span><strong>{name}</strong><span>{markup.exact(status)}</span>'
        f'<span class="h-details">{"".join(details)}</span></li>'
    )


def _audit(entries: list[AuditEntry]) -> str:
    if not entries:
        return '<p class="h-nothing">Nothing has been proposed or decided yet.</p>'
    rows = "".join(
        f'<tr><td data-label="When">{markup.time(e["at"])}</td><td data-label="Who">{markup.exact(e["actor"])}</td>'
        f'<td data-label="What">{markup.exact(e["event"].replace("_", " "))}</td>'
        f'<td data-label="Action"><code>{markup.exact(str(e["action_id"] or "")[:12])}</code></td>'
        f'<td data-label="Detail" class="h-detail">{markup.exact(_detail(e["detail"]))}</td></tr>'
        for e in entries
    )
    return (
        '<table class="h-table"><thead><tr><th>When</th><th>Who</th><th>What</th><th>Action</th><th>Detail</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _detail(detail: Any) -> str:
    if not detail:
        return ""
    shown = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
    return shown if len(shown) <= 160 else f"{shown[:160]}…"
