"""YouTube: its limits, and the marks of its pages."""

from __future__ import annotations

from automation.sites.base import Post
from automation.sites.browser_site import BrowserSite
from automation.sites.layout import Composer, Login, Timeline
from automation.sites.limits import VIDEO, Check, MediaRules, length_problem, utf16_units

TITLE_LIMIT = 100
DESCRIPTION_LIMIT_BYTES = 5_000
# Source: YouTube's help on uploading videos (256 GB) and the limits of its data interface for title and description.
_MEDIA = MediaRules("YouTube", max_bytes={VIDEO: 256_000_000_000}, max_videos=1, needs="video")
_NEXT = ("#next-button", "role=button[name=/^next$/i]")


class YouTube(BrowserSite):
    """Publishes one video through Studio's upload dialog: public, not made for children.

    The text's first line is the title, the rest the description. The login is Google's.
    """

    platform = "youtube"
    title = "YouTube"
    default_base_url = "https://www.youtube.com"
    home = "/"
    login = Login(
        path="/upload",
        logged_in=("#avatar-btn", "role=button[name=/account menu/i]"),
        logged_out=("a[href*='ServiceLogin']", "role=link[name=/^sign in$/i]"),
        username=("#identifierId", "input[type=email]", "role=textbox[name=/email or phone/i]"),
        next_step=("#identifierNext button", "role=button[name=/^next$/i]"),
        password=("input[name=Passwd]", "input[type=password]"),
        submit=("#passwordNext button", "role=button[name=/^next$/i]"),
        refused=("[jsname=B34EJ]", "form [role=alert]", "form [aria-live=assertive]"),
        asks_more=(
            "input[name=totpPin]",
            "role=heading[name=/2-step verification|verify (it.s|that it.s) you|couldn.t sign you in/i]",
        ),
        skip=("role=button[name=/^(not now|skip)$/i]",),
        identity=("#channel-handle", "[role=menu] >> text=/^@/", "[role=dialog] >> text=/^@/"),
        identity_opener=("#avatar-btn", "role=button[name=/account menu/i]"),
        identity_pattern=r"@([\w.\-]+)",
    )
    composer = Composer(
        path="/upload",
        file_input=("input[name=Filedata]", "[role=dialog] input[type=file]"),
        media_ready=("#title-textarea #textbox", "role=textbox[name=/title/i]"),
        media_failed=("ytcp-uploads-dialog .error-short", "[role=dialog] [role=alert]"),
        editors=(
            ("#title-textarea #textbox", "role=textbox[name=/title/i]"),
            ("#description-textarea #textbox", "role=textbox[name=/description|tell viewers/i]"),
        ),
        suggestions=("role=listbox",),
        before_publish=(
            ("[name=VIDEO_MADE_FOR_KIDS_NOT_MFK]", "role=radio[name=/not made for kids/i]"),
            _NEXT,
            _NEXT,
            _NEXT,
            ("[role=radio][name=PUBLIC]", "role=radio[name=/^public/i]"),
        ),
        publish=("#done-button", "role=button[name=/^publish$/i]"),
    )
    timeline = Timeline(
        path="/@{handle}/videos",
        post="ytd-rich-item-renderer, main [role=listitem]",
        link="a[href*='/watch?v=']",
        body="#video-title, h3",
        time="#metadata-line span:last-of-type, [aria-label*=' ago']",
        own_post="ytd-watch-metadata, main",
        own_body="h1",
        notice=("ytcp-video-share-dialog h1", "role=dialog[name=/published|processing/i]", "body > [role=alert]"),
        sent_link=(
            "ytcp-video-share-dialog a[href*='watch?v=']",
            "role=dialog[name=/published/i] >> a[href*='watch?v=']",
        ),
        pending_words=r"\bsaving\b|\buploading\b",
        sent_words=r"\bpublished\b|\bprocessing\b",
    )

    def texts(self, post: Post) -> tuple[str, ...]:
        """The title and the description."""
        title, _, description = post.text.partition("\n")
        return title.strip(), description.strip("\n")

    def text_shown(self, post: Post) -> str:
        """The title."""
        return self.texts(post)[0]

    def check(self, post: Post) -> Check:
        """A title of at most 100 characters, a description of at most 5,000 bytes, no angle brackets; one MP4 video."""
        title, description = self.texts(post)
        problem = length_problem(self.title, title, TITLE_LIMIT, utf16_units, "The title (the text's first line)")
        size_bytes = len(description.encode())
        if not problem and size_bytes > DESCRIPTION_LIMIT_BYTES:
            problem = f"The description has {size_bytes:,} bytes; YouTube takes at most {DESCRIPTION_LIMIT_BYTES:,}."
        if not problem and set("<>") & set(post.text):
            problem = "YouTube takes no < and > in titles and descriptions."
        note = "of the title; the video becomes public, not made for kids"
        return Check(utf16_units(title), TITLE_LIMIT, problem, _MEDIA.problem(post.media), note)
