"""Are the texts that the box writes true to their brief? Sixty briefs with facts, checked by code.

A fresh box is started on a temporary data home; ``--running`` takes the one that runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from app.client import ApiError, HeraldClient
from app.lexicon import language_of
from automation.sites.base import Post
from automation.sites.registry import SITES
from scripts.evaluation import texts
from scripts.evaluation.box import BoxFailed, box
from scripts.evaluation.cases import CASES
from scripts.evaluation.train import MODEL

CHECKS = ("proposed", "facts kept", "nothing invented", "no invented name", "length", "no banned phrase", "language")


def judged(brief: dict[str, Any], text: str) -> dict[str, str]:
    """Check → what is wrong with ``text``, "" for nothing; ``text`` "" means that no post was proposed."""
    if not text:
        return {"proposed": "no post was proposed"}
    message, language = str(brief["message"]), language_of(text)
    names = [] if brief["language"] == "de" else texts.invented_names(text, message)
    return {
        "proposed": "",
        "facts kept": ", ".join(texts.missing_facts(text, brief["facts"])),
        "nothing invented": ", ".join(texts.invented(text, message)),
        "no invented name": ", ".join(names),
        "length": SITES[brief["platform"]].check(Post(text)).text_problem,
        "no banned phrase": ", ".join(texts.banned(text)),
        "language": "" if language in {brief["language"], ""} else language,
        "no echo": ", ".join(texts.echoes(text, message)),
        "no repetition": ", ".join(texts.repetitions(text)),
    }


def written(brief: dict[str, Any], client: HeraldClient) -> str:
    """The text of the proposal, "" for none. Raises: ApiError."""
    action = client.chat(brief["message"])["action"]
    return str(action["params"].get("text", "")) if action else ""


def main() -> int:
    """Write, judge and print."""
    parser = argparse.ArgumentParser(prog="./scripts/eval writing", description=__doc__)
    parser.add_argument("--limit", type=int, default=0, help="this many briefs, spread over all (all)")
    parser.add_argument("--model", default=MODEL, help=f"model of the fresh box ({MODEL})")
    parser.add_argument("--running", action="store_true", help="evaluate the box that runs")
    parser.add_argument("--inference-url", default="", help="an inference server that runs already, for the fresh box")
    options = parser.parse_args()
    briefs = [json.loads(line) for line in (CASES / "writing.jsonl").read_text(encoding="utf-8").splitlines()]
    if options.limit and options.limit < len(briefs):
        briefs = [briefs[at * len(briefs) // options.limit] for at in range(options.limit)]
    results: list[dict[str, str]] = []
    try:
        with box(options.model, is_fresh=not options.running, inference_url=options.inference_url) as client:
            for brief in briefs:
                text = written(brief, client)
                results.append(judged(brief, text))
                wrong = {check: what for check, what in results[-1].items() if what}
                print(f"{brief['id']} ({brief['brief']}): {text!r}{f' — {wrong}' if wrong else ''}", flush=True)
    except (ApiError, BoxFailed) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{options.model}, {len(results)} texts")
    for check in (*CHECKS, "no echo", "no repetition"):
        judged_texts = [result for result in results if check in result]
        right = sum(not result[check] for result in judged_texts)
        print(f"{check:18}{right} of {len(judged_texts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
