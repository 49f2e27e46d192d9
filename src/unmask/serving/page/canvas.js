// Draws the words of a text. Elements are kept from frame to frame, so that focus stays where it is.

const LEVELS = [0.2, 0.4, 0.6, 0.8];

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Canvas {
  /** @param place the paragraph; @param act called with (point, leave, open, lock or clear; word, its element, its piece) */
  constructor(place, act) {
    this.place = place;
    this.act = act;
    this.drawn = new Map();  // key -> {element, word, told}
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("copy", (event) => this.copy(event));
    for (const [type, what] of [["click", "open"], ["pointerover", "point"], ["pointerout", "leave"]]) {
      place.addEventListener(type, (event) => {
        const at = event.target.closest(".word"), one = at && this.drawn.get(Number(at.dataset.key));
        const place = [...at?.children ?? []].indexOf(event.target.closest(".place"));
        if (one && !(what !== "open" && event.pointerType === "touch")) this.act(what, one.word, at, place);
      });
    }
  }

  /** Draw words; moving: their changes are shown as changes. */
  draw(words, edits, moving) {
    const nodes = [], kept = new Map();
    for (const word of words) {
      if (word.before) nodes.push(...breaks(word.before));
      else if (word.space && nodes.length) nodes.push(" ");
      const one = this.drawn.get(word.key) ?? { element: element("span", "word"), told: "" };
      one.word = word;
      one.element.dataset.key = word.key;
      this.fill(one, word, edits, moving);
      kept.set(word.key, one);
      nodes.push(one.element);
      if (word.after) nodes.push(...breaks(word.after));
    }
    this.drawn = kept;
    const old = this.place.childNodes, focused = document.activeElement;
    if (nodes.length !== old.length || nodes.some((node, at) => !alike(node, old[at]))) {
      this.place.replaceChildren(...nodes);
      if (focused?.dataset?.key && this.place.contains(focused)) focused.focus({ preventScroll: true });
    }
    if (!this.place.querySelector('.word[tabindex="0"]')) this.place.querySelector(".word")?.setAttribute("tabindex", "0");
  }

  fill(one, word, edits, moving) {
    const locked = covered(word, edits.locked), cleared = covered(word, edits.cleared);
    const told = JSON.stringify([word.places.map((p) => [p.kind, p.text, p.trust.toFixed(2), p.widest, p.verdict, moving && (p.fresh || p.lost)]), locked, cleared]);
    if (told === one.told) return;
    one.told = told;
    const { element: box } = one;
    box.className = ["word", locked ? "locked" : "", cleared ? "cleared" : ""].filter(Boolean).join(" ");
    box.setAttribute("role", "button");
    if (!box.hasAttribute("tabindex")) box.tabIndex = -1;
    box.setAttribute("aria-label", label(word, locked, cleared));
    box.replaceChildren(...word.places.map((place) => {
      const shade = place.kind === "written" ? "t" + LEVELS.filter((limit) => place.trust >= limit).length : "";
      const made = element("span", ["place", place.kind, shade, place.verdict === "rewritten" ? "rewritten" : "", place.widest ? "" : "w" + (place.start * 7 % 5), moving && place.fresh ? "fresh" : "", moving && place.lost ? "lost" : ""].filter(Boolean).join(" "));
      made.append(element("span", "ghost", place.widest), element("span", "now", place.text));
      return made;
    }));
  }

  /** Copy what is selected as it is read: boxes alone would be lines of their own. */
  copy(event) {
    const chosen = getSelection(), parts = [];
    for (const node of this.place.childNodes) {
      if (!chosen.containsNode(node, true)) continue;
      parts.push(node.nodeName === "BR" ? "\n" : node.nodeType === Node.TEXT_NODE ? node.data : spoken(this.drawn.get(Number(node.dataset.key)).word));
    }
    event.clipboardData.setData("text/plain", parts.join(""));
    event.preventDefault();
  }

  key(event) {
    const at = document.activeElement, one = at && this.drawn.get(Number(at.dataset?.key));
    if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...this.place.querySelectorAll(".word")], here = all.indexOf(at);
    const go = (to) => {
      const next = all[Math.max(0, Math.min(all.length - 1, to))];
      at.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    };
    const keys = {
      ArrowRight: () => go(here + 1), ArrowLeft: () => go(here - 1), Home: () => go(0), End: () => go(all.length - 1),
      Enter: () => this.act("open", one.word, at), " ": () => this.act("open", one.word, at),
      l: () => this.act("lock", one.word, at), x: () => this.act("clear", one.word, at),
      Delete: () => this.act("clear", one.word, at), Backspace: () => this.act("clear", one.word, at),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/** The decided places of a word. */
export function decided(word) {
  return word.places.filter((one) => ["written", "given"].includes(one.kind)).flatMap(({ start, end }) => Array.from({ length: end - start }, (_, at) => start + at));
}

/** Whether all decided places of a word are among some. */
export function covered(word, places) {
  const own = decided(word);
  return own.length > 0 && own.every((place) => places.has(place));
}

/** What a word says in a frame, its pieces together. */
export function spoken(word) { return word.places.map((place) => place.text).join(""); }

/** How sure the least sure piece of a word is; null: it was given, or is open. */
export function surety(word) {
  const written = word.places.filter((place) => place.kind === "written");
  return written.length ? Math.min(...written.map((place) => place.trust)) : null;
}

/** Whether a verifier had a part of a word written again. */
export function rewritten(word) { return word.places.some((place) => place.verdict === "rewritten"); }

function label(word, locked, cleared) {
  const text = spoken(word), sure = surety(word), open = word.places.some((place) => ["open", "waiting", "guess"].includes(place.kind));
  const facts = [text || "open", sure === null ? "" : `${Math.round(100 * sure)} percent sure`];
  if (text && open) facts.push("not decided");
  if (!open && sure === null && text) facts.push("given");
  if (rewritten(word)) facts.push("rewritten by the verifier");
  if (locked) facts.push("locked");
  if (cleared) facts.push("to be written again");
  return facts.filter(Boolean).join(", ");
}

function breaks(count) { return Array.from({ length: Math.min(count, 2) }, () => document.createElement("br")); }

function alike(node, old) {
  if (!old) return false;
  return typeof node === "string" ? old.nodeType === Node.TEXT_NODE && old.data === node : node === old || node.nodeName === "BR" && old.nodeName === "BR";
}
