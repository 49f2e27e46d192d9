
"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const $ = (id) => document.getElementById(id);
const last = content.frames - 1, limits = [0.2, 0.5, 0.8];
let at = 0, timer = 0;
const drawn = [];  // [element, the word's element, moments, the text's steps, calls] of each place

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function build() {
  for (const text of content.texts) {
    const article = element("article"), body = element("p", "text");
    if (content.texts.length > 1) article.append(element("h2", "", "Text " + (text.number + 1)));
    body.dir = "auto";
    let word = null;
    for (const place of text.places) {
      if (place.space) { body.append(" ".repeat(place.space)); word = null; }
      if (!word) { word = element("span", "word"); body.append(word); }
      const box = element("span", "place"), now = element("span");
      const widest = place.moments.reduce((most, moment) => moment[2].length > most.length ? moment[2] : most, "");
      const ghost = element("span", "ghost", widest);
      ghost.setAttribute("aria-hidden", "true");
      box.append(ghost, now);
      word.append(box);
      drawn.push([box, now, place.moments, text.steps, place.calls]);
      for (let i = 0; i < Math.min(place.breaks, 2); i++) body.append(element("br"));
      if (place.breaks) { body.append("\u00a0".repeat(place.indent)); word = null; }
      else if (place.moments[place.moments.length - 1][2].endsWith(" ")) word = null;
    }
    article.append(body);
    $("texts").append(article);
  }
}
function fifth(part, whole) { return "s" + Math.min(4, Math.floor(5 * part / Math.max(1, whole))); }
function shade(moment, steps, calls, colour) {
  if (moment[1] !== "word") return "";
  if (colour === "confidence") return "c" + limits.filter((limit) => moment[3] >= limit).length;
  if (colour === "calls") return fifth(Math.max(0, calls - 1), content.most);
  return fifth(Math.max(0, moment[0] - 1), steps.length - 1);
}
function show(frame) {
  at = Math.max(0, Math.min(last, frame));
  const colour = $("colour").value;
  let decided = 0, open = 0;
  document.body.dataset.colour = colour;
  for (const [box, now, moments, steps, calls] of drawn) {
    const moment = moments.findLast((each) => each[0] <= at), kind = moment[1];
    const fresh = moment[0] === at && at > 0 && kind === "word";
    box.className = ["place", kind, shade(moment, steps, calls, colour), fresh ? "now" : ""].filter(Boolean).join(" ");
    if (now.textContent !== moment[2]) now.textContent = moment[2];
    box.title = kind === "word" ? "step " + steps[Math.min(moment[0], steps.length - 1)] + ", confidence " + moment[3] + (calls ? ", " + calls + (calls > 1 ? " calls" : " call") : "") : kind;
    if (kind === "open" || kind === "waiting" || kind === "guess") open++;
    else if (kind === "word") decided++;
  }
  const step = content.steps[at];
  $("at").textContent = "step " + step + " of " + content.steps[last];
  $("step").value = at;
  $("step").setAttribute("aria-valuetext", "step " + step + ": decided " + decided + ", open " + open);
  $("back").disabled = at === 0;
  $("on").disabled = at === last;
}
function stop(told) {
  clearTimeout(timer);
  timer = 0;
  $("play").textContent = "Play";
  if (told) $("heard").textContent = $("step").getAttribute("aria-valuetext");
}
function tick() {
  if (at >= last) { stop(true); return; }
  show(at + 1);
  timer = setTimeout(tick, 1000 / Number($("speed").value));
}
function play() {
  if (timer) { stop(true); return; }
  if (at >= last) show(0);
  $("play").textContent = "Pause";
  timer = setTimeout(tick, 1000 / Number($("speed").value));
}
function go(frame) { stop(false); show(frame); }

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const keys = {
    " ": play, k: play, ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1), Home: () => go(0), End: () => go(last),
    c: () => { const list = $("colour"); list.selectedIndex = (list.selectedIndex + 1) % list.length; show(at); },
  };
  if (event.key === " " && event.target.tagName === "BUTTON") return;
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) { event.preventDefault(); act(); }
});
$("play").addEventListener("click", play);
$("back").addEventListener("click", () => go(at - 1));
$("on").addEventListener("click", () => go(at + 1));
$("step").addEventListener("input", () => go(Number($("step").value)));
$("colour").addEventListener("change", () => show(at));

build();
$("controls").hidden = false;
show(0);
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
