// Every post on the page: its address, its time, its text without shortened links.
() => [...document.querySelectorAll('article[data-testid=tweet]')].map(article => {
  const link = article.querySelector('a[href*="/status/"] time')?.closest('a');
  const body = article.querySelector('[data-testid=tweetText]')?.cloneNode(true);
  if (!link || !body) return null;
  const full = body.cloneNode(true);
  for (const img of full.querySelectorAll('img')) img.replaceWith(img.alt);
  for (const a of body.querySelectorAll('a[href]')) if (!a.getAttribute('href').startsWith('/')) a.remove();
  for (const img of body.querySelectorAll('img')) img.replaceWith(img.alt);
  return {url: link.href, at: link.querySelector('time').dateTime, text: full.textContent, bare: body.textContent};
}).filter(Boolean)
