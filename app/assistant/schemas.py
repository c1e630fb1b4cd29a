"""The shapes of ``POST /assistant/query``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.assistant.records import Reply


class QueryIn(BaseModel):
    """A question to the documents of a project."""

    model_config = ConfigDict(extra="forbid")

    project_id: Annotated[str | None, Field(max_length=100, description="Without it the caller's own default.")] = None
    question: str
    stream: Annotated[bool, Field(description="Answer with server-sent events.")] = False


class CitationOut(BaseModel):
    """A quote that stands in the asset letter by letter."""

    model_config = ConfigDict(from_attributes=True)

    asset_id: str
    filename: str
    quote: str
    place: str
    chunk_id: Annotated[int, Field(description="The passage that it stands in: see GET …/passages/{chunk_id}.")]


class AnswerOut(BaseModel):
    """The answer. Without citations nothing in the documents supports one, and it says so."""

    answer: str
    citations: list[CitationOut]
    confidence: Annotated[float, Field(ge=0, le=1, description="Probability that the citations state the answer.")]

    @classmethod
    def of(cls, reply: Reply) -> AnswerOut:
        """The wire shape of a reply."""
        citations = [CitationOut.model_validate(citation) for citation in reply.citations]
        return cls(answer=reply.answer, citations=citations, confidence=reply.confidence)
