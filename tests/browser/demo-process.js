// Owns one `wharf demo` process, or another command of the same binary, in a folder of its own: start, kill, stop, and
// what it printed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const READY_WITHIN = 60_000;

// Where `cargo test --features wharf-server/sandbox` leaves the binary, unless WHARF_BIN names another.
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BINARY = process.env.WHARF_BIN ?? resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "debug/wharf");

export class Demo {
  static async create() {
    const demo = new Demo();
    demo.dir = await mkdtemp(join(tmpdir(), "wharf-browser-"));
    return demo;
  }

  // Starts it and waits for its line of JSON. `port` 0 takes a free one.
  async start(port = 0, command = "demo", settings = {}) {
    this.process = spawn(BINARY, [command, "--json", "--port", String(port), "--data-dir", this.dir], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...settings },
    });
    this.told = "";
    this.process.stderr.on("data", (chunk) => (this.told += chunk));
    const lines = createInterface({ input: this.process.stdout });
    const ended = once(this.process, "exit").then(([code]) => {
      throw new Error(`wharf ${command} ended with ${code}:\n${this.told}`);
    });
    // Only the race may fail on it: a kill later on is meant.
    ended.catch(() => {});
    const [line] = await Promise.race([once(lines, "line", { signal: AbortSignal.timeout(READY_WITHIN) }), ended]);
    this.ready = JSON.parse(line);
    return this.ready;
  }

  get port() {
    return new URL(this.ready.url).port;
  }

  // The link that the banner shows, code included. The banner follows the line of JSON.
  async link() {
    for (;;) {
      const found = this.told.match(/http:\/\/127\.0\.0\.1:\d+\/#code=\S+/);
      if (found) return found[0];
      await once(this.process.stderr, "data", { signal: AbortSignal.timeout(READY_WITHIN) });
    }
  }

  async end(signal) {
    const exited = once(this.process, "exit");
    this.process.kill(signal);
    return exited;
  }

  async api(method, path, body) {
    const headers = { Authorization: `Bearer ${this.ready.api_key}`, "Content-Type": "application/json" };
    const answer = await fetch(this.ready.url + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return bodyOf(answer);
  }

  // An image as it comes.
  async picture(path) {
    const headers = { Authorization: `Bearer ${this.ready.api_key}`, Accept: "image/png" };
    return this.until(async () => {
      const answer = await fetch(this.ready.url + path, { headers });
      return answer.ok && Buffer.from(await answer.arrayBuffer());
    });
  }

  // What `look` finds, once it finds something.
  async until(look) {
    for (const end = Date.now() + READY_WITHIN; Date.now() < end; ) {
      const found = await look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("it did not happen in time");
  }

  async sandbox(method, path, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(this.ready.sandbox_url + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return bodyOf(answer);
  }

  async remove() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.end("SIGKILL");
    await rm(this.dir, { recursive: true, force: true });
  }
}

async function bodyOf(answer) {
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}
