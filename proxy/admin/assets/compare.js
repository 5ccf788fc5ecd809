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

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys || !keys.checked) return;
  const act = { "/": () => one("[data-query]").focus(), n: () => one("[data-next]")?.click(), p: () => one("[data-previous]")?.click() }[event.key];
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
