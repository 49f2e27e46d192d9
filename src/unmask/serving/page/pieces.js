// What is seen of a text: tokens put together until no letter is split between them, and no control character acts.

const DOTTED = "\u25cc";  // stands where the letter is still open that a sign belongs to
const FEED = "\u21b5";
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const decoder = new TextDecoder();

/** Split bytes into clusters (what readers take for one letter); returns the bytes that each of them takes. */
export function clusters(bytes) {
  let text = "";
  const sizes = [];  // of each UTF-16 unit: a byte that is no text stands as a surrogate of its own
  for (let at = 0; at < bytes.length;) {
    const size = whole(bytes, at), letter = size ? decoder.decode(bytes.subarray(at, at + size)) : String.fromCharCode(0xdc00 + bytes[at]);
    text += letter;
    sizes.push(size || 1, ...new Array(letter.length - 1).fill(0));
    at += size || 1;
  }
  const found = [];
  for (const { segment, index } of segmenter.segment(text)) {
    let size = 0;
    for (let unit = 0; unit < segment.length; unit++) size += sizes[index + unit];
    found.push(size);
  }
  return found;
}

function whole(bytes, at) {
  const first = bytes[at], size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (!size || at + size > bytes.length) return 0;
  for (let next = 1; next < size; next++) if ((bytes[at + next] & 0xc0) !== 0x80) return 0;
  return first !== 0xef && decoder.decode(bytes.subarray(at, at + size)).includes("\ufffd") ? 0 : size;
}

/** The text of bytes; a sign whose letter is missing gets a dotted circle to stand on. */
export function words(bytes) {
  const text = new TextDecoder().decode(bytes);
  return /^\p{M}/u.test(text) ? DOTTED + text : text;
}

/** Text in which every control character can be seen and none acts. */
export function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufffe\uffff]/g, (letter) => {
    const code = letter.charCodeAt(0);
    if (letter === "\n") return FEED;
    if (letter === "\t") return "    ";
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\\u" + code.toString(16).padStart(4, "0");
  });
}

export function join(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

/** The spans [start, end) of a frame that are shown as one: runs of decided tokens between letters, and open places. */
export function spans(trace, frame, longest) {
  const found = [];
  let start = 0;
  for (let place = 0; place <= longest; place++) {
    if (place < longest && trace.decided(frame, place)) continue;
    decided(trace, frame, start, place, found);
    if (place < longest) found.push([place, place + 1]);
    start = place + 1;
  }
  return found;
}

function decided(trace, frame, first, behind, found) {
  const parts = [];
  for (let place = first; place < behind; place++) parts.push(trace.bytes(frame.tokens[place]));
  const ends = new Set([0]);
  let at = 0;
  for (const size of clusters(join(parts))) ends.add(at += size);
  let start = 0, begin = 0;
  at = 0;
  parts.forEach((part, place) => {
    at += part.length;
    if (ends.has(at)) {
      found.push([first + start, first + place + 1]);
      start = place + 1;
      begin = at;
    }
  });
  if (begin < at) found.push([first + start, behind]);
}

/** What a span says in a frame; null where any of it is open. */
export function said(trace, frame, [start, end]) {
  if (start >= frame.length) return "";
  const parts = [];
  for (let place = start; place < Math.min(end, frame.length); place++) {
    if (!trace.decided(frame, place)) return null;
    parts.push(trace.bytes(frame.tokens[place]));
  }
  return words(join(parts));
}

/** The word of a single token, fit to be shown in a list. */
export function shown(trace, token) {
  if (token === trace.header.vocabulary.eos) return "end of text";
  return visible(words(trace.bytes(token))).trim() || "\u2423";
}
