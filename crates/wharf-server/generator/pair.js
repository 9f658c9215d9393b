// The code page: a number with its country, a code, and what becomes of it.

import { begin, byId, showProblem } from "./attempt.js";

/** Calling codes by region (ITU-T E.164); the browser knows the names in the visitor's language. */
const CALLING = {
  AE: 971, AR: 54, AT: 43, AU: 61, BD: 880, BE: 32, BO: 591, BR: 55, CA: 1, CH: 41, CI: 225, CL: 56, CM: 237, CO: 57,
  CR: 506, CZ: 420, DE: 49, DK: 45, DO: 1, DZ: 213, EC: 593, EG: 20, ES: 34, ET: 251, FI: 358, FR: 33, GB: 44, GH: 233,
  GR: 30, GT: 502, HK: 852, HN: 504, HU: 36, ID: 62, IE: 353, IL: 972, IN: 91, IQ: 964, IT: 39, JM: 1, JO: 962, JP: 81,
  KE: 254, KH: 855, KR: 82, KW: 965, KZ: 7, LB: 961, LK: 94, MA: 212, MM: 95, MW: 265, MX: 52, MY: 60, MZ: 258, NG: 234,
  NL: 31, NO: 47, NP: 977, NZ: 64, OM: 968, PA: 507, PE: 51, PH: 63, PK: 92, PL: 48, PT: 351, PY: 595, QA: 974, RO: 40,
  RS: 381, RU: 7, RW: 250, SA: 966, SD: 249, SE: 46, SG: 65, SN: 221, SV: 503, TH: 66, TN: 216, TR: 90, TW: 886, TZ: 255,
  UA: 380, UG: 256, US: 1, UY: 598, UZ: 998, VE: 58, VN: 84, YE: 967, ZA: 27, ZM: 260, ZW: 263,
};

const names = new Intl.DisplayNames([navigator.language, "en"], { type: "region" });
const home = new Intl.Locale(navigator.language).maximize().region;
const countries = Object.entries(CALLING)
  .map(([region, code]) => ({ region, code, name: names.of(region) }))
  .sort((a, b) => a.name.localeCompare(b.name));
byId("country").replaceChildren(
  ...countries.map(({ region, code, name }) => new Option(`${name} (+${code})`, String(code), false, region === home)),
);

/** The number in E.164, or null for what is none. */
function whole() {
  const typed = byId("number").value.trim();
  const digits = typed.replace(/\D/g, "");
  const number = typed.startsWith("+") ? digits : byId("country").value + digits.replace(/^0+/, "");
  return /^[1-9]\d{6,14}$/.test(number) ? `+${number}` : null;
}

function onStep(step) {
  const code = byId("code");
  code.hidden = step.step !== "enter_code";
  code.textContent = step.code ?? "";
}

byId("number-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const phone = whole();
  if (!phone) {
    showProblem("This is no phone number: 7 to 15 digits with the country.");
    byId("number").focus();
    return;
  }
  byId("ask").hidden = true;
  byId("attempt").hidden = false;
  begin({ phone }, onStep);
});

byId("again").addEventListener("click", () => {
  showProblem(null);
  byId("again").hidden = true;
  byId("attempt").hidden = true;
  byId("ask").hidden = false;
  byId("number").focus();
});
