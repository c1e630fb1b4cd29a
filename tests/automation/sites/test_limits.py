"""What each network takes: texts and files at their limits and one beyond."""

from __future__ import annotations

import pytest

from automation.actions.base import Account, MediaRef
from automation.actions.post_social import PostSocial, PostSocialParams
from automation.sites.base import Post
from automation.sites.registry import SITES


def _media(*kinds: str, size_bytes: int = 1_000, alt: str = "") -> tuple[MediaRef, ...]:
    return tuple(
        MediaRef(sha256="0" * 64, filename=f"file.{k.partition('/')[2]}", media_type=k, size_bytes=size_bytes, alt=alt)
        for k in kinds
    )


PNG, JPEG, GIF, WEBP, MP4 = "image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4"


@pytest.mark.parametrize(
    ("platform", "text", "problem"),
    [
        ("linkedin", "a" * 3_001, "counts 3,001, at most 3,000"),
        ("linkedin", "👍" * 1_501, "counts 3,002"),
        ("facebook", " \n", "empty"),
        ("instagram", "a" * 2_201, "The caption is 1 over"),
        ("instagram", "#a " * 31, "31 hashtags; Instagram takes at most 30"),
        ("instagram", "@a " * 21, "21 mentions; Instagram takes at most 20"),
        ("tiktok", "a" * 4_001, "at most 4,000"),
        ("youtube", "a" * 101, "title (the text's first line) is 1 over"),
        ("youtube", "\nNo title", "title (the text's first line) is empty"),
        ("youtube", "Title\n" + "ü" * 2_501, "5,002 bytes; YouTube takes at most 5,000"),
        ("youtube", "a <b>", "no < and >"),
    ],
)
def test_a_text_that_the_network_refuses_is_a_problem(platform: str, text: str, problem: str) -> None:
    """The sentence names what is measured, the actual and the allowed."""
    assert problem in SITES[platform].check(Post(text, _media(MP4))).text_problem


@pytest.mark.parametrize(
    ("platform", "media", "problem"),
    [
        ("x", _media(*[PNG] * 5), "5 pictures; X takes at most 4 pictures"),
        ("x", _media(PNG, size_bytes=5_100_000), "5.1 MB; X takes at most 5 MB"),
        ("x", _media(PNG, alt="A dog"), "description"),
        ("linkedin", _media(WEBP), "does not take file.webp (image/webp); it takes JPEG, PNG, GIF, MP4"),
        ("linkedin", _media(PNG, MP4), "pictures or a video"),
        ("linkedin", _media(GIF, PNG), "only alone"),
        ("instagram", (), "no text alone"),
        ("instagram", _media(GIF), "does not take"),
        ("tiktok", _media(PNG), "videos only"),
        ("tiktok", _media(MP4, MP4), "2 videos; TikTok takes at most 1 video"),
        ("youtube", (), "videos only"),
        ("bluesky", _media(MP4), "takes no videos"),
    ],
)
def test_files_that_the_network_refuses_are_a_problem(platform: str, media: tuple[MediaRef, ...], problem: str) -> None:
    """Number, kind, size and description are checked before anybody can approve."""
    assert problem in SITES[platform].check(Post("Title", media)).media_problem


@pytest.mark.parametrize(
    ("platform", "text", "media"),
    [
        ("x", "hi", _media(PNG, JPEG, GIF, WEBP, MP4)),
        ("linkedin", "a" * 3_000, _media(*[PNG] * 20)),
        ("facebook", "hi", _media(PNG, MP4, size_bytes=30_000_000)),
        ("instagram", "#a " * 30, _media(*[JPEG] * 10)),
        ("tiktok", "a" * 4_000, _media(MP4)),
        ("youtube", "a" * 100 + "\n" + "b" * 5_000, _media(MP4)),
        ("bluesky", "a" * 300, _media(*[PNG] * 4, alt="A dog")),
    ],
)
def test_what_is_just_allowed_is_taken(platform: str, text: str, media: tuple[MediaRef, ...]) -> None:
    """No problem at the limit itself."""
    assert SITES[platform].check(Post(text, media)).problem == ""


def test_the_card_shows_every_file_and_what_becomes_of_the_post() -> None:
    """Names, kinds, sizes and descriptions, hidden characters, and that a video becomes public."""
    action = PostSocial()
    params = PostSocialParams(platform="youtube", text="Our film\nMore", media=_media(MP4, size_bytes=2_500_000))
    lines = action.preview(params, (Account("youtube", "acme", "https://www.youtube.com"),))
    assert [(line.label, line.value, line.problem) for line in lines] == [
        ("Platform", "YouTube", ""),
        ("Account", "@acme", ""),
        ("Text", "Our film\nMore", ""),
        ("Video 1", "file.mp4", ""),
    ]
    assert "public, not made for kids" in lines[2].note
    assert lines[3].note == "video/mp4, 2.50 MB"
    hidden = MediaRef(sha256="0" * 64, filename="a\u202egnp.exe", media_type=PNG, alt="A dog")
    lines = action.preview(PostSocialParams(platform="bluesky", text="hi", media=(hidden,)), ())
    assert "U+202E" in lines[3].note
    assert (lines[4].label, lines[4].value) == ("Description of picture 1", "A dog")
    nothing = action.preview(PostSocialParams(platform="instagram", text="hi"), ())
    assert (nothing[-1].label, nothing[-1].value, bool(nothing[-1].problem)) == ("Media", "none", True)


def test_every_platform_of_the_params_has_its_site() -> None:
    """The choices of the params and the list of sites are the same."""
    assert list(PostSocialParams.model_json_schema()["properties"]["platform"]["enum"]) == list(SITES)
    for site in SITES.values():
        assert site.default_base_url.startswith("https://")
