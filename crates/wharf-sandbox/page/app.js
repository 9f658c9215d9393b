// The sandbox's own page: every phone of the network, and a camera for QR codes that other programs show.

import { get, post, postBytes } from "/sandbox/page/api.js";
import { byId } from "/sandbox/page/dom.js";
import { mountPhones } from "/sandbox/page/phones.js";

const camera = byId("camera");
let scanning;

const side = mountPhones(byId("phones"), {
  // Resolves when the camera is closed: with what to tell, or with the reason why not.
  scan: (phone) =>
    new Promise((resolve, reject) => {
      scanning = { phone, resolve, reject };
      byId("camera-phone").textContent = phone.name;
      camera.showModal();
    }),
});

byId("new-phone").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("new-name").value.trim();
  try {
    const made = await post("/sandbox/api/phones", name ? { name } : {});
    byId("new-name").value = "";
    tell("");
    await side.refresh();
    side.choose(made.phone);
  } catch (error) {
    tell(error.message);
  }
});

function tell(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

async function link(call, body) {
  const { phone, resolve, reject } = scanning;
  camera.close("done");
  try {
    await post(`/sandbox/api/phones/${phone.phone}/${call}`, body);
    resolve("Linked.");
  } catch (error) {
    reject(error);
  }
}

byId("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  const said = byId("said").value.trim();
  byId("said").value = "";
  // Eight characters are a linking code, anything else is the text of a QR.
  if (/^[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{4}$/.test(said)) return link("enter-code", { code: said });
  return link("scan", { qr: said });
});

camera.addEventListener("close", () => {
  if (camera.returnValue !== "done") scanning?.resolve("Nothing was scanned.");
  camera.returnValue = "";
});

byId("close-camera").addEventListener("click", () => camera.close());

byId("screen").addEventListener("click", async () => {
  await attempt(async () => {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
    try {
      const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true });
      await video.play();
      await read(video, video.videoWidth, video.videoHeight);
    } finally {
      for (const track of stream.getTracks()) track.stop();
    }
  });
});

byId("picture").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) await attempt(() => readFile(file));
});

addEventListener("paste", async (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (camera.open && file) await attempt(() => readFile(file));
});

async function readFile(file) {
  const image = await createImageBitmap(file);
  await read(image, image.width, image.height);
}

// The server reads the code out of a picture, so that no library has to be here.
async function read(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(source, 0, 0);
  const picture = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const { qr } = await postBytes("/sandbox/api/read-qr", picture, "image/png");
  await link("scan", { qr });
}

async function attempt(work) {
  const shown = byId("camera-note");
  shown.textContent = "Looking…";
  try {
    await work();
    shown.textContent = "";
  } catch (error) {
    shown.textContent = error.name === "NotAllowedError" ? "The browser was not allowed to see the screen." : error.message;
  }
}

async function showUnhandled() {
  const { data } = await get("/sandbox/api/unhandled");
  byId("unhandled").hidden = !data.length;
  byId("unhandled-list").replaceChildren(
    ...data.map(({ question, count }) => Object.assign(document.createElement("li"), { textContent: `${question} (${count})` })),
  );
}

showUnhandled();
setInterval(showUnhandled, 10_000);
