// Signs in with the one-time code of the link, then starts both sides of the page.

import { startSession } from "/demo/session.js";
import { get, post } from "/sandbox/page/api.js";
import { byId, element, plus } from "/sandbox/page/dom.js";
import { mountPhones } from "/sandbox/page/phones.js";

async function signIn() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  // The code must not stay in the address bar or in the history.
  if (location.hash) history.replaceState(null, "", location.pathname);
  if (!code) return;
  try {
    await post("/demo/login", { code });
  } catch (error) {
    if (error.status !== 401) throw error;
    return "The code in this link was used before, or is too old.";
  }
}

async function firstSession() {
  const { data } = await get("/api/sessions?limit=100");
  return data.find((session) => session.name === "demo") ?? data[0] ?? post("/api/sessions", { name: "demo" });
}

function lock(reason) {
  byId("locked-reason").textContent = reason;
  byId("locked").hidden = false;
}

async function start() {
  const refused = await signIn();
  let session;
  try {
    session = await firstSession();
  } catch (error) {
    if (error.status === 401) return lock(refused ?? "You are not signed in here.");
    throw error;
  }
  byId("app").hidden = false;
  const up = (answers) => (byId("connection").hidden = answers);
  const waits = (state) => state.status === "pending" && state.connection_step === "scan_qr";
  let phones;
  const side = startSession(session.id, (state) => phones?.setLinkable(waits(state)), up);
  phones = mountPhones(byId("phones"), {
    scan: async (phone) => void (await post(`/sandbox/api/phones/${phone.phone}/scan`, { qr: await side.qrText() })),
    seen: suggest(side),
  });
  phones.setLinkable(false);
}

// Offers the phones as recipients; names that are new show in the list of messages, too.
function suggest(side) {
  let known = 0;
  return (phones) => {
    if (phones.length > known) side.refreshMessages();
    known = phones.length;
    const options = phones.map((phone) => element("option", { value: plus(phone.phone), label: phone.name }));
    byId("people").replaceChildren(...options);
    const to = byId("to");
    const friend = phones[1] ?? phones[0];
    if (friend && !to.value && document.activeElement !== to) to.value = plus(friend.phone);
  };
}

// A link opened in a tab that shows this page already changes only the fragment.
addEventListener("hashchange", () => location.reload());

start().catch((error) => lock(`The page could not start: ${error.message}`));
