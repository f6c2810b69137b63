// A document beside its chunks. Python hands in windows of chunks by number; what is shown is kept
// in step here: pages or text on the left, the list on the right, and the chunk one works on.
const WINDOW = 60;

// Tables, code and headings of a passage as such; all text is put in as text.
const Passage = {
  props: { parts: Array },
  template: `<template v-for="part in parts" :key="part.at">
    <div v-if="part.kind === 'table'" class="rl-table-wrap" tabindex="0" role="region" aria-label="Table">
      <table class="rl-table">
        <thead v-if="part.head && part.rows.length"><tr><th v-for="(cell, c) in part.rows[0].cells" :key="c" :class="{ 'rl-num': part.numbers.includes(c) }">{{ cell }}</th></tr></thead>
        <tbody><tr v-for="row in part.head ? part.rows.slice(1) : part.rows" :key="row.at"><td v-for="(cell, c) in row.cells" :key="c" :class="{ 'rl-num': part.numbers.includes(c) }">{{ cell }}</td></tr></tbody>
      </table>
    </div>
    <pre v-else-if="part.kind === 'code'" class="rl-mono rl-small rl-reading-code"><code>{{ part.text }}</code></pre>
    <div v-else-if="part.kind === 'heading'" class="rl-doc-title" role="heading" :aria-level="Math.min(6, part.level + 2)" :data-level="part.level">{{ part.text }}</div>
    <span v-else class="rl-doc-words">{{ part.text }}</span>
  </template>`,
};

// What of the parts of a text is between two of its characters.
function within(parts, from, until) {
  const found = [];
  for (const part of parts) {
    if (part.kind === "table") {
      const rows = part.rows.filter((row) => row.at >= from && row.at < until);
      if (rows.length) found.push({ ...part, rows, head: part.head && rows[0] === part.rows[0] });
      continue;
    }
    const text = [...part.text].slice(Math.max(0, from - part.at), Math.max(0, until - part.at)).join("");
    if (text) found.push({ ...part, text });
  }
  return found;
}

const block = (part) => part !== undefined && part.kind !== "text";
const rich = (parts) => parts.some(block);

