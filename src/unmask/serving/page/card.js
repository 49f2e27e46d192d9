// The card of a word: how sure it is, when it came, what stood there before, its candidates, and what can be done.

import { complete } from "./api.js";
import { covered, decided, element, spoken, surety } from "./canvas.js";
import { history } from "./layout.js";
import { meter } from "./meter.js";
import { shown, visible } from "./pieces.js";

const PATIENCE = 250, MOST = 6;

export class Card {
  constructor(say) {
    this.box = document.getElementById("card");
    this.say = say;
    this.kept = new Map();  // what was asked of the server: candidates by canvas and place
    this.timer = 0;
    this.pinned = false;
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.stopPropagation(); this.close(true); }
    });
    document.addEventListener("pointerdown", (event) => {
      if (this.pinned && !this.box.contains(event.target) && !event.target.closest(".word")) this.close();
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(true); });
    addEventListener("scroll", () => { if (!this.pinned) this.close(); }, { passive: true });
  }

  act(what, pane, word, at, piece) {
    if (what === "open") { this.show(pane, word, at, piece, true); return; }
    if (this.pinned) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (what === "point" ? this.show(pane, word, at, piece, false) : this.close()), what === "point" ? PATIENCE : 120);
  }

  close(back = false) {
    clearTimeout(this.timer);
    const word = this.at;
    this.pinned = false;
    this.control?.abort();
    if (this.box.matches(":popover-open")) this.box.hidePopover();
    if (back && word?.isConnected && this.at) word.focus();
    this.at = null;
  }

  show(pane, word, at, piece, pinned) {
    clearTimeout(this.timer);
    this.control?.abort();
    Object.assign(this, { at, pinned });
    const text = spoken(word), sure = surety(word), open = word.places.some((place) => ["open", "waiting", "guess"].includes(place.kind));
    const parts = [element("p", "said", open ? text || "still open" : text)], frame = pane.frames[pane.at], span = [word.start, word.end];
    parts[0].dir = "auto";
    const past = history(pane.take.trace, pane.text, pane.at, span), came = past.at(-1);
    if (sure !== null) parts.push(meter(sure, "sure"));
    if (!open) parts.push(element("p", "soft", sure === null ? "It was given." : came.step ? `Decided in step ${came.step}.` : "Kept from the version before."));
    const said = verdicts(word, pane.reader);
    if (said) parts.push(element("p", "soft verdict", said));
    const earlier = past.slice(0, -1).filter((one) => one.text);
    if (earlier.length) parts.push(element("p", "soft", "Before: " + earlier.map((one) => `${one.text} (step ${one.step})`).join(", ")));
    const list = element("div", "candidates");
    parts.push(list);
    const place = word.places[piece] ?? word.places.reduce((least, one) => (one.trust < least.trust ? one : least));
    const own = frame.candidates.get(place.start);
    if (own) listed(list, own.map(([token, mass]) => [shown(pane.take.trace, token), mass]));
    else if (this.asks(pane, place)) this.ask(pane, place, list, word.places.length > 1);
    if (pinned && pane.able && decided(word).length) parts.push(this.buttons(pane, word, at));
    this.box.replaceChildren(...parts);
    this.place(at);
    if (pinned) {
      this.box.tabIndex = -1;
      (this.box.querySelector("button") ?? this.box).focus();
    }
  }

  buttons(pane, word, at) {
    const row = element("div", "line");
    const locked = covered(word, pane.edits.locked), cleared = covered(word, pane.edits.cleared);
    for (const [what, text] of [["lock", locked ? "Unlock" : "Lock"], ["clear", cleared ? "Keep" : "Clear"]]) {
      const button = element("button", what, text);
      button.type = "button";
      button.addEventListener("click", () => { this.close(true); pane.act(what, word, at); });
      row.append(button);
    }
    return row;
  }

  /** Whether the server is asked what else could stand here: of a run that is loaded, while nothing is being written. */
  asks(pane, place) { return pane.able && !pane.running && place.end - place.start === 1 && place.kind !== "waiting"; }

  async ask(pane, { start: place, text }, list, part) {
    const frame = pane.frames[pane.at], canvas = [];
    for (let at = 1; at < (pane.controls.run.infills ? frame.length : place + 1); at++) canvas.push(at === place || !pane.take.trace.decided(frame, at) ? null : frame.tokens[at]);
    const name = JSON.stringify([pane.controls.run.id, canvas]), control = this.control = new AbortController();
    if (!this.kept.has(name)) {
      list.append(element("p", "soft", "asking the run \u2026"));
      try {
        const { choices: [{ unmask }] } = await complete({ model: pane.controls.run.id, unmask: { canvas, candidates: MOST } }, control.signal);
        this.kept.set(name, new Map(unmask.candidates.map(({ place: open, likeliest }) => [open, likeliest])));
      } catch (error) {
        if (error.name !== "AbortError") list.replaceChildren(element("p", "soft", error.message));
        return;
      }
    }
    if (control.signal.aborted) return;
    listed(list, (this.kept.get(name).get(place) ?? []).map((one) => [named(one.text), one.probability]));
    if (part && text) list.prepend(element("p", "soft", `In place of \u201c${text.trim()}\u201d:`));
    if (this.at) this.place(this.at);
  }

  place(at) {
    if (!this.box.matches(":popover-open")) this.box.showPopover();
    const word = at.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = this.box;
    const room = document.body.clientWidth, below = word.bottom + 8 + height < innerHeight;
    this.box.style.left = Math.max(8, Math.min(word.left, room - width - 8)) + "px";
    this.box.style.top = Math.max(8, below ? word.bottom + 8 : word.top - height - 8) + "px";
  }
}

/** A token as it is listed; one that is no text by itself is a part of a letter. */
function named(text) {
  if (text === null) return "part of a letter";
  return text === "" ? "end of text" : visible(text).trim() || "\u2423";
}

const SAID = {
  accepted: (reader) => `Read by ${reader}, and kept.`, rewritten: (reader) => `Written again: ${reader} refused what stood here.`,
  skipped: (reader) => `Not read by ${reader}.`, added: (reader) => `A word of ${reader}\u2019s own.`,
};

/** What a verifier said of a word, in words. */
function verdicts(word, reader) {
  const found = new Set(word.places.map((place) => place.verdict).filter((verdict) => verdict in SAID));
  return [...found].map((verdict) => SAID[verdict](reader)).join(" ");
}

function listed(list, candidates) {
  list.replaceChildren(...candidates.slice(0, MOST).map(([text, mass]) => meter(mass, text)));
}
