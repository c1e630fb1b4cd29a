"""TikTok: its limits, and the marks of its pages."""

from __future__ import annotations

import re
from datetime import datetime

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules, length_problem, utf16_units
from automation.sites.timeline import from_unix
from automation.sites.x_text import url_spans

LIMIT = 4_000
# Source: TikTok's help on uploading from a computer (MP4, less than 10 GB).
_MEDIA = MediaRules("TikTok", max_bytes={VIDEO: 10_000_000_000}, max_videos=1, needs="video")


class TikTok(BrowserSite):
    """Publishes one video from TikTok Studio's upload page; the text is its caption."""

    platform = "tiktok"
    title = "TikTok"
    default_base_url = "https://www.tiktok.com"
    home = "/"
    login = Login(
        path="/login/phone-or-email/email",
        logged_in=("[data-e2e=profile-icon]", "[data-e2e=nav-profile]", "role=link[name=/^profile$/i]"),
        logged_out=("[data-e2e=top-login-button]", "#header-login-button", "role=button[name=/^log in$/i]"),
        username=("input[name=username]", "role=textbox[name=/email or username/i]"),
        next_step=("role=button[name=/^(next|continue)$/i]",),
        password=("input[type=password]",),
        submit=("[data-e2e=login-button]", "form button[type=submit]"),
        refused=("[data-e2e=login-error]", "form [role=alert]", "form [role=status]"),
        asks_more=("input[placeholder*='6-digit' i]", "role=textbox[name=/verification code/i]"),
        skip=("role=button[name=/^not now$/i]",),
        identity=("[data-e2e=nav-profile]", "nav a[href^='/@']", "role=link[name=/^profile$/i]"),
        identity_pattern=r"/@([\w.]+)",
    )
    composer = Composer(
        path="/tiktokstudio/upload",
        editors=(
            (
                "[data-e2e=caption_container] [contenteditable=true]",
                ".public-DraftEditor-content",
                "[contenteditable=true][role=combobox]",
                "role=textbox[name=/description|caption/i]",
            ),
        ),
        file_input=("input[type=file][accept*=video]", "input[type=file]"),
        media_ready=("[data-e2e=upload_success]", "text=/^uploaded\\b/i"),
        media_pending=("[data-e2e=upload_progress]", "role=progressbar"),
        media_failed=("[data-e2e=upload_error]", "main [role=alert]"),
        suggestions=("role=listbox",),
        publish=("[data-e2e=post_video_button]", "role=button[name=/^post$/i]"),
    )
    timeline = Timeline(
        path="/@{handle}",
        post="[data-e2e=user-post-item], main [role=listitem]",
        link="a[href*='/video/'], a[href*='/photo/']",
        own_post="main",
        own_body="[data-e2e=browse-video-desc], [data-e2e=video-desc], h1",
        notice=("[data-e2e=post_notice]", "body > [role=alert]", "body > [role=status]"),
    )

    def check(self, post: Post) -> Check:
        """At most 4,000 characters; exactly one MP4 video."""
        problem = length_problem(self.title, post.text, LIMIT, utf16_units, "The caption")
        note = "TikTok shows links as plain text" if url_spans(post.text) else ""
        return Check(utf16_units(post.text), LIMIT, problem, _MEDIA.problem(post.media), note)

    def time_of(self, url: str, shown: str) -> datetime | None:
        """A video's number begins with its time: 32 bits of seconds."""
        match = re.search(r"/(?:video|photo)/(\d+)", url)
        return from_unix(int(match[1]) >> 32) if match else super().time_of(url, shown)
