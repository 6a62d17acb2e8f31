// What moves over the heatmap: the chosen step, phases, and the cell under the pointer or chosen with the arrow keys.
const heatNow = ({ svg, run, rows, layout, axis }) => {
  if (!layout || rows.length === 0) return;
  svg.querySelector(".now")?.remove();
  const step = stepOf(run);
  const x = axis.x(clamp(step, axis.steps[0], axis.steps.at(-1)));
  const group = makeSvg("g", { class: "now" });
  group.append(makeSvg("path", { class: "now-line", d: `M${x} ${layout.top - 4}V${layout.base}` }));
  svg.append(group);
  all(".row-value", svg).forEach((node) => {
    const row = rows[Number(node.dataset.place)];
    node.textContent = shown(row.values[lastAtMost(row.steps, step)] ?? NaN, heatDigits());
  });
  svg.querySelector(".value-step").textContent = `at ${stepWords(step)}`;
};

// Below the cells of its row, growth is a line and a fall a dotted one, with a diamond at the peak.
const heatPhases = ({ rows, layout, axis, run }) => {
  const { measure } = heat.maps[heat.chosen];
  if (!heat.phases || !["nc", "nc_debiased"].includes(measure)) return [];
  return rows.flatMap((row, place) => {
    const found = heat.found[run][row.name];
    if (!found) return [];
    const [start, peak, end, grew, fell] = found;
    const y = layout.top + (place + 1) * layout.row - 0.5;
    const [from, top, to] = [start, peak, end].map((step) => axis.x(step).toFixed(1));
    const line = (a, b, kind) => makeSvg("path", { class: `phase ${kind}`, d: `M${a} ${y}H${b}` });
    const mark = makeSvg("path", { class: "phase-peak", d: `M${top} ${y - 4.5}l4 4l-4 4l-4-4Z` });
    return [...(grew ? [line(from, top, "growth")] : []), ...(fell ? [line(top, to, "fall"), mark] : [])];
  });
};

const heatPointer = (view, figure, output) => {
  const pointer = { place: 0, step: null };
  const frame = makeSvg("rect", { class: "row-frame" });
  const cursor = makeSvg("path", { class: "cursor" });
  const rest = () => say(output, heat.maps[heat.chosen].title, `of ${plural(view.rows.length, "layer")}`);
  pointer.clear = () => {
    pointer.step = null;
    frame.remove();
    cursor.remove();
    rest();
  };
  pointer.show = (place, step) => {
    Object.assign(pointer, { place, step });
    const { rows, layout, axis, run } = view;
    const row = rows[place];
    const at = lastAtMost(row.steps, step);
    const y = layout.top + place * layout.row;
    const around = { x: layout.left, y: y - 1, width: layout.end - layout.left, height: layout.row + 1 };
    for (const [key, value] of Object.entries(around)) frame.setAttribute(key, value);
    cursor.setAttribute("d", `M${axis.x(step)} ${layout.top}V${layout.base}`);
    view.svg.append(frame, cursor);
    const value = shown(row.values[at] ?? NaN, heatDigits());
    say(output, row.name, `${value}${intervalAt(run, row.index, step)}, ${at < 0 ? "not recorded yet" : asOf(row.steps, step)}`);
  };
  figure.addEventListener("blur", pointer.clear);
  wireHeatPointing(view, pointer);
  wireHeatKeys(view, figure, pointer);
  // The drawing was replaced: what was pointed at is marked again, if it is still there.
  pointer.refresh = () => (pointer.step === null || pointer.place >= view.rows.length ? pointer.clear() : pointer.show(pointer.place, pointer.step));
  rest();
  return pointer;
};
const intervalAt = (run, layer, step) => {
  if (heat.maps[heat.chosen].measure !== "nc_debiased") return "";
  const [low, high] = ["nc_low", "nc_high"].map((measure) => valueAt(run, layer, measure, step) ?? NaN);
  return Number.isFinite(low + high) ? ` (${shown(low, 2)} to ${shown(high, 2)})` : "";
};

