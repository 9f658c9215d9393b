// As much of MEGA as a session string needs: node server.mjs EMAIL PASSWORD

import { createCipheriv, createHash, generateKeyPairSync, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const AGAIN = -3;
const NOT_FOUND = -9;
const SESSION_ENDED = -15;
const DRIVE = "DRIVE001";
const USER = "USER0000001";
// As easy as a challenge can be: half of all hashes will do.
const EASINESS = 255;
const THRESHOLD = 127 * 2 ** 24;
const REPEATS = 262144;

const [email, password] = process.argv.slice(2);
if (!password) {
  process.stderr.write("usage: node server.mjs EMAIL PASSWORD\n");
  process.exit(2);
}

const account = newAccount();
const sessions = new Set();
const busy = new Set();
const challenges = new Set();
const uploads = new Map();
const nodes = new Map();
const links = new Map();

const server = createServer(async (request, response) => {
  const body = await whole(request);
  const url = new URL(request.url, base());
  const [, kind, id, position] = url.pathname.split("/");
  if (kind === "cs") return command(url, request.headers["x-hashcash"], JSON.parse(body), response);
  if (kind === "up") return response.end(upload(id, Number(position), body));
  if (kind === "down") return response.end(part(id, position));
  response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${JSON.stringify({ url: base() })}\n`));
process.stdin.on("end", () => process.exit(0)).resume();

function base() {
  return `http://127.0.0.1:${server.address().port}/`;
}

async function whole(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

function command(url, work, [asked], response) {
  if (asked.a === "us0" && !worked(work)) {
    const token = e64(randomBytes(48));
    challenges.add(token);
    return response.writeHead(402, { "X-Hashcash": `1:${EASINESS}:${Math.floor(Date.now() / 1000)}:${token}` }).end("0");
  }
  const session = url.searchParams.get("sid");
  const answer = session === null ? outside(asked) : inside(session, asked);
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(answer === AGAIN ? AGAIN : [answer]));
}

// A challenge can be answered once.
function worked(work) {
  const [version, token, prefix] = (work ?? "").split(":");
  if (version !== "1" || !challenges.delete(token)) return false;
  const hash = createHash("sha256").update(d64(prefix));
  hash.update(Buffer.concat(Array(REPEATS).fill(d64(token))));
  return hash.digest().readUInt32BE(0) <= THRESHOLD;
}

function outside(asked) {
  switch (asked.a) {
    case "us0":
      return asked.user === email ? { v: 2, s: e64(account.salt) } : NOT_FOUND;
    case "us":
      return logIn(asked);
    case "g":
      return found(nodes.get(links.get(asked.p)));
    default:
      return SESSION_ENDED;
  }
}

function logIn({ user, uh }) {
  const shown = d64(uh ?? "");
  if (user !== email || shown.length !== 16 || !timingSafeEqual(shown, account.proof)) return NOT_FOUND;
  const id = randomBytes(43);
  // The first byte must count, or the number is shorter.
  id[0] |= 0x80;
  sessions.add(e64(id));
  return { k: e64(account.wrappedMaster), privk: e64(account.wrappedPrivate), csid: e64(sealedByRsa(id)) };
}

function inside(session, asked) {
  if (!sessions.has(session)) return SESSION_ENDED;
  if (!busy.has(session)) {
    busy.add(session);
    return AGAIN;
  }
  switch (asked.a) {
    case "ug":
      return { u: USER, name: "Test" };
    case "f":
      return { f: [{ h: DRIVE, t: 2, p: "", u: USER, ts: 0 }, ...[...nodes.values()].map(listed)], ok: [] };
    case "u":
      return opened(asked.s);
    case "p":
      return { f: asked.n.map(put) };
    case "d":
      return removed(asked.n);
    case "l":
      return linked(asked.n);
    default:
      return outside(asked);
  }
}

function opened(size) {
  const id = e64(randomBytes(9));
  uploads.set(id, { size, parts: new Map() });
  return { p: `${base()}up/${id}` };
}

// Empty until the last part is there; then what the file is called until it is put somewhere.
function upload(id, position, bytes) {
  const { size, parts } = uploads.get(id);
  parts.set(position, bytes);
  const content = Buffer.concat([...parts.keys()].sort((one, other) => one - other).map((at) => parts.get(at)));
  if (content.length < size) return "";
  const handle = randomBytes(36);
  uploads.delete(id);
  uploads.set(e64(handle), { content });
  return handle;
}

function put({ h, a, k }) {
  const { content } = uploads.get(h);
  uploads.delete(h);
  const node = { h: e64(randomBytes(6)), a, k: `${USER}:${k}`, content };
  nodes.set(node.h, node);
  return listed(node);
}

function listed({ h, a, k, content }) {
  return { h, p: DRIVE, u: USER, t: 0, a, k, s: content.length, ts: 0 };
}

function removed(node) {
  if (!nodes.delete(node)) return NOT_FOUND;
  for (const [link, of] of links) if (of === node) links.delete(link);
  return 0;
}

function linked(node) {
  if (!nodes.has(node)) return NOT_FOUND;
  const id = e64(randomBytes(6));
  links.set(id, node);
  return id;
}

function found(node) {
  return node ? { s: node.content.length, at: node.a, g: `${base()}down/${node.h}` } : NOT_FOUND;
}

function part(id, range) {
  const [first, last] = range.split("-").map(Number);
  return nodes.get(id).content.subarray(first, last + 1);
}

function newAccount() {
  const salt = randomBytes(16);
  const derived = pbkdf2Sync(password, salt, 100000, 32, "sha512");
  const master = randomBytes(16);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = privateKey.export({ format: "jwk" });
  // The fourth is the first one's inverse modulo the second; RFC 8017 has it the other way round.
  const numbers = Buffer.concat([jwk.q, jwk.p, jwk.d, jwk.qi].map((number) => mpi(d64(number))));
  const padded = Buffer.concat([numbers, randomBytes((16 - (numbers.length % 16)) % 16)]);
  return {
    salt,
    proof: derived.subarray(16),
    wrappedMaster: ecb(derived.subarray(0, 16), master),
    wrappedPrivate: ecb(master, padded),
    n: number(d64(jwk.n)),
    e: number(d64(jwk.e)),
  };
}

function ecb(key, bytes) {
  return createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(bytes);
}

// The plain power over the id and noise behind it; one byte shorter than the modulus, so that it is smaller.
function sealedByRsa(id) {
  const length = 255;
  let [base, exponent, result] = [number(Buffer.concat([id, randomBytes(length - id.length)])), account.e, 1n];
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % account.n;
    base = (base * base) % account.n;
  }
  const hex = result.toString(16);
  return mpi(Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex"));
}

function number(bytes) {
  return BigInt(`0x${bytes.toString("hex")}`);
}

// RFC 4880, section 3.2: the length in bits, then the bytes.
function mpi(bytes) {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(number(bytes).toString(2).length);
  return Buffer.concat([head, bytes]);
}

function e64(bytes) {
  return bytes.toString("base64url");
}

function d64(text) {
  return Buffer.from(text, "base64url");
}
