"""The filtering proxy, spoken to over a socket as a browser (or an attacker) would."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from automation.egress import EgressProxy
from automation.errors import ActionError

# What an attacker may write where a host and port belong; the listener below waits on {port} of 127.0.0.1 and ::1.
HOSTILE = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "127.0.0.2",
    "127.255.255.254",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "0",
    "0.0.0.0",
    "0x0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::1]",
    "[2001::1]",
    "[fe80::1]",
    "[fe80::1%lo]",
    "[::ffff:0:127.0.0.1]",
    "[ff02::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "0.0.0.1",
    "user@127.0.0.1",
    "127.0.0.1@example.com",
    "127.0.0.1%00",
    "127.0.0.1#",
    "127.0.0.1\\",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "",
    ".",
    "-",
    "%31%32%37.0.0.1",
    "127.0.0.1:80@127.0.0.1",
]


class Listener:
    """Counts connections on loopback, over IPv4 and IPv6."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") -> None:
        self.count = 0
        self.seen: list[bytes] = []
        self._answer = answer
        self.sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self.sockets[0].getsockname()[1]
        with contextlib.suppress(OSError):  # no IPv6 here
            self.sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for one in self.sockets:
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.seen.append(data)
                    connection.sendall(self._answer)
            except OSError:
                return

    def close(self) -> None:
        for one in self.sockets:
            one.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that must not be reached."""
    one = Listener()
    yield one
    one.close()


def ask(proxy: EgressProxy, request: bytes, limit: int = 1_000_000) -> bytes:
    """Send ``request`` to the proxy and read until it closes."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < limit and (data := connection.recv(65_536)):
            answer += data
        return answer


def test_hostile_spellings_reach_nothing(listener: Listener) -> None:
    """Seventy spellings of loopback, private, metadata and nonsense hosts, by CONNECT and by GET: 0 connections."""
    assert len(HOSTILE) >= 60
    with EgressProxy(allow_private_addresses=False) as proxy:
        for host in HOSTILE:
            place = f"{host}:{listener.port}".encode()
            for request in (
                b"CONNECT " + place + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET http://" + place + b"/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
            ):
                answer = ask(proxy, request)
                assert b" 200 " not in answer.split(b"\r\n")[0], host
        assert proxy.log.connected == []
    assert listener.count == 0


def test_refusal_names_the_address_and_the_setting(listener: Listener) -> None:
    """The executor learns which address was refused and which setting opens it."""
    with EgressProxy(allow_private_addresses=False) as proxy:
        ask(proxy, f"CONNECT localhost:{listener.port} HTTP/1.1\r\n\r\n".encode())
        error = proxy.explain(f"https://localhost:{listener.port}/x")
    assert error is not None
    assert error.code == "address_refused"
    assert "localhost" in error.message
    assert "loopback" in error.message
    assert "HERALD_ALLOW_PRIVATE_ADDRESSES" in error.hint


def _resolver(*answers: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::ffff:127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["10.0.0.1"], ["fe80::1%lo"], []]
)
def test_a_name_that_points_inside_is_refused(listener: Listener, addresses: list[str]) -> None:
    """A public name with a private address among its answers is refused whole."""
    resolve, _ = _resolver(addresses)
    with EgressProxy(allow_private_addresses=False, resolver=resolve) as proxy:
        answer = ask(proxy, f"CONNECT rebind.example:{listener.port} HTTP/1.1\r\n\r\n".encode())
        assert b"200" not in answer.split(b"\r\n")[0]
    assert listener.count == 0


def test_rebinding_between_two_requests_is_refused(listener: Listener) -> None:
    """A name is resolved once for each connection, and the checked address is the one that is used."""
    resolve, asked = _resolver(["192.0.2.10"], ["127.0.0.1"])
    with EgressProxy(allow_private_addresses=False, resolver=resolve) as proxy:
        for _ in range(2):
            ask(proxy, f"GET http://rebind.example:{listener.port}/ HTTP/1.1\r\n\r\n".encode())
    assert asked == ["rebind.example"] * 2
    assert listener.count == 0


