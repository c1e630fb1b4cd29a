"""What stands before a page: cookie banners (answered, refusing what can be refused) and captchas (only named)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Error

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CAPTCHA_FRAMES = (
    "iframe[src*='recaptcha/api2/anchor'], iframe[src*='recaptcha/api2/bframe'], iframe[src*='recaptcha/enterprise'], "
    "iframe[src*='hcaptcha.com'], iframe[src*='challenges.cloudflare.com'], iframe[src*='arkoselabs'], "
    "iframe[src*='funcaptcha'], iframe#arkoseFrame, [data-testid=ocfArkoseFrame], "
    ".g-recaptcha:not([data-size=invisible]), "
    ".h-captcha:not([data-size=invisible]), .cf-turnstile, input[name*=captcha i]:not([type=hidden]), "
    "img[src*=captcha i], #captcha_container, .captcha-verify-container, #captcha-internal"
)
_REFUSE = re.compile(
    r"^(?:refuse|reject|decline|deny)\b|only (?:necessary|essential|required)|^continue without"
    r"|(?:necessary|essential|required) (?:cookies )?only|^(?:alle )?ablehnen|^nur (?:notwendige|erforderliche)"
    r"|^tout refuser|^continuer sans|^rechazar|^rifiuta",
    re.I,
)
_ACCEPT = re.compile(
    r"^(?:accept|agree|allow|i agree|i accept|got it|ok)\b|^alle akzeptieren|^akzeptieren"
    r"|^tout accepter|^accepter|^aceptar|^accetta",
    re.I,
)
# Buttons inside what is visibly about cookies: a dialog, or a container whose name says so.
_FIND_BANNER_BUTTONS = """() => {
  const about = /cookie|consent|gdpr|privacy/i;
  const boxes = [...document.querySelectorAll(
    '[role=dialog], [role=alertdialog], dialog[open], [aria-modal=true], [id*=cookie i], [class*=cookie i], '
    + '[id*=consent i], [class*=consent i], [id*=onetrust i], [data-testid=BottomBar]')];
  const found = [];
  for (const box of boxes) {
    const names = box.id + ' ' + box.className + ' ' + (box.getAttribute('aria-label') || '');
    if (!about.test(names) && !about.test(box.innerText.slice(0, 2000))) continue;
    if (box.querySelector('input:not([type=checkbox]):not([type=button]):not([type=submit]), textarea')) continue;
    for (const b of box.querySelectorAll('button, [role=button], input[type=button], input[type=submit]')) {
      const r = b.getBoundingClientRect();
      if (r.width && r.height && !found.includes(b)) found.push(b);
    }
  }
  return found;
}"""


def dismiss_consent(page: Page) -> bool:
    """Answer a cookie banner, if there is one, with the button that allows least. Returns whether one was answered."""
    try:
        handle = page.evaluate_handle(_FIND_BANNER_BUTTONS)
        buttons = [b for b in (p.as_element() for p in handle.get_properties().values()) if b is not None]
        for wanted in (_REFUSE, _ACCEPT):
            for button in buttons:
                label = (button.inner_text() or button.get_attribute("value") or "").strip()
                if wanted.search(label):
                    button.click(timeout=3_000)
                    page.wait_for_timeout(200)
                    return True
    except Error:
        return False  # it went away by itself, or covers nothing that is needed
    return False


def has_captcha(page: Page) -> bool:
    """Whether a puzzle that is meant for people is to be seen on the page."""
    candidates = page.locator(_CAPTCHA_FRAMES)
    return any(candidates.nth(i).is_visible() for i in range(min(candidates.count(), 10)))
