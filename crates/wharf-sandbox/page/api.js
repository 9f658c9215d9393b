// Talks to the server that the page came from.

export class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export async function call(method, path, body, accept = "application/json") {
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!answer.ok) throw await refusal(answer);
  if (accept !== "application/json") return answer.blob();
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

async function refusal(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // Not a problem document: the status has to do.
  }
  const fields = (problem.errors ?? []).map((field) => field.detail).filter(Boolean);
  const text = [problem.detail ?? problem.title ?? `Status ${answer.status}`, ...fields].join(" ");
  return new Refusal(answer.status, problem.code, text);
}

// A file; the answer is JSON.
export async function postBytes(path, body, kind) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": kind }, body });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

// Server-sent events that come back by themselves. `seen` runs for every event, `opened` at every (re)connection.
export function listen(path, names, seen, opened = () => {}, lost = () => {}) {
  let source;
  let timer;
  let closed = false;
  const open = () => {
    source = new EventSource(path);
    source.onopen = opened;
    source.onmessage = seen;
    for (const name of names) source.addEventListener(name, seen);
    source.onerror = () => {
      lost();
      if (!closed && source.readyState === EventSource.CLOSED) {
        clearTimeout(timer);
        timer = setTimeout(open, 1500);
      }
    };
  };
  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    source.close();
  };
}

// Runs `work` once at a time; calls that come meanwhile make it run once more.
export function gathered(work) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof TypeError)) console.warn("refresh failed:", error.message);
    } finally {
      running = false;
    }
    if (again) {
      again = false;
      await run();
    }
  };
}
