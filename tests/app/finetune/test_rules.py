"""Which texts are learned from, and when an adapter is better."""

from __future__ import annotations

import json

import pytest

from app.errors import InvalidInput
from app.finetune.rules import MIN_PAIRS, Compared, joined, split, text_of, verdict
from app.generation.approved import Approved, Pair


def pair(number: int, brief: str = "", group: str = "") -> Pair:
    """A text about a price."""
    brief = brief or f"Cake number {number} costs {number}.50 euro"
    text = f"Try our cake for {number}.50 euro!"
    return Pair(
        f"var_{number}",
        group or brief,
        brief,
        ({"role": "user", "content": brief},),
        {},
        160,
        text,
        (brief,),
        "approved",
    )


def compared(number: int, *, base: float = 3.0, loss: float = 2.0, text: str = "") -> Compared:
    """One row; the base writes what is wanted."""
    good = json.dumps({"text": f"Our cake costs {number}.50 euro."})
    return Compared(f"var_{number}", base, loss, good, json.dumps({"text": text}) if text else good)


def test_too_few_texts_are_refused_with_both_numbers() -> None:
    """And with what was left out."""
    approved = Approved(tuple(pair(n) for n in range(7)), {"with facts that its brief does not hold": 3})
    with pytest.raises(InvalidInput, match=rf"7 texts to learn from; at least {MIN_PAIRS}.*3 were left out") as refused:
        split(approved)
    assert "approve" in refused.value.hint


def test_texts_of_one_brief_cannot_be_held_out() -> None:
    """There would be nothing to learn from."""
    with pytest.raises(InvalidInput, match="from 1 briefs and conversations"):
        split(Approved(tuple(pair(n, "the same brief") for n in range(30)), {}))


def test_a_conversation_is_never_on_both_sides() -> None:
    """Nor are two that share a request, which may stand in a brief as well."""
    pairs = [pair(n, f"request {n}", f"conversation {n // 4}") for n in range(60)]
    pairs += [pair(100, "request 0", "conversation of its own"), pair(101, "more", "conversation of its own")]
    training, held_out = split(Approved(tuple(pairs), {}))
    assert not {p.group for p in training} & {p.group for p in held_out}
    sides = [{p.id for p in side} for side in (training, held_out)]
    assert any({"var_0", "var_3", "var_100", "var_101"} <= side for side in sides)


def test_a_text_that_is_a_variant_too_is_learned_once() -> None:
    """What was left out is counted together."""
    variants, posts = Approved((pair(1),), {"long": 1}), Approved((pair(1, "asked"), pair(2)), {"long": 2})
    both = joined(variants, posts)
    assert [(p.id, p.brief) for p in both.pairs] == [("var_1", pair(1).brief), ("var_2", pair(2).brief)]
    assert both.left_out == {"long": 3}


def test_a_brief_is_never_on_both_sides() -> None:
    """And the same texts are held out each time."""
    approved = Approved(tuple(pair(n, f"brief {n // 3}") for n in range(60)), {})
    training, held_out = split(approved)
    assert len(training) + len(held_out) == 60
    assert 12 <= len(held_out) < 15
    assert not {p.brief for p in training} & {p.brief for p in held_out}
    assert split(approved) == (training, held_out)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([compared(1, loss=3.1), compared(2, loss=3.1)], "its loss on held-out texts is 3.100, without it 3.000"),
        ([compared(1, loss=2.99), compared(2, loss=2.99)], "its loss on held-out texts"),
        ([compared(1, loss=0.5), compared(2, loss=3.1)], "it is better on 1 of 2"),
        ([compared(1, text="Cake, 99 euro."), compared(2)], "1 texts with made-up facts, without it 0"),
        ([compared(1, text="Come and try it!"), compared(2)], "1 texts that lost a fact"),
        ([compared(1), compared(2, text="Cake for 2.50 euro! " * 20)], "1 texts of a wrong length"),
    ],
)
def test_an_adapter_that_is_worse_in_anything_is_refused(rows: list[Compared], reason: str) -> None:
    """Loss, most of the texts, facts made up or lost, length: each alone is enough."""
    found = verdict(rows, [pair(1), pair(2)])
    assert reason in "; ".join(found.reasons)


def test_a_better_one_is_accepted_with_its_figures() -> None:
    """Also when the base was wrong and it still is."""
    found = verdict([compared(1), compared(2)], [pair(1), pair(2)])
    assert found.reasons == ()
    assert found.figures["base_loss"] == 3.0
    assert found.figures["lost"] == {"base": 0, "adapter": 0}


@pytest.mark.parametrize(
    ("answer", "text"), [('{"text": "Whole."}', "Whole."), ('{"text": "Cut of', "Cut of"), ("nonsense", ""), ("[]", "")]
)
def test_a_text_is_read_as_far_as_it_goes(answer: str, text: str) -> None:
    """A model may run out of room."""
    assert text_of(answer) == text
