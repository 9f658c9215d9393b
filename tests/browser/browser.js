// Owns one Chromium with a profile of its own, and notes what a page must not do: fail, or ask another host.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const STEP = 15_000;

// `name` is that of the folder with screenshots, below SHOTS or in a temporary one.
export async function openBrowser(name) {
  const shots = process.env.SHOTS ? join(process.env.SHOTS, name) : await mkdtemp(join(tmpdir(), `wharf-shots-${name}-`));
  const profile = await mkdtemp(join(tmpdir(), "wharf-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
    viewport: { width: 1200, height: 900 },
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(STEP);
  const faults = [];
  const foreign = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.hostname !== "127.0.0.1") foreign.push(request.url());
  });
  return {
    context,
    page,
    faults,
    foreign,
    shot: (step) => page.screenshot({ path: join(shots, `${step}.png`), fullPage: true }),
    async close() {
      await context.close();
      console.log(`screenshots: ${shots}`);
      await rm(profile, { recursive: true, force: true });
    },
  };
}
