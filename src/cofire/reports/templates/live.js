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

  const status = document.querySelector("footer p");
  const at = new Date().toLocaleTimeString("en-GB");
  const report = (words) => (status.textContent = `Made by cofire. ${words}`);
  const follow = () => report(`This page follows the run; last renewed at ${at}.`);
  status.setAttribute("role", "status");
  follow();
  const changes = new EventSource(`changes?since=${version}`);
  changes.addEventListener("open", follow);
  changes.addEventListener("error", () => report(`cofire watch does not answer; this page is as of ${at}.`));
  changes.addEventListener("message", () => {
    changes.close();
    renewed = true;
    report("There are new recordings; they appear when you stop typing or dragging.");
    renew();
  });
})();
