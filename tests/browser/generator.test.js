// The session generator as a visitor walks through it: landing, QR scanned from the screen, code typed, string checked;
// both themes, and a window as small as a phone's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser } from "./browser.js";
import { Demo } from "./demo-process.js";

let network;
let generator;
let browser;
let page;
let phones;
let string;

before(async () => {
  network = await Demo.create();
  await network.start();
  generator = await Demo.create();
  await generator.start(0, "generator", { WHARF_WHATSAPP__CHAT_URL: network.ready.chat_url });
  phones = (await network.sandbox("GET", "/sandbox/api/phones")).data;
  browser = await openBrowser("generator");
  page = browser.page;
});

after(async () => {
  await browser?.close();
  await generator?.remove();
  await network?.remove();
});

const open = (path) => page.goto(generator.ready.url + path);
const readQr = async (picture) => {
  const answer = await fetch(`${network.ready.sandbox_url}/sandbox/api/read-qr`, { method: "POST", body: picture });
  return answer.ok && (await answer.json()).qr;
};
const own = (phone, act, body) => network.sandbox("POST", `/sandbox/api/phones/${phone.phone}/${act}`, body);

test("the landing page says what this is, in both themes and on a phone", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1200, height: 900 });
    await open("/");
    await page.getByRole("heading", { name: "Get a session string for your bot" }).waitFor();
    await browser.shot(`01-landing-${colorScheme}`);
    await page.setViewportSize({ width: 390, height: 780 });
    for (const path of ["/", "/qr", "/pair", "/validate"]) {
      await open(path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
      await browser.shot(`02-phone-${path.slice(1) || "landing"}-${colorScheme}`);
    }
  }
  await page.setViewportSize({ width: 1200, height: 900 });
});

test("a QR on the screen is scanned and gives a string, once", async () => {
  await open("/");
  await page.getByRole("link", { name: "Show a QR" }).press("Enter");
  await page.locator("#qr[src^='blob:']").waitFor();
  await browser.shot("03-qr");
  const qr = await generator.until(async () => readQr(await page.screenshot()));
  await own(phones[0], "scan", { qr });
  await page.getByRole("heading", { name: "Your session string" }).waitFor();
  string = await page.getByRole("textbox", { name: "Session string" }).inputValue();
  assert.match(string, /^WHARF~H4sI/);
  await page.getByText("It is in your chat with yourself as well.").waitFor();
  await browser.shot("04-string");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  assert.equal((await download).suggestedFilename(), "session.txt");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied.").waitFor();
});

test("a code is typed into the phone", async () => {
  await open("/pair");
  await page.locator("#number").fill("12");
  await page.getByRole("button", { name: "Get a code" }).click();
  await page.getByRole("alert").getByText("This is no phone number").waitFor();
  await page.locator("#number").fill(`+${phones[1].phone.replace("+", "")}`);
  await page.locator("#number").press("Enter");
  await page.locator("#code:not([hidden])").waitFor();
  const code = await page.locator("#code").textContent();
  assert.match(code, /^[1-9A-Z]{4}-[1-9A-Z]{4}$/);
  await browser.shot("05-code");
  await own(phones[1], "enter-code", { code });
  await page.getByRole("heading", { name: "Your session string" }).waitFor();
  assert.match(await page.getByRole("textbox", { name: "Session string" }).inputValue(), /^WHARF~/);
  await browser.shot("06-code-string");
});

test("a string is checked, whole and broken", async () => {
  await open("/validate");
  const check = async (text) => {
    await page.locator("#data").fill(text);
    await page.getByRole("button", { name: "Check" }).click();
  };
  await check(string);
  await page.getByRole("heading", { name: "It is whole" }).waitFor();
  assert.equal(await page.locator("#checks .wrong").count(), 0);
  await browser.shot("07-valid");
  await check('{"noiseKey": 1}');
  await page.getByRole("heading", { name: "Something is wrong with it" }).waitFor();
  assert.notEqual(await page.locator("#checks .wrong").count(), 0);
  await browser.shot("08-invalid");
  await check("no string at all");
  await page.getByRole("alert").getByText("This cannot be read").waitFor();
});

test("an attempt that fails says so and can be begun again", async () => {
  await open("/pair");
  await page.locator("#number").fill("+15559990000");
  await page.getByRole("button", { name: "Get a code" }).click();
  await page.getByRole("alert").getByText("WhatsApp gives no code for this number").waitFor();
  await browser.shot("09-failed");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator("#number").waitFor();
});

test("nothing was asked of another host, and no script failed", () => {
  assert.deepEqual(browser.foreign, []);
  assert.deepEqual(browser.faults, []);
});
