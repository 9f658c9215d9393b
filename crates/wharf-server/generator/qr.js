// The QR page: begins at once, shows each QR as it comes.

import { begin, byId } from "./attempt.js";

let shown = null;

async function onStep(step, path) {
  const image = byId("qr");
  if (step.step !== "scan_qr") {
    image.hidden = true;
    return;
  }
  const answer = await fetch(`${path}/qr`);
  // Scanned in between.
  if (!answer.ok) return;
  if (shown) URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(await answer.blob());
  image.src = shown;
  image.hidden = false;
}

const start = () => begin({}, onStep);
byId("again").addEventListener("click", start);
start();
