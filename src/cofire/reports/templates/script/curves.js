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
    x: (step) => (last === first ? (left + end) / 2 : left + ((along(step) - first) / (last - first)) * (end - left)),
    y: (value) => base - ((value - low) / (high - low || 1)) * (base - top),
  };
};

const dot = (axes, line, step, value) =>
  makeSvg("circle", { class: `dot ${line.shade}`, r: "3.6", cx: axes.x(step), cy: axes.y(value) });

const dataOfChart = (figure) => {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  data.lines.forEach((line) => Object.assign(line, seriesOf(data.run, line.layer, line.measure)));
  return data;
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
  if (svg.classList.contains("chart") && data.lines.length <= 2 * FEW) {
    for (const line of data.lines) {
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
  const charts = drawings.filter(({ svg }) => svg.classList.contains("chart"));
  charts.forEach(({ svg, axes }) => {
    const pointer = makePointer({ figure, svg, axes, data, output, rest });
    wirePointing(svg, axes, data, pointer);
    wireArrows(figure, svg, data, pointer);
  });
  // Screen readers hear a chart while it has the focus; otherwise only the slider speaks.
  output.setAttribute("aria-live", "off");
  figure.addEventListener("focus", () => output.setAttribute("aria-live", "polite"));
  figure.addEventListener("blur", () => output.setAttribute("aria-live", "off"));
  moved.listen(update);
  update();
};

// The line and the point that are pointed at in a chart; without a point, the chosen step.
const makePointer = ({ figure, svg, axes, data, output, rest }) => {
  const cursor = makeSvg("path", { class: "cursor" });
  const drawn = all("[data-line]", figure);
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
    const line = data.lines[pointer.line];
    const [step, value] = [line.steps[pointer.point], line.values[pointer.point]];
    figure.classList.toggle("pointed", data.lines.length > 1);
    drawn.forEach((node) => node.classList.toggle("hot", Number(node.dataset.line) === pointer.line));
    cursor.setAttribute("d", `M${axes.x(step)} ${axes.top}V${axes.base}`);
    marker?.remove();
    marker = dot(axes, line, step, value ?? data.values[0]);
    svg.append(cursor, marker);
    say(output, line.name, `${shown(value ?? NaN, digitsOf(line))} at step ${whole(step)}`);
  };
  figure.addEventListener("blur", pointer.clear);
  return pointer;
};

const wirePointing = (svg, axes, data, pointer) => {
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    pointer.show(pointedAt(data, axes, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale));
  });
  svg.addEventListener("pointerleave", pointer.clear);
};

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const wireArrows = (figure, svg, data, pointer) =>
  figure.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move || event.target !== figure || svg.getClientRects().length === 0) return;
    event.preventDefault();
    const line = clamp(pointer.line + move[0], 0, data.lines.length - 1);
    const { steps } = data.lines[line];
    const known = Number.isFinite(pointer.point);
    const point = known ? pointer.point + move[1] : lastAtMost(steps, stepOf(data.run));
    pointer.show({ line, point: clamp(point, 0, steps.length - 1) });
  });

const pointedAt = (data, axes, x, y) => {
  const points = data.lines.map(({ steps }) => nearest(steps, (step) => Math.abs(axes.x(step) - x)));
  const line = nearest([...points.keys()], (index) => {
    const value = data.lines[index].values[points[index]];
    return value === null ? Infinity : Math.abs(axes.y(value) - y);
  });
  return { line, point: points[line] };
};

const wireCurves = () => all("figure.curves").forEach(wireFigure);
