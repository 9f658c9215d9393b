// The minimal program that stands for the systems Wharf replaces: node gateway.mjs CHAT_URL ROOT_PUBLIC_KEY AUTH_FOLDER
//
// Express in front of Baileys, one folder of files a session, one process for all. Nothing is stored about a message and
// nothing is retried. Prints `{"url"}` when it listens and ends when its standard input ends.

import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import {
  DisconnectReason,
  generateMessageIDV2,
  makeCacheableSignalKeyStore,
  useMultiFileAuthState,
} from "@whiskeysockets/baileys";
import express from "express";

import { connect, silent, statusOf, tell, trust } from "./socket.mjs";

const [chatUrl, rootPublicKey, authFolder] = process.argv.slice(2);
if (!authFolder) {
  process.stderr.write("usage: node gateway.mjs CHAT_URL ROOT_PUBLIC_KEY AUTH_FOLDER\n");
  process.exit(2);
}
trust(rootPublicKey);
process.env.NODE_ENV = "production";

const sessions = new Map();

// One linked account.
class Session {
  constructor(name) {
    this.name = name;
    this.state = "connecting";
    this.waiting = [];
  }

  async start() {
    // Read once: what a fresh link has just learned may not be in its file yet when it connects again.
    this.files ??= await useMultiFileAuthState(join(authFolder, this.name));
    const { state, saveCreds } = this.files;
    const auth = { creds: state.creds, keys: makeCacheableSignalKeyStore(state.keys, silent) };
    this.socket = connect(chatUrl, { auth });
    this.socket.ev.on("creds.update", saveCreds);
    this.socket.ev.on("connection.update", (update) => this.changed(update));
  }

  changed({ qr, connection, lastDisconnect }) {
    if (qr) this.become("pending", qr);
    if (connection === "open") this.become("ready");
    if (connection !== "close") return;
    this.become("disconnected");
    if (statusOf(lastDisconnect?.error) !== DisconnectReason.loggedOut) this.start();
  }

  become(state, qr) {
    this.state = state;
    this.qr = qr;
    this.waiting = this.waiting.filter((look) => !look());
  }

  until(state) {
    return new Promise((resolve) => {
      const look = () => {
        if (this.state === state) resolve(this);
        return this.state === state;
      };
      if (!look()) this.waiting.push(look);
    });
  }

  // Resolves once the server has acknowledged; `sendMessage` alone ends when the frame is written.
  async send(to, text) {
    const { socket } = this;
    const id = generateMessageIDV2(socket.user.id);
    const acknowledged = socket.waitForMessage(id);
    await socket.sendMessage(`${to}@s.whatsapp.net`, { text }, { messageId: id });
    const ack = await acknowledged;
    if (!ack || ack.attrs.error) throw new Error(`not acknowledged: ${ack?.attrs.error ?? "no answer"}`);
    return id;
  }
}

const app = express();
app.use(express.json());
app.post("/sessions", async (request, response) => {
  const session = new Session(request.body.name);
  sessions.set(session.name, session);
  await session.start();
  await session.until("pending");
  response.status(201).json({ name: session.name, state: session.state, qr: session.qr });
});
app.get("/sessions/:name", (request, response) => {
  const session = sessions.get(request.params.name);
  if (!session) return response.status(404).json({ error: "no such session" });
  response.json({ name: session.name, state: session.state });
});
// Answers when the session is ready, so that nobody has to ask again and again.
app.get("/sessions/:name/ready", async (request, response) => {
  const session = await sessions.get(request.params.name)?.until("ready");
  if (!session) return response.status(404).json({ error: "no such session" });
  response.json({ name: session.name, state: session.state });
});
app.post("/send", async (request, response) => {
  const { session, to, text } = request.body;
  const found = sessions.get(session);
  if (!found) return response.status(404).json({ error: "no such session" });
  response.json({ id: await found.send(to, text) });
});

// Collects garbage: a process with nothing to do keeps what it no longer needs, and would be measured with it.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
app.post("/collect", (request, response) => {
  collect();
  response.json({});
});

const server = app.listen(0, "127.0.0.1", () => tell({ url: `http://127.0.0.1:${server.address().port}` }));
process.stdin.on("end", () => process.exit(0)).resume();
