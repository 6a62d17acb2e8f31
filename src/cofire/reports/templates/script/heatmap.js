// The heatmap: a row for each layer in the network's order, a column for each recording, on a linear or a logarithmic axis.
const HEAT_LEVELS = 10;
const NARROWEST = 2; // px of a column: recordings closer to one another are averaged
const NARROW = 560; // px: below, rows have their shortest names
const PRE = ":pre";

const heat = { maps: [], chosen: 0, logarithmic: false, phases: true };
const heatDigits = () => heat.maps[heat.chosen].digits;

// The layers that have a quantity; the site before an activation function only if the one after it lacks it.
const heatRows = (run) => {
  const { measure } = heat.maps[heat.chosen];
  const rows = runs[run].layers
    .map((layer, index) => ({ ...layer, index, ...seriesOf(run, index, measure) }))
    .filter(({ values }) => values.some(Number.isFinite));
  const names = new Set(rows.map(({ name }) => name));
  return rows.filter(({ name }) => !(name.endsWith(PRE) && names.has(name.slice(0, -PRE.length))));
};

const heatAxis = (rows, left, end) => {
  const along = (step) => (heat.logarithmic ? Math.log10(step + 1) : step);
  const steps = [...new Set(rows.flatMap(({ steps }) => steps))].sort((a, b) => a - b);
  const [first, last] = [steps[0], steps.at(-1)].map(along);
  const x = (step) => (last === first ? (left + end) / 2 : left + ((along(step) - first) / (last - first)) * (end - left));
  return { x, steps, left, end };
};

// Cells reach halfway to the neighboring recordings of their layer; narrow ones are put together, with their mean.
const heatCells = ({ steps, values }, { x, left, end }) => {
  const edges = steps.map((step, place) => (place ? (x(steps[place - 1]) + x(step)) / 2 : left));
  edges.push(end);
  const cells = [];
  for (const place of steps.keys()) {
    const cell = cells.at(-1);
    if (cell && (cell.to - cell.from < NARROWEST || edges[place + 1] - edges[place] < NARROWEST / 4)) {
      cell.to = edges[place + 1];
      cell.values.push(values[place]);
    } else cells.push({ from: edges[place], to: edges[place + 1], values: [values[place]] });
  }
  return cells.map(({ from, to, values }) => {
    const known = values.filter(Number.isFinite);
    return { from, to, value: known.reduce((sum, value) => sum + value, 0) / known.length };
  });
};
const heatLevel = (value) => {
  const { low, high } = heat.maps[heat.chosen];
  return clamp(Math.floor(((value - low) / (high - low || 1)) * HEAT_LEVELS), 0, HEAT_LEVELS - 1);
};

// One path for each color: neighboring cells of the same color make one rectangle.
const heatPaths = (rows, axis, layout) => {
  const paths = Array.from({ length: HEAT_LEVELS + 1 }, () => []);
  rows.forEach((row, place) => {
    const y = layout.top + place * layout.row;
    let last = null;
    for (const { from, to, value } of heatCells(row, axis)) {
      const level = Number.isNaN(value) ? HEAT_LEVELS : heatLevel(value);
      if (last?.level === level) last.to = to;
      else paths[level].push((last = { level, from, to, y }));
    }
  });
  const height = layout.row - 1.5;
  const box = ({ from, to, y }) => `M${from.toFixed(1)} ${y.toFixed(1)}H${to.toFixed(1)}v${height}H${from.toFixed(1)}Z`;
  return paths.map((boxes) => boxes.map(box).join(""));
};

const heatLayout = (svg, rows) => {
  const width = Math.max(svg.parentNode.clientWidth, 240);
  const names = rows.map(({ label, tiny }) => (width < NARROW ? tiny : label));
  const longest = Math.max(...names.map((name) => name.length));
  const left = clamp(longest * 6.7 + 22, 46, width * 0.42);
  const row = clamp(Math.floor(760 / rows.length), 12, 24);
  const right = 8 + 6.6 * Math.max(...rows.map(({ values }) => shown(values.at(-1) ?? NaN, heatDigits()).length));
  return { width, names, left, row, top: 24, end: width - right, base: 24 + rows.length * row, height: 24 + rows.length * row + 62 };
};

const drawHeat = (view) => {
  const { svg, run } = view;
  const rows = heatRows(run);
  svg.toggleAttribute("hidden", rows.length === 0);
  Object.assign(view, { rows });
  if (rows.length === 0 || svg.parentNode.clientWidth === 0) return;
  const layout = heatLayout(svg, rows);
  const axis = heatAxis(rows, layout.left, layout.end);
  Object.assign(view, { layout, axis });
  svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
  svg.setAttribute("width", layout.width);
  svg.setAttribute("height", layout.height);
  const { title } = heat.maps[heat.chosen];
  svg.setAttribute("aria-label", `${title} of ${plural(rows.length, "layer")} from step ${whole(axis.steps[0])} to ${whole(axis.steps.at(-1))}.`);
  const paths = heatPaths(rows, axis, layout).map((d, level) =>
    makeSvg("path", level < HEAT_LEVELS ? { class: `cell-${level}`, d } : { fill: `url(#blank-${run})`, d }),
  );
  svg.replaceChildren(blankPattern(`blank-${run}`), ...paths, ...heatNames(view), ...heatAxes(view), ...heatLegend(view), ...heatPhases(view));
  fitNames(svg, layout);
  heatNow(view);
};

