"""Which of the tools a message asks for, told by its words alone, so that ordinary talk costs no call of the model.

What the words leave open (which figures "how are we doing" means) is chosen by the model, see ``choosing``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import date
from importlib import resources

from app.chat import platforms
from app.chat.lookups.periods import periods_in
from app.chat.lookups.tools import Call, FindConversations, ListAssets, ReadAnalytics

_LISTED = tomllib.loads((resources.files("app.chat.lookups") / "cues.toml").read_text(encoding="utf-8"))
_WITH_AUTHOR = re.compile(r"(?<!\w)(?:we|i|our|my|us|you|wir|ich|unsere?|nous|nos|nosotros|nuestr[oa]s?)(?!\w)", re.I)


_PARTS = re.compile(r"[,;]|\?.+\?|(?<!\w)(?:and|und|et|y|compare[ds]?)(?!\w)", re.IGNORECASE)
OVERVIEW = ("published", "rejected", "failed", "waiting")
"""What statistics are, when none is named."""


def _cue(words: str) -> re.Pattern[str]:
    joined = words.replace("\n", "")
    return re.compile(rf"(?<![\w'’])(?:{joined})(?![\w'’])", re.IGNORECASE)


_FIGURES = {name: _cue(words) for name, words in _LISTED.pop("figures").items()}
_STATUS = {"failed": _FIGURES["failed"]} | {name: _cue(words) for name, words in _LISTED.pop("status").items()}
_CUE = {name: _cue(words) for name, words in _LISTED.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message asks to be looked up.

    Attributes:
        settled: calls whose params the words settle, in the order in which they are made.
        left_open: tools of which the model chooses the params.
        wants_comment: whether it asks for more than what is looked up ("… and what should we do?").
        has_parts: whether it may ask for more than one thing, so that the model is asked again after a look-up.
    """

    settled: tuple[Call, ...] = ()
    left_open: tuple[str, ...] = ()
    wants_comment: bool = False
    has_parts: bool = False
    fixed: dict[str, dict[str, object]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settled or self.left_open)


NOTHING = Asked()


def asked_in(message: str, today: date) -> Asked:
    """What ``message`` asks to be looked up; ``NOTHING`` for ordinary talk and for what documents may answer."""
    if len(message) > 600:
        return NOTHING  # a pasted text is something to work on, not a question about what was done
    settled: list[Call] = []
    left_open: list[str] = []
    fixed: dict[str, dict[str, object]] = {}
    if analytics := _analytics(message, today):
        settled.append(Call("read_analytics", analytics))
    elif _CUE["how_is_it"].search(message) and (_WITH_AUTHOR.search(message) or _CUE["posts"].search(message)):
        fixed["read_analytics"] = _fixed(message, today, "30d")
        if _CUE["overview"].search(message):
            overview = fixed["read_analytics"] | {"figures": OVERVIEW}
            settled.append(Call("read_analytics", ReadAnalytics.model_validate(overview)))
        else:
            left_open.append("read_analytics")
    if _CUE["assets"].search(message) and _CUE["lists"].search(message) and not _CUE["content"].search(message):
        status = next((name for name, cue in _STATUS.items() if cue.search(message)), "any")
        settled = [c for c in settled if c.tool != "read_analytics" or _CUE["posts"].search(message)]
        settled.append(Call("list_assets", ListAssets(status=status)))
    if not settled and not left_open and _CUE["conversations"].search(message):
        words = " ".join(_CUE["talk_words"].sub(" ", message).split())
        words = " ".join(re.findall(r"\w{3,}", words))[:200]
        if words:
            settled.append(Call("find_conversations", FindConversations(words=words)))
    wants_comment, has_parts = bool(_CUE["beyond"].search(message)), bool(_PARTS.search(message))
    return Asked(tuple(settled), tuple(left_open), wants_comment, has_parts, fixed)


def _analytics(message: str, today: date) -> ReadAnalytics | None:
    """The figures that the words name; None when they name none, or ask for advice."""
    has_posts = bool(_CUE["posts"].search(message) or platforms.mentions(message))
    figures = [name for name, cue in _FIGURES.items() if cue.search(message)]
    is_last = bool(_CUE["last_post"].search(message)) and has_posts
    if is_last:
        figures = ["last_post"]
    elif _CUE["busiest"].search(message) and (has_posts or "published" in figures) and _WITH_AUTHOR.search(message):
        figures = ["busiest_network", *(f for f in figures if f != "published")]
    if not figures and has_posts and _CUE["quantity"].search(message):
        figures = ["published"] if periods_in(message, today) or _WITH_AUTHOR.search(message) else []
    if not figures or not _CUE["count"].search(message):
        return None
    if not (_CUE["quantity"].search(message) or "?" in message):
        return None  # told, or asked for, and no question
    if figures == ["published"] and not (_CUE["quantity"].search(message) or periods_in(message, today)):
        return None  # "did you post it?" is about one post, whose card says so
    if _CUE["advice"].search(message) and not _is_past(figures, message):
        return None
    if not has_posts and not set(figures) - {"published", "failed", "approved"} and not periods_in(message, today):
        return None  # "has it failed?" is about something else
    fixed = _fixed(message, today, "all")
    return ReadAnalytics.model_validate(fixed | {"figures": figures[:4]})


def _is_past(figures: list[str], message: str) -> bool:
    """Whether figures stand beside a question for advice: "how many went out, and what should we change?"."""
    return bool(set(figures) & {"published", "failed", "rejected", "approved"}) and bool(
        re.search(r"how many .*(?:,|and|\?|\.) ", message, re.I)
    )


def _fixed(message: str, today: date, period: str) -> dict[str, object]:
    """The params of figures that words settle: periods (``period`` where they name none), networks, posts or all."""
    named = list(dict.fromkeys(m.platform for m in platforms.mentions(message)))
    networks = [name for name in named if name != "x"]
    if re.search(r"(?<!\w)(?:X|[Tt]witter)(?!\w)|(?<!\w)on x(?!\w)", message):
        networks.append("x")  # a tweet is said of posts anywhere, so the word alone does not name X
    return {
        "periods": (periods_in(message, today) or [period])[:3],
        "networks": networks[:7],
        "of": "posts" if named or networks or _CUE["posts"].search(message) else "everything",
    }
