// Views: which there are, what one takes, and its answer as tables. The query layer computes; foreign text is only ever text.

import { Formats } from "./format.js";

const slot = (id) => document.getElementById(id);
const STATES = {
  provisional: "may still change",
  final: "final",
  restated: "restated after it was final",
  empty: "nothing here",
  no_source: "no source feeds this",
  refused: "no answer",
};
const COMMON = ["window", "compare"];
// What a comparison puts behind a metric's name, and what a reader calls that column.
const BESIDE = { _compared: "compared with", _difference: "difference", _pct: "change" };

const words = (name) => name.replace(/_ms$/, "").replaceAll("_", " ");

function made(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

async function asked(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const document = await response.json();
  if (!response.ok) throw new Error([document.detail, document.mend].filter(Boolean).join(" "));
  return document;
}

function field(name, meaning, values, value) {
  const label = made("label", words(name));
  label.title = meaning;
  const input = document.createElement(values.length ? "select" : "input");
  input.name = name;
  for (const each of values) input.append(new Option(each === "" ? "any" : words(each), each));
  input.value = value;
  label.append(input);
  return label;
}

function form(view, meanings, given) {
  const fields = view.parameters.map((one) => {
    const values = one.values.length && !one.default ? ["", ...one.values] : one.values;
    return field(one.parameter, one.meaning, values, given.get(one.parameter) ?? one.default);
  });
  fields.push(...COMMON.map((name) => field(name, meanings[name], [], given.get(name) ?? "")));
  const [window, compare] = fields.slice(view.parameters.length).map((each) => each.querySelector("input"));
  window.placeholder = view.window;
  compare.placeholder = "previous";
  slot("words").replaceChildren(...fields, made("button", "Show"));
}

function shown(value, unit, formats) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (unit === "fraction") return formats.finePercent.format(value);
  if (unit === "money") return formats.value({ unit: "money", value });
  if (unit?.startsWith("ms since")) return formats.instant.format(value);
  return formats.twoDigits.format(value);
}

// Title and unit of every column: metrics, what stands beside them in a comparison, times of what the rows are called.
function columnsOf(part) {
  const found = {};
  for (const { metric, title, unit } of part.metrics) {
    found[metric] = { title, unit };
    for (const [suffix, beside] of Object.entries(BESIDE)) {
      found[metric + suffix] = { title: `${title}, ${beside}`, unit: suffix === "_pct" ? "fraction" : unit };
    }
  }
  for (const name of part.labels) if (name.endsWith("_ms")) found[name] = { title: words(name), unit: "ms since the epoch, UTC" };
  return found;
}

function table(part, reasons, formats) {
  const units = columnsOf(part);
  const rows = part.rows;
  const labels = part.labels.filter((name) => rows.some((row) => row[name] !== null));
  const named = new Set([...part.by, ...part.labels]);
  const names = [...part.by, ...labels, ...Object.keys(rows[0]).filter((name) => !named.has(name))];
  const found = made("table");
  const head = found.createTHead().insertRow();
  const isNumber = (name) => name in units;
  for (const name of names) head.append(made("th", units[name]?.title ?? words(name), isNumber(name) ? "number" : ""));
  const body = found.createTBody();
  const why = (name, index) => Object.entries(part.nulls[name] ?? {}).find(([, at]) => at.includes(index))?.[0];
  rows.forEach((row, index) => {
    const line = body.insertRow();
    for (const name of names) {
      const cell = line.insertCell();
      if (row[name] === null || row[name] === undefined) {
        cell.textContent = "-";
        cell.className = isNumber(name) ? "number missing" : "missing";
        cell.title = reasons[why(name, index)] ?? "";
      } else {
        cell.textContent = shown(row[name], units[name]?.unit, formats);
        if (isNumber(name)) cell.className = "number";
      }
    }
  });
  return found;
}

function section(part, reasons, formats) {
  const found = made("section");
  const title = made("h2", part.title);
  const asOf = part.as_of_ms ? `, as of ${formats.instant.format(part.as_of_ms)}` : "";
  title.append(" ", made("small", `${STATES[part.state] ?? part.state}${asOf}`));
  found.append(title);
  if (part.refused) found.append(made("p", part.refused, "note"));
  else if (!part.rows.length) found.append(made("p", part.says, "note"));
  else found.append(table(part, reasons, formats));
  if (part.comparison?.days?.length) {
    found.append(made("p", `Compared with ${part.comparison.with}: ${part.comparison.days.join(" to ")}.`, "note"));
  }
  const needs = [...new Set(Object.values(part.needs ?? {}).map((topics) => topics.join(" and ")))];
  for (const topics of needs) found.append(made("p", `To fill the dashes, records of ${topics} are needed.`, "note"));
  for (const [name, why] of Object.entries(part.left_out ?? {})) found.append(made("p", `${name} is left out: ${why}.`, "note"));
  return found;
}

function say(text, waiting) {
  slot("said").textContent = text;
  slot("said").classList.toggle("waiting", waiting);
}

let latest = 0;

async function show(views, meanings) {
  const turn = (latest += 1);
  const given = new URLSearchParams(location.hash.slice(1));
  const view = views.find((one) => one.view === given.get("view")) ?? views[0];
  given.delete("view");
  slot("title").textContent = view.title;
  slot("answers").textContent = view.answers;
  for (const link of slot("list").children) link.toggleAttribute("aria-current", link.dataset.view === view.view);
  form(view, meanings, given);
  slot("words").onsubmit = (event) => {
    event.preventDefault();
    const chosen = [...new FormData(event.target)].filter(([, value]) => value !== "");
    location.hash = new URLSearchParams([["view", view.view], ...chosen]);
  };
  say("Waiting for the answer.", true);
  // Tables of the view before, under this one's title, would be taken for its answer.
  if (slot("parts").dataset.view !== view.view) slot("parts").replaceChildren();
  try {
    const answer = await asked(`/api/v1/views/${encodeURIComponent(view.view)}?${given}`);
    // A slow answer to an earlier choice must not take the place of this one's.
    if (turn !== latest) return;
    const formats = new Formats({ timezone: answer.timezone, currency: answer.currency });
    slot("whose").textContent = `${answer.shop}, times of ${answer.timezone.replaceAll("_", " ")}, money in ${answer.currency}`;
    slot("replay").hidden = !answer.replay_id;
    slot("replay").textContent = answer.replay_id ? `REPLAY ${answer.replay_id}: recorded events, not live` : "";
    say("", false);
    slot("parts").dataset.view = view.view;
    slot("parts").replaceChildren(...answer.parts.map((part) => section(part, answer.reasons, formats)));
  } catch (error) {
    if (turn !== latest) return;
    slot("parts").replaceChildren();
    say(error.message, false);
  }
}

const { views, parameters } = await asked("/api/v1/views");
slot("list").replaceChildren(
  ...views.map((view) => {
    const link = made("a", view.title);
    link.href = `#view=${view.view}`;
    link.dataset.view = view.view;
    link.title = view.answers;
    return link;
  }),
);
window.addEventListener("hashchange", () => show(views, parameters));
await show(views, parameters);
