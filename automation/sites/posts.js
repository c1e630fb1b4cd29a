// Every post on the page: its address, its time, its text, and its text without the links that sites shorten.
({post, link, linkFrom, body, time}) => {
  const seen = new Set();
  const clean = (element, withoutLinks) => {
    const copy = element.cloneNode(true);
    // Words for screen readers stand in boxes of one pixel; what is not shown is not the post's text.
    const isShown = [...element.querySelectorAll('*')].map(e => {
      const box = e.getBoundingClientRect();
      return box.width > 1 || box.height > 1 || !e.textContent.trim();
    });
    [...copy.querySelectorAll('*')].forEach((e, number) => { if (!isShown[number]) e.remove(); });
    for (const a of copy.querySelectorAll('a[href]')) {
      const shown = a.textContent.trim();
      if (withoutLinks && !a.getAttribute('href').startsWith('/') && !/^[#@]/.test(shown)) a.remove();
    }
    for (const img of copy.querySelectorAll('img')) img.replaceWith(img.alt);
    for (const br of copy.querySelectorAll('br')) br.replaceWith('\n');
    const lines = [...copy.querySelectorAll('p, div')].filter(e => !e.querySelector('p, div'));
    const text = lines.length ? lines.map(e => e.textContent).join('\n') : copy.textContent;
    return text.replace(/\s*(?:…|\.\.\.)?\s*(?:see|show)? ?more$/i, '');
  };
  return [...document.querySelectorAll(post)].map(found => {
    const anchor = !link ? null : found.matches(link) ? found : found.querySelector(link);
    const id = linkFrom[0] ? found.getAttribute(linkFrom[0]) : '';
    const url = id ? new URL(linkFrom[1].replace('{}', id), location.href).href : anchor ? anchor.href : location.href;
    const key = url.split('#')[0];
    if ((link && !anchor) || (linkFrom[0] && !id) || seen.has(key)) return null;
    const content = body ? found.querySelector(body) : null;
    if (body && !content) return null;
    seen.add(key);
    const stamp = time ? found.querySelector(time) : null;
    const at = stamp && (stamp.dateTime || stamp.getAttribute('datetime') || stamp.content || stamp.textContent || '');
    const cut = content && /(?:…|\.\.\.)\s*(?:see|show)? ?more$/i.test(content.textContent.trim());
    return {url, at: (at || '').trim(), text: content ? clean(content, false) : '',
            bare: content ? clean(content, true) : '', cut: Boolean(cut)};
  }).filter(Boolean);
}
