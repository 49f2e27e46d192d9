// The controls of a pane: which run, which sampler, and its settings, made from what the server offers.

import { element } from "./canvas.js";

const SLIDERS = {
  steps: { min: 1, max: 128, step: 1 }, temperature: { min: 0, max: 2, step: 0.05 },
};
const SHARED = ["seed"];

export class Controls {
  /** @param root the pane's element; @param offers of the server; @param changed called when a run is chosen */
  constructor(root, offers, changed) {
    this.root = root;
    this.offers = offers;
    this.inputs = new Map();  // name of a setting -> its input
    this.model = root.querySelector(".model");
    this.sampler = root.querySelector(".sampler");
    this.steps = root.querySelector(".steps");
    this.model.replaceChildren(...offers.models.map((one) => new Option(one.id, one.id)));
    this.model.addEventListener("change", () => { this.samplers(); changed(); });
    this.sampler.addEventListener("change", () => this.settings());
    this.samplers();
  }

  /** The chosen run, as the server offers it. */
  get run() { return this.offers.models.find((one) => one.id === this.model.value); }

  samplers() {
    const { samplers = [], sampler } = this.run ?? {};
    this.sampler.replaceChildren(...samplers.map((one) => {
      const option = new Option(one.name, one.name);
      option.title = one.about ?? "";
      return option;
    }));
    if (sampler) this.sampler.value = sampler;
    this.settings();
  }

  settings() {
    const run = this.run, sampler = run?.samplers.find((one) => one.name === this.sampler.value), box = this.root.querySelector(".settings");
    const kept = new Map([...this.inputs].map(([name, input]) => [name, input.value]));
    this.inputs.clear();
    const parts = [];
    const context = Math.max(8, (run?.context ?? 128) - 1);
    parts.push(this.slider("max_tokens", "Length", { min: 4, max: context, step: 1 }, Math.min(48, context), "most tokens to write behind a beginning"));
    parts.push(this.text("lengths", "Hole", "1-4", "tokens in a hole: a number, or a range"));
    parts.push(this.number("seed", "Seed", 0, "same seed, same text"));
    const others = [];
    this.steps.hidden = true;
    const usual = run && this.usual ? run.settings : {};
    for (const given of sampler?.settings ?? []) {
      if (SHARED.includes(given.name)) continue;
      const setting = { ...given, default: usual[given.name] ?? given.default };
      if (setting.name === "steps") this.slider("steps", "", SLIDERS.steps, setting.default, setting.about, this.steps);
      else if (setting.name === "temperature") parts.push(this.slider("temperature", "Temperature", SLIDERS.temperature, setting.default, setting.about));
      else others.push(this.setting(setting));
    }
    if (run?.thoughts) {
      parts.push(this.text("keywords", "Steer to the words", "", "the thought is pushed towards saying one of these; commas between them"));
      parts.push(this.slider("strength", "Steering", { min: 0, max: 4, step: 0.1 }, 0.5, "length of the push"));
    }
    const indexes = run?.evidence ? (this.offers.indexes ?? []).map((one) => one.name) : [];
    if (indexes.length) parts.push(this.choice("index", "Evidence from", ["", ...indexes], "an index that is asked for texts near the beginning"));
    const rivals = this.offers.models.filter((one) => one.verifies && one.fingerprint === run?.fingerprint && (one.id !== run.id || run.infills)).map((one) => (one.id === run.id ? "self" : one.id));
    if (rivals.length) {
      parts.push(this.choice("verifier", "Checked by", ["", ...rivals], "a run that reads along; self: the run\u2019s own left-to-right side"));
      parts.push(this.choice("verify", "Checked how", run.infills ? ["repair", "lossless"] : ["lossless"], "repair: what it finds unlikely is written again; lossless: the text is the verifier\u2019s own, drafted by this run"));
    }
    box.replaceChildren(...parts);
    if (others.length) {
      const fold = element("details", "others");
      fold.append(element("summary", "", "All settings of " + sampler.name), ...others);
      box.append(fold);
    }
    for (const [name, value] of kept) {
      if (!["steps"].includes(name) && this.inputs.has(name) && !this.inputs.get(name).dataset.own) this.put(name, value);
    }
  }

