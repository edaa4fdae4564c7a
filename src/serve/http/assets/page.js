// What the pages need a script for: sending wishes to the API, saying what came of them, and keeping an eye on runs at work.
// Everything that is shown is put in as text, never as markup.
"use strict";

const said = document.getElementById("said");
const POLL_MS = 1000;

/** Says something where screen readers hear it, and where it stays in sight. */
function say(kind, lines) {
  said.replaceChildren(...lines.filter(Boolean).map((line) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    return paragraph;
  }));
  said.className = kind;
}

/** Asks the API. Everything that changes something carries our header. */
async function ask(method, address, fields) {
  const changes = method !== "GET";
  const headers = { Accept: "application/json" };
  if (changes) {
    headers["X-Evensum-Request"] = "1";
    headers["Content-Type"] = "application/json";
  }
  const body = changes && Object.keys(fields).length > 0 ? JSON.stringify(fields) : undefined;
  const response = await fetch(address, { method, headers, body, credentials: "same-origin", cache: "no-store" });
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = document.error ?? {};
    const failure = new Error(error.what ?? `the service answered ${response.status}`);
    failure.hint = error.hint;
    failure.changed = error.changed;
    throw failure;
  }
  return document;
}

/** The fields of a form as the document that the API takes; what is left empty and may be, is left out. */
function fields(form) {
  const all = {};
  for (const input of form.querySelectorAll("[name]")) {
    const value = input.value.trim();
    if (value !== "" || input.required) all[input.name] = input.type === "password" ? input.value : value;
  }
  // a rule about a column is one word to the API and two fields to a person
  for (const input of form.querySelectorAll("[data-ends]")) {
    const name = input.dataset.ends;
    if (all[name]?.endsWith("=")) all[name] += input.value.trim();
  }
  if (all.tables !== undefined) {
    // the name of one table may hold what stands between patterns
    const one = form.querySelector("[name=tables]").type === "hidden";
    all.tables = one ? [all.tables] : all.tables.split(/[\s,]+/).filter(Boolean);
  }
  return all;
}

/** What stands in an answer that is to be seen once. */
function answer(document) {
  if (document.token) {
    return [`The token, shown this once: ${document.token}`, `It holds until ${document.expires_at}.`];
  }
  if (document.sinks) {
    return document.sinks.map((sink) => `${sink.sink} (${sink.type}): ${sink.sent ? "took the test" : sink.error}`);
  }
  return ["Done."];
}

const after = {
  reload: () => location.reload(),
  home: () => location.assign("/"),
  run: (document) => location.assign(`/runs/${encodeURIComponent(document.run)}`),
  show: (document) => say("good", answer(document)),
};

async function send(event) {
  const form = event.target;
  if (!form.matches("form.wish")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  say("", ["Asking…"]);
  try {
    const { method, address, then } = form.dataset;
    after[then](await ask(method, address, fields(form)));
    if (then === "show") button.disabled = false;
  } catch (failure) {
    say("bad", [failure.message, failure.hint, failure.changed]);
    button.disabled = false;
  }
}

/** A word as a shell takes it. */
function quoted(word) {
  return /^[A-Za-z0-9/:@=.,_+%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Fills in the command beside a form as somebody types, and shows the fields that belong to what was chosen. */
function follow(form) {
  const values = fields(form);
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, value] = [part.dataset.when.split("=")[0], part.dataset.when.slice(part.dataset.when.indexOf("=") + 1)];
    part.hidden = form.querySelector(`[name="${name}"]`)?.value !== value;
    for (const input of part.querySelectorAll("input")) input.required = !part.hidden;
  }
  const code = form.querySelector("code[data-template]");
  if (!code) return;
  let text = code.dataset.template;
  // patterns are said one by one
  if (text.includes(" --tables {tables}")) {
    const tables = (values.tables ?? []).map((pattern) => ` --tables ${quoted(pattern)}`).join("");
    text = text.replace(" --tables {tables}", () => tables);
  }
  code.textContent = text.replace(/ (--[a-z]+) \{([a-z]+)\}|\{([a-z]+)\}/g, (whole, flag, flagged, bare) => {
    const value = values[flagged ?? bare];
    if (value) return flag ? ` ${flag} ${quoted(value)}` : quoted(value);
    return flag ? ` ${flag} ${flagged.toUpperCase()}` : bare.toUpperCase();
  });
}

const number = (value) => Number(value ?? 0).toLocaleString("en");

function length(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Brings a run at work up to date. */
async function look(box) {
  const answer = await ask("GET", box.dataset.progress, {});
  if (answer.status !== box.dataset.status) {
    location.reload();
    return;
  }
  const at = answer.progress;
  if (!at) return;
  const bar = box.querySelector("progress");
  if (bar) {
    bar.max = Math.max(1, at.rows_estimate);
    bar.value = Math.min(at.rows, at.rows_estimate);
  }
  const line = box.querySelector("[data-part=line]");
  if (line) {
    let text = `${at.table}: ${number(at.rows)} of about ${number(at.rows_estimate)} rows, ${number(at.chunks)} chunks, ` +
      `${number(at.chunks_mismatched)} of them unequal at first sight`;
    if (at.settling_rows) text += `, settling ${number(at.settling_rows)} rows`;
    if (at.seconds_left !== null) text += `, about ${length(at.seconds_left)} left`;
    line.textContent = text;
  }
  const paused = box.querySelector("[data-part=paused]");
  if (paused) {
    paused.hidden = !at.paused;
    paused.textContent = at.paused ? `paused: ${at.paused}` : "";
  }
}

/** Looks at runs at work once a second, while somebody sees the page. */
async function watch(boxes) {
  for (;;) {
    await new Promise((ready) => setTimeout(ready, POLL_MS));
    if (document.hidden) continue;
    // a service that restarts is back in a moment
    await Promise.all(boxes.map((box) => look(box).catch(() => {})));
  }
}

document.addEventListener("submit", send);
for (const form of document.querySelectorAll("form.wish")) {
  follow(form);
  form.addEventListener("input", () => follow(form));
}
const boxes = [...document.querySelectorAll("[data-progress]")];
if (boxes.length > 0) watch(boxes);
// a token in an address would be kept in the browser's history
if (location.pathname === "/setup" && location.search) history.replaceState(null, "", "/setup");