def test_only_web_ports_of_public_hosts() -> None:
    """A public host's mail or database port is refused before anything connects."""
    resolve, _ = _resolver(["93.184.216.34"])
    with EgressProxy(allow_private_addresses=False, resolver=resolve) as proxy:
        for port in (22, 25, 3306, 6379):
            assert b"403" in ask(proxy, f"CONNECT example.com:{port} HTTP/1.1\r\n\r\n".encode()).split(b"\r\n")[0]
        assert proxy.log.connected == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET ftp://example.com/ HTTP/1.1\r\n\r\n",
        b"CONNECT example.com HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"CONNECT example.com:443/x HTTP/1.1\r\n\r\n",
        b"GET http://example.com:x/ HTTP/1.1\r\n\r\n",
        b"X" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_a_proxy_request_is_refused(request_bytes: bytes) -> None:
    """Garbage gets an answer or a closed connection, and the proxy goes on."""
    with EgressProxy(allow_private_addresses=True) as proxy:
        try:
            answer = ask(proxy, request_bytes)
        except ConnectionError:
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
        assert b"400" in ask(proxy, b"GET / HTTP/1.1\r\n\r\n")


def test_plain_requests_are_relayed_once_per_connection(listener: Listener) -> None:
    """The origin gets path, own Host and no proxy headers; a second request on the connection goes nowhere."""
    with EgressProxy(allow_private_addresses=True) as proxy:
        answer = ask(
            proxy,
            f"GET http://127.0.0.1:{listener.port}/a?b HTTP/1.1\r\n".encode()
            + b"Host: evil\r\nProxy-Authorization: x\r\nA: 1\r\n\r\n",
            limit=10,
        )
    assert answer.startswith(b"HTTP/1.1 200")
    sent = listener.seen[0]
    assert sent.startswith(b"GET /a?b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{listener.port}\r\n".encode() in sent
    assert b"Proxy-" not in sent
    assert b"evil" not in sent
    assert b"Connection: close" in sent


def test_tunnels_carry_bytes_both_ways(listener: Listener) -> None:
    """CONNECT gives a plain tunnel, as websockets and TLS need."""
    with (
        EgressProxy(allow_private_addresses=True) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection,
    ):
        connection.sendall(f"CONNECT 127.0.0.1:{listener.port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in connection.recv(1_000)
        for _ in range(2):
            connection.sendall(b"\x00\x01ping")
            assert connection.recv(1_000).endswith(b"hi")
    assert listener.seen[0] == b"\x00\x01ping"


def test_too_many_bytes_end_every_connection() -> None:
    """Past the budget the tunnel is cut, the log says so, and nothing new is let through."""
    flood = Listener(answer=b"x" * 200_000)
    called: list[bool] = []
    with EgressProxy(allow_private_addresses=True, max_bytes=100_000) as proxy:
        proxy.on_over_budget = lambda: called.append(True)
        request = f"CONNECT 127.0.0.1:{flood.port} HTTP/1.1\r\n\r\n".encode()
        received = ask(proxy, request + b"go")
        assert len(received) < 150_000
        assert proxy.log.is_over_budget
        assert called == [True]
        error = proxy.explain("http://anything/")
        assert error is not None
        assert error.code == "page_too_large"
        with contextlib.suppress(ConnectionError):
            assert ask(proxy, request) == b""
    flood.close()


def test_unreachable_and_unknown_hosts_are_told_apart() -> None:
    """A closed port and a name that does not exist have different errors; only the first is worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with EgressProxy(allow_private_addresses=True) as proxy:
        ask(proxy, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        refused = proxy.explain(f"http://127.0.0.1:{port}/")

    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with EgressProxy(allow_private_addresses=True, resolver=unknown) as proxy:
        ask(proxy, b"CONNECT no.example:443 HTTP/1.1\r\n\r\n")
        missing = proxy.explain("https://no.example/")
    assert isinstance(refused, ActionError)
    assert isinstance(missing, ActionError)
    assert (refused.code, refused.retryable) == ("site_unreachable", True)
    assert (missing.code, missing.retryable) == ("host_not_found", False)


def test_ends_cleanly_with_open_connections(listener: Listener) -> None:
    """Leaving the proxy closes its tunnels and its thread."""
    with EgressProxy(allow_private_addresses=True) as proxy:
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        connection.sendall(f"CONNECT 127.0.0.1:{listener.port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in connection.recv(1_000)
    assert connection.recv(10) == b""
    connection.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=2)
