"""Facebook: its limits, and the marks of its pages."""

from __future__ import annotations

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules, length_problem, utf16_units

LIMIT = 63_206
# Source: Facebook's help pages on photos (30 MB) and videos (10 GB).
_MEDIA = MediaRules(
    "Facebook",
    max_bytes=dict.fromkeys(("image/jpeg", "image/png", "image/gif", "image/webp"), 30_000_000)
    | {VIDEO: 10_000_000_000},
    max_images=20,
    max_videos=20,
    may_mix=True,
)
_POST = "[role=article]:not([role=article] [role=article])"
_LINK = "a[href*='/posts/'], a[href*='/permalink'], a[href*='/videos/'], a[href*='/photo']"
_BODY = "[data-ad-preview=message], [data-ad-comet-preview=message], [data-ad-rendering-role=story_message]"


class Facebook(BrowserSite):
    """Posts from the dialog that the home page opens; ``handle`` is the name in the profile's or page's address."""

    platform = "facebook"
    title = "Facebook"
    default_base_url = "https://www.facebook.com"
    home = "/"
    own_url = "/{handle}/posts/"
    login = Login(
        path="/login/",
        logged_in=("role=button[name=/what.s on your mind/i]", "[aria-label='Create a post']"),
        username=("#email", "input[name=email]", "role=textbox[name=/email|mobile number/i]"),
        next_step=("role=button[name=/^(next|continue)$/i]",),
        password=("#pass", "input[name=pass]", "input[type=password]"),
        submit=("button[name=login]", "#loginbutton", "role=button[name=/^log ?in$/i]"),
        refused=("#error_box", "._9ay7", "[role=alert]"),
        asks_more=("#approvals_code", "input[name=approvals_code]", "role=textbox[name=/^code$/i]"),
        skip=("role=button[name=/^(not now|skip)$/i]",),
        identity=("[role=navigation] a[aria-label*=profile i]", "[role=navigation] a[href*='/']:has(image, img)"),
        identity_pattern=r"(?:facebook\.com/|^/)([\w.]{2,})/?(?=[\s?]|$)",
    )
    composer = Composer(
        opener=("role=button[name=/what.s on your mind/i]", "[aria-label='Create a post'] [role=button]"),
        editors=(
            (
                "[role=dialog] [role=textbox][contenteditable=true]",
                "form [contenteditable=true]",
                "[contenteditable=true][aria-label*='on your mind' i]",
            ),
        ),
        media_opener=("[role=dialog] >> role=button[name=/^photo.video$/i]",),
        file_input=("[role=dialog] input[type=file]", "form input[type=file]"),
        media_ready=("role=button[name=/^remove (post attachment|photo|video)/i]", "[role=dialog] img[src^='blob:']"),
        media_pending=("[role=dialog] [role=progressbar]",),
        media_failed=("[role=dialog] [role=alert]",),
        suggestions=("role=listbox",),
        optional_next=("[role=dialog] >> role=button[name=/^next$/i]",),
        publish=("[role=dialog] >> role=button[name=/^(post|publish)$/i]", "form [aria-label=Post]"),
    )
    timeline = Timeline(
        path="/{handle}",
        post=_POST,
        link=_LINK,
        body=_BODY,
        time=f":is({_LINK})",
        own_post=_POST,
        own_body=_BODY,
        notice=("body > [role=alert]", "body > [role=status]"),
        sent_link=("body > [role=alert] a[href*='/posts/']",),
    )

    def check(self, post: Post) -> Check:
        """At most 63,206 characters; pictures and videos together."""
        problem = length_problem(self.title, post.text, LIMIT, utf16_units)
        return Check(utf16_units(post.text), LIMIT, problem, _MEDIA.problem(post.media))
