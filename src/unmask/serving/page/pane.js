// One side of the page: a run that writes, the versions of its text, and what the reader wants changed in it.

import { choose, stream } from "./api.js";
import { Canvas, covered, decided, element, rewritten, spoken } from "./canvas.js";
import { showChoices, told } from "./choices.js";
import { layout, wordsOf } from "./layout.js";
import { readCells, showAnswer } from "./panels.js";
import { Controls } from "./settings.js";
import { Trace } from "./trace.js";

const HOLE = /_{2,}/;

export class Pane {
  /** @param page has offers, card, player, tell(error), say(text) */
  constructor(page, offers) {
    this.page = page;
    this.root = document.getElementById("pane").content.firstElementChild.cloneNode(true);
    this.find = (name) => this.root.querySelector("." + name);
    this.takes = [];
    this.take = null;
    this.edits = { locked: new Set(), cleared: new Set() };
    this.at = 0;
    this.canvas = new Canvas(this.find("canvas"), (...what) => this.act(...what));
    this.controls = offers?.models?.length ? new Controls(this.root, offers, () => this.refresh()) : null;
    this.find("choice").hidden = !this.controls;
    this.find("goon").addEventListener("click", () => this.goOn());
    this.find("again").addEventListener("click", () => this.anew());
    this.find("save").addEventListener("click", () => this.save());
    this.find("think").addEventListener("click", () => this.think());
    this.find("texts").addEventListener("change", (event) => { this.take.text = Number(event.target.value); this.relaid(); page.player.show(0); });
    this.refresh();
  }

  /** Frames of the text that is shown. */
  get frames() { return this.take?.trace.texts[this.take.text]?.frames ?? []; }
  get text() { return this.take.trace.texts[this.take.text]; }
  /** Who reads along, by name. */
  get reader() {
    const name = this.take?.body?.unmask.verifier;
    return name === "self" ? "its left-to-right side" : name ?? "the verifier";
  }
  get running() { return Boolean(this.take?.control); }

  /** Write what stands in the prompt. */
  write(prompt) {
    const { max_tokens, lengths } = this.controls.size, asked = {};
    if (HOLE.test(prompt)) asked.unmask = { infill: true, ...(lengths ? { lengths: /^\d+$/.test(lengths) ? Number(lengths) : lengths } : {}) };
    else asked.max_tokens = max_tokens;
    this.takes = [];
    this.find("weighed").hidden = true;
    return this.start({ prompt, ...asked });
  }

  /** Weigh options in the place of a text; returns what is said of it, and nothing where it was given up. */
  async weigh(prompt, options) {
    this.weighing?.abort();
    const control = this.weighing = new AbortController(), box = this.find("weighed"), { id } = this.controls.run;
    box.replaceChildren(element("p", "soft", `${id} weighs ${options.length} options \u2026`));
    box.hidden = false;
    try {
      const answer = await choose({ model: id, prompt, options }, control.signal);
      showChoices(box, answer);
      return told(answer);
    } catch (error) {
      if (error.name === "AbortError") return "";
      box.hidden = true;
      throw error;
    }
  }

