"""RunPod's REST API, version 2. Knows HTTP and the API's words, and nothing of Herald.

Source: https://api.runpod.io/v2/openapi.json and docs.runpod.io/api-reference-v2, read in November 2026. Version 1 was
retired on 15 November 2026.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from app.errors import AppError
from automation.redaction import KNOWN

ORIGIN = "https://api.runpod.io"
TIMEOUT_S = 60.0
ATTEMPTS = 5
LONGEST_PAUSE_S = 60.0
PAGE = 1000
KEY_FILE = Path("~/.config/herald/runpod.key")
Json = dict[str, Any]


class RunpodError(AppError):
    """RunPod refused or could not be reached. ``status`` is that of HTTP, 0 without an answer."""

    code = "runpod_failed"
    status = 0


class NoKey(RunpodError):
    """There is no API key, or one that cannot be used."""

    code = "runpod_no_key"


class NotPlaced(RunpodError):
    """The request is sound and RunPod has nothing to place it on, or a rule between fields forbids it (400)."""

    code = "runpod_not_placed"


class AnswerLost(RunpodError):
    """The request was sent and its answer never came: it may have been done."""

    code = "runpod_answer_lost"


def read_key(environment: dict[str, str] | None = None) -> str:
    """RUNPOD_API_KEY, else the file that RUNPOD_API_KEY_FILE names, else ~/.config/herald/runpod.key. Raises: NoKey."""
    variables = os.environ if environment is None else environment
    key, place = variables.get("RUNPOD_API_KEY", "").strip(), "RUNPOD_API_KEY"
    if not key:
        path = Path(variables.get("RUNPOD_API_KEY_FILE") or KEY_FILE).expanduser()
        place = str(path)
        try:
            mode = path.stat().st_mode & 0o777
            key = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoKey(
                f"There is no key for RunPod: RUNPOD_API_KEY is not set and {path} cannot be read ({error}).",
                hint="Make a key in RunPod's console, Settings, API Keys, and put it into that file with mode 600.",
            ) from None
        if mode & 0o077:
            raise NoKey(f"{path} can be read by others (mode {mode:o}, at most 600).", hint=f"Run: chmod 600 {path}")
    if not key.isascii() or not key.isprintable() or " " in key or len(key) < 8:
        raise NoKey(f"The key in {place} is empty, short or holds blanks.", hint="Copy it again from RunPod's console.")
    KNOWN.remember(key)
    return key


class RunpodApi:
    """One connection. Every method raises RunpodError; only what cannot be done twice is not tried again."""

    def __init__(self, key: str, origin: str = ORIGIN, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}", "User-Agent": "herald"}
        self._http = httpx.Client(base_url=f"{origin.rstrip('/')}/v2", headers=headers, timeout=TIMEOUT_S)

    def pods(self) -> list[Json]:
        """All pods of the account."""
        found: list[Json] = []
        cursor: dict[str, str] = {}
        while True:
            page = self._json("GET", "/pods", params={"limit": str(PAGE), **cursor})
            found += page["pods"]
            more = page.get("pagination") or {}
            if not more.get("hasNextPage") or not more.get("nextCursor"):
                return found
            cursor = {"cursor": str(more["nextCursor"])}

    def pod(self, pod_id: str) -> Json:
        """A pod as it stands."""
        return self._json("GET", f"/pods/{pod_id}")

    def create_pod(self, body: Json) -> Json:
        """Ask for a pod, once: whoever asks looks for it by name after AnswerLost. Raises: NotPlaced, AnswerLost."""
        return self._json("POST", "/pods", body=body, may_repeat=False)

    def act(self, pod_id: str, action: str) -> None:
        """``start``, ``stop``, ``restart``. Raises: NotPlaced when its machine has no GPU free."""
        self._request("POST", f"/pods/{pod_id}/action", body={"action": action})

    def delete_pod(self, pod_id: str) -> None:
        """End a pod for good; one that is gone already is no error. Its network volume stays."""
        try:
            self._request("DELETE", f"/pods/{pod_id}")
        except RunpodError as error:
            if error.status != 404:
                raise

    def gpus(self, cloud: str, count: int) -> list[Json]:
        """The GPU types with their prices and what is free for so many of them in one pod."""
        asked = {"include": "AVAILABILITY", "product": "POD", "cloud": cloud, "count": str(count)}
        return list(self._json("GET", "/catalog/gpus", params=asked)["gpus"])

    def data_centers(self) -> list[Json]:
        """The data centers with their kinds of volumes."""
        return list(self._json("GET", "/catalog/datacenters")["dataCenters"])

    def volumes(self) -> list[Json]:
        """The account's network volumes."""
        return list(self._json("GET", "/network-volumes")["networkVolumes"])

    def create_volume(self, name: str, size_gb: int, data_center: str) -> Json:
        """A network volume. Raises: AnswerLost, as ``create_pod``."""
        body = {"name": name, "size": size_gb, "dataCenter": data_center}
        return self._json("POST", "/network-volumes", body=body, may_repeat=False)

    def delete_volume(self, volume_id: str) -> None:
        """Destroy a volume with all that is on it."""
        self._request("DELETE", f"/network-volumes/{volume_id}")

    def logs(self, pod_id: str, tail: int, timeout_s: float) -> Iterator[Json]:
        """``{source, line, ts}`` of each line, the last ``tail`` first. The stream never ends by itself: it ends here
        when nothing came for ``timeout_s``. Source: server-sent events of GET /pods/{id}/logs.
        """
        try:
            with self._http.stream(
                "GET",
                f"/pods/{pod_id}/logs",
                params={"tail": str(tail)},
                timeout=httpx.Timeout(TIMEOUT_S, read=timeout_s),
            ) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                yield from _events(answer.iter_lines())
        except httpx.ReadTimeout:
            return
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    def pause(self, seconds: float) -> None:
        """Wait before looking again."""
        self._sleep(seconds)

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Json | None = None,
        may_repeat: bool = True,
    ) -> Json:
        answer = self._request(method, path, params=params, body=body, may_repeat=may_repeat)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RunpodError(f"RunPod answered {method} {path} with something that is no JSON object.")
        return found

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Json | None = None,
        may_repeat: bool = True,
    ) -> httpx.Response:
        """Send; wait and try again after 429 and, where nothing can be done twice, after 5xx and broken connections."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._http.request(method, path, params=params, json=body)
            except httpx.HTTPError as error:
                problem = _unreachable(error)
                was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if not answer.is_error:
                    return answer
                problem, was_sent = _refusal(answer), answer.status_code >= 500
                if answer.status_code != 429 and answer.status_code < 500:
                    raise problem
            if was_sent and not may_repeat:
                raise AnswerLost(problem.message, hint="Look at what there is by name before asking again.")
            if attempt < ATTEMPTS:
                self._sleep(_pause_s(answer if problem.status else None, attempt))
        raise problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._http.close()


def _pause_s(answer: httpx.Response | None, attempt: int) -> float:
    """RunPod's Retry-After is whole seconds; without one the pause doubles."""
    said = answer.headers.get("retry-after", "") if answer is not None else ""
    return min(LONGEST_PAUSE_S, float(said) if said.isdecimal() else 2.0 ** (attempt - 1))


