"""Instagram: its limits, and the marks of its pages."""

from __future__ import annotations

import regex

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules, length_problem, utf16_units
from automation.sites.x_text import url_spans

LIMIT = 2_200
MAX_TAGS = 30
MAX_MENTIONS = 20
# Source: Instagram's help and its content publishing documentation (8 MB a picture, 10 in one post from the web).
_MEDIA = MediaRules(
    "Instagram",
    max_bytes={"image/jpeg": 8_000_000, "image/png": 8_000_000, VIDEO: 650_000_000},
    max_images=10,
    max_videos=10,
    needs="any",
    may_mix=True,
)


class Instagram(BrowserSite):
    """Posts from the dialog behind "Create"; never without a picture or a video."""

    platform = "instagram"
    title = "Instagram"
    default_base_url = "https://www.instagram.com"
    home = "/"
    login = Login(
        path="/accounts/login/",
        logged_in=("svg[aria-label='New post']", "role=link[name=/^(new post|create)/i]", "a[href='/direct/inbox/']"),
        username=("input[name=username]", "input[name=email]", "role=textbox[name=/username|email/i]"),
        next_step=("role=button[name=/^(next|continue)$/i]",),
        password=("input[name=password]", "input[name=pass]", "input[type=password]"),
        submit=("role=button[name=/^log in$/i]", "form button[type=submit]"),
        refused=("#slfErrorAlert", "[data-testid=login-error-message]", "form [role=alert]"),
        asks_more=("input[name=verificationCode]", "input[name=security_code]", "role=textbox[name=/security code/i]"),
        skip=("role=button[name=/^not now$/i]",),
        identity=("a[href^='/']:has(img[alt$='profile picture'])", "role=link[name=/^profile$/i]"),
        identity_pattern=r"^/([\w.]+)/",
    )
    composer = Composer(
        opener=("svg[aria-label='New post']", "role=link[name=/^(new post|create)/i]"),
        editors=(
            (
                "[contenteditable=true][aria-label^='Write a caption']",
                "textarea[aria-label^='Write a caption']",
                "[role=dialog] [contenteditable=true]",
            ),
        ),
        file_input=("[role=dialog] input[type=file]", "form[enctype] input[type=file]"),
        media_ready=("role=dialog[name=/^crop$/i]", "role=heading[name=/^crop$/i]"),
        media_pending=("[role=dialog] [role=progressbar]",),
        media_failed=("role=heading[name=/could.?n.t|not be uploaded/i]", "[role=dialog] [role=alert]"),
        after_media=(("role=button[name=/^next$/i]",), ("role=button[name=/^next$/i]",)),
        suggestions=("role=listbox",),
        publish=("[role=dialog] >> role=button[name=/^share$/i]", "role=button[name=/^share$/i]"),
    )
    timeline = Timeline(
        path="/{handle}/",
        post="main a[href*='/p/'], main a[href*='/reel/']",
        link="a",
        own_post="main",
        own_body="h1, [data-testid=post-caption]",
        own_time="time",
        notice=(
            "text=/your (post|reel) (has been|was) shared|(could not|couldn.t) be shared/i",
            "role=heading[name=/^(sharing|post shared|reel shared)$/i]",
        ),
    )

    def check(self, post: Post) -> Check:
        """At most 2,200 characters, 30 hashtags and 20 mentions; at least one picture or video."""
        problem = length_problem(self.title, post.text, LIMIT, utf16_units, "The caption")
        for sign, limit, noun in (("#", MAX_TAGS, "hashtags"), ("@", MAX_MENTIONS, "mentions")):
            count = len(regex.findall(rf"(?<!\w){sign}[\p{{L}}\p{{N}}_]", post.text))
            if not problem and count > limit:
                problem = f"The caption has {count} {noun}; Instagram takes at most {limit}."
        note = "Instagram shows links as plain text" if url_spans(post.text) else ""
        return Check(utf16_units(post.text), LIMIT, problem, _MEDIA.problem(post.media), note)
