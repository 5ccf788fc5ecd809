// What scripting adds to the compare page: keys, and the hit that is pointed at marked in both lists. Without it the page does all else.
"use strict";

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

// Keys of one letter may be in the way of other tools that listen to keys; whoever does not want them says so, and it is remembered.
const keys = one("[data-keys]");
if (keys) {
  keys.checked = localStorage.getItem("keys") !== "off";
  keys.addEventListener("change", () => localStorage.setItem("keys", keys.checked ? "on" : "off"));
}

const acts = {
  "/": () => one("[data-query]").focus(),
  n: () => one("[data-next]")?.click(),
  p: () => one("[data-previous]")?.click(),
};

// Which is better: the buttons' own keys.
for (const [key, value] of [["1", "left"], ["2", "right"], ["0", "tie"]]) {
  const button = one(`[data-pair] button[value=${value}]`);
  if (button) acts[key] = () => button.click();
}

// Grading: a hit has the focus, a digit grades it, and what is graded is kept at once.
const hits = all("[data-hit]");
const at = () => hits.indexOf(document.activeElement?.closest("[data-hit]"));
const go = (i) => hits[Math.max(0, Math.min(hits.length - 1, i))]?.focus();
if (hits.length) {
  acts.j = () => go(at() + 1);
  acts.k = () => go(at() - 1);
  for (const grade of "0123") {
    acts[grade] = () => {
      const i = Math.max(0, at()), field = hits[i].querySelector(`input[type=radio][value="${grade}"]`);
      if (!field || field.matches(":disabled")) return;
      field.checked = true;
      keep(hits[i], field);
      go(i + 1);
    };
  }
  for (const hit of hits) {
    hit.addEventListener("change", (event) => { if (event.target.type === "radio") keep(hit, event.target); });
  }
  if (!one("[data-query]").matches(":focus")) go(0);
}

async function keep(hit, field) {
  const form = hit.closest("form"), kept = hit.querySelector("[data-kept]");
  const said = new URLSearchParams({ state: form.elements.state.value, words: form.elements.words.value });
  for (const hidden of hit.querySelectorAll("input[type=hidden]")) said.set(hidden.name, hidden.value);
  said.set(field.name, field.value);
  try {
    const answer = await fetch(form.action, { method: "POST", body: said, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(await answer.text());
    hit.querySelector("input[name^=was]").value = field.value;
    kept.classList.remove("bad");
    kept.textContent = "kept";
  } catch (error) {
    kept.classList.add("bad");
    kept.textContent = `not kept: ${error.message}`;
  }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=radio]):not([type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys || !keys.checked) return;
  const act = Object.hasOwn(acts, event.key) && acts[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// What is left empty need not stand in the address.
one("[data-ask]")?.addEventListener("submit", (event) => {
  const empty = [...event.target.elements].filter((field) => field.name && !field.value);
  for (const field of empty) field.disabled = true;
  setTimeout(() => empty.forEach((field) => { field.disabled = false; }));
});

for (const hit of all(".hit[data-key]")) {
  const twins = () => all(".hit[data-key]").filter((other) => other.dataset.key === hit.dataset.key);
  hit.addEventListener("mouseenter", () => twins().forEach((t) => t.classList.add("twin")));
  hit.addEventListener("mouseleave", () => twins().forEach((t) => t.classList.remove("twin")));
}
