// Starts a sandbox, tells the clients whom to trust, and runs the tests: node run.mjs SANDBOX ENGINE [PATTERN]
//
// Everything is told to the clients from outside, as to any program: the root of the network by an exported constant of
// theirs, the certificate for media by NODE_EXTRA_CA_CERTS, which Node reads once, at its start.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const [binary, engine, pattern] = process.argv.slice(2);
if (!engine) {
  process.stderr.write("usage: node run.mjs SANDBOX_BINARY ENGINE_BINARY [TEST_NAME_PATTERN]\n");
  process.exit(2);
}
const folder = await mkdtemp(path.join(tmpdir(), "wharf-interop-"));
const sandbox = spawn(binary, [], { stdio: ["ignore", "pipe", "inherit"] });
try {
  process.exitCode = await test(await reach());
} finally {
  sandbox.kill("SIGTERM");
  await rm(folder, { recursive: true, force: true });
}

async function reach() {
  const [line] = await once(createInterface({ input: sandbox.stdout }), "line");
  return JSON.parse(line);
}

async function test({ chat_url, control_url, root_public_key }) {
  const certificate = path.join(folder, "sandbox.pem");
  const answer = await fetch(`${control_url}/sandbox/api/tls-certificate`);
  await writeFile(certificate, await answer.text());
  const options = ["--test", "--test-reporter=spec", ...(pattern ? [`--test-name-pattern=${pattern}`] : [])];
  const tests = spawn(process.execPath, [...options, path.join(import.meta.dirname, "interop.test.mjs")], {
    stdio: "inherit",
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: certificate,
      INTEROP_CHAT_URL: chat_url,
      INTEROP_CONTROL_URL: control_url,
      INTEROP_ROOT: root_public_key,
      INTEROP_FOLDER: folder,
      INTEROP_ENGINE: path.resolve(engine),
    },
  });
  const [code] = await once(tests, "exit");
  return code ?? 1;
}
