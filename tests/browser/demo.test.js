// The walk that the README promises: open the link, scan, send, see ticks, reply, kill, come back, all still there.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser } from "./browser.js";
import { Demo } from "./demo-process.js";

let demo;
let browser;
let context;
let page;

before(async () => {
  demo = await Demo.create();
  await demo.start();
  browser = await openBrowser("demo");
  ({ context, page } = browser);
});

after(async () => {
  await browser?.close();
  await demo?.remove();
});

const shot = (name) => browser.shot(name);
const status = (wanted) => page.locator(`#status[data-status="${wanted}"]`).waitFor();
const tab = (at) => page.getByRole("tab").nth(at).click();
const bubble = (text) => page.locator("#bubbles li", { hasText: text });

test("a visitor without a code is told how to get one", async () => {
  await page.goto(demo.ready.url);
  await page.getByRole("heading", { name: "This page needs its link" }).waitFor();
  await shot("01-locked");
});

test("the link signs in, and its code is gone from the address", async () => {
  const link = await demo.link();
  await page.goto(link);
  await status("not_started");
  assert.equal(new URL(page.url()).hash, "");
  const cookies = await context.cookies();
  assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"));
  const again = await fetch(`${demo.ready.url}/demo/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: link.split("code=")[1] }),
  });
  assert.equal(again.status, 401);
  await shot("02-signed-in");
});

test("connecting shows a QR, and the phone scans it", async () => {
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await page.locator("#qr-image[src^='blob:']").waitFor();
  await shot("03-qr");
  await page.getByRole("button", { name: "Scan the QR on screen" }).click();
  await status("ready");
  await page.locator("#devices li").first().waitFor();
  assert.ok(await page.locator("#qr").isHidden());
  await shot("04-ready");
});

test("a message arrives on the phone and its ticks come back", async () => {
  await page.getByRole("textbox", { name: "Text" }).fill("Hello from Wharf");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.locator("#messages .ticks[data-status='delivered']").waitFor();
  await shot("05-delivered");
  await tab(1);
  await bubble("Hello from Wharf").waitFor();
  await page.locator("#messages .ticks[data-status='read']").waitFor();
  await shot("06-read");
});

test("a reply from the phone reaches the session", async () => {
  await page.getByRole("textbox", { name: "Message from this phone" }).fill("Hello back");
  await page.getByRole("button", { name: "Send from this phone" }).click();
  await page.locator("#messages li", { hasText: "Hello back" }).waitFor();
  await shot("07-reply");
});

test("after a kill everything is still there, without a new QR", async () => {
  const port = demo.port;
  await demo.end("SIGKILL");
  await page.locator("#connection").waitFor();
  await shot("08-server-gone");
  await demo.start(port);
  await page.locator("#connection").waitFor({ state: "hidden" });
  await status("ready");
  assert.ok(await page.locator("#qr").isHidden());
  await page.reload();
  await status("ready");
  await bubble("Hello from Wharf").waitFor();
  await bubble("Hello back").waitFor();
  await page.getByRole("textbox", { name: "Text" }).fill("Still here");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await bubble("Still here").waitFor();
  await shot("09-after-the-kill");
});

test("the page is fit for the dark and for small screens", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("10-dark");
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.ok(!wide, "the page scrolls sideways");
  await shot("11-narrow");
  await page.setViewportSize({ width: 1200, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
});

test("unlinking on the phone ends the session with a reason", async () => {
  await tab(0);
  await page.locator("#devices button").first().click();
  await page.locator("#status:is([data-status='auth_failed'], [data-status='disconnected'])").waitFor();
  await shot("12-unlinked");
});

test("nothing failed, nothing foreign was asked, nothing was left unhandled", async () => {
  assert.deepEqual(browser.faults, []);
  assert.deepEqual(browser.foreign, []);
  const unhandled = await demo.sandbox("GET", "/sandbox/api/unhandled");
  assert.deepEqual(unhandled.data ?? unhandled, []);
});

test("SIGTERM ends it cleanly", async () => {
  const [code] = await demo.end("SIGTERM");
  assert.equal(code, 0, demo.told);
});
