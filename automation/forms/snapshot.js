// What the page shows now: its lines, its live regions, its error marks.
() => {
  const isShown = (el) => el.getClientRects().length > 0 && getComputedStyle(el).visibility !== 'hidden';
  const text = (el) => (el.innerText || '').replace(/\s+/g, ' ').trim().slice(0, 300);
  const gather = (selector) => [...new Set([...document.querySelectorAll(selector)].filter(isShown).map(text))].filter(Boolean);
  const nameOf = (e) => ((e.labels && e.labels[0] && e.labels[0].innerText) || e.getAttribute('aria-label') || e.name || '').trim();
  return {
    lines: (document.body ? document.body.innerText : '').slice(0, 200000).split('\n').map((l) => l.trim()).filter(Boolean),
    status: gather('[role=alert], [role=status], [aria-live=polite], [aria-live=assertive], output'),
    errors: gather('[class*=error i], [class*=invalid i], [id*=error i], .help-block, .alert-danger, [class*=danger i]'),
    invalid: [...document.querySelectorAll('[aria-invalid=true]')].filter(isShown).map(nameOf),
    has_form: [...document.querySelectorAll('input:not([type=hidden]), textarea, select')].some(isShown),
  };
}
