// One slider for all figures. Its places are the steps of all runs, or shares of their training.
const moved = bell();
const clock = { kind: "step", places: [], at: 0 };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const lastOf = (run) => Math.max(runs[run].last, 1);
const placesOf = (kind) => {
  const found = runs.flatMap((run, index) =>
    stepsOf(run).map((step) => (kind === "step" ? step : step / lastOf(index))),
  );
  return [...new Set(found)].sort((a, b) => a - b);
};
const now = () => clock.places[clock.at] ?? 0;
// The step that a run shows; a run that ended earlier shows its last. The small term undoes rounding of shares.
const stepOf = (run) =>
  Math.min(clock.kind === "step" ? now() : Math.floor(now() * lastOf(run) + 1e-6), runs[run].last);
// The step of all runs, or that of each if they differ.
const stepsInWords = () => {
  const steps = runs.map((_, run) => stepOf(run));
  if (new Set(steps).size === 1) return `step ${whole(steps[0])}`;
  return steps.map((step, run) => `step ${whole(step)} of ${shorten(runs[run].name, 24)}`).join(", ");
};

const inWords = () => {
  if (clock.kind === "share") return `${shown(100 * now(), now() * 100 < 10 ? 1 : 0)} % of training`;
  return `${whole(now())} of ${whole(clock.places.at(-1))}`;
};

const wireTime = () => {
  const slider = byId("step");
  if (!slider || placesOf("step").length === 0) return; // nothing is recorded yet
  const place = (at) => {
    clock.at = at;
    slider.value = String(at);
    byId("step-now").textContent = inWords();
    slider.setAttribute("aria-valuetext", `${clock.kind === "step" ? "step " : ""}${inWords()}`);
  };
  const go = (at) => {
    place(at);
    moved.ring();
  };
  // Switching between steps and shares keeps the slider where it is, as a share of its length.
  const choose = (kind) => {
    const share = clock.at / Math.max(clock.places.length - 1, 1);
    Object.assign(clock, { kind, places: placesOf(kind) });
    slider.max = String(clock.places.length - 1);
    return Math.round(share * (clock.places.length - 1));
  };
  choose("step");
  place(clock.places.length - 1);
  byId("time").hidden = clock.places.length < 2;
  slider.addEventListener("input", () => go(Number(slider.value)));
  wireChoice("clock", (kind) => go(choose(kind)));
  wirePlay(go);
  wireSpoken();
};

const wirePlay = (go) => {
  const button = byId("play");
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "\u25b6";
  };
  const tick = () => (clock.at < clock.places.length - 1 ? go(clock.at + 1) : stop());
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (clock.at === clock.places.length - 1) go(0);
    button.setAttribute("aria-pressed", "true");
    button.textContent = "\u23f8";
    const length = clamp(9000 / clock.places.length, 60, 300);
    timer = setInterval(tick, calm.matches ? 4 * length : length);
  });
  byId("step").addEventListener("pointerdown", stop);
};

// Screen readers hear where the slider stopped, not every place on the way.
const wireSpoken = () => {
  let timer = 0;
  moved.listen(() => {
    clearTimeout(timer);
    timer = setTimeout(() => (byId("time-status").textContent = runs.map(spokenOf).join(" ")), 500);
  });
};
const spokenOf = (run, index) => {
  const known = run.layers
    .map(({ name }, layer) => ({ name, value: correlationAt(index, layer, stepOf(index)) }))
    .filter(({ name, value }) => Number.isFinite(value) && !name.endsWith(":pre"));
  const sorted = [...known].sort((a, b) => b.value - a.value);
  const named = known.length > 4 ? [sorted[0], sorted.at(-1)] : known;
  const values = named.map(({ name, value }) => `${name} ${shown(value, 2)}`).join(", ");
  return `${runs.length > 1 ? `${run.name}, ` : ""}step ${whole(stepOf(index))}. Correlation: ${values || "none"}.`;
};
