"""HTML of small things: escaped text, hidden characters made visible, Markdown without surprises, times, icons.

Everything that comes from a person, a model or a web page passes through here before it reaches the page. It can never
become a tag, a script or a request to another host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from app import invisibles

LINK_SCHEMES = frozenset({"http", "https", "mailto"})


def text(value: object) -> str:
    """Escaped text."""
    return escape(str(value), quote=True)


def attributes(values: Mapping[str, object]) -> str:
    """`` name="value"`` for each pair; None and False are left out, True stands alone."""
    parts = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        parts.append(f" {name}" if value is True else f' {name}="{text(value)}"')
    return "".join(parts)


_WRITTEN_OUT = re.compile(r"⟦(U\+[0-9A-F]{4,6})⟧")
"""How the API writes hidden characters out in previews."""


def exact(value: str) -> str:
    """A value as it is, with every hidden character as a visible mark that names it."""
    html = []
    for piece, is_hidden in invisibles.pieces(value):
        if is_hidden:
            code = invisibles.code_point(piece)
            html.append(f'<span class="h-hidden" title="{text(invisibles.name(piece))}">{code}</span>')
        else:
            html.append(_WRITTEN_OUT.sub(r'<span class="h-hidden">\1</span>', text(piece)))
    return "".join(html)


def is_web_address(url: str) -> bool:
    """Whether a link to ``url`` may be offered: http or https with a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def outside_link(url: str) -> str:
    """A web address as readable text and, where it is one, as a link that tells the other side nothing."""
    shown = exact(url)
    if not is_web_address(url):
        return f'<span class="h-url">{shown}</span>'
    return f'<a class="h-url" href="{text(url)}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>'


def time(at: str | None) -> str:
    """A moment; the page's script shows it in the reader's own time zone."""
    if not at:
        return ""
    return f'<time datetime="{text(at)}">{text(at[:16].replace("T", " "))}</time>'


def bytes_text(size_bytes: int) -> str:
    """``12.3 kB``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


# -- Markdown -----------------------------------------------------------------------------------------------------


def _is_allowed_link(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in LINK_SCHEMES
    except ValueError:
        return False


def _open_outside_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)


def _markdown_parser() -> MarkdownIt:
    # Raw HTML is text, and images are off: a reply that quotes a hostile page must not make the browser fetch anything.
    parser = (
        MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")
    )
    parser.validateLink = _is_allowed_link  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _open_outside_link)
    return parser


_MARKDOWN = _markdown_parser()


def markdown(source: str) -> str:
    """A reply's Markdown as HTML without raw tags, images or links other than http, https and mailto."""
    return str(_MARKDOWN.render(source))


# -- icons (drawn for Herald, 20 x 20, in the colour of the text) ----------------------------------------------------

_PATHS: dict[str, str] = {
    "post": '<path d="M3 8v4h3l6 4V4L6 8H3Z"/><path d="M15 7a4 4 0 0 1 0 6"/>',
    "page": '<circle cx="10" cy="10" r="7"/><path d="M3 10h14M10 3c4 4 4 10 0 14M10 3c-4 4-4 10 0 14"/>',
    "form": '<rect x="4" y="3" width="12" height="14" rx="2"/><path d="M7 7h6M7 10h6M7 13h3"/>',
    "action": '<path d="m11 2-7 10h5l-1 6 7-10h-5l1-6Z"/>',
    "check": '<path d="m4 11 4 4 8-10"/>',
    "cross": '<path d="m5 5 10 10M15 5 5 15"/>',
    "pencil": '<path d="m4 16 1-4 8-8 3 3-8 8-4 1Z"/>',
    "plus": '<path d="M10 4v12M4 10h12"/>',
    "again": '<path d="M15 6a7 7 0 1 0 2 5M17 3v4h-4"/>',
    "trash": '<path d="M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11"/>',
    "menu": '<path d="M3 6h14M3 10h14M3 14h14"/>',
    "file": '<path d="M5 3h6l4 4v10H5V3Z"/><path d="M11 3v4h4"/>',
    "upload": '<path d="M10 13V4M6 8l4-4 4 4M4 14v3h12v-3"/>',
    "quote": '<path d="M4 6h5v4c0 3-2 4-4 4M12 6h5v4c0 3-2 4-4 4"/>',
    "alert": '<path d="M10 3 2 17h16L10 3Z"/><path d="M10 8v4M10 14.5v.1"/>',
    "clock": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4l3 2"/>',
    "search": '<circle cx="9" cy="9" r="5"/><path d="m13 13 4 4"/>',
    "out": '<path d="M8 4H4v12h4M8 10h9M13 6l4 4-4 4"/>',
    "chat": '<path d="M3 4h14v9H9l-4 4v-4H3V4Z"/>',
}


def icon(name: str) -> str:
    """An icon that says nothing to a screen reader; the words beside it do."""
    return (
        '<svg class="h-icon" viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" '
        f'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{_PATHS[name]}</svg>'
    )


LOGO = (
    '<svg class="h-logo" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">'
    '<path d="M7 3v26" stroke="var(--h-gold)" stroke-width="2.6" stroke-linecap="round"/>'
    '<path d="M8.5 5H28l-5 6.5L28 18H8.5Z" fill="var(--h-azure)"/>'
    '<path d="M8.5 10.2h16.2l-1 1.3 1 1.3H8.5Z" fill="var(--h-gold)"/></svg>'
)


def error_box(message: str, hint: str = "", *, key_attributes: Mapping[str, Any] | None = None) -> str:
    """An error in plain words with its next step."""
    hint_html = f'<p class="h-hint">{exact(hint)}</p>' if hint else ""
    return (
        f'<div class="h-error" role="alert"{attributes(key_attributes or {})}>{icon("alert")}'
        f"<div><p>{exact(message)}</p>{hint_html}</div></div>"
    )
