"""Secrets that were seen, and their removal from any text that leaves the process. Touches nothing else.

What decrypts or reads a secret remembers it in ``KNOWN``; what writes logs and errors asks for ``redacted``. A run
takes its own account's secrets out of its results and evidence with a ``Secrets`` of its own: what another account's
password is does not change what a page is reported to say.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 6
"""Shorter texts are not looked for: a two-letter password would blank out half of every sentence."""
_SHORTEST_STATE = 16  # cookies also hold "accepted" and "en-GB"; what signs somebody in is longer
_MOST = 5_000
_PREFIX_CHARS = 40  # of a long secret its beginning is looked for too: texts are cut somewhere
# Secrets that give themselves away by where they stand: headers, query strings, and the login part of an address.
_BY_PLACE = re.compile(
    r"(?i)((?:authorization|cookie)['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic)\s+)?|\b(?:bearer|basic)\s+(?=\S{8,})"
    r"|token=|herald_session=|password=|passwd=|secret=|api_?key=)[^\s&\"',;]+"
)
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)[^\s/@:\"'<>]*:[^\s/@\"'<>]*@")


class Secrets:
    """A set of secret texts. Thread-safe."""

    def __init__(self, *secrets: str) -> None:
        self._known: dict[str, None] = {}
        self._spelled: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self.remember(*secrets)

    def remember(self, *secrets: str) -> None:
        """Take these texts out from now on; those under ``SHORTEST`` characters are left alone."""
        with self._lock:
            fresh = [s for s in secrets if len(s) >= SHORTEST and s not in self._known]
            if not fresh:
                return
            self._known |= dict.fromkeys(fresh)
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            spelled = {form for secret in self._known for form in _spellings(secret)}
            self._spelled = tuple(sorted(spelled, key=lambda form: (-len(form), form)))

    def taken_out_of(self, text: str) -> str:
        """The text without these secrets, whether spelled as they are, as in a URL, or as in JSON."""
        for form in self._spelled:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def taken_out_of_json(self, value: Any) -> Any:
        """A JSON value without these secrets in any of its strings."""
        if isinstance(value, str):
            return self.taken_out_of(value)
        if isinstance(value, dict):
            return {self.taken_out_of_json(k): self.taken_out_of_json(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.taken_out_of_json(v) for v in value]
        return value


KNOWN = Secrets()
"""Every secret that this process has seen."""


def redacted(text: str) -> str:
    """The text without any known secret, tokens in headers and query strings, and logins in addresses."""
    text = KNOWN.taken_out_of(text)
    text = _USERINFO.sub(lambda m: f"{m.group(1)}{REDACTED}@", text)
    return _BY_PLACE.sub(lambda m: m.group(1) + REDACTED, text)


def secrets_of_state(state: Any) -> list[str]:
    """What signs somebody in within a browser's storage state: the values of cookies and of local storage."""
    if isinstance(state, dict):
        return [text for key, item in state.items() if key not in _PLAIN_KEYS for text in secrets_of_state(item)]
    if isinstance(state, list):
        return [text for item in state for text in secrets_of_state(item)]
    return [state] if isinstance(state, str) and len(state) >= _SHORTEST_STATE else []


_PLAIN_KEYS = frozenset({"name", "domain", "path", "origin", "sameSite"})


def _spellings(secret: str) -> set[str]:
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return forms | {form[:_PREFIX_CHARS] for form in forms}
