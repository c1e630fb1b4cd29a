"""The Create tab: a brief in, three variants side by side, each edited, written anew or proposed as a post."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from app.client import ApiError, GenerationInfo, HeraldClient, VariantInfo, VoiceInfo
from app.ui import markup, variants
from app.ui.components import keyed_view, plain, wired
from app.ui.fields import resolved
from app.ui.gateway import Gateway
from app.ui.transcript import Item, View, item, view

_REDRAW_S = 0.12
_PAGE_HEAD = (
    '<div class="h-page-head"><h1>Create</h1><p>A brief becomes three texts in your voice. Facts come from the brief and '
    "your documents alone; nothing is posted before you approve it.</p></div>"
)
BRIEF_FORM = """
<form class="h-form h-brief" data-event="write">
<div class="h-field"><label for="h-brief-text">What is it about?</label>
<textarea id="h-brief-text" name="brief" rows="3" required placeholder="Plum crumble is back from Friday, 3.80 euro a slice"></textarea></div>
<div class="h-brief-row"><div class="h-field"><label for="h-brief-platform">For</label>
<select id="h-brief-platform" name="platform" data-slot><option value="">any platform</option></select></div>
<button type="submit" class="h-button h-primary">Write three variants</button></div></form>
"""
VOICE_FORM = """<div data-slot></div>"""


@dataclass
class CreateTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the tab; what it shows is read anew whenever it is opened."""
        plain(_PAGE_HEAD)
        brief = wired("brief", ["write"], template=BRIEF_FORM)
        shown = keyed_view("variants", ["save", "anew", "propose", "history"])
        voice = wired("voice", ["voice"], template=VOICE_FORM)
        earlier = wired("briefs", ["open"], template="<div data-slot></div>")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        brief.write(self.write, None, [shown, earlier], trigger_mode="once", **quiet)
        for verb in ("save", "anew", "propose", "history"):
            getattr(shown, verb)(getattr(self, verb), None, [shown], trigger_mode="multiple", **quiet)
        earlier.open(self.open, None, [shown], **quiet)
        voice.voice(self.save_voice, None, [voice], **quiet)
        tab.select(self.load, None, [brief, voice, earlier], **quiet)

    # -- opening ----------------------------------------------------------------------------------------------

    def load(self, request: gr.Request) -> tuple[Any, Any, Any]:
        """The platforms, the voice and the earlier briefs."""
        client = self.gateway.client(request)
        try:
            platforms = {"html": _platform_options(self.gateway.schemas(client))}
            return platforms, {"html": _voice_form(client.voice())}, self._earlier(client)
        except ApiError as error:
            return gr.skip(), {"html": markup.error_box(error.message, error.hint)}, gr.skip()

    def open(self, event: gr.EventData, request: gr.Request) -> View:
        """Show an earlier brief."""
        try:
            return view("replace", "variants", generation_items(self.gateway.client(request).generation(str(event.id))))
        except ApiError as error:
            return _error_view(error)

    def _earlier(self, client: HeraldClient) -> dict[str, str]:
        try:
            return {"html": _earlier_list(client.generations())}
        except ApiError as error:
            return {"html": markup.error_box(error.message, error.hint)}

    # -- writing ----------------------------------------------------------------------------------------------

    def write(self, event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """Have the brief written and show the texts while they come."""
        brief = str(event.brief or "").strip()
        client = self.gateway.client(request)
        drawn = _LiveBrief(brief)
        yield drawn.begun(), gr.skip()
        try:
            for name, data in client.generate_stream(brief, str(event.platform or "")):
                if name == "done":
                    whole: Any = data
                    yield view("replace", "variants", generation_items(whole)), self._earlier(client)
                elif changed := drawn.take(name, data):
                    yield view("patch", "variants", changed), gr.skip()
        except ApiError as error:
            yield _error_view(error), self._earlier(client)

    def anew(self, event: gr.EventData, request: gr.Request) -> Iterator[View]:
        """Write one variant again."""
        variant_id, kind = str(event.id), str(event.kind)
        yield view("patch", "variants", [_card(kind, variants.live(kind, "", "Writing it anew"))])
        client = self.gateway.client(request)
        try:
            yield _changed(client.regenerate_variant(variant_id))
        except ApiError as error:
            yield self._refused(client, variant_id, kind, str(event.generation), error)

    # -- one variant ------------------------------------------------------------------------------------------

    def save(self, event: gr.EventData, request: gr.Request) -> View:
        """Keep an edited text."""
        variant_id, _, rest = str(event.action).partition(" ")
        kind, _, generation_id = rest.partition(" ")
        client = self.gateway.client(request)
        params: Any = event.params
        try:
            return _changed(client.edit_variant(variant_id, str(params.get("text") or "")))
        except ApiError as error:
            return self._refused(client, variant_id, kind, generation_id, error)

    def propose(self, event: gr.EventData, request: gr.Request) -> View:
        """Make a variant a proposal to post."""
        client = self.gateway.client(request)
        try:
            client.propose_variant(str(event.id), str(event.platform or ""))
            generation = client.generation(str(event.generation))
            found = [v for v in generation["variants"] if v["id"] == str(event.id)]
            return view("patch", "variants", [_card(v["kind"], variants.card(v)) for v in found])
        except ApiError as error:
            return self._refused(client, str(event.id), str(event.kind), str(event.generation), error)

    def history(self, event: gr.EventData, request: gr.Request) -> View:
        """Show every text that a variant has had."""
        client = self.gateway.client(request)
        try:
            versions = client.variant_versions(str(event.id))
            generation = client.generation(str(event.generation))
            found = [v for v in generation["variants"] if v["id"] == str(event.id)]
            return view("patch", "variants", [_card(v["kind"], variants.card(v, versions=versions)) for v in found])
        except ApiError as error:
            return self._refused(client, str(event.id), str(event.kind), str(event.generation), error)

    def _refused(self, client: HeraldClient, variant_id: str, kind: str, generation_id: str, error: ApiError) -> View:
        """The variant as it stands, with what went wrong."""
        try:
            found = [v for v in client.generation(generation_id)["variants"] if v["id"] == variant_id]
        except ApiError:
            found = []
        notice = markup.error_box(error.message, error.hint)
        items = [_card(v["kind"], variants.card(v, notice=notice)) for v in found]
        return view("patch", "variants", items or [_card(kind, f'<article class="h-card">{notice}</article>')])

    # -- the voice --------------------------------------------------------------------------------------------

    def save_voice(self, event: gr.EventData, request: gr.Request) -> dict[str, str]:
        """Keep how the project talks."""
        words = [w.strip() for w in str(event.banned or "").replace("\n", ",").split(",") if w.strip()]
        description = str(event.description or "")
        try:
            return {"html": _voice_form(self.gateway.client(request).set_voice(description, words), is_saved=True)}
        except ApiError as error:
            kept: VoiceInfo = {"description": description, "banned_words": words}
            return {"html": _voice_form(kept, problem=markup.error_box(error.message, error.hint))}


@dataclass
class _LiveBrief:
    """Three variants as they are drawn while they are written."""

    brief: str
    texts: dict[str, str] = field(default_factory=dict)
    drawn_at_s: float = 0.0
    now: str = ""

    def begun(self) -> View:
        """The brief and what is waited for."""
        items = [item("brief", variants.brief_head(self.brief))]
        items += [_card(kind, variants.live(kind, "", "Waiting")) for kind in variants.TITLES]
        return view("replace", "variants", items)

    def take(self, name: str, data: dict[str, Any]) -> list[Item]:
        """What changes with this event; nothing when it is too early to draw again."""
        if name == "variant":
            variant: Any = data
            return [_card(variant["kind"], variants.card(variant))]
        kind = str(data.get("kind") or "")
        if name == "status":
            self.now = kind
            shown = [kind] if kind else list(variants.TITLES)
            return [_card(k, variants.live(k, "", str(data.get("text") or "Writing"))) for k in shown]
        if name != "piece":
            return []
        piece = str(data.get("text") or "")
        self.texts[kind] = self.texts.get(kind, "") + piece if piece else ""
        if piece and time.monotonic() - self.drawn_at_s < _REDRAW_S:
            return []
        self.drawn_at_s = time.monotonic()
        status = "Writing" if piece else "Checking found something that is not in your facts; writing again"
        return [_card(kind, variants.live(kind, self.texts[kind], status))]


def generation_items(generation: GenerationInfo) -> list[Item]:
    """The brief and its variants."""
    items = [item("brief", variants.brief_head(generation["brief"], generation["platform"]))]
    return items + [_card(v["kind"], variants.card(v)) for v in generation["variants"]]


def _changed(variant: VariantInfo) -> View:
    return view("patch", "variants", [_card(variant["kind"], variants.card(variant))])


def _card(kind: str, html: str) -> Item:
    return item(f"v:{kind}", html)


def _error_view(error: ApiError) -> View:
    return view("replace", "variants", [item("brief", markup.error_box(error.message, error.hint))])


def _platform_options(schemas: dict[str, dict[str, Any]]) -> str:
    """The platforms that a post may be proposed for, as its action type names them."""
    schema = schemas.get("post_social", {})
    platform = resolved((schema.get("properties") or {}).get("platform"), schema)
    names = platform.get("enum") or ([platform["const"]] if "const" in platform else [])
    options = "".join(
        f'<option value="{markup.text(n)}">{markup.text(variants.platform_title(str(n)))}</option>' for n in names
    )
    return f'<option value="">any platform</option>{options}'


def _voice_form(voice: VoiceInfo, *, is_saved: bool = False, problem: str = "") -> str:
    said = '<span class="h-detail" role="status">Saved.</span>' if is_saved else ""
    is_open = " open" if problem or is_saved else ""
    return (
        f'<details class="h-add-account"{is_open}><summary>{markup.icon("pencil")}The voice of this project</summary>'
        '<form class="h-form" data-event="voice"><div class="h-field"><label for="h-voice">How you talk</label>'
        f'<textarea id="h-voice" name="description" rows="3" placeholder="Warm, plain, a little dry. We say you.">{markup.text(voice["description"])}</textarea></div>'
        '<div class="h-field"><label for="h-banned">Words that are never used, with commas between</label>'
        f'<input id="h-banned" name="banned" value="{markup.text(", ".join(voice["banned_words"]))}"></div>'
        f'{problem}<div class="h-decision"><button type="submit" class="h-button">Save the voice</button>{said}</div></form></details>'
    )


def _earlier_list(generations: list[GenerationInfo]) -> str:
    if not generations:
        return (
            f'<div class="h-nothing">{markup.icon("pencil")}<p>Nothing was written yet. Say above what the post is about; '
            "with documents in Memory the texts can use their facts.</p></div>"
        )
    rows = "".join(
        f'<li><button type="button" class="h-button h-quiet h-earlier" data-event="open" data-id="{markup.text(g["id"])}">'
        f'<span>{markup.exact(g["brief"][:120])}</span></button><span class="h-details">{markup.time(g["created_at"])}</span></li>'
        for g in generations
    )
    return f'<h2 class="h-section">Earlier briefs</h2><ul class="h-list">{rows}</ul>'
