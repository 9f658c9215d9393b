// The right side: simulated phones. What they show is what they really decrypted.

import { gathered, get, listen, post, remove } from "/demo/api.js";
import { byId, clock, element, people, plus, ticks } from "/demo/dom.js";

const ROOT = "/sandbox/api/phones";

export function startPhones(session) {
  let phones = [];
  let chosen = sessionStorage.getItem("phone");
  let chats = [];
  let chat = null;
  let linkable = false;

  const current = () => phones.find((phone) => phone.phone === chosen) ?? phones[0];
  const path = (what = "") => `${ROOT}/${encodeURIComponent(current().phone)}${what}`;

  const refresh = gathered(async () => {
    const { data } = await get(ROOT);
    phones = data;
    if (!current()) return;
    paintPeople();
    paintTabs();
    paintPhone();
    await refreshChats();
  });

  const refreshChats = gathered(async () => {
    const asked = current().phone;
    const { data } = await get(path("/chats"));
    if (asked !== current().phone) return;
    chats = data;
    chat = chats.find((one) => one.chat === chat?.chat) ?? newest(chats) ?? null;
    paintChats();
    await markRead();
  });

  const newest = (all) => [...all].sort((a, b) => lastAt(b) - lastAt(a))[0];
  const lastAt = (one) => Math.max(0, ...one.messages.map((message) => Date.parse(message.at)));

  // An open chat on a phone that is on and in view is being read.
  async function markRead() {
    const unread = chat?.messages.some((message) => !message.from_me && message.status !== "read");
    if (unread && current().online && document.visibilityState === "visible") {
      await post(path("/read"), { chat: chat.chat });
    }
  }

  function paintPeople() {
    const known = people.size;
    for (const phone of phones) people.set(phone.phone, phone.name).set(phone.lid, phone.name);
    if (people.size > known) session.refreshMessages();
    const options = phones.map((phone) => element("option", { value: plus(phone.phone), label: phone.name }));
    byId("people").replaceChildren(...options);
    const to = byId("to");
    const friend = phones.find((phone) => phone.phone !== phones[0].phone) ?? phones[0];
    if (!to.value && document.activeElement !== to) to.value = plus(friend.phone);
  }

  function paintTabs() {
    const focused = document.activeElement?.getAttribute("role") === "tab";
    const tabs = phones.map((phone) => {
      const selected = phone.phone === current().phone;
      const tab = element("button", { type: "button", textContent: phone.name, id: `tab-${phone.phone}`, tabIndex: selected ? 0 : -1 });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(selected));
      tab.setAttribute("aria-controls", "phone");
      tab.addEventListener("click", () => choose(phone.phone));
      return tab;
    });
    byId("tabs").replaceChildren(...tabs);
    byId("phone").setAttribute("aria-labelledby", `tab-${current().phone}`);
    if (focused) byId(`tab-${current().phone}`).focus();
  }

  function choose(phone) {
    chosen = phone;
    chat = null;
    sessionStorage.setItem("phone", phone);
    note("");
    refresh();
  }

  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = phones.indexOf(current());
    choose(phones[(at + step + phones.length) % phones.length].phone);
  });

  function paintPhone() {
    const phone = current();
    byId("phone-name").textContent = phone.name;
    byId("phone-number").textContent = plus(phone.phone);
    byId("online").checked = phone.online;
    byId("no-devices").hidden = phone.devices.length > 0;
    byId("devices").replaceChildren(...phone.devices.map(deviceRow));
    paintScan();
  }

  function paintScan() {
    byId("scan").disabled = !linkable;
    byId("scan").classList.toggle("inviting", linkable);
  }

  function deviceRow(device) {
    const button = element("button", { type: "button", className: "danger", textContent: "Unlink" });
    button.setAttribute("aria-label", `Unlink ${device.platform || "device"} ${device.device}`);
    button.addEventListener("click", () => attempt(() => remove(path(`/devices/${device.device}`)), "Unlinked."));
    const state = device.online ? "connected" : "away";
    return element("li", {}, `${device.platform || "Device"} (${state})`, button);
  }

  function paintChats() {
    byId("chats").replaceChildren(...chats.map(chip));
    const bubbles = byId("bubbles");
    const messages = chat?.messages ?? [];
    bubbles.replaceChildren(...messages.map(bubble));
    if (!messages.length) bubbles.append(element("li", { className: "empty", textContent: "No messages on this phone yet." }));
    bubbles.scrollTop = bubbles.scrollHeight;
    byId("reply-text").placeholder = chat ? `Message ${chat.name}` : `Message ${friend()?.name ?? ""}`;
  }

  const friend = () => phones.find((phone) => phone.phone !== current().phone);

  function chip(one) {
    const made = element("button", { type: "button", textContent: one.name || plus(one.chat) });
    made.setAttribute("aria-pressed", String(one.chat === chat?.chat));
    made.addEventListener("click", () => {
      chat = one;
      paintChats();
      markRead();
    });
    return made;
  }

  function bubble(message) {
    const meta = element("span", { className: "meta" }, clock(message.at), " ");
    if (message.from_me) meta.append(ticks(message.status));
    const text = message.text || `(${message.type})`;
    const made = element("li", { className: message.from_me ? "mine" : "" }, text, meta);
    made.dataset.id = message.id;
    return made;
  }

  function note(text) {
    byId("phone-note").textContent = text;
  }

  async function attempt(work, done = "") {
    try {
      await work();
      note(done);
    } catch (error) {
      note(error.message);
    }
    await refresh();
  }

  byId("scan").addEventListener("click", async () => {
    note("Scanning…");
    byId("scan").disabled = true;
    await attempt(async () => post(path("/scan"), { qr: await session.qrText() }), "Linked.");
  });

  byId("online").addEventListener("change", (event) => {
    const online = event.target.checked;
    attempt(() => post(path("/online"), { online }), online ? "" : "Switched off: messages wait until it is back.");
  });

  byId("reply").addEventListener("submit", (event) => {
    event.preventDefault();
    const box = byId("reply-text");
    const to = chat?.chat ?? friend()?.phone;
    if (!to) return;
    attempt(async () => {
      await post(path("/send"), { to, text: box.value });
      box.value = "";
    });
  });

  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
  listen("/sandbox/api/events", ["change", "missed"], refresh, refresh);

  return {
    sessionChanged(state) {
      linkable = state.status === "pending" && state.connection_step === "scan_qr";
      if (current()) paintScan();
    },
  };
}
