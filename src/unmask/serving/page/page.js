// The page: a prompt, one or two panes, a player, traces that come and go. It uses only the public API.

import { offers, ServerError, setKey } from "./api.js";
import { Card } from "./card.js";
import { optionsOf } from "./choices.js";
import { element } from "./canvas.js";
import { Pane } from "./pane.js";
import { Player } from "./player.js";
import { theme } from "./theme.js";
import { readTrace, TraceError } from "./trace.js";
import { visible } from "./pieces.js";

const $ = (id) => document.getElementById(id);
const EXAMPLES = [
  ["A beginning", "Once upon a time there was a little fox who"],
  ["Holes", "The little ____ ran to the ____ and was very ____."],
  ["Options", "The dog ____ at the moon.", "barked\nlaughed\nslept"],
  ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u090f\u0915 \u0926\u093f\u0928 \u090f\u0915 \u091b\u094b\u091f\u0940 \u0932\u0921\u093c\u0915\u0940"],
];

const NOTHING = "No run is served; train one with: unmask train nano-masked";

const page = { card: null, player: null, tell, say };
let panes = [], offered = null;

function say(text) { $("heard").textContent = text; }

/** Say what went wrong, in words. */
function tell(error) {
  if (!(error instanceof ServerError || error instanceof TraceError)) { console.error(error); error = new Error("This page failed: " + error.message); }
  if (error.status === 401) { $("keyed").hidden = false; $("key").focus(); }
  $("problem").textContent = visible(error.message);
  $("problem").hidden = false;
}

function quiet() { $("problem").hidden = true; }

function show(count) {
  while (panes.length > count) panes.pop().stop();
  while (panes.length < count) {
    const pane = new Pane(page, offered);
    panes.push(pane);
    pane.name = panes.length;
    if (panes.length === 2) second(pane);
  }
  panes.forEach((pane, at) => pane.root.setAttribute("aria-label", panes.length > 1 ? `Side ${at + 1}` : "What is written"));
  $("panes").replaceChildren(...panes.map((pane) => pane.root));
  $("compare").setAttribute("aria-pressed", String(count === 2));
  page.player.draw();
}

/** The second side begins with another run, or with another sampler of the same. */
function second(pane) {
  if (!pane.controls) return;
  const [first] = panes, { models } = offered, mine = first.controls.run;
  const other = models.find((one) => one.id !== mine.id) ?? mine;
  pane.controls.model.value = other.id;
  pane.controls.samplers();
  if (other === mine && other.samplers.length > 1) {
    pane.controls.sampler.value = other.samplers.find((one) => one.name !== first.controls.sampler.value).name;
    pane.controls.settings();
  }
}

function write() {
  quiet();
  page.card.close();
  const prompt = $("prompt").value;
  for (const pane of panes) {
    if (!pane.controls) { tell(new ServerError(NOTHING)); return; }
    pane.edits.locked.clear();
    pane.write(prompt);
  }
  panes[0].find("sheet").scrollIntoView({ block: "nearest" });  // on a phone it is below the prompt
}

/** Weigh the options, by every side. */
async function weigh() {
  quiet();
  const options = optionsOf($("options").value);
  if (!panes.every((pane) => pane.controls)) { tell(new ServerError(NOTHING)); return; }
  if (options.length < 2) { tell(new ServerError("Give two options or more, one a line.")); $("options").focus(); return; }
  const said = await Promise.all(panes.map((pane) => pane.weigh($("prompt").value, options).catch((error) => { tell(error); return ""; })));
  say(said.join(" "));
  panes[0].find("weighed").scrollIntoView({ block: "nearest" });  // on a phone it is below the options
}

async function replay(file) {
  quiet();
  try {
    const trace = await readTrace(file), pane = panes.at(-1).frames.length && panes.length > 1 ? panes[1] : panes[0];
    pane.replay(trace);
    page.player.follow();
    say(`The trace ${file.name} plays.`);
  } catch (error) {
    tell(error);
  }
}

async function begin() {
  try {
    offered = await offers();
    $("keyed").hidden = true;
    quiet();
  } catch (error) {
    offered = null;
    tell(error);
  }
  panes.forEach((pane) => pane.stop());
  panes = [];
  show(1);
  $("write").disabled = !offered?.models?.length;
  $("compare").disabled = $("which").disabled = !offered?.models?.length;
}

function examples() {
  $("prompt").value = EXAMPLES[0][1];
  $("examples").append(...EXAMPLES.map(([name, text, options]) => {
    const button = element("button", "quiet", name);
    button.type = "button";
    button.addEventListener("click", () => {
      $("prompt").value = text;
      if (options) Object.assign($("options"), { value: options });
      $("weigh").open = Boolean(options);
      $("prompt").focus();
    });
    return button;
  }));
}

page.card = new Card(say);
page.player = new Player(() => panes, say);
theme($("theme"));
examples();
$("ask").addEventListener("submit", (event) => { event.preventDefault(); write(); });
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); write(); }
});
$("which").addEventListener("click", weigh);
$("options").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); weigh(); }
});
$("compare").addEventListener("click", () => show(panes.length === 1 ? 2 : 1));
$("keyed").addEventListener("submit", (event) => { event.preventDefault(); setKey($("key").value); begin(); });
$("load").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => { if ($("file").files[0]) replay($("file").files[0]); $("file").value = ""; });
addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); $("drop").hidden = false; } });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  if (event.dataTransfer?.files[0]) replay(event.dataTransfer.files[0]);
});
begin();
