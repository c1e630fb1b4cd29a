"""robots.txt: what a site asks programs not to read, asked for through the execution's own way out.

Source: RFC 9309. Only ``scrape_url`` reads for its own sake; posting or sending what a person approved is no crawling.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
from protego import Protego

from automation.actions.base import ActionContext
from automation.egress import Egress
from automation.egress_http import REFUSED_HEADER
from automation.errors import ActionError

AGENT = "Herald"
"""The name under which sites address this program in their robots.txt; the browser's User-Agent ends with it."""
MAX_BYTES = 512_000  # RFC 9309 asks for at least 500 KiB
_TIMEOUT_S = 15.0
_MAX_REDIRECTS = 5


class RobotsRefused(ActionError):
    """The site asks programs not to read this page."""

    code = "robots_refused"


def check_robots(url: str, context: ActionContext, egress: Egress) -> None:
    """Ask ``url``'s site whether it may be read, unless the project owns the site.

    No file (4xx) means yes; one that cannot be had now (5xx, no answer) means no.

    Raises: RobotsRefused; ActionError when the site cannot be reached.
    """
    parts = urlsplit(url)
    if context.host_rules.is_own(parts.hostname or ""):
        return
    origin = f"{parts.scheme}://{parts.netloc}"
    text = context.load_robots(origin)
    if text is None:
        text = _fetch(f"{origin}/robots.txt", egress)
        if text is None:
            return  # the proxy will not open the page either, and that is what must be told
        context.save_robots(origin, text)
    if not Protego.parse(text).can_fetch(url, AGENT):
        raise RobotsRefused(
            f"{origin} asks programs not to read {parts.path or '/'} (its robots.txt), so it was not read.",
            hint="Read it yourself; or, if the site is yours, name it among the project's own hosts.",
        )


def _fetch(url: str, egress: Egress) -> str | None:
    """The file, empty when there is none; None when the proxy does not open the site. Raises: ActionError."""
    try:
        with (
            httpx.Client(
                proxy=egress.url,
                trust_env=False,
                timeout=_TIMEOUT_S,
                follow_redirects=True,
                max_redirects=_MAX_REDIRECTS,
                headers={"User-Agent": AGENT},
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.headers.get(REFUSED_HEADER):
                return None
            if response.status_code >= 500 or response.status_code == 429:
                raise _unavailable(url, f"HTTP status {response.status_code}")
            return _text(response) if response.is_success else ""
    except httpx.TooManyRedirects:
        return ""  # as if there were none: RFC 9309, 2.3.1.2
    except httpx.ProxyError:
        return None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise egress.explain(url) or _unavailable(url, type(error).__name__) from error


def _text(response: httpx.Response) -> str:
    content = b""
    for chunk in response.iter_bytes(65_536):
        content += chunk
        if len(content) >= MAX_BYTES:
            break
    return content[:MAX_BYTES].decode("utf-8", "replace").replace("\x00", "")


def _unavailable(url: str, why: str) -> ActionError:
    return ActionError(
        f"{url} could not be read ({why}), so it is not known what the site permits.",
        code="robots_unavailable",
        hint="Try again later.",
        retryable=True,
    )
