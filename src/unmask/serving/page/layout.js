// Where the pieces of a text stand, and what each shows in a frame. Once a text is whole its places stay where they
// are: each is as wide as the widest word that it ever shows, so that nothing moves while it is played.

import { said, spans, visible } from "./pieces.js";

/** The places of a text: by its last frame alone while it is being written, by all of its frames afterwards. */
export function layout(trace, text, whole) {
  const last = text.frames.at(-1), frames = whole ? text.frames : [last];
  const longest = frames.reduce((most, frame) => Math.max(most, frame.length), 0);
  return spans(trace, last, longest).map((span) => place(trace, frames, span));
}

function place(trace, frames, span) {
  const found = { start: span[0], end: span[1], space: 0, before: 0, after: 0, widest: "", known: false };
  let last = null;
  for (const frame of frames) {
    if (last && same(last, frame, span)) continue;
    last = frame;
    const text = said(trace, frame, span);
    if (!text) continue;
    const bare = text.replace(/^[\n ]+/, ""), lead = text.slice(0, text.length - bare.length);
    found.known = true;
    found.before = bare ? lead.split("\n").length - 1 : 0;
    found.after = bare ? bare.length - bare.replace(/\n+$/, "").length : lead.split("\n").length - 1;
    found.space = Math.max(found.space, bare ? lead.length - lead.lastIndexOf("\n") - 1 : lead.replaceAll("\n", "").length);
    const shown = bared(text);
    if (shown.length > found.widest.length) found.widest = shown;
  }
  return found;
}

function same(one, other, [start, end]) {
  if (one.length !== other.length) return false;
  for (let at = start; at < end; at++) {
    if (one.tokens[at] !== other.tokens[at] || one.open.has(at) !== other.open.has(at)) return false;
  }
  return true;
}

function bared(text) { return visible(text.replace(/^[\n ]+/, "").replace(/\n+$/, "")); }

/** What a place shows in a frame: {kind, text, trust, verdict}; kinds are open, waiting, guess, written, given and gone. */
export function moment(trace, text, at, place, inherited) {
  const frame = text.frames[at], { start, end } = place;
  if (end > frame.length) return { kind: "gone", text: "", trust: 0 };
  const words = said(trace, frame, [start, end]);
  if (words === null) {
    const guess = end - start === 1 ? guessed(trace, frame, start) : "";
    if (guess) return { kind: "guess", text: guess, trust: 0 };
    return { kind: frame.block && start >= frame.block[1] ? "waiting" : "open", text: "", trust: 0 };
  }
  if (!words) return { kind: "gone", text: "", trust: 0 };
  let trust = 1, given = true;
  for (let p = start; p < end; p++) {
    const mine = trace.decided(text.frames[0], p), before = inherited?.get(p);
    trust = Math.min(trust, mine && before !== undefined ? before : frame.trust[p]);
    given &&= mine && before === undefined;
  }
  return { kind: given ? "given" : "written", text: bared(words), trust, verdict: given ? "" : verdict(frame, place) };
}

/** What a verifier has said of a place: that a part of it was rewritten says more than that another was kept. */
function verdict(frame, { start, end }) {
  const found = (frame.verdict ?? []).filter(([, first, behind]) => first < end && start < behind).map(([said]) => said);
  return found.includes("rewritten") ? "rewritten" : found[0] ?? "";
}

function guessed(trace, frame, place) {
  const [best] = frame.candidates.get(place) ?? [];
  const token = frame.open.has(place) ? frame.tokens[place] : best?.[0];
  return token === undefined || token === trace.header.vocabulary.mask ? "" : bared(said(trace, { ...frame, tokens: { [place]: token }, open: new Set() }, [place, place + 1]) ?? "");
}

/** Words of a text in a frame: places that no space and no line end parts. */
export function wordsOf(trace, text, at, places, inherited) {
  const bytes = trace.header.tokenizer?.name === "bytes", found = [];
  let word = null;
  for (const place of places) {
    const now = moment(trace, text, at, place, inherited), before = at ? moment(trace, text, at - 1, place, inherited) : null;
    if (now.kind === "gone" && !place.known && !place.after) continue;
    const loose = !place.known;  // nobody knows yet whether a space belongs here
    if (!word || place.space || place.before || loose || word.loose) {
      word = { key: place.start, start: place.start, end: place.end, places: [], space: loose || word?.loose ? !bytes || place.space : place.space, before: place.before, after: 0, loose };
      found.push(word);
    }
    word.places.push({ ...place, ...now, fresh: before !== null && now.kind === "written" && (before.kind !== "written" || before.text !== now.text), lost: before?.kind === "written" && now.kind === "open" });
    word.end = place.end;
    word.after = place.after;
    if (place.after || /\s$/.test(place.widest)) word = null;
  }
  return found;
}

/** The step and the words that each frame in which a span changed brought: how a word came about. */
export function history(trace, text, at, [start, end]) {
  const found = [];
  let last = null;
  for (const frame of text.frames.slice(0, at + 1)) {
    const words = said(trace, frame, [start, end]);
    if (words === last) continue;
    found.push({ step: frame.step, text: words === null ? null : bared(words) });
    last = words;
  }
  return found;
}
