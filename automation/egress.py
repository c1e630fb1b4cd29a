"""The browser's one way out: a filtering proxy that checks every address at the moment it connects.

One instance serves one execution. It resolves names itself and connects to the address that it checked, so neither a
redirect nor a name that changes its address between check and use (rebinding) gets anywhere else. It counts bytes, so
that an endless page ends, and remembers why it refused, so that the executor can say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

from automation.addresses import is_private, refusal_reason
from automation.config import AutomationSettings
from automation.egress_http import BadRequest, RequestHead, close_response_head, read_head, refusal_response
from automation.errors import ActionError
from automation.host_rules import HostRules, plain_host

if TYPE_CHECKING:
    from automation.actions.base import ActionContext

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 50_000_000
CONNECT_TIMEOUT_S = 15.0
HEAD_TIMEOUT_S = 30.0
MAX_CONNECTIONS = 256
_CHUNK_BYTES = 65_536
_PUBLIC_PORTS = frozenset({80, 443, 8000, 8008, 8080, 8081, 8443, 8888})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]


class AddressRefused(ActionError):
    """The target is an address that automation may not reach."""

    code = "address_refused"


class PageTooLarge(ActionError):
    """The execution received more bytes than it may."""

    code = "page_too_large"


class Egress(Protocol):
    """An execution's way out, as those who use it see it; the proxy itself may run in another process."""

    on_over_budget: Callable[[], None]

    @property
    def url(self) -> str:
        """The proxy's address, for a browser or an HTTP client."""

    @property
    def is_over_budget(self) -> bool:
        """Whether everything was cut off, because the execution received more than it may."""

    def explain(self, url: str) -> ActionError | None:
        """The reason why ``url``'s host could not be reached, if it was the proxy's doing."""

    def too_large_error(self) -> ActionError:
        """The error of an execution that received too much."""


@dataclass(slots=True)
class _Failure:
    error: ActionError


@dataclass(slots=True)
class EgressLog:
    """What one execution's proxy did. Keys of ``failures`` are (host, port)."""

    failures: dict[tuple[str, int], _Failure] = field(default_factory=dict)
    connected: list[tuple[str, str, int]] = field(default_factory=list)
    received_bytes: int = 0
    is_over_budget: bool = False


