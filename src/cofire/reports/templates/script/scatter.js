// A scatter plot of two units, from the sample of activations that the run kept.
const FRAME = { left: 46, right: 12, top: 12, bottom: 40, side: 400 };
const scaled = (value) => {
  const extreme = Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3);
  return (extreme ? value.toExponential(1) : String(Number(value.toPrecision(3)))).replace("-", MINUS);
};

// The levels of two units at the last sample up to a step, and their ranges; a sentence where there is none.
const sampleOf = async (sample, pair, step) => {
  if (!sample) return "This run kept no sample of activations.";
  if (!pair) return "No pair chosen.";
  const places = pair.map((unit) => sample.units.indexOf(unit));
  if (places.includes(-1)) return `The sample holds ${sample.units.length} units, but not both of these.`;
  const at = lastAtMost(sample.steps, step);
  if (at < 0) return `No sample of activations yet; the first is from step ${whole(sample.steps[0])}.`;
  const levels = await open(sample.packed[at]);
  const rows = levels.length / sample.units.length;
  return places.map((place, axis) => ({
    unit: pair[axis],
    levels: levels.subarray(place * rows, (place + 1) * rows),
    low: sample.low[at][place],
    high: sample.high[at][place],
  }));
};

const drawScatter = async (figure, sample, pair, step) => {
  const [svg, words] = [figure.querySelector("svg"), figure.querySelector(".as-of")];
  const axes = await sampleOf(sample, pair, step);
  const found = typeof axes !== "string";
  svg.style.display = found ? "" : "none";
  figure.querySelector(".save").hidden = !found;
  words.textContent = found ? `${plural(axes[0].levels.length, "sample")}, ${asOf(sample.steps, step)}` : axes;
  if (!found) return;
  svg.setAttribute("aria-label", `Unit ${pair[1]} against unit ${pair[0]}: ${words.textContent}.`);
  svg.replaceChildren(...frameOf(axes), ...pointsOf(axes));
};

// The sample in numbers, as exact as the page holds it: 254 steps from the lowest value to the highest.
const scatterRows = async (sample, pair, step) => {
  const axes = await sampleOf(sample, pair, step);
  const value = ({ levels, low, high }, row) => (levels[row] ? low + ((levels[row] - 1) / 254) * (high - low) : NaN);
  const rows = [...axes[0].levels.keys()].map((row) => axes.map((axis) => Number(value(axis, row).toPrecision(5))));
  return [axes.map(({ unit }) => `unit ${unit}`), ...rows];
};

const pointsOf = ([across, up]) => {
  const { left, right, top, bottom, side } = FRAME;
  const x = (level) => left + ((level - 1) / 254) * (side - left - right);
  const y = (level) => side - bottom - ((level - 1) / 254) * (side - top - bottom);
  return [...across.levels.keys()]
    .filter((row) => across.levels[row] && up.levels[row])
    .map((row) => makeSvg("circle", { class: "point", r: 3, cx: x(across.levels[row]), cy: y(up.levels[row]) }));
};

const frameOf = ([across, up]) => {
  const { left, right, top, bottom, side } = FRAME;
  const [end, base] = [side - right, side - bottom];
  const label = (x, y, words, anchor, transform = "") =>
    makeSvg("text", { x, y, "text-anchor": anchor, transform }, words);
  const ends = (low, high) => [low, high].map((value) => (value === null ? DASH : scaled(value)));
  const [[west, east], [south, north]] = [ends(across.low, across.high), ends(up.low, up.high)];
  const middle = (top + base) / 2;
  return [
    makeSvg("path", { class: "axis", d: `M${left} ${top}V${base}H${end}` }),
    label(left, base + 16, west, "start"),
    label(end, base + 16, east, "end"),
    label(left - 7, base, south, "end"),
    label(left - 7, top + 9, north, "end"),
    label((left + end) / 2, base + 30, `unit ${across.unit}`, "middle"),
    label(left - 24, middle, `unit ${up.unit}`, "middle", `rotate(-90 ${left - 24} ${middle})`),
  ];
};
