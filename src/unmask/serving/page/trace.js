// Reads a trace, line by line, as a server streams it or a file holds it: docs/reference/canvas-events.md says what a line is.

const NEWEST = 2, LONGEST = 1 << 26, PLACES = 1 << 20, SHOWN = 1 << 26;
const encoder = new TextEncoder();

/** A trace that cannot be read; its message is for people. */
export class TraceError extends Error {}

/** All that was streamed of some texts: its lines as they came, and each text's frames. */
export class Trace {
  constructor() {
    this.lines = [];
    this.header = null;
    this.strings = new Map();  // token -> its bytes
    this.texts = [];  // {length, frames}
    this.whole = false;
    this.shown = 0;
  }

  /** Take a line; wrong ones raise TraceError and leave what came before as it was. */
  add(line) {
    if (line.length > LONGEST) throw new TraceError("A line of this trace is too long to be one.");
    let content;
    try {
      content = JSON.parse(line);
    } catch {
      throw new TraceError(this.header ? "This trace is damaged; what came before is shown." : "This is not a trace.");
    }
    if (!this.header) this.begin(content);
    else if (Array.isArray(content?.rows)) this.step(content);
    else if (Number.isInteger(content?.end)) this.whole = content.end === this.lines.length - 1;
    this.lines.push(line);
  }

  begin(header) {
    if (header?.kind !== "unmask-trace") throw new TraceError("This is not a trace; unmask sample RUN --trace FILE makes one.");
    if (!(header.format >= 1 && header.format <= NEWEST)) {
      throw new TraceError(`This trace has format ${header.format}, and this page reads up to ${NEWEST}; use a newer unmask.`);
    }
    const special = header.vocabulary ?? {}, requests = Array.isArray(header.requests) ? header.requests : [];
    const sizes = requests.map((request) => request?.length);
    if (!["pad", "bos", "eos", "mask"].every((name) => Number.isInteger(special[name])) || !sizes.length) damaged();
    if (!sizes.every((size) => Number.isInteger(size) && size > 0) || sizes.reduce((a, b) => a + b) > PLACES) damaged();
    this.header = header;
    this.texts = sizes.map((length) => ({ length, frames: [] }));
  }

  step(content) {
    for (const [token, text] of Object.entries(content.strings ?? {})) {
      if (typeof text !== "string" && !Array.isArray(text)) damaged();
      this.strings.set(Number(token), typeof text === "string" ? encoder.encode(text) : Uint8Array.from(text));
    }
    const made = content.rows.map((row) => [this.texts[row?.request] ?? damaged(), row]);
    for (const [text, row] of made) text.frames.push(this.frame(text, row));
  }

  frame(text, row) {
    const last = text.frames.at(-1), { mask } = this.header.vocabulary;
    this.shown += text.length;
    if (this.shown > SHOWN) throw new TraceError("This trace is too long for this page; unmask sample --replay plays it.");
    const tokens = last ? last.tokens.slice() : new Int32Array(text.length).fill(mask);
    const trust = last ? last.trust.slice() : new Float32Array(text.length);
    if (!Array.isArray(row.set) || !inside(row.length, text.length) || !listed(row.verdict) || !listed(row.candidates)) damaged();
    for (const [place, token, sure] of row.set) {
      if (!inside(place, text.length - 1) || (token !== mask && !this.strings.has(token))) damaged();
      tokens[place] = token;
      trust[place] = sure;
    }
    const candidates = new Map((row.candidates ?? []).map(([place, given]) => [place, given]));
    const verdict = row.verdict ?? null;
    return {
      step: row.step, tokens, trust, length: row.length, open: new Set(row.open ?? []), candidates, verdict,
      block: row.block ?? null, calls: row.calls ?? null,
    };
  }

  /** Whether a place of a frame is decided. */
  decided(frame, place) {
    return place < frame.length && frame.tokens[place] !== this.header.vocabulary.mask && !frame.open.has(place);
  }

  /** The bytes that a token says; special tokens say nothing. */
  bytes(token) {
    const { pad, bos, eos, mask } = this.header.vocabulary;
    return [pad, bos, eos, mask].includes(token) ? new Uint8Array() : this.strings.get(token) ?? new Uint8Array();
  }

  /** The trace as a file. */
  file() {
    return new Blob([this.lines.map((line) => line + "\n").join("")], { type: "application/x-ndjson" });
  }
}

/** Read a file that somebody dropped; one that ends in .gz is compressed. */
export async function readTrace(file) {
  let stream = file.stream();
  if (file.name.endsWith(".gz")) stream = stream.pipeThrough(new DecompressionStream("gzip"));
  let text;
  try {
    text = await new Response(stream).text();
  } catch {
    throw new TraceError("This file cannot be read; is it a trace?");
  }
  const trace = new Trace();
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (!line.trim()) continue;
    try {
      trace.add(line);
    } catch (error) {  // a trace that is cut short plays as far as it goes
      if (!(error instanceof TraceError) || !trace.texts.some((one) => one.frames.length)) throw error;
      break;
    }
  }
  if (!trace.texts.some((one) => one.frames.length)) throw new TraceError("This trace holds no step.");
  return trace;
}

function listed(value) { return value === undefined || value === null || (Array.isArray(value) && value.every(Array.isArray)); }
function inside(value, most) { return Number.isInteger(value) && value >= 0 && value <= most; }
function damaged() { throw new TraceError("This trace is damaged; record it again with --trace."); }
