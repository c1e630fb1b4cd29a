(el) => {
  const steps = [];
  for (let node = el; node && node.nodeType === 1 && steps.length < 12; node = node.parentElement) {
    const alike = node.parentElement ? [...node.parentElement.children].filter((o) => o.tagName === node.tagName) : [node];
    steps.unshift(node.tagName.toLowerCase() + (alike.length > 1 ? ':nth-of-type(' + (alike.indexOf(node) + 1) + ')' : ''));
  }
  return steps.join(' > ');
}
