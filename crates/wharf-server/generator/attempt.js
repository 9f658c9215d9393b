// One attempt as its page shows it: status, QR or code, and the string at the end.

export const byId = (id) => document.getElementById(id);

const WORDS = {
  connecting: "Connecting to WhatsApp…",
  scan_qr: "Waiting for your scan",
  enter_code: "Waiting for you to type the code",
  linked: "Linked. Making your string, this takes a few seconds…",
  done: "Done",
  failed: "It did not work",
};

/** A call of the generator; throws an error with `detail` for people. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => null);
  if (!answer) throw new Error("The server does not answer.");
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? "The server refused.");
  return told;
}

export function showProblem(text) {
  byId("problem").textContent = text ?? "";
  byId("problem").hidden = !text;
}

/** Begins an attempt and follows it to its end. `onStep` is told of every step. */
export async function begin(request, onStep) {
  showProblem(null);
  byId("again").hidden = true;
  setStep("connecting");
  let attempt;
  try {
    attempt = await call("POST", "/generator/attempts", request);
  } catch (error) {
    return fail(error.message);
  }
  const path = `/generator/attempts/${attempt.id}`;
  const events = new EventSource(`${path}/events`);
  let over = false;
  const end = () => {
    over = true;
    events.close();
    stopClock();
  };
  events.addEventListener("step", async (event) => {
    const step = JSON.parse(event.data);
    setStep(step.step);
    if (step.step === "done") {
      end();
      await show(path, step.sent);
    } else if (step.step === "failed") {
      end();
      fail(step.reason);
    }
    if (step.expires_at) startClock(Date.parse(step.expires_at));
    onStep(step, path);
  });
  // A reader that was cut off for a moment comes back by itself; one whose attempt is gone does not.
  events.addEventListener("error", () => {
    if (!over && events.readyState === EventSource.CLOSED) {
      end();
      fail("The connection to the server was lost.");
    }
  });
}

async function show(path, sent) {
  try {
    const { session } = await call("POST", `${path}/take`);
    byId("session").value = session;
    byId("sent").textContent = sent
      ? "It is in your chat with yourself as well."
      : "It could not be sent to your chat with yourself: keep it now.";
    byId("attempt").hidden = true;
    byId("result").hidden = false;
    byId("result-title").focus();
  } catch (error) {
    fail(error.message);
  }
}

function setStep(step) {
  byId("status").dataset.step = step;
  byId("status").textContent = WORDS[step] ?? step;
}

function fail(reason) {
  setStep("failed");
  showProblem(reason);
  byId("again").hidden = false;
  stopClock();
}

let ticking = null;

function startClock(until) {
  const began = Date.now();
  stopClock();
  byId("left").hidden = false;
  const tick = () => {
    byId("left").value = Math.max(0, until - Date.now()) / Math.max(1, until - began);
  };
  tick();
  ticking = setInterval(tick, 500);
}

function stopClock() {
  clearInterval(ticking);
  byId("left").hidden = true;
}

byId("copy").addEventListener("click", async () => {
  const field = byId("session");
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Without a secure origin there is no clipboard for scripts: select it for the keyboard.
    field.select();
    document.execCommand("copy");
  }
  byId("copied").textContent = "Copied.";
});

byId("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([byId("session").value], { type: "text/plain" }));
  link.download = "session.txt";
  link.click();
  URL.revokeObjectURL(link.href);
});
