// The explorer: the maps of one layer, a chosen pair and its scatter plot, with the runs side by side.
const BARS = `|\u2060${RHO}\u2060|`;
const nats = (coefficient) => -0.5 * Math.log(1 - coefficient * coefficient) * Math.sign(coefficient);
const WHY_BLANK = {
  correlation: "constant, or not finite",
  information: "constant, or not finite",
  difference: "too rarely different from their most frequent value",
};

const DESCRIBE = {
  correlation: (byte) => (byte ? `${RHO} ${shown(LEVELS[byte], 2)}` : "no correlation"),
  information: (byte) => {
    if (byte === 0) return "no information";
    if (byte === DETERMINED) return "one determines the other";
    // A byte resolves large information to a tenth only.
    const information = nats(LEVELS[byte]);
    return `information ${shown(information, information < 1 ? 2 : 1)} nats (as ${BARS} ${shown(LEVELS[byte], 2)})`;
  },
  difference: (byte) => {
    if (byte === 0) return "disagreement not judged";
    if (byte === 128) return "no disagreement beyond chance";
    return `information as ${BARS} is ${shown(Math.abs(LEVELS[byte]), 2)} ${byte > 128 ? "higher" : "lower"} than ${BARS}`;
  },
};

const wirePairs = () => {
  const explorer = byId("explorer");
  if (!explorer || !runs.some((run) => run.pairs.length)) return async () => {};
  explorer.hidden = false;
  const chosen = { layer: "", kind: "all", pair: null, pointed: null };
  const views = all(".explored", explorer).map((node) => makeExplored(node, chosen, actions()));
  let last = 0;
  const update = async () => {
    const turn = ++last;
    const loaded = await Promise.all(views.map((view) => view.load()));
    if (turn === last) await Promise.all(views.map((view, index) => view.show(loaded[index])));
  };
  function actions() {
    const mark = () => views.forEach((view) => view.mark());
    return {
      point: (pair) => (Object.assign(chosen, { pointed: pair }), mark()),
      choose: (pair) => (Object.assign(chosen, { pair, pointed: null }), controls.fill(), update()),
    };
  }
  const controls = wireControls(explorer, chosen, views, update);
  moved.listen(update);
  themed.listen(update);
  return () => controls.start();
};

// One run: its maps by kind, its scatter plot and its text.
const makeExplored = (node, chosen, on) => {
  const run = Number(node.dataset.run);
  const figures = all("figure.map", node);
  const title = (what) => `${what} in ${chosen.layer}`;
  const matrices = Object.fromEntries(figures.map((one) => [one.dataset.kind, makeMatrix(one, chosen, on)]));
  const view = { run, node, maps: {} };
  figures.forEach((figure) => {
    const { kind } = figure.dataset;
    const svg = () => mapSvg(matrices[kind].canvas, title(kind));
    addSave(figure, () => title(kind), { svg, rows: () => mapRows(matrices[kind].map) });
  });
  const scatter = node.querySelector(".scatter");
  if (scatter) addSave(scatter, () => title("units"), { svg: () => scatter.querySelector("svg"), rows: () => scatterRows(view.pairs()?.sample, chosen.pair, stepOf(run)) });
  view.pairs = () => runs[run].pairs.find(({ layer }) => runs[run].layers[layer].name === chosen.layer);
  view.load = async () => {
    const pairs = view.pairs();
    const kinds = Object.keys(pairs?.maps ?? {});
    const maps = await Promise.all(kinds.map((kind) => mapAt(pairs, kind, stepOf(run))));
    return Object.fromEntries(kinds.map((kind, index) => [kind, maps[index]]));
  };
  view.show = async (maps) => {
    view.maps = maps;
    for (const [kind, matrix] of Object.entries(matrices)) showMap(matrix, maps[kind], view, chosen);
    const seen = Object.values(matrices).filter(({ figure }) => !figure.hidden);
    node.querySelector(".maps").classList.toggle("several", seen.length > 1);
    view.mark();
    if (recorded) await drawScatter(scatter, view.pairs()?.sample, chosen.pair, stepOf(run));
  };
  view.mark = () => {
    Object.values(matrices).forEach((matrix) => matrix.draw());
    node.querySelector(".readout").replaceChildren(...wordsOf(view, chosen));
  };
  return view;
};

const showMap = (matrix, map, view, chosen) => {
  const alone = Object.keys(view.maps).length === 1;
  matrix.figure.hidden = !map || !(alone || chosen.kind === "all" || chosen.kind === map.kind);
  if (matrix.figure.hidden) return;
  matrix.show(map);
  const { units } = view.pairs();
  const each = plural(map.units.length, "unit");
  const few = map.units.length < units ? `${whole(map.units.length)} of ${whole(units)} units` : each;
  const blank = map.bytes.length ? map.units.length - definedIn(map).filter(Boolean).length : 0;
  const without = blank ? `, ${whole(blank)} striped (${WHY_BLANK[map.kind]})` : "";
  const words = joined("; ", `${few}${without}`, asOf(map.steps, stepOf(view.run)), chanceOf(map.kind, view));
  matrix.figure.querySelector(".as-of").textContent = words;
  const title = matrix.figure.querySelector("h4").textContent;
  matrix.canvas.setAttribute("aria-label", `${title} in ${chosen.layer}: ${words}`);
};