def _refusal(answer: httpx.Response) -> RunpodError:
    """The error that an answer stands for. Source: RFC 9457 problems with title, status, detail and errors."""
    try:
        problem = answer.json()
        said = str(problem.get("detail") or problem.get("title") or "")
        said = "; ".join([said, *map(str, problem.get("errors") or ())])
    except (ValueError, AttributeError):
        said = f"an answer of {len(answer.content):,} bytes that is no problem report"
    kinds: dict[int, tuple[type[RunpodError], str, str]] = {
        400: (NotPlaced, "RunPod cannot place this", "Choose another GPU or data center, or try again later."),
        401: (NoKey, "RunPod does not accept the key", "Make a new one in its console under Settings, API Keys."),
        402: (RunpodError, "The balance of the RunPod account is too low", "Add credit in RunPod's console, Billing."),
        403: (RunpodError, "The key may not do this", "Give it write access to pods and storage, or make another key."),
        404: (RunpodError, "RunPod does not know this", "herald runpod status shows what there is."),
        409: (RunpodError, "RunPod does not permit this now", "Look at the pod in RunPod's console."),
        422: (RunpodError, "RunPod does not understand the request", "Its API has changed; update Herald."),
        429: (RunpodError, "RunPod takes no more requests from this key for now", "Wait a minute and try again."),
    }
    kind, what, todo = kinds.get(
        answer.status_code, (RunpodError, "RunPod has a fault", "Try again later; status.runpod.io says more.")
    )
    error = kind(f"{what} ({answer.status_code}): {said.rstrip('.; ')}.", hint=todo)
    error.status = answer.status_code
    return error


def _unreachable(error: httpx.HTTPError) -> RunpodError:
    return RunpodError(
        f"RunPod's API cannot be reached: {str(error) or type(error).__name__}.",
        hint="Check the network and try again.",
    )


def _events(lines: Iterator[str]) -> Iterator[Json]:
    """The data of server-sent events. Source: WHATWG HTML, 9.2.6."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            try:
                event = json.loads("\n".join(data))
            except ValueError:
                event = None
            data = []
            if isinstance(event, dict) and "line" in event:
                yield event
