// Plays what the panes hold: one step for all of them, forward, back, or as it comes.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  /** @param panes called for the panes that there are; @param say tells those who listen */
  constructor(panes, say) {
    this.panes = panes;
    this.say = say;
    this.at = 0;
    this.timer = 0;
    const $ = (id) => document.getElementById(id);
    this.parts = { box: $("player"), play: $("play"), back: $("back"), on: $("on"), step: $("step"), told: $("at"), speed: $("speed"), checked: $("checked") };
    this.parts.play.addEventListener("click", () => this.toggle());
    this.parts.back.addEventListener("click", () => this.go(this.at - 1));
    this.parts.on.addEventListener("click", () => this.go(this.at + 1, true));
    this.parts.step.addEventListener("input", () => this.go(Number(this.parts.step.value)));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  get last() { return Math.max(0, ...this.panes().map((pane) => pane.frames.length - 1)); }
  get running() { return this.panes().some((pane) => pane.running); }

  key(event) {
    const { tagName, type } = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || this.parts.box.hidden) return;
    if (tagName === "TEXTAREA" || tagName === "SELECT" || (tagName === "INPUT" && type !== "range")) return;
    if (event.key === " " && ["BUTTON", "SUMMARY"].includes(tagName)) return;
    const act = { " ": () => this.toggle(), k: () => this.toggle(), ",": () => this.go(this.at - 1), ".": () => this.go(this.at + 1, true) }[event.key];
    if (act) { event.preventDefault(); act(); }
  }

  /** Begin at the first frame of what is about to come. */
  follow() {
    this.at = 0;
    this.play();
  }

  play() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), this.wait);
    this.tell();
  }

  get wait() { return 1000 / Number(calm.matches ? 60 : this.parts.speed.value); }

  tick() {
    if (this.at < this.last) {
      this.at = calm.matches ? this.last : this.at + 1;
      this.draw(true);
    } else if (!this.running) {
      this.pause();
      this.hear();
      return;
    }
    this.timer = setTimeout(() => this.tick(), this.wait);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.tell();
  }

  toggle() {
    if (this.timer) { this.pause(); this.hear(); return; }
    if (this.at >= this.last && !this.running) this.show(0);
    this.play();
  }

  /** Go to a frame and stay there. */
  go(at, moving = false) {
    this.pause();
    this.show(at, moving);
    this.hear();
  }

  show(at, moving = false) {
    this.at = Math.max(0, Math.min(at, this.last));
    this.draw(moving);
  }

  end() { this.pause(); this.show(this.last); }

  /** A pane has more frames, or other ones. */
  grew() {
    this.show(this.at, Boolean(this.timer));
  }

  draw(moving = false) {
    for (const pane of this.panes()) pane.show(this.at, moving);
    this.tell();
  }

  hear() { this.say(this.panes().map((pane) => pane.heard ?? "").join(" ")); }

  tell() {
    const { box, play, back, on, step, told, checked } = this.parts, { last } = this;
    checked.hidden = !this.panes().some((pane) => pane.frames[pane.at]?.verdict);
    box.hidden = !this.panes().some((pane) => pane.frames.length);
    document.body.classList.toggle("playing", Boolean(this.timer));
    play.textContent = this.timer ? "Pause" : "Play";
    step.max = last;
    step.value = this.at;
    told.textContent = `${this.at} of ${last}${this.running ? " \u2026" : ""}`;
    step.setAttribute("aria-valuetext", `step ${this.at} of ${last}`);
    back.disabled = this.at === 0;
    on.disabled = this.at >= last;
  }
}