const chanceOf = (kind, view) => {
  const { steps, values } = view.pairs().chance;
  const value = values[lastAtMost(steps, stepOf(view.run))] ?? NaN;
  return kind === "information" && Number.isFinite(value) ? `chance alone gives up to ${shown(value, 2)}` : "";
};

// The values of the pair pointed at, or else of the chosen one, in all maps.
const wordsOf = ({ maps }, { layer, pair, pointed }) => {
  const [first, second] = pointed ?? pair ?? [];
  if (Object.keys(maps).length === 0) return [`This run recorded no pairs of ${layer}.`];
  if (first === undefined) return ["No pair chosen."];
  if (first === second) return [make("b", `unit ${first}`), " with itself"];
  const values = Object.values(maps).map((map) => {
    const [row, column] = placesIn(map, [first, second]);
    const mapped = row >= 0 && column >= 0;
    return mapped ? DESCRIBE[map.kind](byteOf(map, row, column)) : `not in the map of ${map.kind === "difference" ? "disagreement" : map.kind}`;
  });
  return [make("b", `units ${first} and ${second}`), ` ${values.join(" \u00b7 ")}`];
};

// The pair of a map that is farthest from 0, among the units that count.
const farthest = (map, counts = () => true) => {
  const counted = map.units.map(counts);
  let [best, found] = [-1, null];
  for (let row = 0, next = 0; row < map.units.length; row++) {
    for (let column = row + 1; column < map.units.length; column++) {
      const byte = map.bytes[next++];
      const far = byte && counted[row] && counted[column] ? Math.abs(byte - 128) : -1;
      if (far > best) [best, found] = [far, [row, column]];
    }
  }
  return found?.map((place) => map.units[place]).sort((a, b) => a - b) ?? null;
};

// Choosing a layer and a pair, by list, small map, number or button. A later choice overrides one still loading.
const wireControls = (explorer, chosen, views, update) => {
  const names = [...new Set(runs.flatMap((run) => run.pairs.map(({ layer }) => run.layers[layer].name)))];
  const fields = [byId("pair-first"), byId("pair-second")];
  const fill = () => fields.forEach((field, place) => (field.value = chosen.pair?.[place] ?? ""));
  let choices = 0;
  const jump = async (kind, drawable = false) => {
    const choice = ++choices;
    const found = await farthestOf(views, kind, drawable);
    if (choice !== choices) return;
    Object.assign(chosen, { pair: found, pointed: null });
    fill();
    await update();
  };
  const typed = () => {
    choices++;
    const pair = fields.map((field) => field.valueAsNumber);
    Object.assign(chosen, { pair: pair.every(Number.isInteger) ? pair : null, pointed: null });
    update();
  };
  fields.forEach((field) => field.addEventListener("change", typed));
  byId("pair-strongest").addEventListener("click", () => jump("correlation"));
  byId("pair-apart")?.addEventListener("click", () => jump("difference"));
  wireKinds(chosen, update);
  const choose = wireLayers(explorer, names, (name) => {
    chosen.layer = name;
    return jump("correlation", true);
  });
  const { start } = explorer.dataset;
  return { fill, start: () => choose(names.includes(start) ? start : names[0]) };
};

const wireLayers = (explorer, names, then) => {
  const select = byId("pairs-layer");
  const tiles = all(".tile", explorer);
  const choose = (name) => {
    select.value = String(names.indexOf(name));
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.layerName === name)));
    return then(name);
  };
  select.append(...names.map((name, index) => make("option", shorten(name, 48), { value: index, title: name })));
  select.addEventListener("change", () => choose(names[Number(select.value)]));
  tiles.forEach((tile) => tile.addEventListener("click", () => choose(tile.dataset.layerName)));
  return choose;
};

// The farthest pair of the first run that has any, at its step; a drawable one is in the sample.
const farthestOf = async (views, kind, drawable) => {
  const loaded = await Promise.all(views.map((view) => view.load()));
  const maps = loaded.map((of) => of[kind] ?? Object.values(of)[0]);
  const place = maps.findIndex((map) => map?.bytes.length);
  if (place < 0) return null;
  const kept = new Set(drawable ? views[place].pairs().sample?.units : []);
  return farthest(maps[place], kept.size > 1 ? (unit) => kept.has(unit) : undefined);
};

const wireKinds = (chosen, update) => {
  const several = runs.some((run) => run.pairs.some(({ maps }) => Object.keys(maps).length > 1));
  byId("pairs-kinds").hidden = !several;
  chosen.kind = several && runs.length === 1 ? "all" : "correlation";
  byId(`kind-${chosen.kind}`).checked = true;
  wireChoice("kind", (kind) => {
    chosen.kind = kind;
    update();
  });
};
