"""The dashboard asks for metrics that inference really has, with labels that they really carry.

What it asks of the app is looked at in ``tests/app/test_metrics.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.backends.fake import FakeBackend
from inference.upstream.engine import UpstreamEngine
from inference.upstream.openai import OpenAIDialect
from inference.upstream.servers import HostedServer, Server
from tests.inference.exposition import parse

_DASHBOARD = Path(__file__).resolve().parents[2] / "scripts" / "observe" / "grafana" / "herald.json"
_OF_PROMETHEUS = {"up"}  # Prometheus itself makes it
_BODY = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


def expressions(*, of_app: bool) -> list[str]:
    """What the dashboard's panels ask, of the app or of inference."""
    panels = json.loads(_DASHBOARD.read_text("utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    return [expression for expression in asked if ("herald_app" in expression) is of_app]


def metrics_of(expression: str) -> set[str]:
    """The names before a selector or a range, or alone; functions are followed by a bracket, labels stand in braces."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    bare = re.sub(r"\b(by|without) \([^)]*\)", "", bare)
    return set(re.findall(r"\b([a-z_]{2,}[a-z0-9_]*)\b(?!\s*\()", re.sub(r"\$__rate_interval", "5m", bare)))


def test_a_metric_that_nobody_has_would_be_seen() -> None:
    """The reader of expressions finds names where they stand."""
    found = metrics_of('sum by (le) (rate(a_bucket{x="y"}[$__rate_interval])) / b_total')
    assert found == {"a_bucket", "b_total"}


def test_every_metric_of_the_dashboard_is_exported(make_server: Callable[..., Any]) -> None:
    """By the local engine, or by the one that passes requests on to vLLM."""
    server = make_server(FakeBackend(context_tokens=256))
    with server.client() as client:
        assert client.post("/v1/chat/completions", json=_BODY).status_code == 200
        assert client.post("/v1/chat/completions", json={**_BODY, "max_tokens": 5000}).status_code == 400
        families = parse(client.get("/metrics").text)
    upstream = UpstreamEngine(
        "m", OpenAIDialect(), HostedServer(Server("http://x")), most_in_flight=1, silence_s=1, is_local=True
    )
    families |= parse(upstream.metrics())
    exported = {name for family in families.values() for name, _ in family.samples} | _OF_PROMETHEUS
    asked = {name for expression in expressions(of_app=False) for name in metrics_of(expression)}
    assert len(asked) > 12
    assert asked <= exported


def test_labels_are_those_of_themetrics_of(make_server: Callable[..., Any]) -> None:
    """Sums are by ``le``, ``outcome`` or ``code``, each of which its metric carries."""
    server = make_server(FakeBackend(context_tokens=256))
    with server.client() as client:
        assert client.post("/v1/chat/completions", json={**_BODY, "max_tokens": 5000}).status_code == 400
        page = client.get("/metrics").text
    for expression in expressions(of_app=False):
        for label in re.findall(r"by \((\w+)\)", expression):
            (metric,) = metrics_of(expression)
            assert f"{metric}{{{label}=" in page
