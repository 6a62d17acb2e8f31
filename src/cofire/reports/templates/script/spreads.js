// Histograms: the bars of the last recording up to the chosen step, on a square-root scale.
const wireSpreads = () => all("figure.spread").forEach(wireSpread);

const wireSpread = (figure) => {
  const [run, layer] = [Number(figure.dataset.run), Number(figure.dataset.layer)];
  const spread = runs[run].spreads.find((one) => one.layer === layer);
  const svg = figure.querySelector("svg");
  const bars = svg.querySelector(".bars");
  const words = figure.querySelector(".as-of");
  const update = () => {
    const counts = spread.counts[lastAtMost(spread.steps, stepOf(run))] ?? [];
    const pairs = counts.reduce((sum, count) => sum + count, 0);
    const shares = counts.map((count) => count / (pairs || 1));
    bars.setAttribute("d", barsOf(svg, shares, spread.top));
    words.textContent = joined(", ", pairs && plural(pairs, "pair"), asOf(spread.steps, stepOf(run)));
    const upper = shares.slice(shares.length >> 1).reduce((sum, share) => sum + share, 0);
    const name = runs[run].layers[layer].name;
    svg.setAttribute("aria-label", `${name}: ${shown(100 * upper, 1)} % of pairs have |${RHO}| above 0.5, ${words.textContent}`);
  };
  const { name } = runs[run].layers[layer];
  addSave(figure, () => `Distribution of correlation in ${name}`, { svg: () => svg, rows: () => spreadRows(spread, stepOf(run)) });
  moved.listen(update);
  update();
};

const spreadRows = ({ steps, counts }, step) => {
  const found = counts[lastAtMost(steps, step)] ?? [];
  return [["from", "to", "pairs"], ...found.map((count, bin) => [bin / found.length, (bin + 1) / found.length, count])];
};

const barsOf = (svg, shares, top) => {
  const [left, end, upper, base] = svg.dataset.frame.split(" ").map(Number);
  const width = (end - left) / (shares.length || 1);
  const y = (share) => base - (Math.sqrt(share) / (Math.sqrt(top) * 1.04)) * (base - upper);
  const bar = (share, place) => {
    const from = left + place * width;
    return `M${from + 0.5} ${base}V${y(share)}H${from + width - 0.5}V${base}Z`;
  };
  return shares.map((share, place) => (share > 0 ? bar(share, place) : "")).join("");
};
