"""The Memory tab: documents dropped in, what is in memory, and a search that shows what would be found."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import ApiError, Document, SearchHit
from app.ui import markup
from app.ui.components import wired
from app.ui.gateway import Gateway

# The browser sends files straight to the API: no second copy in a temporary folder, and real progress for each file.
DROP_ZONE = f"""
<div class="h-page-head"><h1>Memory</h1><p>Documents here are used in later answers, with the source named.</p></div>
<label class="h-drop" data-drop="/api/v1/memory/documents">{markup.icon("upload")}
<input type="file" multiple accept=".txt,.md,.markdown,.pdf,text/plain,text/markdown,application/pdf" aria-label="Add documents">
<strong>Drop files here, or press to choose</strong><span>Text, Markdown and PDF, as many as you like</span></label>
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
        documents = wired("documents", ["delete"])
        search = wired("memory-search", ["search"], template=SEARCH_FORM)
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        drop.added(self.documents, None, [documents], trigger_mode="always_last", **quiet)
        documents.delete(self.delete, None, [documents], **quiet)
        search.search(self.search, None, [search], **quiet)
        tab.select(self.documents, None, [documents], **quiet)

    def documents(self, request: gr.Request) -> str:
        """The table of documents."""
        try:
            return _table(self.gateway.client(request).documents())
        except ApiError as error:
            return markup.error_box(error.message, error.hint)

    def delete(self, event: gr.EventData, request: gr.Request) -> str:
        """Forget a document; one that is gone already is fine."""
        try:
            self.gateway.client(request).delete_document(str(event.id))
        except ApiError as error:
            if error.status != 404:
                return markup.error_box(error.message, error.hint) + self.documents(request)
        return self.documents(request)

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
    rows = "".join(
        f'<tr><td class="h-file">{markup.icon("file")}<span>{markup.exact(d["filename"])}</span></td>'
        f'<td data-label="Passages">{d["chunk_count"]:,}</td><td data-label="Size">{markup.bytes_text(d["size_bytes"])}</td>'
        f'<td data-label="Added">{markup.time(d["created_at"])}</td><td class="h-row-actions"><button type="button" '
        f'class="h-button h-quiet h-square" data-event="delete" data-id="{markup.text(d["id"])}" data-confirm="Delete?" '
        f'aria-label="Delete {markup.text(d["filename"])}">{markup.icon("trash")}</button></td></tr>'
        for d in documents
    )
    return (
        '<table class="h-table"><thead><tr><th>Document</th><th>Passages</th><th>Size</th><th>Added</th><th></th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
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
