// The chat with a workflow: on a page of its own, in a frame of another site, and in the workshop.
// It is given an element with data-chat, data-base (address of its routes), data-title,
// data-greeting, data-sample and, where documents may be opened, data-documents.

const ICONS = {
  up: "M7 11v9H4v-9zM7 11l4-8a2 2 0 0 1 3 2l-1 5h5a2 2 0 0 1 2 2.4l-1.4 6A2 2 0 0 1 16.7 20H7",
  down: "M17 13V4h3v9zM17 13l-4 8a2 2 0 0 1-3-2l1-5H6a2 2 0 0 1-2-2.4l1.4-6A2 2 0 0 1 7.3 4H17",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  send: "M12 19V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  add: "M12 5v14M5 12h14",
  list: "M4 6h16M4 12h16M4 18h10",
  remove: "M6 7h12l-1 13H7zM9 7V4h6v3M4 7h16",
};
const VISITOR = "ragloom-visitor";
// How often in a row a connection that breaks off is made anew.
const RETRIES = 5;

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function button(label, name, act, className = "") {
  const element = make("button", `rc-button ${className}`.trim());
  element.type = "button";
  element.title = label;
  element.setAttribute("aria-label", label);
  element.append(icon(name));
  element.addEventListener("click", act);
  return element;
}

function visitor() {
  // Storage may be closed to a frame of another site; then the chat lives as long as its page.
  try {
    const known = localStorage.getItem(VISITOR);
    if (known) return known;
    const fresh = crypto.randomUUID().replaceAll("-", "");
    localStorage.setItem(VISITOR, fresh);
    return fresh;
  } catch {
    return crypto.randomUUID().replaceAll("-", "");
  }
}

class Failure extends Error {}

class Server {
  constructor(base) {
    this.base = base;
    this.headers = { "X-Visitor": visitor() };
  }

  async ask(path, { method = "GET", body, accept = "application/json", last } = {}) {
    const headers = { ...this.headers, Accept: accept };
    if (last) headers["Last-Event-ID"] = last;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let reply;
    try {
      const sent = body === undefined ? undefined : JSON.stringify(body);
      reply = await fetch(this.base + path, { method, headers, body: sent });
    } catch {
      throw new Failure("The server cannot be reached. Check the connection, then try again.");
    }
    if (!reply.ok) {
      const data = await reply.json().catch(() => ({}));
      const failure = new Failure(data.error?.message || `The server answered ${reply.status}.`);
      throw Object.assign(failure, { refused: true });
    }
    return reply;
  }

  async json(path, options) {
    const reply = await this.ask(path, options);
    return reply.status === 204 ? null : reply.json();
  }

  async *events(path, options) {
    const reply = await this.ask(path, { ...options, accept: "text/event-stream" });
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const lines = text.slice(0, end).split("\n");
        text = text.slice(end + 2);
        const field = (name) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field("data")) yield [field("event"), JSON.parse(field("data")), field("id")];
      }
    }
  }
}

class Chat {
  constructor(root) {
    this.root = root;
    this.server = new Server(root.dataset.base);
    this.chat = null;
    this.pending = null;
    // Counts what was last chosen to be shown: what arrives for an earlier choice is late.
    this.choice = 0;
    this.build();
    this.open().catch((error) => this.fail(error));
  }

