// The text that stands in an editable element, one line for each of its blocks.
(root) => {
  const blocks = new Set(['DIV', 'P', 'LI', 'SECTION']);
  let text = '', started = false, afterBlock = false;
  const walk = (node) => {
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) {
        if (!child.data) continue;
        if (afterBlock) { text += '\n'; afterBlock = false; }
        text += child.data; started = true;
      } else if (child.nodeName === 'BR') {
        const isFiller = child.parentNode.lastChild === child;
        if (!isFiller) text += '\n';
        started = true;
      } else if (child.nodeName === 'IMG') {
        text += child.alt; started = true;
      } else if (blocks.has(child.nodeName)) {
        // Draft.js wraps blocks in blocks: only a block that holds no other block is a line.
        const isLine = ![...child.children].some(c => blocks.has(c.nodeName));
        if (isLine && started) text += '\n';
        if (isLine) { started = true; afterBlock = false; }
        walk(child);
        if (isLine) afterBlock = true;
      } else if (child.nodeType === Node.ELEMENT_NODE) {
        walk(child);
      }
    }
  };
  walk(root);
  return text;
}
