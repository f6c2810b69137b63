// A text field in a mono font with a list of completions under it. All text is set as text.
const WORD = /[\p{L}\p{N}_]*$/u;

export default {
  template: `
    <div class="rl-entry" :class="{ 'rl-is-wrong': invalid }">
      <textarea ref="area" class="rl-entry-area" :value="text" :rows="rows" :placeholder="placeholder"
        :readonly="readonly" :aria-label="label" :aria-invalid="invalid ? 'true' : 'false'"
        :role="completes ? 'combobox' : undefined" :aria-autocomplete="completes ? 'list' : undefined"
        :aria-expanded="completes ? String(items.length > 0) : undefined"
        :aria-controls="completes ? list : undefined"
        :aria-activedescendant="items.length ? list + '-' + at : undefined"
        spellcheck="false" autocapitalize="off" autocomplete="off"
        @input="typed" @change="flush" @keydown="key" @blur="leave" @click="close"></textarea>
      <Teleport to="body">
        <div v-if="items.length" ref="offers" class="rl-offers" role="listbox" :id="list" :aria-label="label" :style="place">
          <div v-for="(item, i) in items" :key="item.text" class="rl-offer" :class="{ 'rl-on': i === at }"
            role="option" :id="list + '-' + i" :aria-selected="i === at ? 'true' : 'false'"
            @pointerdown.prevent="take(i)">
            <span class="rl-offer-text">{{ item.text }}</span>
            <span class="rl-offer-value">{{ item.value }}</span>
            <span v-if="item.help" class="rl-offer-help">{{ item.help }}</span>
          </div>
        </div>
      </Teleport>
    </div>
  `,
  props: {
    value: String,
    label: String,
    rows: { type: Number, default: 1 },
    placeholder: String,
    readonly: Boolean,
    invalid: Boolean,
    completes: Boolean,
    id: String,
  },
  data() {
    return { text: this.value || "", items: [], at: 0, turn: 0, place: {}, list: "rl-offers-" + Math.random().toString(36).slice(2) };
  },
  watch: {
    value(next) {
      // What is being typed here is on its way, and comes after it.
      if (this.pending || next === this.text) return;
      this.text = next || "";
      this.close();
      this.$nextTick(this.grow);
    },
  },
  mounted() {
    this.grow();
    // What is laid out later, or made narrower, has its height then.
    let width = 0;
    this.sized = new ResizeObserver(() => {
      const now = this.$refs.area?.clientWidth || 0;
      if (now !== width) { width = now; this.grow(); }
    });
    this.sized.observe(this.$refs.area);
    addEventListener("scroll", this.moved, true);
    addEventListener("resize", this.moved);
  },
  beforeUnmount() {
    this.sized.disconnect();
    removeEventListener("scroll", this.moved, true);
    removeEventListener("resize", this.moved);
    this.flush();
    const element = this.id && mounted_app.elements[this.id.slice(1)];
    if (element) element.props.value = this.text;
  },
  methods: {
    grow() {
      const area = this.$refs.area;
      if (!area) return;
      area.style.height = "auto";
      area.style.height = Math.min(area.scrollHeight + 2, 420) + "px";
    },
    typed(event) {
      this.text = event.target.value;
      this.grow();
      this.pending = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(this.send, 200);
      const before = this.text.slice(0, event.target.selectionStart);
      if (/[\p{L}\p{N}_.|{[]\s?$/u.test(before)) this.ask();
      else this.close();
    },
    send() {
      this.pending = false;
      this.$emit("update:value", this.text);
    },
    ask() {
      if (!this.completes || this.readonly) return;
      this.turn += 1;
      this.$emit("complete", { source: this.text, at: this.$refs.area.selectionStart, turn: this.turn });
    },
    // The answer to a question; one that came too late is left.
    show(turn, items) {
      if (turn !== this.turn || document.activeElement !== this.$refs.area) return;
      const word = WORD.exec(this.text.slice(0, this.$refs.area.selectionStart))[0];
      this.items = items.length === 1 && items[0].text === word ? [] : items;
      this.at = 0;
      this.moved();
    },
    moved(event) {
      if (!this.items.length || (event && this.$refs.offers && this.$refs.offers.contains(event.target))) return;
      const box = this.$refs.area.getBoundingClientRect();
      const below = innerHeight - box.bottom;
      const width = Math.max(240, Math.min(Math.max(box.width, 300), innerWidth - 16));
      this.place = {
        left: Math.max(8, Math.min(box.left, innerWidth - width - 8)) + "px",
        width: width + "px",
        ...(below > 200 || below > box.top
          ? { top: box.bottom + 4 + "px", maxHeight: Math.max(96, Math.min(280, below - 12)) + "px" }
          : { bottom: innerHeight - box.top + 4 + "px", maxHeight: Math.max(96, Math.min(280, box.top - 12)) + "px" }),
      };
    },
    close() {
      this.turn += 1;
      this.items = [];
    },
    flush() {
      clearTimeout(this.timer);
      if (this.pending) this.send();
    },
    leave() {
      this.close();
      this.flush();
    },
    key(event) {
      if (event.isComposing) return;
      if ((event.ctrlKey || event.metaKey) && event.code === "Space") {
        event.preventDefault();
        this.ask();
        return;
      }
      if (!this.items.length) return;
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
      if (step) {
        const next = this.at + step;
        this.at = Math.abs(step) === 1 ? (next + this.items.length) % this.items.length : Math.max(0, Math.min(this.items.length - 1, next));
        this.$nextTick(() => document.getElementById(this.list + "-" + this.at)?.scrollIntoView({ block: "nearest" }));
      } else if ((event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey) || event.key === "Tab") this.take(this.at);
      else if (event.key === "Escape") this.close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    take(index) {
      const area = this.$refs.area;
      const item = this.items[index];
      const end = area.selectionStart;
      const start = end - WORD.exec(this.text.slice(0, end))[0].length;
      const before = this.text.slice(0, start), after = this.text.slice(area.selectionEnd);
      // A tag of a template that is still open is closed behind the cursor.
      const open = /\{\{\s?$/.test(before) && !/^[^{]*\}\}/.test(after);
      const lead = open && !/\s$/.test(before) ? " " : "";
      this.text = before + lead + item.text + (open ? " }}" : "") + after;
      this.close();
      this.send();
      this.$nextTick(() => {
        area.focus();
        area.selectionStart = area.selectionEnd = start + lead.length + item.text.length;
        this.grow();
      });
    },
  },
};
