"""A strict reader of Prometheus' text format, for pages that a lenient one would let pass."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\\n]*)"\})? (\S+)')
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")


@dataclass
class Family:
    """One metric: its kind and its samples as (name, label value or "") → value."""

    kind: str
    samples: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        (only,) = self.samples.values()
        return only


def parse(text: str) -> dict[str, Family]:
    """Every family of the page. Raises: AssertionError for whatever the format or the naming rules do not permit."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    lines = text.removesuffix("\n").split("\n")
    name = ""
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in families, f"{name} comes twice"
            assert len(line.split()) > 3, f"{name} has no help"
            assert lines[number + 1].startswith(f"# TYPE {name} ")
            continue
        if line.startswith("# TYPE "):
            kind = line.split()[3]
            assert kind in ("counter", "gauge", "histogram")
            assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
            families[name] = Family(kind)
            continue
        found = _SAMPLE.fullmatch(line)
        assert found is not None, line
        sample, label, label_value, value = found.groups()
        family = families[name]
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        assert sample in {name + suffix for suffix in suffixes}, f"{sample} below {name}"
        assert (label == "le") == sample.endswith("_bucket")
        assert _NUMBER.fullmatch(value), line
        key = (sample, label_value or "")
        assert key not in family.samples, f"{key} comes twice"
        family.samples[key] = float(value)
    for name, family in families.items():
        if family.kind == "histogram":
            _check_histogram(name, family)
    return families


def _check_histogram(name: str, family: Family) -> None:
    buckets = [(bound, value) for (sample, bound), value in family.samples.items() if sample == f"{name}_bucket"]
    assert buckets[-1][0] == "+Inf"
    bounds = [float(bound) for bound, _ in buckets]
    counts = [count for _, count in buckets]
    assert bounds == sorted(set(bounds))
    assert counts == sorted(counts), "buckets are cumulative"
    assert counts[-1] == family.samples[f"{name}_count", ""]
    assert f"{name}_sum" in {sample for sample, _ in family.samples}
