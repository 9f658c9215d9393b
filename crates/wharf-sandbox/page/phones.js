// A simulated phone: its chats, what is in them, its linked devices, its camera. What it shows is what it really decrypted.

import { gathered, get, listen, post, remove } from "/sandbox/page/api.js";
import { byId, clock, element, nameOf, people, plus, ticks } from "/sandbox/page/dom.js";

const ROOT = "/sandbox/api/phones";
// Tabs, or above it a list that is searched.
const MANY = 6;
// Clients say "typing" again and again while it lasts.
const TYPING_MS = 12_000;

const SCREEN = `
  <div class="phone-bar">
    <button id="back" type="button" class="quiet" aria-label="Back to the chats" hidden>‹</button>
    <div>
      <strong id="phone-name"></strong>
      <span id="phone-number" class="soft"></span>
    </div>
    <label class="switch"><input id="online" type="checkbox" role="switch"> <span>Online</span></label>
  </div>
  <div class="phone-actions">
    <button id="scan" type="button" class="camera">
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" d="M4 8V5a1 1 0 0 1 1-1h3M16 4h3a1 1 0 0 1 1 1v3M20 16v3a1 1 0 0 1-1 1h-3M8 20H5a1 1 0 0 1-1-1v-3M4 12h16"/></svg>
      Scan the QR on screen
    </button>
    <p id="phone-note" class="phone-note" role="status"></p>
  </div>
  <ol id="chats" class="chats" aria-label="Chats"></ol>
  <ol id="bubbles" class="bubbles" role="log" aria-label="Messages on the phone" hidden></ol>
  <p id="typing" class="typing" aria-live="polite"></p>
  <form id="reply" class="reply" autocomplete="off">
    <label class="visually-hidden" for="reply-text">Message from this phone</label>
    <input id="reply-text" name="text" required maxlength="4096" placeholder="Message">
    <button class="primary" type="submit" aria-label="Send from this phone">
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path fill="currentColor" d="M3 20.5 21 12 3 3.5v6.6l11 1.9-11 1.9z"/></svg>
    </button>
  </form>
  <div class="devices">
    <h3>Linked devices</h3>
    <ul id="devices"></ul>
    <p id="no-devices" class="soft">None.</p>
  </div>`;

