// A short tour: a card beside the thing it speaks of. It waits for the person to do it, never for
// long: every step can be passed, and Escape ends it.
(() => {
  const KEY = "rl-tour";
  const seen = () => { try { return localStorage.getItem(KEY); } catch { return "seen"; } };
  const remember = () => { try { localStorage.setItem(KEY, "seen"); } catch { /* private window */ } };
  document.documentElement.dataset.tour = seen() ? "seen" : "new";

  const make = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };

  let tour = null;

  class Tour {
    constructor(steps) {
      this.steps = steps;
      this.at = -1;
      this.back = document.activeElement;
      this.ring = make("div", "rl-tour-ring");
      this.card = make("div", "rl-tour");
      this.card.setAttribute("role", "dialog");
      this.card.setAttribute("aria-label", "Tour");
      this.title = make("h2", "rl-tour-title");
      this.text = make("p", "rl-tour-text");
      this.todo = make("p", "rl-tour-todo");
      // The focus stays in the card: what stands in it is read out when it changes.
      for (const part of [this.title, this.text, this.todo]) part.setAttribute("aria-live", "polite");
      this.count = make("span", "rl-muted rl-small");
      this.end = this.button("End the tour", "rl-tour-end", () => this.stop());
      this.next = this.button("Next", "rl-tour-next", () => this.go());
      const row = make("div", "rl-tour-row");
      row.append(this.count, this.end, this.next);
      this.card.append(this.title, this.text, this.todo, row);
      document.body.append(this.ring, this.card);
      this.keys = (event) => { if (event.key === "Escape") this.stop(); };
      addEventListener("keydown", this.keys);
      this.timer = setInterval(() => this.follow(), 150);
      this.go();
    }

    button(label, className, act) {
      const button = make("button", className, label);
      button.type = "button";
      button.addEventListener("click", act);
      return button;
    }

    /** The box of what a step speaks of, where it is on the screen. */
    boxOf(step) {
      const box = step.target ? document.querySelector(step.target)?.getBoundingClientRect() : null;
      return box?.width && box.height ? box : null;
    }

    /** `done`: what was asked for was done, so that what comes of it is on its way. */
    go(done = false) {
      const gone = (step) => step?.target && !step.wait && !this.boxOf(step);
      this.at += 1;
      while (!done && gone(this.steps[this.at])) this.at += 1;
      const step = this.steps[this.at];
      if (!step) { this.stop(); return; }
      const last = this.at === this.steps.length - 1;
      this.title.textContent = step.title;
      this.text.textContent = step.text;
      this.todo.textContent = step.todo || "";
      this.count.textContent = `${this.at + 1} of ${this.steps.length}`;
      // What is there already is not waited for.
      this.waiting = step.wait && !document.querySelector(step.wait) ? step.wait : "";
      this.next.textContent = this.waiting ? "Skip this" : last ? "Done" : "Next";
      this.end.hidden = last;
      this.follow();
      this.next.focus({ preventScroll: true });
    }

    follow() {
      const step = this.steps[this.at];
      if (this.waiting && document.querySelector(this.waiting)) { this.go(true); return; }
      const box = this.boxOf(step);
      this.ring.hidden = !box;
      const { offsetWidth: width, offsetHeight: height } = this.card;
      let left = (innerWidth - width) / 2;
      let top = (innerHeight - height) / 2;
      if (box) {
        Object.assign(this.ring.style, {
          left: `${box.left - 4}px`, top: `${box.top - 4}px`,
          width: `${box.width + 8}px`, height: `${box.height + 8}px`,
        });
        const gap = 14;
        const small = box.width < 420 && box.height < 320;
        const low = box.width > 3 * box.height;
        if (low && box.top > height + 2 * gap) [left, top] = [box.left + (box.width - width) / 2, box.top - height - gap];
        else if (small && innerHeight - box.bottom > height + 2 * gap) [left, top] = [box.left, box.bottom + gap];
        else if (innerWidth - box.right > width + 2 * gap) [left, top] = [box.right + gap, box.top];
        else if (box.left > width + 2 * gap) [left, top] = [box.left - width - gap, box.top];
        else if (box.top > height + 2 * gap) [left, top] = [box.left, box.top - height - gap];
        else [left, top] = [box.left, box.bottom + gap];
      }
      this.card.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
      this.card.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
    }

    stop() {
      clearInterval(this.timer);
      removeEventListener("keydown", this.keys);
      this.ring.remove();
      this.card.remove();
      remember();
      document.documentElement.dataset.tour = "seen";
      this.back?.focus?.({ preventScroll: true });
      tour = null;
    }
  }

  window.ragloomTour = (steps) => { tour ??= new Tour(steps); };
  window.ragloomTourSeen = () => { remember(); document.documentElement.dataset.tour = "seen"; };
})();
