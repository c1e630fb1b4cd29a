"""Social networks as people call them, and the ones among them that this box can post to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from automation.sites.registry import SITES

DEFAULT_PLATFORM = "x"
"""Where a post goes when no network is named."""

# What people write, in any case. A name that is also a plain word is listed with the words that make it a network.
_NAMES: dict[str, str] = {
    "x": r"x\.com|x(?= *(?:[,.:;!?)\"'”]|$|please|now|and|that|page|account|for|we|our|what|with|post))|(?<=\bon )x"
    r"|(?<=\bto )x|(?<=\bvia )x|(?<=\bin )x|(?<=\bsu )x|(?<=\bsur )x|(?<=\ben )x|(?<=\bauf )x|(?<=\bop )x|(?<=\bno )x"
    r"|(?<=\btell )x|(?<=\bfor )x|(?<=\bna )x|(?<=\bour )x|twit+er|twiter|twitt?rr?|tw+e+t(?:s|ed|ing|e|ed)?|twet"
    r"|twittere?n?|tweete[rsz]?|tuite(?:a|ar|e|o)?|tuits?|twitta(?:re)?|tuíte",
    "linkedin": r"linked ?in|linkdin|linkedn|linkd ?in|lnkdin",
    "facebook": r"face ?book(?:u|em)?|facebok|facbook|facebbok|fb",
    "instagram": r"insta(?:gram)?|instagrm|instgram|instagramm|the gram|ig",
    "tiktok": r"tik ?tok|tictoc|tiktoc",
    "youtube": r"you ?tube|youtub|yt",
    "bluesky": r"blue ?sky|bsky|skeet",
}
_OTHERS = (
    r"threads|mastodon|pinterest|reddit|snapchat|tumblr|discord|telegram|whats ?app|xing|twitch|vk|wechat"
    r"|nextdoor"
)
_SITES_OF_NETWORKS = ("x", "twitter", "linkedin", "facebook", "instagram", "tiktok", "youtube")
HOSTS = frozenset(f"{www}{name}.com" for name in _SITES_OF_NETWORKS for www in ("", "www.")) | {"bsky.app"}
"""Bare hosts that name a network rather than a page to read."""
_NOT_THIS = re.compile(
    r"(?:\bnot(?: on| to)?|\binstead of|\brather than|\bstatt(?: auf)?|\bnicht(?: auf)?|\bpas sur|\bno en|\bnon su) *$",
    re.IGNORECASE,
)
_PATTERNS = {
    # "X-ray" is no network, "LinkedIn-Beitrag" and "Facebook-Seite" name one.
    name: re.compile(rf"(?<![\w@/.-])(?:{pattern})(?![\w/@{'-' if name == 'x' else ''}])", re.IGNORECASE)
    for name, pattern in _NAMES.items()
}
_OTHER = re.compile(rf"(?<![\w@/.-])(?:{_OTHERS})(?![\w/@-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mention:
    """A network named in a message, and where."""

    platform: str
    start: int
    end: int


def mentions(text: str) -> list[Mention]:
    """The networks of ``post_social`` that ``text`` names, in order."""
    found = [Mention(name, m.start(), m.end()) for name, pattern in _PATTERNS.items() for m in pattern.finditer(text)]
    return sorted(found, key=lambda mention: mention.start)


def named_for_posting(text: str) -> str:
    """The first network that ``text`` names without ruling it out ("not on X"), "" for none."""
    return next((m.platform for m in mentions(text) if not _NOT_THIS.search(text[: m.start])), "")


def other_networks(text: str) -> list[str]:
    """Networks that Herald has no way to post to, as written."""
    return [m.group() for m in _OTHER.finditer(text)]


def mask(text: str, word: str, other_word: str) -> str:
    """``text`` with ``word`` in place of each network's name, and ``other_word`` for those that cannot be posted to."""
    for pattern in _PATTERNS.values():
        text = pattern.sub(word, text)
    return _OTHER.sub(other_word, text)


def can_post_to(platform: str) -> bool:
    """Whether this box has the site's steps."""
    return platform in SITES