// Stripes stand for values that are not defined.
const blankPattern = (id) => {
  const defs = makeSvg("defs", {});
  const pattern = makeSvg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(makeSvg("path", { class: "stripe", d: "M0 0V6" }));
  defs.append(pattern);
  return defs;
};

const heatNames = ({ rows, layout, run }) =>
  rows.flatMap((row, place) => {
    const middle = layout.top + (place + 0.5) * layout.row;
    const name = makeSvg("text", { class: "row-name", x: layout.left - 7, y: middle + 4, "text-anchor": "end", "data-place": place }, layout.names[place]);
    name.append(makeSvg("title", {}, row.name));
    const key = makeSvg("rect", { class: `row-key ${shadeOf(row.name) ?? "unchosen"}`, x: 0, y: middle - 4, width: 8, height: 8, rx: 2 });
    const value = makeSvg("text", { class: "row-value", x: layout.width, y: middle + 4, "text-anchor": "end", "data-place": place });
    return [key, name, value];
  });

// A name that is wider than its column, for instance of wide characters, is squeezed.
const fitNames = (svg, { left }) =>
  all(".row-name", svg).forEach((name) => {
    const room = left - 20;
    if (name.getComputedTextLength() > room) {
      name.setAttribute("textLength", room);
      name.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
  });

const heatTicks = ({ axis, layout }) => {
  const [first, last] = [axis.steps[0], axis.steps.at(-1)];
  if (first === last) return [first];
  const most = Math.max(2, Math.floor((layout.end - layout.left) / 70));
  if (heat.logarithmic) {
    const powers = [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].filter((step) => step >= first && step <= last);
    return powers.length > 1 ? powers : [first, last];
  }
  const raw = (last - first) / most;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const every = Math.max(1, [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= raw));
  const start = Math.ceil(first / every);
  return Array.from({ length: Math.floor(last / every) - start + 1 }, (_, place) => (start + place) * every);
};
const stepWords = (step) => (step < 1e5 ? whole(step) : `${whole(step / 1000)}k`);

const heatAxes = (view) => {
  const { axis, layout } = view;
  const ticks = heatTicks(view).flatMap((step) => [
    makeSvg("path", { class: "axis", d: `M${axis.x(step)} ${layout.base}v4` }),
    makeSvg("text", { x: axis.x(step), y: layout.base + 16, "text-anchor": "middle" }, stepWords(step)),
  ]);
  return [
    ...ticks,
    makeSvg("text", { x: layout.left - 7, y: layout.base + 16, "text-anchor": "end" }, "step"),
    makeSvg("text", { class: "value-step", x: layout.width, y: layout.top - 9, "text-anchor": "end" }),
  ];
};

const heatLegend = ({ layout, rows, run }) => {
  const { low, high, clipped, digits, threshold } = heat.maps[heat.chosen];
  const [top, side] = [layout.base + 34, Math.min(22, (layout.width - layout.left - 80) / HEAT_LEVELS)];
  const end = layout.left + HEAT_LEVELS * side;
  const words = (value) => shown(value, Math.min(digits, 2));
  const swatches = Array.from({ length: HEAT_LEVELS }, (_, level) =>
    makeSvg("rect", { class: `cell-${level}`, x: layout.left + level * side, y: top, width: side, height: 10 }),
  );
  const parts = [
    ...swatches,
    makeSvg("text", { x: layout.left - 5, y: top + 9, "text-anchor": "end" }, words(low)),
    makeSvg("text", { x: end + 5, y: top + 9 }, `${words(high)}${clipped ? " or more" : ""}`),
  ];
  if (threshold && threshold[0] < high) {
    const x = layout.left + ((threshold[0] - low) / (high - low)) * HEAT_LEVELS * side;
    parts.push(makeSvg("path", { class: "threshold", d: `M${x} ${top - 3}v16` }));
    parts.push(makeSvg("text", { x: Math.min(x, layout.left + 40), y: top + 25 }, `${words(threshold[0])}: ${threshold[1]}`));
  }
  if (rows.some(({ values }) => values.some((value) => !Number.isFinite(value)))) {
    const [x, y] = layout.width < NARROW ? [layout.left, top + 34] : [end + 92, top];
    parts.push(makeSvg("rect", { class: "swatch", fill: `url(#blank-${run})`, x, y, width: side, height: 10 }));
    parts.push(makeSvg("text", { x: x + side + 5, y: y + 9 }, "undefined"));
  }
  return parts;
};
