"""Decides what a message asks for, before a word of the answer is written.

The type comes from the classifier; what must be exact (the network, a dictated text, addresses, values) is taken from
the user's own words here. Only what is left open is written by the language model. No text of documents or pages is
looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.chat import platforms
from app.chat.classifier import probabilities
from app.chat.contract import Offer
from app.chat.dictation import Dictation, dictation_of
from app.chat.drafts import MAX_ASSENT_WORDS, draft_before, is_to_be_published
from app.chat.features import Before, Evidence, evidence_of
from app.chat.form_values import gives_values, values_of, values_over
from app.chat.offers import page_offer, post_offer, usable_addresses
from app.chat.opinion import opinion_of
from app.chat.prompt import PastMessage
from app.llm import LlmClient
from automation.actions.base import Account

SURE = 0.97
"""From this probability on the language model is not asked for its opinion; docs/quality.md has the figures."""

MIN_PROBABILITY = 0.5
"""An action less probable than this is not proposed: the answer is words, and the user can say it more plainly."""

MAX_YES_WORDS = 4
MAX_RENAMING_WORDS = 5
ASK_FOR_VALUES = "Which fields shall I fill in, and with what? Give me each value as it should stand in the form."
ASK_FOR_TEXT = "What shall the post say? Give me the text, or tell me what it is about."
ASK_FOR_FACTS = "Which facts shall the post give? All that I could write had some that you never told me."

_LIST = re.compile(r"[-*•]\s")
_NAMES_A_TOPIC = re.compile(
    r"(?:that|about|something|on|our|the|dass|über|etwas|que|sur|sobre|algo|che|qualcosa|dat|over|iets)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a turn will do.

    Attributes:
        offer: the type that was chosen, narrowed to everything that is settled; None for an answer in words.
        is_written: whether the language model still has a text to write, for which it may need the documents.
        question: what to ask the user instead of acting, "" for nothing.
        is_tainted: whether a value comes from an answer that was made from documents or pages.
    """

    offer: Offer | None = None
    is_written: bool = False
    question: str = ""
    is_tainted: bool = False


def decide(message: str, history: Sequence[PastMessage], accounts: Sequence[Account], llm: LlmClient) -> Decision:
    """Choose between an answer and one action for ``message``.

    Args:
        history: the conversation so far, oldest first.
        accounts: the connected ones.
    """
    said, last = _said(history), _last_reply(history)
    pages = usable_addresses([*said, message])
    before = before_of(last, said)
    evidence = evidence_of(message, before, has_address=bool(usable_addresses(said)))
    match follow_up_type(evidence, message, last) or chosen_type(evidence, message, last, llm):
        case "post_social":
            return _post(message, evidence, history, accounts)
        case "scrape_url" if pages:
            return Decision(page_offer("scrape_url", usable_addresses([message]) or pages[:1]))
        case "fill_form" if pages:
            own = usable_addresses([message])
            return _form(message, own or pages[:1], {} if own else _values_before(history))
        case _:
            return Decision(question=ASK_FOR_VALUES if pages and _lacks_values(evidence) else "")


def _said(history: Sequence[PastMessage]) -> list[str]:
    return [past.content for past in history if past.role == "user"]


def _last_reply(history: Sequence[PastMessage]) -> PastMessage | None:
    return next((past for past in reversed(history) if past.role == "assistant"), None)


def _lacks_values(evidence: Evidence) -> bool:
    """Whether a form is plainly to be filled in, and nothing is said of the values."""
    cues = evidence.values
    is_order = cues.get("values_missing") and cues.get("command_form")
    is_told = any(cues.get(name) for name in ("negation", "told", "hypothetical", "ask", "question"))
    return bool(is_order) and not is_told


def follow_up_type(evidence: Evidence, message: str, last: PastMessage | None) -> str:
    """The type of a short answer to what the assistant has just offered or asked; "" where it is not plain."""
    cues, words = evidence.values, len(message.split())
    if last is None or cues.get("question") or cues.get("told"):
        return ""
    if last.content == ASK_FOR_VALUES and gives_values(message):
        return "fill_form"
    is_refusal = bool(cues.get("negation"))
    if last.content in {ASK_FOR_TEXT, ASK_FOR_FACTS} and not is_refusal and not cues.get("thanks"):
        return "post_social"
    if last.action and last.action["type"] == "post_social":
        is_renamed = words <= MAX_RENAMING_WORDS and platforms.named_for_posting(message)
        is_corrected = cues.get("dictated_colon") and not cues.get("first_negation")
        return "post_social" if is_renamed or is_corrected else ""
    if is_refusal or not (cues.get("first_affirm") or cues.get("first_publish")) or words > MAX_YES_WORDS:
        return ""
    if cues.get("change") or cues.get("thanks"):
        return ""
    return {"context_offer_post": "post_social", "context_offer_read": "scrape_url"}.get(_context(evidence), "")


def _context(evidence: Evidence) -> str:
    return next((name for name in evidence.values if name.startswith("context_")), "")


