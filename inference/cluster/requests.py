"""What can be checked before Ray is loaded, which takes seconds: the file, and whether anybody is at the address."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from inference.batch.lines import BatchLimits, check_input
from inference.errors import InvalidRequest, StartupError
from inference.server.batch_lines import ENDPOINTS

LIMITS = BatchLimits(file_bytes=1 << 40, lines=10_000_000)
ANSWER_S = 10.0
HINT = (
    "Is it running (ray status on its head), and is the address right: ray://HOST:10001 from outside, HOST:6379 on "
    "one of its nodes, or local?"
)


@dataclass(frozen=True, slots=True)
class Requests:
    """A file that was checked: all lines are for one endpoint and one model."""

    path: Path
    endpoint: str
    model: str
    total: int


def check_requests(path: Path) -> Requests:
    """Read the whole file; its first line says the endpoint and the model. Raises: InvalidRequest, OSError."""
    with path.open("rb") as file:
        raw = next((line for line in file if line.strip()), b"{}")
    try:
        entry = json.loads(raw)
        endpoint, model = entry["url"], entry["body"]["model"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise InvalidRequest(
            "The first line holds no request. Each line is an object with custom_id, method, url and body, the body "
            "with a model."
        ) from None
    if endpoint not in ENDPOINTS or not isinstance(model, str):
        raise InvalidRequest(f"The first line's url is {endpoint!r}; it may be one of {', '.join(ENDPOINTS)}.")
    return Requests(path, endpoint, model, check_input(path, endpoint=endpoint, model=model, limits=LIMITS))


def require_answer(address: str) -> None:
    """Knock at the address: Ray itself waits for minutes where nobody is. Raises: StartupError."""
    if address == "local":
        return
    found = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})", address)
    if found is None or not 1 <= int(found[2]) <= 65_535:
        raise StartupError(f"{address!r} is no address of a cluster: ray://HOST:10001, HOST:6379 or local.")
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), ANSWER_S).close()
    except OSError as error:
        raise StartupError(
            f"There is no connection to the cluster at {address}: {error.strerror or error}. {HINT}"
        ) from error
