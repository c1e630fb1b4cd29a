// Every field of the document that a person could fill in, with all the names it goes by.
// Returns {fields: [...], elements: [[element, ...], ...], forms: [...]}; fields[i] is about elements[i].
() => {
  const squeeze = (text) => (text || '').replace(/\s+/g, ' ').trim();
  const roots = [document];
  for (const root of roots) {
    for (const node of root.querySelectorAll('*')) if (node.shadowRoot) roots.push(node.shadowRoot);
  }
  const all = (selector) => roots.flatMap((root) => [...root.querySelectorAll(selector)]);
  const isShown = (el) => {
    const box = el.getBoundingClientRect();
    if (box.width < 1 || box.height < 1 || box.right < 0 || box.bottom + scrollY < 0) return false;
    const style = getComputedStyle(el);
    return style.visibility !== 'hidden' && style.display !== 'none';
  };
  const textOf = (el) => {
    if (!el) return '';
    const copy = el.cloneNode(true);
    for (const inner of copy.querySelectorAll('input, select, textarea, button, script, style, option')) inner.remove();
    return squeeze(copy.textContent).slice(0, 200);
  };
  const byIds = (el, attribute) => squeeze((el.getAttribute(attribute) || '').split(/\s+/).filter(Boolean)
    .map((id) => textOf(el.getRootNode().getElementById ? el.getRootNode().getElementById(id) : null)).join(' '));
  const labelsOf = (el) => [...(el.labels || [])].map(textOf);
  const nearby = (el) => {
    // What stands before an unlabelled field: in the same cell, the cell before, or just above.
    let node = el;
    for (let depth = 0; node && depth < 3; depth++, node = node.parentElement) {
      let before = node.previousSibling;
      while (before && !squeeze(before.textContent)) before = before.previousSibling;
      if (before) {
        const holdsField = before.nodeType === 1 && (before.matches('input, select, textarea')
          || before.querySelector('input, select, textarea'));
        const text = before.nodeType === 1 ? textOf(before) : squeeze(before.textContent);
        return holdsField || text.length > 80 ? '' : text;
      }
      if (node.matches('form, fieldset, body, main, section')) return '';
    }
    return '';
  };
  const sectionOf = (el) => {
    const set = el.closest('fieldset, [role=group]');
    return set ? squeeze(textOf(set.querySelector('legend')) || set.getAttribute('aria-label') || byIds(set, 'aria-labelledby')) : '';
  };
  const namesOf = (el) => {
    const shown = [byIds(el, 'aria-labelledby'), el.getAttribute('aria-label'), ...labelsOf(el)].map(squeeze).filter(Boolean);
    const rest = [el.getAttribute('placeholder'), el.getAttribute('name'), el.getAttribute('title'), el.id];
    if (!shown.length) rest.unshift(nearby(el));
    const section = sectionOf(el);
    if (section && shown.length) rest.push(section + ' ' + shown[0], shown[0] + ' ' + section);
    return [...shown, ...rest].map(squeeze).filter(Boolean).map((name) => name.slice(0, 200));
  };
  const groupNames = (el, members) => {
    const group = el.closest('[role=radiogroup], [role=group], fieldset');
    const found = group && members.every((m) => group.contains(m)) ? [
      byIds(group, 'aria-labelledby'), group.getAttribute('aria-label'), textOf(group.querySelector('legend')),
    ] : [];
    const names = found.map(squeeze).filter(Boolean);
    if (!names.length) {
      let box = members[0].parentElement;
      while (box && !members.every((m) => box.contains(m))) box = box.parentElement;
      const first = members[0].closest('label') || members[0];
      let lead = box && box !== document.body ? nearby(first) : '';
      if (!lead && box) lead = nearby(box);
      names.push(lead);
    }
    return [...names, members[0].getAttribute('name')].map(squeeze).filter(Boolean);
  };
  const optionLabel = (el) => squeeze(labelsOf(el)[0] || el.getAttribute('aria-label') || byIds(el, 'aria-labelledby')
    || textOf(el) || (el.nextSibling && squeeze(el.nextSibling.textContent)) || el.value || '');

  const path = CSS_PATH;
  // What finds the field again in a later run, beside its kind and its name.
  const marksOf = (el, isGroup) => ({
    label: isGroup ? '' : labelsOf(el)[0] || '', text: squeeze(el.getAttribute('placeholder')), id: isGroup ? '' : el.id,
    attr: el.getAttribute('name') || '', path: path(el),
  });

  const forms = [];
  const groupOf = (el) => {
    const form = el.form || el.closest('form, [role=form]');
    if (!form) return -1;
    if (!forms.includes(form)) forms.push(form);
    return forms.indexOf(form);
  };
  const fields = [], elements = [], seen = new Set();
  const add = (field, members) => { fields.push(field); elements.push(members); };
  const base = (el, kind) => ({
    kind, names: namesOf(el), marks: marksOf(el, ['radio', 'checkboxes', 'aria_radio'].includes(kind)), section: sectionOf(el), group: groupOf(el), options: [], required: el.required || el.getAttribute('aria-required') === 'true',
    disabled: !!el.disabled || el.getAttribute('aria-disabled') === 'true', readonly: !!el.readOnly,
    max_length: el.maxLength > 0 ? el.maxLength : 0, multiple: !!el.multiple,
  });

  const natives = all('input, textarea, select');
  for (const el of natives) {
    const type = el.tagName === 'SELECT' ? 'select' : el.tagName === 'TEXTAREA' ? 'textarea' : el.type;
    if (['hidden', 'submit', 'button', 'reset', 'image'].includes(type) || seen.has(el)) continue;
    const isChoice = type === 'radio' || type === 'checkbox';
    if (!isShown(el) && !(isChoice && [...(el.labels || [])].some(isShown)) && !(type === 'select' && isShown(el.parentElement))) continue;
    if (isChoice) {
      const members = el.name ? natives.filter((o) => o.type === type && o.name === el.name && o.form === el.form) : [el];
      if (type === 'radio' || members.length > 1) {
        members.forEach((m) => seen.add(m));
        add({...base(el, type === 'radio' ? 'radio' : 'checkboxes'), names: groupNames(el, members),
          options: members.map((m) => ({label: optionLabel(m), value: m.value, disabled: m.disabled}))}, members);
        continue;
      }
    }
    const field = base(el, type === 'text' && el.getAttribute('role') === 'combobox' ? 'combobox' : type);
    if (type === 'checkbox') field.names = [...new Set([optionLabel(el), ...field.names])].filter(Boolean);
    if (type === 'select') {
      field.options = [...el.options].map((o) => ({label: squeeze(o.label || o.text), value: o.value, disabled: o.disabled}));
    }
    if (el.list) field.options = [...el.list.options].map((o) => ({label: squeeze(o.label || o.value), value: o.value, disabled: false}));
    add(field, [el]);
  }
  for (const el of all('[role=combobox], [role=listbox], [role=checkbox], [role=switch], [role=radiogroup], [contenteditable]')) {
    if (seen.has(el) || el.matches('input, select, textarea') || !isShown(el)) continue;
    const role = el.getAttribute('role');
    if (el.hasAttribute('contenteditable') && role !== 'combobox') {
      if (el.isContentEditable && !el.parentElement?.isContentEditable) add(base(el, 'editable'), [el]);
    } else if (role === 'checkbox' || role === 'switch') {
      const field = base(el, 'aria_checkbox');
      field.names = [...new Set([...field.names, textOf(el)])].filter(Boolean);
      add(field, [el]);
    } else if (role === 'radiogroup') {
      const members = [...el.querySelectorAll('[role=radio]')];
      if (members.length) {
        add({...base(el, 'aria_radio'), names: groupNames(members[0], members),
          options: members.map((m) => ({label: optionLabel(m), value: m.dataset.value || '', disabled: false}))}, members);
      }
    } else if (role === 'combobox') add(base(el, 'aria_combobox'), [el]);
  }
  const describe = (form) => squeeze(form.getAttribute('aria-label') || byIds(form, 'aria-labelledby')
    || textOf(form.querySelector('h1, h2, h3, h4, legend')) || form.getAttribute('name') || form.id);
  return {fields, elements, forms, form_names: forms.map(describe)};
}
