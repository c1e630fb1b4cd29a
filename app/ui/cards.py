"""The approval card: exactly what would run, the decision, the job as it goes on, and the evidence at its end."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.client import LIVE_STATUSES, Action, EvidenceItem, Preview
from app.ui import markup
from app.ui.fields import edit_form

STATUS_TEXT = {
    "awaiting_approval": "Needs your approval",
    "approved": "Approved",
    "sending": "Submitting",
    "succeeded": "Done",
    "failed": "Failed",
    "rejected": "Rejected",
    "unconfirmed": "Unconfirmed",
    "expired": "Expired",
    "cancelled": "Cancelled",
}
_ICONS = {"post_social": "post", "scrape_url": "page", "fill_form": "form"}
_TEXT_SHOWN_CHARS = 4_000
_LONG_VALUE_CHARS = 90
_OWN_FILES = "/api/v1/actions/"

Schemas = Mapping[str, Mapping[str, Any]]
"""Params schema by action type."""


def card(action: Action, schemas: Schemas, *, is_compact: bool = False) -> str:
    """The card of one action in its present state.

    Args:
        is_compact: fold a decided card to its head line, for lists.
    """
    status = action["status"]
    attributes = markup.attributes(
        {
            "class": "h-card",
            "data-action": action["id"],
            "data-digest": action["digest"],
            "data-status": status,
            "data-live": status in LIVE_STATUSES,
            "tabindex": "-1",
            "aria-label": f"{action['title']}: {STATUS_TEXT.get(status, status)}",
        }
    )
    body = _preview(action["preview"]) + _media(action) + _agreed(action) + _outcome(action)
    if status == "awaiting_approval":
        body += _decision(action) + edit_form(action, schemas.get(action["type"], {}))
    if is_compact and status not in LIVE_STATUSES and status != "awaiting_approval":
        return (
            f'<article{attributes}><details class="h-fold"><summary>{_head(action, _gist(action))}</summary>'
            f'<div class="h-card-body">{body}</div></details></article>'
        )
    return f'<article{attributes}>{_head(action)}<div class="h-card-body">{body}</div></article>'


def _gist(action: Action) -> str:
    longest = max((line["value"] for line in action["preview"]), key=len, default="")
    return f'<span class="h-gist" dir="auto">{markup.exact(" ".join(longest.split())[:160])}</span>' if longest else ""


def _head(action: Action, gist: str = "") -> str:
    status = action["status"]
    chip = f'<span class="h-chip" data-status="{markup.text(status)}">{STATUS_TEXT.get(status, markup.text(status))}</span>'
    moment = action["finished_at"] or action["decided_at"] or action["created_at"]
    return (
        f'<header class="h-card-head"><span class="h-card-icon">{markup.icon(_ICONS.get(action["type"], "action"))}</span>'
        f'<h3>{markup.text(action["title"])}</h3><span class="h-when">{markup.time(moment)}</span>{chip}{gist}</header>'
    )


def _preview(lines: list[Preview]) -> str:
    return f'<dl class="h-preview">{"".join(_preview_line(line) for line in lines)}</dl>' if lines else ""


def _preview_line(line: Preview) -> str:
    is_long = len(line["value"]) > _LONG_VALUE_CHARS or "\n" in line["value"] or line["label"].lower() == "text"
    note = (
        f'<span class="h-note{" h-bad" if line["problem"] else ""}">{markup.exact(line["note"])}</span>'
        if line["note"]
        else ""
    )
    problem = (
        f'<p class="h-problem">{markup.icon("alert")}{markup.exact(line["problem"])}</p>' if line["problem"] else ""
    )
    value = markup.exact(line["value"]) if line["value"] else '<span class="h-empty-value">empty</span>'
    return (
        f'<div class="h-line{" h-long" if is_long else ""}"><dt>{markup.exact(line["label"])}</dt>'
        f'<dd><bdi class="h-value" dir="auto">{value}</bdi>{note}{problem}</dd></div>'
    )


def _media(action: Action) -> str:
    """The pictures and films that would go out, from this machine's own store."""
    refs = [ref for ref in action["params"].get("media") or [] if isinstance(ref, dict) and _is_hash(ref.get("sha256"))]
    return f'<div class="h-shots">{"".join(_medium(action, ref) for ref in refs)}</div>' if refs else ""