  build() {
    const { title, greeting, sample } = this.root.dataset;
    this.root.classList.add("rc");
    const head = make("header", "rc-head");
    this.toggle = button("Conversations", "list", () => this.showList(this.side.hidden));
    this.toggle.setAttribute("aria-expanded", "false");
    const name = make("h1", "rc-title", title || "Chat");
    head.append(this.toggle, name, button("New chat", "add", () => this.begin()));
    this.side = make("nav", "rc-side");
    this.side.setAttribute("aria-label", "Conversations");
    this.side.hidden = true;
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.side.hidden) return;
      // The list goes away, and nothing around it with it.
      event.stopPropagation();
      this.showList(false);
      this.toggle.focus();
    });
    this.root.addEventListener("click", (event) => {
      if (!this.side.hidden && !event.composedPath().some((at) => at === this.side || at === this.toggle)) this.showList(false);
    });
    this.log = make("div", "rc-log");
    this.log.setAttribute("role", "log");
    this.log.setAttribute("aria-label", "Messages");
    this.log.tabIndex = 0;
    this.welcome = make("div", "rc-welcome");
    this.welcome.append(make("p", "", greeting || "Ask a question; the answer names its sources."));
    if (sample) {
      const chip = make("button", "rc-sample", sample);
      chip.type = "button";
      chip.addEventListener("click", () => this.send(sample));
      this.welcome.append(chip);
    }
    const form = make("form", "rc-form");
    this.field = make("textarea", "rc-field");
    this.field.rows = 1;
    this.field.maxLength = 4000;
    this.field.placeholder = "Ask a question";
    this.field.setAttribute("aria-label", "Question");
    this.field.addEventListener("input", () => this.fitField());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.go = button("Send", "send", () => {}, "rc-go");
    this.go.type = "submit";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.pending) this.stop();
      else this.send(this.field.value);
    });
    form.append(this.field, this.go);
    this.note = make("p", "rc-note");
    this.note.setAttribute("role", "alert");
    this.root.replaceChildren(head, this.side, this.log, this.note, form);
    this.field.focus({ preventScroll: true });
  }

  fitField() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 160)}px`;
  }

  // ---- conversations ----
  async open() {
    const { choice } = this;
    const { items } = await this.server.json("/chats?limit=50");
    if (choice !== this.choice) return; // somebody has asked already
    this.chats = items;
    if (items.length) await this.load(items[0].chat_id);
    else this.begin();
  }

  begin() {
    this.choice += 1;
    this.chat = null;
    this.log.replaceChildren(this.welcome);
    this.showList(false);
    this.field.focus();
  }

  async load(id) {
    const choice = (this.choice += 1);
    const chat = await this.server.json(`/chats/${id}`);
    if (choice !== this.choice) return;
    this.chat = chat;
    this.log.replaceChildren(...this.chat.messages.map((message) => this.message(message)));
    this.showList(false);
    this.toEnd();
    const last = this.chat.messages.at(-1);
    if (last?.status === "running") {
      const path = `/chats/${id}/messages/${last.message_id}/events`;
      await this.follow(this.log.lastElementChild, this.server.events(path), last);
    }
  }

  showList(shown) {
    this.side.hidden = !shown;
    this.toggle.setAttribute("aria-expanded", String(shown));
    if (!shown) return;
    const rows = (this.chats || []).map((chat) => {
      const row = make("div", "rc-row");
      const name = make("button", "rc-name", chat.title);
      name.type = "button";
      if (chat.chat_id === this.chat?.chat_id) name.setAttribute("aria-current", "true");
      name.addEventListener("click", () => this.load(chat.chat_id).catch((e) => this.fail(e)));
      const remove = button(`Delete “${chat.title}”`, "remove", () => this.askRemove(row, chat));
      row.append(name, remove);
      return row;
    });
    this.side.replaceChildren(...(rows.length ? rows : [make("p", "", "No conversations yet.")]));
  }

  askRemove(row, chat) {
    const yes = make("button", "rc-text rc-danger", "Delete");
    const no = make("button", "rc-text", "Keep");
    yes.addEventListener("click", async () => {
      try {
        await this.server.json(`/chats/${chat.chat_id}`, { method: "DELETE" });
        this.chats = this.chats.filter((other) => other.chat_id !== chat.chat_id);
        if (this.chat?.chat_id === chat.chat_id) this.begin();
        this.showList(true);
      } catch (error) {
        this.fail(error);
      }
    });
    no.addEventListener("click", () => this.showList(true));
    row.replaceChildren(make("span", "rc-name", "Delete for good?"), yes, no);
    no.focus();
  }

  // ---- asking ----
  async send(text) {
    text = text.trim();
    if (!text || this.pending) return;
    this.choice += 1;
    this.note.textContent = "";
    this.field.value = "";
    this.fitField();
    try {
      if (!this.chat) {
        this.chat = await this.server.json("/chats", { method: "POST" });
        this.log.replaceChildren();
      }
      this.log.append(this.message({ role: "user", text, status: "done" }));
      const shown = this.message({ role: "assistant", text: "", status: "running" });
      this.log.append(shown);
      this.toEnd();
      const path = `/chats/${this.chat.chat_id}/messages`;
      await this.follow(shown, this.server.events(path, { method: "POST", body: { text } }));
      this.chats = (await this.server.json("/chats?limit=50")).items;
    } catch (error) {
      this.log.querySelector(".rc-busy")?.remove();
      this.field.value = this.field.value || text;
      this.fail(error);
    }
  }

  // Events of an answer up to its end. A connection that breaks off is made anew, and goes on after
  // the last event that came; where the server does not know that one, it tells everything again.
  async *whole(events, begun) {
    const chat = this.chat.chat_id;
    let id = begun?.message_id;
    let last = "";
    for (let broken = 0; ; ) {
      try {
        for await (const [name, data, at] of events) {
          // A server that stops ends its events with an answer that is still on its way.
          if (name === "message" && data.status === "running") continue;
          broken = 0;
          if (name === "begin") id = data.message_id;
          else {
            if (last && at && logOf(at) !== logOf(last)) yield ["anew"];
            last = at || last;
          }
          yield [name, data];
          if (name === "message" || name === "error") return;
        }
      } catch (error) {
        if (!id || error.refused || broken >= RETRIES) throw error;
      }
      if (!id || broken >= RETRIES) throw new Failure("The connection broke off. Ask again.");
      broken += 1;
      await new Promise((resolve) => setTimeout(resolve, 500 * broken));
      events = this.server.events(`/chats/${chat}/messages/${id}/events`, { last });
    }
  }

  async follow(shown, events, begun = null) {
    this.working({ message_id: begun?.message_id });
    const body = shown.querySelector(".rc-text-body");
    try {
      for await (const [name, data] of this.whole(events, begun)) {
        if (name === "begin") this.working({ message_id: data.message_id });
        else if (name === "waiting") shown.querySelector(".rc-dots").textContent = "Waiting for a person to approve …";
        else if (name === "anew") body.textContent = "";
        else if (name === "token") {
          body.textContent += data.text;
          this.toEnd(true);
        } else if (name === "error") {
          throw new Failure(data.error.message);
        } else if (name === "message") {
          shown.replaceWith((shown = this.message(data)));
          this.toEnd(true);
        }
      }
    } finally {
      this.working(null);
    }
  }

  working(pending) {
    this.pending = pending;
    this.go.replaceChildren(icon(pending ? "stop" : "send"));
    this.go.title = pending ? "Stop" : "Send";
    this.go.setAttribute("aria-label", this.go.title);
  }

  async stop() {
    const id = this.pending?.message_id;
    if (!id) return;
    const path = `/chats/${this.chat.chat_id}/messages/${id}/stop`;
    await this.server.json(path, { method: "POST" }).catch((error) => this.fail(error));
  }

  // ---- drawing ----
  message(message) {
    const box = make("article", `rc-message rc-${message.role}`);
    const body = make("div", "rc-text-body");
    box.append(body);
    if (message.role === "user") {
      body.textContent = message.text;
      return box;
    }
    if (message.status === "running") {
      box.classList.add("rc-busy");
      box.append(make("span", "rc-dots", "Looking it up …"));
    } else if (message.status === "failed") {
      const { message: what = "No answer came.", fix = "" } = message.error || {};
      body.textContent = `${what} ${fix}`.trim();
      box.classList.add("rc-failed");
      box.append(this.again(box));
    } else if (message.status === "cancelled") {
      body.textContent = "Stopped.";
      box.classList.add("rc-failed");
      box.append(this.again(box));
    } else {
      this.answer(box, body, message);
    }
    return box;
  }

  again(box) {
    const again = make("button", "rc-text", "Ask again");
    again.type = "button";
    again.addEventListener("click", () => {
      const question = box.previousElementSibling?.querySelector(".rc-text-body")?.textContent;
      if (question) this.send(question);
    });
    return again;
  }

  answer(box, body, message) {
    const { sentences = [], citations = [], abstained = false } = message.answer || {};
    const sources = new Map(citations.map((citation) => [citation.number, citation]));
    if (abstained) box.classList.add("rc-abstained");
    if (!sentences.length) body.textContent = message.text;
    for (const sentence of sentences) {
      body.append(document.createTextNode(`${sentence.text.trim()} `));
      for (const number of sentence.citations || []) {
        if (sources.has(number)) body.append(this.cite(box, sources.get(number)));
      }
    }
    if (sources.size) box.append(this.sources([...sources.values()]));
    box.append(this.actions(message));
  }

  cite(box, citation) {
    const mark = make("button", "rc-cite", String(citation.number));
    mark.type = "button";
    mark.title = `${citation.document_name} ${place(citation)}`.trim();
    mark.setAttribute("aria-label", `Source ${citation.number}: ${mark.title}`);
    mark.addEventListener("click", () => {
      const details = box.querySelector("details");
      details.open = true;
      const source = details.querySelector(`[data-number="${citation.number}"]`);
      source.scrollIntoView({ block: "nearest" });
      source.focus();
    });
    return mark;
  }

  sources(citations) {
    const details = make("details", "rc-sources");
    const words = citations.length === 1 ? "1 source" : `${citations.length} sources`;
    details.append(make("summary", "", words));
    for (const citation of citations) {
      const source = make("div", "rc-source");
      source.dataset.number = citation.number;
      source.tabIndex = -1;
      const head = make("div", "rc-source-head");
      head.append(make("b", "", `${citation.number}`), this.named(citation));
      head.append(make("span", "rc-muted", place(citation)));
      source.append(head, make("blockquote", "", citation.quote));
      details.append(source);
    }
    return details;
  }

  named(citation) {
    const { documents } = this.root.dataset;
    if (!documents || !citation.knowledge_base_id) {
      return make("span", "rc-doc", citation.document_name);
    }
    const link = make("a", "rc-doc", citation.document_name);
    const part = encodeURIComponent;
    link.href =
      `${documents}/${part(citation.knowledge_base_id)}/documents/` +
      `${part(citation.document_id)}?chunk=${part(citation.chunk_id)}`;
    return link;
  }

  actions(message) {
    const row = make("div", "rc-actions");
    const copy = button("Copy the answer", "copy", async () => {
      await navigator.clipboard.writeText(message.text);
      copy.title = "Copied";
    });
    const up = button("Helpful", "up", () => rate(1));
    const down = button("Not helpful", "down", () => rate(-1));
    const press = (rating) => {
      message.rating = rating;
      up.setAttribute("aria-pressed", String(rating === 1));
      down.setAttribute("aria-pressed", String(rating === -1));
    };
    const put = (rating, comment = "") =>
      this.server.json(`/chats/${this.chat.chat_id}/messages/${message.message_id}/rating`, {
        method: "PUT",
        body: { rating, comment },
      });
    const rate = async (value) => {
      const rating = message.rating === value ? null : value;
      try {
        await put(rating);
        press(rating);
        row.querySelector("form")?.remove();
        if (rating === -1) row.append(this.remark((comment) => put(-1, comment)));
      } catch (error) {
        this.fail(error);
      }
    };
    press(message.rating);
    row.append(copy, up, down);
    return row;
  }

  remark(keep) {
    const form = make("form", "rc-remark");
    const field = make("input");
    field.placeholder = "What would have been right?";
    field.setAttribute("aria-label", field.placeholder);
    field.maxLength = 2000;
    const save = make("button", "rc-text", "Save");
    form.append(field, save);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await keep(field.value);
        form.replaceChildren(make("span", "rc-muted", "Thank you."));
      } catch (error) {
        this.fail(error);
      }
    });
    queueMicrotask(() => field.focus());
    return form;
  }

  fail(error) {
    this.note.textContent = error instanceof Failure ? error.message : "Something went wrong here. Reload the page.";
    if (!(error instanceof Failure)) console.error(error);
  }

  toEnd(onlyIfNear = false) {
    const room = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight;
    if (!onlyIfNear || room < 120) this.log.scrollTop = this.log.scrollHeight;
  }
}

// An event's id names the log that it is from, and its place there.
function logOf(id) {
  return id.slice(0, id.lastIndexOf("-") + 1);
}

function place(citation) {
  const headings = (citation.headings || []).slice(-2).join(" › ");
  const name = citation.document_name || "";
  const word = /\.(pptx?|pptm|ppsx|odp)$/i.test(name) ? "slide" : /\.(xlsx?|xlsm|ods)$/i.test(name) ? "sheet" : "page";
  return [citation.page ? `${word} ${citation.page}` : "", headings].filter(Boolean).join(" · ");
}

function mount() {
  for (const root of document.querySelectorAll("[data-chat]:not([data-ready])")) {
    root.dataset.ready = "true";
    new Chat(root);
  }
}

mount();
// In the workshop the element is drawn after this script was read.
new MutationObserver(mount).observe(document.documentElement, { childList: true, subtree: true });
