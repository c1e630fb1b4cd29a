"""The cards of the Create tab: a variant as it stands, or while it is being written."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from typing import Any

from app.client import VariantInfo
from app.ui import markup

TITLES = {"short_form": "Short form", "long_form": "Long form", "call_to_action": "Call to action"}
_PLATFORMS = {"x": "X", "linkedin": "LinkedIn", "youtube": "YouTube", "tiktok": "TikTok"}
_ORIGINS = {"generated": "Written", "regenerated": "Written anew", "edited": "Edited"}


def platform_title(name: str) -> str:
    """A platform's name for people."""
    return _PLATFORMS.get(name, name.replace("_", " ").title())


def brief_head(brief: str, platform: str = "") -> str:
    """What the variants below are about."""
    chip = f'<span class="h-platform">{markup.text(platform_title(platform))}</span>' if platform else ""
    return f'<div class="h-brief-head"><h2 class="h-section">The brief {chip}</h2><p dir="auto">{markup.exact(brief)}</p></div>'


def live(kind: str, text: str, status: str) -> str:
    """A variant that is still being written."""
    shown = f'<p class="h-value h-writing" dir="auto">{markup.exact(text)}</p>' if text else ""
    return (
        f'<article class="h-card h-variant" data-kind="{markup.text(kind)}" aria-busy="true"><header class="h-card-head"><h3>{_title(kind)}</h3></header>'
        f'<div class="h-card-body">{shown}<p class="h-status" role="status"><span class="h-spinner"></span>{markup.exact(status)}… '
        f'<span data-elapsed="variant:{markup.text(kind)}"></span></p></div></article>'
    )


def card(variant: VariantInfo, *, notice: str = "", versions: list[dict[str, Any]] | None = None) -> str:
    """A variant with what can be done about it, and where it came from."""
    named = {"data-id": variant["id"], "data-kind": variant["kind"], "data-generation": variant["generation_id"]}
    body = _text(variant) + notice + _buttons(variant, named)
    if variant["text"]:
        body += _edit_form(variant) + _provenance(variant["provenance"])
    body += _versions(versions) if versions else ""
    chip = '<span class="h-chip" data-status="awaiting_approval">Proposed</span>' if variant["action_id"] else ""
    return (
        f'<article class="h-card h-variant" data-kind="{markup.text(variant["kind"])}"><header class="h-card-head"><h3>{_title(variant["kind"])}</h3>{chip}</header>'
        f'<div class="h-card-body">{body}</div></article>'
    )


def _title(kind: str) -> str:
    return markup.text(TITLES.get(kind, kind))


def _text(variant: VariantInfo) -> str:
    if not variant["text"]:
        error = variant["error"] or {"message": "This one was not written: the writing was interrupted.", "hint": ""}
        return markup.error_box(error["message"], error.get("hint", ""))
    length = len(variant["text"])
    return (
        f'<div class="h-preview"><p class="h-value" dir="auto">{markup.exact(variant["text"])}</p>'
        f'<span class="h-note">{length:,} characters</span></div>'
    )


def _buttons(variant: VariantInfo, named: dict[str, str]) -> str:
    anew = markup.attributes({"type": "button", "class": "h-button", "data-event": "anew", **named})
    if not variant["text"]:
        return f'<div class="h-decision"><button{anew}>Write it</button></div>'
    propose = markup.attributes(
        {
            "type": "button", "class": "h-button h-primary", "data-event": "propose", **named,
            "data-platform": variant["provenance"].get("platform") or "x",
        }
    )  # fmt: skip
    history = markup.attributes({"type": "button", "class": "h-button h-quiet", "data-event": "history", **named})
    more = f"<button{history}>History</button>" if variant["version"] > 1 else ""
    waits = '<p class="h-hint" role="status">It waits for you under Approvals.</p>' if variant["action_id"] else ""
    return (
        f'<div class="h-decision"><button{propose}>{markup.icon("post")}Propose as post</button>'
        f'<button type="button" class="h-button" data-edit>{markup.icon("pencil")}Edit</button>'
        f"<button{anew}>Write anew</button>{more}</div>{waits}"
    )


def _edit_form(variant: VariantInfo) -> str:
    field_id = f"h-{variant['id']}"
    attributes = markup.attributes(
        {
            "class": "h-edit", "data-event": "save", "hidden": True,
            "data-action": f"{variant['id']} {variant['kind']} {variant['generation_id']}",
        }
    )  # fmt: skip
    return (
        f'<form{attributes}><div class="h-field" data-field="text" data-kind="text"><label for="{field_id}">Text</label>'
        f'<textarea id="{field_id}" rows="7">{markup.text(variant["text"])}</textarea></div><div class="h-decision">'
        '<button type="submit" class="h-button h-primary">Save</button>'
        '<button type="button" class="h-button" data-cancel-edit>Cancel</button></div></form>'
    )


def _provenance(found: dict[str, Any]) -> str:
    if found.get("made_by") == "person":
        return ""
    chunks = found.get("chunks") or []
    used = "".join(
        f'<li>{markup.icon("file")}<span>{markup.exact(c["filename"])}</span><span class="h-place">{markup.exact(c["place"] or "")}</span></li>'
        for c in chunks
    )
    cut = "".join(f"<li><s>{markup.exact(s)}</s></li>" for s in found.get("cut") or [])
    made = (
        f"{markup.text(found.get('model', ''))}, seed {markup.text(found.get('seed', ''))}, prompt {markup.text(found.get('prompt_version', ''))}, "
        f"{int(found.get('tokens') or 0):,} tokens in {float(found.get('seconds') or 0):.1f} s, attempts: {int(found.get('attempts') or 0)}"
    )
    if found.get("made_by") == "brief":
        made = f"The brief's own words: nothing that the model wrote held to the facts. {made}"
    return (
        f'<details class="h-more"><summary>Where it comes from</summary><p class="h-detail">{made}</p>'
        + (f'<ul class="h-list">{used}</ul>' if used else '<p class="h-detail">No document was used.</p>')
        + (f'<p class="h-detail">Cut, because no fact supports it:</p><ul class="h-list">{cut}</ul>' if cut else "")
        + "</details>"
    )


def _versions(versions: list[dict[str, Any]]) -> str:
    rows = "".join(
        f'<li><span class="h-detail">{markup.text(_ORIGINS.get(v["origin"], v["origin"]))} {markup.time(v["created_at"])}, {markup.exact(v["actor"])}</span>'
        f'<p class="h-value" dir="auto">{markup.exact(v["text"])}</p></li>'
        for v in versions
    )
    return f'<details class="h-more" open><summary>History</summary><ol class="h-list h-versions" reversed>{rows}</ol></details>'
