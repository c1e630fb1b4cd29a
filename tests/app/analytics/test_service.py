"""Figures: what is counted, for whom, and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.analytics.records import Period
from app.analytics.service import CallRecorder
from app.llm import ModelCall, Purpose, Sampling
from app.services import Services

NOW = datetime(2026, 5, 20, 15, 0, tzinfo=UTC)


def call(purpose: Purpose, *, tokens: int = 10, seconds: float = 2.0, outcome: str = "finished") -> ModelCall:
    """A call as it ended."""
    return ModelCall(purpose, "m", seconds, tokens * 10, 0, tokens, outcome)


def test_an_unknown_period_and_an_absent_project_are_refused(client: TestClient) -> None:
    """With what is allowed."""
    assert client.get("/api/v1/projects/prj_default/metrics?period=forever").status_code == 422
    assert client.get("/api/v1/projects/prj_nope/metrics").status_code == 404


def test_an_empty_project_has_a_row_for_every_day(client: TestClient) -> None:
    """Nothing happened, and that is what it says."""
    found = client.get("/api/v1/projects/prj_default/metrics?period=7d").json()
    assert len(found["by_day"]) == 7
    assert found["totals"]["calls"] == 0
    assert found["top_prompts"] == found["content"] == []


def test_calls_are_added_up_by_day_and_kind(services: Services) -> None:
    """Several calls of one question are one use of its prompt; what was aborted did not fail; old ones are left out."""
    project = services.within("prj_default")
    record = CallRecorder(project.database)
    question = Purpose("assistant", "How much is\n a flat white?")
    with time_machine.travel(datetime(2026, 5, 1, 12, tzinfo=UTC), tick=False):
        record(call(Purpose("chat", "too old")))
    with time_machine.travel(datetime(2026, 5, 19, 23, 59, tzinfo=UTC), tick=False):
        record(call(question))
        record(call(question, outcome="inference_busy"))
        record(call(Purpose("assistant", question.prompt)))
    with time_machine.travel(NOW, tick=False):
        record(call(Purpose("chat", "Post it"), outcome="aborted", seconds=0.5))
        found = project.analytics.metrics(Period.WEEK)
    assert (found.totals.calls, found.totals.failed_calls, found.totals.completion_tokens) == (4, 1, 40)
    assert [d.calls for d in found.by_day] == [0, 0, 0, 0, 0, 3, 1]
    assert [(k.kind, k.calls, k.seconds) for k in found.by_kind] == [("assistant", 3, 6.0), ("chat", 1, 0.5)]
    assert [(p.prompt, p.times, p.tokens) for p in found.top_prompts] == [
        ("How much is a flat white?", 2, 330), ("Post it", 1, 110)
    ]  # fmt: skip


def test_decisions_count_on_the_day_on_which_they_were_made(services: Services) -> None:
    """Content is counted by platform and the day of its proposal."""
    project = services.within("prj_default")
    with time_machine.travel(datetime(2026, 5, 18, 9, tzinfo=UTC), tick=False):
        post = project.actions.propose("post_social", {"platform": "x", "text": "Hello"}, actor="t")
        project.actions.propose("scrape_url", {"url": "https://a.example"}, actor="t")
    with time_machine.travel(datetime(2026, 5, 19, 8, tzinfo=UTC), tick=False):
        project.actions.reject(post.id, actor="t")
        found = project.analytics.metrics(Period.WEEK)
    assert [(d.proposed, d.rejected) for d in found.by_day][-2:] == [(2, 0), (0, 1)]
    assert [(c.platform, c.proposed, c.rejected) for c in found.content] == [("x", 1, 1)]
    assert (found.totals.proposed, found.totals.approved, found.totals.rejected) == (2, 0, 1)


def test_a_project_sees_only_its_own_calls(services: Services) -> None:
    """Another project's figures stay there; the box sees all."""
    CallRecorder(services.within("prj_default").database)(call(Purpose("chat", "ours")))
    assert services.within("prj_none").analytics.metrics(Period.WEEK).totals.calls == 0
    assert services.analytics.metrics(Period.WEEK).totals.calls == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "＝"])
def test_no_cell_of_the_csv_is_a_formula(client: TestClient, services: Services, start: str) -> None:
    """A prompt that a spreadsheet would run gets an apostrophe; quotes and commas survive."""
    prompt = f'{start}cmd|" /C calc"!A0, x'
    CallRecorder(services.within("prj_default").database)(call(Purpose("chat", prompt)))
    answer = client.get("/api/v1/projects/prj_default/metrics.csv?period=7d")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="herald-7d.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["section", "name", "measure", "value"]
    names = {row[1] for row in rows if row[0] == "prompt"}
    assert names == {"'" + " ".join(prompt.split())}
    assert ["total", "", "calls", "1"] in rows
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


def test_the_services_record_the_models_calls(services: Services) -> None:
    """The client of a project tells of every call, even one that could not connect."""
    project = services.within("prj_default")
    with pytest.raises(Exception, match="does not answer"):
        list(project.chat._llm.stream([], {}, Sampling(), Purpose("chat", "Hi")))
    found = project.analytics.metrics(Period.WEEK)
    assert (found.totals.calls, found.totals.failed_calls) == (1, 1)
