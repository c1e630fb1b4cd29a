"""robots.txt: asked for through the proxy, kept for a day, and left out for the project's own sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from automation.actions.base import ActionContext, ActionError
from automation.egress import open_egress
from automation.host_rules import HostRules
from automation.robots import RobotsRefused, check_robots
from automation.robots_cache import MOST, RobotsCache
from tests.sites.serving import serve

RULES = "User-agent: *\nDisallow: /private\nUser-agent: Herald\nDisallow: /not-for-herald\n"


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """A site whose robots.txt answers as the test says; the agents that asked for it."""
    agents: list[str] = []
    answer: dict[str, Any] = {}

    async def robots(request: Request) -> Response:
        agents.append(request.headers["user-agent"])
        return PlainTextResponse(answer["text"], status_code=answer.get("status", 200))

    async def moved(_request: Request) -> Response:
        return RedirectResponse("/robots.txt")

    with serve(Starlette(routes=[Route("/robots.txt", robots), Route("/moved", moved)])) as url:
        yield url, agents, answer


def ask(url: str, context: ActionContext) -> None:
    with open_egress(context) as egress:
        check_robots(url, context, egress)


def test_what_the_site_asks_not_to_read_is_not_read(
    site: tuple[str, list[str], dict[str, Any]], make_context: Callable[..., ActionContext]
) -> None:
    """The rules for Herald by name hold, and the error says whose file it was and what to do."""
    url, agents, answer = site
    answer.update(text=RULES, status=200)
    with pytest.raises(RobotsRefused, match=r"its robots\.txt") as caught:
        ask(f"{url}/not-for-herald/x", make_context())
    assert "own hosts" in caught.value.hint
    ask(f"{url}/private", make_context())  # the rules for all do not hold for who has rules by name
    assert set(agents) == {"Herald"}


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_file_that_cannot_be_had_now_permits_nothing(
    site: tuple[str, list[str], dict[str, Any]], make_context: Callable[..., ActionContext], status: int
) -> None:
    """A site in trouble is not read; trying again may help."""
    url, _, answer = site
    answer.update(text="", status=status)
    with pytest.raises(ActionError, match=str(status)) as caught:
        ask(f"{url}/x", make_context())
    assert (caught.value.code, caught.value.retryable) == ("robots_unavailable", True)


def test_a_site_that_the_proxy_refuses_is_left_to_the_page(make_context: Callable[..., ActionContext]) -> None:
    """Opening the page tells why; nothing is kept of the file."""
    kept: list[str] = []
    for url in ("http://127.0.0.1:9/x", "https://127.0.0.1:9/x"):
        ask(url, make_context(allow_private_addresses=False, save_robots=lambda origin, _text: kept.append(origin)))
    assert kept == []


@pytest.mark.parametrize("status", [404, 403])
def test_no_file_permits_everything(
    site: tuple[str, list[str], dict[str, Any]], make_context: Callable[..., ActionContext], status: int
) -> None:
    """4xx means that the site has no rules."""
    url, _, answer = site
    answer.update(text=RULES, status=status)
    ask(f"{url}/not-for-herald", make_context())


def test_own_sites_are_not_asked_and_answers_are_kept(
    site: tuple[str, list[str], dict[str, Any]], make_context: Callable[..., ActionContext]
) -> None:
    """The owner's own host needs no leave; another is asked once."""
    url, agents, answer = site
    answer.update(text=RULES, status=200)
    agents.clear()
    ask(f"{url}/not-for-herald", make_context(host_rules=HostRules(own=("127.0.0.1",))))
    assert agents == []
    cache = RobotsCache()
    for _ in range(2):
        ask(f"{url}/y", make_context(load_robots=cache.load, save_robots=cache.save))
    assert len(agents) == 1


def test_the_cache_forgets_the_oldest() -> None:
    """It does not grow without end."""
    cache = RobotsCache()
    for number in range(MOST + 1):
        cache.save(f"http://{number}.test", "")
    assert cache.load("http://0.test") is None
    assert cache.load(f"http://{MOST}.test") == ""