def chosen_type(evidence: Evidence, message: str, last: PastMessage | None, llm: LlmClient) -> str:
    """The most probable type. The language model is asked only where the evidence alone leaves a doubt."""
    shares = probabilities(evidence)
    if max(shares.values()) < SURE:
        shares = probabilities(evidence, opinion_of(llm, message, last))
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= MIN_PROBABILITY else "null"


def before_of(last: PastMessage | None, said: Sequence[str]) -> Before | None:
    """What the assistant said last, for the evidence.

    The words of an answer made from documents are not looked at: whether it was a draft is told by what was asked for.
    """
    if last is None:
        return None
    action_type = last.action["type"] if last.action else None
    if not last.is_tainted:
        return Before(last.content, action_type)
    asked_for = evidence_of(said[-1]).values if said else {}
    return Before("Shall I post it?" if asked_for.get("draft") or asked_for.get("write") else "", action_type)


def _post(message: str, evidence: Evidence, history: Sequence[PastMessage], accounts: Sequence[Account]) -> Decision:
    said, last = _said(history), _last_reply(history)
    dictation = dictation_of(message)
    if dictation and _is_material(message, dictation):
        dictation = None
    named = platforms.named_for_posting(dictation.frame if dictation else message)
    if not named and platforms.other_networks(dictation.frame if dictation else message):
        return Decision()
    platform = named or _platform_before(said, last, accounts)
    if not platforms.can_post_to(platform):
        return Decision()
    text, is_tainted = _settled_text(message, dictation, history, is_renamed=bool(named))
    if not text and last is None and evidence.values.get("nothing_said"):
        return Decision(question=ASK_FOR_TEXT)
    if not text and not named and _says_nothing(evidence):
        return Decision()
    return Decision(post_offer(platform, text, accounts), is_written=not text, is_tainted=is_tainted)


def _says_nothing(evidence: Evidence) -> bool:
    """Whether a message is a word or two that neither ask for a post nor agree to one."""
    cues = evidence.values
    is_little = cues.get("short") and (cues.get("nothing_said") or cues.get("little_said"))
    return bool(is_little) and not any(cues.get(name) for name in ("publish", "write", "draft", "affirm", "change"))


def _platform_before(said: Sequence[str], last: PastMessage | None, accounts: Sequence[Account]) -> str:
    """The network that the conversation is about, else the only connected one, else the default."""
    if last and last.action and last.action["type"] == "post_social":
        return str(last.action["params"]["platform"])
    for text in reversed(said):
        if named := platforms.named_for_posting(text):
            return named
    connected = {account.platform for account in accounts}
    return connected.pop() if len(connected) == 1 else platforms.DEFAULT_PLATFORM


def _settled_text(
    message: str, dictation: Dictation | None, history: Sequence[PastMessage], *, is_renamed: bool
) -> tuple[str, bool]:
    """The text to publish where it stands already, "" where it is to be written; and whether it is tainted."""
    last = _last_reply(history)
    is_asked = last is not None and last.content in {ASK_FOR_TEXT, ASK_FOR_FACTS, ASK_FOR_VALUES}
    draft = None if is_asked else draft_before(message, history)
    if dictation and not (draft and _is_remark(dictation)):
        return dictation.text, False
    if draft and is_to_be_published(message, draft) and (is_renamed or not draft.is_proposed):
        return draft.text, draft.is_tainted
    is_text_asked_for = last is not None and last.content == ASK_FOR_TEXT and len(message.split()) <= MAX_ASSENT_WORDS
    return message.strip() if is_text_asked_for and not _NAMES_A_TOPIC.match(message) else "", False


def _is_material(message: str, dictation: Dictation) -> bool:
    """Whether points are listed for a text that is yet to be written: "please write it. What matters:" and a list."""
    if not _LIST.match(dictation.text):
        return False
    words = "\n".join(line for line in message.splitlines() if not _LIST.match(line))
    return bool(evidence_of(words).values.get("command_write"))


def _is_remark(dictation: Dictation) -> bool:
    """Whether a message about a draft comments on it rather than dictating another: a sentence, or a list of points."""
    if dictation.kind == "plain":
        return True
    return bool(_LIST.match(dictation.text)) and not evidence_of(dictation.frame).values.get("publish")


def _values_before(history: Sequence[PastMessage]) -> dict[str, str]:
    """What was given for the form before: in the action proposed last, else since the page was named."""
    found: dict[str, str] = {}
    for past in reversed(history):
        if past.role == "assistant":
            if past.action:
                fields = past.action["params"].get("fields", {}) if past.action["type"] == "fill_form" else {}
                return {**fields, **found}
            continue
        found = {**values_of(past.content), **found}
        if usable_addresses([past.content]):
            return found
    return {}


def _form(message: str, pages: Sequence[str], earlier: Mapping[str, str]) -> Decision:
    fields = values_over(message, earlier)
    if not fields and not gives_values(message):
        return Decision(question=ASK_FOR_VALUES)
    narrow: dict[str, dict[str, Any]] = {}
    if fields:
        constants = {name: {"const": value} for name, value in fields.items()}
        narrow = {"fields": {"properties": constants, "required": list(fields), "additionalProperties": False}}
    return Decision(page_offer("fill_form", pages, narrow))
