// What an answer brings beside its text: the evidence that it read, and the thought that it ended with.

import { element } from "./canvas.js";

/** Show the panels of an answer; null: there is none yet. */
export function showAnswer(root, answer) {
  const told = answer?.unmask ?? {}, evidence = root.querySelector(".evidence"), thought = root.querySelector(".thought");
  evidence.hidden = !told.evidence?.length;
  evidence.querySelector("ol").replaceChildren(...(told.evidence ?? []).map((found) => {
    const item = element("li");
    item.append(element("span", "", String(found.text ?? "")));
    if (Number.isFinite(found.score)) item.append(element("span", "soft", ` nearness ${found.score.toFixed(2)}`));
    return item;
  }));
  const cells = told.thought ? readCells(told.thought) : null;
  thought.hidden = !cells;
  if (cells) draw(thought, cells);
}

/** The cells of a thought file in base64: a safetensors file, a header in JSON and then numbers. */
export function readCells(base64) {
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
    const size = Number(view.getBigUint64(0, true)), header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
    const { dtype, shape: [rows, columns], data_offsets: [begin, end] } = header.cells;
    if (dtype !== "F32" || rows * columns * 4 !== end - begin) return null;
    return { rows, columns, tokens: header.tokens?.shape[0] ?? 0, values: new Float32Array(bytes.slice(8 + size + begin, 8 + size + end).buffer) };
  } catch {
    return null;
  }
}

/** Draw cells as shades of the text's own colour: rows are cells, columns their channels. */
function draw(panel, { rows, columns, values }) {
  const picture = panel.querySelector("canvas"), most = values.reduce((top, value) => Math.max(top, Math.abs(value)), 1e-9);
  picture.width = columns;
  picture.height = rows;
  const pen = picture.getContext("2d"), image = pen.createImageData(columns, rows);
  values.forEach((value, at) => {
    const light = Math.round(127.5 * (1 + value / most));
    image.data.set([light, light, light, 255], 4 * at);
  });
  pen.putImageData(image, 0, 0);
  picture.setAttribute("aria-label", `A thought of ${rows} cells with ${columns} channels, its numbers as shades of grey`);
  panel.querySelector("p").textContent = `${rows} cells, ${columns} channels each; black is ${(-most).toFixed(2)}, white ${most.toFixed(2)}`;
}