const heatPlace = ({ svg, rows, layout, axis }, event) => {
  const box = svg.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) * (layout.width / box.width), (event.clientY - box.top) * (layout.height / box.height)];
  const place = Math.floor((y - layout.top) / layout.row);
  if (place < 0 || place >= rows.length) return null;
  const steps = rows[place].steps;
  const step = x < layout.left ? stepOf(Number(svg.parentNode.dataset.run)) : steps[nearest(steps, (one) => Math.abs(axis.x(one) - x))];
  return { place, step };
};
const wireHeatPointing = (view, pointer) => {
  const { svg } = view;
  svg.addEventListener("pointermove", (event) => {
    const found = view.layout && heatPlace(view, event);
    found ? pointer.show(found.place, found.step) : pointer.clear();
  });
  svg.addEventListener("pointerleave", pointer.clear);
  svg.addEventListener("click", (event) => {
    const found = view.layout && heatPlace(view, event);
    if (found) toggleLayer(view.rows[found.place].name);
  });
};
const wireHeatKeys = (view, figure, pointer) =>
  figure.addEventListener("keydown", (event) => {
    if (event.target !== figure || !view.rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = ARROWS[event.key];
    const choose = event.key === "Enter" || event.key === " ";
    if (!move && !choose) return;
    event.preventDefault();
    if (choose) return toggleLayer(view.rows[pointer.place].name);
    const place = pointer.step === null ? pointer.place : clamp(pointer.place + move[0], 0, view.rows.length - 1);
    const { steps } = view.rows[place];
    const now = lastAtMost(steps, pointer.step ?? stepOf(view.run));
    const at = clamp(now + (pointer.step === null ? 0 : move[1]), 0, steps.length - 1);
    pointer.show(place, steps[at]);
  });

const wireHeatmap = () => {
  const source = byId("heatmap-data");
  if (!source) return;
  const { maps, logarithmic, phases, start, end } = JSON.parse(source.textContent);
  Object.assign(heat, { maps, logarithmic, found: phases });
  const views = all("figure.heatmap").map((figure) => {
    figure.hidden = false;
    const view = { svg: figure.querySelector("svg.heat"), run: Number(figure.dataset.run), rows: [] };
    drawHeat(view);
    const output = figure.querySelector(".readout");
    output.setAttribute("aria-live", "off");
    figure.addEventListener("focus", () => output.setAttribute("aria-live", "polite"));
    view.pointer = heatPointer(view, figure, output);
    const title = () => `${heat.maps[heat.chosen].title}${runs.length > 1 ? `, ${figure.dataset.name}` : ""}`;
    const series = () => view.rows.map((row) => ({ site: row.name, measure: heat.maps[heat.chosen].measure, ...row }));
    addSave(figure, title, { svg: () => view.svg, rows: () => seriesRows(view.run, series()) });
    new ResizeObserver(() => view.layout?.width !== Math.max(figure.clientWidth, 240) && drawHeat(view)).observe(figure);
    return view;
  });
  const update = () => {
    const { measure, meaning } = heat.maps[heat.chosen];
    const withPhases = ["nc", "nc_debiased"].includes(measure) && phases.some((run) => Object.keys(run).length);
    byId("heatmap-meaning").textContent = meaning;
    byId("heatmap-phases-choice").hidden = !withPhases;
    byId("heatmap-phases-key").hidden = !(withPhases && heat.phases);
    views.forEach((view) => (drawHeat(view), view.pointer.refresh()));
  };
  const shared = [start && `begins with ${start}`, end && `ends with ${end}`].filter(Boolean).join(" and ");
  byId("heatmap-names").textContent = shared ? `Every name ${shared}; rows show the rest.` : "";
  byId("heatmap-tools").hidden = false;
  byId("heatmap-measure").addEventListener("change", (event) => ((heat.chosen = Number(event.target.value)), update()));
  wireChoice("spacing", (kind) => ((heat.logarithmic = kind === "logarithmic"), update()));
  byId("heatmap-phases").addEventListener("change", (event) => ((heat.phases = event.target.checked), update()));
  moved.listen(() => views.forEach(heatNow));
  chosenLayers.listen(update);
  update();
};
