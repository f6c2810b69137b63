// A run on one time scale. Rows come from Python; what still works grows here.
const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];
const above = (ms) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 1)));
  return power * STEPS.find((step) => step * power >= ms * 0.9999);
};
const words = (ms) => {
  if (ms === 0) return "0";
  if (ms < 1000) return `${+ms.toPrecision(3)} ms`;
  if (ms < 120000) return `${+(ms / 1000).toPrecision(3)} s`;
  return `${+(ms / 60000).toPrecision(3)} min`;
};

// Between two looks at the clock: a frame more often would cost a page more than the run itself.
const TICK_MS = 125;

export default {
  template: `
    <div class="rl-gantt" :class="{ 'is-flat': !rows.some((row) => row.folds) }" role="group" aria-label="Timeline of the run" @keydown="keys">
      <div class="rl-gantt-axis" aria-hidden="true">
        <span><i v-for="tick in ticks" :key="tick" :style="{ left: share(tick) + '%' }">{{ words(tick) }}</i></span>
      </div>
      <div v-for="row in shown" :key="row.id" class="rl-gantt-row" :class="'is-' + row.status" :data-row="row.id" :title="row.hint" @click="$emit('pick', { id: row.id })">
        <span class="rl-gantt-name" :style="{ paddingLeft: row.depth * 14 + 'px' }">
          <button v-if="row.folds" type="button" class="rl-gantt-fold" :aria-expanded="open.has(row.id)"
            :aria-label="'Steps inside ' + row.title" @click.stop="fold(row)">
            <span class="material-icons" aria-hidden="true">{{ open.has(row.id) ? 'expand_more' : 'chevron_right' }}</span>
          </button>
          <span v-else class="rl-gantt-fold" />
          <button type="button" class="rl-gantt-pick rl-ellipsis" :class="{ 'is-critical': row.critical }" :aria-label="row.title + ', ' + (row.words || 'at work')">{{ row.title }}</button>
        </span>
        <span class="rl-gantt-lane">
          <i v-for="tick in ticks" :key="tick" class="rl-gantt-grid" :style="{ left: share(tick) + '%' }" />
          <i v-if="row.start - row.ready > max / 400" class="rl-gantt-wait" :style="span(row.ready, row.start)" />
          <i v-if="row.status !== 'skipped'" class="rl-gantt-bar"
            :class="{ 'is-cached': row.cached, 'is-critical': row.critical, 'is-working': row.end === null }" :style="span(row.start, row.end === null ? now : row.end)" />
          <i v-for="(at, i) in row.attempts" :key="'a' + i" class="rl-gantt-again" :style="{ left: share(at) + '%' }" />
        </span>
        <span class="rl-gantt-words rl-num">{{ row.end === null ? elapsed(row) : row.words }}</span>
        <span class="rl-gantt-why rl-ellipsis">{{ row.reason }}</span>
      </div>
    </div>`,
  emits: ["ready", "gone", "pick"],
  data: () => ({ rows: [], open: new Set(), max: 1, now: 0, timer: 0 }),
  computed: {
    shown() {
      const visible = new Set();
      return this.rows.filter((row) => {
        const on = !row.parent || (visible.has(row.parent) && this.open.has(row.parent));
        if (on) visible.add(row.id);
        return on;
      });
    },
    ticks() {
      const step = above(this.max / 5);
      const found = [];
      for (let at = 0; at < this.max * 0.97; at += step) found.push(at);
      return found;
    },
  },
  mounted() {
    this.$emit("ready", {});
  },
  unmounted() {
    clearInterval(this.timer);
    this.$emit("gone", {});
  },
  methods: {
    words,
    share(ms) {
      return Math.min(100, (ms / this.max) * 100);
    },
    span(from, to) {
      const left = Math.min(99.6, this.share(from));
      return { left: left + "%", width: Math.max(0.25, Math.min(100 - left, this.share(to) - left)) + "%" };
    },
    elapsed(row) {
      const ms = this.now - row.start;
      return ms < 10000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
    },
    fold(row) {
      const next = new Set(this.open);
      if (!next.delete(row.id)) next.add(row.id);
      this.open = next;
    },
    // Everything, or only the rows that changed; `clock` is where the run is now, while it runs.
    load({ rows, order, total, clock, fresh }) {
      if (fresh) { this.rows = []; this.open = new Set(); this.max = 1; }
      if (order) {
        const known = new Map(this.rows.map((row) => [row.id, row]));
        for (const row of rows) known.set(row.id, Object.freeze(row));
        this.rows = order.map((id) => known.get(id)).filter(Boolean);
      } else if (rows.length) {
        const changed = new Map(rows.map((row) => [row.id, Object.freeze(row)]));
        this.rows = this.rows.map((row) => changed.get(row.id) || row);
      }
      clearInterval(this.timer);
      if (clock === null) {
        // The end: the scale that fits best, once.
        this.max = above(Math.max(total, 1));
        return;
      }
      const began = performance.now() - clock;
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const tick = () => {
        this.now = performance.now() - began;
        // The scale holds still until it is full, then makes room.
        if (this.now > this.max) this.max = above(Math.max(this.now * 1.4, 200));
      };
      this.timer = setInterval(tick, calm ? 1000 : TICK_MS);
      tick();
    },
    keys(event) {
      const row = event.target.closest?.("[data-row]");
      if (!row) return;
      const id = row.dataset.row;
      const here = this.rows.find((one) => one.id === id);
      if ((event.key === "ArrowRight" && here.folds && !this.open.has(id)) || (event.key === "ArrowLeft" && this.open.has(id))) this.fold(here);
      else if (event.key === "ArrowDown") row.nextElementSibling?.querySelector(".rl-gantt-pick")?.focus();
      else if (event.key === "ArrowUp") row.previousElementSibling?.querySelector(".rl-gantt-pick")?.focus();
      else return;
      event.preventDefault();
    },
  },
};
