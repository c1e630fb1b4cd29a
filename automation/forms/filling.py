"""Enters one value into one field and reads it back. A value that does not stand there afterwards is an error."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from automation.errors import ActionError
from automation.forms.matching import Field, Option, choose_option, words

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Page

_YES = frozenset(
    (
        "yes",
        "true",
        "on",
        "1",
        "x",
        "y",
        "checked",
        "check",
        "tick",
        "ticked",
        "agree",
        "agreed",
        "accept",
        "ja",
        "oui",
        "ok",
    )
)
_NO = frozenset(("", "no", "false", "off", "0", "n", "unchecked", "uncheck", "untick", "none", "nein", "non"))
_ACTION_TIMEOUT_MS = 8_000
_TEMPORAL = {
    "date": ("%Y-%m-%d", ("%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d")),
    "time": ("%H:%M", ("%H:%M:%S", "%I:%M %p", "%I:%M%p", "%I %p", "%I%p", "%H.%M")),
    "datetime-local": ("%Y-%m-%dT%H:%M", ("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M")),
    "month": ("%Y-%m", ("%B %Y", "%b %Y", "%m/%Y")),
}


class ValueRefused(ActionError):
    """A field did not take its value; nothing was submitted."""

    code = "value_refused"


def fill(page: Page, one: Field, elements: list[ElementHandle], value: str) -> None:
    """Enter ``value``. Raises: ValueRefused, naming the field, the value and what the field takes."""
    from playwright.sync_api import Error

    if one.disabled or one.readonly:
        raise _refused(one, value, "the field cannot be edited")
    try:
        if one.kind in ("radio", "checkboxes", "aria_radio"):
            _choose_members(one, elements, value)
        elif one.kind in ("checkbox", "aria_checkbox"):
            _check(one, elements[0], value)
        elif one.kind == "select":
            _select(one, elements[0], value)
        elif one.kind in ("combobox", "aria_combobox"):
            _combobox(page, one, elements[0], value)
        elif one.kind == "file":
            raise _refused(one, value, "it takes a file, and Herald does not upload files yet")
        else:
            _type(one, elements[0], value)
    except Error as error:
        reason = error.message.partition("\n")[0]
        raise _refused(one, value, f"the browser could not enter it ({_without_value(reason, value)})") from error


def _type(one: Field, element: ElementHandle, value: str) -> None:
    value = _temporal(one, value) if one.kind in _TEMPORAL else value.replace("\r\n", "\n")
    if one.kind not in ("textarea", "editable") and "\n" in value:
        raise _refused(one, value, "it has one line, and the value has several")
    size = len(value.encode("utf-16-le")) // 2
    if one.max_length and size > one.max_length:
        raise _refused(one, value, f"it takes at most {one.max_length} characters, and the value has {size}")
    if one.kind == "number" and not re.fullmatch(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", value.strip()):
        raise _refused(one, value, "it takes a number such as 4 or 2.5")
    element.fill(value, timeout=_ACTION_TIMEOUT_MS)
    element.dispatch_event("change")
    found = element.inner_text() if one.kind == "editable" else element.input_value()
    if not _is_same(one, value, found):
        raise _refused(one, value, f"it shows {found[:200]!r} instead")


def _is_same(one: Field, value: str, found: str) -> bool:
    if found == value or (one.kind == "editable" and found.strip("\n") == value.strip("\n")):
        return True
    if one.kind == "number":
        try:
            return float(found) == float(value)
        except ValueError:
            return False
    # Fields for telephone and card numbers group the digits while one types; letters and digits must be the same.
    plain = re.sub(r"[\s().\-/]", "", value)
    is_grouped = one.kind in ("tel", "text") and bool(re.fullmatch(r"\+?\d{6,}", plain))
    return (is_grouped and re.sub(r"[\s().\-/]", "", found) == plain) or (
        one.kind == "email" and found == value.strip()
    )


def _temporal(one: Field, value: str) -> str:
    """The value in the form that the browser's field takes. Ambiguous dates (03/04/2026) are refused."""
    target, others = _TEMPORAL[one.kind]
    text = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", value.strip()).replace(",", " ")
    text = " ".join(
        re.sub(r"^(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b", "", text, flags=re.I).split()
    )
    for pattern in (target, *others):
        try:
            return datetime.strptime(text, pattern).strftime(target)  # noqa: DTZ007 - a form's date has no zone
        except ValueError:
            continue
    example = datetime(2026, 12, 24, 19, 30).strftime(target)  # noqa: DTZ001 - only an example
    raise _refused(one, value, f"it takes a {one.kind.removesuffix('-local')} such as {example}")


