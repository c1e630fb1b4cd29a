"""What a written post gets wrong of its request: it echoes it, leaves a fact out, or is in another language.

Small models do so in languages that they know less well. Wrong numbers and names are found by ``app.facts``.
"""

from __future__ import annotations

import re

from app import facts
from app.chat import platforms
from app.chat.features import asks_to_publish, begins_with_command
from app.chat.prompt import news_of_examples
from app.lexicon import language_of
from app.wording import sentences_of

ECHO_WORDS = 5
_NETWORK = "_network_"
_HOLE = re.compile(r"\[[^\W\d_][^\]\n]{2,40}\]|\{[^}\n]{2,40}\}")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_INTRODUCES = re.compile(
    r"^\W*(?:here(?:['’]s| is| are)|this is|hier ist|das ist|hier is|dit is|voici|ceci est|c['’]est|ecco|questo è|"
    r"aquí (?:está|tienes|va)|est[eo] es|aqui está)\b[^.!?]*"
    r"\b(?:posts?|beitrag|texte?|texto|testo|publication|publicación|publicação|tweet|bericht|draft)\b",
    re.IGNORECASE,
)
_OFFERS_HELP = re.compile(
    r"\bhow (?:can|may) (?:i|we) help\b|\bwould you like (?:me|to know more)\b|\bwie kann ich\b.*\bhelfen\b|"
    r"\b(?:en qué|cómo) puedo ayudar|\bte gustaría (?:que te|saber más)|\bcome posso aiutar|"
    r"\bcomment puis-je\b.*\baider\b|\bhoe kan ik\b.*\bhelpen\b|\bcomo posso ajudar",
    re.IGNORECASE,
)
_ABOUT_THE_TEXT = re.compile(
    r"\b\w+\s+(?:short |kurze |more )?(?:sentences?|words?|characters?|chars?|lines?|hashtags?|tweets?|posts?|emojis?|"
    r"sätze[n]?|wörter[n]?|zeichen|phrases?|mots|caractères|frases|palabras|caracteres|frasi|parole|caratteri|palavras|"
    r"zinnen|woorden|tekens)\b",
    re.IGNORECASE,
)
_NAMES_A_LANGUAGE = re.compile(
    r"\b(?:english|german|french|spanish|italian|portuguese|dutch|englisch\w*|deutsch\w*|französisch\w*|spanisch\w*|"
    r"italienisch\w*|anglais|allemand|français|espagnol|italien|inglés|alemán|francés|español|italiano|inglese|tedesco|"
    r"francese|spagnolo|inglês|alemão|francês|espanhol|português|engels|duits|frans|spaans|italiaans|nederlands|"
    r"bilingual|translat\w+|übersetz\w*|zweisprachig)\b",
    re.IGNORECASE,
)
_LANGUAGES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
}


def without_echo(text: str, message: str) -> str:
    """``text`` without sentences that only repeat or answer the request ("Post on X that we …", "Here is a post:").

    Nor such as leave a hole to fill in ("[your address]") or are the news of an example in the prompt.
    """
    kept = [part for at, part in enumerate(sentences_of(text)) if not _is_echo(part, message, is_first=not at)]
    return "".join(kept).strip()


def _is_echo(sentence: str, message: str, *, is_first: bool) -> bool:
    if _INTRODUCES.match(sentence) or _OFFERS_HELP.search(sentence) or asks_to_publish(sentence):
        return True
    if any(hole.group() not in message for hole in _HOLE.finditer(sentence)):
        return True
    if sentence.strip().casefold() in news_of_examples() and not facts.words_in(sentence) <= facts.words_in(message):
        return True
    words, asked = _words(sentence), _words(message)
    if is_first and words and asked and words[0] == asked[0] and begins_with_command(message):
        return True
    said = {tuple(words[at : at + ECHO_WORDS]) for at in range(len(words) - ECHO_WORDS + 1)}
    return bool(said & _runs_of_the_request(message))


def _runs_of_the_request(message: str) -> set[tuple[str, ...]]:
    """Runs of words that belong to asking: those that name the network, or begin with an order."""
    runs: set[tuple[str, ...]] = set()
    for sentence in sentences_of(message):
        words = _words(sentence)
        is_order = begins_with_command(sentence)
        for at in range(len(words) - ECHO_WORDS + 1):
            run = words[at : at + ECHO_WORDS]
            if (at == 0 and is_order) or _NETWORK in run:
                runs.add(tuple(run))
    return runs


def _words(text: str) -> list[str]:
    """The words, the names of networks all alike: "insta" is Instagram."""
    return [word.casefold() for word in _WORD.findall(platforms.mask(text, f" {_NETWORK} ", f" {_NETWORK} "))]


def left_out(text: str, message: str) -> set[str]:
    """Numbers, dates and addresses of the request that ``text`` does not have."""
    return facts.left_out(text, _ABOUT_THE_TEXT.sub(" ", message))


def is_in_another_language(text: str, message: str) -> bool:
    """Whether the request is plainly in one language, asks for no other, and the text is in another."""
    asked, got = language_of(message), language_of(text)
    return bool(asked and got) and asked != got and not _NAMES_A_LANGUAGE.search(message)


def is_beside_the_point(text: str, message: str) -> bool:
    """Whether the text has no word of the request, in whatever form: "We look forward to seeing you!" alone."""
    asked = facts.words_in(message)
    return bool(asked) and not facts.words_in(text) & asked


def reminder(message: str) -> str:
    """What is added to the request when it is answered a second time."""
    language = _LANGUAGES.get("" if _NAMES_A_LANGUAGE.search(message) else language_of(message), "")
    tongue = f"is in {language}, " if language else ""
    return f"(The post {tongue}states only what stands above, and does not repeat this request.)"
