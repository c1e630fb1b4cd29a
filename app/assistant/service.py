"""One question: find passages, choose their lines, check that these state the answer, write it, check what is written.

Nothing that a model made up can come out as a source: it names lines by number from an enum of those it was shown, and
the quotes are the documents' own bytes. What it writes may hold only numbers, names and addresses of the quotes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app import facts
from app.assistant import prompt
from app.assistant.confidence import MIN_CONFIDENCE, confidence_of
from app.assistant.lines import Found, Listing, chosen_lines, overlap
from app.assistant.records import UNKNOWN, Citation, Claim, Event, Failure, Line, Reply, Signals, Step, Token
from app.errors import AppError
from app.llm import ConstraintFailed, LlmClient, Purpose, Sampling
from app.text import checked_text

log = structlog.get_logger(__name__)

MAX_QUESTION_CHARS = 2_000
PASSAGES = 10  # only their best lines reach the model
CHOOSING = Sampling(max_tokens=40)
CHECKING = Sampling(max_tokens=12)
WRITING = Sampling(max_tokens=260)
ATTEMPTS = 2
HOPELESS = 0.03
"""Below this probability that any line answers, the chosen ones are not even checked."""
MIN_SUPPORT = 0.6
"""At least this share of a claim's words stands in its quotes or in the question."""


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    answered: bool
    lines: Annotated[list[int], Field(min_length=1, max_length=prompt.MAX_CHOSEN)]


class _WrittenClaim(BaseModel):
    model_config = ConfigDict(extra="forbid")
    line: int
    text: Annotated[str, Field(min_length=1, max_length=prompt.MAX_CLAIM_CHARS)]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")
    claims: Annotated[list[_WrittenClaim], Field(min_length=1, max_length=prompt.MAX_CHOSEN)]


class PassageSource(Protocol):
    """What the assistant needs of memory."""

    def search(self, question: str, limit: int = ...) -> Sequence[Found]:
        """The passages nearest to a question, the best first, whether or not they answer it."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    lines: tuple[Line, ...]
    signals: Signals

    @property
    def confidence(self) -> float:
        return confidence_of(self.signals)


class AssistantService:
    """Answers questions from a project's documents. Stateless and thread-safe."""

    def __init__(self, memory: PassageSource, llm: LlmClient) -> None:
        self._memory = memory
        self._llm = llm

    def ask(self, question: str) -> Reply:
        """The whole answer. Raises: InvalidInput and the errors of ``app.llm``."""
        for event in self.stream(question):
            if isinstance(event, Failure):
                raise event.error
            if isinstance(event, Reply):
                return event
        raise AssertionError("a question ends in a reply or a failure")

    def stream(self, question: str) -> Iterator[Event]:
        """What is being done, the answer's checked pieces, and at the end a Reply or a Failure.

        Raises: InvalidInput before anything is begun.
        """
        text = " ".join(checked_text(question, "The question", MAX_QUESTION_CHARS).split())
        return self._events(text)

    def _events(self, question: str) -> Iterator[Event]:
        purpose = Purpose("assistant", question)
        try:
            yield Step("Looking into the documents")
            passages = self._memory.search(question, PASSAGES)
            lines = chosen_lines(question, passages, self._llm.embed)
            best: _Evidence | None = None
            for evidence in self._candidates(question, lines, purpose):
                yield Step("Checking the evidence")
                best = evidence if best is None or evidence.confidence > best.confidence else best
            if best is None or best.confidence < MIN_CONFIDENCE:
                yield from _unknown(best)
                return
            yield Step("Writing")
            claims: list[Claim] = []
            for claim in self._claims(question, best, lines, purpose):
                yield Token(f" {claim.text}" if claims else claim.text)
                claims.append(claim)
            yield _reply(claims, best)
        except AppError as error:
            log.warning("question_failed", code=error.code, error=error.message)
            yield Failure(error)

    def _candidates(self, question: str, lines: list[Line], purpose: Purpose) -> Iterator[_Evidence]:
        """Lines that may state the answer, until some surely do. A refused choice is taken off the list."""
        left = lines
        for _attempt in range(ATTEMPTS):
            if not left:
                return
            listing = Listing(tuple(left))
            schema = prompt.choose_schema(listing)
            chosen = self._llm.judge(prompt.choose_messages(question, listing), schema, CHOOSING, purpose)
            choice = _parsed(_Choice, chosen.text)
            named = listing.named(n for n in choice.lines if n <= len(left))
            answered = chosen.probability if chosen.probability is not None else float(choice.answered)
            if answered < HOPELESS:
                return
            evidence = self._checked(question, named, answered, purpose)
            yield evidence
            if evidence.confidence >= MIN_CONFIDENCE:
                return
            left = [line for line in left if line not in named]

    def _checked(self, question: str, lines: tuple[Line, ...], answered: float, purpose: Purpose) -> _Evidence:
        messages = prompt.check_messages(question, lines)
        judged = self._llm.judge(messages, prompt.check_schema(), CHECKING, purpose)
        stated = judged.probability
        if stated is None:
            stated = float(bool(json.loads(judged.text)["stated"]))
        similarity = max((line.similarity for line in lines), default=0.0)
        return _Evidence(lines, Signals(answered, stated, similarity, overlap(question, lines)))

    def _claims(self, question: str, evidence: _Evidence, lines: Sequence[Line], purpose: Purpose) -> Iterator[Claim]:
        """The written claims that hold, else the lines themselves."""
        listing = Listing(evidence.lines)
        schema = prompt.write_schema(listing)
        written = self._llm.judge(prompt.write_messages(question, listing), schema, WRITING, purpose)
        said: set[str] = set()
        for claim in _parsed(_Written, written.text).claims:
            text = " ".join(claim.text.split())
            line = listing.lines[min(claim.line, len(listing.lines)) - 1]
            if text.casefold() not in said and _is_supported(text, question, line, lines):
                said.add(text.casefold())
                yield Claim(text, (line,))
        if not said:
            yield _verbatim(evidence.lines)


