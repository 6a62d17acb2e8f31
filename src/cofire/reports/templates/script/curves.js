// Curves: the values at the chosen step, and those of the line under the pointer or chosen with the arrow keys.
const FEW = 6;

const axesOf = (svg, data) => {
  const [left, end, top, base] = svg.dataset.frame.split(" ").map(Number);
  const along = (step) => (data.logarithmic ? Math.log10(step + 1) : step);
  const [first, last] = data.steps.map(along);
  const [low, high] = data.values;
  return {
    top,
    base,
    end,
    x: (step) => (last === first ? (left + end) / 2 : left + ((along(step) - first) / (last - first)) * (end - left)),
    y: (value) => base - ((value - low) / (high - low || 1)) * (base - top),
  };
};

const dot = (axes, line, step, value) =>
  makeSvg("circle", { class: `dot ${line.shade}`, r: "3.6", cx: axes.x(step), cy: axes.y(value) });

const dataOfChart = (figure) => {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  data.lines.forEach((line) => {
    Object.assign(line, seriesOf(data.run, line.layer, line.measure));
    line.site = line.layer < 0 ? "" : runs[data.run].layers[line.layer].name;
  });
  data.choose = () => {
    for (const line of data.lines) if (line.site) line.shade = shadeOf(line.site) ?? "";
    data.drawn = data.lines.filter(({ shade, values }) => shade && values.some(Number.isFinite));
  };
  data.choose();
  return data;
};

// The path of a series, broken where it is undefined; single points are dots.
const stretchesOf = (axes, { steps, values }) => {
  const stretches = [[]];
  steps.forEach((step, place) => {
    if (Number.isFinite(values[place])) stretches.at(-1).push(`${axes.x(step).toFixed(1)} ${axes.y(values[place]).toFixed(1)}`);
    else if (stretches.at(-1).length) stretches.push([]);
  });
  return stretches.filter((points) => points.length);
};
const pathOf = (stretches) => stretches.filter((points) => points.length > 1).map((points) => `M${points.join("L")}`).join("");

const drawLine = (axes, data, line, index) => {
  const group = makeSvg("g", { class: line.shade, "data-line": index });
  const stretches = stretchesOf(axes, line);
  if (line.floor) {
    const floor = seriesOf(data.run, line.layer, line.floor);
    group.append(makeSvg("path", { class: "own-floor", d: pathOf(stretchesOf(axes, floor)) }));
  }
  group.append(makeSvg("path", { class: "line", d: pathOf(stretches) }));
  for (const points of [...stretches.filter(({ length }) => length === 1), stretches.at(-1).slice(-1)]) {
    const [cx, cy] = points[0].split(" ");
    group.append(makeSvg("circle", { class: "dot", cx, cy, r: 2.6 }));
  }
  if (line.peak !== null) {
    const [x, y] = [axes.x(line.peak), axes.y(line.values[lastAtMost(line.steps, line.peak)])];
    group.append(makeSvg("path", { class: "peak", d: `M${x} ${y - 5.5}l5 5.5l-5 5.5l-5-5.5Z` }));
  }
  return group;
};

// Names at the ends of lines, moved down where they would overlap, and up again where they would leave the chart.
const LABEL_GAP = 14;
const drawLabels = (axes, data) => {
  const last = ({ values }) => values.findLast(Number.isFinite);
  const placed = data.drawn.map((line, index) => ({ line, index, y: axes.y(last(line)) })).sort((a, b) => a.y - b.y);
  placed.forEach((one, place) => (one.y = Math.max(one.y, place ? placed[place - 1].y + LABEL_GAP : axes.top + 4)));
  let lowest = axes.base - LABEL_GAP;
  for (const one of [...placed].reverse()) lowest = (one.y = Math.min(one.y, lowest)) - LABEL_GAP;
  return placed.map(({ line, index, y }) => {
    const group = makeSvg("g", { class: line.shade, "data-line": index });
    const name = makeSvg("text", { class: "name", x: axes.end + 8, y: y + 4 }, line.name);
    name.append(makeSvg("title", {}, line.site || line.name));
    group.append(name);
    return group;
  });
};

const drawLines = (svg, axes, data) => {
  all("[data-line]", svg).forEach((node) => node.remove());
  svg.append(...data.drawn.map((line, index) => drawLine(axes, data, line, index)), ...drawLabels(axes, data));
};

// The values of all lines at a step, in a few words.
const digitsOf = (line) => quantities[line?.measure]?.digits ?? 3;
const summed = (data, step) => {
  const digits = digitsOf(data.lines[0]);
  const found = data.lines
    .map(({ name, steps, values }) => ({ name, value: values[lastAtMost(steps, step)] ?? NaN }))
    .filter(({ value }) => Number.isFinite(value));
  if (found.length === 0) return "no value yet";
  if (found.length <= FEW) return found.map(({ name, value }) => `${name} ${shown(value, digits)}`).join(" \u00b7 ");
  const sorted = found.sort((a, b) => a.value - b.value);
  const middle = sorted[sorted.length >> 1].value;
  const ends = [sorted[0], sorted.at(-1)].map(({ name, value }) => `${shown(value, digits)} (${shorten(name, 18)})`);
  return `${ends.join(" to ")}, median ${shown(middle, digits)}`;
};

