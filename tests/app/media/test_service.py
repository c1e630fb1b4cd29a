"""Media: what is refused, that bytes are kept once by their hash, and that changed bytes are never handed out."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from app.errors import AppError, InvalidInput, NotFound, TooLarge, UnsupportedType
from app.media.sniffing import media_type_of
from app.services import Services
from automation.actions.base import ActionError, MediaRef

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 10


def stored(services: Services, content: bytes = PNG, filename: str = "logo.png") -> MediaRef:
    media, _ = services.media.store(io.BytesIO(content), filename, actor="test")
    return MediaRef(
        sha256=media.sha256, filename=media.filename, media_type=media.media_type, size_bytes=media.size_bytes
    )


@pytest.mark.parametrize(
    ("content", "filename", "refusal"),
    [
        (b"", "a.png", InvalidInput),
        (b"<svg onload=alert(1)>", "a.png", UnsupportedType),
        (b"%PDF-1.7", "a.jpg", UnsupportedType),
        (b"\0\0\0\x18ftypheic0000", "a.mp4", UnsupportedType),
        (b"RIFF0000WAVEfmt ", "a.webp", UnsupportedType),
        (PNG, "a\x00.png", AppError),
    ],
)
def test_what_cannot_be_published_is_refused(
    services: Services, content: bytes, filename: str, refusal: type[AppError]
) -> None:
    """By its bytes, whatever it is called; nothing is kept."""
    with pytest.raises(refusal):
        services.media.store(io.BytesIO(content), filename, actor="test")
    assert list(services.settings.media_dir.glob("*")) == []


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(services: Services) -> None:
    """The message names the setting."""
    services.media._max_bytes = 40
    with pytest.raises(TooLarge, match="logo") as refusal:
        stored(services)
    assert "HERALD_MAX_MEDIA_MB" in refusal.value.hint
    assert list(services.settings.media_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"0" * 20, "image/jpeg"),
        (b"GIF89a" + b"0" * 20, "image/gif"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypisom0000", "video/mp4"),
    ],
)
def test_kinds_are_told_by_their_bytes(head: bytes, media_type: str) -> None:
    """The five kinds that platforms take."""
    assert media_type_of(head, "x") == media_type


def test_a_file_is_kept_once_under_its_hash(services: Services, tmp_path: Path) -> None:
    """Uploading it again, under another name, gives the same."""
    ref = stored(services)
    assert ref.sha256 == hashlib.sha256(PNG).hexdigest()
    assert stored(services, filename="again.png").filename == "logo.png"
    assert [p.name for p in services.settings.media_dir.iterdir()] == [ref.sha256]
    placed = services.media.place(ref, tmp_path)
    assert placed.read_bytes() == PNG
    assert placed.suffix == ".png"


def test_changed_or_missing_bytes_are_never_handed_out(services: Services, tmp_path: Path) -> None:
    """One flipped bit is enough; the copy is removed."""
    ref = stored(services)
    path = services.settings.media_dir / ref.sha256
    path.write_bytes(PNG[:-1] + b"!")
    with pytest.raises(ActionError) as refusal:
        services.media.place(ref, tmp_path)
    assert refusal.value.code == "media_changed"
    assert list(tmp_path.rglob("*.png")) == []
    path.unlink()
    with pytest.raises(ActionError) as refusal:
        services.media.place(ref, tmp_path)
    assert refusal.value.code == "media_missing"
    with pytest.raises(NotFound):
        services.media.get(ref.sha256)
