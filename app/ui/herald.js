/* Herald's page script: lays keyed pieces of HTML in place, turns presses of buttons into Gradio events, sends files and
 * passwords straight to the API, and keeps times and waiting lines current. The server renders and decides; this moves. */
(() => {
  "use strict";
  const CONFIRM_MS = 4000;
  const POLL_LIVE_MS = 800;
  const POLL_OPEN_MS = 10000;
  const HEALTH_MS = 15000;
  const BEGIN_TIMEOUT_MS = 15000;
  const NEAR_END_PX = 140;

  const herald = (window.herald = { scope: "", pendingSince: 0, isStopped: false, lastSent: "", views: new Map(), triggers: {} });
  const elapsedStarts = new Map();

  // -- the address names the conversation ------------------------------------------------------------------------

  herald.scopeOfAddress = () => new URLSearchParams(location.search).get("c") || "";

  function setScope(scope, addToHistory) {
    herald.scope = scope;
    markCurrentConversation();
    if (herald.scopeOfAddress() === scope) return;
    const url = new URL(location.href);
    if (scope) url.searchParams.set("c", scope);
    else url.searchParams.delete("c");
    history[addToHistory ? "pushState" : "replaceState"](null, "", url);
  }

  window.addEventListener("popstate", () => {
    const scope = herald.scopeOfAddress();
    if (scope !== herald.scope) herald.triggers.conversations?.(scope ? "open" : "fresh", { id: scope });
  });

  function markCurrentConversation() {
    for (const row of document.querySelectorAll(".h-conversation")) {
      if (row.dataset.conversation === herald.scope) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  // -- the message box ---------------------------------------------------------------------------------------------

  const messageBox = () => document.querySelector("#message textarea");

  function setMessage(text) {
    const box = messageBox();
    if (!box) return;
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
    box.setSelectionRange(text.length, text.length);
  }

  function isBusy() {
    const waits = herald.pendingSince && Date.now() - herald.pendingSince < BEGIN_TIMEOUT_MS;
    return Boolean(waits || document.querySelector("#transcript [data-turn-live]"));
  }

  function showBusy() {
    document.body.classList.toggle("h-busy", isBusy());
  }

  /* What a press of Enter sends: nothing while a reply is being written, so that the typed text stays where it is. */
  herald.begin = (message) => {
    if (isBusy() || !message || !message.trim()) return ["", herald.scope];
    herald.pendingSince = Date.now();
    herald.isStopped = false;
    herald.lastSent = message;
    showBusy();
    return [message, herald.scope];
  };

  /* What was on its way when Stop was pressed comes after the answer to Stop, and must not bring the turn back. */
  herald.stop = () => {
    herald.isStopped = true;
    herald.pendingSince = 0;
    return [herald.scope];
  };

  // -- keyed views -------------------------------------------------------------------------------------------------

  herald.keyedView = (element, trigger, events, props, watch) => {
    const name = element.querySelector("[data-view]").dataset.view;
    const known = herald.views.get(name);
    const view = known || { name, nodes: new Map(), root: element.querySelector("[data-view]"), scope: "", timer: 0 };
    if (known) element.querySelector("[data-view]").replaceWith(view.root);
    view.trigger = trigger;
    herald.views.set(name, view);
    delegate(element, trigger, events, () => ({ scope: herald.scope }));
    const take = () => props.value && typeof props.value === "object" && applyView(view, props.value);
    watch("value", take);
    take();
    if (!known) schedulePoll(view);
  };

  function applyView(view, value) {
    const isChat = view.name === "transcript";
    const shown = isChat ? herald.scope : view.scope;
    if (isChat && value.origin === "turn" && herald.isStopped) return;
    if (isChat && value.origin === "turn") herald.pendingSince = 0;
    if (value.mode === "patch" && isChat && value.scope !== shown) return;
    if (value.mode === "replace" && value.expect !== null && value.expect !== undefined && value.expect !== shown) return;
    if (value.origin === "poll" && isChat && isBusy()) return;
    const scroller = view.root.closest("#transcript");
    const wasAtEnd = !scroller || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    const isOther = value.mode === "replace" && isChat && value.scope !== shown;
    if (value.mode === "replace") {
      if (isChat) setScope(value.scope, Boolean(shown) || value.expect === null);
      replaceAll(view, value.items);
    } else {
      for (const piece of value.items) place(view, piece);
    }
    if (value.adopt && isChat) setScope(value.adopt, true);
    if (value.restore && messageBox() && !messageBox().value) setMessage(value.restore);
    if (scroller && (wasAtEnd || isOther || value.origin === "card")) settleAtEnd(scroller, value.origin === "card");
    if (isOther) closeMenu();
    showBusy();
    refreshTexts();
    schedulePoll(view);
  }

  function settleAtEnd(scroller, isGentle) {
    if (isGentle) return;
    scroller.scrollTop = scroller.scrollHeight;
    for (const image of scroller.querySelectorAll("img")) {
      if (!image.complete) image.addEventListener("load", () => { scroller.scrollTop = scroller.scrollHeight; }, { once: true });
    }
  }

  function replaceAll(view, items) {
    const wanted = new Set(items.filter((piece) => piece.html).map((piece) => piece.key));
    for (const [key, node] of view.nodes) {
      const belongsToWanted = key.startsWith("n:") && wanted.has(`a:${key.slice(2)}`) && view.name !== "transcript";
      if (!wanted.has(key) && !belongsToWanted) remove(view, key, node);
    }
    let previous = null;
    for (const piece of items) {
      if (!piece.html) continue;
      const node = place(view, { ...piece, after: "" });
      const next = previous ? previous.nextSibling : view.root.firstChild;
      if (next !== node) view.root.insertBefore(node, next);
      previous = node;
      const notice = view.nodes.get(`n:${piece.key.slice(2)}`);
      if (notice && piece.key.startsWith("a:")) previous.after(notice), (previous = notice);
    }
  }

  function place(view, piece) {
    const old = view.nodes.get(piece.key);
    if (!piece.html) {
      if (old) remove(view, piece.key, old);
      return null;
    }
    if (old && old.heraldHtml === piece.html) return old;
    const node = document.createElement("div");
    node.className = "h-item";
    node.dataset.key = piece.key;
    node.heraldHtml = piece.html;
    node.innerHTML = piece.html;
    view.nodes.set(piece.key, node);
    if (old) {
      const hadFocus = old.contains(document.activeElement);
      old.replaceWith(node);
      if (hadFocus) node.querySelector("[tabindex]")?.focus({ preventScroll: true });
    } else {
      const anchor = piece.after && view.nodes.get(piece.after);
      if (anchor) anchor.after(node);
      else view.root.append(node);
    }
    return node;
  }

  function remove(view, key, node) {
    node.remove();
    view.nodes.delete(key);
    for (const timed of node.querySelectorAll("[data-elapsed]")) elapsedStarts.delete(timed.dataset.elapsed);
  }

  /* Cards under way are asked about often, open ones now and then, and nothing while the page is hidden. */
  function schedulePoll(view) {
    clearTimeout(view.timer);
    const isLive = view.root.querySelector("[data-live]");
    const isOpen = isLive || view.root.querySelector('.h-card[data-status="awaiting_approval"]');
    if (!isOpen && view.name === "transcript") return;
    view.timer = setTimeout(() => {
      const isSeen = document.visibilityState === "visible" && view.root.offsetParent !== null;
      if (isSeen && !isBusy() && (view.name !== "transcript" || herald.scope)) {
        const keys = [...view.root.querySelectorAll("[data-live]")].map((n) => n.closest(".h-item").dataset.key);
        view.trigger("poll", { scope: herald.scope, keys: keys.flatMap((key) => [key, key.replace(/^f:/, "a:")]) });
      }
      schedulePoll(view);
    }, isLive ? POLL_LIVE_MS : POLL_OPEN_MS);
  }

  // -- presses, inputs, forms ----------------------------------------------------------------------------------------

  herald.wire = (element, trigger, events, props, watch, hasSlot) => {
    delegate(element, trigger, events, () => ({}));
    const id = element.closest("[id]:not([id^='html-'])")?.id;
    if (id) herald.triggers[id] = trigger;
    const drop = element.querySelector("[data-drop]");
    if (drop) wireDrop(element, drop, trigger);
    const zone = element.querySelector("[data-own-time-zone]");
    if (zone) zone.defaultValue = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const update = () => {
      if (hasSlot && props.value && typeof props.value === "object") {
        element.querySelector("[data-slot]").innerHTML = props.value.html;
      }
      markCurrentConversation();
      refreshTexts();
    };
    watch("value", update);
    update();
  };

  function delegate(element, trigger, events, more) {
    const send = (name, data) => events.includes(name) && trigger(name, { ...data, ...more() });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button || button.disabled || !element.contains(button)) return;
      if (button.dataset.example !== undefined) return setMessage(button.dataset.example);
      if (button.dataset.menu !== undefined) return toggleMenu();
      if (button.dataset.edit !== undefined) return showForm(button.closest(".h-card"), true);
      if (button.dataset.cancelEdit !== undefined) return showForm(button.closest(".h-card"), false);
      if (button.dataset.addRow !== undefined) return addRow(button);
      if (button.dataset.removeRow !== undefined) return button.closest(".h-map-row").remove();
      if (button.dataset.copy !== undefined) return copyOnce(button);
      if (!(button.dataset.event || button.dataset.call)) return undefined;
      if (button.dataset.confirm && !isConfirmed(button)) return undefined;
      if (button.dataset.call) return callApi(button, trigger);
      if (["approve", "reject", "cancel"].includes(button.dataset.event)) lock(button);
      return send(button.dataset.event, { ...button.dataset });
    });
    element.addEventListener("submit", (event) => {
      if (event.target.hasAttribute("action")) return undefined; // an ordinary form, which leaves the page
      event.preventDefault();
      const form = event.target;
      if (form.dataset.apiPost) return postForm(form, trigger);
      return send(form.dataset.event, form.matches(".h-edit") ? editData(form) : Object.fromEntries(new FormData(form)));
    });
    element.addEventListener("change", (event) => event.target.dataset?.openProject !== undefined && openProject(event.target));
    let wait = 0;
    element.addEventListener("input", (event) => {
      const name = event.target.dataset?.inputEvent;
      if (!name) return;
      clearTimeout(wait);
      wait = setTimeout(() => send(name, { value: event.target.value }), 250);
    });
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const card = event.target.closest(".h-card");
      if (card && event.target.closest(".h-edit")) showForm(card, false);
    });
  }

  /* A second press within some seconds confirms; no dialog takes the page away. */
  function isConfirmed(button) {
    if (button.dataset.asked) return true;
    const before = button.innerHTML;
    button.dataset.asked = "1";
    button.classList.add("h-asking");
    button.textContent = button.dataset.confirm;
    setTimeout(() => {
      delete button.dataset.asked;
      button.classList.remove("h-asking");
      button.innerHTML = before;
    }, CONFIRM_MS);
    return false;
  }

  function lock(button) {
    const card = button.closest(".h-card");
    const buttons = [...card.querySelectorAll(".h-decision button")];
    card.focus({ preventScroll: true }); // a disabled button would drop the focus to the page's top
    const states = buttons.map((b) => b.disabled);
    buttons.forEach((b) => { b.disabled = true; });
    button.classList.add("h-pressed");
    setTimeout(() => buttons.forEach((b, i) => { b.disabled = states[i]; b.classList.remove("h-pressed"); }), 6000);
  }

  // -- the edit form -------------------------------------------------------------------------------------------------

  function showForm(card, isShown) {
    const form = card.querySelector(".h-edit");
    form.hidden = !isShown;
    card.classList.toggle("h-editing", isShown);
    if (isShown) {
      const first = form.querySelector("textarea, input:not([type=hidden])");
      first?.focus();
    } else {
      form.reset();
      card.querySelector("[data-edit]")?.focus();
    }
  }

  function addRow(button) {
    const map = button.closest(".h-map");
    button.before(map.querySelector("template").content.cloneNode(true));
    [...map.querySelectorAll("[data-map-name]")].pop().focus();
  }

  function editData(form) {
    const params = {};
    for (const field of form.querySelectorAll("[data-field]")) params[field.dataset.field] = fieldValue(field);
    return { action: form.dataset.action, params };
  }

  function fieldValue(field) {
    const control = field.matches("input") ? field : field.querySelector("input, textarea, select");
    switch (field.dataset.kind) {
      case "map": {
        const rows = [...field.querySelectorAll(".h-map-row")];
        const pairs = rows.map((row) => [row.querySelector("[data-map-name]").value, row.querySelector("[data-map-value]").value]);
        return Object.fromEntries(pairs.filter(([name, value]) => name || value));
      }
      case "boolean": return control.checked;
      case "number": return control.value === "" ? null : Number(control.value);
      case "json": case "const":
        try { return JSON.parse(control.value); } catch { return control.value; }
      default: return control.value;
    }
  }

  // -- straight to the API: passwords and files ------------------------------------------------------------------------

  async function problemOf(response) {
    if (response.status === 401) location.assign("/signin");
    try { return (await response.json()).error; } catch { return { message: `The server answered ${response.status}.`, hint: "Try again." }; }
  }

  const UNREACHABLE = { message: "Herald does not answer.", hint: "Is it still running? Start it with ./scripts/up." };

  function errorBox(problem) {
    const box = document.createElement("div");
    box.className = "h-error";
    box.setAttribute("role", "alert");
    const words = document.createElement("div");
    for (const [text, kind] of [[problem.message, ""], [problem.hint, "h-hint"]]) {
      if (!text) continue;
      const p = document.createElement("p");
      p.className = kind;
      p.textContent = text;
      words.append(p);
    }
    box.append(words);
    return box;
  }

  /* The API's answer, or null after its refusal was shown in the slot. */
  async function ask(method, path, body, slot) {
    slot.replaceChildren();
    const headers = { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) };
    let response;
    try {
      response = await fetch(path, { method, headers, body: body ? JSON.stringify(body) : undefined });
    } catch {
      slot.append(errorBox(UNREACHABLE));
      return null;
    }
    if (!response.ok) {
      slot.append(errorBox(await problemOf(response)));
      return null;
    }
    return response.json().catch(() => ({}));
  }

  /* A name with a dot is a value of an object; data-number and data-lines say that it is a number or a list. */
  function formBody(form) {
    const body = {};
    for (const field of form.elements) {
      if (!field.name || (field.dataset.optional !== undefined && !field.value.trim())) continue;
      const [name, inner] = field.name.split(".");
      const holder = inner ? (body[name] ??= {}) : body;
      const key = inner || name;
      if (field.type === "checkbox") (holder[key] ??= []).push(...(field.checked ? [field.value] : []));
      else if (field.dataset.number !== undefined) holder[key] = Number(field.value);
      else if (field.dataset.lines !== undefined) holder[key] = field.value.split("\n").map((line) => line.trim()).filter(Boolean);
      else holder[key] = field.value;
    }
    return body;
  }

  async function postForm(form, trigger) {
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    const method = form.dataset.method || "POST";
    const answer = await ask(method, form.dataset.apiPost, formBody(form), form.querySelector(".h-form-error"));
    button.disabled = false;
    if (!answer) return;
    if (method === "POST") form.reset();
    const fold = form.closest("details");
    if (fold) fold.open = false;
    if (form.dataset.shows) showOnce(form.closest("details").parentElement.querySelector(".h-once"), answer[form.dataset.shows]);
    trigger(form.dataset.done, {});
  }

  /* A button that asks the API itself: data-call="DELETE /api/v1/…". */
  async function callApi(button, trigger) {
    const [method, path] = button.dataset.call.split(" ");
    const holder = button.closest("li, .h-row") || button.parentElement;
    const slot = holder.querySelector(".h-call-error") || holder.appendChild(Object.assign(document.createElement("div"), { className: "h-call-error" }));
    button.disabled = true;
    const answer = await ask(method, path, null, slot);
    button.disabled = false;
    if (!answer) return;
    if (button.dataset.shows) showOnce(document.getElementById(button.dataset.onceIn), answer[button.dataset.shows]);
    if (button.dataset.done === "reload") location.assign("/");
    else trigger(button.dataset.done, {});
  }

  /* What the API says only once stays until the tab is opened again. */
  function showOnce(place, value) {
    const words = document.createElement("p");
    const shown = document.createElement("code");
    const copy = document.createElement("button");
    words.textContent = place.dataset.once;
    shown.textContent = value;
    copy.type = "button";
    copy.className = "h-button";
    copy.dataset.copy = "";
    copy.textContent = "Copy";
    place.replaceChildren(words, shown, copy);
    place.setAttribute("role", "status");
    place.scrollIntoView({ block: "nearest" });
  }

  async function copyOnce(button) {
    const shown = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(shown.textContent);
      button.textContent = "Copied";
    } catch { // an address without https has no clipboard: mark it, so that one press of a key copies
      getSelection().selectAllChildren(shown);
      button.textContent = "Marked: press Ctrl+C";
    }
  }

  /* The server remembers the open project in a cookie; everything on the page is then of another project. */
  async function openProject(select) {
    select.disabled = true;
    const slot = document.createElement("div");
    if (await ask("POST", `/api/v1/projects/${encodeURIComponent(select.value)}/open`, null, slot)) return location.assign("/");
    select.disabled = false;
    select.value = [...select.options].find((option) => option.defaultSelected)?.value;
    select.title = slot.textContent;
    select.closest("#whereabouts").querySelector(".h-call-error")?.remove();
    slot.className = "h-call-error";
    select.before(slot);
    return undefined;
  }

  function wireDrop(element, drop, trigger) {
    const input = drop.querySelector("input[type=file]");
    const list = element.querySelector(".h-uploads");
    let queue = Promise.resolve();
    const add = (files) => {
      for (const file of files) {
        const row = uploadRow(file);
        list.prepend(row.node);
        queue = queue.then(() => upload(drop.dataset.drop, file, row)).then(() => trigger("added", {}));
      }
    };
    input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("h-over"); });
    }
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("h-over"));
    drop.addEventListener("drop", (event) => { event.preventDefault(); add([...event.dataTransfer.files]); });
  }

  function uploadRow(file) {
    const node = document.createElement("li");
    const name = document.createElement("span");
    const state = document.createElement("span");
    const bar = document.createElement("progress");
    name.className = "h-source-name";
    name.textContent = file.name;
    state.className = "h-upload-state";
    state.textContent = "Waiting";
    bar.max = 1;
    bar.value = 0;
    node.append(name, bar, state);
    return { node, state, bar };
  }

  function upload(url, file, row) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const data = new FormData();
      data.append("file", file, file.name);
      const done = (className, text, problem) => {
        row.node.classList.add(className);
        row.state.textContent = text;
        row.bar.remove();
        if (problem) row.node.append(errorBox(problem));
        refreshTexts();
        resolve();
      };
      request.upload.addEventListener("progress", (event) => {
        if (!event.lengthComputable) return;
        row.bar.value = event.loaded / event.total;
        row.state.textContent = `Sending ${Math.round((100 * event.loaded) / event.total)} %`;
      });
      request.upload.addEventListener("load", () => {
        row.bar.removeAttribute("value");
        row.state.innerHTML = "Checking… <span data-elapsed></span>";
        row.state.lastChild.dataset.elapsed = `upload:${Math.random()}`;
        refreshTexts();
      });
      request.addEventListener("load", () => {
        let body = {};
        try { body = JSON.parse(request.responseText); } catch { /* said below */ }
        if (request.status === 201 || request.status === 200) {
          const count = body.chunk_count;
          done("h-done", count === undefined || body.status !== "ready" ? "Added" : `Added, ${count} ${count === 1 ? "passage" : "passages"}`);
        } else {
          if (request.status === 401) location.assign("/signin");
          done("h-failed", "Not added", body.error || { message: `The server answered ${request.status}.`, hint: "Try again." });
        }
      });
      request.addEventListener("error", () => done("h-failed", "Not added", UNREACHABLE));
      request.open("POST", url);
      request.setRequestHeader("Accept", "application/json");
      request.send(data);
    });
  }

  // -- times and waiting lines -------------------------------------------------------------------------------------------

  function refreshTexts() {
    const now = Date.now();
    for (const node of document.querySelectorAll("[data-elapsed]")) {
      const key = node.dataset.elapsed;
      const since = Date.parse(node.dataset.since || "");
      if (!elapsedStarts.has(key)) elapsedStarts.set(key, Number.isNaN(since) ? now : Math.min(since, now));
      const seconds = Math.floor((now - elapsedStarts.get(key)) / 1000);
      const text = seconds < 1 ? "" : seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
      if (node.textContent !== text) node.textContent = text;
    }
    for (const node of document.querySelectorAll("time[datetime]")) {
      const at = new Date(node.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const text = momentText(at, now);
      if (node.textContent !== text) {
        node.textContent = text;
        node.title = at.toLocaleString();
      }
    }
  }

  function momentText(at, now) {
    const seconds = Math.round((at.getTime() - now) / 1000);
    const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
    const size = Math.abs(seconds);
    if (size < 45) return seconds > 0 ? "in a moment" : "just now";
    if (size < 3600) return words.format(Math.round(seconds / 60), "minute");
    if (size < 36 * 3600) return words.format(Math.round(seconds / 3600), "hour");
    if (size < 7 * 86400) return words.format(Math.round(seconds / 86400), "day");
    return at.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  }

  setInterval(() => { refreshTexts(); showBusy(); }, 500);

  // -- the list of conversations on a narrow screen -------------------------------------------------------------------------

  function toggleMenu() {
    const isOpen = document.body.classList.toggle("h-menu-open");
    if (isOpen) document.querySelector("#sidebar .h-new")?.focus();
  }

  function closeMenu() {
    document.body.classList.remove("h-menu-open");
  }

  document.addEventListener("keydown", (event) => event.key === "Escape" && closeMenu());
  document.addEventListener("click", (event) => {
    if (document.body.classList.contains("h-menu-open") && !event.target.closest("#sidebar, [data-menu]")) closeMenu();
    const menu = event.target.closest("#stage-head [data-menu]");
    if (menu) toggleMenu();
  });

  // -- health ------------------------------------------------------------------------------------------------------------------

  herald.watchHealth = (element) => {
    const line = element.querySelector(".h-state");
    let wasDown = false;
    const look = async () => {
      let words = "";
      let kind = "h-good";
      try {
        const response = await fetch("/api/v1/healthz", { headers: { Accept: "application/json" } });
        [words, kind] = healthText(await response.json());
        if (wasDown) herald.views.get("transcript")?.trigger("reload", { scope: herald.scope });
        wasDown = false;
      } catch {
        words = "Herald does not answer. Is it still running?";
        kind = "h-bad";
        wasDown = true;
        loseTurn();
      }
      line.className = `h-state ${kind}`;
      if (line.textContent !== words) line.textContent = words;
      setTimeout(look, kind === "h-good" ? HEALTH_MS : 3000);
    };
    look();
  };

  function healthText(health) {
    const inference = health.inference || {};
    if (inference.status === "loading") return ["The language model is loading…", "h-wait"];
    if (inference.status !== "ready") return ["The language model is not running", "h-bad"];
    if (health.status !== "ok") return ["The worker is not running: approved actions wait", "h-bad"];
    return [inference.model || "Ready", "h-good"];
  }

  /* The connection broke while a reply was being written: say so and give the words back. */
  function loseTurn() {
    const view = herald.views.get("transcript");
    if (!view || !isBusy()) return;
    herald.pendingSince = 0;
    for (const key of ["t:user", "t:reply"]) place(view, { key, html: "" });
    const box = errorBox({ message: "The connection to Herald broke off.", hint: "Your message is back in the box." });
    place(view, { key: "t:error", html: box.outerHTML });
    if (messageBox() && !messageBox().value) setMessage(herald.lastSent);
    showBusy();
  }
})();
