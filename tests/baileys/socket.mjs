// Owns how a Baileys socket reaches the sandbox: its certificate, and silence on standard output, which carries JSON.

import makeWASocket from "@whiskeysockets/baileys";
import { WA_CERT_DETAILS } from "@whiskeysockets/baileys/lib/Defaults/index.js";

// libsignal prints whole sessions, private keys included.
for (const level of ["log", "info", "warn", "error"]) console[level] = () => {};

const quiet = () => {};
export const silent = {
  level: "silent",
  child: () => silent,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  fatal: quiet,
};

// Baileys checks the chain against this key; the sandbox has a root of its own.
export function trust(rootPublicKey) {
  const key = Buffer.from(rootPublicKey, "hex");
  if (key.length !== 32) throw new Error("the root public key must be 32 bytes in hex");
  WA_CERT_DETAILS.PUBLIC_KEY = key;
}

export function connect(chatUrl, options) {
  return makeWASocket({ waWebSocketUrl: chatUrl, logger: silent, browser: ["Ubuntu", "Chrome", "22.04"], ...options });
}

export const statusOf = (error) => error?.output?.statusCode ?? 0;

// One line of JSON on standard output.
export const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
