// megajs, unmodified: node peer.mjs URL put EMAIL PASSWORD < FILE, or node peer.mjs URL get LINK

import { buffer } from "node:stream/consumers";

import { API, File, Storage } from "megajs";

const [gateway, order, ...rest] = process.argv.slice(2);

if (order === "put") {
  const [email, password] = rest;
  const storage = await new Storage({ email, password, gateway, keepalive: false }).ready;
  const content = await buffer(process.stdin);
  const file = await storage.upload("creds.json", content).complete;
  process.stdout.write(`${JSON.stringify({ link: await file.link() })}\n`);
} else if (order === "get") {
  const file = File.fromURL(rest[0], { api: new API(false, { gateway }) });
  await file.loadAttributes();
  process.stdout.write(await file.downloadBuffer());
} else {
  process.stderr.write("usage: node peer.mjs URL put EMAIL PASSWORD | get LINK\n");
  process.exit(2);
}