def _is_supported(text: str, question: str, line: Line, others: Sequence[Line]) -> bool:
    """Whether the line holds every fact of the claim, nearly all of its words, and is not confused with another one.

    Numbers and addresses have to stand in the line itself; its heading lends only words.
    """
    own = f"{line.shown}\n{line.quote}"
    if facts.unfounded(text, [own], also_named=[line.place, question]):
        return False
    if facts.share_of_words(text, [own, line.place, question]) < MIN_SUPPORT:
        return False
    siblings = [other.shown for other in others if other.place == line.place and other != line]
    return not facts.is_about_another(text, f"{own}\n{line.place}", siblings)


def _verbatim(lines: Sequence[Line]) -> Claim:
    """The owner's own words, when nothing that the model wrote about them holds."""
    return Claim(" ".join(line.shown.lstrip("-*• ") for line in lines), tuple(lines))


def _unknown(evidence: _Evidence | None) -> Iterator[Event]:
    yield Token(UNKNOWN)
    confidence = evidence.confidence if evidence else 0.0
    signals, lines = (evidence.signals, evidence.lines) if evidence else (None, ())
    yield Reply(UNKNOWN, (), round(confidence, 3), signals, lines)


def _reply(claims: list[Claim], evidence: _Evidence) -> Reply:
    cited = dict.fromkeys(line for claim in claims for line in claim.lines)
    return Reply(
        " ".join(claim.text for claim in claims),
        tuple(Citation.of(line) for line in cited),
        round(evidence.confidence, 3),
        evidence.signals,
        evidence.lines,
    )


M = TypeVar("M", bound=BaseModel)


def _parsed(model: type[M], text: str) -> M:
    """Validated again, whatever constrained it. Raises: ConstraintFailed."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ConstraintFailed(
            "The model's answer broke its contract, so nothing of it was used.", hint="Ask again."
        ) from error
