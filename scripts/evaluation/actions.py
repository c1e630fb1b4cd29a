"""Does the box propose what a careful assistant would? Runs the cases through ``POST /api/v1/chat`` and judges them.

A fresh box is started on a temporary data home; ``--running`` takes the one that runs. Every case has a conversation of
its own. With ``--results`` an interrupted run goes on where it stopped. ``--decide-only`` judges the decision in this
process without any reply, for tuning.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.client import ApiError, HeraldClient
from app.llm import LlmClient
from app.settings import load_settings
from scripts.evaluation.box import BoxFailed, box
from scripts.evaluation.cases import CASES, Case, load_cases
from scripts.evaluation.deciding import RememberedOpinion, outcome_of
from scripts.evaluation.judging import Outcome, is_exact, print_report, wanted_type
from scripts.evaluation.train import MODEL


def run_case(case: Case, client: HeraldClient) -> Outcome:
    """Say all turns; judge the last. An error of the product is an invalid output."""
    conversation_id: str | None = None
    action, reply, reply_before, seconds = None, "", "", 0.0
    try:
        for turn in case.turns:
            reply_before, started_at = reply, time.perf_counter()
            answer = client.chat(turn, conversation_id)
            seconds = time.perf_counter() - started_at
            conversation_id, reply, action = answer["conversation_id"], answer["reply"], answer["action"]
    except ApiError as error:
        return Outcome(case.id, wanted_type(case), "invalid", False, seconds, str(error))
    got = {"type": action["type"], "params": action["params"]} if action else None
    said = json.dumps(got, ensure_ascii=False) if got else f"reply: {reply}"
    got_type = action["type"] if action else "null"
    return Outcome(case.id, wanted_type(case), got_type, is_exact(case, got, reply_before), seconds, said)


def run_live(cases: Sequence[Case], done: dict[str, Outcome], results: Path | None, client: HeraldClient) -> None:
    """Run what is not done yet, in order, and keep each outcome as soon as it is there."""
    for number, case in enumerate(cases, 1):
        if case.id in done:
            continue
        done[case.id] = outcome = run_case(case, client)
        if results:
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        mark = "ok" if outcome.is_exact else f"{outcome.wanted} → {outcome.got}"
        print(f"{number}/{len(cases)} {case.id}: {mark}, {outcome.seconds:.1f} s", file=sys.stderr, flush=True)


def run_deciding(cases: Sequence[Case], split: str) -> dict[str, Outcome]:
    """Decide with the remembered opinions of the split where there are some, else with those of the running engine."""
    path = CASES / f"opinions_{split}.json"
    opinions = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    settings = load_settings()
    llm = LlmClient(settings.inference_origin, settings.inference_key_text(), settings.model)
    return {
        case.id: outcome_of(case, RememberedOpinion(MODEL, opinions[case.id]) if case.id in opinions else llm)
        for case in cases
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="./scripts/eval actions", description=__doc__)
    parser.add_argument("--split", choices=["dev", "test"], default="dev", help="tune on dev only (dev)")
    parser.add_argument("--limit", type=int, default=0, help="this many cases, spread over the split (all)")
    parser.add_argument("--model", default=MODEL, help=f"model of the fresh box ({MODEL})")
    parser.add_argument("--running", action="store_true", help="evaluate the box that runs")
    parser.add_argument("--inference-url", default="", help="an inference server that runs already, for the fresh box")
    parser.add_argument("--results", type=Path, help="file that keeps the outcomes, one a line")
    parser.add_argument("--decide-only", action="store_true", help="judge the decision alone, without app and reply")
    options = parser.parse_args()
    cases = load_cases(options.split)
    if options.limit and options.limit < len(cases):
        cases = [cases[at * len(cases) // options.limit] for at in range(options.limit)]
    done: dict[str, Outcome] = {}
    if options.results and options.results.exists():
        rows = [json.loads(line) for line in options.results.read_text(encoding="utf-8").splitlines()]
        done = {row["id"]: Outcome(**row) for row in rows}
    if options.decide_only:
        done = run_deciding(cases, options.split)
    else:
        try:
            with box(options.model, is_fresh=not options.running, inference_url=options.inference_url) as client:
                run_live(cases, done, options.results, client)
        except BoxFailed as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{options.split}, {options.model}{', the decision alone' if options.decide_only else ''}")
    print_report([done[case.id] for case in cases], {case.id: case for case in cases})
    return 0


if __name__ == "__main__":
    sys.exit(main())
