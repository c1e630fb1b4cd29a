"""X, formerly Twitter: its limits, and the marks of its pages."""

from __future__ import annotations

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules
from automation.sites.x_text import LIMIT, find_problem, weighted_length

# Source: X's help pages on pictures (5 MB, GIF 15 MB on the web) and videos (512 MB).
_MEDIA = MediaRules(
    "X",
    max_bytes={
        "image/png": 5_000_000,
        "image/jpeg": 5_000_000,
        "image/webp": 5_000_000,
        "image/gif": 15_000_000,
        VIDEO: 512_000_000,
    },
    max_images=4,
    max_videos=4,
    may_mix=True,
)


class X(BrowserSite):
    """Posts from the timeline's own composer."""

    platform = "x"
    title = "X"
    default_base_url = "https://x.com"
    home = "/home"
    own_url = "/{handle}/status/"
    login = Login(
        path="/i/flow/login",
        logged_in=("[data-testid=tweetTextarea_0]", "[data-testid=SideNav_AccountSwitcher_Button]"),
        logged_out=("a[data-testid=loginButton]", "a[href='/login']"),
        username=("input[autocomplete=username]", "input[name=text]"),
        next_step=('role=button[name="Next"]', "[data-testid=LoginForm_Next_Button]"),
        password=("input[name=password]", "input[autocomplete=current-password]"),
        submit=("[data-testid=LoginForm_Login_Button]", 'role=button[name="Log in"]'),
        refused=("[data-testid=toast]",),
        asks_more=("[data-testid=ocfEnterTextTextInput]", "[data-testid=ocfEnterTextNextButton]"),
        identity=("[data-testid=SideNav_AccountSwitcher_Button]", "[data-testid=AppTabBar_Profile_Link]"),
        identity_pattern=r"(?:@|^/)(\w+)",
    )
    composer = Composer(
        editors=(
            (
                "[data-testid=tweetTextarea_0][contenteditable=true]",
                "[data-testid=tweetTextarea_0] [contenteditable=true]",
                "role=textbox[name=/^post text$/i]",
            ),
        ),
        opener=("[data-testid=SideNav_NewTweet_Button]", "a[href='/compose/post']"),
        file_input=("input[data-testid=fileInput]", "input[type=file][accept*=image]"),
        media_ready=("[data-testid=attachments] img", "[data-testid=attachments] video", "[aria-label='Media'] img"),
        media_pending=("[data-testid=attachments] [role=progressbar]",),
        media_failed=("[data-testid=toast]",),
        suggestions=("[id^=typeaheadDropdown]", "role=listbox"),
        publish=(
            "[data-testid=tweetButtonInline]",
            "[data-testid=tweetButton]",
            'role=button[name="Post"]',
        ),
    )
    timeline = Timeline(
        path="/{handle}",
        post="article[data-testid=tweet], article[role=article]",
        link="a[href*='/status/']:has(time)",
        body="[data-testid=tweetText], [lang]",
        time="time",
        own_post="article[data-testid=tweet], article[role=article]",
        own_body="[data-testid=tweetText], [lang]",
        notice=("[data-testid=toast]",),
        sent_link=("[data-testid=toast] a[href*='/status/']",),
    )

    def check(self, post: Post) -> Check:
        """X's weighted length: addresses count 23, emoji and CJK 2, at most 280."""
        return Check(weighted_length(post.text), LIMIT, find_problem(post.text), _MEDIA.problem(post.media))
