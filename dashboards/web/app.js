// Keeps the page true: server-sent events say that something changed, the overview says what.

import { PulseChart } from "./chart.js";
import { Formats } from "./format.js";
import { learnMeanings } from "./meanings.js";
import { say, showFunnel, showGmv, showOwn, showPages, showSlices, showStock, showStrip, showTiles, showTop, slot } from "./panels.js";

// Silence changes the picture too (a feed that dies sends no event), so the page also asks on its own.
const ASK_AT_LEAST_EVERY_MS = 5000;
const RETRY_FIRST_MS = 1000;
const RETRY_MOST_MS = 15000;
const LEARN_AGAIN_MS = 30000;

const shopParameter = new URLSearchParams(location.search).get("shop");
const address = "/api/v1/overview" + (shopParameter ? `?shop=${encodeURIComponent(shopParameter)}` : "");

let chart = null;
let formats = null;
let shopKey = "";
let build = "";
let asking = false;
let askAgain = false;
let retryMs = RETRY_FIRST_MS;
let clock = null;
let lastGoodMs = null;

function draw(overview) {
  const key = JSON.stringify(overview.shop);
  if (key !== shopKey) {
    shopKey = key;
    formats = new Formats(overview.shop);
  }
  clock = { shopMs: overview.now_ms, hereMs: performance.now(), ratio: overview.clock_runs ? 1 : 0 };
  showTop(overview, formats);
  showGmv(overview, formats);
  showTiles(overview, formats);
  drawChart(overview);
  showFunnel(overview, formats);
  showSlices(overview, formats);
  showStock(overview, formats);
  showPages(overview, formats);
  showOwn(overview, formats);
  showStrip(overview, formats);
  delete document.body.dataset.waiting;
  tick();
}

function drawChart(overview) {
  const holder = slot("chart");
  const key = slot("chart-reference");
  slot("chart-today").hidden = Boolean(overview.chart.null);
  key.hidden = !overview.chart.reference_label;
  key.textContent = overview.chart.reference_label ?? "";
  if (overview.chart.null) {
    chart = null;
    const text = document.createElement("p");
    text.className = "needs";
    text.textContent = say(overview.chart);
    holder.replaceChildren(text);
    return;
  }
  chart ??= new PulseChart(holder);
  chart.show(overview.chart, formats);
}

function tick() {
  if (!clock) return;
  const now = clock.shopMs + clock.ratio * (performance.now() - clock.hereMs);
  const text = formats.seconds.format(now);
  if (slot("clock").textContent !== text) slot("clock").textContent = text;
}

function connected(alive) {
  document.body.dataset.connection = alive ? "live" : "lost";
  const stale = slot("stale");
  stale.hidden = alive;
  if (!alive) {
    stale.textContent =
      lastGoodMs === null ? "No connection to the board. Trying again." : `Connection lost. Values as of ${formats.seconds.format(lastGoodMs)}; trying again.`;
  }
}

async function ask() {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401) {
      location.assign("/login");
      return;
    }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const overview = await answer.json();
    if (build && overview.build !== build) {
      location.reload();
      return;
    }
    build = overview.build;
    draw(overview);
    lastGoodMs = overview.now_ms;
    connected(true);
  } catch (error) {
    console.warn("overview not drawn", error);
    connected(false);
  } finally {
    asking = false;
    if (askAgain) {
      askAgain = false;
      setTimeout(ask, 0);
    }
  }
}

function listen() {
  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("change", () => {
    retryMs = RETRY_FIRST_MS;
    ask();
  });
  stream.addEventListener("error", () => {
    // EventSource gives up on an HTTP error; a wall has nobody who would press reload.
    stream.close();
    setTimeout(listen, retryMs);
    retryMs = Math.min(2 * retryMs, RETRY_MOST_MS);
  });
}

function learn() {
  // Figures without their meanings are still figures; a wall has nobody who would press reload.
  learnMeanings().catch(() => setTimeout(learn, LEARN_AGAIN_MS));
}

setInterval(ask, ASK_AT_LEAST_EVERY_MS);
setInterval(tick, 250);
ask();
listen();
learn();
