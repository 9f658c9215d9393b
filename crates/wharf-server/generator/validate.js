// The page that checks a string.

const byId = (id) => document.getElementById(id);

const FORMATS = { baileys_creds: "creds.json of Baileys", baileys_folder: "a folder of Baileys", bundle: "a bundle of Wharf" };

function cell(text, kind = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = kind;
  return made;
}

function paint(report) {
  byId("found-title").textContent = report.valid ? "It is whole" : "Something is wrong with it";
  const phone = report.phone ? ` of ${report.phone}` : "";
  byId("summary").textContent = `This is ${FORMATS[report.format] ?? report.format}${phone}.`;
  byId("checks").replaceChildren(
    ...report.checks.map((check) => {
      const row = document.createElement("tr");
      row.append(cell(check.name.replaceAll("_", " ")), cell(`${check.ok ? "✓" : "✗"} ${check.detail}`, check.ok ? "ok" : "wrong"));
      return row;
    }),
  );
  byId("found").hidden = false;
  byId("found-title").focus();
}

byId("check").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("problem").hidden = true;
  byId("found").hidden = true;
  const problem = (text) => {
    byId("problem").textContent = text;
    byId("problem").hidden = false;
  };
  try {
    const answer = await fetch("/generator/validate", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ data: byId("data").value }),
    });
    const told = await answer.json();
    if (answer.ok) paint(told);
    else problem(told.detail ?? "The server refused.");
  } catch {
    problem("The server does not answer.");
  }
});
