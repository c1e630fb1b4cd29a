"""How many requests one user or key, and one address, may make in a minute. Counted in memory, in a moving window."""

from __future__ import annotations

import ipaddress
import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.auth.records import Actor
from app.errors import TooManyRequests


class RequestRates:
    """Counts requests. Thread-safe.

    Args:
        per_user: requests a minute of one user's browsers and tokens together, and of each API key. 0 for no limit.
        per_address: requests a minute of one address, loopback apart: the page's own calls come from there.
    """

    def __init__(self, per_user: int, per_address: int) -> None:
        self._per_user = RateLimitItemPerMinute(per_user) if per_user else None
        self._per_address = RateLimitItemPerMinute(per_address) if per_address else None
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def count_user(self, actor: Actor) -> None:
        """Count a request of whoever is known by now. Raises: TooManyRequests."""
        who = actor.key_id or actor.user_id
        if self._per_user is not None and who:
            self._count(self._per_user, "user", who, "HERALD_REQUESTS_PER_USER")

    def count_address(self, address: str) -> None:
        """Count a request from an address. Raises: TooManyRequests."""
        place = _place_of(address)
        if self._per_address is not None and place:
            self._count(self._per_address, "address", place, "HERALD_REQUESTS_PER_ADDRESS")

    def _count(self, limit: RateLimitItem, kind: str, who: str, setting: str) -> None:
        if self._windows.hit(limit, kind, who):
            return
        wait_s = max(1, math.ceil(self._windows.get_window_stats(limit, kind, who).reset_time - time.time()))
        raise TooManyRequests(
            f"This {kind} made {limit.amount:,} requests within a minute; the next is possible in {wait_s} s.",
            hint=f"Ask less often, or raise {setting}.",
            code="rate_limited",
            retry_after_s=wait_s,
        )


def _place_of(address: str) -> str:
    """The address, of IPv6 its /64, which one customer has whole; empty for this machine."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.is_loopback:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
