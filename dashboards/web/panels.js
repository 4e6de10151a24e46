// One function per panel: overview document in, DOM out. Text enters through textContent only: names come from outside.

import { ackButton } from "./acknowledge.js";
import { named } from "./meanings.js";

const LABELS = {
  gmv_last_15m: "Last 15 minutes",
  orders: "Orders",
  est_customers: "Buyers",
  aov_revenue: "AOV",
  ctor: "CTOR",
  product_impressions: "Impressions",
  product_clicks: "Clicks",
  atc_count: "Add to cart",
  sku_orders: "SKU orders",
  ctr: "CTR",
  atc_rate: "add-to-cart rate",
};

// In the order of the wall: a bar keeps its place, whoever leads.
const LEAVES = {
  seller_live: ["Seller LIVE", "seller"],
  seller_video: ["Seller video", "seller"],
  seller_product_card: ["Product card", "seller"],
  affiliate_live: ["Affiliate LIVE", "affiliate"],
  affiliate_video: ["Affiliate video", "affiliate"],
  affiliate_other: ["Affiliate other", "affiliate"],
  shop_tab: ["Shop tab", "other"],
  other: ["Other", "other"],
};

const STATUS = { out_of_stock: "out of stock", at_risk: "at risk", healthy: "healthy", unknown: "unknown" };

export const slot = (name) => document.querySelector(`[data-slot="${name}"]`);

