// A scatter plot of two units, from the sample of activations that the run kept.
const FRAME = { left: 46, right: 12, top: 12, bottom: 40, side: 400 };
const scaled = (value) => {
  const extreme = Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3);
  return (extreme ? value.toExponential(1) : String(Number(value.toPrecision(3)))).replace("-", MINUS);
};

const drawScatter = async (figure, sample, pair, step) => {
  const [svg, words] = [figure.querySelector("svg"), figure.querySelector(".as-of")];
  const without = (reason) => {
    svg.style.display = "none";
    words.textContent = reason;
  };
  if (!sample) return without("This run kept no sample of activations.");
  if (!pair) return without("No pair chosen.");
  const places = pair.map((unit) => sample.units.indexOf(unit));
  const kept = `The sample holds ${sample.units.length} units, but not both of these.`;
  if (places.includes(-1)) return without(kept);
  const at = lastAtMost(sample.steps, step);
  if (at < 0) return without(`No sample of activations yet; the first is from step ${whole(sample.steps[0])}.`);
  const levels = await open(sample.packed[at]);
  const rows = levels.length / sample.units.length;
  const axes = places.map((place, axis) => ({
    unit: pair[axis],
    levels: levels.subarray(place * rows, (place + 1) * rows),
    low: sample.low[at][place],
    high: sample.high[at][place],
  }));
  words.textContent = `${plural(rows, "sample")}, ${asOf(sample.steps, step)}`;
  svg.style.display = "";
  svg.setAttribute("aria-label", `Unit ${pair[1]} against unit ${pair[0]}: ${words.textContent}.`);
  svg.replaceChildren(...frameOf(axes), ...pointsOf(axes));
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
