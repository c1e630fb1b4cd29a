"""Which GPU is meant, and what is known of it that RunPod's catalogue does not say."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput

GIB = 1 << 30
# The driver keeps a little of what the catalogue says: an H100 with 80 GB reports 79.6 GiB.
USABLE_SHARE = 0.98
# CUDA's compute capability and the memory's GB/s, as in NVIDIA's data sheets; the first pattern that is found counts.
_KNOWN: tuple[tuple[str, tuple[int, int], int], ...] = (
    (r"B300", (10, 3), 8000),
    (r"B200", (10, 0), 8000),
    (r"H200 NVL|H200", (9, 0), 4800),
    (r"H100 NVL", (9, 0), 3900),
    (r"H100 PCIe", (9, 0), 2000),
    (r"H100", (9, 0), 3350),
    (r"RTX PRO 6000", (12, 0), 1597),
    (r"RTX PRO 4500", (12, 0), 896),
    (r"RTX 5090", (12, 0), 1792),
    (r"RTX 5080", (12, 0), 960),
    (r"L40S|L40", (8, 9), 864),
    (r"RTX 6000 Ada", (8, 9), 960),
    (r"RTX 5000 Ada", (8, 9), 576),
    (r"RTX 4000 .*Ada|RTX 4000 Ada", (8, 9), 360),
    (r"RTX 2000 Ada", (8, 9), 224),
    (r"RTX 4090", (8, 9), 1008),
    (r"RTX 4080 SUPER", (8, 9), 736),
    (r"RTX 4080", (8, 9), 717),
    (r"\bL4\b", (8, 9), 300),
    (r"A100.*SXM", (8, 0), 2039),
    (r"A100", (8, 0), 1935),
    (r"\bA30\b", (8, 0), 933),
    (r"RTX A6000", (8, 6), 768),
    (r"\bA40\b", (8, 6), 696),
    (r"RTX A5000", (8, 6), 768),
    (r"RTX A4500", (8, 6), 640),
    (r"RTX A4000", (8, 6), 448),
    (r"RTX 3090 Ti", (8, 6), 1008),
    (r"RTX 3090", (8, 6), 936),
    (r"RTX 3080", (8, 6), 760),
    (r"V100", (7, 0), 900),
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU type of RunPod's catalogue. ``price`` in USD an hour for one; ``bandwidth`` in bytes/s, 0 if unknown."""

    id: str
    name: str
    memory_bytes: int
    price: float
    most_in_a_pod: int
    availability: str
    data_centers: dict[str, str]
    capability: tuple[int, int]
    bandwidth: int

    @property
    def is_known(self) -> bool:
        """Whether speed and capability are known rather than assumed."""
        return self.bandwidth > 0


def read_gpu(entry: dict[str, Any], cloud: str) -> Gpu:
    """An entry of the catalogue."""
    side = cloud.lower()
    capability, bandwidth = _facts(f"{entry['id']} {entry['name']}")
    return Gpu(
        id=entry["id"],
        name=entry["name"],
        memory_bytes=int(int(entry["memory"]) * GIB * USABLE_SHARE),
        price=float(entry["price"][side]),
        most_in_a_pod=int(entry["maxCount"][side]),
        availability=str(entry.get("availability", "NONE")),
        data_centers={place["id"]: place["availability"] for place in entry.get("dataCenters") or ()},
        capability=capability,
        bandwidth=bandwidth,
    )


def _facts(name: str) -> tuple[tuple[int, int], int]:
    for pattern, capability, gb_a_second in _KNOWN:
        if re.search(pattern, name, re.IGNORECASE):
            return capability, gb_a_second * 10**9
    return (8, 0), 0  # at least Ampere: what vLLM does without 8-bit arithmetic


def find_gpu(wanted: str, entries: list[dict[str, Any]], cloud: str) -> Gpu:
    """The type that ``wanted`` names by its id, its name or a part of either that is in no other.

    Raises: InvalidInput with the nearest names.
    """
    side = cloud.lower()
    offered = [entry for entry in entries if entry.get(side) and entry.get("manufacturer") == "NVIDIA"]
    exact = [entry for entry in offered if _plain(wanted) in (_plain(entry["id"]), _plain(entry["name"]))]
    parts = [
        entry for entry in offered if _plain(wanted) and _plain(wanted) in _plain(f"{entry['id']} {entry['name']}")
    ]
    found = exact or parts
    if len(found) == 1:
        return read_gpu(found[0], cloud)
    names = {_plain(entry["name"]): entry["name"] for entry in offered}
    if found:
        listed, what = [entry["name"] for entry in found], f"{wanted!r} is several GPUs of RunPod's {side} cloud"
    else:
        near = difflib.get_close_matches(_plain(wanted), names, n=5, cutoff=0.3)
        listed = [names[name] for name in near] or sorted(names.values())
        what = f"RunPod's {side} cloud has no NVIDIA GPU called {wanted!r}"
    raise InvalidInput(f"{what}: {', '.join(listed)}.", hint="Name one of them with --gpu.", code="unknown_gpu")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower().replace("nvidia", "").replace("geforce", ""))
