"""Bluesky, and every server of the AT Protocol: a keyed platform, so that publishing again never doubles a post."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from automation import crash_points
from automation.actions.base import ActionContext, ActionError, Evidence
from automation.egress import open_egress
from automation.sites.base import Post, Published, Site, Unconfirmed, plain_handle
from automation.sites.bluesky_text import facets, record_key
from automation.sites.limits import Check, MediaRules, graphemes, length_problem
from automation.sites.xrpc import XrpcClient, XrpcError

LIMIT_GRAPHEMES = 300
LIMIT_BYTES = 3_000
COLLECTION = "app.bsky.feed.post"
_AGAIN_AFTER_S = (0.5, 2.0, 5.0)
_LIMITED_FOR_S = 60.0  # where a 429 does not say for how long
# Source: the lexicon app.bsky.embed.images (4 pictures of at most 2,000,000 bytes each).
_MEDIA = MediaRules(
    "Bluesky",
    max_bytes=dict.fromkeys(("image/jpeg", "image/png", "image/webp", "image/gif"), 2_000_000),
    max_images=4,
    max_alt=2_000,
)


class Bluesky(Site):
    """Creates ``app.bsky.feed.post`` records under a key made from the action's intent id."""

    platform = "bluesky"
    title = "Bluesky"
    default_base_url = "https://bsky.social"
    is_keyed = True

    def check(self, post: Post) -> Check:
        """At most 300 graphemes and 3,000 bytes; up to four pictures, no video."""
        problem = length_problem(self.title, post.text, LIMIT_GRAPHEMES, graphemes)
        size_bytes = len(post.text.encode())
        if not problem and size_bytes > LIMIT_BYTES:
            problem = f"The text has {size_bytes:,} bytes in UTF-8; Bluesky takes at most {LIMIT_BYTES:,}."
        return Check(graphemes(post.text), LIMIT_GRAPHEMES, problem, _MEDIA.problem(post.media))

    def publish(self, post: Post, context: ActionContext) -> Published:
        """See ``Site.publish``. A post that stands there under the action's key already is the answer."""
        key = self._key(context)
        with self._client(context) as client:
            client.log_in()
            if found := self._find(client, key, context):
                return _same(found, post)
            record = self._record(client, post, context)
            context.progress("Posting")
            context.before_irreversible()
            crash_points.reached("bluesky_before_create")
            self._create(client, key, record)
            crash_points.reached("bluesky_after_create")
            context.progress("Looking for the new post")
            found = self._find(client, key, context)
        if found is None:
            raise Unconfirmed(
                "Bluesky took the post, and does not show it under its key.",
                hint=f"Look at @{plain_handle(self.account_of(context).handle)} on Bluesky.",
            )
        return found

    def look_up(self, post: Post, context: ActionContext, began_at: datetime) -> Published | None:
        """See ``Site.look_up``: by the key alone, so that neither the text nor the time can mislead."""
        key = self._key(context)
        with self._client(context) as client:
            client.log_in()
            found = self._find(client, key, context)
        return _same(found, post) if found else None

    @staticmethod
    def _key(context: ActionContext) -> str:
        if not context.intent_id:
            raise ActionError(
                "Nothing was posted: the action has no intent id, which Bluesky's record key is made from.",
                code="intent_missing",
                hint="Propose the post anew.",
            )
        return record_key(context.intent_id)

    @contextlib.contextmanager
    def _client(self, context: ActionContext) -> Iterator[XrpcClient]:
        with (
            open_egress(context) as egress,
            httpx.Client(proxy=egress.url, trust_env=False, follow_redirects=False) as http,
        ):
            yield XrpcClient(self, context, egress, http)

    def _find(self, client: XrpcClient, key: str, context: ActionContext) -> Published | None:
        """The record under the key, or None when there is none. Raises: ActionError."""
        try:
            found = client.get("com.atproto.repo.getRecord", repo=client.did, collection=COLLECTION, rkey=key)
        except XrpcError as error:
            if error.name == "RecordNotFound":
                return None
            raise
        url = self._url(client.did, key, context)
        return Published(url, str(found["value"].get("text", "")), (Evidence("url", "The post", url=url),))

    def _url(self, did: str, key: str, context: ActionContext) -> str:
        base_url = self.account_of(context).base_url.rstrip("/")
        if base_url.startswith("https://"):
            return f"https://bsky.app/profile/{did}/post/{key}"
        # A server without a public name is not on the network; this address shows the record itself.
        return f"{base_url}/xrpc/com.atproto.repo.getRecord?repo={did}&collection={COLLECTION}&rkey={key}"

    def _record(self, client: XrpcClient, post: Post, context: ActionContext) -> dict[str, Any]:
        images = []
        for ref in post.media:
            context.progress(f"Sending {ref.filename[:60]}")
            blob = client.upload(context.media_path(ref).read_bytes(), ref.media_type)
            images.append({"alt": ref.alt, "image": blob})
        record: dict[str, Any] = {
            "$type": COLLECTION,
            "text": post.text,
            "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if marked := facets(post.text, lambda handle: self._resolve(client, handle)):
            record["facets"] = marked
        if images:
            record["embed"] = {"$type": "app.bsky.embed.images", "images": images}
        return record

    @staticmethod
    def _resolve(client: XrpcClient, handle: str) -> str:
        try:
            return str(client.get("com.atproto.identity.resolveHandle", handle=handle)["did"])
        except XrpcError as error:
            if error.status in (400, 404):
                return ""  # nobody has that name: it stays plain text
            raise

    def _create(self, client: XrpcClient, key: str, record: dict[str, Any]) -> None:
        """Create the record; where no answer came, look whether it is there, and send it again under the same key.

        Raises: ActionError, ``is_refused`` when the server said no; Unconfirmed when it could not be asked.
        """
        body = {"repo": client.did, "collection": COLLECTION, "rkey": key, "validate": True, "record": record}
        unanswered: ActionError | None = None
        for wait_s in (0.0, *_AGAIN_AFTER_S):
            if wait_s and client.remaining_s() < wait_s + 1:
                break
            time.sleep(wait_s)
            try:
                if unanswered is not None and self._is_there(client, key):
                    return
            except ActionError as error:
                unanswered = error
                continue
            try:
                client.post("com.atproto.repo.createRecord", body)
                return
            except XrpcError as error:
                if 400 <= error.status < 500 and unanswered is None:
                    if error.status != 429 and self._is_there(client, key):
                        return
                    raise _refused(error) from error
                unanswered = error
            except ActionError as error:
                unanswered = error
        reason = unanswered.message if unanswered else "no time is left."
        raise Unconfirmed(
            f"The post was sent, and Bluesky did not confirm it: {reason}",
            hint="Its key is known: looking it up settles it, and sending it again cannot double it.",
        ) from unanswered

    @staticmethod
    def _is_there(client: XrpcClient, key: str) -> bool:
        try:
            client.get("com.atproto.repo.getRecord", repo=client.did, collection=COLLECTION, rkey=key)
        except XrpcError as error:
            if error.name == "RecordNotFound":
                return False
            raise
        return True


def _refused(error: XrpcError) -> ActionError:
    return ActionError(
        f"Bluesky did not take the post: {error.message}",
        code="rate_limited" if error.status == 429 else "post_refused",
        is_refused=True,
        retry_after_s=_LIMITED_FOR_S if error.status == 429 and error.retry_after_s is None else error.retry_after_s,
        hint="Edit the text, or look at the account on Bluesky, before you approve it again.",
    )


def _same(found: Published, post: Post) -> Published:
    """Raises: ActionError when another text stands under the action's key: it was changed on the platform."""
    if found.text != post.text:
        raise ActionError(
            f"Nothing was posted: another text stands at {found.url} under this action's key.",
            code="key_taken",
            hint="Look at the post; it was edited on the platform, or another program used the key.",
        )
    return found
