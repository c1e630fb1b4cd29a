"""The chat's read-only tools: the params that one may be called with, what it finds, and how that is told.

Figures, lists and what was said earlier are put into words here, by code. What is passed on as a note is text from
documents: it may be used in an answer, and never where anything is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app import clock
from app.analytics.records import Figures
from app.analytics.service import AnalyticsService
from app.chat.lookups.periods import PERIOD, day_name, span_of
from app.chat.prompt import Note
from app.conversations.service import Conversation, ConversationService
from app.memory.records import Asset, AssetStatus, Passage
from app.memory.service import MemoryService
from automation.sites.registry import SITES

NOTES_CHARS = 3_600
MAX_LISTED = 20
MAX_CONVERSATIONS = 4
QUOTE_CHARS = 400
MAX_WORDS = 8

Figure = Literal[
    "published",
    "failed",
    "rejected",
    "approved",
    "proposed",
    "waiting",
    "last_post",
    "busiest_network",
    "model_calls",
    "tokens",
    "model_seconds",
]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchMemory(_Params):
    """Look into the text of the documents."""

    query: Annotated[str, Field(min_length=1, max_length=200)]


class ListAssets(_Params):
    """List the documents; with ``status``, those that are in memory, still on their way, or failed."""

    status: Literal["any", "ingested", "waiting", "failed"] = "any"


class ReadAnalytics(_Params):
    """Read figures; ``networks`` empty means all of them together."""

    figures: Annotated[tuple[Figure, ...], Field(min_length=1, max_length=4)]
    periods: Annotated[tuple[Annotated[str, Field(pattern=PERIOD)], ...], Field(min_length=1, max_length=3)]
    networks: Annotated[tuple[str, ...], Field(max_length=7)] = ()
    of: Literal["posts", "everything"] = "posts"


class FindConversations(_Params):
    """Look for words in what was said in other conversations."""

    words: Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its name, its params, and what the reader of the chat is told while it runs."""

    name: str
    params_class: type[_Params]
    progress: str


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("read_analytics", ReadAnalytics, "Reading your analytics"),
        Tool("list_assets", ListAssets, "Listing your documents"),
        Tool("find_conversations", FindConversations, "Looking through earlier conversations"),
        Tool("search_memory", SearchMemory, "Searching your documents"),
    )
}


@dataclass(frozen=True, slots=True)
class Call:
    """One tool with its params, as it was chosen."""

    tool: str
    params: _Params


@dataclass(frozen=True, slots=True)
class Found:
    """What a call brought back.

    Attributes:
        told: figures, lists and quotes in the words of code; "" for none.
        notes: text of documents, which is untrusted.
        passages: where notes of documents come from.
        count: how many things were found, which is all that a later choice is told.
    """

    told: str = ""
    notes: tuple[Note, ...] = ()
    passages: tuple[Passage, ...] = field(default=())
    count: int = 0


