// The recorded data. Series refer to lists of steps by number; layer -1 stands for the training itself.
const { runs, quantities, recorded } = JSON.parse(byId("page-data").textContent);
const NOTHING = { steps: [], values: [] };

const seriesOf = (run, layer, measure) => {
  const from = layer < 0 ? runs[run].training : runs[run].layers[layer].series;
  if (!Object.hasOwn(from, measure)) return NOTHING;
  const [grid, values] = from[measure];
  return { steps: runs[run].grids[grid], values };
};
const valueAt = (run, layer, measure, step) => {
  const { steps, values } = seriesOf(run, layer, measure);
  return values[lastAtMost(steps, step)] ?? NaN;
};
const firstValue = (run, layer, measure) => seriesOf(run, layer, measure).values[0] ?? NaN;

// Every step at which a run has a recording.
const stepsOf = (run) => {
  const kept = [...run.grids, ...run.spreads.map(({ steps }) => steps)];
  for (const { maps, sample } of run.pairs) {
    kept.push(...Object.values(maps).map(({ steps }) => steps));
    if (sample) kept.push(sample.steps);
  }
  return [...new Set(kept.flat())].sort((a, b) => a - b);
};

// A layer's correlation is the debiased value, or NC if no debiased value was recorded.
const correlationAt = (run, layer, step) => {
  const measure = Object.hasOwn(runs[run].layers[layer].series, "nc_debiased") ? "nc_debiased" : "nc";
  return valueAt(run, layer, measure, step);
};

// From which step a shown value is, seen from the chosen step; "" where nothing was recorded at steps.
const asOf = (steps, step) => {
  if (!recorded) return "";
  const place = lastAtMost(steps, step);
  if (steps.length === 0) return "not recorded";
  if (place < 0) return `not recorded yet; first at step ${whole(steps[0])}`;
  const found = steps[place];
  return found === step ? `step ${whole(found)}` : `as of step ${whole(found)}, the last recording before`;
};