  /** Ask for a text; what is asked is laid over the controls. Before: {trust, written} of words that are kept. */
  async start(asked, before = null) {
    this.stop();
    const common = this.controls.request();
    const body = { ...common, ...asked, unmask: { ...common.unmask, ...asked.unmask } };
    if (body.prompt === undefined || body.unmask.infill) delete body.unmask.index;  // it is looked up by a beginning
    const take = { trace: new Trace(), text: 0, answer: null, control: new AbortController(), before, body, whole: false };
    this.takes.push(take);
    this.choose(take);
    this.page.player.follow();
    try {
      for await (const [what, content] of stream(body, take.control.signal)) {
        if (what === "canvas") take.trace.add(content);
        else take.answer = content.choices?.[take.text] ?? null;
        if (this.take === take) this.arrived();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.page.tell(error);
    } finally {
      take.control = null;
      if (!take.trace.texts[0]?.frames.length) {  // it was refused: what was there stays
        this.takes = this.takes.filter((one) => one !== take);
        if (this.take === take) this.choose(this.takes.at(-1) ?? null);
      } else if (this.take === take) this.ended();
    }
  }

  /** Show a trace from a file. */
  replay(trace) {
    this.stop();
    const text = trace.texts.findIndex((one) => one.frames.length);
    const take = { trace, text, answer: null, control: null, before: null, body: null, whole: true };
    this.takes = [take];
    this.choose(take);
    this.ended();
  }

  stop() {
    this.take?.control?.abort();
    this.weighing?.abort();
  }

  choose(take) {
    this.take = take;
    this.edits.cleared.clear();
    this.relaid();
    this.refresh();
  }

  arrived() {
    this.relaid();
    this.page.player.grew();
  }

  ended() {
    this.take.whole = true;
    this.relaid();
    this.refresh();
    this.page.player.grew();
  }

  relaid() {
    this.places = this.frames.length ? layout(this.take.trace, this.text, this.take.whole) : [];
  }

  /** Draw a frame; moving: as the one behind the last. */
  show(at, moving = false) {
    this.at = Math.max(0, Math.min(at, this.frames.length - 1));
    this.find("empty").hidden = Boolean(this.frames.length);
    if (!this.frames.length) { this.canvas.draw([], this.edits, false); return; }
    this.words = wordsOf(this.take.trace, this.text, this.at, this.places, this.take.before);
    this.canvas.draw(this.words, this.edits, moving);
    this.facts();
  }

  /** How far the text is, in words. */
  facts() {
    const frame = this.frames[this.at], count = { done: 0, open: 0 };
    for (let place = 1; place < frame.length; place++) count[this.take.trace.decided(frame, place) ? "done" : "open"]++;
    const again = this.words.filter(rewritten).length;
    const changes = [[this.edits.locked.size, "locked"], [this.edits.cleared.size, "to be written again"]];
    const names = this.takes.length && this.take.body ? [] : [this.take.trace.header.run || "a trace", this.take.trace.header.sampler];
    const parts = [...names, `step ${frame.step}`, frame.calls === null ? "" : `${frame.calls} ${frame.calls === 1 ? "call" : "calls"} of the network`, `${count.done} decided`, `${count.open} open`];
    if (again) parts.push(`${again} ${again === 1 ? "word" : "words"} rewritten by ${this.reader}`);
    parts.push(...changes.filter(([size]) => size).map(([size, what]) => `${size} ${what}`));
    this.find("facts").replaceChildren(...parts.filter(Boolean).flatMap((part, at) => [at ? " \u00b7 " : "", element("span", "", part)]));
    this.heard = `Step ${frame.step}: ${count.done} decided, ${count.open} open. `;
    const last = this.at === this.frames.length - 1 && !this.running;
    this.find("goon").hidden = !this.able || !(this.edits.cleared.size || count.open || !last);
    this.find("goon").disabled = this.find("goon").hidden;
    this.find("again").hidden = !this.able || !this.take.body;
    if (last) this.heard += "Finished: " + this.words.map((word) => (word.space ? " " : "") + spoken(word)).join("").trim();
  }

  /** Whether the server can go on with this text: it is of a run that is loaded. */
  get able() {
    if (!this.controls || !this.take?.trace.header) return false;
    if (this.take.body) return this.take.body.model === this.controls.run?.id || this.print(this.controls.run) === this.take.trace.header.tokenizer?.fingerprint;
    return this.print(this.controls.run) !== undefined && this.print(this.controls.run) === this.take.trace.header.tokenizer?.fingerprint;
  }

  print(run) { return run?.fingerprint; }

  act(what, word, at, piece = -1) {
    if (what === "point" || what === "leave" || what === "open") { this.page.card.act(what, this, word, at, piece); return; }
    const own = decided(word);
    if (!this.able || !own.length) return;
    const [mine, other] = what === "lock" ? [this.edits.locked, this.edits.cleared] : [this.edits.cleared, this.edits.locked];
    const undo = covered(word, mine), last = this.frames[this.at].length;
    if (what === "clear" && !this.controls.run.infills) {  // left to right: what follows is written again
      for (let place = own.at(-1) + 1; place < last; place++) own.push(place);
    }
    for (const place of own) {
      other.delete(place);
      if (undo) mine.delete(place); else mine.add(place);
    }
    this.page.say(`${spoken(word)}: ${undo ? "as it was" : what === "lock" ? "locked" : "will be written again"}`);
    this.page.player.draw();
  }

  /** Keep what this frame shows, but for what was cleared, and write the rest. */
  goOn() {
    const frame = this.frames[this.at];
    this.from(frame, (place) => this.take.trace.decided(frame, place) && !this.edits.cleared.has(place));
  }

  /** Keep what was given and locked, and write all else with another seed. */
  anew() {
    const frame = this.frames[this.at], first = this.frames[0];
    const given = (place) => this.take.trace.decided(first, place) && !this.take.before?.has(place);
    this.controls.put("seed", String(Number(this.controls.request().seed) + 1));
    if (!this.edits.locked.size && this.take.body.prompt !== undefined) { this.start({ ...this.take.body, seed: this.controls.request().seed }); return; }
    this.from(frame, (place) => given(place) || (this.edits.locked.has(place) && this.take.trace.decided(frame, place)), this.text.length);
  }

  from(frame, keeps, length = frame.length) {
    const canvas = [], before = new Map(this.take.before ?? []), first = this.frames[0];
    for (let place = 1; place < length; place++) {
      const kept = place < frame.length && keeps(place);
      canvas.push(kept ? frame.tokens[place] : null);
      if (!kept) before.delete(place);
      else if (!this.take.trace.decided(first, place)) before.set(place, frame.trust[place]);
    }
    this.start({ unmask: { canvas } }, before);
  }

  /** Go on behind a text from the thought that it ended with: as far as its passage has room. */
  think() {
    const { thought } = this.take.answer.unmask, { passage } = this.controls.run.thoughts;
    this.start({ max_tokens: passage - readCells(thought).tokens % passage, unmask: { thought } });
  }

  save() {
    const link = element("a"), { header } = this.take.trace;
    link.href = URL.createObjectURL(this.take.trace.file());
    link.download = `${(header.run || "text").replace(/[^\p{L}\p{N}_-]+/gu, "-")}-${header.sampler.replace(/\W+/g, "-")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.page.say("The trace is saved as " + link.download);
  }

  /** Set what does not hang on the frame. */
  refresh() {
    const take = this.take, texts = this.find("texts"), takes = this.find("takes");
    this.find("save").hidden = !this.frames.length;
    const several = (take?.trace.texts.length ?? 0) > 1;
    texts.hidden = !several;
    if (several) texts.replaceChildren(...take.trace.texts.map((_, at) => new Option(`text ${at + 1} of ${take.trace.texts.length}`, at, false, at === take.text)));
    takes.hidden = this.takes.length < 2;
    takes.replaceChildren(...this.takes.map((one, at) => {
      const button = element("button", "take", String(at + 1));
      button.type = "button";
      button.setAttribute("aria-label", `Version ${at + 1}`);
      button.setAttribute("aria-pressed", String(one === take));
      button.addEventListener("click", () => { this.choose(one); this.page.player.end(); });
      return button;
    }));
    arriving(this.find("empty"), this.controls
      ? "Here a text comes out of noise, the surest words first; write a beginning above, or leave holes, and watch."
      : "No run is served, so nothing can be written; drop a trace here to watch one.");
    showAnswer(this.root, take?.answer ?? null);
    this.show(this.at);
  }
}

/** A sentence whose words come out of noise, too. */
function arriving(place, sentence) {
  if (place.textContent === sentence) return;
  place.replaceChildren(...sentence.split(" ").flatMap((word, at) => [at ? " " : "", element("span", "d" + (at * 5 % 7), word)]));
}