def _medium(action: Action, ref: Mapping[str, Any]) -> str:
    href = markup.text(f"/api/v1/media/{ref['sha256']}?project_id={action['project_id']}")
    alt = str(ref.get("alt") or "")
    caption = markup.exact(str(ref.get("filename") or "")) + (f" — {markup.exact(alt)}" if alt else "")
    if str(ref.get("media_type")).startswith("video/"):
        shown = f'<video src="{href}" controls preload="metadata"></video>'
    else:
        shown = f'<a href="{href}" target="_blank" rel="noopener"><img src="{href}" alt="{markup.text(alt)}" decoding="async"></a>'
    return f'<figure class="h-medium">{shown}<figcaption>{caption}</figcaption></figure>'


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and value.isalnum()


def _agreed(action: Action) -> str:
    """When it is planned for, and who of those whom it needs have approved."""
    said = []
    if action["not_before"] and action["status"] in {"awaiting_approval", *LIVE_STATUSES}:
        said.append(f"Planned for {markup.time(action['not_before'])}.")
    names = ", ".join(markup.exact(approval["by"]) for approval in action["approvals"])
    if action["status"] == "awaiting_approval" and action["people_needed"] > 1:
        missing = action["people_needed"] - len(action["approvals"])
        given = f"Approved by {names}. " if names else ""
        said.append(f"{given}It needs {missing} more {'person' if missing == 1 else 'different people'}.")
    elif names:
        said.append(f"Approved by {names}.")
    return f'<p class="h-hint">{" ".join(said)}</p>' if said else ""


def _decision(action: Action) -> str:
    has_problem = any(line["problem"] for line in action["preview"])
    expires = (
        f'<span class="h-expires">Expires {markup.time(action["expires_at"])}</span>' if action["expires_at"] else ""
    )
    data = {"data-action": action["id"], "data-digest": action["digest"]}
    approve = markup.attributes(
        {
            "type": "button", "class": "h-button h-primary", "data-event": "approve", **data, "disabled": has_problem,
            "title": "Edit it first: it has a problem" if has_problem else None,
        }
    )  # fmt: skip
    reject = markup.attributes({"type": "button", "class": "h-button h-quiet", "data-event": "reject", **data})
    return (
        f'<div class="h-decision"><button{approve}>{markup.icon("check")}Approve</button>'
        f'<button type="button" class="h-button" data-edit>{markup.icon("pencil")}Edit</button>'
        f"<button{reject}>{markup.icon('cross')}Reject</button>{expires}</div>"
    )


def _outcome(action: Action) -> str:
    status = action["status"]
    if status in LIVE_STATUSES:
        return _progress(action)
    if status == "unconfirmed":
        return _unconfirmed(action)
    if status == "failed":
        error = action["error"] or {"code": "", "message": "It failed without saying why.", "hint": ""}
        return markup.error_box(error["message"], error["hint"] or "") + _evidence(action["evidence"])
    if status == "succeeded":
        return _result(action["result"] or {}) + _evidence(action["evidence"])
    return ""


def _progress(action: Action) -> str:
    """Where it is on its way, or what holds it; until something is submitted it can be cancelled."""
    is_sending = action["status"] == "sending"
    now = 2 if is_sending else 1 if action["is_running"] else 0
    steps = "".join(
        f"<li{markup.attributes({'class': state, 'aria-current': 'step' if state == 'is-now' else None})}>{name}</li>"
        for name, state in (
            (name, "is-past" if place < now else "is-now" if place == now else "is-next")
            for place, name in enumerate(("Approved", "Preparing", "Submitting", "Done"))
        )
    )
    held = action["held"]
    if held is not None and not action["is_running"]:
        until = f" Looked at again {markup.time(held['until'])}." if held["until"] else ""
        said = f'<p class="h-held">{markup.icon("clock")}<span>Held: {markup.exact(held["reason"])}{until}</span></p>'
    else:
        phrase = (action["progress"] or "starting") if action["is_running"] or is_sending else "waiting for the worker"
        since = markup.attributes({"data-elapsed": action["id"], "data-since": action["decided_at"]})
        said = f'<p><span class="h-spinner"></span>{markup.exact(_capitalised(phrase))}… <span{since}></span></p>'
    cancel = "" if is_sending else _button("cancel", action, "cross", "Cancel", confirm="Cancel it for good?")
    return f'<div class="h-progress" role="status"><ol class="h-steps">{steps}</ol>{said}</div>{cancel}'


