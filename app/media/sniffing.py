"""What an uploaded picture or film really is, by its first bytes; its name decides nothing."""

from __future__ import annotations

from app.errors import UnsupportedType

HEAD_BYTES = 16
SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
}
# ISO base media brands of MP4; HEIC, AVIF and QuickTime share the container and are something else.
_MP4_BRANDS = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash"})


def media_type_of(head: bytes, filename: str) -> str:
    """The media type of a file that begins with ``head`` (at least HEAD_BYTES, or the whole of a shorter file).

    Raises: UnsupportedType.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return "video/mp4"
    raise UnsupportedType(
        f"{filename} is none of the kinds that can be published: PNG, JPEG, GIF, WebP or MP4.",
        hint="Convert it and upload it again.",
    )
