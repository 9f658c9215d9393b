// Small words for the page: finding elements, making them, showing times, numbers and ticks.

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Names of the simulated phones, by number and by hidden id: an answer may come from either.
export const people = new Map();

const digits = (address) => String(address ?? "").replace(/^\+/, "").replace(/[:@].*$/, "");

export const nameOf = (address) => people.get(digits(address)) ?? plus(address);

export const plus = (phone) => (phone ? `+${digits(phone)}` : "");

export function clock(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

const TICKS = {
  queued: ["◷", "waiting"],
  sending: ["◷", "being sent"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
  played: ["✓✓", "played"],
  failed: ["✕", "failed"],
  expired: ["✕", "expired"],
  cancelled: ["✕", "cancelled"],
};

// A status as ticks; `wordy` also writes it out.
export function ticks(status, wordy = false) {
  const [sign, word] = TICKS[status] ?? ["", status];
  const made = element("span", { className: "ticks", textContent: wordy ? `${sign} ${word}` : sign });
  made.dataset.status = status;
  if (!wordy) {
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", word);
  }
  return made;
}

export function showProblem(error) {
  const box = byId("problem");
  box.textContent = error ? error.message : "";
  box.hidden = !error;
}
