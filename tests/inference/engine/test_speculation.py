"""Guessing ahead changes how many steps an answer takes, never the answer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inference.backends.fake import VOCAB_SIZE, FakeBackend
from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from inference.engine.speculation import FIRST_PAUSE_TOKENS, TRY_AGAIN_EVERY, PromptLookup, StepCosts

MakeDriver = Callable[..., Any]
QUOTE = "We open at nine tomorrow and close when the bread is gone. "


class Reciting(FakeBackend):
    """Says a text over and over: what comes next depends on the position alone."""

    def __init__(self, text: str = QUOTE, **options: Any) -> None:
        # Steps that wait rather than compute: more tokens cost nothing, so guesses pay.
        super().__init__(**{"end_bias": -20.0, "step_delay_s": 0.002, **options})
        self._text = text.encode()

    def _row(self, context: list[int]) -> Any:
        row = super()._row(context)
        row[:] = -8.0
        row[self._text[len(context) % len(self._text)] % VOCAB_SIZE] = 8.0
        return row


def outputs(driver: Any, requests: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    heard = [driver.submit(**request)[1] for request in requests]
    driver.run()
    driver.check()
    return [(item.text, item.finish_reason) for item in heard]


def test_nothing_is_guessed_without_a_precedent() -> None:
    """Short texts, new texts and a limit of nothing."""
    assert PromptLookup().guess([1, 2], 4) == []
    assert PromptLookup().guess([1, 2, 3, 4, 5], 4) == []
    assert PromptLookup().guess([1, 2, 3, 9, 1, 2, 3], 0) == []


def test_what_followed_before_is_guessed_and_the_guess_grows() -> None:
    """The newest precedent counts; a guess that came true makes the next one longer, one that did not shorter."""
    lookup = PromptLookup()
    tokens = [1, 2, 3, 7, 7, 1, 2, 3, 8, 9, 10, 11, 1, 2, 3]
    assert lookup.guess(tokens, 8) == [8, 9]
    lookup.learn(2, 2, len(tokens))
    assert lookup.guess(tokens, 8) == [8, 9, 10, 11]
    assert lookup.guess(tokens, 3) == [8, 9, 10]
    lookup.learn(4, 1, len(tokens))
    assert lookup.guess(tokens, 8) == [8, 9]


def test_a_wrong_guess_is_followed_by_a_pause_that_doubles() -> None:
    """A text that only looks like its precedent does not cost a step each time."""
    lookup = PromptLookup()
    tokens = [1, 2, 3, 8, 1, 2, 3]
    for pause in (FIRST_PAUSE_TOKENS, 2 * FIRST_PAUSE_TOKENS):
        assert lookup.guess(tokens, 4)
        lookup.learn(2, 0, len(tokens))
        assert lookup.guess(tokens, 4) == []
        tokens = tokens + [5, 6, 7, 8] * (pause // 4 - 1) + [4, 1, 2, 3]
    assert lookup.guess(tokens, 4)


def test_guesses_that_do_not_pay_are_left_out_and_tried_again_later() -> None:
    """Where three tokens take three times as long as one, guessing two of them cannot help; machines change."""
    costs = StepCosts()
    assert costs.pays(2)
    costs.note(1, 0.01)
    costs.note(3, 0.03)
    assert [costs.pays(2) for _ in range(2 * TRY_AGAIN_EVERY)].count(True) == 2
    assert costs.pays(7)
    for _ in range(30):
        costs.note(3, 0.012)
    assert all(costs.pays(2) for _ in range(100))


def test_a_backend_that_cannot_forget_is_never_asked_to_guess(make_driver: MakeDriver) -> None:
    """Every wrong guess would cost it the whole prompt."""
    backend = Reciting()
    backend._info = replace(backend.info, can_trim=False)
    driver = make_driver(backend)
    driver.submit(QUOTE * 2, 40)
    driver.run()
    assert driver.loop.counters.guessed_tokens == 0


def test_a_quotation_takes_fewer_steps(make_driver: MakeDriver) -> None:
    """The same output in less than half of the steps, and the counters say what was guessed."""
    steps = {}
    texts = {}
    for tokens in (1, 8):
        driver = make_driver(Reciting(), guess_step_tokens=tokens)
        texts[tokens] = outputs(driver, [{"prompt": QUOTE * 3, "max_tokens": 100}])
        steps[tokens] = driver.loop.counters.steps
    assert texts[1] == texts[8]
    assert steps[8] < steps[1] / 2
    counters = driver.loop.counters
    assert 0 < counters.accepted_tokens <= counters.guessed_tokens
    assert counters.generated_tokens == 100


@pytest.mark.parametrize("seed", range(6))
def test_outputs_do_not_depend_on_guessing(make_driver: MakeDriver, seed: int) -> None:
    """Right guesses and wrong ones, alone and together, with stop strings, limits, penalties and scarce cells."""
    rng = random.Random(seed)
    requests = []
    for number in range(rng.choice([1, 2, 5])):
        cut = rng.randrange(20, 100)
        requests.append(
            {
                "prompt": (QUOTE * 3)[:cut] + rng.choice(["", "x", "We open at nine to"]),
                "max_tokens": rng.randrange(1, 150),
                "stop": rng.choice([(), ("tomorrow and",), ("e",)]),
                "temperature": rng.choice([0.0, 0.9]),
                "seed": number,
                "frequency_penalty": rng.choice([0.0, 0.5]),
            }
        )
    make_backend = rng.choice([Reciting, lambda **options: FakeBackend(end_bias=-20.0, **options)])
    results = []
    for tokens in (1, 8):
        driver = make_driver(make_backend(context_tokens=512, cell_count=512), guess_step_tokens=tokens)
        results.append(outputs(driver, requests))
    assert results[0] == results[1]


def test_guesses_and_forced_text_meet(make_driver: MakeDriver) -> None:
    """A constraint may force what was guessed, or something else; the output is that of the constraint."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "maxLength": 30} for name in ("reply", "post")},
        "required": ["reply", "post"],
        "additionalProperties": False,
    }
    spec = ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
    texts = []
    for tokens in (1, 8):
        backend = Reciting('{"reply": "We open at nine.", "post": "We open at nine."} ')
        program = ConstraintCompiler(backend.constraint_tokenizer()).compile(spec)
        driver = make_driver(backend, guess_step_tokens=tokens)
        request = {
            "prompt": '{"reply": "We open at nine.", "post": "We open at nine."} ' * 2,
            "max_tokens": 200,
            "constraint": ConstraintState(program, VOCAB_SIZE),
        }
        texts.append(outputs(driver, [request]))
    assert texts[0] == texts[1]
    assert set(json.loads(texts[0][0][0])) == {"reply", "post"}
    assert driver.loop.counters.accepted_tokens > 0


def test_nobody_gives_way_to_a_guess(make_driver: MakeDriver) -> None:
    """When cells run out the guess is dropped before anything else is."""
    driver = make_driver(Reciting(context_tokens=128, cell_count=100), guess_step_tokens=8)
    prompt = (QUOTE * 2)[:80]
    assert outputs(driver, [{"prompt": prompt, "max_tokens": 19}]) == [((QUOTE * 2)[80:99], "length")]
    assert driver.loop.counters.preempted == 0
