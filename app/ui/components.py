"""Gradio HTML components whose buttons, inputs and forms are wired by the page's script (``herald.js``).

These are functions and no subclasses: Gradio writes a stub file beside each module that subclasses a component.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr


def plain(html: str, elem_id: str | None = None) -> gr.HTML:
    """HTML that says something and does nothing."""
    return gr.HTML(html, js_on_load=None, apply_default_css=False, elem_id=elem_id)


def wired(elem_id: str, events: list[str], *, value: str = "", template: str = "") -> Any:
    """HTML whose elements with ``data-event`` trigger the named events, with their ``data-`` values.

    Its value is HTML, or with a ``template`` (fixed HTML with one ``data-slot`` element) ``{"html": …}`` for the slot.
    """
    has_slot = bool(template)
    arguments = f"{json.dumps(events)}, props, watch, {json.dumps(has_slot)}"
    return gr.HTML(
        value={"html": ""} if has_slot else value,
        html_template=template or "${value}",
        js_on_load=f"window.herald.wire(element, trigger, {arguments});",
        elem_id=elem_id,
        apply_default_css=False,
    )


def keyed_view(elem_id: str, events: list[str]) -> Any:
    """A list of keyed pieces (see ``transcript.View``) that is changed piece by piece."""
    return gr.HTML(
        value=None,
        html_template=f'<div class="h-view" data-view="{elem_id}" role="log" aria-live="polite"></div>',
        js_on_load=f"window.herald.keyedView(element, trigger, {json.dumps(events)}, props, watch);",
        elem_id=elem_id,
        apply_default_css=False,
    )