  put(name, value) {
    const input = this.inputs.get(name);
    if (!input || (input.options && ![...input.options].some((one) => one.value === value))) return;
    input.value = value;
    input.dispatchEvent(new Event("input"));
  }

  slider(name, title, { min, max, step }, value, about, into) {
    const label = into ?? element("label", "slide"), input = into ? label.querySelector("input") : element("input");
    if (!into) {
      const head = element("span", "", title + " ");
      head.append(element("output"));
      label.append(head, input);
    }
    label.hidden = false;
    label.title = about ?? "";
    Object.assign(input, { type: "range", min, max, step, value: value ?? min });
    const told = label.querySelector("output"), tell = () => { told.textContent = input.value; };
    input.oninput = tell;
    tell();
    this.inputs.set(name, input);
    return label;
  }

  field(name, title, input, about) {
    const label = element("label", "field");
    label.append(element("span", "", title), input);
    label.title = about ?? "";
    this.inputs.set(name, input);
    return label;
  }

  text(name, title, value, about) {
    return this.field(name, title, Object.assign(element("input"), { type: "text", value, dir: "auto" }), about);
  }

  number(name, title, value, about) {
    return this.field(name, title, Object.assign(element("input"), { type: "number", value, step: "any" }), about);
  }

  choice(name, title, values, about) {
    const select = element("select");
    select.append(...values.map((value) => new Option(value || "nothing", value)));
    return this.field(name, title, select, about);
  }

  setting({ name, default: value, about, takes, choices }) {
    const help = [about, takes].filter(Boolean).join("; takes ");
    let label;
    if (typeof value === "boolean") label = this.choice(name, name, ["false", "true"], help);
    else if (choices?.length) label = this.choice(name, name, choices.map(String), help);
    else label = this.text(name, name, "", help);
    const input = this.inputs.get(name);
    if (input.tagName === "SELECT") input.value = String(value);
    else input.placeholder = value === null || value === undefined ? "" : String(value);
    input.dataset.own = String(value ?? "");
    return label;
  }

  /** Whether the sampler is the run's own, so that its preset counts. */
  get usual() { return this.sampler.value === this.run.sampler; }

  /** What is asked of the server, but for the text itself. */
  request() {
    const get = (name) => this.inputs.get(name)?.value.trim() ?? "", own = {};
    for (const [name, input] of this.inputs) {
      if (input.dataset.own === undefined || input.value.trim() === "" || input.value === input.dataset.own) continue;
      own[name] = read(input.value.trim());
    }
    const asked = { model: this.run?.id, seed: Number(get("seed")) || 0, unmask: this.usual ? {} : { sampler: this.sampler.value } };
    if (get("temperature")) asked.temperature = Number(get("temperature"));
    if (!this.steps.hidden) asked.unmask.steps = Number(get("steps"));
    if (Object.keys(own).length) asked.unmask.settings = own;
    if (get("index")) asked.unmask.index = get("index");
    if (get("verifier")) {
      Object.assign(asked.unmask, { verifier: get("verifier"), verify: get("verify") });
      if (get("verify") === "lossless") for (const name of ["sampler", "steps", "settings"]) delete asked.unmask[name];  // the verifier writes, by its own
    }
    if (this.run?.thoughts) asked.unmask.return_thought = true;
    const keywords = get("keywords").split(",").map((word) => word.trim()).filter(Boolean);
    if (keywords.length) asked.unmask.steering = { keywords, strength: Number(get("strength")) };
    return asked;
  }

  /** How long a text may be, and its holes. */
  get size() { return { max_tokens: Number(this.inputs.get("max_tokens").value), lengths: this.inputs.get("lengths").value.trim() }; }
}

function read(value) {
  if (value === "true" || value === "false") return value === "true";
  if (value === "null") return null;
  return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
}
