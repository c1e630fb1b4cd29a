"""What the parts of a list of values look like, in the languages that owners write in. ``form_values`` reads by it."""

from __future__ import annotations

import re

AND = r"and|und|et|y|e|ed|en|with|mit|avec|con|com|met|w"
KEYS = (
    r"(?:full|first|last|given|family|business|company|stand|rider|user|contact|serial|phone|order|customer)?[ -]?"
    r"(?:names?|numbers?)|nmae|surname|e-?mails?(?: address)?|emial|mail|phone|telephone|tel|mobile|company|firma?|"
    r"organi[sz]ation|city|town|country|address|street|postcode|zip(?: code)?|date|time|guests?|subject|message|"
    r"comment|"
    r"quantity|size|title|speaker|director|captain|team|club|genre|minutes|tickets?|amount|contact|category|agency|"
    r"campaign|plan|reference|website|vorname|nachname|telefon|e-?mail-?adresse|ort|stadt|anreise|abreise|datum|uhrzeit|"
    r"personen|nachricht|nom|prénom|courriel|téléphone|ville|entreprise|société|date|heure|nombre|apellidos?|correo|"
    r"teléfono|ciudad|empresa|fecha|hora|nome|cognome|città|telefono|azienda|data|ora|telefone|cidade|clube|naam|"
    r"voornaam|achternaam|telefoon|stad|bedrijf|maat"
)
PAIR = re.compile(
    rf"(?:(?:^|[,;\n–—(]|[.!?]\s|\s/|\b(?:{AND})\b)\s*(?P<key>[^\W\d_][\w'’/-]*(?: [\w'’/-]+){{0,3}}?)"
    r"|\s(?P<word>[^\W\d_][\w'’/-]*))(?<!\d)\s*[:=]\s*(?=\S)(?!//)(?![^\W\d_]\w*\s*[:=]\s)",
    re.IGNORECASE,
)
SEPARATORS = re.compile(rf"(\s*(?:;|,(?!\d)|\s/\s)\s*(?:(?:{AND})\s+)?|\s+(?:{AND})\s+)", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
ABBREVIATED = re.compile(
    r"(?:\b[A-ZÀ-Ý]|\b(?:dr|mr|mrs|ms|st|prof|no|nr|str|ca|sr|sra|dra|mme|sig|inc|ltd|co))\.$", re.IGNORECASE
)
MONTH = re.compile(r"(?:jan|feb|mär|apr|mai|jun|jul|aug|sep|okt|nov|dez)", re.IGNORECASE)
QUOTED = re.compile(r"\"[^\"\n]+\"|“[^”\n]+”|„[^“”\n]+[“”]|«[^»\n]+»")
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
LONG_KEY = (
    r"message|comments?|notes?|nachricht|anmerkung|mensaje|comentario|messaggio|mensagem|bericht|opmerking|remarks?|"
    r"description|beschreibung|descripción|descrizione|bio|question|frage|pregunta|issue|problem|reason|grund"
)
LONG_PAIR = re.compile(
    rf"(?:^|[,;.!?]\s*|\b(?:{AND})\s+)(?P<key>(?:[^\W\d_]+ )?(?:{LONG_KEY}))\s*[:=]\s*(?P<value>\S[^\n]*)$",
    re.IGNORECASE,
)
CLOSING = re.compile(
    r"^(?:many |mille |vielen |muchas |muito |alvast )?(?:thanks?|thanx|tnx|thx|ty|cheers|ta|merci|danke|bitte|grazie|"
    r"gracias|obrigad[oa]|obg|dank|bedankt|sorry|please|pls|plz|por favor|per favore|s'il|kind regards|that['’]?s)\b",
    re.IGNORECASE,
)
NEXT_CLAUSE = re.compile(rf",\s+(?:{AND})\s+(?:then|dann|puis|luego|poi|dan)\b.*$", re.IGNORECASE)
LEAD = re.compile(
    rf"^(?:(?:{AND}|under|unter|using|use|on|you|u|please|just|bitte|put|enter|give|there|as|comme|como|come|als|"
    r"the form|it|for (?:me|us)|those|these|are|to be entered)\s+)+",
    re.IGNORECASE,
)
COMMANDED = re.compile(r"^.{0,70}?\b(?:with|mit|avec|con|com|met|w|under)\s+", re.IGNORECASE)
KEY_LEAD = re.compile(
    r"^(?:.{0,40}\b(?:with|mit|avec|con|com|met|particulars are|details are|values are)\s+)?"
    r"(?:(?:my|the|our|and|und|et|with|w|el|la|los|o|os|il|lo|le|les|der|die|das|de|het|een|comme|como|come|als)\s+)*",
    re.IGNORECASE,
)
BEGINS_A_PHRASE = re.compile(
    r"^(?:the|an?|der|die|das|le|la|les|el|los|il|de|het|os?|one|two|three|four|five|ein\w*|zwei|drei|une?|deux|trois|un[ao]?|dos|tres|due|tre)\b",
    re.I,
)
LIST_SEPARATORS = re.compile(r"\s*(?:[;\n]|,(?!\d)|\s/\s)\s*|\.\s+(?=[^\W\d_])")
LABEL = re.compile(r"^(?P<key>[^\W\d_][\w'’-]+)\s+(?P<value>\S.*)$")
# "serial number is HW22 area is Leeds", spoken without a comma: a key of two words begins where no word in lower case
# is before it.
SPOKEN = re.compile(r"(?:^|(?<=\s))(?P<key>(?:(?<![a-z] )[a-zà-ÿ]+ )?[a-zà-ÿ]+) (?:is|ist|est|es) (?=\S)")
LIST_NAMES = re.compile(
    r"^(?:(?:these|the|following|as)\s+)*(?:particulars|details|values|data|info|follows|angaben|daten|datos|données|dati)$",
    re.IGNORECASE,
)
IS = re.compile(
    r"^(?:(?:my|the|our|die|der|das|le|la|il|el|o|a)\s+)?(?P<key>[^\W\d_][\w ]{1,24}?)\s+"
    r"(?:(?:is|are|ist|sind|est|sont|es|son|è|sono|é|são|zijn)|(?:was|should|must|shall)\b.{0,12}\b(?:be|mistake:))\s+(?P<value>.+)$",
    re.IGNORECASE,
)
FOR_KEY = re.compile(
    r"^(?:for|as|für|pour|para|per|voor)\s+(?:the\s+|a\s+)?(?P<key>[^\W\d_][\w ]{1,24}?)\s+(?:just\s+|please\s+)?"
    r"(?:put|give|use|enter|write|take)\s+(?P<value>.+)$",
    re.IGNORECASE,
)
KNOWN = re.compile(
    rf"^(?:(?:my|the|our|for|to)\s+)*(?P<key>(?:number of \w+|(?:[\w]+ )?(?:{KEYS})))\s+(?P<value>\S.*)$",
    re.IGNORECASE,
)
KNOWN_KEY = re.compile(rf"\b(?:{KEYS})\s+(?!is\b|of\b|in\b|and\b|on\b|field)\w", re.IGNORECASE)
QUOTED_VALUE = re.compile(r"^(?P<key>[^\W\d_]\w*(?: \w+)?)\s+[\"“„«'](?P<value>[^\"“”„«»]+)[\"”“»']$")
LOWER_THEN_VALUE = re.compile(r"^(?P<key>[a-zà-ÿ]+(?: [a-zà-ÿ]+){0,2})\s+(?P<value>(?:[A-ZÀ-Ý\d\"“+(]|\S+@).*)$")
COUNT = re.compile(
    r"^(?:for\s+)?(?P<value>\d+)\s+(?P<key>guests|people|persons|tickets|seats|adults|children|nights|rooms|personen|"
    r"gäste|personnes|personas|persone|pessoas)$",
    re.IGNORECASE,
)
AS_KEY = re.compile(
    r"[\"“„](?P<value>[^\"“”„]+)[\"”“]\s+(?:as|for|into|in|als|como|comme|come)\s+(?:the\s+|a\s+)?(?P<key>\w+)",
    re.IGNORECASE,
)
AS_NAME = re.compile(
    r"\b(?:as|for|als|für|pour|para|per|voor)\s+(?P<value>[A-ZÀ-Ý][\w'’.-]*(?:\s+[A-ZÀ-Ý][\w'’.-]*){1,3})(?=\W|$)"
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
TAIL = re.compile(
    r"[\s,.;!🙏😊❤️♥-]*(?:\b(?:(?:and (?:then )?)?(?:send|submit) (?:it|this|the form)(?: off)?|please|pls|plz|"
    r"(?:many )?thanks?(?: a lot| so much)?|thank ?you(?: so much)?|cheers|ta|sorry|merci|danke(?: schön)?|bitte|"
    r"grazie|gracias|obrigad[oa]|dank je|bedankt|por favor|grande|vergelt's gott)\b"
    r"[\s.!🙏😊❤️♥]*)*$",
    re.IGNORECASE,
)
OPENING = re.compile(
    r"^[^\w\"“„«'+]*(?:(?:for (?:me|us)|to order|to send|with|using|on|an|aus|in|mit|avec|con|com|met|as follows|"
    r"these values|and)\b"
    r"[^\w\"“„«'+]*(?:(?:the|this|these)\s+(?:values:?\s*)?)?)*",
    re.IGNORECASE,
)
NO_VALUE = re.compile(
    r":$|^(?:angaben|details|values|data|daten)\b|"
    r"\b(?:at|on|in|via|through|here|under|auf|unter|über|bei|sur|en|su|op|em)$",
    re.IGNORECASE,
)
LABELLED_NUMBER = re.compile(r"^(?P<key>[^\W\d_][\w'’-]+)\s+(?P<value>\S*\d\S*(?: \S+){0,3})$")
NOT_A_KEY = re.compile(
    r"^(?:the|an?|is|are|same|its?|good|hello|dear|bitte|there|this|that|here|he|she|they|who|what|which|everything|all|nothing|page|form|link|url|formular|formulaire|"
    r"formulario|modulo|do|don't|can|could|would|let|leave|about|every|if|because|so|but|then|"
    r"ich|wir|je|nous|yo|eu|io|ik|wij|for|as|to|at|in|on|from|of|subscribe|register|sign|add|get|put|book|join|apply|please|pls|send|fill|enter|"
    r"request|reserve|submit|i|we|it|als|für|pour|para|per|voor)\b",
    re.IGNORECASE,
)
KNOWN_KEYS = re.compile(rf"(?:[\w]+ )?(?:{KEYS})", re.IGNORECASE)
