"""The two networks of ``platform`` as site modules: how a keyed and a keyless platform with an API are published to.

They take the place of two of the product's sites, and publish through everything else of the product: the approval, the
worker, the hands and the filtering proxy. Importing this module puts them there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from automation.actions.base import ActionContext
from automation.egress import open_egress
from automation.errors import ActionError
from automation.sites.base import Post, Published, Site, Unconfirmed
from automation.sites.limits import Check
from automation.sites.registry import SITES

ANSWER_WITHIN_S = 8.0


class _Networked(Site):
    """What both have in common; ``network`` is the path on the platform."""

    network: str

    def check(self, post: Post) -> Check:
        """No rules but a length."""
        return Check(len(post.text), 300)

    def publish(self, post: Post, context: ActionContext) -> Published:
        """See ``Site.publish``."""
        with self._client(context) as client:
            context.before_irreversible()
            body = {"text": post.text, "key": context.intent_id if self.is_keyed else ""}
            try:
                answer = client.post(f"/{self.network}/posts", json=body)
            except httpx.HTTPError as error:
                raise Unconfirmed(f"The network did not answer: {error!r}.", is_site_fault=True) from error
            if answer.status_code == 201:
                return Published(answer.json()["url"], post.text)
            is_refused = answer.status_code == 429
            raise ActionError(
                f"The network answered {answer.status_code}.",
                code="rate_limited" if is_refused else "network_down",
                is_refused=is_refused,
                is_site_fault=False,
                retry_after_s=float(answer.headers.get("Retry-After", 0)) or None,
            )

    def look_up(self, post: Post, context: ActionContext, began_at: datetime) -> Published | None:
        """See ``Site.look_up``."""
        query = {"key": context.intent_id} if self.is_keyed else {"text": post.text}
        with self._client(context) as client:
            try:
                found: list[dict[str, Any]] = client.get(f"/{self.network}/posts", params=query).json()["posts"]
            except httpx.HTTPError as error:
                raise ActionError(f"The network did not answer: {error!r}.", code="look_failed") from error
        return Published(found[0]["url"], found[0]["text"]) if found else None

    @contextmanager
    def _client(self, context: ActionContext) -> Iterator[httpx.Client]:
        base_url = self.account_of(context).base_url
        with (
            open_egress(context) as egress,
            httpx.Client(base_url=base_url, proxy=egress.url, timeout=ANSWER_WITHIN_S, trust_env=False) as client,
        ):
            yield client


class KeyedSite(_Networked):
    """One post a key, however often it is sent."""

    platform, title, default_base_url = "bluesky", "Keyed network", "https://keyed.example"
    network, is_keyed = "keyed", True


class KeylessSite(_Networked):
    """Whatever is sent is published."""

    platform, title, default_base_url = "x", "Keyless network", "https://keyless.example"
    network = "keyless"


for _site in (KeyedSite(), KeylessSite()):
    SITES[_site.platform] = _site
