"""``scrape_url``: read one web page."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    Params,
    PreviewLine,
    Risk,
)
from automation.urls import WebAddress, host_note, normalise_url

if TYPE_CHECKING:
    from playwright.sync_api import Response

    from automation.session import BrowserSession

MAX_LINKS = 200
_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", ""})
_TEXT_TYPES = frozenset(
    {"text/plain", "text/csv", "text/markdown", "text/xml", "application/xml", "application/rss+xml"}
)

# Text as the browser shows it. Elements that surround the content are set aside while it is read, and put back.
_READ_PAGE = """() => {
  const main = document.querySelector('main, [role=main]');
  const root = main && main.innerText.trim().length > 40 ? main : document.body;
  const around = root === main ? [] : [...document.querySelectorAll(
    'nav, footer, body > header nav, [role=navigation], [role=contentinfo], [role=dialog], [aria-modal=true]')];
  const old = around.map(e => e.style.display);
  around.forEach(e => e.style.setProperty('display', 'none', 'important'));
  let text = root ? root.innerText : '';
  around.forEach((e, i) => { e.style.display = old[i]; });
  if (!text.trim() && document.body) text = document.body.innerText;
  const links = [], seen = new Set();
  for (const a of document.querySelectorAll('a[href]')) {
    const url = a.href.split('#')[0];
    if (!/^https?:/.test(url) || seen.has(url)) continue;
    seen.add(url);
    const label = a.innerText || a.getAttribute('aria-label') || '';
    links.push({text: label.trim().replace(/\\s+/g, ' ').slice(0, 200), url});
    if (links.length >= MAX_LINKS) break;
  }
  const html = document.documentElement.outerHTML;
  return {
    title: document.title, text: text.slice(0, 2000000), links,
    html: html.length > 20000000 ? '' : html, html_chars: html.length,
    description: (document.querySelector('meta[name=description]') || {}).content || '',
    json_ld: [...document.querySelectorAll('script[type="application/ld+json"]')]
      .map(s => s.textContent.slice(0, 200000)),
  };
}""".replace("MAX_LINKS", str(MAX_LINKS))

# Pages that load what is scrolled to: look at up to ten screens, then go back up.
_SCROLL = """async () => {
  for (let i = 0; i < 10 && scrollY + innerHeight < document.documentElement.scrollHeight - 10; i++) {
    scrollBy(0, innerHeight); await new Promise(r => setTimeout(r, 60));
  }
  scrollTo(0, 0);
}"""


class ScrapeUrlParams(Params):
    """The page to read. Without a scheme, https is meant."""

    url: WebAddress


class ScrapeUrl(ActionType[ScrapeUrlParams]):
    """Opens a page in the browser and brings back its readable text, links and a screenshot."""

    name = "scrape_url"
    title = "Read a web page"
    description = "Open a web page at the address that the user gave and read its text."
    risk = Risk.READ
    params_class = ScrapeUrlParams

    def preview(self, params: ScrapeUrlParams, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """The address as the browser will open it."""
        return (address_line(params.url),)

    def execute(self, params: ScrapeUrlParams, context: ActionContext) -> ActionResult:
        """Read the page. Its text is data: nothing in it is ever followed. Raises: ActionError."""
        from automation.browser import open_browser  # late: the web process never loads Playwright
        from automation.robots import AGENT, check_robots

        url = normalise_url(params.url)
        with open_browser(context, agent=AGENT) as session:
            context.progress("Asking whether the page may be read")
            check_robots(url, context, session.egress)
            response = session.open(url)
            if session.page.url.startswith("http"):  # where redirects led has rules of its own
                check_robots(session.page.url, context, session.egress)
            content_type = _content_type(session.main_response or response)
            if content_type in _PAGE_TYPES:
                data = _read_page(session)
            elif content_type in _TEXT_TYPES or content_type.endswith(("/json", "+json")):
                data = _read_text(session, session.main_response or response, content_type)
            else:
                raise _not_a_page(url, content_type)
            context.progress("Taking a screenshot")
            title = data["title"] or data["final_url"]
            session.evidence.screenshot(session.page, "The page", "page")
            session.evidence.text(data["text"], "What was read", "text")
            session.evidence.url(data["final_url"], title)
        count = f"{len(data['text']):,} characters" + (" (cut)" if data["is_truncated"] else "")
        return ActionResult(
            summary=f"Read “{title}”: {count}, {len(data['links'])} links.",
            data=data,
            evidence=session.evidence.items,
        )


def address_line(url: str) -> PreviewLine:
    """The preview line of an address that the params class has taken: as the browser will open it."""
    normalised = normalise_url(url)
    return PreviewLine("Address", normalised, note=host_note(normalised, url))


def _read_page(session: BrowserSession) -> dict[str, Any]:
    from automation.readable import choose_text, cut, offers

    session.context.progress("Waiting for the page to settle")
    session.settle()
    session.page.evaluate(_SCROLL)
    session.settle(2.0)
    session.context.progress("Reading the text")
    response = session.main_response
    if response is not None:  # a script or a meta refresh may have led somewhere else since
        session.check_response(response)
    _raise_if_error_page(session)
    page = session.page.evaluate(_READ_PAGE)
    session.check()
    text = choose_text(page["text"], page["html"])
    missing = [line for line in offers(page["json_ld"]) if line.split(": ", 1)[1].split(" ")[0] not in text]
    if missing:
        text += "\n\nOffers on this page:\n" + "\n".join(missing)
    if not text.strip():
        raise ActionError(
            f"{session.page.url} shows no text.",
            code="page_empty",
            hint="The page may consist of pictures, or need a login.",
        )
    text, is_truncated = cut(text)
    return {
        "url": session.page.url,
        "final_url": session.page.url,
        "status": response.status if response else 0,
        "content_type": "text/html",
        "title": page["title"].strip()[:500],
        "description": page["description"][:1_000],
        "text": text,
        "is_truncated": is_truncated,
        "links": page["links"],
    }


def _raise_if_error_page(session: BrowserSession) -> None:
    """A script may have led to an address that the proxy refused; the browser then shows a page of its own."""
    if not session.page.url.startswith("chrome-error:"):
        return
    if cause := session.refused_navigation():
        raise cause
    raise ActionError("The page led to an address that could not be opened.", code="page_failed", retryable=True)


def _read_text(session: BrowserSession, response: Response, content_type: str) -> dict[str, Any]:
    """Plain text, CSV, XML and JSON as the site sent them; JSON is indented."""
    from automation.readable import cut

    session.context.progress("Reading the text")
    raw = response.text().replace("\x00", "")
    if content_type.endswith("json"):
        with contextlib.suppress(ValueError, RecursionError):  # not quite JSON: shown as it came
            raw = json.dumps(json.loads(raw), ensure_ascii=False, indent=1)
    text, is_truncated = cut(raw)
    return {
        "url": response.url,
        "final_url": response.url,
        "status": response.status,
        "content_type": content_type,
        "title": "",
        "description": "",
        "text": text,
        "is_truncated": is_truncated,
        "links": [],
    }


def _content_type(response: Response) -> str:
    return response.headers.get("content-type", "").split(";")[0].strip().lower()


def _not_a_page(url: str, content_type: str) -> ActionError:
    from automation.session import DownloadRefused

    return DownloadRefused(
        f"{url} is not a page but a file of type {content_type}.",
        hint="Give the address of a page; documents can be added in the Memory tab.",
    )
