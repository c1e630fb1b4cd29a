"""What ``herald doctor`` says of the place where documents are kept."""

from __future__ import annotations

from app.memory.storage import try_out
from app.services import originals_of
from app.settings import Settings
from app.terminal.connection import err, out, plain


def show_storage(settings: Settings) -> None:
    """Try the bucket with one small object, or name the folder, which nothing is written to.

    Raises: StorageUnavailable, OriginalMissing.
    """
    out.print(plain("Documents"))
    if not settings.s3_url:
        out.print(plain(f"  {'originals':<26}{'folder':<14}{settings.documents_dir}"), soft_wrap=True)
        return
    where = f"{settings.s3_bucket}/{settings.s3_prefix} at {settings.s3_url}"
    with err.status(plain(f"Trying the bucket {where} …", "dim")):
        try_out(originals_of(settings))
    told = "one object was written, read, listed and deleted"
    out.print(plain(f"  {'originals':<26}{'bucket':<14}{where}: {told}"), soft_wrap=True)
