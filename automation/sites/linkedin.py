"""LinkedIn: its limits, and the marks of its pages."""

from __future__ import annotations

import re
from datetime import datetime

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules, length_problem, utf16_units
from automation.sites.timeline import from_unix

LIMIT = 3_000
# Source: LinkedIn's help pages on sharing photos (5 MB, up to 20) and videos (5 GB).
_MEDIA = MediaRules(
    "LinkedIn",
    max_bytes={"image/jpeg": 5_000_000, "image/png": 5_000_000, "image/gif": 5_000_000, VIDEO: 5_000_000_000},
    max_images=20,
    max_videos=1,
    max_gifs=1,
)


class LinkedIn(BrowserSite):
    """Posts from the dialog that the feed opens, as the person who is logged in; ``handle`` is that of /in/handle."""

    platform = "linkedin"
    title = "LinkedIn"
    default_base_url = "https://www.linkedin.com"
    home = "/feed/"
    login = Login(
        path="/login",
        logged_in=("role=button[name=/start a post/i]", ".share-box-feed-entry__trigger"),
        username=("#username", "input[name=session_key]", "role=textbox[name=/email or phone/i]"),
        next_step=("role=button[name=/^(next|continue)$/i]",),
        password=("#password", "input[name=session_password]", "input[type=password]"),
        submit=("role=button[name=/^sign in$/i]", "form button[type=submit]"),
        refused=("#error-for-username", "#error-for-password", "[role=alert]"),
        asks_more=("#input__email_verification_pin", "input[name=pin]", "#two-step-challenge"),
        skip=("role=button[name=/^(skip|not now)$/i]",),
        identity=(".feed-identity-module a[href*='/in/']", "aside a[href*='/in/']", "nav a[href*='/in/']"),
        identity_pattern=r"/in/([\w.%-]+)",
    )
    composer = Composer(
        opener=("role=button[name=/start a post/i]", ".share-box-feed-entry__trigger"),
        editors=(
            (
                ".ql-editor[contenteditable=true]",
                "role=textbox[name=/text editor for creating content/i]",
                "[role=dialog] [contenteditable=true]",
            ),
        ),
        media_opener=("role=button[name=/^add (media|a photo|a video)$/i]", ".share-promoted-detour-button"),
        file_input=("#media-editor-file-selector__file-input", "[role=dialog] input[type=file]"),
        media_ready=(".media-editor-preview", "[role=dialog] img[alt*=preview i]", "[role=dialog] video"),
        media_pending=("[role=dialog] [role=progressbar]",),
        media_failed=(".media-editor-error", "[role=dialog] [role=alert]"),
        after_media=(("role=button[name=/^next$/i]", ".share-box-footer__primary-btn"),),
        suggestions=(".ql-mentions-list", "role=listbox"),
        publish=(".share-actions__primary-action", "role=button[name=/^post$/i]"),
    )
    timeline = Timeline(
        path="/in/{handle}/recent-activity/all/",
        post="[data-urn^='urn:li:activity:']",
        link_from=("data-urn", "/feed/update/{}/"),
        body=".update-components-text, .feed-shared-update-v2__description, [dir=ltr]",
        own_post="[data-urn^='urn:li:activity:']",
        own_body=".update-components-text, .feed-shared-update-v2__description, [dir=ltr]",
        notice=(".artdeco-toast-item", "[data-test-artdeco-toast-item-type]", "body > [role=alert]"),
        sent_link=(".artdeco-toast-item a[href*='/feed/update/']", "[role=alert] a[href*='/feed/update/']"),
    )

    def check(self, post: Post) -> Check:
        """At most 3,000 characters; up to 20 pictures, or one video."""
        problem = length_problem(self.title, post.text, LIMIT, utf16_units)
        return Check(utf16_units(post.text), LIMIT, problem, _MEDIA.problem(post.media))

    def time_of(self, url: str, shown: str) -> datetime | None:
        """A post's number begins with its time: 41 bits of milliseconds."""
        match = re.search(r"urn:li:(?:activity|share|ugcPost):(\d+)", url)
        return from_unix((int(match[1]) >> 22) / 1_000) if match else super().time_of(url, shown)
