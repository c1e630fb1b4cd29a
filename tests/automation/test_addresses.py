"""Which IP addresses may be reached, in every spelling that hides one inside another."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from automation.addresses import is_private, refusal_reason

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "64:ff9b:1::a00:1",
    "64:ff9b::169.254.169.254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2001:db8::1",
    "100::1",
    "3fff::1",
    "::ffff:0:169.254.169.254",
    "2001:10::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::192.168.0.1",
    "::ffff:0:10.0.0.1",
    "2a00:1450::5efe:7f00:1",
    "2a00::200:5efe:c0a8:101",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_reached(text: str) -> None:
    """Link-local, metadata, multicast, tunnel and reserved addresses stay closed whatever the setting says."""
    assert refusal_reason(ip_address(text), allow_private=False)
    assert refusal_reason(ip_address(text), allow_private=True)
    assert not is_private(ip_address(text))


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_need_the_setting(text: str) -> None:
    """Loopback and private addresses are refused unless they are allowed, also when hidden inside IPv6."""
    assert refusal_reason(ip_address(text), allow_private=False)
    assert not refusal_reason(ip_address(text), allow_private=True)
    assert is_private(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_open(text: str) -> None:
    """What is on the public internet may be reached."""
    assert refusal_reason(ip_address(text), allow_private=False) == ""
