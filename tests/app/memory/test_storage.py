"""The folder of originals: what it says when it cannot store, and what it gives out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.db.engine import StorageFull
from app.memory.storage import OriginalMissing, Originals

CONTENT = b"The shop opens at nine."
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """With the system's reason, and not with what the clean-up met."""
    (tmp_path / "documents").write_text("a file stands in the way")
    with pytest.raises(StorageFull, match="could not be saved"):
        Originals(tmp_path / "documents").put(CONTENT, SHA256)


def test_changed_or_missing_content_is_not_given_out(tmp_path: Path) -> None:
    """Its hash is compared with its name."""
    originals = Originals(tmp_path / "documents")
    with pytest.raises(OriginalMissing, match=r"menu\.pdf"):
        originals.get(SHA256, "menu.pdf")
    originals.put(CONTENT, SHA256)
    assert originals.get(SHA256, "menu.pdf") == CONTENT
    originals.path_of(SHA256).write_bytes(b"The shop opens at ten.")
    with pytest.raises(OriginalMissing, match="not what was uploaded"):
        originals.get(SHA256, "menu.pdf")
