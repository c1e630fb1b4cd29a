"""What ``herald top`` shows, read from the inference process over HTTP. Knows nothing of the terminal."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from app.client import ApiError

TIMEOUT_S = 5.0
WINDOW_S = 60.0
NOW_S = 2.5
PREFIX = "herald_inference_"
_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*(?:\{\w+="[^"]*"\})?) (\S+)')
Call = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the process. ``values`` are the samples of ``/metrics`` by their whole name."""

    at_s: float
    status: dict[str, Any]
    values: dict[str, float]
    calls: list[Call]

    def value(self, name: str) -> float | None:
        """A gauge or counter of inference, or None where this engine has none."""
        return self.values.get(PREFIX + name)

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's cumulated counts by their upper bounds; infinity is the last."""
        head = f'{PREFIX}{name}_bucket{{le="'
        return {float(key[len(head) : -2]): count for key, count in self.values.items() if key.startswith(head)}


class InferenceProbe:
    """One connection to the inference process."""

    def __init__(self, origin: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        self._origin = origin
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(
            base_url=origin, headers=headers, timeout=TIMEOUT_S, trust_env=False, transport=transport
        )

    def read(self, calls: int) -> Reading:
        """A reading with at most so many calls. Raises: ApiError."""
        try:
            status = self._http.get("/readyz")
            metrics, found = self._checked("/metrics"), self._checked(f"/v1/calls?limit={calls}")
            return Reading(time.monotonic(), status.json(), read_samples(metrics.text), found.json()["data"])
        except httpx.HTTPError as error:
            message = f"The model server is not running at {self._origin} ({error or type(error).__name__})."
            raise ApiError("unreachable", message, "Start Herald with ./scripts/up") from error
        except (ValueError, KeyError, TypeError) as error:
            message = f"What answers at {self._origin} is no model server of Herald's."
            raise ApiError("bad_response", message, "Is HERALD_INFERENCE_URL right?") from error

    def _checked(self, path: str) -> httpx.Response:
        response = self._http.get(path)
        if response.status_code == 401:
            message = f"The model server at {self._origin} does not take this key."
            hint = "It is HERALD_INFERENCE_KEY, or the content of keys/inference.key in the data folder."
            raise ApiError("invalid_api_key", message, hint, status=401)
        if response.is_error:
            raise ApiError("bad_response", f"The model server answered {response.status_code} at {path}.")
        return response

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def read_samples(text: str) -> dict[str, float]:
    """The samples of a metrics page. Raises: ValueError for a line that is neither sample nor comment."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = _SAMPLE.fullmatch(line)
            if found is None:
                raise ValueError(f"not a metric: {line[:80]}")
            values[found.group(1)] = float(found.group(2))
    return values


@dataclass(slots=True)
class History:
    """The readings of the last minute, the newest last."""

    readings: deque[Reading] = field(default_factory=deque)

    def add(self, reading: Reading) -> None:
        """Take a reading in and forget what is too old. A process that was started again begins a new history."""
        started = "process_start_time_seconds"
        if self.readings and self.readings[-1].values.get(started) != reading.values.get(started):
            self.readings.clear()
        self.readings.append(reading)
        while reading.at_s - self.readings[0].at_s > WINDOW_S:
            self.readings.popleft()

    @property
    def newest(self) -> Reading:
        """The last reading."""
        return self.readings[-1]

    def rate(self, name: str, window_s: float = WINDOW_S) -> float | None:
        """A counter's growth in a second, over the readings that are at most so old; None with fewer than two."""
        return self._rate(PREFIX + name, window_s)

    def cpu(self) -> float | None:
        """Cores that the process uses now."""
        return self._rate("process_cpu_seconds_total", NOW_S)

    def _rate(self, sample: str, window_s: float) -> float | None:
        first, last = self._first(window_s), self.newest
        if sample not in last.values or sample not in first.values or last.at_s <= first.at_s:
            return None
        return max(0.0, last.values[sample] - first.values[sample]) / (last.at_s - first.at_s)

    def _first(self, window_s: float) -> Reading:
        oldest_s = self.newest.at_s - window_s
        recent = [reading for reading in self.readings if reading.at_s >= oldest_s]
        return recent[0] if len(recent) > 1 or len(self.readings) == 1 else self.readings[-2]

    def quantiles(self, name: str, *shares: float) -> tuple[list[float | None], bool]:
        """A histogram's quantiles in its unit over the last minute, or since the start (False) when nothing came."""
        last, first = self.newest.buckets(name), self.readings[0].buckets(name)
        recent = {bound: count - first.get(bound, 0.0) for bound, count in last.items()}
        is_recent = bool(recent) and max(recent.values()) > 0
        return [quantile(recent if is_recent else last, share) for share in shares], is_recent

    def hit_rate(self) -> float | None:
        """The share of prompt tokens that were cached, over the last minute, or since the start when none came."""
        last, first = self.newest, self.readings[0]
        for since in (first, None):
            prompt, cached = (
                (last.value(name) or 0.0) - ((since.value(name) or 0.0) if since is not None else 0.0)
                for name in ("prompt_tokens_total", "cached_tokens_total")
            )
            if prompt > 0:
                return cached / prompt
        return None


def quantile(buckets: dict[float, float], share: float) -> float | None:
    """The value below which ``share`` of the observations lie, evenly spread within a bucket; None without any.

    Source: Prometheus' ``histogram_quantile``.
    """
    ordered = sorted(buckets.items())
    if not ordered or ordered[-1][1] <= 0:
        return None
    rank = share * ordered[-1][1]
    for (lower, below), (upper, up_to) in pairwise([(0.0, 0.0), *ordered]):
        if up_to >= rank and up_to > below:
            if upper == float("inf"):
                return lower
            return lower + (upper - lower) * (rank - below) / (up_to - below)
    return ordered[-2][0] if len(ordered) > 1 else None
