// What scripting adds to the live page: new searches every other second, and charts. Without it the page shows the same tables as they were
// when it was loaded.
"use strict";

const one = (selector) => document.querySelector(selector);
const rows = one("[data-rows]"), spans = one("[data-spans]"), none = one("[data-none]");
const state = one("[data-state]"), pause = one("[data-pause]");
const shownRows = 200, every = 2000;

// ---- charts ---------------------------------------------------------------------------------------------------------------------

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const minutes = Number(new URLSearchParams(location.search).get("minutes")) || 15;
const kinds = {
  rate: [["applied", "--good"], ["skipped", "--chart-2"], ["failed", "--bad"]],
  cluster: [["cluster50", "--accent", "p50"], ["cluster95", "--chart-2", "p95"]],
  added: [["added50", "--accent", "p50"], ["added95", "--chart-2", "p95"]],
};
let times = [];
const series = Object.fromEntries(Object.values(kinds).flat().map(([name]) => [name, []]));
let charts = [];

function draw() {
  for (const chart of charts) chart.destroy();
  charts = Object.entries(kinds).map(([kind, lines]) => {
    const place = one(`[data-chart=${kind}]`);
    const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const value = (_, v) => (v == null ? "–" : v >= 10 ? v.toFixed(0) : v.toFixed(2));
    return new uPlot({
      width: place.clientWidth, height: 170, padding: [8, 8, 0, 0],
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high || 0, kind === "rate" ? 0.5 : 5) * 1.1] } },
      axes: [{ ...axis, space: 60, size: 28, values: (_, at) => at.map((t) => clock(t, 16)) }, { ...axis, size: 42 }],
      series: [{ label: "UTC", value: (_, t) => (t == null ? "–" : clock(t, 19)) },
        ...lines.map(([name, stroke, label]) => ({ label: label || name, stroke: color(stroke), width: 1.5, dash: label === "p95" || name === "skipped" ? [5, 3] : undefined, points: { show: kind !== "rate", size: 3, fill: color(stroke) }, value }))],
      cursor: { y: false, sync: { key: "live" } },
      legend: { live: true },
    }, data(kind), place);
  });
}

const clock = (seconds, to) => new Date(seconds * 1000).toISOString().slice(11, to);
const data = (kind) => [times, ...kinds[kind].map(([name]) => series[name])];

function extend(feed) {
  const fresh = feed.times.findIndex((t) => times.length === 0 || t > times.at(-1));
  if (fresh < 0) return;
  times = times.concat(feed.times.slice(fresh)).slice(-minutes * 12);
  for (const name of Object.keys(series)) series[name] = series[name].concat(feed.series[name].slice(fresh)).slice(-minutes * 12);
  Object.keys(kinds).forEach((kind, i) => charts[i].setData(data(kind)));
}

// ---- searches -------------------------------------------------------------------------------------------------------------------

let last = Number(rows.dataset.last), timer, paused = false;

async function ask() {
  clearTimeout(timer);
  try {
    const url = new URL(rows.dataset.feed, location);
    url.searchParams.set("after", last);
    if (times.length) url.searchParams.set("since", times.at(-1));
    const answer = await fetch(url, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const feed = await answer.json();
    if (feed.last < last) return location.reload(); // another process answers
    last = feed.last;
    spans.innerHTML = feed.spans;
    if (feed.rows) {
      rows.insertAdjacentHTML("afterbegin", feed.rows);
      while (rows.children.length > shownRows) rows.lastElementChild.remove();
      none.hidden = true;
    }
    extend(feed);
    say("Up to date");
  } catch (error) {
    say(`No answer: ${error.message}`);
  }
  if (!paused && !document.hidden) timer = setTimeout(ask, every);
}

// say changes the text only where it says something else, so that it is read out once.
function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) {
    clearTimeout(timer);
    say("Paused");
  } else ask();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) ask(); });

one("[data-charts]").hidden = false;
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let resized;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(draw, 150); });
ask();
