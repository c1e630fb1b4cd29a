"""The metrics page is what Prometheus reads, and says what really happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inference.backends.fake import FakeBackend
from inference.metrics import CallMetrics, Histogram, engine_page
from tests.inference.exposition import parse

BODY = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20, "temperature": 0}


@pytest.mark.parametrize(
    "text",
    [
        "a_total 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
        '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na NaNs\n",
    ],
)
def test_the_reader_refuses_what_the_format_forbids(text: str) -> None:
    """A check that lets everything pass proves nothing."""
    with pytest.raises((AssertionError, KeyError)):
        parse(text)


def test_a_page_before_the_model_is_loaded_is_whole() -> None:
    """Nothing has happened yet, and the page parses."""
    families = parse(engine_page(None) + CallMetrics().page())
    assert families["herald_inference_ttft_seconds"].samples["herald_inference_ttft_seconds_count", ""] == 0
    assert families["process_resident_memory_bytes"].value > 10_000_000
    assert families["process_start_time_seconds"].value > 1_700_000_000


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    """``le`` means less or equal; what is over the last bound is counted too."""
    histogram = Histogram((1, 2.5))
    for value in (1, 2.5, 2.6):
        histogram.observe(value)
    assert histogram.lines("x") == [
        'x_bucket{le="1"} 1',
        'x_bucket{le="2.5"} 2',
        'x_bucket{le="+Inf"} 3',
        "x_sum 6.100000",
        "x_count 3",
    ]


def test_large_counters_keep_their_digits() -> None:
    """A counter of seven digits that is rounded to six moves in jumps."""
    metrics = CallMetrics()
    metrics.outcomes["finished"] = 12_345_678
    assert 'requests_total{outcome="finished"} 12345678\n' in metrics.page()


def test_every_promised_figure_is_there_and_counts(make_server: Callable[..., Any]) -> None:
    """One good, one refused request: time to first token, gaps, queue, batch, cache, outcomes and errors."""
    server = make_server(FakeBackend(context_tokens=256, end_bias=-20.0))
    with server.client() as client:
        assert client.post("/v1/chat/completions", json=BODY).status_code == 200
        assert client.post("/v1/chat/completions", json={**BODY, "max_tokens": 5000}).status_code == 400
        families = parse(client.get("/metrics").text)

    def value(name: str, sample: str = "", label: str = "") -> float:
        family = families[f"herald_inference_{name}"]
        return family.samples[f"herald_inference_{name}{sample}", label]

    assert value("requests_total", label="finished") == 1
    assert value("requests_total", label="failed") == 1
    assert value("request_errors_total", label="context_length_exceeded") == 1
    assert value("ttft_seconds", "_count") == 1
    assert value("inter_token_seconds", "_count") == 19
    assert value("queue_seconds", "_count") == 1
    assert value("request_seconds", "_count") == 2
    assert value("batch_size", "_count") == value("steps_total") > 1
    assert value("generated_tokens_total") == 20
    assert 0 < value("cache_cells_used") <= value("cache_cells")
    assert value("running") == value("waiting") == 0
    assert value("queue_limit") == 64