// The words come with the document (streams/reason_words.py): the page keeps none of its own.
export const say = (figure) => figure.says ?? "no answer";

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function needs(text, why) {
  const node = element("p", "needs", text);
  if (why) node.append(element("span", "why", why));
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A change reads the same without colour: the arrow is its sign.
function delta(change, formats) {
  if (change === null || change === undefined) return null;
  const percent = formats.signedPercent.format(change);
  const flat = /^[+-]?0\D*$/.test(percent);
  const node = element("span", `delta ${flat ? "flat" : change > 0 ? "up" : "down"}`);
  node.textContent = flat ? "level" : `${change > 0 ? "▲" : "▼"} ${percent.replace(/^[+-]/, "")}`;
  return node;
}

export function showGmv(overview, formats) {
  const figure = overview.figures.gmv;
  const huge = slot("gmv");
  if (figure.value === null) {
    huge.replaceChildren(needs(say(figure)));
    slot("gmv-versus").replaceChildren();
  } else {
    const text = formats.wholeMoney.format(figure.value);
    put(huge, text);
    huge.dataset.value = figure.value;
    huge.style.fontSize = text.length > 8 ? `${(8.8 * 8) / text.length}rem` : "";
    versus(slot("gmv-versus"), figure, overview, formats);
  }
  showGoal(overview, formats);
}

// What a figure lacks: a feed that it reads is lost, in the words of the strip.
function lostFeed(figure, overview, formats) {
  return figure.lost ? `${figure.lost.topic.replaceAll("_", " ")} lost ${formats.time(figure.lost.since_ms, overview.now_ms)}` : null;
}

function versus(node, figure, overview, formats) {
  const reference = overview.reference;
  const lost = lostFeed(figure, overview, formats);
  if (lost) {
    node.replaceChildren(element("span", "late", lost));
    return;
  }
  if (!reference || figure.reference === null || figure.reference === undefined) {
    node.replaceChildren(element("span", "quiet", reference ? "no reference at this time" : "no reference day loaded"));
    return;
  }
  const parts = [];
  const change = delta(figure.change, formats);
  if (change) parts.push(change, document.createTextNode("  "));
  parts.push(element("span", "quiet", `on ${formats.value({ ...figure, value: figure.reference })}, ${reference.label} by this time`));
  node.replaceChildren(...parts);
}

function showGoal(overview, formats) {
  const goal = overview.goal;
  const [fill, tick, track] = [slot("goal-fill"), slot("goal-tick"), slot("goal-track")];
  if (goal.progress === null) {
    fill.style.width = "0";
    tick.hidden = true;
    const why = say(goal);
    put(slot("goal"), why.startsWith("no goal") ? why.replace("no", "No") : `No goal: ${why}`);
    for (const name of ["goal-target", "goal-mark", "goal-next"]) slot(name).hidden = true;
    return;
  }
  const share = Math.max(0, Math.min(1, goal.progress));
  fill.style.width = `${share * 100}%`;
  fill.classList.toggle("reached", goal.progress >= 1);
  tick.hidden = goal.reference_progress === null;
  if (!tick.hidden) {
    tick.style.left = `${Math.max(0, Math.min(1, goal.reference_progress)) * 100}%`;
    put(slot("goal-mark"), `${overview.reference.label} by now`);
  }
  slot("goal-mark").hidden = tick.hidden;
  const text = `${formats.percent.format(goal.progress)} of ${goal.unit === "money" ? "today's" : "the campaign's"} goal`;
  put(slot("goal"), text);
  slot("goal").dataset.value = goal.progress;
  const amount = goal.unit === "money" ? formats.wholeMoney.format(goal.target) : formats.integer.format(goal.target);
  const whole = goal.campaign_progress === null ? "" : `campaign ${formats.percent.format(goal.campaign_progress)} · `;
  put(slot("goal-target"), `${whole}${amount}`);
  slot("goal-target").hidden = false;
  track.setAttribute("aria-label", `${text}, ${amount}`);
  const next = goalOutlook(goal, formats);
  put(slot("goal-next"), next);
  slot("goal-next").hidden = next === "";
}

// Pace and what it follows, where the campaign ends, what is missing: one quiet line under the bar.
function goalOutlook(goal, formats) {
  const amount = (value) => (goal.unit === "money" ? formats.roughMoney(value) : formats.integer.format(value));
  const parts = [];
  if (goal.pace !== null) parts.push(`pace ${formats.percent.format(goal.pace)} (${goal.due_by})`);
  if (goal.projected !== null) {
    parts.push(`ends at ${amount(goal.projected)} (${amount(goal.projected_low)}–${amount(goal.projected_high)})`);
  }
  if (goal.needed_per_hour) parts.push(`needs ${amount(goal.needed_per_hour)}/h`);
  // A line breaks between the parts, never inside one.
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
}

export function showTiles(overview, formats) {
  for (const name of ["gmv_last_15m", "orders", "est_customers", "aov_revenue", "ctor"]) {
    const tile = document.querySelector(`.tile[data-panel="${name}"]`);
    if (!tile.firstChild) tile.append(named(element("h2", "", LABELS[name]), name), element("div"), element("p", "under"));
    const [, holder, under] = tile.children;
    const figure = overview.figures[name];
    if (figure.value === null) {
      holder.replaceChildren(needs(say(figure)));
      under.replaceChildren();
      continue;
    }
    let value = holder.querySelector(".value");
    if (!value) {
      value = element("p", "value");
      value.dataset.slot = name;
      holder.replaceChildren(value);
    }
    put(value, formats.value(figure));
    value.dataset.value = figure.value;
    tileUnder(under, figure, overview, formats);
  }
}

function tileUnder(node, figure, overview, formats) {
  const reference = figure.reference;
  const lost = lostFeed(figure, overview, formats);
  if (lost) {
    node.replaceChildren(element("span", "late", lost));
    return;
  }
  if (!overview.reference || reference === null || reference === undefined) {
    node.replaceChildren(element("span", "", "no reference"));
    return;
  }
  const change = delta(figure.change, formats);
  const text = `on ${formats.value({ ...figure, value: reference })}, ${overview.reference.label}`;
  node.replaceChildren(...(change ? [change, document.createTextNode("  ")] : []), document.createTextNode(text));
}

function lacking(node, figure, overview, formats) {
  const lost = lostFeed(figure, overview, formats);
  if (lost) {
    node.classList.add("late");
    node.title = lost;
  }
  return node;
}

export function showFunnel(overview, formats) {
  const steps = element("div", "steps");
  for (const step of overview.funnel) {
    if (step.rate) {
      const rate = element("div", "rate");
      rate.append(named(element("span", "", LABELS[step.rate.metric] ?? step.rate.metric), step.rate.metric));
      if (step.rate.value === null) rate.append(element("span", "reason", step.rate.null === "no_source" ? "–" : say(step.rate)));
      else rate.append(lacking(element("b", "", formats.value(step.rate)), step.rate, overview, formats));
      steps.append(rate);
    }
    const row = element("div", "step");
    row.append(named(element("span", "label", LABELS[step.metric] ?? step.metric), step.metric));
    if (step.value === null) row.append(needs(say(step)));
    else {
      const number = element("span", "number", formats.value(step));
      number.dataset.slot = `funnel-${step.metric}`;
      number.dataset.value = step.value;
      row.append(lacking(number, step, overview, formats));
    }
    steps.append(row);
  }
  slot("funnel").replaceChildren(steps);
}

export function showSlices(overview, formats) {
  const holder = slot("slices");
  if (overview.slices.null) {
    holder.replaceChildren(needs(say(overview.slices)));
    return;
  }
  const places = Object.keys(LEAVES);
  // Orders that name no source are no proof that a LIVE sold nothing: a row of zeros would say so.
  const attributed = overview.slices.rows.some((row) => row.leaf !== "other" && row.gmv !== 0);
  if (!attributed && overview.slices.rows.some((row) => row.gmv !== 0)) {
    holder.replaceChildren(needs("needs a source on order lines", "Orders then divide by LIVE, video, product card and shop tab, of seller and affiliates."));
    return;
  }
  if (!holder.querySelector(".leaves")) holder.replaceChildren(element("div", "leaves"));
  const leaves = holder.firstChild;
  const rows = overview.slices.rows.toSorted((one, other) => places.indexOf(one.leaf) - places.indexOf(other.leaf));
  rows.forEach((row, index) => {
    const [label, owner] = LEAVES[row.leaf] ?? [row.leaf, "other"];
    let leaf = leaves.children[index];
    if (!leaf) {
      leaf = element("div", "leaf");
      const bar = element("span", "bar");
      bar.append(element("i"));
      leaf.append(element("span", "label"), element("span", "money"), element("span", "share"), bar);
      leaves.append(leaf);
    }
    leaf.dataset.owner = owner;
    leaf.dataset.slot = `slice-${row.leaf}`;
    leaf.dataset.value = row.gmv;
    leaf.dataset.zero = row.gmv === 0;
    put(leaf.children[0], label);
    put(leaf.children[1], formats.roughMoney(row.gmv));
    put(leaf.children[2], row.share === null ? "–" : formats.percent.format(row.share));
    leaf.querySelector("i").style.width = `${Math.max(0, Math.min(1, row.share ?? 0)) * 100}%`;
  });
  while (leaves.children.length > rows.length) leaves.lastChild.remove();
}

export function showStock(overview, formats) {
  const holder = slot("stock");
  const stock = overview.stock;
  if (stock.null) {
    holder.replaceChildren(needs(say(stock), "Stock levels per SKU tell which product runs out first, when, and how much money that costs."));
    return;
  }
  if (!stock.rows.length) {
    holder.replaceChildren(element("p", "calm", "Nothing is at risk of running out."));
    return;
  }
  const table = element("table");
  const head = element("tr");
  for (const text of ["Product", "Runs out", "Left", "Per hour", "At risk"]) head.append(element("th", "", text));
  table.append(head);
  for (const row of stock.rows) table.append(stockRow(row, overview, formats));
  const rest = stock.more ? `${formats.integer.format(stock.more)} more at risk.` : "Nothing else is at risk of running out.";
  holder.replaceChildren(table, element("p", "rest", rest));
}

function stockRow(row, overview, formats) {
  const line = element("tr");
  line.dataset.status = row.status;
  line.dataset.sku = row.sku_id;
  const product = element("td");
  product.append(element("span", row.sku_id === row.name ? "name long" : "name", row.name));
  const notes = [row.sku_id !== row.name && row.sku_id, row.high_demand && "high demand"].filter(Boolean);
  if (notes.length) product.append(element("span", "sub", notes.join(" · ")));
  product.title = row.name;
  const out = element("td");
  const dash = (value, format) => (value === null || value === undefined ? "–" : format(value));
  if (row.runs_out_at_ms !== null && row.status !== "out_of_stock") {
    out.append(element("span", "eta", `~${formats.time(row.runs_out_at_ms, overview.now_ms)}`));
    if (row.runs_out_low_ms !== null && row.runs_out_high_ms !== null) {
      const low = formats.time(row.runs_out_low_ms, overview.now_ms);
      const high = formats.time(row.runs_out_high_ms, overview.now_ms);
      out.append(element("span", "sub", `${low} – ${high}`));
    }
  } else {
    out.append(element("span", "eta", STATUS[row.status] ?? row.status));
    if (row.out_since_ms) out.append(element("span", "sub", `since ${formats.time(row.out_since_ms, overview.now_ms)}`));
  }
  line.append(
    product,
    out,
    element("td", "", dash(row.left, (value) => formats.integer.format(value))),
    element("td", "", dash(row.speed_per_hour, (value) => formats.oneDigit.format(value))),
    element("td", "risk", dash(row.gmv_at_risk, (value) => formats.roughMoney(value))),
  );
  return line;
}

export function showPages(overview, formats) {
  const { rows, delivering } = overview.pages;
  put(slot("pages-title"), delivering ? "Pages sent" : "Would have been paged");
  const holder = slot("pages");
  if (!rows.length && overview.stock.null === "no_source") {
    holder.replaceChildren(needs(say(overview.stock), "A page tells that a product is about to run out."));
    return;
  }
  if (!rows.length) {
    holder.replaceChildren(element("p", "calm", "None so far. A page comes when a product that sells is about to run out within hours."));
    return;
  }
  // A button must not be replaced under the finger that presses it.
  const shown = JSON.stringify([rows, formats.dayKey.format(overview.now_ms)]);
  if (holder.dataset.shown === shown && holder.querySelector(".page")) return;
  holder.dataset.shown = shown;
  holder.replaceChildren(...rows.map((row) => page(row, overview, formats)));
}

// The title names the product already, and a card has room for two lines.
function unnamed({ message, name }) {
  if (!message.startsWith(`${name} `)) return message;
  const rest = message.slice(name.length + 1);
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

// Of stock alone: a violation that is over was not restocked.
const STOCK_RULES = new Set(["A-01", "A-02"]);
const CLOSED = { restocked: "restocked", eased: "selling more slowly", ended: "campaign over" };
const closed = (row) => (STOCK_RULES.has(row.rule) && CLOSED[row.resolution]) || "resolved";

function page(row, overview, formats) {
  const node = element("article", "page");
  node.dataset.rule = row.rule;
  node.dataset.state = row.real_at_ms !== null ? "real" : row.state;
  node.title = row.message;
  const when = (ms) => formats.time(ms, overview.now_ms);
  node.append(element("p", "title", row.name));
  // A stock page that eased by itself is told in its last line. Of any other rule the name alone never says what was wrong.
  if (row.real_at_ms !== null || row.state !== "resolved" || !STOCK_RULES.has(row.rule)) node.append(element("p", "meta", unnamed(row)));
  const line = element("p", "told");
  const part = (label, text, name, ms) => {
    const span = element("span", "", label);
    const value = element("b", "", text);
    value.dataset.slot = name;
    if (ms !== null && ms !== undefined) value.dataset.value = ms;
    span.append(value);
    line.append(span);
  };
  part("paged ", when(row.at_ms), "page-at", row.at_ms);
  if (row.predicted_at_ms !== null) part("predicted ", `~${when(row.predicted_at_ms)}`, "page-predicted", row.predicted_at_ms);
  if (row.real_at_ms !== null) part("real ", `${when(row.real_at_ms)}${row.inside ? " ✓" : ""}`, "page-real", row.real_at_ms);
  if (row.state === "resolved") part("", closed(row), "page-resolved", row.resolved_at_ms);
  if (row.ack) part("", `${row.ack.by} has it`, "page-ack", row.ack.at_ms);
  if (row.muted) line.append(element("span", "", "muted"));
  if (row.may_ack) line.append(ackButton(row));
  node.append(line);
  return node;
}

// The seller's own metrics: a line of the strip, which only those who have some see.
export function showOwn(overview, formats) {
  const line = slot("own");
  line.hidden = !overview.own.length;
  line.replaceChildren(
    element("b", "", "Own"),
    ...overview.own.map((figure) => {
      const node = element("span", "figure");
      node.dataset.metric = figure.metric;
      node.append(element("span", "quiet", `${figure.title} `), element("span", "", figure.value === null ? "–" : formats.value(figure)));
      if (figure.value === null) node.title = say(figure);
      return node;
    }),
  );
}

export function showStrip(overview, formats) {
  const strip = overview.strip;
  put(slot("as-of"), strip.as_of_ms === null ? "–" : formats.seconds.format(strip.as_of_ms));
  const lag = slot("lag");
  put(lag, strip.lag_s === null ? "–" : formats.duration(strip.lag_s * 1000));
  // A second's worth of records always waits for the next flush: said only where it is more than that.
  if (strip.behind && strip.records_behind) put(lag, `${lag.textContent}, ${formats.integer.format(strip.records_behind)} records behind`);
  lag.className = strip.behind ? "late" : "";
  const number = (value) => formats.integer.format(value);
  put(slot("records"), number(strip.records_in));
  slot("records").dataset.value = strip.records_in;
  const parts = strip.outcomes.map(({ label, records }) => `${number(records)} ${label}`);
  put(slot("outcomes"), parts.length ? `= ${parts.join(" + ")}` : "");
  const judge = slot("judge");
  judge.parentElement.hidden = strip.judge === null;
  if (strip.judge !== null) {
    put(judge, `${number(strip.judge.lost)} lost, ${number(strip.judge.double)} double${strip.judge.agrees ? "" : `, unlike: ${strip.judge.unlike.join(" ")}`}`);
    judge.className = strip.judge.agrees ? "" : "late";
  }
  slot("feeds").replaceChildren(
    ...strip.feeds.map((feed) => {
      const node = element("span", "feed");
      node.dataset.state = feed.state;
      node.dataset.topic = feed.topic;
      const words = { alive: "", none: "", quiet: "quiet", lost: `lost ${formats.time(feed.since_ms ?? overview.now_ms, overview.now_ms)}`, back: `back ${formats.time(feed.since_ms ?? overview.now_ms, overview.now_ms)}` };
      if (feed.state === "none") node.title = "no source";
      node.textContent = [feed.topic.replaceAll("_", " "), words[feed.state] ?? feed.state].filter(Boolean).join(" ");
      return node;
    }),
  );
}

export function showTop(overview, formats) {
  put(slot("shop"), overview.shop.name);
  slot("campaign").hidden = !overview.campaign;
  put(slot("campaign"), overview.campaign ? overview.campaign.name : "");
  const badge = slot("badge");
  badge.hidden = !overview.badge;
  put(badge, overview.badge);
  const replay = slot("replay");
  replay.hidden = !overview.replay_id;
  put(replay, overview.replay_id ? `REPLAY ${overview.replay_id}: recorded events, not live` : "");
  put(slot("day"), formats.weekday.format(overview.now_ms));
  put(slot("zone"), overview.shop.timezone.replaceAll("_", " "));
  document.title = `${overview.shop.name} · war room`;
}
