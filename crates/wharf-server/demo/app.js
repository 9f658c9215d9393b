// Signs in with the one-time code of the link, then starts both sides of the page.

import { get, post } from "/demo/api.js";
import { byId } from "/demo/dom.js";
import { startPhones } from "/demo/phone.js";
import { startSession } from "/demo/session.js";

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
  let phones;
  const side = startSession(session.id, (state) => phones?.sessionChanged(state), (up) => (byId("connection").hidden = up));
  phones = startPhones(side);
}

// A link opened in a tab that shows this page already changes only the fragment.
addEventListener("hashchange", () => location.reload());

start().catch((error) => lock(`The page could not start: ${error.message}`));
