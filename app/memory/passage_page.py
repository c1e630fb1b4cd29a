"""A cited passage as a page of its own: no script, nothing of the asset's own markup."""

from __future__ import annotations

from html import escape

from app.memory.service import PassageInContext

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{filename}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 1.5rem 1rem 4rem; }}
h1 {{ font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }}
.place {{ margin: 0 0 1.5rem; opacity: .7; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 1rem; }}
.around {{ opacity: .65; }}
mark {{ display: block; color: inherit; background: color-mix(in srgb, gold 28%, transparent);
  border-left: 4px solid goldenrod; padding: .5rem .75rem; border-radius: 4px; }}
</style></head><body>
<h1 dir="auto">{filename}</h1><p class="place" dir="auto">{place}</p>
{before}<mark id="passage" class="text" dir="auto">{text}</mark>{after}
<p><a href="{url}">Download the original</a></p>
</body></html>
"""


def html_of(found: PassageInContext, content_url: str) -> str:
    """The page; every piece of text is escaped."""
    return _PAGE.format(
        filename=escape(found.asset.filename),
        place=escape(found.place),
        before=_around(found.before),
        text=escape(found.text),
        after=_around(found.after),
        url=escape(content_url, quote=True),
    )


def _around(text: str) -> str:
    return f'<p class="text around" dir="auto">{escape(text)}</p>' if text else ""
