"""What counts as a web address that may be opened, and how it is written down.

Whether the host behind it may be reached is decided by ``automation.egress`` at connect time; here is only the text.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field

from automation.errors import ActionError
from automation.hidden_text import find_hidden

MAX_URL_CHARS = 2_048
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.\-]*):(?!\d{1,5}(?:[/?#]|$))")
_NUMERIC_HOST = re.compile(r"^(?:[0-9.]+|0[xX][0-9a-fA-F.xX]+)$")


class BadUrl(ActionError):
    """The text is not a web address that may be opened."""

    code = "bad_url"


def normalise_url(text: str) -> str:
    """The address as the browser will open it: with its scheme, the host in lower-case ASCII (punycode).

    Without a scheme https is meant, or http for ``localhost`` and numeric addresses, as in a browser's address bar.

    Raises: BadUrl.
    """
    raw = text.strip(" \t\r\n")
    if not raw:
        raise BadUrl(
            "The address is empty.", hint="Give the address of a web page, such as https://example.com/prices."
        )
    if len(raw) > MAX_URL_CHARS:
        raise BadUrl(f"The address has {len(raw)} characters; at most {MAX_URL_CHARS} are allowed.", hint="Shorten it.")
    hidden = find_hidden(raw, allow_newlines=False)
    if hidden or any(c.isspace() for c in raw) or "\\" in raw:
        what = ", ".join(hidden) if hidden else "a space or a backslash"
        raise BadUrl(f"The address contains {what}.", hint="Type the address by hand instead of copying it.")
    parts = _split(_with_scheme(raw))
    host = _ascii_host(parts)
    netloc = f"{host}:{_port(parts)}" if _port(parts) is not None else host
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%?:@!$&'()*+,;=~-._[]")
    fragment = quote(parts.fragment, safe="/%?:@!$&'()*+,;=~-._[]")
    return urlunsplit((parts.scheme, netloc, path, query, fragment))


def _openable(text: str) -> str:
    try:
        normalise_url(text)
    except BadUrl as error:
        raise ValueError(f"{error.message} {error.hint}") from None
    return text


WebAddress = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS), AfterValidator(_openable)]
"""A params field: an address that ``normalise_url`` takes, kept as it was written."""


def host_note(url: str, original: str) -> str:
    """What a person should know of a normalised address before approving it: look-alike letters, a numeric host."""
    host = urlsplit(url).hostname or ""
    if "xn--" in host:
        return f"International name, really {host}: check that it is the site you mean."
    if _is_local_or_numeric(host):
        return "Local or numeric address: private ones are reached only if HERALD_ALLOW_PRIVATE_ADDRESSES is true."
    if url.startswith("http://") and original.strip().lower().startswith("http://"):
        return "Not encrypted (http)."
    return ""


def _with_scheme(raw: str) -> str:
    match = _SCHEME.match(raw)
    if match:
        scheme = match.group(1).lower()
        if scheme not in ("http", "https"):
            raise BadUrl(
                f"Addresses that begin with {scheme}: cannot be opened; http: and https: can.",
                hint="Give the address of a web page, such as https://example.com/prices.",
            )
        return raw
    raw = raw.removeprefix("//")
    netloc = re.split(r"[/?#]", raw, maxsplit=1)[0]
    host = netloc[1:].split("]", 1)[0] if netloc.startswith("[") else netloc.rsplit(":", 1)[0]
    return ("http://" if _is_local_or_numeric(host.lower()) else "https://") + raw


def _is_local_or_numeric(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or ":" in host or bool(_NUMERIC_HOST.match(host))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadUrl(f"{url!r} is not a web address ({error}).", hint="Check it for typing errors.") from error
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadUrl("The address contains a user name or password.", hint="Remove everything before the @ sign.")
    if not parts.hostname:
        raise BadUrl(
            f"{url!r} names no site.", hint="Give the address of a web page, such as https://example.com/prices."
        )
    return parts


def _port(parts: SplitResult) -> int | None:
    default = {"http": 80, "https": 443}[parts.scheme]
    return None if parts.port in (None, default) else parts.port


def _ascii_host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    if ":" in host:
        if "%" in host:
            raise BadUrl("The address names a network interface.", hint="Remove the part after the % sign.")
        return f"[{host}]"
    try:
        ascii_host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError as error:
        raise BadUrl(f"{host!r} is not a site's name ({error}).", hint="Check it for typing errors.") from error
    if not re.fullmatch(r"[a-z0-9_\-.]{1,253}", ascii_host) or ".." in ascii_host or ascii_host.strip(".") == "":
        raise BadUrl(f"{host!r} is not a site's name.", hint="Check it for typing errors.")
    if "." not in ascii_host and ascii_host != "localhost" and not _NUMERIC_HOST.match(ascii_host) and not parts.port:
        raise BadUrl(f"{host!r} is not a complete site name.", hint="Write it in full, such as example.com.")
    return ascii_host