class Toolbox:
    """The tools over one project's services. Nothing here changes anything."""

    def __init__(self, memory: MemoryService, conversations: ConversationService, analytics: AnalyticsService) -> None:
        self._memory = memory
        self._conversations = conversations
        self._analytics = analytics

    def run(self, call: Call, conversation_id: str) -> Found:
        """Look it up. Raises: InferenceUnavailable, DatabaseBusy."""
        match call.params:
            case SearchMemory(query=query):
                return self._search(query)
            case ListAssets(status=status):
                return self._assets(status)
            case ReadAnalytics() as params:
                return self._figures(params)
            case FindConversations(words=words):
                return self._find(words, conversation_id)
        raise AssertionError(f"no tool takes {type(call.params).__name__}")

    def _search(self, query: str) -> Found:
        passages = tuple(self._memory.context_for(query, NOTES_CHARS))
        notes = tuple(Note(f"{p.filename}, {p.place}" if p.place else p.filename, p.text) for p in passages)
        return Found(notes=notes, passages=passages, count=len(passages))

    def _assets(self, status: str) -> Found:
        wanted: dict[str, Callable[[Asset], bool]] = {
            "any": lambda _asset: True,
            "ingested": lambda a: a.status is AssetStatus.INGESTED,
            "waiting": lambda a: a.status in {AssetStatus.UPLOADED, AssetStatus.INGESTING},
            "failed": lambda a: a.status is AssetStatus.FAILED,
        }
        found = [asset for asset in self._memory.assets() if wanted[status](asset)]
        what = {"any": "Documents", "ingested": "Documents that are in memory", "failed": "Documents that failed"}
        lines = [f"- {_asset_line(asset)}" for asset in found[:MAX_LISTED]]
        if len(found) > MAX_LISTED:
            lines.append(f"- … and {len(found) - MAX_LISTED} more; the Memory tab lists all of them.")
        head = f"{what.get(status, 'Documents that are still being read')}: {len(found)}"
        return Found(told="\n".join([head, *lines]), count=len(found))

    def _figures(self, params: ReadAnalytics) -> Found:
        today = clock.now().date()
        lines: list[str] = []
        for network in params.networks or ("",):
            name = f" on {SITES[network].title}" if network in SITES else f" on {network}" if network else ""
            only_posts = params.of == "posts"
            for figure in params.figures:
                if figure == "waiting":
                    waiting = self._analytics.waiting(network, only_posts=only_posts)
                    what = "Posts" if only_posts else "Actions"
                    lines.append(f"- {what} that wait for approval now{name}: {waiting}")
                elif figure == "last_post":
                    day = self._analytics.last_published_on(network)
                    lines.append(f"- Last post{name}: {day_name(day) if day else 'there is none yet'}")
            dated = [f for f in params.figures if f not in {"waiting", "last_post"}]
            for period in params.periods if dated else ():
                span = span_of(period, today)
                figures = self._analytics.figures(span.first, span.last, network, only_posts=only_posts)
                lines.append(f"{span.label}{name}:")
                lines += [f"- {_figure_line(figure, figures, only_posts=only_posts)}" for figure in dated]
        return Found(told="\n".join(lines), count=len(lines))

    def _find(self, words: str, conversation_id: str) -> Found:
        """Conversations in which the most of the words were said, the newest of those first."""
        looked_for = list(dict.fromkeys(re.findall(r"\w{3,}", words.casefold())))[:MAX_WORDS]
        hits: dict[str, int] = {}
        known = {}
        for word in looked_for:
            for conversation in self._conversations.newest(word, limit=50):
                if conversation.id != conversation_id:
                    known[conversation.id] = conversation
                    hits[conversation.id] = hits.get(conversation.id, 0) + 1
        most = max(hits.values(), default=0)
        best = [c for c in known.values() if hits[c.id] == most and most * 2 >= len(looked_for)]
        best = sorted(best, key=lambda c: c.updated_at, reverse=True)[:MAX_CONVERSATIONS]
        lines = [line for c in best for line in self._quoted(c, looked_for)]
        head = f"Earlier conversations about this: {len(best)}"
        return Found(told="\n".join([head, *lines]) if best else "", count=len(best))

    def _quoted(self, conversation: Conversation, words: list[str]) -> list[str]:
        """The conversation and what was said in it with the most of the words, letter by letter, with the answer."""
        messages = self._conversations.messages(conversation.id)
        scores = [sum(word in m.content.casefold() for word in words) for m in messages]
        at = scores.index(max(scores)) if any(scores) else 0
        chosen = (
            messages[at : at + 2] if messages[at : at + 1] and messages[at].role == "user" else messages[at : at + 1]
        )
        who = {"user": "You", "assistant": "Herald"}
        lines = [f"- “{conversation.title}” ({day_name(conversation.updated_at.date())})"]
        for message in chosen:
            said = " ".join(message.content.split())
            shown = said if len(said) <= QUOTE_CHARS else f"{said[:QUOTE_CHARS].rsplit(' ', 1)[0]} …"
            lines.append(f"  - {who.get(message.role, message.role)}: “{shown}”")
        return lines


def _asset_line(asset: Asset) -> str:
    facts = [f"uploaded {day_name(asset.created_at.date())}"]
    if asset.page_count:
        facts.insert(0, f"{asset.page_count} page{'s' if asset.page_count > 1 else ''}")
    if asset.status is AssetStatus.FAILED and asset.error:
        facts.append(f"failed: {asset.error.message}")
    elif asset.status is not AssetStatus.INGESTED:
        facts.append("still being read")
    return f"{asset.filename} ({', '.join(facts)})"


def _figure_line(figure: str, figures: Figures, *, only_posts: bool) -> str:
    what = "Posts" if only_posts else "Actions"
    published = sum(figures.published.values())
    split = ", ".join(f"{SITES[n].title if n in SITES else n} {count}" for n, count in _by_count(figures.published))
    match figure:
        case "published":
            return f"Posts published: {published}" + (f" ({split})" if len(figures.published) > 1 else "")
        case "busiest_network":
            return f"Posts published by network: {split or 'none'}"
        case "proposed" | "approved" | "rejected" | "failed":
            return f"{what} {figure}: {getattr(figures, figure)}"
        case "model_calls":
            return f"Calls of the language model: {figures.calls}"
        case "tokens":
            return f"Tokens: {figures.tokens:,}"
        case "model_seconds":
            return f"Time of the language model: {figures.seconds / 60:,.1f} minutes"
    raise AssertionError(figure)


def _by_count(published: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(published.items(), key=lambda item: (-item[1], item[0]))


def recorded(call: Call, found: Found) -> dict[str, Any]:
    """The call as it is kept with the message."""
    return {"tool": call.tool, "params": call.params.model_dump(mode="json"), "found": found.count}
