"""Whether a message asks for a fact that only the owner's documents can hold: hours, prices, names, places, numbers."""

from __future__ import annotations

import re

_ASKS = re.compile(
    r"\b(?:when|where|who|whose|which|what|how (?:much|many|long|far|old|big)|"
    r"(?:do|does|did|is|are|have|has|can) (?:we|our|the)|"
    r"wann|wo|wer|wem|wen|welche[rsnm]?|wie ?viele?|was kostet|haben wir|"
    r"quand|où|qui|quel(?:le)?s?|combien|à quelle|"
    r"cuándo|dónde|quién|cuál|cuánt[oa]s?|qué|"
    r"quando|dove|chi|quale|quanti?|quanto|"
    r"wanneer|waar|welke?|hoeveel)\b",
    re.IGNORECASE,
)
# Advice, ideas and texts need no document, and what is asked of the assistant itself is none of the owner's facts.
_NEEDS_NONE = re.compile(
    r"\b(?:you|your|should|shall|could|would|best|better|good|usually|ideas?|advi[cs]e|tips?|recommend|suggest|think|"
    r"how to|write|draft|posts?|posting|tweets?|publish|share|hashtags?|followers?|marketing|mean|difference|"
    r"du|dein|sollte?n?|sollen|würdest|besser|beste[nr]?|ideen?|tipps?|schreib\w*|beitr(?:ag|äge)|"
    r"tu|vous|devrais|mieux|meilleure?s?|idées?|conseils?|écri\w*|"
    r"tú|usted|debería\w*|mejor|consejos?|escrib\w*|dovre\w*|meglio|migliore|consigli\w*|scriv\w*|beste|zou|schrijf\w*)\b",
    re.IGNORECASE,
)


def asks_for_a_fact(message: str) -> bool:
    """A question about things as they are, not about what to do or to write."""
    is_question = message.rstrip(" \"'”").endswith("?") or bool(_ASKS.match(message))
    return is_question and bool(_ASKS.search(message)) and not _NEEDS_NONE.search(message)
