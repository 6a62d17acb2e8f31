// Charts as SVG files that look as on the page, and their numbers as CSV.
const DRAWN = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap"],
  ...["stroke-linejoin", "opacity", "paint-order", "shape-rendering", "font-family", "font-size", "font-weight"],
];
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g; // XML has no way to write these

const saveFile = (name, type, text) => {
  const link = make("a", "", { download: `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80)}.${type === "text/csv" ? "csv" : "svg"}` });
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// The page's style sheet does not go with the file: what it does to each part is written into it.
const svgFile = (svg, title) => {
  const copy = svg.cloneNode(true);
  const parts = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, index) => {
    const style = getComputedStyle(parts[index]);
    for (const key of DRAWN) if (style.getPropertyValue(key)) node.setAttribute(key, style.getPropertyValue(key));
    node.removeAttribute("class");
  });
  const [, , width, height] = copy.getAttribute("viewBox").split(" ").map(Number);
  for (const [key, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(key, value);
  const paper = makeSvg("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor });
  copy.prepend(makeSvg("title", {}, title), paper);
  return new XMLSerializer().serializeToString(copy).replace(UNPRINTABLE, "");
};

// A cell of text that a spreadsheet would take for a formula begins with an apostrophe.
const csvCell = (value) => {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const csvFile = (rows) => rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");

// Buttons below a chart; `svg` returns the drawing, or the text of a file, and `rows` the numbers with their heading.
const addSave = (host, title, { svg, rows }) => {
  const line = make("p", "", { class: "save" });
  const button = (words, act) => {
    const node = make("button", words, { type: "button", "aria-label": `Save ${title()} as ${words}` });
    node.addEventListener("click", act);
    line.append(node);
  };
  const drawing = (found) => (typeof found === "string" ? found : svgFile(found, title()));
  if (svg) button("SVG", () => saveFile(title(), "image/svg+xml", drawing(svg())));
  if (rows) button("CSV", async () => saveFile(title(), "text/csv", csvFile(await rows())));
  host.append(line);
};

const seriesRows = (run, series) => [
  ["run", "layer", "quantity", "step", "value"],
  ...series.flatMap(({ site, measure, steps, values }) =>
    steps.map((step, place) => [runs[run].name, site, measure, step, values[place]]),
  ),
];

// The visible map as an image in a drawing, as it is zoomed: as text, because the page itself may not load images.
const mapSvg = (canvas, title) => {
  const { width, height } = canvas;
  const size = `width="${width}" height="${height}"`;
  const words = new XMLSerializer().serializeToString(document.createTextNode(title)).replace(UNPRINTABLE, "");
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}><title>${words}</title><image href="${canvas.toDataURL()}" ${size}/></svg>`;
};
const mapRows = (map) => [
  ["unit", ...map.units.map((unit) => `unit ${unit}`)],
  ...map.units.map((unit, row) => [
    unit,
    ...map.units.map((_, column) => {
      const byte = row === column ? 0 : byteOf(map, row, column);
      return byte ? Number(LEVELS[byte].toFixed(3)) : NaN;
    }),
  ]),
];

// A table as it is sorted and filtered, without its drawings; numbers as numbers.
const tableCell = (cell) => {
  const text = cell.textContent.trim();
  const number = Number(text.replace(MINUS, "-").replaceAll(",", "") || NaN);
  if (text === DASH) return "";
  return Number.isNaN(number) ? cell.querySelector("bdi[title]")?.title ?? text : number;
};
const tableRows = (table) => {
  const body = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const drawn = [...(body[0]?.cells ?? [])].findIndex((cell) => cell.classList.contains("drawn"));
  const without = (row) => [...row.cells].filter((_, place) => place !== drawn);
  return [without(table.tHead.rows[0]).map((cell) => cell.textContent.trim()), ...body.map((row) => without(row).map(tableCell))];
};
