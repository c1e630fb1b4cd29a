"""Three hundred addresses and tricks against the proxy and the browser behind it: not one connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest
from playwright.sync_api import Error
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from automation.actions.base import ActionContext
from automation.browser import open_browser
from automation.egress import EgressProxy
from tests.automation import egress_tricks as tricks
from tests.automation.test_egress import Listener, ask
from tests.sites.serving import serve


@pytest.fixture
def listener() -> Iterator[Listener]:
    """What must not be reached."""
    one = Listener()
    yield one
    one.close()


async def _nobody(host: str, port: int) -> list[str]:
    """Numbers and localhost as the system reads them; no other name exists."""
    if host.rstrip(".").lower().endswith(".test"):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    flags = 0 if host.lower().startswith("localhost") else socket.AI_NUMERICHOST
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(info[4][0]) for info in found]


def filled(text: bytes, listener: Listener) -> bytes:
    return text.replace(b"{target}", b"127.0.0.1:%d" % listener.port)


def test_there_are_three_hundred() -> None:
    """The table is as long as is said of it, and no host stands in it twice."""
    assert tricks.count() >= 300
    assert len(set(tricks.HOSTS)) == len(tricks.HOSTS)


def test_no_spelling_reaches_what_is_forbidden(listener: Listener) -> None:
    """Every host, by CONNECT and by GET, is refused, and nothing is connected to."""
    with EgressProxy(allow_private_addresses=False, resolver=_nobody) as proxy:
        for host in tricks.HOSTS:
            place = f"{host}:{listener.port}".encode()
            for request in (b"CONNECT " + place, b"GET http://" + place + b"/"):
                answer = ask(proxy, request + b" HTTP/1.1\r\nHost: example.com\r\n\r\n")
                assert b" 200 " not in answer.split(b"\r\n")[0], host
        assert proxy.log.connected == []
    assert listener.count == 0


@pytest.mark.parametrize("answers", tricks.ANSWERS, ids=lambda a: ",".join(a) or "none")
def test_no_answer_of_a_name_server_leads_inside(listener: Listener, answers: tuple[str, ...]) -> None:
    """A name is refused for any address among its answers, also when its first answer was another one (rebinding)."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(answers)

    with EgressProxy(allow_private_addresses=False, resolver=resolve) as proxy:
        answer = ask(proxy, f"CONNECT rebind.test:{listener.port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " not in answer.split(b"\r\n")[0]
        assert proxy.log.connected == []
    assert listener.count == 0


def test_no_request_is_understood_in_two_ways(listener: Listener) -> None:
    """Smuggled, folded, doubled and foreign requests reach nothing."""
    with EgressProxy(allow_private_addresses=False, resolver=_nobody) as proxy:
        for request in tricks.REQUESTS:
            with contextlib.suppress(ConnectionError):
                answer = ask(proxy, filled(request, listener))
                assert b" 200 " not in answer.split(b"\r\n")[0], request
        assert proxy.log.connected == []
    assert listener.count == 0


class OneSite(EgressProxy):
    """The proxy as it is, but for one name that leads to the test's own site."""

    def __init__(self, port: int) -> None:
        super().__init__(allow_private_addresses=False, resolver=_nobody)
        self._site_port = port

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if (host, port) == ("site.test", 80):
            return await asyncio.open_connection("127.0.0.1", self._site_port)
        return await super()._connect(host, port)


def _site(target: str, port: int) -> Starlette:
    fill: Callable[[str], str] = partial(str.format, target=target, port=port, site="http://site.test")
    pages = [fill(page) for page in tricks.PAGES]

    async def all_pages(_request: Request) -> Response:
        frames = "".join(f"<iframe src='/page/{number}'></iframe>" for number in range(len(pages)))
        return HTMLResponse(f"<!doctype html>{frames}")

    async def page(request: Request) -> Response:
        return HTMLResponse(f"<!doctype html>{pages[request.path_params['number']]}")

    async def redirect(request: Request) -> Response:
        return RedirectResponse(request.url.query.removeprefix("to="), 307)

    async def refresh(request: Request) -> Response:
        return HTMLResponse("x", headers={"Refresh": f"0;url={request.query_params['to']}"})

    async def headers(request: Request) -> Response:
        to = request.query_params["to"]
        return HTMLResponse(
            "x",
            headers={
                "Link": f"<{to}>; rel=preload; as=image, <{to}>; rel=preconnect",
                "Alt-Svc": f'h2="{target}"; ma=60, h3="{target}"',
                "Content-Security-Policy": f"default-src 'none'; report-uri {to}",
                "Report-To": f'{{"group":"g","max_age":60,"endpoints":[{{"url":"{to}"}}]}}',
                "NEL": '{"report_to":"g","max_age":60,"success_fraction":1}',
                "SourceMap": to,
            },
        )

    async def worker(_request: Request) -> Response:
        return Response(f"fetch('http://{target}/')", media_type="text/javascript")

    def route(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        return Route(path, endpoint)

    return Starlette(
        routes=[
            route("/", all_pages),
            route("/page/{number:int}", page),
            route("/redirect", redirect),
            route("/refresh", refresh),
            route("/headers", headers),
            route("/sw.js", worker),
        ]
    )


@pytest.mark.browser
@pytest.mark.slow
def test_no_page_gets_its_browser_to_connect(listener: Listener, make_context: Callable[..., ActionContext]) -> None:
    """Frames, sockets, workers, redirects, refreshes, beacons, WebRTC and navigations of real pages reach nothing."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", listener.port))
    udp.settimeout(0.1)
    target = f"127.0.0.1:{listener.port}"
    with serve(_site(target, listener.port)) as url, OneSite(int(url.rsplit(":", 1)[1])) as egress:
        context = make_context(allow_private_addresses=False, egress=egress, timeout_s=120.0)
        with open_browser(context) as session:
            session.page.goto("http://site.test/", wait_until="load", timeout=60_000)
            session.page.wait_for_timeout(3_000)
            refused = {place for place, failure in egress.log.failures.items() if failure.error.code}
            assert ("127.0.0.1", listener.port) in refused, "the pages did try"
            assert ("localhost", listener.port) in refused
            for place in tricks.NAVIGATIONS:
                address = place.format(target=target, port=listener.port, site="http://site.test")
                with contextlib.suppress(Error):
                    session.page.goto(address, wait_until="commit", timeout=10_000)
            session.page.wait_for_timeout(1_000)
        assert egress.log.connected == []
    assert listener.count == 0
    with pytest.raises(TimeoutError):
        udp.recvfrom(2_000)
    udp.close()
