"""The Memory tab: documents dropped in, what is in memory, and a search that shows what would be found."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import ApiError, Document, HeraldClient, SearchHit
from app.ui import markup
from app.ui.components import wired
from app.ui.gateway import Gateway

POLL_S = 2.0
ON_THE_WAY = frozenset({"uploaded", "ingesting"})

# The browser sends files straight to the API: no second copy in a temporary folder, and real progress for each file.
DROP_ZONE = f"""
<div class="h-page-head"><h1>Memory</h1><p>Documents here are used in later answers, with the source named.</p></div>
<label class="h-drop" data-drop="/api/v1/memory/documents?wait=false">{markup.icon("upload")}
<input type="file" multiple accept=".pdf,.docx,.txt,.md,.markdown,.html,.htm,.csv,.tsv" aria-label="Add documents">
<strong>Drop files here, or press to choose</strong><span>PDF, Word, text, Markdown, HTML and CSV, as many as you like</span></label>
<ul class="h-uploads" aria-live="polite"></ul>
"""

SEARCH_FORM = f"""
<h2 class="h-section">Search memory</h2>
<form class="h-inline" data-event="search" role="search">
<input type="search" name="query" class="h-search" placeholder="What would Herald find?" aria-label="Search memory" required>
<button type="submit" class="h-button">{markup.icon("search")}Search</button></form>
<div class="h-hits" data-slot aria-live="polite"></div>
"""


@dataclass
class MemoryTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the tab; the list is read anew whenever it is opened."""
        drop = wired("drop", ["added"], value=DROP_ZONE)
        documents = wired("documents", ["delete", "again", "tag"])
        timer = gr.Timer(POLL_S, active=False)
        search = wired("memory-search", ["search"], template=SEARCH_FORM)
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        shown = [documents, timer]
        drop.added(self.documents, None, shown, trigger_mode="always_last", **quiet)
        documents.delete(self.delete, None, shown, **quiet)
        documents.again(self.again, None, shown, **quiet)
        documents.tag(self.tag, None, shown, **quiet)
        timer.tick(self.documents, None, shown, **quiet)
        search.search(self.search, None, [search], **quiet)
        tab.select(self.documents, None, shown, **quiet)

    def documents(self, request: gr.Request) -> tuple[str, gr.Timer]:
        """The table of documents; it is read again while one of them is on its way."""
        try:
            found = self.gateway.client(request).documents()
        except ApiError as error:
            return markup.error_box(error.message, error.hint), gr.Timer(active=False)
        return _table(found), gr.Timer(active=any(d["status"] in ON_THE_WAY for d in found))

    def delete(self, event: gr.EventData, request: gr.Request) -> tuple[str, gr.Timer]:
        """Forget a document; one that is gone already is fine."""
        return self._changed(request, lambda client: client.delete_document(str(event.id)))

    def again(self, event: gr.EventData, request: gr.Request) -> tuple[str, gr.Timer]:
        """Take a document in again."""
        return self._changed(request, lambda client: client.ingest_asset(str(event.project), str(event.id)))

    def tag(self, event: gr.EventData, request: gr.Request) -> tuple[str, gr.Timer]:
        """Set a document's tags, which are separated by commas."""
        tags = [tag.strip() for tag in str(event.tags or "").split(",") if tag.strip()]
        return self._changed(request, lambda client: client.tag_asset(str(event.project), str(event.id), tags))

    def _changed(self, request: gr.Request, change: Callable[[HeraldClient], None]) -> tuple[str, gr.Timer]:
        problem = ""
        try:
            change(self.gateway.client(request))
        except ApiError as error:
            if error.status != 404:
                problem = markup.error_box(error.message, error.hint)
        table, timer = self.documents(request)
        return problem + table, timer

    def search(self, event: gr.EventData, request: gr.Request) -> dict[str, str]:
        """The passages that a question would find."""
        query = str(event.query or "").strip()
        try:
            return {"html": _hits(self.gateway.client(request).search_memory(query), query)}
        except ApiError as error:
            return {"html": markup.error_box(error.message, error.hint)}


def _table(documents: list[Document]) -> str:
    if not documents:
        return '<p class="h-nothing">No documents yet. Add a price list, opening hours or product notes.</p>'
    return (
        '<table class="h-table"><thead><tr><th>Document</th><th>Status</th><th>Size</th><th>Added</th><th></th></tr></thead>'
        f"<tbody>{''.join(_row(d) for d in documents)}</tbody></table>"
    )


def _row(d: Document) -> str:
    name, key = (
        markup.text(d["filename"]),
        f'data-id="{markup.text(d["id"])}" data-project="{markup.text(d["project_id"])}"',
    )
    content = f"/api/v1/projects/{markup.text(d['project_id'])}/assets/{markup.text(d['id'])}/content"
    return (
        f'<tr><td class="h-file">{markup.icon("file")}<a href="{content}" download>{markup.exact(d["filename"])}</a>'
        f'<form class="h-tags" data-event="tag"><input type="hidden" name="id" value="{markup.text(d["id"])}">'
        f'<input type="hidden" name="project" value="{markup.text(d["project_id"])}"><input name="tags" value="{markup.text(", ".join(d["tags"]))}" '
        f'placeholder="Tags, with commas" aria-label="Tags of {name}" data-id="{markup.text(d["id"])}"></form></td>'
        f'<td data-label="Status">{_status(d)}</td><td data-label="Size">{markup.bytes_text(d["size_bytes"])}</td>'
        f'<td data-label="Added">{markup.time(d["created_at"])}</td><td class="h-row-actions">{_again(d, key, name)}'
        f'<button type="button" class="h-button h-quiet h-square" data-event="delete" {key} data-confirm="Delete?" '
        f'aria-label="Delete {name}">{markup.icon("trash")}</button></td></tr>'
    )


def _status(d: Document) -> str:
    error = d["error"]
    if d["status"] == "failed" and error:
        return f'<span class="h-chip" data-status="failed">Failed</span>{markup.error_box(error["message"], error["hint"])}'
    if d["status"] == "ready":
        return f"{d['chunk_count']:,} {'passage' if d['chunk_count'] == 1 else 'passages'}"
    if error:
        return f'<span class="h-chip">Waiting</span> <span class="h-detail">{markup.exact(error["message"])}</span>'
    if d["status"] == "ingesting" and d["chunks_total"]:
        share = f'<progress max="{d["chunks_total"]}" value="{d["chunks_done"]}"></progress>'
        return f"Indexing {d['chunks_done']:,} of {d['chunks_total']:,} {share}"
    return "Reading…" if d["status"] == "ingesting" else '<span class="h-chip">Waiting</span>'


def _again(d: Document, key: str, name: str) -> str:
    if d["status"] in ON_THE_WAY:
        return ""
    word = "Try again" if d["status"] == "failed" else "Index again"
    return (
        f'<button type="button" class="h-button h-quiet h-square" data-event="again" {key} '
        f'title="{word}" aria-label="{word}: {name}">{markup.icon("again")}</button>'
    )


def _hits(hits: list[SearchHit], query: str) -> str:
    if not hits:
        return f'<p class="h-nothing">Nothing in memory answers “{markup.exact(query)}”.</p>'
    return "".join(
        f'<article class="h-hit"><header>{markup.icon("file")}<span class="h-source-name">{markup.exact(hit["filename"])}</span>'
        f'<span class="h-place">{markup.exact(hit["place"] or "")}</span></header>'
        f'<blockquote dir="auto">{markup.exact(hit["text"])}</blockquote></article>'
        for hit in hits
    )
