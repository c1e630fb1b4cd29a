"""What ``herald batch run --cluster`` does with the shards that a cluster's answers arrive in, without a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from app.terminal import batch_cluster
from app.terminal.batch_cluster import Cluster, ClusterFailed, run


def request_line(custom_id: str) -> str:
    return (
        json.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/completions", "body": {"model": "m"}}) + "\n"
    )


def result(custom_id: str, status: int = 200, **body: Any) -> str:
    response = {"status_code": status, "request_id": "r", "body": body or {"error": {"message": "no"}}}
    return json.dumps({"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}) + "\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the process that talks to Ray: it runs the Python of the file that is returned."""
    script = tmp_path / "cluster.py"
    monkeypatch.chdir(tmp_path)
    popen = batch_cluster.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        return popen([sys.executable, str(script), *command[3:]], **options)

    monkeypatch.setattr(batch_cluster.subprocess, "Popen", start)
    (tmp_path / "in.jsonl").write_text("".join(map(request_line, "abc")))
    return script


WRITE = """import json, pathlib, sys
requests, shards = map(pathlib.Path, sys.argv[1:3])
shards.mkdir(exist_ok=True)
def say(event, **values): print(json.dumps({"event": event, **values}), flush=True)
def write(name, *lines): (shards / name).write_text("".join(lines))
asked = [json.loads(line)["custom_id"] for line in requests.read_text().splitlines() if line.strip()]
"""


def ids(path: str) -> list[str]:
    return [json.loads(line)["custom_id"] for line in Path(path).read_text().splitlines()]


def test_what_the_cluster_says_is_the_error(cluster: Path) -> None:
    """With its next step; an output without a result is not left behind."""
    cluster.write_text(WRITE + "say('failed', message='no nodes', hint='start one')\nsys.exit(1)")
    with pytest.raises(ClusterFailed, match="no nodes") as raised:
        run(Cluster("ray://h:1"), Path("in.jsonl"), Path("out.jsonl"))
    assert raised.value.hint == "start one"
    assert not Path("out.jsonl").exists()


def test_a_client_that_dies_silently_is_said(cluster: Path) -> None:
    """And what it had written is kept."""
    cluster.write_text(WRITE + f"write('1.jsonl', {result('a', text='x')!r})\nsys.exit(9)")
    with pytest.raises(ClusterFailed, match="ended unexpectedly \\(exit status 9\\)"):
        run(Cluster("ray://h:1"), Path("in.jsonl"), Path("out.jsonl"))
    assert ids("out.jsonl") == ["a"]


def test_answers_become_the_output_and_failures_are_tried_again(cluster: Path) -> None:
    """The second run asks for what failed and nothing else."""
    first = f"write('1.jsonl', {result('a', text='x')!r}, {result('b', 400)!r})"
    second = f"write('2.jsonl', {result('c', text='z')!r})"
    cluster.write_text(f"{WRITE}{first}\n{second}\nsay('done')")
    assert run(Cluster("ray://h:1"), Path("in.jsonl"), Path("out.jsonl")) == 1
    assert sorted(ids("out.jsonl")) == ["a", "c"]
    assert ids("out.errors.jsonl") == ["b"]
    cluster.write_text(f"{WRITE}assert asked == ['b'], asked\nwrite('3.jsonl', {result('b', text='y')!r})\nsay('done')")
    assert run(Cluster("ray://h:1"), Path("in.jsonl"), Path("out.jsonl")) == 0
    assert sorted(ids("out.jsonl")) == ["a", "b", "c"]
    assert not Path("out.errors.jsonl").exists()
    assert not Path(".out.jsonl.shards").exists()


def test_shards_of_a_run_that_was_killed_are_not_asked_for_again(cluster: Path) -> None:
    """Also when they were in the output already: none is there twice."""
    Path("out.jsonl").write_text(result("a", text="x"))
    Path(".out.jsonl.shards").mkdir()
    Path(".out.jsonl.shards/1.jsonl").write_text(result("a", text="x") + result("b", text="y"))
    cluster.write_text(f"{WRITE}assert asked == ['c'], asked\nwrite('2.jsonl', {result('c', text='z')!r})\nsay('done')")
    assert run(Cluster("ray://h:1"), Path("in.jsonl"), Path("out.jsonl")) == 0
    assert sorted(ids("out.jsonl")) == ["a", "b", "c"]
