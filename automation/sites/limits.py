"""What platforms take: lengths of texts, numbers, kinds and sizes of files. Pure; nothing here opens anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import regex

from automation.actions.base import MediaRef

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
VIDEO = "video/mp4"


@dataclass(frozen=True, slots=True)
class Check:
    """A post against the platform's rules. Both problems are empty when the platform would take it.

    ``length`` and ``limit`` are in the platform's own unit (weighted characters, graphemes, UTF-16 units).
    """

    length: int
    limit: int
    text_problem: str = ""
    media_problem: str = ""
    note: str = ""
    """What the person who approves should know although the platform takes the post."""

    @property
    def problem(self) -> str:
        """The first thing that is wrong."""
        return self.text_problem or self.media_problem


@dataclass(frozen=True, slots=True)
class MediaRules:
    """Which files a post may, or must, carry.

    Attributes:
        platform: the platform's name, for the sentences.
        max_bytes: media type → largest file in bytes; a type that is not there is refused.
        max_images: most pictures in one post; 0 takes none.
        max_videos: most videos in one post; 0 takes none.
        needs: "" nothing, "any" at least one file, "video" exactly one video.
        may_mix: whether pictures and a video may stand in one post.
        max_alt: longest description of a picture in characters; 0: the platform's page takes none from here.
        max_gifs: most animated pictures in one post, which then carries nothing else; None: they count as pictures.
    """

    platform: str
    max_bytes: dict[str, int] = field(default_factory=dict)
    max_images: int = 0
    max_videos: int = 0
    needs: str = ""
    may_mix: bool = False
    max_alt: int = 0
    max_gifs: int | None = None

    def problem(self, media: Sequence[MediaRef]) -> str:
        """Why the platform would refuse these files, or an empty string."""
        return self._missing(media) or self._count(media) or next(filter(None, map(self._one, media)), "")

    def _missing(self, media: Sequence[MediaRef]) -> str:
        videos = sum(ref.media_type == VIDEO for ref in media)
        if self.needs == "video" and not videos:
            return f"{self.platform} publishes videos only: add one MP4 file."
        if self.needs and not media:
            return f"{self.platform} publishes no text alone: add at least one picture or video."
        return ""

    def _count(self, media: Sequence[MediaRef]) -> str:
        images = sum(ref.media_type in _IMAGES for ref in media)
        videos = sum(ref.media_type == VIDEO for ref in media)
        gifs = sum(ref.media_type == "image/gif" for ref in media)
        if images > self.max_images:
            taken = f"at most {self.max_images} pictures" if self.max_images else "no pictures"
            return f"The post carries {_counted(images, 'picture')}; {self.platform} takes {taken}."
        if videos > self.max_videos:
            taken = f"at most {_counted(self.max_videos, 'video')}" if self.max_videos else "no videos"
            return f"The post carries {_counted(videos, 'video')}; {self.platform} takes {taken}."
        if images and videos and not self.may_mix:
            return f"{self.platform} takes pictures or a video in one post, not both."
        if self.max_gifs is not None and gifs and (gifs > self.max_gifs or len(media) > gifs):
            return f"{self.platform} takes an animated picture (GIF) only alone."
        return ""

    def _one(self, ref: MediaRef) -> str:
        allowed = self.max_bytes.get(ref.media_type)
        if allowed is None:
            kinds = ", ".join(kind.partition("/")[2].upper() for kind in self.max_bytes)
            return f"{self.platform} does not take {ref.filename} ({ref.media_type}); it takes {kinds}."
        if ref.size_bytes > allowed:
            return (
                f"{ref.filename} has {ref.size_bytes / 1e6:.1f} MB; {self.platform} takes at most {allowed / 1e6:g} MB."
            )
        if ref.alt and not self.max_alt:
            return f"{ref.filename} has a description, which cannot be given to {self.platform} from here: remove it."
        if len(ref.alt) > self.max_alt:
            return (
                f"The description of {ref.filename} has {len(ref.alt)} characters; {self.platform} takes at most "
                f"{self.max_alt}."
            )
        return ""


def graphemes(text: str) -> int:
    """How many characters a reader sees (Unicode extended grapheme clusters, UAX #29)."""
    return len(regex.findall(r"\X", text))


def utf16_units(text: str) -> int:
    """The length as JavaScript counts it: characters beyond U+FFFF count two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def length_problem(platform: str, text: str, limit: int, count: Callable[[str], int], what: str = "The text") -> str:
    """Why the platform would refuse the text for its length, or an empty string."""
    if not text.strip():
        return f"{what} is empty."
    length = count(text)
    if length > limit:
        return (
            f"{what} is {length - limit} over {platform}'s limit: it counts {length:,}, at most {limit:,} are allowed."
        )
    return ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