export default {
  components: { Passage },
  template: `
    <div class="rl-doc" :class="{ 'is-paged': drawn }">
      <div class="rl-doc-left" ref="left" tabindex="0" aria-label="The document">
        <template v-if="drawn">
          <template v-for="page in pages" :key="page">
            <div class="rl-sheet" :data-page="page" :style="{ aspectRatio: shapes[page] || shape }">
              <img v-if="near.has(page)" :src="href.replace('{page}', page)" :alt="'Page ' + page" draggable="false"
                @load="measured(page, $event)" @error="missed.add(page)" />
              <span v-if="missed.has(page)" class="rl-sheet-missed">This page could not be drawn.</span>
              <div v-for="mark in marks(page)" :key="mark.key" class="rl-box" :data-n="mark.n" role="button"
                :class="{ 'rl-on': mark.n === at, 'is-off': mark.off }" :style="mark.style" @click="choose(mark.n, 'left')" />
            </div>
            <div class="rl-sheet-number">{{ page }}</div>
          </template>
        </template>
        <div v-else class="rl-paper">
          <div ref="leftTop" class="rl-doc-edge" />
          <template v-for="one in listed" :key="one.n"><span>{{ one.gap }}</span><mark :data-n="one.n"
            :class="{ 'rl-on': one.n === at, 'is-off': one.disabled }" @click="choose(one.n, 'left')"><Passage v-if="one.shown" :parts="one.shown" /><template v-else>{{ one.piece }}</template></mark></template>
          <div ref="leftEnd" class="rl-doc-edge" />
        </div>
      </div>
      <div class="rl-doc-right" ref="right" tabindex="-1" aria-label="Chunks">
        <slot />
        <div ref="top" class="rl-doc-edge" />
        <div v-if="!total && ready" class="rl-muted">This document has no chunks.</div>
        <article v-for="one in listed" :key="one.n" class="rl-chunk rl-doc-chunk" :data-n="one.n"
          :class="{ 'rl-on': one.n === at, 'is-off': one.disabled }" @click="choose(one.n, 'right')">
          <header class="rl-row">
            <span class="rl-rank">{{ one.n + 1 }}</span>
            <span class="rl-muted rl-small rl-ellipsis rl-grow">{{ one.where }}</span>
            <span v-if="one.disabled" class="rl-badge rl-is-warn"><span>Disabled</span></span>
            <span v-if="one.edited" class="rl-badge"><span>Edited</span></span>
          </header>
          <template v-if="editing === one.n">
            <textarea ref="field" class="rl-doc-field" v-model="draft" :disabled="busy" aria-label="Text of the chunk"
              @keydown="typing" @input="fit" />
            <div v-if="theirs" class="rl-small rl-doc-source"><b>Somebody else wrote meanwhile:</b> {{ one.content }}</div>
            <div v-if="one.source !== null && one.source.trim() !== one.content" class="rl-muted rl-small rl-doc-source">In the document: {{ one.source.trim() }}</div>
            <div class="rl-row rl-wrap rl-gap-4">
              <button type="button" class="rl-doc-do is-primary" :disabled="busy || !draft.trim()" @click.stop="save()">Save</button>
              <button type="button" class="rl-doc-do" :disabled="busy" @click.stop="cut()" title="Two chunks, cut where the cursor is">Split at the cursor</button>
              <button type="button" class="rl-doc-do" :disabled="busy" @click.stop="leave()">Cancel</button>
              <span class="rl-muted rl-small rl-doc-keys">Ctrl Enter saves, Escape leaves</span>
            </div>
          </template>
          <template v-else>
            <div class="rl-chunk-text" :class="{ 'rl-folded': one.n !== at, 'is-rich': one.rich }"><Passage v-if="one.rich" :parts="one.parts" /><template v-else>{{ one.content }}</template></div>
            <div v-if="one.n === at" class="rl-row rl-wrap rl-gap-4 rl-doc-acts">
              <button type="button" class="rl-doc-do" :disabled="busy" @click.stop="edit(one.n)" title="E">Edit</button>
              <button v-if="one.n + 1 < total" type="button" class="rl-doc-do" :disabled="busy" @click.stop="act('merge', one.n)" title="M">Merge with next</button>
              <button type="button" class="rl-doc-do" :disabled="busy" @click.stop="act(one.disabled ? 'enable' : 'disable', one.n)" title="D">{{ one.disabled ? 'Enable' : 'Disable' }}</button>
            </div>
          </template>
        </article>
        <div ref="end" class="rl-doc-edge" />
      </div>
    </div>`,
  props: { paged: Boolean, pageCount: Number, href: String },
  emits: ["ready", "need", "page", "act", "chosen"],
  data: () => ({
    known: new Map(), low: 0, high: 0, total: 0, at: -1, version: "", ready: false, busy: false,
    editing: -1, draft: "", theirs: false, near: new Set(), shapes: {}, shape: "0.71", missed: new Set(), asked: new Set(), seen: new Set(),
  }),
  computed: {
    // A file that no page of can be drawn, such as a locked one, is shown as text.
    drawn() { return this.paged && !(this.missed.size && !Object.keys(this.shapes).length); },
    pages() { return Array.from({ length: this.pageCount }, (_, n) => n + 1); },
    // The chunks in the list, with what of the text belongs to each.
    listed() {
      const found = [];
      let reached = null;
      for (let n = this.low; n < this.high; n++) {
        const one = this.known.get(n);
        if (!one) continue;
        const next = this.known.get(n + 1);
        // Places are counted in characters, as Python does.
        const text = [...(one.source ?? one.content)];
        let from = 0, until = text.length, gap = found.length ? "\n" : "";
        if (one.start !== null) {
          if (reached !== null) { from = Math.max(0, Math.min(text.length, reached - one.start)); gap = "\n".repeat(Math.max(0, Math.min(3, one.start - reached))); }
          if (next && next.start !== null) until = Math.max(from, Math.min(text.length, next.start - one.start));
          reached = Math.max(reached ?? 0, one.start + until);
        }
        const shown = rich(one.original) ? within(one.original, from, until) : null;
        // Beside a table, code or a heading there is room already.
        const above = found.at(-1)?.shown?.at(-1);
        if (block(shown?.[0]) || block(above)) gap = "";
        found.push({ ...one, gap, piece: text.slice(from, until).join(""), shown, rich: rich(one.parts) });
      }
      return found;
    },
    byPage() {
      const found = new Map();
      for (const one of this.known.values())
        for (const [page, x0, y0, x1, y1] of one.boxes) {
          if (!found.has(page)) found.set(page, []);
          found.get(page).push({
            n: one.n, key: `${one.n}-${found.get(page).length}`, off: one.disabled,
            style: { left: x0 * 100 + "%", top: y0 * 100 + "%", width: (x1 - x0) * 100 + "%", height: (y1 - y0) * 100 + "%" },
          });
        }
      return found;
    },
  },
  mounted() {
    this.$emit("ready", {});
    const look = (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        if (target === this.$refs.end || target === this.$refs.leftEnd) this.more(1);
        else if (target === this.$refs.top || target === this.$refs.leftTop) this.more(-1);
        else this.shows(+target.dataset.page);
      }
    };
    this.watchers = [
      new IntersectionObserver(look, { root: this.$refs.left, rootMargin: "900px 0px" }),
      new IntersectionObserver(look, { root: this.$refs.right, rootMargin: "600px 0px" }),
    ];
    for (const sheet of this.$refs.left.querySelectorAll(".rl-sheet")) this.watchers[0].observe(sheet);
    this.press = (event) => this.keys(event);
    addEventListener("keydown", this.press);
  },
  unmounted() {
    for (const watcher of this.watchers) watcher.disconnect();
    removeEventListener("keydown", this.press);
  },
  methods: {
    // A window of chunks; `at` is the one to show. `fresh` forgets the others: numbers may be others now.
    // `quiet`: others changed something; what is being edited stays, and nothing is scrolled.
    put({ version, total, items, at, fresh, keep, quiet }) {
      if (quiet && (this.editing >= 0 || this.busy)) { this.behind = true; return; }
      this.behind = false;
      if (fresh) { this.known = new Map(); this.asked = new Set(); this.seen = new Set(); this.low = this.high = 0; }
      this.version = version; this.total = total;
      const known = new Map(this.known);
      for (const one of items) known.set(one.n, Object.freeze(one));
      this.known = known;
      if (!keep && items.length) {
        const first = items[0].n, last = items[items.length - 1].n + 1;
        if (this.low === this.high || last < this.low || first > this.high) { this.low = first; this.high = last; }
        else { this.low = Math.min(this.low, first); this.high = Math.max(this.high, last); }
      }
      this.ready = true; this.busy = false;
      if (at !== undefined && at !== null && at >= 0) { this.editing = -1; quiet ? (this.at = Math.min(at, total - 1)) : this.choose(at, "both"); }
      for (const page of this.near) if (fresh) this.boxes(page);
      this.$nextTick(() => { this.watch(); });
    },
    // The edges are looked at anew after every change, else one that stays in sight is never told.
    watch() {
      for (const [watcher, names] of [[this.watchers[1], ["top", "end"]], [this.watchers[0], ["leftTop", "leftEnd"]]])
        for (const name of names) { const edge = this.$refs[name]; if (edge) { watcher.unobserve(edge); watcher.observe(edge); } }
    },
    free() { this.busy = false; },
    more(step) {
      const from = step > 0 ? this.high : Math.max(0, this.low - WINDOW);
      const count = step > 0 ? Math.min(WINDOW, this.total - this.high) : this.low - from;
      if (!this.ready || count <= 0 || this.asked.has(from)) return;
      this.asked.add(from);
      this.held = step < 0 ? this.$refs.right.scrollHeight - this.$refs.right.scrollTop : null;
      this.$emit("need", { from, count });
    },
    // What is put in front of the list must not push away what one reads.
    hold() {
      if (this.held === null || this.held === undefined) return;
      this.$refs.right.scrollTop = this.$refs.right.scrollHeight - this.held;
      this.held = null;
    },
    shows(page) {
      if (!this.near.has(page)) this.near = new Set(this.near).add(page);
      this.boxes(page);
    },
    boxes(page) {
      if (this.seen.has(page)) return;
      this.seen.add(page);
      this.$emit("page", { page });
    },
    measured(page, event) {
      const { naturalWidth, naturalHeight } = event.target;
      if (!naturalWidth) return;
      this.shapes = { ...this.shapes, [page]: `${naturalWidth} / ${naturalHeight}` };
      if (page === 1 || Object.keys(this.shapes).length === 1) this.shape = this.shapes[page];
    },
    marks(page) { return this.byPage.get(page) || []; },
    choose(n, side) {
      if (this.busy) return;
      const moved = n !== this.at;
      if (moved && this.editing >= 0 && this.editing !== n) {
        if (this.draft !== this.known.get(this.editing)?.content) return;
        this.editing = -1;
      }
      if (!this.known.has(n)) { this.$emit("need", { from: Math.max(0, n - WINDOW / 3), count: WINDOW, at: n }); return; }
      if (n < this.low || n >= this.high) {
        // Known from its page only: the list goes there.
        this.asked = new Set();
        this.$emit("need", { from: Math.max(0, n - WINDOW / 3), count: WINDOW, at: n });
        return;
      }
      this.at = n;
      if (moved) this.$emit("chosen", { n, version: this.version });
      this.$nextTick(() => {
        const go = (root) => {
          const target = root.querySelector(`[data-n="${n}"]`);
          if (target) this.bring(root, target);
          return target;
        };
        if (side !== "right") {
          go(this.$refs.right);
          // The one that was open before folds only when it is drawn.
          requestAnimationFrame(() => requestAnimationFrame(() => { if (this.at === n && this.$refs.right) go(this.$refs.right); }));
        }
        if (side !== "left" && !go(this.$refs.left) && this.drawn) {
          const page = this.known.get(n).boxes[0]?.[0] ?? this.known.get(n).page;
          const sheet = page && this.$refs.left.querySelector(`[data-page="${page}"]`);
          if (sheet) this.bring(this.$refs.left, sheet);
        }
      });
    },
    bring(root, target) {
      const outer = root.getBoundingClientRect(), inner = target.getBoundingClientRect();
      const head = root === this.$refs.right ? (root.querySelector(".rl-doc-head")?.offsetHeight ?? 0) + 12 : 16;
      const top = outer.top + head;
      if (inner.top >= top && inner.bottom <= outer.bottom - 8) return;
      const spare = outer.bottom - top - inner.height;
      root.scrollTop += inner.top - top - Math.max(0, Math.min(spare / 2, outer.height / 4));
    },
    edit(n) {
      if (this.busy) return;
      if (n !== this.at) this.choose(n, "both");
      this.editing = n;
      this.theirs = false;
      this.draft = this.known.get(n).content;
      this.$nextTick(() => {
        const field = this.field();
        if (!field) return;
        this.fit();
        field.setSelectionRange(0, 0);
        field.focus({ preventScroll: true });
        field.scrollTop = 0;
        this.bring(this.$refs.right, field.closest(".rl-chunk"));
      });
    },
    // What was typed for a chunk that somebody else changed meanwhile.
    again({ n, text }) {
      if (!this.known.has(n)) return;
      this.edit(n);
      this.theirs = text.trim() !== this.draft;
      this.draft = text;
      this.$nextTick(() => this.fit());
    },
    field() { return [this.$refs.field].flat()[0]; },
    fit() {
      const field = this.field();
      if (!field) return;
      field.style.height = "auto";
      field.style.height = Math.max(96, Math.min(field.scrollHeight + 2, this.$refs.right.clientHeight - 180)) + "px";
    },
    leave() {
      this.editing = -1;
      this.$refs.right.focus({ preventScroll: true });
      if (this.behind) this.$emit("ready", {});
    },
    save() {
      if (this.draft.trim() === this.known.get(this.editing).content) return this.leave();
      this.act("replace", this.editing, { text: this.draft });
    },
    cut() {
      const at = this.field().selectionStart;
      this.act("split", this.editing, { at, text: this.draft });
    },
    act(op, n, more = {}) {
      if (this.busy) return;
      this.busy = true;
      this.$emit("act", { op, n, version: this.version, ...more });
    },
    typing(event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.stopPropagation(); this.save(); }
      else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); this.leave(); }
    },
    keys(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.total) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable='true'], .q-dialog, .q-menu, [role=tab]")) return;
      if (!this.$el.offsetParent) return;
      const inLeft = this.$refs.left.contains(event.target) && this.$refs.left === event.target;
      const step = { j: 1, k: -1, ArrowDown: inLeft ? 0 : 1, ArrowUp: inLeft ? 0 : -1 }[event.key];
      if (step) {
        const n = this.at < 0 ? this.low : Math.max(0, Math.min(this.total - 1, this.at + step));
        this.choose(n, "both");
      } else if (this.at < 0) return;
      else if (event.key === "e") this.edit(this.at);
      else if (event.key === "m" && this.at + 1 < this.total) this.act("merge", this.at);
      else if (event.key === "d") this.act(this.known.get(this.at).disabled ? "enable" : "disable", this.at);
      else return;
      event.preventDefault();
    },
  },
  watch: {
    drawn() { this.$nextTick(() => this.watch()); },
  },
  updated() { this.hold(); },
};
