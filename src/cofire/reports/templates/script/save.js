// Figures with a data-save, which names the file, save as SVG and as CSV. Their numbers are {columns, rows}: in a
// script of the figure, or as a function in `numbersOf` where they follow from the recorded data.
const numbersOf = new Map();

const wireSaving = () => all("figure[data-save]").forEach(wireSave);
const wireSave = (figure) => {
  const { save } = figure.dataset;
  const bar = make("span", "", { class: "save", role: "group", "aria-label": `Save ${save}` });
  const button = (words, type, content) => {
    const node = bar.appendChild(make("button", words, { type: "button", "aria-label": `Save as ${words}` }));
    node.addEventListener("click", () => download(`${save}.${words.toLowerCase()}`, type, content()));
  };
  button("SVG", "image/svg+xml", () => svgText(all("svg", figure).find((one) => one.getClientRects().length)));
  const written = figure.querySelector("script.numbers");
  const numbers = numbersOf.get(figure) ?? (written && (() => JSON.parse(written.textContent)));
  if (numbers) button("CSV", "text/csv", () => csvText(numbers()));
  (figure.querySelector("figcaption") ?? figure).prepend(bar);
};

const download = (name, type, content) => {
  const address = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  make("a", "", { href: address, download: name.replace(/[^\w.-]+/g, "-") }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
};

// A name that a spreadsheet would take for a formula gets an apostrophe before it.
const cell = (value) => {
  if (typeof value !== "string") return Number.isFinite(value) || typeof value === "boolean" ? String(value) : "";
  const words = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
};
const csvText = ({ columns, rows }) => [columns, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");

// The picture as it is drawn now: outside the page there is no style sheet, so that each mark gets its own attributes.
const PAINTED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
  "stroke-linejoin", "stroke-linecap", "paint-order", "opacity", "font-family", "font-size", "font-weight"];
const svgText = (svg) => {
  const copy = svg.cloneNode(true);
  const copies = all("*", copy);
  all("*", svg).forEach((node, place) => {
    const style = getComputedStyle(node);
    if (style.display === "none") return copies[place].remove();
    for (const name of PAINTED) copies[place].setAttribute(name, plainColor(style.getPropertyValue(name)));
    ["class", "data-line"].forEach((name) => copies[place].removeAttribute(name));
  });
  const [, , width, height] = svg.getAttribute("viewBox").split(" ");
  const paper = makeSvg("rect", { width: "100%", height: "100%", fill: plainColor(getComputedStyle(document.body).backgroundColor) });
  copy.prepend(paper);
  for (const name of ["class", "data-frame"]) copy.removeAttribute(name);
  for (const [name, value] of Object.entries({ width, height })) copy.setAttribute(name, value);
  return new XMLSerializer().serializeToString(copy);
};

// Mixed colors are computed in a space that other programs may not know.
const swatch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const plainColor = (value) => {
  if (!/^(color|oklab|oklch|lab|lch)\(/.test(value)) return value;
  swatch.clearRect(0, 0, 1, 1);
  swatch.fillStyle = value;
  swatch.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = swatch.getImageData(0, 0, 1, 1).data;
  return `rgba(${red}, ${green}, ${blue}, ${alpha / 255})`;
};
