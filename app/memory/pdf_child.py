"""Reads one PDF in a process of its own, because PDFs can loop, explode in memory and crash their parser.

Run as a file (``python -I pdf_child.py PATH``), so it must import nothing of Herald. Writes one JSON object to stdout:
``{"pages": [text, …]}`` or ``{"problem": "encrypted" | "damaged" | "too_complex", "detail": …}``.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

MEMORY_BYTES = 1_500 * 1024 * 1024
CPU_S = 60
MAX_PAGES = 2_000
MAX_CHARS = 20_000_000


def _read(path: str) -> dict[str, Any]:
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError, PdfReadError

    with open(path, "rb") as file:  # noqa: PTH123 - this file must stay light
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4_096))
        if b"%%EOF" not in file.read():
            return {"problem": "damaged", "detail": "its end is missing, so it was probably cut off"}
    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "encrypted", "detail": "it opens only with a password"}
        if len(reader.pages) > MAX_PAGES:
            return {"problem": "too_complex", "detail": f"it has {len(reader.pages)} pages; at most {MAX_PAGES}"}
        pages: list[str] = []
        for page in reader.pages:
            pages.append(page.extract_text())
            if sum(map(len, pages)) > MAX_CHARS:
                return {"problem": "too_complex", "detail": f"it holds more than {MAX_CHARS} characters"}
    except (LimitReachedError, MemoryError, RecursionError) as error:
        return {"problem": "too_complex", "detail": f"reading it ended in {type(error).__name__}"}
    except PdfReadError as error:
        return {"problem": "damaged", "detail": str(error)[:300]}
    except Exception as error:  # pypdf raises nearly anything over broken files
        return {"problem": "damaged", "detail": f"{type(error).__name__}: {error}"[:300]}
    return {"pages": pages} if pages else {"problem": "damaged", "detail": "it has no pages"}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.stdout.buffer.write(json.dumps(_read(sys.argv[1])).encode())