const drawNow = (svg, axes, data, step) => {
  svg.querySelector(".now")?.remove();
  const group = makeSvg("g", { class: "now" });
  const shownStep = clamp(step, ...data.steps);
  group.append(makeSvg("path", { class: "now-line", d: `M${axes.x(shownStep)} ${axes.top}V${axes.base}` }));
  if (data.drawn.length <= 2 * FEW) {
    for (const line of data.drawn) {
      const place = lastAtMost(line.steps, step);
      if (Number.isFinite(line.values[place])) group.append(dot(axes, line, line.steps[place], line.values[place]));
    }
  }
  svg.append(group);
};

const wireFigure = (figure) => {
  const data = dataOfChart(figure);
  const drawings = all("svg", figure).map((svg) => ({ svg, axes: axesOf(svg, data) }));
  const output = figure.querySelector(".readout");
  const rest = () => say(output, `Step ${whole(stepOf(data.run))}`, summed(data, stepOf(data.run)));
  const update = () => {
    drawings.forEach(({ svg, axes }) => drawNow(svg, axes, data, stepOf(data.run)));
    rest();
  };
  const redraw = () => {
    data.choose();
    drawings.forEach(({ svg, axes }) => drawLines(svg, axes, data));
    update();
  };
  drawings.forEach(({ svg, axes }) => {
    const pointer = makePointer({ figure, svg, axes, data, output, rest });
    wirePointing(svg, axes, data, pointer);
    wireArrows(figure, svg, data, pointer);
  });
  // Screen readers hear a chart while it has the focus; otherwise only the slider speaks.
  output.setAttribute("aria-live", "off");
  figure.addEventListener("focus", () => output.setAttribute("aria-live", "polite"));
  figure.addEventListener("blur", () => output.setAttribute("aria-live", "off"));
  const title = figure.getAttribute("aria-label");
  const visible = () => drawings.find(({ svg }) => svg.getClientRects().length)?.svg ?? drawings[0].svg;
  addSave(figure, () => title, { svg: visible, rows: () => seriesRows(data.run, data.lines) });
  moved.listen(update);
  chosenLayers.listen(redraw);
  redraw();
};

// The line and the point that are pointed at in a chart; without a point, the chosen step.
const makePointer = ({ figure, svg, axes, data, output, rest }) => {
  const cursor = makeSvg("path", { class: "cursor" });
  const pointer = { line: 0, point: Infinity };
  let marker = null;
  pointer.clear = () => {
    pointer.point = Infinity;
    figure.classList.remove("pointed");
    cursor.remove();
    marker?.remove();
    rest();
  };
  pointer.show = (place) => {
    Object.assign(pointer, place);
    const line = data.drawn[pointer.line];
    const [step, value] = [line.steps[pointer.point], line.values[pointer.point]];
    figure.classList.toggle("pointed", data.drawn.length > 1);
    all("[data-line]", figure).forEach((node) => node.classList.toggle("hot", Number(node.dataset.line) === pointer.line));
    cursor.setAttribute("d", `M${axes.x(step)} ${axes.top}V${axes.base}`);
    marker?.remove();
    marker = dot(axes, line, step, value ?? data.values[0]);
    svg.append(cursor, marker);
    say(output, line.site || line.name, `${shown(value ?? NaN, digitsOf(line))} at step ${whole(step)}`);
  };
  figure.addEventListener("blur", pointer.clear);
  return pointer;
};

const wirePointing = (svg, axes, data, pointer) => {
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    if (data.drawn.length) pointer.show(pointedAt(data, axes, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale));
  });
  svg.addEventListener("pointerleave", pointer.clear);
};

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const wireArrows = (figure, svg, data, pointer) =>
  figure.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move || event.target !== figure || !data.drawn.length || svg.getClientRects().length === 0) return;
    event.preventDefault();
    const line = clamp(pointer.line + move[0], 0, data.drawn.length - 1);
    const { steps } = data.drawn[line];
    const known = Number.isFinite(pointer.point);
    const point = known ? pointer.point + move[1] : lastAtMost(steps, stepOf(data.run));
    pointer.show({ line, point: clamp(point, 0, steps.length - 1) });
  });

const pointedAt = (data, axes, x, y) => {
  const points = data.drawn.map(({ steps }) => nearest(steps, (step) => Math.abs(axes.x(step) - x)));
  const line = nearest([...points.keys()], (index) => {
    const value = data.drawn[index].values[points[index]];
    return value === null ? Infinity : Math.abs(axes.y(value) - y);
  });
  return { line, point: points[line] };
};

const wireCurves = () => all("figure.curves").forEach(wireFigure);