def _check(one: Field, element: ElementHandle, value: str) -> None:
    plain = " ".join(words(value))
    if plain in _YES or any(words(value) == words(name) for name in one.names):
        wanted = True
    elif plain in _NO:
        wanted = False
    else:
        raise _refused(one, value, "it is a checkbox, which takes yes or no")
    if _is_checked(element) != wanted:
        _click_choice(element)
    if _is_checked(element) != wanted:
        raise _refused(one, value, "the checkbox did not change when it was clicked")


def _choose_members(one: Field, elements: list[ElementHandle], value: str) -> None:
    """Radio buttons take one option; a group of checkboxes takes several, separated by commas, semicolons or lines."""
    whole = choose_option(value, one.options)
    if whole is not None:
        chosen = [whole]
    elif one.kind == "checkboxes":
        chosen = [_option(one, part) for part in re.split(r"[,;\n]| and ", value) if part.strip()]
    else:
        chosen = [_option(one, value)]
    for option, element in zip(one.options, elements, strict=True):
        wanted = option in chosen
        if _is_checked(element) != wanted and (wanted or one.kind == "checkboxes"):
            _click_choice(element)
        if _is_checked(element) != wanted:
            raise _refused(one, value, f"“{option.label}” did not change when it was clicked")


def _select(one: Field, element: ElementHandle, value: str) -> None:
    whole = choose_option(value, one.options)
    parts = [value] if whole is not None or not one.multiple else [p for p in re.split(r"[,;\n]", value) if p.strip()]
    indexes = [one.options.index(_option(one, part)) for part in parts]
    element.select_option(index=indexes, timeout=_ACTION_TIMEOUT_MS)
    selected = element.evaluate("e => [...e.options].map((o, i) => o.selected ? i : -1).filter(i => i >= 0)")
    if selected != sorted(indexes):
        raise _refused(one, value, "another option is selected afterwards")


def _combobox(page: Page, one: Field, element: ElementHandle, value: str) -> None:
    """A list built of scripts: open it, type to narrow it where one can type, click the option, look at what stands."""
    is_input = one.kind == "combobox"
    element.click(timeout=_ACTION_TIMEOUT_MS)
    if is_input:
        element.fill(value, timeout=_ACTION_TIMEOUT_MS)
    options = page.locator("[role=option]:visible")
    waited_ms = 0
    while True:
        shown = [
            Option(" ".join((options.nth(i).inner_text() or "").split()), "") for i in range(min(options.count(), 300))
        ]
        choice = choose_option(value, shown)
        if choice is not None or waited_ms >= 3_000:
            break
        page.wait_for_timeout(200)
        waited_ms += 200
    if choice is None:
        page.keyboard.press("Escape")
        raise _refused(one, value, _choices(shown))
    options.nth(shown.index(choice)).click(timeout=_ACTION_TIMEOUT_MS)
    page.wait_for_timeout(100)
    stands = element.input_value() if is_input else element.inner_text()
    if not set(words(choice.label)) <= set(words(stands)):
        raise _refused(one, value, f"it shows {stands[:200]!r} after “{choice.label}” was chosen")


def _option(one: Field, value: str) -> Option:
    option = choose_option(value, one.options)
    if option is None:
        raise _refused(one, value, _choices(one.options))
    return option


def _choices(options: tuple[Option, ...] | list[Option]) -> str:
    labels = [o.label for o in options if o.label and not o.disabled and not _is_placeholder(o)]
    return (
        "its choices are: " + ", ".join(f"“{label[:60]}”" for label in labels[:30])
        if labels
        else "it offers no choices"
    )


def _is_placeholder(option: Option) -> bool:
    return not option.value and bool(re.match(r"(?:please|choose|select|pick|-|—|…)", option.label, re.I))


def _is_checked(element: ElementHandle) -> bool:
    return bool(element.evaluate("e => 'checked' in e ? e.checked : e.getAttribute('aria-checked') === 'true'"))


def _click_choice(element: ElementHandle) -> None:
    """Click a checkbox or radio button, or its label where the button itself is hidden behind a drawing."""
    from playwright.sync_api import Error

    try:
        element.click(timeout=2_000)
    except Error:
        element.evaluate("e => (e.labels && e.labels[0] ? e.labels[0] : e).click()")


def _refused(one: Field, value: str, reason: str) -> ValueRefused:
    shown = "the value" if one.kind == "password" else f"“{value[:100]}”"
    return ValueRefused(
        f"Nothing was submitted: the field “{one.title}” did not take {shown}: {reason}.",
        hint="Edit the value and approve the action again.",
    )


def _without_value(text: str, value: str) -> str:
    return text.replace(value, "…") if value else text
