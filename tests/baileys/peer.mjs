// A companion that logs what it decrypts: node peer.mjs CHAT_URL ROOT_PUBLIC_KEY AUTH_FOLDER
//
// Prints JSON lines and takes JSON lines (README.md lists them). Reports every copy that reaches decryption, seen at the
// cipher itself: Baileys' own events merge copies of one message, and leave out a copy whose key is used already.

import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

import {
  DisconnectReason,
  S_WHATSAPP_NET,
  areJidsSameUser,
  jidDecode,
  proto,
  unpadRandomMax16,
  useMultiFileAuthState,
} from "@whiskeysockets/baileys";
import { makeLibSignalRepository } from "@whiskeysockets/baileys/lib/Signal/libsignal.js";

import { connect, silent, statusOf, tell, trust } from "./socket.mjs";

const RECONNECT_AFTER = 200;
const STOP_WITHIN = 1000;

const [chatUrl, rootPublicKey, authFolder] = process.argv.slice(2);
if (!authFolder) {
  process.stderr.write("usage: node peer.mjs CHAT_URL ROOT_PUBLIC_KEY AUTH_FOLDER\n");
  process.exit(2);
}
trust(rootPublicKey);

const { state: auth, saveCreds } = await useMultiFileAuthState(authFolder);
// What is being written to the folder: a process that ends in the middle leaves half a file.
let written = Promise.resolve();
const setKeys = auth.keys.set;
auth.keys.set = (keys) => writing(setKeys(keys));
// The stanza that a ciphertext came in; the cipher itself is not told.
const stanzas = new WeakMap();
let socket;
let open = newGate();
let stopping = false;
// The phone gives the key of app state after the connection is open.
const appStateKey = newGate();
// What was sent, for recipients that ask for another copy. Without it Baileys lets them wait for ever.
const sentMessages = new Map();

start();
const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => obey(JSON.parse(line)));
// Whoever started this has gone.
commands.on("close", stop);

function start() {
  socket = connect(chatUrl, {
    auth,
    emitOwnEvents: false,
    makeSignalRepository: reportingRepository,
    getMessage: async ({ id }) => sentMessages.get(id),
  });
  const current = socket;
  current.ev.on("creds.update", credsChanged);
  current.ev.on("connection.update", (update) => connectionChanged(current, update));
  current.ws.prependListener("CB:message", remember);
  current.ws.on("CB:ack,class:message", ({ attrs }) => tell({ event: "acked", id: attrs.id, error: attrs.error, at: Date.now() }));
}

function credsChanged() {
  writing(saveCreds());
  if (auth.creds.myAppStateKeyId) appStateKey.pass();
}

function connectionChanged(current, { qr, isNewLogin, connection, lastDisconnect }) {
  if (current !== socket) return;
  if (qr) tell({ event: "ready_for_qr", qr });
  if (isNewLogin) tell({ event: "linked" });
  if (connection === "open") {
    tell({ event: "open" });
    open.pass();
  }
  if (connection === "close") closed(statusOf(lastDisconnect?.error));
}

function closed(code) {
  tell({ event: "closed", code });
  open = open.passed ? newGate() : open;
  if (stopping || code === DisconnectReason.loggedOut) return;
  // 515 is how a fresh link asks for its first login.
  setTimeout(start, code === DisconnectReason.restartRequired ? 0 : RECONNECT_AFTER);
}

function remember(stanza) {
  if (!Array.isArray(stanza.content)) return;
  for (const child of stanza.content) if (child.content instanceof Uint8Array) stanzas.set(child.content, stanza);
}

function reportingRepository(...given) {
  const repository = makeLibSignalRepository(...given);
  const decryptMessage = async (sealed) => {
    try {
      const padded = await repository.decryptMessage(sealed);
      decrypted(sealed, padded);
      return padded;
    } catch (failure) {
      tell({ event: "undecryptable", ...describe(sealed), error: String(failure?.message ?? failure) });
      throw failure;
    }
  };
  return { ...repository, decryptMessage };
}

function decrypted(sealed, padded) {
  const outer = proto.Message.decode(unpadRandomMax16(padded));
  const message = outer.deviceSentMessage?.message ?? outer;
  const text = message.conversation || message.extendedTextMessage?.text;
  // Protocol messages (keys, history notices) are no messages of a chat.
  if (!text) return;
  const secret = message.messageContextInfo?.messageSecret ?? outer.messageContextInfo?.messageSecret;
  tell({ event: "message", ...describe(sealed), text, secret: secret?.length ? Buffer.from(secret).toString("hex") : null });
}

// `copy` names the ciphertext: a redelivery repeats it, a message that was sent again does not.
function describe({ ciphertext, type }) {
  const { attrs } = stanzas.get(ciphertext) ?? { attrs: {} };
  const { id: me, lid } = auth.creds.me;
  return {
    id: attrs.id,
    from: attrs.from,
    from_phone: phoneOf(attrs.from, attrs.sender_pn),
    from_me: areJidsSameUser(attrs.from, me) || areJidsSameUser(attrs.from, lid),
    recipient: attrs.recipient,
    offline: attrs.offline !== undefined,
    type,
    copy: createHash("sha256").update(ciphertext).digest("hex").slice(0, 32),
    at: Date.now(),
  };
}

function phoneOf(...jids) {
  return jids.map((jid) => jidDecode(jid)).find((jid) => jid?.server === "s.whatsapp.net")?.user;
}

async function obey(command) {
  if (command.stop) return stop();
  if (command.show) return show(command.show);
  if (!command.send) return tell({ event: "unknown_command" });
  const { to, text } = command.send;
  try {
    await open.reached;
    const sent = await socket.sendMessage(to.includes("@") ? to : `${to}@s.whatsapp.net`, { text });
    sentMessages.set(sent.key.id, sent.message);
    tell({ event: "sent", id: sent.key.id, to, text, at: Date.now() });
  } catch (failure) {
    tell({ event: "send_failed", to, text, error: String(failure?.message ?? failure) });
  }
}

async function show({ name, about, picture }) {
  await open.reached;
  if (name) await appStateKey.reached.then(() => socket.updateProfileName(name));
  if (about) await socket.updateProfileStatus(about);
  if (picture) await showPicture(picture);
  tell({ event: "shown" });
}

// Baileys' own call wants an image library; what it writes is this.
async function showPicture(picture) {
  await socket.query({
    tag: "iq",
    attrs: { to: S_WHATSAPP_NET, type: "set", xmlns: "w:profile:picture" },
    content: [{ tag: "picture", attrs: { type: "image" }, content: Buffer.from(picture, "base64") }],
  });
}

function stop() {
  if (stopping) return;
  stopping = true;
  // The server may be the one that does not answer.
  setTimeout(() => process.exit(0), STOP_WITHIN).unref();
  socket.end(undefined).finally(async () => {
    for (let seen; seen !== written; await seen) seen = written;
    process.exit(0);
  });
}

function writing(file) {
  written = Promise.allSettled([written, file]);
  return file;
}

// What waits until the connection is open.
function newGate() {
  const gate = { passed: false };
  gate.reached = new Promise((resolve) => {
    gate.pass = () => {
      gate.passed = true;
      resolve();
    };
  });
  return gate;
}
