// The control that submits the form of the given elements: {form, button}. Either may be null.
// A chosen button is taken when it belongs to that form.
([elements, chosen]) => {
  const good = /\b(send|submit|book|reserve|sign ?up|subscribe|register|continue|next|order|save|request|apply|join|confirm|contact|search|log ?in|sign ?in|senden|absenden|abschicken|buchen|anmelden|weiter|bestellen|envoyer|enviar|invia)\b/i;
  const bad = /\b(reset|clear|cancel|close|back|previous|delete|remove|add|upload|browse|show|hide|menu|facebook|google|apple|help|abbrechen|löschen|zurück)\b/i;
  const isShown = (el) => {
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && getComputedStyle(el).visibility !== 'hidden';
  };
  const label = (el) => (el.innerText || el.value || el.getAttribute('aria-label') || el.title || el.alt || '').trim();
  const score = (el) => {
    const text = label(el);
    const own = (el.type === 'submit' || el.type === 'image') && el.form ? 2 : 0;
    return own + (good.test(text) ? 3 : 0) - (bad.test(text) ? 6 : 0) - (el.type === 'reset' ? 20 : 0);
  };
  const isButton = 'button, input[type=submit], input[type=image], input[type=button], [role=button], a[class*=button i], a[class*=btn i]';
  const isOption = (el) => el.closest('[role=combobox], [role=listbox], [role=radiogroup], [role=dialog] [aria-label*=cookie i]');
  const pick = (buttons) => {
    const usable = buttons.filter((b) => isShown(b) && !isOption(b) && !elements.includes(b));
    let best = null;
    for (const button of usable) if (score(button) >= 0 && (!best || score(button) > score(best))) best = button;
    return best;
  };
  const form = elements[0].form || elements[0].closest('form, [role=form]');
  if (chosen && (form ? chosen.form === form || form.contains(chosen) : !chosen.form)) return {form, button: chosen};
  if (form) {
    const inside = [...form.querySelectorAll(isButton)];
    const outside = form.elements ? [...form.elements].filter((e) => e.matches(isButton) && !inside.includes(e)) : [];
    const submitters = [...inside, ...outside].filter((b) => (b.type === 'submit' || b.type === 'image') && b.form);
    return {form, button: pick(submitters) || pick([...inside, ...outside])};
  }
  let box = elements[0].parentElement;
  while (box && !elements.every((e) => box.contains(e))) box = box.parentElement;
  for (; box; box = box.parentElement) {
    const after = [...box.querySelectorAll(isButton)].filter((b) => !b.form);
    const button = pick(after);
    if (button) return {form: null, button};
  }
  return {form: null, button: null};
}
