"""Reading pages in a real browser: what is no page is a clear error, what is one is read whole."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from automation.actions.base import ActionContext, ActionError, ActionResult
from automation.actions.scrape_url import ScrapeUrl, ScrapeUrlParams

pytestmark = pytest.mark.browser


def scrape(url: str, context: ActionContext) -> ActionResult:
    return ScrapeUrl().execute(ScrapeUrlParams(url=url), context)


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("http://127.0.0.1:{port}/", "address_refused", "127.0.0.1"),
        ("http://localhost:{port}/", "address_refused", "localhost (127.0.0.1)"),
        ("http://2130706433:{port}/", "address_refused", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]:{port}/", "address_refused", "loopback"),
    ],
)
def test_private_addresses_are_refused(
    shop_url: str, make_context: Callable[..., ActionContext], target: str, code: str, words: str
) -> None:
    """Without the setting a local page is not opened, however its address is written; the error names the setting."""
    with pytest.raises(ActionError) as caught:
        scrape(target.replace("{port}", shop_url.rsplit(":", 1)[1]), make_context(allow_private_addresses=False))
    assert caught.value.code == code
    assert words in caught.value.message
    assert "HERALD_ALLOW_PRIVATE_ADDRESSES" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/redirect?to=http://169.254.169.254/latest/meta-data/", "address_refused", "169.254.169.254"),
        ("/script-redirect?to=http://169.254.169.254/latest/", "address_refused", "169.254.169.254"),
        ("/redirect?to=file:///etc/passwd", "page_failed", "could not be opened"),
        ("/loop", "too_many_redirects", "circle"),
        ("/missing", "http_error", "404"),
        ("/broken", "http_error", "503"),
        ("/download", "download_refused", "file to download"),
        ("/menu.pdf", "download_refused", "application/pdf"),
        ("/photo.png", "download_refused", "image/png"),
        ("/huge", "page_too_large", "50 MB"),
    ],
)
def test_what_is_no_page(
    shop_url: str, make_context: Callable[..., ActionContext], path: str, code: str, words: str
) -> None:
    """Redirects to forbidden places, HTTP errors, files and 500 MB each have their own error."""
    with pytest.raises(ActionError) as caught:
        scrape(shop_url + path, make_context())
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("path", ["/hang", pytest.param("/trickle", marks=pytest.mark.slow), "/busy"])
def test_pages_that_never_end_time_out(shop_url: str, make_context: Callable[..., ActionContext], path: str) -> None:
    """No answer, one byte a second and an endless script: a timeout that names the seconds, soon after them."""
    started = time.monotonic()
    with pytest.raises(ActionError) as caught:
        scrape(shop_url + path, make_context(timeout_s=6))
    assert caught.value.code == "timeout"
    assert "6 seconds" in caught.value.message
    assert time.monotonic() - started < 25


def test_endless_page_ends_at_the_byte_limit(
    shop_url: str, make_context: Callable[..., ActionContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that never stops sending is cut at HERALD_MAX_PAGE_MB, long before the timeout."""
    monkeypatch.setenv("HERALD_MAX_PAGE_MB", "2")
    with pytest.raises(ActionError, match="more than 2 MB"):
        scrape(f"{shop_url}/endless", make_context())


def test_price_list(shop_url: str, make_context: Callable[..., ActionContext]) -> None:
    """A table's rows stay together, hidden prices stay out, and the evidence is there."""
    said: list[str] = []
    context = make_context(progress=said.append)
    result = scrape(f"{shop_url}/prices", context)
    assert "Sourdough loaf\t1 kg\t£4.20" in result.data["text"]
    assert "£0.01" not in result.data["text"]
    assert result.data["title"] == "Prices · Jo's Bakery"
    assert (result.data["status"], result.data["is_truncated"]) == (200, False)
    assert {"text": "Our bread", "url": f"{shop_url}/products"} in result.data["links"]
    assert [e.kind for e in result.evidence] == ["screenshot", "text", "url"]
    assert all((context.evidence_dir / e.filename).stat().st_size for e in result.evidence if e.filename)
    assert said[0] == "Starting the browser"
    assert "Opening the page" in said


def test_shop_markup_and_scripts(shop_url: str, make_context: Callable[..., ActionContext]) -> None:
    """Prices in pieces are whole, and a price that a script fills in is read."""
    text = scrape(f"{shop_url}/products", make_context())
    assert "£4.20" in text.data["text"]
    assert "£14.50" in text.data["text"]
    product = scrape(f"{shop_url}/redirect?to={shop_url}/products/sourdough", make_context())
    assert "£4.20" in product.data["text"]
    assert product.data["final_url"] == f"{shop_url}/products/sourdough"


def test_long_and_half_loaded_pages(shop_url: str, make_context: Callable[..., ActionContext]) -> None:
    """A long page is cut at 200,000 characters; a picture that never comes does not keep the text away."""
    long = scrape(f"{shop_url}/long", make_context())
    assert (len(long.data["text"]), long.data["is_truncated"]) == (200_000, True)
    half = scrape(f"{shop_url}/hanging-image", make_context(timeout_s=30))
    assert "£9.99" in half.data["text"]


@pytest.mark.parametrize(("path", "text"), [("/plain.txt", "Rye 3.80\nééé"), ("/prices.json", '"rye": "£3.80"')])
def test_plain_text_and_json(shop_url: str, make_context: Callable[..., ActionContext], path: str, text: str) -> None:
    """Text that is not HTML is read as it is."""
    assert text in scrape(shop_url + path, make_context()).data["text"]