def _button(event: str, action: Action, icon: str, words: str, *, confirm: str) -> str:
    data = markup.attributes(
        {
            "type": "button", "class": "h-button h-quiet", "data-event": event, "data-action": action["id"],
            "data-confirm": confirm,
        }
    )  # fmt: skip
    return f'<div class="h-decision"><button{data}>{markup.icon(icon)}{words}</button></div>'


def _unconfirmed(action: Action) -> str:
    """What is known, what Herald found when it looked, and the form in which a person says how it ended."""
    error = action["error"] or {"code": "", "message": "Nobody saw how it ended.", "hint": ""}
    looked = str(error.get("looked") or "")
    found = f'<p class="h-hint">{markup.exact(looked)}</p>' if looked else ""
    name = markup.text(action["id"])
    return (
        f"{markup.error_box(error['message'], error['hint'] or '')}{found}{_evidence(action['evidence'])}"
        f'<form class="h-form h-settle" data-event="settle"><input type="hidden" name="action" value="{name}">'
        f'<div class="h-field"><label for="o-{name}">You looked at the site. What did you find?</label>'
        f'<select id="o-{name}" name="outcome" required><option value="" selected disabled>Choose</option>'
        '<option value="succeeded">It went out</option>'
        '<option value="failed">It did not go out</option></select></div>'
        f'<div class="h-field"><label for="u-{name}">Its address there, if it has one</label>'
        f'<input id="u-{name}" name="url" type="url" maxlength="2000" placeholder="https://"></div>'
        f'<button class="h-button h-primary">{markup.icon("check")}Settle it</button></form>'
    )


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:].rstrip("…. ")


def _result(result: Mapping[str, Any]) -> str:
    summary = str(result.get("summary") or "Done.")
    html = f'<p class="h-summary">{markup.icon("check")}<span>{markup.exact(summary)}</span></p>'
    rest = {key: value for key, value in result.items() if key != "summary" and value not in (None, "", [], {})}
    if rest:
        items = "".join(f"<dt>{markup.text(_label(key))}</dt><dd>{_data(value)}</dd>" for key, value in rest.items())
        html += f'<details class="h-more"><summary>What came back</summary><dl class="h-data">{items}</dl></details>'
    return html


def _label(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _data(value: Any) -> str:
    if isinstance(value, str) and markup.is_web_address(value):
        return markup.outside_link(value)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    if len(shown) > _TEXT_SHOWN_CHARS:
        cut = len(shown) - _TEXT_SHOWN_CHARS
        shown = f"{shown[:_TEXT_SHOWN_CHARS]}\n… {cut:,} more characters"
    return f'<bdi class="h-value" dir="auto">{markup.exact(shown)}</bdi>'


def _evidence(items: list[EvidenceItem]) -> str:
    if not items:
        return ""
    shots = [item for item in items if item["kind"] == "screenshot" and item["url"].startswith(_OWN_FILES)]
    others = [item for item in items if item not in shots]
    gallery = f'<div class="h-shots">{"".join(_evidence_item(item) for item in shots)}</div>' if shots else ""
    return f'<div class="h-evidence"><h4>Evidence</h4>{gallery}{"".join(_evidence_item(item) for item in others)}</div>'


def _evidence_item(item: EvidenceItem) -> str:
    label, url = markup.exact(item["label"]), item["url"]
    if not url.startswith(_OWN_FILES):
        return f'<p class="h-final"><span>{label}</span>{markup.outside_link(url)}</p>'
    href = markup.text(url)
    if item["kind"] == "screenshot":
        return (
            f'<figure><a href="{href}" target="_blank" rel="noopener"><img src="{href}" alt="{markup.text(item["label"])}" '
            f'decoding="async"></a><figcaption>{label}</figcaption></figure>'
        )
    return f'<p class="h-final"><a href="{href}" target="_blank" rel="noopener">{markup.icon("file")}{label}</a></p>'
