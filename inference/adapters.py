"""LoRA adapters: small changes of the model's weights, one GGUF file each, chosen per request by the file's name."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def find_adapters(folder: Path, taken: Collection[str] = ()) -> dict[str, Path]:
    """The adapters of a folder by name: ``brand-voice.gguf`` is ``brand-voice``. An absent folder has none.

    Files whose names cannot be served (odd characters, or ``taken`` by a model) are left out and logged.
    """
    found = {}
    for path in sorted(folder.glob("*.gguf")):
        if not _NAME.fullmatch(path.stem):
            log.error("%s is not served: name it with letters, digits, '.', '_' and '-', at most 64", path)
        elif path.stem in taken:
            log.error("%s is not served: a model has this name; rename the file", path)
        else:
            found[path.stem] = path
    return found
