// The left side: one session, its status and QR, its messages.

import { call, gathered, get, listen, post } from "/sandbox/page/api.js";
import { byId, clock, element, nameOf, plus, showProblem, ticks } from "/sandbox/page/dom.js";

const WORDS = {
  not_started: ["Not started", "Press Connect: a QR appears, and the phone on the right can scan it."],
  pending: ["Waiting for a scan", "The session waits for a phone to link it."],
  authenticated: ["Linked, connecting", "The account is linked. The connection is being set up."],
  ready: ["Ready", "Linked and connected. Messages flow."],
  auth_failed: ["Refused", "The account does not accept this session any more. Connect to link it again."],
  disconnected: ["Disconnected", "Not connected."],
};

const MESSAGE_EVENTS = ["queued", "sent", "delivered", "read", "played", "failed", "received"].map((what) => `message.${what}`);

export function startSession(id, onChange, onConnection) {
  let session = null;
  let qrUrl = null;
  let shownUntil = 0;
  let qrShownAt = 0;

  const path = `/api/sessions/${id}`;

  const refreshQr = gathered(async () => {
    const pending = session?.status === "pending" && session.connection_step === "scan_qr";
    if (!pending) return hideQr();
    try {
      const image = await call("GET", `${path}/qr`, undefined, "image/svg+xml");
      if (qrUrl) URL.revokeObjectURL(qrUrl);
      qrUrl = URL.createObjectURL(image);
      byId("qr-image").src = qrUrl;
      const until = Date.parse(session.qr_expires_at ?? "");
      if (until !== shownUntil) qrShownAt = Date.now();
      shownUntil = until;
      byId("qr").hidden = false;
      countDown();
    } catch (error) {
      if (error.code !== "not_pending") throw error;
      hideQr();
    }
  });

  function hideQr() {
    byId("qr").hidden = true;
    byId("qr-image").removeAttribute("src");
    if (qrUrl) URL.revokeObjectURL(qrUrl);
    qrUrl = null;
  }

  function countDown() {
    if (byId("qr").hidden || !shownUntil) return;
    const left = Math.max(0, shownUntil - Date.now());
    byId("qr-seconds").textContent = `A new one in ${Math.ceil(left / 1000)} s.`;
    byId("qr-left").value = left / Math.max(1, shownUntil - qrShownAt);
  }
  setInterval(countDown, 500);

  const refresh = gathered(async () => {
    session = await get(path);
    paint();
    onChange(session);
    await refreshQr();
  });

  function paint() {
    const [word, text] = WORDS[session.status] ?? [session.status, ""];
    byId("session-name").textContent = `“${session.name}”`;
    const pill = byId("status");
    pill.textContent = word;
    pill.dataset.status = session.status;
    byId("status-text").textContent = [text, why(), who()].filter(Boolean).join(" ");
    const live = ["pending", "authenticated", "ready"].includes(session.status);
    byId("connect").disabled = live;
    byId("disconnect").disabled = !live && !session.next_attempt_at;
    byId("logout").disabled = session.status === "not_started";
  }

  function why() {
    if (!session.disconnect_reason || ["ready", "pending", "authenticated"].includes(session.status)) return "";
    const next = session.next_attempt_at ? ` Next try at ${clock(session.next_attempt_at)}.` : "";
    return `Reason: ${String(session.disconnect_reason).replaceAll("_", " ")}.${next}`;
  }

  const who = () => (session.phone_number ? `Account ${plus(session.phone_number)}.` : "");

  const refreshMessages = gathered(async () => {
    const { data } = await get(`/api/messages?session_id=${id}&limit=30`);
    byId("no-messages").hidden = data.length > 0;
    byId("messages").replaceChildren(...newestFirst(data).map(row));
  });

  const newestFirst = (data) => [...data].sort((a, b) => String(b.created_at).localeCompare(String(a.created_at)));

  function row(message) {
    const inbound = message.direction === "inbound";
    const other = inbound ? `from ${nameOf(message.from ?? message.chat)}` : `to ${nameOf(message.to ?? message.chat)}`;
    const text = element("p", { textContent: message.text?.body ?? `(${message.type})` });
    const mark = inbound ? element("span", { className: "ticks", textContent: "received" }) : ticks(message.status, true);
    const made = element("li", {}, text, mark, element("span", { className: "soft", textContent: `${other}, ${clock(message.created_at)}` }));
    made.dataset.id = message.id;
    return made;
  }

  const doing = (what) => async () => {
    showProblem(null);
    try {
      await post(`${path}/${what}`);
      await refresh();
    } catch (error) {
      showProblem(error);
    }
  };
  for (const what of ["connect", "disconnect", "logout"]) byId(what).addEventListener("click", doing(what));

  byId("send").addEventListener("submit", async (event) => {
    event.preventDefault();
    showProblem(null);
    const to = byId("to").value.trim();
    const body = byId("text").value;
    try {
      await post("/api/messages", { session_id: id, to, type: "text", text: { body } });
      byId("text").value = "";
      await refreshMessages();
    } catch (error) {
      showProblem(error);
    }
  });

  byId("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("send").requestSubmit();
  });

  listen(`${path}/events`, ["status", "qr"], refresh, refresh);
  const reconnected = () => {
    onConnection(true);
    refresh();
    refreshMessages();
  };
  listen("/api/events", [...MESSAGE_EVENTS, "session.status", "session.qr"], (event) => {
    if (event.type.startsWith("message")) refreshMessages();
    if (!event.type.startsWith("message.")) refresh();
  }, reconnected, () => onConnection(false));

  byId("curl").textContent = [
    `curl ${location.origin}/api/messages \\`,
    `  -H "Authorization: Bearer $WHARF_KEY" -H "Content-Type: application/json" \\`,
    `  -d '{"session_id": "${id}", "to": "+…", "type": "text", "text": {"body": "Hello"}}'`,
  ].join("\n");

  return { refreshMessages, qrText: async () => (await get(`${path}/qr`)).qr };
}
