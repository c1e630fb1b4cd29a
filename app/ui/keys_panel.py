"""The user's keys for programs, under Settings: made, given a new secret, withdrawn. A secret is shown once."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import ApiError, KeyInfo
from app.ui import markup
from app.ui.components import wired
from app.ui.gateway import Gateway

SCOPES = {
    "read": "Read",
    "write": "Write: chat, documents, proposals",
    "approve": "Approve actions",
    "manage": "Manage members, accounts and limits",
}
TIERS = {"standard": "Standard: 1,000 requests a day", "high": "High: 100,000 requests a day"}

KEY_FORM = f"""
<h2 class="h-section">API keys</h2>
<details class="h-more h-add-account"><summary>{markup.icon("plus")}Make a key</summary>
<form class="h-form" data-api-post="/api/v1/auth/keys" data-done="changed" data-shows="key" autocomplete="off">
<div class="h-field"><label for="h-key-name">Name of the program</label><input id="h-key-name" name="name" placeholder="Newsletter script" required maxlength="100"></div>
<fieldset class="h-choices"><legend>What it may do</legend>
{"".join(f'<label><input type="checkbox" name="scopes" value="{scope}"{" checked" if scope == "read" else ""}> {shown}</label>' for scope, shown in SCOPES.items())}
</fieldset>
<div class="h-field"><label for="h-key-tier">Tier</label><select id="h-key-tier" name="tier">
{"".join(f'<option value="{tier}">{shown}</option>' for tier, shown in TIERS.items())}</select></div>
<p class="h-hint">A key never may do more than you. Programs send it as <code>Authorization: Bearer KEY</code>.</p>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Make the key</button></form></details>
<div class="h-once" id="h-key-once" data-once="Copy this key now. It is not shown again."></div>
"""


@dataclass
class KeysPanel:
    """Builds the panel and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the panel; the list is read anew whenever the tab is opened."""
        form = wired("key-form", ["changed"], value=KEY_FORM)
        keys = wired("keys", ["changed"])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        form.changed(self.keys, None, [keys], **quiet)
        keys.changed(self.keys, None, [keys], **quiet)
        tab.select(self.keys, None, [keys], **quiet)

    def keys(self, request: gr.Request) -> str:
        """The user's keys without their secrets."""
        try:
            return _keys(self.gateway.client(request).keys())
        except ApiError as error:
            return markup.error_box(error.message, error.hint)


def _keys(keys: list[KeyInfo]) -> str:
    if not keys:
        return '<p class="h-nothing">You have no keys. A program needs one to use the API in your name.</p>'
    return f'<ul class="h-list">{"".join(_key(key) for key in keys)}</ul>'


def _key(key: KeyInfo) -> str:
    path, name = f"/api/v1/auth/keys/{markup.text(key['id'])}", markup.text(key["name"])
    used = f"used {markup.time(key['last_used_at'])}" if key["last_used_at"] else "not used yet"
    return (
        f'<li><strong>{markup.exact(key["name"])}</strong><span class="h-platform">{markup.text(", ".join(key["scopes"]))}</span>'
        f'<span class="h-detail">{markup.text(key["tier"])}, {used}</span><span class="h-row-end">'
        f'<button type="button" class="h-button h-quiet" data-call="POST {path}/rotate" data-done="changed" data-shows="key" '
        f'data-once-in="h-key-once" data-confirm="Replace its secret?" aria-label="Give {name} a new secret">New secret</button>'
        f'<button type="button" class="h-button h-quiet" data-call="DELETE {path}" data-done="changed" '
        f'data-confirm="Revoke it?" aria-label="Revoke {name}">Revoke</button></span></li>'
    )