class EgressProxy:
    """An HTTP and CONNECT proxy on a port of its own, running in a thread. Use as a context manager.

    It listens on 127.0.0.1, or takes the connections of ``listener``, a listening socket that may belong to another
    network namespace: who lives there has no other way out.
    """

    def __init__(
        self,
        *,
        allow_private_addresses: bool,
        max_bytes: int = DEFAULT_MAX_BYTES,
        resolver: Resolver | None = None,
        host_rules: HostRules = HostRules(),
        listener: socket.socket | None = None,
    ) -> None:
        self._rules = host_rules
        self._listener = listener
        self.allow_private_addresses = allow_private_addresses
        self.max_bytes = max_bytes
        self.log = EgressLog()
        self.on_over_budget: Callable[[], None] = lambda: None
        self.port = 0
        self._resolve = resolver or _system_resolver
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._start_error: BaseException | None = None

    @property
    def url(self) -> str:
        """The proxy's address, for the browser."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        if self._start_error is not None or not self.port:
            raise ActionError(
                f"The filtering proxy could not start ({self._start_error}), so the browser was not started.",
                code="egress_unavailable",
                retryable=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def is_over_budget(self) -> bool:
        """Whether everything was cut off, because the execution received more than it may."""
        return self.log.is_over_budget

    def explain(self, url: str) -> ActionError | None:
        """The reason why ``url``'s host could not be reached through this proxy, if it was the proxy's doing."""
        if self.log.is_over_budget:
            return self.too_large_error()
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        failure = self.log.failures.get((plain_host(parts.hostname or ""), port))
        return failure.error if failure else None

    def too_large_error(self) -> PageTooLarge:
        """The error of an execution that received too much."""
        return PageTooLarge(
            f"The page sent more than {self.max_bytes / 1e6:.0f} MB, the most that one action may receive.",
            hint="Give the address of a smaller page.",
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._start_error = error
            log.exception("the filtering proxy stopped")
        finally:
            self._ready.set()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        listener = self._listener or socket.create_server(("127.0.0.1", 0), backlog=128)
        server = await asyncio.start_server(self._accept, sock=listener, limit=_CHUNK_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) > MAX_CONNECTIONS or self.log.is_over_budget:
                return
            await self._handle(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a connection that broke; the browser sees it as such
        except asyncio.CancelledError:
            pass  # the execution is over
        finally:
            self._tasks.discard(task)
            await _close(writer)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(read_head(reader), HEAD_TIMEOUT_S)
            request = RequestHead.parse(head)
        except BadRequest as error:
            writer.write(refusal_response(400, str(error)))
            await writer.drain()
            return
        try:
            up_reader, up_writer = await self._connect(request.host, request.port)
        except ActionError as error:
            key = (plain_host(request.host), request.port)
            self.log.failures[key] = _Failure(error)
            log.info("egress refused", extra={"host": request.host, "port": request.port, "code": error.code})
            writer.write(refusal_response(403 if error.code == "address_refused" else 502, error.message))
            await writer.drain()
            return
        try:
            if request.is_connect:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._pump_both(reader, writer, up_reader, up_writer)
            else:
                up_writer.write(request.to_origin())
                await up_writer.drain()
                await self._pump_plain(reader, writer, up_reader, up_writer)
        finally:
            await _close(up_writer)

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Resolve, check every address, connect to a checked one. Raises: ActionError."""
        addresses = await self._checked_addresses(host, port)
        last_error: Exception | None = None
        for address in addresses:
            try:
                streams = await asyncio.wait_for(asyncio.open_connection(str(address), port), CONNECT_TIMEOUT_S)
            except (OSError, TimeoutError) as error:
                last_error = error
                continue
            peer = ipaddress.ip_address(streams[1].get_extra_info("peername")[0].split("%")[0])
            if self._refusal(peer):
                await _close(streams[1])
                raise self._refused(host, peer)
            self.log.connected.append((host, str(address), port))
            return streams
        reason = "did not answer in time" if isinstance(last_error, TimeoutError) else "refused the connection"
        raise ActionError(
            f"{host} (port {port}) {reason}.",
            code="site_unreachable",
            hint="Check the address, and whether the site is up.",
            retryable=True,
        )

    async def _checked_addresses(self, host: str, port: int) -> list[Address]:
        if reason := self._rules.refusal(host):
            raise AddressRefused(
                f"{host} was not opened: {reason}.",
                hint="An owner of the project changes the lists: PUT /api/v1/projects/ID/network.",
            )
        try:
            found = await asyncio.wait_for(self._resolve(host, port), CONNECT_TIMEOUT_S)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise _unknown_host(
                host, is_transient=isinstance(error, TimeoutError) or getattr(error, "errno", 0) == socket.EAI_AGAIN
            ) from error
        if not found:
            raise _unknown_host(host)
        addresses: list[Address] = [ipaddress.ip_address(text) for text in found]
        for address in addresses:
            if self._refusal(address):
                raise self._refused(host, address)
        if port not in _PUBLIC_PORTS and not (self.allow_private_addresses and all(is_private(a) for a in addresses)):
            raise AddressRefused(
                f"Port {port} of {host} may not be opened; web ports such as 80, 443 and 8080 may.",
                hint="Give the address of the page on its usual port.",
            )
        return list(dict.fromkeys(addresses))

    def _refusal(self, address: Address) -> str:
        return refusal_reason(address, allow_private=self.allow_private_addresses)

    def _refused(self, host: str, address: Address) -> AddressRefused:
        reason = self._refusal(address)
        target = host if host == str(address) else f"{host} ({address})"
        if not self.allow_private_addresses and is_private(address):
            hint = "To let automation reach loopback and private addresses, set HERALD_ALLOW_PRIVATE_ADDRESSES=true."
        else:
            hint = (
                "HERALD_ALLOW_PRIVATE_ADDRESSES opens only loopback and private addresses; "
                "this kind of address is never reached."
            )
        return AddressRefused(f"{target} was not opened: it is {reason}.", hint=hint)

    async def _pump_plain(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        """Relay one plain-HTTP exchange; the answer's head is rewritten so that the connection is not used again."""
        async with self._uploading(reader, up_writer):
            try:
                while True:
                    head = await asyncio.wait_for(read_head(up_reader), 600)
                    self._count(len(head))
                    final, rewritten = close_response_head(head)
                    writer.write(rewritten)
                    await writer.drain()
                    if final:
                        break
                await self._pump(up_reader, writer, is_download=True)
            except BadRequest:
                pass  # not HTTP: the browser gets a closed connection

    async def _pump_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        async with self._uploading(reader, up_writer):
            await self._pump(up_reader, writer, is_download=True)

    @contextlib.asynccontextmanager
    async def _uploading(self, reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """Pass on meanwhile what the browser sends."""
        upload = asyncio.ensure_future(self._pump(reader, up_writer, is_download=False))
        try:
            yield
        finally:
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_download: bool) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            if is_download and not self._count(len(chunk)):
                break
            sink.write(chunk)
            await sink.drain()
        with contextlib.suppress(OSError, RuntimeError):
            if sink.can_write_eof():
                sink.write_eof()

    def _count(self, size_bytes: int) -> bool:
        """Account for received bytes; past the budget every connection is cut."""
        self.log.received_bytes += size_bytes
        if self.log.received_bytes <= self.max_bytes:
            return True
        if not self.log.is_over_budget:
            self.log.is_over_budget = True
            current = asyncio.current_task()
            for task in self._tasks:
                if task is not current:
                    task.cancel()
            self.on_over_budget()
        return False


@contextlib.contextmanager
def open_egress(
    context: ActionContext, *, max_bytes: int | None = None, resolver: Resolver | None = None
) -> Iterator[Egress]:
    """The one way out of ``context``'s execution: the one that it was given, else one started for the while.

    Whatever an executor sends, by browser or by HTTP client, goes through ``url``. Raises: ActionError.
    """
    if context.egress is not None:
        yield context.egress
        return
    limit = int(AutomationSettings().max_page_mb * 1_000_000) if max_bytes is None else max_bytes
    with EgressProxy(
        allow_private_addresses=context.allow_private_addresses,
        max_bytes=limit,
        resolver=resolver,
        host_rules=context.host_rules,
    ) as egress:
        yield egress


async def _system_resolver(host: str, port: int) -> list[str]:
    """Every address of ``host``; the C library also reads numeric spellings (127.1, 0x7f.1, 2130706433)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


def _unknown_host(host: str, *, is_transient: bool = False) -> ActionError:
    return ActionError(
        f"There is no site called {host}: its name could not be resolved.",
        code="host_not_found",
        hint="Check the address for typing errors, and the machine's connection to the internet.",
        retryable=is_transient,
    )


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError, asyncio.CancelledError):
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), 2)
