"""``python -m inference.upstream.vllm_fit``: would vLLM serve this model on these cards, and how.

For whoever may not load what serves models. stdin: ``{"cards": [{"name", "memory_bytes", "capability"}], "shape":
{…fields of ModelShape}}``. stdout: ``{"fits": true, "context_tokens", "max_sequences", "reasons": [[name, value,
why]]}`` or ``{"fits": false, "problem"}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from inference.errors import StartupError
from inference.upstream.vllm_plan import Card, ModelShape, plan_vllm


def fit(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question. Raises: KeyError, TypeError for one of another form."""
    cards = tuple(Card(c["name"], int(c["memory_bytes"]), tuple(c["capability"])) for c in question["cards"])
    try:
        plan = plan_vllm(cards, ModelShape(**question["shape"]))
    except StartupError as error:
        return {"fits": False, "problem": str(error)}
    return {
        "fits": True,
        "context_tokens": plan.context_tokens,
        "max_sequences": plan.max_sequences,
        "reasons": plan.reasons,
    }


def main() -> int:
    """Answer and end; the exit status is 0 whether it fits or not."""
    json.dump(fit(json.load(sys.stdin)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
