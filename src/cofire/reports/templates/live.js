"use strict";
(() => {
  const { version } = document.currentScript.dataset;
  const KEPT = "cofire watch";
  const every = (selector) => [...document.querySelectorAll(selector)];

  // The renewed page keeps what the reader has set. A slider at its end stays at the end, to follow new recordings.
  const nameOf = (node, index) => node.id || `${node.localName} ${index}`;
  const set = (node) => {
    if (node.type === "checkbox" || node.type === "radio") return { checked: node.checked };
    return node.type === "range" && node.value === node.max ? {} : { value: node.value };
  };
  const fields = () => every("input, select").map((node, index) => [nameOf(node, index), node]);
  const folds = () => every("details").map((node, index) => [nameOf(node, index), node]);
  const sorted = () => every("th[aria-sort]").map((node, index) => [nameOf(node, index), node]);
  const state = () => ({
    theme: document.documentElement.dataset.theme,
    place: [scrollX, scrollY],
    focus: document.activeElement?.id,
    fields: Object.fromEntries(fields().map(([name, node]) => [name, set(node)])),
    open: Object.fromEntries(folds().map(([name, node]) => [name, node.open])),
    sorted: Object.fromEntries(sorted().map(([name, node]) => [name, node.ariaSort])),
  });
  const sortAs = (node, wanted) => {
    const button = node.querySelector("button") ?? node;
    for (let tries = 0; tries < 3 && node.ariaSort !== wanted; tries++) button.click();
  };
  const restore = (kept) => {
    const isDark = () => document.documentElement.dataset.theme === "dark";
    if (kept.theme && (kept.theme === "dark") !== isDark()) document.getElementById("theme")?.click();
    if (kept.theme) document.documentElement.dataset.theme = kept.theme;
    for (const [name, node] of folds()) node.open = kept.open[name] ?? node.open;
    for (const [name, node] of fields()) {
      if (!(name in kept.fields)) continue;
      Object.assign(node, kept.fields[name]);
      for (const kind of ["input", "change"]) node.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    for (const [name, node] of sorted()) if ((kept.sorted[name] ?? "none") !== "none") sortAs(node, kept.sorted[name]);
    if (kept.focus) document.getElementById(kept.focus)?.focus({ preventScroll: true });
    scrollTo(...kept.place);
  };
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (kept) restore(JSON.parse(kept));

  // The page is not renewed while it is hidden, while something is dragged, or while the reader types.
  let renewed = false;
  let pressed = false;
  const typing = () => document.activeElement?.matches("input[type=search], input[type=number], input[type=text], input:not([type])");
  const renew = () => {
    if (!renewed || pressed || document.hidden || typing()) return;
    sessionStorage.setItem(KEPT, JSON.stringify(state()));
    location.reload();
  };
  const press = (down) => () => {
    pressed = down;
    setTimeout(renew); // after the page itself has handled the event
  };
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, press(false));
  addEventListener("pointerdown", press(true));
  addEventListener("focusout", () => setTimeout(renew));
  document.addEventListener("visibilitychange", renew);

  // Whether cofire watch still answers, and how old the numbers are. Only what changes seldom is read aloud.
  const make = (tag, parent, attributes = {}) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return parent.appendChild(node);
  };
  const pill = make("p", document.body, { id: "live" });
  make("i", pill, { "aria-hidden": "true" });
  const status = make("b", pill, { role: "status" });
  const age = make("span", pill, { role: "timer", "aria-live": "off" });
  const report = (state, words) => {
    pill.dataset.state = state;
    status.textContent = words;
  };
  const since = (then) => {
    const seconds = Math.max(0, Math.floor((Date.now() - then) / 1000));
    const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
    if (minutes < 1) return `${seconds} s ago`;
    if (hours < 1) return `${minutes} min ago`;
    return hours < 48 ? `${hours} h ${minutes % 60} min ago` : `${Math.floor(hours / 24)} days ago`;
  };
  const runs = JSON.parse(document.getElementById("recorded").textContent);
  const named = ([name, then]) => (runs.length > 1 ? `${name} ${since(then)}` : since(then));
  const tick = () => (age.textContent = runs.length ? `last recording ${runs.map(named).join(", ")}` : "no recording yet");
  tick();
  setInterval(tick, 1000);

  document.querySelector("footer p").textContent = "Made by cofire. cofire watch renews this page with every recording.";
  report("waiting", "Connecting");
  const changes = new EventSource(`changes?since=${version}`);
  changes.addEventListener("open", () => report("live", "Live"));
  changes.addEventListener("error", () => report("lost", "Not live: cofire watch does not answer"));
  changes.addEventListener("message", () => {
    changes.close();
    renewed = true;
    report("held", "New recordings appear when you stop typing or dragging");
    renew();
  });
})();
