// Helpers that all parts use.
const MINUS = "\u2212";
const DASH = "\u2013";
const RHO = "\u03c1";
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

const shown = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", MINUS) : DASH);
const whole = (value) => (Number.isFinite(value) ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : DASH);
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
const joined = (separator, ...words) => words.filter(Boolean).join(separator);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const nearest = (items, distance) =>
  items.reduce((best, item, index) => (distance(item) < distance(items[best]) ? index : best), 0);

// The index of the last of ascending numbers that is at most the limit; -1 if all are above.
const lastAtMost = (ascending, limit) => {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

// Names come from runs: they are set as text, never as markup.
const make = (tag, words = "", attributes = {}) => {
  const node = document.createElement(tag);
  node.textContent = words;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const makeSvg = (name, attributes, words = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = words;
  return node;
};
const shorten = (name, longest) => {
  if (name.length <= longest) return name;
  const head = Math.floor(((longest - 1) * 9) / 20);
  return `${name.slice(0, head)}\u2026${name.slice(head + 1 - longest)}`;
};
const say = (output, name, rest) => output.replaceChildren(make("b", name), ` ${rest}`);

// Radio buttons of one name; `then` gets the value that was chosen. live.js also dispatches "change" on unchecked ones.
const wireChoice = (name, then) =>
  all(`input[name="${name}"]`).forEach((radio) =>
    radio.addEventListener("change", () => radio.checked && then(radio.value)),
  );

// A minimal event: functions that listen are called when it rings.
const bell = () => {
  const heard = [];
  return { listen: (hear) => heard.push(hear), ring: () => heard.forEach((hear) => hear()) };
};
