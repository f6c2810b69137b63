// What the page does without asking the server: theme, panel sizes, shortcuts, lit citations.
(() => {
  const root = document.documentElement;
  const store = {
    get: (key) => { try { return localStorage.getItem("rl-" + key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem("rl-" + key, value); } catch { /* private window */ } },
  };

  // ---- theme: light, dark, or what the system says; remembered in this browser
  const system = matchMedia("(prefers-color-scheme: dark)");
  const choice = () => store.get("theme") || "auto";
  const applyTheme = () => {
    const dark = choice() === "dark" || (choice() === "auto" && system.matches);
    root.dataset.theme = dark ? "dark" : "light";
    root.dataset.themeChoice = choice();
    if (window.Quasar && window.Quasar.Dark && window.Quasar.Dark.isActive !== dark) window.Quasar.Dark.set(dark);
  };
  const cycleTheme = () => {
    const order = ["auto", "light", "dark"];
    store.set("theme", order[(order.indexOf(choice()) + 1) % order.length]);
    applyTheme();
  };
  system.addEventListener("change", applyTheme);
  applyTheme();
  // Quasar picks its own theme when it is set up; follow with ours.
  addEventListener("load", () => {
    applyTheme();
    new MutationObserver(() => {
      const dark = root.dataset.theme === "dark";
      if (document.body.classList.contains("body--dark") !== dark) applyTheme();
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });

  // ---- panels: sizes and open state live on <html>, so that CSS alone lays them out
  const sizes = { palette: [180, 420], inspector: [280, 640], drawer: [120, 720] };
  for (const name of Object.keys(sizes)) {
    const size = store.get("size-" + name);
    if (size) root.style.setProperty(`--rl-${name}-${name === "drawer" ? "height" : "width"}`, size + "px");
    const state = store.get("panel-" + name);
    root.dataset[name] = state || (name === "palette" ? "open" : "closed");
  }
  if (innerWidth <= 900) { root.dataset.palette = "closed"; root.dataset.inspector = "closed"; root.dataset.drawer = "closed"; }
  // A window that became small has room for the canvas alone.
  matchMedia("(max-width: 900px)").addEventListener("change", (event) => {
    if (event.matches) for (const name of Object.keys(sizes)) root.dataset[name] = "closed";
  });
  let revealed = "";
  const panel = (name, state) => {
    if (name === revealed) revealed = "";
    const next = state || (root.dataset[name] === "open" ? "closed" : "open");
    root.dataset[name] = next;
    if (innerWidth > 900) store.set("panel-" + name, next);
    else if (next === "open") for (const other of Object.keys(sizes)) if (other !== name) root.dataset[other] = "closed";
  };
  // Open a panel while there is something to show in it; one that was opened by hand stays open.
  const reveal = (name, on) => {
    if (innerWidth <= 900) return;
    if (on && root.dataset[name] !== "open") { revealed = name; root.dataset[name] = "open"; }
    if (!on && name === revealed) { revealed = ""; root.dataset[name] = "closed"; }
  };
  // On a small screen the list of nodes lies over the canvas: a choice, or a press beside it, puts it away.
  const putAway = (event) => {
    if (innerWidth > 900 || root.dataset.palette !== "open") return;
    const inside = event.target.closest?.(".rl-palette");
    if (event.type === "click" ? event.target.closest?.(".rl-palette-item") : !inside) panel("palette", "closed");
  };
  addEventListener("pointerdown", putAway);
  addEventListener("click", putAway);
  addEventListener("pointerdown", (event) => {
    const grip = event.target.closest?.("[data-rl-grip]");
    if (!grip) return;
    event.preventDefault();
    const name = grip.dataset.rlGrip;
    const box = grip.parentElement.getBoundingClientRect();
    const [low, high] = sizes[name];
    const property = `--rl-${name}-${name === "drawer" ? "height" : "width"}`;
    let value = 0;
    const move = (e) => {
      value = name === "palette" ? e.clientX - box.left : name === "inspector" ? box.right - e.clientX : box.bottom - e.clientY;
      value = Math.round(Math.min(high, Math.max(low, Math.min(value, (name === "drawer" ? innerHeight : innerWidth) * 0.7))));
      root.style.setProperty(property, value + "px");
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      document.body.classList.remove("rl-resizing");
      if (value) store.set("size-" + name, value);
    };
    document.body.classList.add("rl-resizing");
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop, { once: true });
  });

  // ---- shortcuts: each presses the button that carries it, so mouse and keys do the same thing
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable='true'], .cm-editor");
  const press = (name) => {
    const target = document.querySelector(`[data-rl-key="${name}"]`);
    if (target && !target.disabled) { target.click(); return true; }
    return false;
  };
  addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    let name = null;
    if (command && event.key.toLowerCase() === "k") name = "find";
    else if (command && event.key === "Enter") name = "run";
    else if (command && event.key.toLowerCase() === "s") name = "save";
    else if (event.key === "?" && !typing(event.target)) name = "help";
    else if (event.key === "/" && !command && !typing(event.target)) name = "find";
    if (name && (press(name) || name === "save")) event.preventDefault();
  }, true);

  // ---- what is drawn anew beside the canvas keeps the focus near: keys of the canvas need it away
  const BESIDE = ".rl-inspector, .rl-drawer, .q-dialog";
  const FIELDS = "textarea, input:not([type=file]):not([disabled])";
  let held_at = [], watched = null, kept = null;
  const again = () => {
    if (!held_at.length || held_at[0].isConnected) return;
    if (document.activeElement && document.activeElement !== document.body) { held_at = []; return; }
    const gone = held_at[0];
    const near = held_at.find((one) => one.isConnected);
    held_at = [];
    if (!near?.closest(BESIDE)) return;
    const shown = (what) => [...near.querySelectorAll(what)].filter((one) => one.offsetParent !== null);
    const fields = shown(FIELDS);
    const field = fields.find((one) => one.ariaLabel && one.ariaLabel === gone.ariaLabel) || fields[0] || shown("button, a[href]")[0];
    field?.focus({ preventScroll: true });
    if (kept?.field !== gone || field?.ariaLabel !== gone.ariaLabel) return;
    if (gone.value !== kept.sent) typeInto(field, gone.value);
    try { field.setSelectionRange(gone.selectionStart, gone.selectionEnd); } catch { /* holds no text */ }
    kept = null;
  };
  const typeInto = (field, text) => {
    const kind = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  // Somebody else changed what is in a room: what is typed there is sent at once, and what is typed
  // until it is drawn again goes over into the new field.
  const keepTyping = (id) => {
    const field = document.activeElement;
    if (!document.getElementById("c" + id)?.contains(field)) return;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    kept = { field, sent: field.value };
  };
  const beside = new MutationObserver(again);
  addEventListener("focusin", (event) => {
    const room = event.target.closest?.(BESIDE);
    held_at = [];
    if (!room) return;
    for (let one = event.target; one && one !== room.parentElement; one = one.parentElement) held_at.push(one);
    if (watched === room) return;
    beside.disconnect();
    beside.observe(room, { childList: true, subtree: true });
    watched = room;
  });
  addEventListener("pointerdown", (event) => { if (!event.target.closest?.(BESIDE)) held_at = []; }, true);

  // ---- with keys alone: into the settings of the chosen node, to the question, and back
  let keyed = false;
  addEventListener("keydown", () => { keyed = true; }, true);
  addEventListener("pointerdown", () => { keyed = false; }, true);
  const BAR = ".rl-runbar textarea, .rl-runbar input:not([type=file])";
  const settings = () => {
    panel("inspector", "open");
    if (!keyed) return;
    // Selects count as fields too; what folds or resets one does not.
    const field = [...document.querySelectorAll(".rl-inspector :is(" + FIELDS + "), .rl-inspector [role='combobox']")].find((one) => one.offsetParent !== null);
    (field || document.querySelector(".rl-inspector button"))?.focus();
  };
  addEventListener("keydown", (event) => {
    if (event.key !== "q" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target) || event.target.closest?.(".q-dialog, .q-menu")) return;
    const box = document.querySelector(BAR);
    if (box) { box.focus(); event.preventDefault(); }
  });
  addEventListener("keydown", ({ key, target }) => {
    if (key !== "Escape" || !target.closest?.(".rl-inspector, .rl-runbar")) return;
    // What is open at the field takes the key first; that is why this looks before the field does.
    if (document.querySelector(".q-menu, .q-dialog") || target.getAttribute("aria-expanded") === "true") return;
    (document.querySelector(".vue-flow__node.selected") || document.querySelector(".rl-canvas"))?.focus({ preventScroll: true });
  }, true);

  // ---- citations: sentence, number, passage and the node that found it light up together
  const light = (event, on) => {
    const item = event.target.closest?.("[data-rl-cites]");
    if (!item) return;
    const scope = item.closest("[data-rl-answer]") || document;
    for (const number of item.dataset.rlCites.split(" ")) {
      if (!number) continue;
      for (const other of scope.querySelectorAll("[data-rl-cites]"))
        if (other.dataset.rlCites.split(" ").includes(number)) other.classList.toggle("rl-lit", on);
    }
    for (const id of (item.dataset.rlChunks || "").split(" "))
      if (id) for (const card of document.querySelectorAll(`[data-rl-chunk="${CSS.escape(id)}"]`)) card.classList.toggle("rl-lit", on);
    for (const id of (item.dataset.rlNodes || "").split(" "))
      if (id) document.querySelector(`.vue-flow__node[data-id="${CSS.escape(id)}"]`)?.classList.toggle("rl-lit", on);
  };
  addEventListener("pointerover", (event) => light(event, true));
  addEventListener("pointerout", (event) => light(event, false));
  addEventListener("focusin", (event) => light(event, true));
  addEventListener("focusout", (event) => light(event, false));

  // ---- a list to choose from is named where it takes the focus, not on the box around it
  addEventListener("focusin", (event) => {
    const target = event.target;
    if (!target.classList?.contains("q-select__focus-target") || target.hasAttribute("aria-label")) return;
    const name = target.parentElement.getAttribute("aria-label");
    if (name) target.setAttribute("aria-label", name);
  });

  // ---- menus of the pages are walked with the arrows, as those of the canvas are
  const entries = (menu) => [...menu.querySelectorAll(".q-item[tabindex]:not(.disabled)")].filter((one) => one.offsetParent !== null);
  const menuOf = (target) => {
    const menu = target.closest?.(".q-menu");
    if (!menu?.querySelector("[role='menuitem']")) return null;
    menu.setAttribute("role", "menu");
    return menu;
  };
  addEventListener("focusin", (event) => menuOf(event.target));
  addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: 0, End: 0 }[event.key];
    const menu = step === undefined ? null : menuOf(event.target);
    if (!menu) return;
    event.preventDefault();
    const all = entries(menu);
    const at = all.indexOf(document.activeElement);
    const next = event.key === "Home" ? 0 : event.key === "End" || (at < 0 && step < 0) ? all.length - 1 : at + step;
    all[(next + all.length) % all.length].focus();
  });

  // ---- times are told as they are where the browser is; relative ones stay true while it is open
  const ago = (seconds) => {
    if (seconds < 45) return "just now";
    if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
    if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
    if (seconds < 86400 * 14) { const days = Math.round(seconds / 86400); return days === 1 ? "yesterday" : `${days} days ago`; }
    return null;
  };
  const two = (number) => String(number).padStart(2, "0");
  const clock = (at) => [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  const KINDS = {
    ago: (at) => ago((Date.now() - at) / 1000) ?? `${at.getDate()} ${at.toLocaleString("en", { month: "short" })} ${at.getFullYear()}`,
    clock,
    exact: (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`,
  };
  customElements.define("rl-time", class extends HTMLElement {
    static observedAttributes = ["datetime", "kind"];
    connectedCallback() { this.tell(); }
    attributeChangedCallback() { this.tell(); }
    tell() {
      const iso = this.getAttribute("datetime") ?? "";
      const at = new Date(iso);
      const words = isNaN(at) ? iso : (KINDS[this.getAttribute("kind")] ?? KINDS.exact)(at);
      // The words stand in the first text: a tooltip may come after it.
      if (this.firstChild?.nodeType !== Node.TEXT_NODE) this.prepend(words);
      else if (this.firstChild.data !== words) this.firstChild.data = words;
    }
  });
  setInterval(() => {
    for (const item of document.querySelectorAll("rl-time[kind=ago]")) item.tell();
  }, 30000);

  const scrollTo = (selector) => {
    let tries = 0;
    const attempt = () => {
      const target = document.querySelector(selector);
      if (target) target.scrollIntoView({ block: "center", behavior: "auto" });
      else if (tries++ < 40) setTimeout(attempt, 100);
    };
    attempt();
  };
  // ---- dropped folders: every file in them, with its path as its name. Between folders stands a
  // character of no language, as an upload loses all of a name up to its last slash.
  const FOLDER = "\ue02f";
  const filesOf = async (entry, path = "") => {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      return [path ? new File([file], path + file.name, { type: file.type }) : file];
    }
    const reader = entry.createReader();
    const inside = [];
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) break;
      inside.push(...some);
    }
    return (await Promise.all(inside.map((one) => filesOf(one, path + entry.name + FOLDER)))).flat();
  };
  const drop = async (event, uploader) => {
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = entries.length ? (await Promise.all(entries.map((entry) => filesOf(entry)))).flat() : [...event.dataTransfer.files];
    const shown = files.filter((file) => !file.name.split(FOLDER).pop().startsWith("."));
    getElement(uploader).$refs.qRef.addFiles(shown);
  };
  // ---- an address that ends in #ask puts the cursor into the question of the run
  if (location.hash === "#ask") {
    let tries = 0;
    const attempt = () => {
      const box = document.querySelector(BAR);
      if (box) { box.focus(); history.replaceState(null, "", location.pathname + location.search); }
      else if (tries++ < 100) setTimeout(attempt, 100);
    };
    addEventListener("DOMContentLoaded", attempt);
  }
  // ---- without the server nothing done here would be kept: nothing can be done until it is back
  let held = null;
  const hold = (lost) => {
    if (lost === (held !== null)) return;
    if (lost) {
      held = document.activeElement ?? document.body;
      // Most often the server is back soon; asking once a second costs nothing.
      window.socket?.io?.reconnectionDelayMax(1000);
    }
    document.documentElement.classList.toggle("rl-offline", lost);
    for (const part of document.body.children) if (!part.matches(".nicegui-error-popup, script, style")) part.inert = lost;
    if (!lost) { held?.focus?.({ preventScroll: true }); held = null; }
  };
  addEventListener("keydown", (event) => {
    if (held !== null) event.stopImmediatePropagation();
  }, true);
  addEventListener("DOMContentLoaded", () => {
    const popup = document.getElementById("popup");
    if (popup) new MutationObserver(() => hold(popup.ariaHidden === "false")).observe(popup, { attributes: true, attributeFilter: ["aria-hidden"] });
  });
  // Pages that are not served over https have no clipboard of their own.
  const copy = (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea"), before = document.activeElement;
    area.value = text;
    area.style.cssText = "position: fixed; opacity: 0";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    before?.focus?.({ preventScroll: true });
  };

  window.ragloom = { cycleTheme, drop, panel, reveal, settings, press, scrollTo, copy, store, keepTyping };
})();
