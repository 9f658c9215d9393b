// The engine as a client, behind the same face as Baileys: a process that takes commands and tells what happens.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import * as sandbox from "./sandbox.mjs";
import { Happened } from "./waiting.mjs";

export class Engine {
  #process;
  #next = 0;
  #answers = new Map();
  #events = new Happened();

  static async linked(kind, name) {
    const client = new Engine(kind, name);
    await client.link("qr");
    return client;
  }

  // `phone`: one that exists; otherwise the client gets its own.
  constructor(kind, name, phone) {
    this.kind = kind;
    this.name = name;
    this.phone = phone;
    this.#process = spawn(process.env.INTEROP_ENGINE, [sandbox.chatUrl, process.env.NODE_EXTRA_CA_CERTS], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#hear(JSON.parse(line)));
  }

  #hear(line) {
    if (line.event) return this.#events.add(line);
    const { resolve, reject } = this.#answers.get(line.n);
    this.#answers.delete(line.n);
    if (line.error) reject(new Error(`${this.name}: ${line.error}`));
    else resolve(line.result);
  }

  #ask(command, given = {}) {
    const n = (this.#next += 1);
    this.#process.stdin.write(JSON.stringify({ n, do: command, ...given }) + "\n");
    return new Promise((resolve, reject) => this.#answers.set(n, { resolve, reject }));
  }

  #wait(event, wanted, described) {
    return this.#events.wait((line) => line.event === event && wanted(line), `${this.name} ${described}`);
  }

  async link(how) {
    this.phone ??= (await sandbox.makePhone(this.name)).phone;
    this.jid = `${this.phone}@s.whatsapp.net`;
    await this.#ask("start");
    const { qr } = await this.#wait("qr", () => true, "shows a code");
    if (how === "qr") {
      await sandbox.scan(this.phone, qr);
    } else {
      await sandbox.enterCode(this.phone, await this.#ask("code", { phone: this.phone }));
    }
    await this.opened();
  }

  sendText(to, text) {
    return this.#ask("send_text", { to, text });
  }

  sendImage(to, bytes, caption) {
    return this.#ask("send_image", { to, bytes: bytes.toString("base64"), caption });
  }

  received(id) {
    return this.#wait("message", (message) => message.id === id, `receives ${id}`);
  }

  textOf({ text }) {
    return text;
  }

  chatOf({ chat }) {
    return chat;
  }

  async fileOf({ id }) {
    return Buffer.from(await this.#ask("file", { id }), "base64");
  }

  read({ id }) {
    return this.#ask("read", { id });
  }

  delivered(id) {
    return this.#wait("receipt", (receipt) => receipt.id === id && receipt.kind !== "Retry", `hears that ${id} is delivered`);
  }

  seen(id) {
    return this.#wait("receipt", (receipt) => receipt.id === id && receipt.kind === "Read", `hears that ${id} is read`);
  }

  // So many messages of the past, told in whatever pieces.
  toldOfPast(count) {
    const messages = (line) => (line.event === "history" ? line.messages : 0);
    return this.#events.sum(messages, count, `${this.name} is told of ${count} messages`);
  }

  makeGroup(subject, members) {
    return this.#ask("make_group", { subject, members });
  }

  inGroup(jid) {
    return this.#wait("group", (group) => group.jid === jid, `hears of group ${jid}`);
  }

  disconnect() {
    return this.#ask("stop");
  }

  async reconnect() {
    this.forgetStates();
    await this.#ask("start");
    await this.opened();
  }

  // From now on only what happens from now on counts.
  forgetStates() {
    this.#events = new Happened();
  }

  opened() {
    return this.#wait("open", () => true, "is open");
  }

  loggedOut() {
    return this.#wait("logged_out", () => true, "is logged out");
  }

  logout() {
    return this.#ask("logout");
  }

  // A process that goes on keeps the tests from ending.
  async end() {
    this.#process.stdin.end();
    await once(this.#process, "exit");
  }
}
