// A Baileys client of either version, as its users write one.

import { mkdtemp } from "node:fs/promises";
import path from "node:path";

import * as sandbox from "./sandbox.mjs";
import { Happened, eventually } from "./waiting.mjs";

const RECONNECT_AFTER = 200;
const FLUSH_EVERY = 100;
const LOGGED_OUT = 401;
const RESTART_REQUIRED = 515;
const DELIVERED = 3;
const READ = 4;

const quiet = () => {};
const silent = { level: "silent", child: () => silent, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

// libsignal prints whole sessions, private keys included.
for (const level of ["log", "info", "warn", "error"]) console[level] = quiet;

// Baileys awaits nobody's answer to some of its questions (at login, acks): when a connection ends in the middle of one, its
// promise fails where nobody can catch it, and the test that runs would fail with it.
const CONNECTION_CLOSED = 428;
const emit = process.emit.bind(process);
process.emit = (event, reason, ...rest) =>
  (event === "unhandledRejection" && reason?.output?.statusCode === CONNECTION_CLOSED) || emit(event, reason, ...rest);

async function load(name) {
  const library = await import(name);
  const { WA_CERT_DETAILS } = await import(`${name}/lib/Defaults/index.js`);
  // Version 7 checks the chain against this key, version 6 looks at serial numbers only.
  WA_CERT_DETAILS.PUBLIC_KEY = sandbox.rootPublicKey;
  return library;
}

const libraries = { baileys6: await load("baileys6"), baileys7: await load("baileys7") };

export class Baileys {
  #library;
  #auth;
  #socket;
  #online = false;
  #states = new Happened();
  #messages = new Happened();
  #receipts = new Happened();
  #groups = new Happened();
  #past = new Happened();
  // For recipients that ask for another copy.
  #sent = new Map();

  static async linked(kind, name) {
    const client = new Baileys(kind, name);
    await client.link("qr");
    return client;
  }

  // `phone`: one that exists; otherwise the client gets its own.
  constructor(kind, name, phone) {
    this.kind = kind;
    this.name = name;
    this.phone = phone;
    this.#library = libraries[kind];
  }

  async link(how) {
    this.phone ??= (await sandbox.makePhone(this.name)).phone;
    this.jid = `${this.phone}@s.whatsapp.net`;
    const folder = await mkdtemp(path.join(process.env.INTEROP_FOLDER, `${this.kind}-`));
    this.#auth = await this.#library.useMultiFileAuthState(folder);
    this.#start();
    const { qr } = await this.#states.wait((state) => state.qr, `${this.name} shows a code`);
    if (how === "qr") {
      await sandbox.scan(this.phone, qr);
    } else {
      const code = await this.#socket.requestPairingCode(this.phone);
      // Version 6 gives the code out before the server has heard of it.
      await eventually(() => sandbox.enterCode(this.phone, code).catch(() => false), `${code} links ${this.name}`);
    }
    await this.#states.wait((state) => state.open, `${this.name} is open`);
    // A client that says it is here confirms what it gets; it does not say so without a name.
    this.#auth.state.creds.me.name ??= this.name;
    await this.#socket.sendPresenceUpdate("available");
  }

  #start() {
    this.#online = true;
    const socket = this.#library.makeWASocket({
      waWebSocketUrl: sandbox.chatUrl,
      auth: this.#auth.state,
      logger: silent,
      browser: ["Ubuntu", "Chrome", "22.04"],
      getMessage: async ({ id }) => this.#sent.get(id),
    });
    this.#socket = socket;
    socket.ev.on("creds.update", this.#auth.saveCreds);
    socket.ev.on("connection.update", (update) => socket === this.#socket && this.#changed(update));
    socket.ev.on("messages.upsert", ({ messages }) => messages.forEach((message) => this.#upserted(message)));
    socket.ev.on("messages.update", (updates) =>
      updates.forEach(({ key, update }) => this.#receipts.add({ id: key.id, status: update.status ?? 0 })),
    );
    socket.ev.on("message-receipt.update", (updates) =>
      updates.forEach(({ key, receipt }) =>
        this.#receipts.add({ id: key.id, status: receipt.readTimestamp ? READ : DELIVERED }),
      ),
    );
    // Version 6.7.21 withholds what its buffered functions tell until somebody flushes; later versions do so themselves.
    if (this.kind === "baileys6") this.#flushing(socket);
    socket.ev.on("messaging-history.set", ({ messages }) => this.#past.add({ messages: messages.length }));
    socket.ev.on("groups.upsert", (groups) => groups.forEach((group) => this.#groups.add(group)));
  }

  #flushing(socket) {
    const timer = setInterval(() => socket.ev.flush(), FLUSH_EVERY);
    socket.ev.on("connection.update", ({ connection }) => connection === "close" && clearInterval(timer));
  }

  // A receipt that comes at once is told with the message itself.
  #upserted(message) {
    this.#messages.add(message);
    if (message.key.fromMe) this.#receipts.add({ id: message.key.id, status: message.status ?? 0 });
  }

  #changed({ qr, connection, lastDisconnect }) {
    if (qr) this.#states.add({ qr });
    if (connection === "open") this.#states.add({ open: true });
    if (connection !== "close") return;
    const code = lastDisconnect?.error?.output?.statusCode ?? 0;
    this.#states.add({ closed: code });
    if (!this.#online || code === LOGGED_OUT) return;
    setTimeout(() => this.#online && this.#start(), code === RESTART_REQUIRED ? 0 : RECONNECT_AFTER);
  }

  async #send(to, content) {
    const sent = await this.#socket.sendMessage(to, content);
    this.#sent.set(sent.key.id, sent.message);
    return sent.key.id;
  }

  sendText(to, text) {
    return this.#send(to, { text });
  }

  sendImage(to, bytes, caption) {
    // With a thumbnail of its own it needs no library for pictures.
    return this.#send(to, { image: bytes, caption, mimetype: "image/jpeg", jpegThumbnail: bytes.toString("base64") });
  }

  received(id) {
    const wanted = (message) => message.key.id === id && message.message;
    return this.#messages.wait(wanted, `${this.name} receives ${id}`);
  }

  textOf({ message }) {
    return message.conversation ?? message.extendedTextMessage?.text ?? message.imageMessage?.caption;
  }

  chatOf({ key }) {
    return key.remoteJid;
  }

  // The file of a message, fetched where the message says.
  async fileOf({ message }) {
    // By the address in the message: left to itself version 6 asks WhatsApp's own host.
    const { url, mediaKey } = message.imageMessage;
    const keys = await this.#library.getMediaKeys(mediaKey, "image");
    const chunks = await (await this.#library.downloadEncryptedContent(url, keys)).toArray();
    return Buffer.concat(chunks);
  }

  read({ key }) {
    return this.#socket.readMessages([key]);
  }

  delivered(id) {
    return this.#receipts.wait((receipt) => receipt.id === id && receipt.status >= DELIVERED, `${id} is delivered`);
  }

  seen(id) {
    return this.#receipts.wait((receipt) => receipt.id === id && receipt.status >= READ, `${id} is read`);
  }

  // So many messages of the past, told in whatever pieces.
  toldOfPast(count) {
    return this.#past.sum((piece) => piece.messages, count, `${this.name} is told of ${count} messages`);
  }

  async makeGroup(subject, members) {
    return (await this.#socket.groupCreate(subject, members)).id;
  }

  inGroup(jid) {
    return this.#groups.wait((group) => group.id === jid, `${this.name} hears of group ${jid}`);
  }

  async disconnect() {
    this.#online = false;
    await this.#socket.end(undefined);
  }

  async reconnect() {
    this.#states = new Happened();
    this.#start();
    await this.opened();
  }

  // From now on only what happens from now on counts.
  forgetStates() {
    this.#states = new Happened();
  }

  opened() {
    return this.#states.wait((state) => state.open, `${this.name} is open again`);
  }

  loggedOut() {
    return this.#states.wait((state) => state.closed === LOGGED_OUT, `${this.name} is logged out`);
  }

  async logout() {
    this.#online = false;
    await this.#socket.logout();
  }

  async end() {
    await this.disconnect();
  }
}