// Puts the phones into a box. `scan` links what is on the screen with a phone: it is given the phone and may say how it
// went. `seen` hears of every phone that is known.
export function mountPhones(box, { scan, seen = () => {} }) {
  const tabs = element("div", { id: "tabs", className: "tabs" });
  tabs.setAttribute("role", "tablist");
  tabs.setAttribute("aria-label", "Simulated phones");
  const search = element("input", { id: "search", type: "search", placeholder: "Find a phone by name or number", hidden: true });
  search.setAttribute("aria-label", "Find a phone");
  const screen = element("div", { id: "phone", className: "phone", tabIndex: -1, innerHTML: SCREEN });
  screen.setAttribute("role", "tabpanel");
  box.replaceChildren(search, tabs, screen);

  let phones = [];
  let chosen = sessionStorage.getItem("phone");
  let chats = [];
  // The chat that is open; null shows the list. At first the newest one is.
  let open;
  let linkable = true;
  const typing = new Map();

  const current = () => phones.find((phone) => phone.phone === chosen) ?? phones[0];
  const path = (what = "") => `${ROOT}/${encodeURIComponent(current().phone)}${what}`;
  const chat = () => chats.find((one) => one.chat === open);

  const refresh = gathered(async () => {
    const { data } = await get(ROOT);
    phones = data;
    for (const phone of phones) people.set(phone.phone, phone.name).set(phone.lid, phone.name);
    seen(phones);
    screen.hidden = !phones.length;
    if (!current()) return tabs.replaceChildren(element("p", { className: "soft", textContent: "There are no phones yet." }));
    paintTabs();
    paintPhone();
    await refreshChats();
  });

  const refreshChats = gathered(async () => {
    const asked = current().phone;
    const { data } = await get(path("/chats"));
    if (asked !== current().phone) return;
    chats = data.filter((one) => one.messages.length).sort((a, b) => lastAt(b) - lastAt(a));
    if (open === undefined) open = chats[0]?.chat;
    paintChats();
    await markRead();
  });

  const lastAt = (one) => Math.max(0, ...one.messages.map((message) => Date.parse(message.at)));
  const unread = (one) => one.messages.filter((message) => !message.from_me && message.status !== "read").length;

  // An open chat on a phone that is on and in view is being read.
  async function markRead() {
    if (chat() && unread(chat()) && current().online && document.visibilityState === "visible") {
      await post(path("/read"), { chat: open });
    }
  }

  function paintTabs() {
    search.hidden = phones.length <= MANY;
    const wanted = search.hidden ? "" : search.value.trim().toLowerCase().replace(/^\+/, "");
    const fits = (phone) => phone === current() || phone.name.toLowerCase().includes(wanted) || phone.phone.includes(wanted);
    const shown = phones.filter(fits).slice(0, search.hidden ? MANY : 2 * MANY);
    const focused = document.activeElement?.getAttribute("role") === "tab";
    tabs.replaceChildren(...shown.map(tab));
    screen.setAttribute("aria-labelledby", `tab-${current().phone}`);
    if (focused) byId(`tab-${current().phone}`).focus();
  }

  function tab(phone) {
    const selected = phone === current();
    const made = element("button", { type: "button", textContent: phone.name, id: `tab-${phone.phone}`, tabIndex: selected ? 0 : -1 });
    made.setAttribute("role", "tab");
    made.setAttribute("aria-selected", String(selected));
    made.setAttribute("aria-controls", "phone");
    made.addEventListener("click", () => choose(phone.phone));
    return made;
  }

  function choose(phone) {
    chosen = phone;
    open = undefined;
    chats = [];
    sessionStorage.setItem("phone", phone);
    note("");
    refresh();
  }

  function paintPhone() {
    const phone = current();
    byId("online").checked = phone.online;
    byId("no-devices").hidden = phone.devices.length > 0;
    byId("devices").replaceChildren(...phone.devices.map(deviceRow));
    paintScan();
  }

  function paintScan() {
    byId("scan").disabled = !linkable;
    byId("scan").classList.toggle("inviting", linkable && !current().devices.length);
  }

  function deviceRow(device) {
    const button = element("button", { type: "button", className: "danger", textContent: "Unlink" });
    button.setAttribute("aria-label", `Unlink ${device.platform || "device"} ${device.device}`);
    button.addEventListener("click", () => attempt(() => remove(path(`/devices/${device.device}`)), "Unlinked."));
    return element("li", {}, `${device.platform || "Device"} (${device.online ? "connected" : "away"})`, button);
  }

  function paintChats() {
    const inside = chat();
    byId("back").hidden = !inside;
    byId("phone-name").textContent = inside ? inside.name || plus(inside.chat) : current().name;
    byId("phone-number").textContent = inside ? `chat on ${current().name}'s phone` : plus(current().phone);
    byId("chats").hidden = Boolean(inside);
    byId("bubbles").hidden = !inside;
    byId("chats").replaceChildren(...(chats.length ? chats.map(chatRow) : [empty("No messages on this phone yet.")]));
    if (inside) paintBubbles(inside);
    const to = inside ?? (friend() && { name: friend().name });
    byId("reply-text").placeholder = to ? `Message ${to.name || plus(to.chat)}` : "Message";
    paintTyping();
  }

  const friend = () => phones.find((phone) => phone.phone !== current().phone);
  const empty = (text) => element("li", { className: "empty", textContent: text });

  function chatRow(one) {
    const last = one.messages.at(-1);
    const made = element("button", { type: "button", className: "chat" });
    const name = one.name || plus(one.chat);
    const face = element("span", { className: "face", textContent: name.replace(/^\+/, "").slice(0, 1).toUpperCase() });
    face.setAttribute("aria-hidden", "true");
    const words = element("span", { className: "preview" });
    if (last.from_me) words.append(ticks(last.status), " ");
    words.append(said(last));
    const waiting = unread(one);
    made.append(face, element("strong", { textContent: name }), element("span", { className: "meta", textContent: clock(last.at) }), words);
    if (waiting) made.append(element("span", { className: "unread", textContent: String(waiting), title: `${waiting} unread` }));
    made.addEventListener("click", () => show(one.chat));
    return element("li", {}, made);
  }

  function show(wanted) {
    open = wanted;
    paintChats();
    byId(wanted ? "reply-text" : "scan").focus();
    markRead();
  }

  function paintBubbles(inside) {
    const bubbles = byId("bubbles");
    const shown = inside.messages.filter((message) => !["edit", "revoke", "reaction", "poll_vote"].includes(message.type));
    bubbles.replaceChildren(...shown.map((message) => bubble(message, inside)));
    bubbles.scrollTop = bubbles.scrollHeight;
  }

  function bubble(message, inside) {
    const made = element("li", { className: message.from_me ? "mine" : "" });
    made.dataset.id = message.id;
    if (!message.from_me && inside.chat.includes("@")) made.append(element("strong", { className: "author", textContent: nameOf(message.from) }));
    const answered = message.about && inside.messages.find((one) => one.id === message.about);
    if (answered) made.append(element("blockquote", { textContent: said(answered) }));
    made.append(element("span", { className: message.revoked ? "soft" : "", textContent: said(message) }));
    for (const option of message.options ?? []) made.append(element("span", { className: "option", textContent: `${option.name} · ${option.voters.length}` }));
    const meta = element("span", { className: "meta" }, message.edited ? "edited " : "", message.expires_in ? "⏱ " : "", clock(message.at), " ");
    if (message.from_me) meta.append(ticks(message.status));
    made.append(meta);
    const reactions = Object.entries(message.reactions ?? {});
    if (reactions.length) {
      const who = reactions.map(([phone, sign]) => `${nameOf(phone)} ${sign}`).join(", ");
      made.append(element("span", { className: "reactions", textContent: reactions.map(([, sign]) => sign).join(""), title: who }));
    }
    return made;
  }

  // What a message says, in a line.
  function said(message) {
    if (message.revoked) return "This message was deleted";
    const sign = { image: "📷", video: "🎬", audio: "🎵", voice: "🎤", document: "📄", sticker: "🖼", location: "📍", contact: "👤", poll: "📊" }[message.type];
    const words = message.text || message.file?.name || (sign ? message.type : `(${message.type})`);
    return sign ? `${sign} ${words}` : words;
  }

  function paintTyping() {
    const now = Date.now();
    const here = [...typing].filter(([key, one]) => one.until > now && key === `${current()?.phone} ${open}`);
    byId("typing").textContent = here.map(([, one]) => (one.typing === "recording" ? "records a message…" : "is typing…")).join("");
  }

  function heard(event) {
    let change = {};
    try {
      change = JSON.parse(event.data);
    } catch {
      // A plain notice: everything may have changed.
    }
    if (change.change !== "typing") return refresh();
    const lasts = change.typing === "paused" ? 0 : TYPING_MS;
    typing.set(`${change.phone} ${change.chat}`, { typing: change.typing, until: Date.now() + lasts });
    paintTyping();
    setTimeout(paintTyping, lasts + 50);
  }

  function note(text) {
    byId("phone-note").textContent = text;
  }

  async function attempt(work, done = "") {
    try {
      note((await work()) || done);
    } catch (error) {
      note(error.message);
    }
    await refresh();
  }

  const quietly = (work) => attempt(async () => void (await work()));

  byId("back").addEventListener("click", () => show(null));
  search.addEventListener("input", paintTabs);

  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = phones.indexOf(current());
    choose(phones[(at + step + phones.length) % phones.length].phone);
  });

  byId("scan").addEventListener("click", async () => {
    note("Scanning…");
    byId("scan").disabled = true;
    await attempt(() => scan(current()), "Linked.");
  });

  byId("online").addEventListener("change", (event) => {
    const online = event.target.checked;
    attempt(async () => void (await post(path("/online"), { online })), online ? "" : "Switched off: messages wait until it is back.");
  });

  byId("reply").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = byId("reply-text");
    const to = open ?? friend()?.phone;
    if (!to) return note("There is nobody to write to yet.");
    quietly(async () => {
      await post(path("/send"), { to, text: words.value });
      words.value = "";
      open = to;
    });
  });

  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
  listen("/sandbox/api/events", ["change", "missed"], heard, refresh);

  return {
    refresh,
    choose,
    // Whether there is something to scan.
    setLinkable(possible) {
      linkable = possible;
      if (current()) paintScan();
    },
  };
}
