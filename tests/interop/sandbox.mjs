// Owns the other side of every test: the sandbox's phones and groups, by its control API.

const base = process.env.INTEROP_CONTROL_URL;

export const chatUrl = process.env.INTEROP_CHAT_URL;
export const rootPublicKey = Buffer.from(process.env.INTEROP_ROOT ?? "", "hex");

async function call(method, path, body) {
  const answer = await fetch(`${base}/sandbox/api/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

// The engine shows the tokens that it was given only if it is told to.
const SHOW_TOKENS = { 10518: "1" };

// Silent: what is confirmed was confirmed by the client that is tested.
export const makePhone = (name) => call("POST", "phones", { name, silent: true, rules: { experiments: SHOW_TOKENS } });
export const inventHistory = (phone, chats, messages) => call("POST", `phones/${phone}/history`, { chats, messages });
export const restrict = (phone) => call("PUT", `phones/${phone}/contact-rules`, { restricted: true, salted_tokens: false });
export const say = async (phone, to, text) => (await call("POST", `phones/${phone}/send`, { to, text })).id;
export const scan = (phone, qr) => call("POST", `phones/${phone}/scan`, { qr });
export const enterCode = (phone, code) => call("POST", `phones/${phone}/enter-code`, { code });
export const devices = async (phone) => (await call("GET", `phones/${phone}`)).devices;
export const unlink = (phone, device) => call("DELETE", `phones/${phone}/devices/${device}`);
export const unhandled = async () => (await call("GET", "unhandled")).data;

// Every text that the phone shows.
export const shown = async (phone) =>
  (await call("GET", `phones/${phone}/chats`)).data.flatMap(({ messages }) => messages.map(({ text }) => text));

// Closes the account's connections without a word, once.
export const dropConnections = (phone) =>
  call("POST", "faults", { match: { account: phone }, action: { type: "drop_connection" }, now: true });
