"""Asking the documents: the answer as it is written, then its quotes with a link to each document."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import gradio as gr

from app.client import ApiError, CitationInfo, Cited, CitedAnswer, Delta
from app.ui import markup
from app.ui.components import wired
from app.ui.gateway import Gateway

ASK_FORM = f"""
<h2 class="h-section">Ask your documents</h2>
<form class="h-inline" data-event="ask" role="search">
<input type="search" name="question" class="h-search" placeholder="How much is a flat white?" aria-label="Ask your documents" required>
<button type="submit" class="h-button h-primary">{markup.icon("chat")}Ask</button></form>
<div class="h-hits" data-slot aria-live="polite"></div>
"""


@dataclass
class AskPanel:
    """A section of the Memory tab."""

    gateway: Gateway

    def build(self) -> None:
        """Lay out the section where the caller is."""
        panel = wired("ask", ["ask"], template=ASK_FORM)
        panel.ask(
            self.ask,
            None,
            [panel],
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=None,
            trigger_mode="once",
        )

    def ask(self, event: gr.EventData, request: gr.Request) -> Iterator[dict[str, str]]:
        """Show what is being done, the answer's words as they are checked, and at last its quotes."""
        question, key, text = str(event.question or "").strip(), secrets.token_hex(6), ""
        yield {"html": _waiting(question, "Looking into the documents", key)}
        try:
            for step in self.gateway.client(request).ask_stream(question):
                if isinstance(step, Cited):
                    yield {"html": answer_html(question, step.answer, self.gateway.project_id(request))}
                elif isinstance(step, Delta):
                    text += step.text
                    yield {"html": _writing(question, text)}
                else:
                    yield {"html": _waiting(question, step.text, key) if not text else _writing(question, text)}
        except ApiError as error:
            yield {"html": markup.error_box(error.message, error.hint)}


def answer_html(question: str, answer: CitedAnswer, project_id: str) -> str:
    """A whole answer with its quotes; without any it says what to do next."""
    if not answer["citations"]:
        body = (
            f'<p class="h-summary">{markup.exact(answer["answer"])}</p>'
            '<p class="h-hint">Add a document that says it, or ask in other words.</p>'
        )
    else:
        sure = f'<p class="h-detail">Confidence {round(100 * answer["confidence"])} %</p>'
        quotes = "".join(_citation(citation, project_id) for citation in answer["citations"])
        body = f'<p class="h-answer" dir="auto">{markup.exact(answer["answer"])}</p>{sure}<div class="h-sources"><h4>Quotes</h4>{quotes}</div>'
    return _article(question, body)


def _citation(citation: CitationInfo, project_id: str) -> str:
    """A quote; its link opens the passage that it stands in."""
    asset = f"/api/v1/projects/{quote(project_id, safe='')}/assets/{quote(citation['asset_id'], safe='')}"
    href = f"{asset}/passages/{citation['chunk_id']}"
    link = f'<p class="h-final"><a href="{markup.text(href)}" target="_blank" rel="noopener">Open the passage</a></p>'
    return (
        f'<details class="h-source" open><summary>{markup.icon("file")}<span class="h-source-name">{markup.exact(citation["filename"])}</span>'
        f'<span class="h-place">{markup.exact(citation["place"])}</span></summary><blockquote dir="auto">{markup.exact(citation["quote"])}</blockquote>'
        f"{link}</details>"
    )


def _waiting(question: str, status: str, key: str) -> str:
    return _article(
        question,
        f'<p class="h-status" role="status"><span class="h-spinner"></span>{markup.exact(status)}… <span data-elapsed="{key}"></span></p>',
    )


def _writing(question: str, text: str) -> str:
    return _article(question, f'<p class="h-answer h-writing" dir="auto">{markup.exact(text)}</p>')


def _article(question: str, body: str) -> str:
    return f'<article class="h-hit h-ask"><header>{markup.icon("quote")}<span class="h-source-name">{markup.exact(question)}</span></header><div class="h-card-body">{body}</div></article>'
