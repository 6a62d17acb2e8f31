// The table of layers: values at the chosen step, sorted and filtered.
const DERIVED = {
  nc_debiased: correlationAt,
  since_start: (run, layer, step) => {
    const raw = !Object.hasOwn(runs[run].layers[layer].series, "nc_debiased");
    return correlationAt(run, layer, step) - firstValue(run, layer, raw ? "nc" : "nc_debiased");
  },
  beside: (run, layer, step) => {
    const { name } = runs[run].layers[layer];
    const other = run === 0 ? -1 : runs[0].layers.findIndex((one) => one.name === name);
    return other < 0 ? NaN : correlationAt(run, layer, step) - correlationAt(0, other, stepOf(0));
  },
};
const cellAt = (key, run, layer, step) => (DERIVED[key] ?? ((r, l, s) => valueAt(r, l, key, s)))(run, layer, step);

const inCell = (value, { digits, signed }) => {
  if (!Number.isFinite(value)) return DASH;
  const words = digits === "0" ? whole(value) : shown(value, Number(digits));
  return signed !== undefined && value > 0 ? `+${words}` : words;
};

const drawWhisker = (svg, reach, of) => {
  const [left, end] = svg.dataset.frame.split(" ").map(Number);
  const x = (value) => left + (clamp(value, 0, reach) / (reach || 1)) * (end - left);
  const [noise, low, high] = [of.nc_noise_floor, of.nc_low, of.nc_high];
  const parts = [makeSvg("path", { class: "grid", d: `M${left} 10H${end}` })];
  if (Number.isFinite(noise))
    parts.push(makeSvg("rect", { class: "noise", x: left, y: 3, width: x(noise) - left, height: 14 }));
  if (Number.isFinite(low + high)) parts.push(makeSvg("path", { class: "interval", d: `M${x(low)} 10H${x(high)}` }));
  for (const [kind, value] of [["ring", of.nc], ["dot hue-0", of.nc_debiased]])
    if (Number.isFinite(value)) parts.push(makeSvg("circle", { class: kind, cx: x(value), cy: 10, r: 3.4 }));
  svg.replaceChildren(...parts);
  svg.setAttribute("aria-label", OF_WHISKER.map((key) => `${quantities[key].label} ${shown(of[key], 3)}`).join(", "));
};
const OF_WHISKER = ["nc_debiased", "nc_low", "nc_high", "nc", "nc_noise_floor"];

const wireTable = () => {
  const table = byId("layers-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, order) => rowOf(row, order));
  const heads = all("th[data-key]", table);
  const formats = new Map(heads.map((head) => [head.dataset.key, head.dataset]));
  const sorting = { key: null, way: "none" };
  const sort = () => arrange(body, rows, sorting);
  const update = () => {
    rows.forEach((row) => fillRow(row, formats, Number(table.dataset.reach)));
    if (sorting.key) sort();
    byId("layers-as-of").textContent = `At ${stepsInWords()}.`;
  };
  heads.forEach((head) => wireHead(head, heads, sorting, sort));
  wireFilter(rows);
  addSave(byId("layers-files"), () => "Layers", { rows: () => tableRows(table) });
  moved.listen(update);
  update();
};

const rowOf = (node, order) => ({
  node,
  order,
  run: Number(node.dataset.run),
  layer: Number(node.dataset.layer),
  name: node.dataset.name,
  cells: all("td[data-key]", node),
  drawing: node.querySelector("svg.whisker"),
  values: new Map(),
});

const fillRow = (row, formats, reach) => {
  const step = stepOf(row.run);
  const at = (key) => cellAt(key, row.run, row.layer, step);
  for (const cell of row.cells) {
    const { key } = cell.dataset;
    if (key === "interval") cell.textContent = `${shown(at("nc_low"), 3)} \u2013 ${shown(at("nc_high"), 3)}`;
    else {
      row.values.set(key, at(key));
      cell.textContent = inCell(at(key), formats.get(key));
    }
  }
  drawWhisker(row.drawing, reach, Object.fromEntries(OF_WHISKER.map((key) => [key, at(key)])));
};

// A click on a heading sorts: numbers descending, names ascending; a second click reverses, a third restores.
const wireHead = (head, heads, sorting, sort) => {
  const { key } = head.dataset;
  const byName = key === "layer" || key === "run";
  const ways = byName ? ["ascending", "descending", "none"] : ["descending", "ascending", "none"];
  const button = make("button", "", { type: "button", class: "sort" });
  button.append(...head.childNodes);
  head.append(button);
  head.setAttribute("aria-sort", "none");
  button.addEventListener("click", () => {
    const way = ways[(ways.indexOf(head.ariaSort) + 1) % 3];
    heads.forEach((other) => other.setAttribute("aria-sort", other === head ? way : "none"));
    Object.assign(sorting, { key: way === "none" ? null : key, way });
    sort();
  });
};

const arrange = (body, rows, { key, way }) => {
  const flip = way === "descending" ? -1 : 1;
  const compare = (a, b) => {
    if (key === null) return 0;
    if (key === "layer") return flip * a.name.localeCompare(b.name, "en", { numeric: true });
    if (key === "run") return flip * (a.run - b.run);
    const [x, y] = [a.values.get(key), b.values.get(key)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return flip * (x - y);
  };
  body.append(...[...rows].sort((a, b) => compare(a, b) || a.order - b.order).map(({ node }) => node));
};

const wireFilter = (rows) => {
  const [filter, of] = [byId("layers-filter"), byId("layers-run")];
  const apply = () => {
    const words = filter.value.trim().toLowerCase();
    const run = of?.value ?? "";
    let seen = 0;
    for (const row of rows) {
      row.node.hidden = !row.name.toLowerCase().includes(words) || (run !== "" && row.run !== Number(run));
      seen += !row.node.hidden;
    }
    byId("layers-count").textContent = seen === rows.length ? "" : `${whole(seen)} of ${plural(rows.length, "row")}`;
  };
  byId("layers-tools").hidden = rows.length < 2;
  filter.addEventListener("input", apply);
  of?.addEventListener("change", apply);
};
