// Which of these? Options weighed in one place of a text, and what their numbers are worth.

import { element } from "./canvas.js";
import { meter } from "./meter.js";
import { visible } from "./pieces.js";

const KINDS = {
  exact: "the run\u2019s own law of these options",
  "one call": "all words of an option are answered at once; words that hang together lose",
  estimate: "options of unlike lengths, weighed in a few random orders",
  bound: "from the process\u2019s bound on each option, so shares are rough",
};

/** The options in a field: one a line; the space before one is its own. */
export function optionsOf(text) { return text.split("\n").map((line) => line.trimEnd()).filter(Boolean); }

/** Show options, weighed, and whether that is exact. */
export function showChoices(box, { model, choices, choice, kind, calibrated, prompt_seen: seen, usage }) {
  const head = element("p", "worth"), list = element("ol");
  head.append(element("b", "", visible(model)), " ", element("span", "kind " + kind.replace(" ", "-"), kind), " ", element("span", "soft", KINDS[kind] ?? ""));
  list.append(...choices.map(({ option, probability, index }) => {
    const item = element("li", index === choice ? "likeliest" : ""), row = meter(probability, visible(option).trim());
    if (index === choice) row.firstChild.prepend(element("span", "hidden", "the likeliest: "));
    item.append(row);
    return item;
  }));
  const facts = [`${usage.calls} ${usage.calls === 1 ? "call" : "calls"} of the network`, calibrated ? "calibrated" : "", seen < usage.prompt_tokens ? `of the text before, the last ${seen} of ${usage.prompt_tokens} tokens count` : ""];
  box.replaceChildren(head, list, element("p", "soft", facts.filter(Boolean).join(", ")));
  box.hidden = false;
}

/** What those hear who listen. */
export function told({ model, choices, choice, kind }) {
  const { option, probability } = choices[choice];
  return `${model}: ${option.trim()}, ${Math.round(100 * probability)} percent, ${kind}.`;
}
