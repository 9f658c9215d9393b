// The sandbox's own page: phones are made, link what other programs show, and look like phones.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { openBrowser } from "./browser.js";
import { Demo } from "./demo-process.js";

let demo;
let folder;
let browser;
let page;
let session;

before(async () => {
  demo = await Demo.create();
  await demo.start();
  folder = await mkdtemp(join(tmpdir(), "wharf-qr-"));
  browser = await openBrowser("phones");
  page = browser.page;
});

after(async () => {
  await browser?.close();
  await demo?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const bubble = (text) => page.locator("#bubbles li", { hasText: text });
const choose = (name) => page.getByRole("tab", { name }).click();
const numberOf = async (name) => (await demo.sandbox("GET", "/sandbox/api/phones")).data.find((phone) => phone.name === name).phone;
const say = async (from, to, what) => demo.sandbox("POST", `/sandbox/api/phones/${await numberOf(from)}/send`, { to: await numberOf(to), ...what });

test("the address of the sandbox leads to its phones, and a new one is made", async () => {
  await page.goto(demo.ready.sandbox_url);
  for (const name of ["Greta", "Otto"]) {
    await page.getByRole("textbox", { name: "Name of the new phone's owner" }).fill(name);
    await page.getByRole("button", { name: "New phone" }).click();
    await page.getByRole("tab", { name, selected: true }).waitFor();
  }
  await browser.shot("01-new");
});

test("the camera says when there is nothing to read, and links what it can", async () => {
  session = await demo.api("POST", "/api/sessions", { name: "by-camera" });
  await demo.api("POST", `/api/sessions/${session.id}/connect`, {});
  const picture = join(folder, "qr.png");
  await writeFile(picture, await demo.picture(`/api/sessions/${session.id}/qr`));

  await choose("Greta");
  await page.getByRole("button", { name: "Scan the QR on screen" }).click();
  await page.getByRole("heading", { name: "Scan with Greta's phone" }).waitFor();
  await page.locator("#picture").setInputFiles({ name: "blank.png", mimeType: "image/png", buffer: await page.screenshot() });
  await page.locator("#camera-note", { hasText: "no QR code" }).waitFor();
  await browser.shot("02-camera");
  await page.locator("#picture").setInputFiles(picture);
  await page.locator("#phone-note", { hasText: "Linked." }).waitFor();
  await page.locator("#devices li", { hasText: "connected" }).waitFor();
});

test("a message from a program is shown as a phone shows it", async () => {
  await demo.until(async () => (await demo.api("GET", `/api/sessions/${session.id}`)).status === "ready");
  await demo.api("POST", "/api/messages", { session_id: session.id, to: await numberOf("Otto"), type: "text", text: { body: "The soup is ready" } });
  await choose("Otto");
  await bubble("The soup is ready").waitFor();
  await say("Greta", "Otto", { poll: { name: "More?", options: ["yes", "no"], choose: 1 } });
  await bubble("More?").locator(".option", { hasText: "yes · 0" }).waitFor();
  const { id } = await say("Greta", "Otto", { text: "Hot!" });
  await say("Otto", "Greta", { reaction: { message: id, emoji: "🔥" } });
  await bubble("Hot!").locator(".reactions", { hasText: "🔥" }).waitFor();
  await say("Otto", "Greta", { text: "Indeed", reply_to: id });
  await bubble("Indeed").locator("blockquote", { hasText: "Hot!" }).waitFor();
  const typing = { to: await numberOf("Otto"), state: "composing" };
  await demo.sandbox("POST", `/sandbox/api/phones/${await numberOf("Greta")}/typing`, typing);
  await page.locator("#typing", { hasText: "is typing" }).waitFor();
  await browser.shot("03-chat");
});

test("the list of chats shows what waits", async () => {
  await page.getByRole("button", { name: "Back to the chats" }).click();
  const row = page.locator(".chat", { hasText: "Greta" });
  await row.waitFor();
  await say("Greta", "Otto", { text: "Are you there?" });
  await row.locator(".unread", { hasText: "1" }).waitFor();
  await row.locator(".preview", { hasText: "Are you there?" }).waitFor();
  await browser.shot("04-chats");
  await row.click();
  await bubble("Are you there?").waitFor();
  await page.getByRole("textbox", { name: "Message from this phone" }).fill("I am");
  await page.getByRole("button", { name: "Send from this phone" }).click();
  await bubble("I am").locator(".ticks[data-status='delivered'], .ticks[data-status='read']").waitFor();
});

test("the page is fit for the dark and for small screens", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.ok(!wide, "the page scrolls sideways");
  await browser.shot("05-dark-and-narrow");
});

test("nothing failed, and nothing foreign was asked", () => {
  assert.deepEqual(browser.faults, []);
  assert.deepEqual(browser.foreign, []);
});
