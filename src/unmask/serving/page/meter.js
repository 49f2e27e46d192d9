// A share of something, as a bar: a name, how much of the rail it fills, and a percentage.

import { element } from "./canvas.js";

/** A row of a list of shares. */
export function meter(share, text) {
  const row = element("div", "meter"), bar = element("i"), name = element("span", "", text);
  name.dir = "auto";
  name.title = text;
  bar.style.inlineSize = Math.max(1, 100 * Math.min(1, share)) + "%";
  const rail = element("span", "rail");
  rail.append(bar);
  row.append(name, rail, element("span", "share", `${share > 0 && share < 0.0005 ? "<0.1" : (100 * share).toFixed(share < 0.1 ? 1 : 0)} %`));
  return row;
}
