// The public API of the server, and nothing else of it: what it offers, and a canvas stream.

let key = sessionStorage.getItem("unmask-key") ?? "";

/** What the server said no to, in its words. */
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export function setKey(value) {
  key = value;
  sessionStorage.setItem("unmask-key", value);
}

async function call(path, body, signal) {
  const headers = {};
  if (key) headers.Authorization = "Bearer " + key;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not answer. Is unmask serve still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null), wait = answer.headers.get("Retry-After");
  const message = told?.error?.message ?? `The server answered ${answer.status}.`;
  throw new ServerError(sentence(message) + (wait ? ` Try again in ${wait} s.` : ""), answer.status);
}

/** What the page may offer: runs with their samplers, indexes, limits. */
export async function offers() { return (await call("v1/unmask")).json(); }

/** An answer that is not streamed. */
export async function complete(body, signal) { return (await call("v1/completions", body, signal)).json(); }

/** Options, weighed in a place of a text. */
export async function choose(body, signal) { return (await call("v1/choices", body, signal)).json(); }

/** Ask for a text and yield its stream: ["canvas", a line of its trace] again and again, then ["answer", the answer]. */
export async function* stream(body, signal) {
  const answer = await call("v1/completions", { ...body, stream: true, unmask: { ...body.unmask, stream: "canvas" } }, signal);
  let whole = false;
  for await (const [name, data] of events(answer.body, signal)) {  // to its end: who leaves at [DONE] has left
    if (whole) continue;
    if (name === "canvas") yield ["canvas", data];
    else if (data === "[DONE]") whole = true;
    else {
      const content = JSON.parse(data);
      if (content.error) throw new ServerError(sentence(content.error.message));
      yield ["answer", content];
    }
  }
  if (!whole) throw new ServerError("The server stopped in the middle of the text; what came is shown.");
}

async function* events(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        let name = "message";
        const data = [];
        for (const line of rest.slice(0, end).split("\n")) {
          if (line.startsWith("event: ")) name = line.slice(7);
          if (line.startsWith("data: ")) data.push(line.slice(6));
        }
        rest = rest.slice(end + 2);
        if (data.length) yield [name, data.join("\n")];
      }
    }
  } catch (error) {
    if (signal?.aborted || error instanceof ServerError) throw error;
    throw new ServerError("The connection broke in the middle of the text; what came is shown.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

function sentence(text) {
  const whole = String(text).trim();
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}
