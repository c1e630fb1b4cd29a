"""Which IP addresses automation may connect to, after every known way of writing one inside another is undone."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

_V4 = ipaddress.IPv4Network
_V6 = ipaddress.IPv6Network

# Reached only when HERALD_ALLOW_PRIVATE_ADDRESSES is true.
_PRIVATE: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...] = (
    (_V4("127.0.0.0/8"), "a loopback address"),
    (_V4("10.0.0.0/8"), "a private address"),
    (_V4("172.16.0.0/12"), "a private address"),
    (_V4("192.168.0.0/16"), "a private address"),
    (_V4("100.64.0.0/10"), "an address shared inside a provider's network (RFC 6598)"),
    (_V6("::1/128"), "a loopback address"),
    (_V6("fc00::/7"), "a private address"),
    (_V6("fec0::/10"), "a private address"),
)
# Never reached: nothing that a browser should open lives there.
_FORBIDDEN: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...] = (
    (_V4("0.0.0.0/8"), "an unspecified address"),
    (_V4("169.254.0.0/16"), "a link-local address, where cloud machines keep their credentials"),
    (_V4("168.63.129.16/32"), "a cloud provider's control address"),
    (_V4("100.100.100.200/32"), "a cloud provider's metadata address"),
    (_V4("192.0.0.0/24"), "a protocol-assignment address"),
    (_V4("192.0.2.0/24"), "a documentation address"),
    (_V4("192.88.99.0/24"), "a 6to4 relay address"),
    (_V4("198.18.0.0/15"), "a benchmarking address"),
    (_V4("198.51.100.0/24"), "a documentation address"),
    (_V4("203.0.113.0/24"), "a documentation address"),
    (_V4("224.0.0.0/4"), "a multicast address"),
    (_V4("240.0.0.0/4"), "a reserved address"),
    (_V6("::/128"), "an unspecified address"),
    (_V6("fd00:ec2::/32"), "a cloud provider's metadata address"),
    (_V6("fd20:ce::/32"), "a cloud provider's metadata address"),
    (_V6("fe80::/10"), "a link-local address"),
    (_V6("ff00::/8"), "a multicast address"),
    (_V6("64:ff9b:1::/48"), "a local translation address (RFC 8215)"),
    (_V6("100::/64"), "a discard address"),
    (_V6("2001::/32"), "a Teredo tunnel address"),
    (_V6("2001:2::/48"), "a benchmarking address"),
    (_V6("2001:10::/28"), "a reserved address"),
    (_V6("2001:20::/28"), "a reserved address"),
    (_V6("2001:db8::/32"), "a documentation address"),
    (_V6("2002::/16"), "a 6to4 tunnel address"),
    (_V6("3fff::/20"), "a documentation address"),
    (_V6("5f00::/16"), "a segment-routing address"),
)
_NAT64 = _V6("64:ff9b::/96")
_V4_COMPATIBLE = _V6("::/96")
_V4_TRANSLATED = _V6("::ffff:0:0:0/96")
_ISATAP_MARKS = (0x00005EFE, 0x02005EFE)


def refusal_reason(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str:
    """Why ``address`` may not be connected to ("a loopback address"), or an empty string.

    With ``allow_private`` loopback and private addresses are allowed; link-local, metadata, multicast and reserved
    ones are refused all the same.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "an address bound to a network interface"
        embedded = _embedded_v4(address)
        if embedded is not None:
            return refusal_reason(embedded, allow_private=allow_private)
    for network, reason in _FORBIDDEN:
        if address.version == network.version and address in network:
            return reason
    for network, reason in _PRIVATE:
        if address.version == network.version and address in network:
            return "" if allow_private else reason
    return "" if address.is_global else "an address outside the public internet"


def is_private(address: IPv4Address | IPv6Address) -> bool:
    """Whether only the setting HERALD_ALLOW_PRIVATE_ADDRESSES keeps ``address`` from being reached."""
    return bool(refusal_reason(address, allow_private=False)) and not refusal_reason(address, allow_private=True)


def _embedded_v4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a translator, a mapping or an ISATAP interface would take out of ``address``."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _V4_TRANSLATED:
        return low
    if address in _V4_COMPATIBLE and int(address) > 1:
        return low
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP_MARKS:
        return low
    return None
