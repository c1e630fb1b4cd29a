// Every control of the document that could send a form: {marks: [...], elements: [...]}. With an element: that one alone.
(only) => {
  const squeeze = (text) => (text || '').replace(/\s+/g, ' ').trim().slice(0, 200);
  const isButton = 'button, input[type=submit], input[type=image], input[type=button], [role=button], a[class*=button i], a[class*=btn i]';
  const isShown = (el) => {
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && getComputedStyle(el).visibility !== 'hidden';
  };
  const roots = [document];
  for (const root of roots) {
    for (const node of root.querySelectorAll('*')) if (node.shadowRoot) roots.push(node.shadowRoot);
  }
  const path = CSS_PATH;
  const target = (el) => {
    const form = el.form || el.closest('form');
    if (!form) return '';
    try { return new URL(el.hasAttribute('formaction') ? el.formAction : form.getAttribute('action') || '', document.baseURI).origin; } catch { return ''; }
  };
  const title = (el) => squeeze(el.getAttribute('aria-label') || el.innerText || el.value || el.alt || el.title);
  const marks = (el) => ({role: 'button: ' + title(el), target: target(el), id: el.id, attr: el.getAttribute('name') || '', path: path(el)});
  const elements = only ? [only] : roots.flatMap((root) => [...root.querySelectorAll(isButton)]).filter(isShown);
  return {elements, buttons: elements.map((el) => ({title: title(el), marks: marks(el)}))};
}
