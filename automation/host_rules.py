"""A project's own rules on hosts: where its automation may go, may not go, and which sites belong to it.

Text only; what address a name leads to is judged by ``automation.addresses`` when it is connected to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HOSTS = 500
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*|[0-9a-f:]{2,45}"
)


@dataclass(frozen=True, slots=True)
class HostRules:
    """Hosts of one project. An entry means the host itself and everything below it: ``example.com`` is also
    ``www.example.com``.

    Attributes:
        allowed: when not empty, nothing else is reached.
        denied: never reached; stronger than ``allowed``.
        own: the project's own sites, whose robots.txt is not asked.
    """

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    def refusal(self, host: str) -> str:
        """Why ``host`` may not be reached ("it is on this project's list of denied hosts"), or an empty string."""
        if is_among(host, self.denied):
            return "it is on this project's list of denied hosts"
        if self.allowed and not is_among(host, self.allowed):
            return "it is not on this project's list of allowed hosts"
        return ""

    def is_own(self, host: str) -> bool:
        """Whether ``host`` is one of the project's own sites."""
        return is_among(host, self.own)


def is_among(host: str, entries: tuple[str, ...]) -> bool:
    """Whether ``host``, or a domain that it lies below, is one of ``entries``."""
    name = plain_host(host)
    return any(name == entry or name.endswith(f".{entry}") for entry in entries)


def plain_host(host: str) -> str:
    """``host`` as it is compared: lower case, without the root's dot and an IPv6 address's brackets."""
    return host.lower().rstrip(".").strip("[]")


def host_entry(text: str) -> str:
    """An entry as it is kept. Takes ``example.com``, ``*.example.com`` and names in any script.

    Raises: ValueError, saying what is wrong.
    """
    name = plain_host(text.strip().removeprefix("*."))
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"“{text}” is no host name: {error}.") from error
    if not _HOST.fullmatch(name):
        raise ValueError(f"“{text}” is no host name; write example.com, without scheme, port and path.")
    return name
