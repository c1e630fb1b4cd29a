"""The readable text of a page: articles without their boilerplate, shops with their prices."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

from trafilatura import extract

log = logging.getLogger(__name__)

MAX_TEXT_CHARS = 200_000
MAX_HTML_CHARS = 20_000_000
_MAX_EXTRACT_HTML_CHARS = 3_000_000
_ARTICLE_WORDS = 250
_NUMBER = r"\d[\d.,'\u00a0\u202f ]*"
_CURRENCY = (
    r"[$€£¥₹₽₩₺₴₫₱฿₪]|\b(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|INR|CNY|BRL|ZAR|kr|zł|Kč|Ft)\b"
)
_SPLIT_PRICE = re.compile(r"([$€£¥₹]) ?(\d+) ?([.,]\d\d)\b")
_PRICE = re.compile(rf"(?:{_CURRENCY})\s*{_NUMBER}|{_NUMBER}\s*(?:{_CURRENCY})")


def choose_text(visible: str, html: str) -> str:
    """The main text of a page.

    Short pages and pages with prices are taken as the browser shows them: extractors drop price tags and product
    grids. Of a long text the extractor's version is taken when it keeps most of the words and adds none that are not
    to be seen (hidden text is a way to talk to whoever reads by machine).

    Args:
        visible: the text that the browser renders, navigation and footer left out.
        html: the document after scripts have run.
    """
    visible = tidy(visible)
    words = _words(visible)
    if len(words) < _ARTICLE_WORDS or len(html) > _MAX_EXTRACT_HTML_CHARS or _PRICE.search(visible):
        return visible
    try:
        extracted = tidy(extract(html, include_tables=True, include_comments=False, favor_recall=True) or "")
    except Exception as error:  # a hostile document may break the parser; the rendered text remains
        log.warning("the extractor failed: %s", error)
        return visible
    kept = _words(extracted)
    return extracted if 2 * len(kept) >= len(words) and set(kept) <= set(words) else visible


def tidy(text: str) -> str:
    """Without trailing blanks, with at most one empty line in a row, and with prices in one piece ("£4 .20")."""
    lines = (re.sub(r"[ \u00a0\u202f]+", " ", line).strip(" \r") for line in text.replace("\x00", "").split("\n"))
    return _SPLIT_PRICE.sub(r"\1\2\3", re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())


def cut(text: str, limit: int = MAX_TEXT_CHARS) -> tuple[str, bool]:
    """The first ``limit`` characters, and whether something was cut off."""
    return (text, False) if len(text) <= limit else (text[:limit], True)


def offers(json_ld: list[str]) -> list[str]:
    """The offers in a page's JSON-LD as lines: "Sourdough loaf: 4.20 GBP, in stock"."""
    lines: list[str] = []
    for block in json_ld[:20]:
        try:
            data = json.loads(block)
        except (ValueError, RecursionError):
            continue
        lines.extend(line for node in _nodes(data) if (line := _offer_line(node)))
    return list(dict.fromkeys(lines))[:100]


def _nodes(data: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > 8:
        return
    if isinstance(data, list):
        for item in data[:500]:
            yield from _nodes(item, depth + 1)
    elif isinstance(data, dict):
        if data.get("offers"):
            yield data
        for value in data.values():
            if isinstance(value, dict | list):
                yield from _nodes(value, depth + 1)


def _offer_line(node: dict[str, Any]) -> str:
    name, offer = node.get("name"), node["offers"]
    offer = offer[0] if isinstance(offer, list) and offer else offer
    if not isinstance(name, str) or not isinstance(offer, dict):
        return ""
    low, high = offer.get("price", offer.get("lowPrice")), offer.get("highPrice")
    if not isinstance(low, str | int | float):
        return ""
    price = f"{low} to {high}" if isinstance(high, str | int | float) and high != low else str(low)
    stock = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(offer.get("availability", "")).rsplit("/", 1)[-1]).lower()
    return f"{name}: {price} {offer.get('priceCurrency', '')}".strip()[:300] + (f", {stock}" if stock else "")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
