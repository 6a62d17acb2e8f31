// The layers whose curves are drawn, each with its color; charts, heatmap and list show and change them.
const HUES = 8;
const chosenLayers = bell();
const hues = new Map();
const layerOf = (name) => (name.endsWith(":pre") ? name.slice(0, -4) : name);
const shadeOf = (name) => (hues.has(layerOf(name)) ? `hue-${hues.get(layerOf(name)) % HUES}` : null);

const freeHue = () => {
  const taken = new Set(hues.values());
  for (let hue = 0; ; hue++) if (!taken.has(hue)) return hue;
};
const toggleLayer = (site, on = !hues.has(layerOf(site))) => {
  const name = layerOf(site);
  if (on === hues.has(name)) return;
  on ? hues.set(name, freeHue()) : hues.delete(name);
  chosenLayers.ring();
};

// The list of all layers, for those who don't point at the heatmap.
const wireChosen = () => {
  const list = byId("chosen-layers");
  if (!list) return;
  JSON.parse(byId("chosen-data").textContent).forEach((name) => toggleLayer(name, true));
  const layers = new Map(runs.flatMap((run) => run.layers.map(({ name, tiny }) => [layerOf(name), tiny])));
  const boxes = [...layers].map(([name, tiny], index) => {
    const label = make("label", "", { title: name });
    const box = make("input", "", { type: "checkbox", id: `draw-${index}`, autocomplete: "off" });
    label.append(box, make("bdi", tiny));
    box.addEventListener("change", () => toggleLayer(name, box.checked));
    list.append(label);
    return { name, box, label };
  });
  const update = () => {
    for (const { name, box, label } of boxes) {
      box.checked = hues.has(name);
      label.className = shadeOf(name) ?? "";
    }
    byId("chosen-count").textContent = `${whole(hues.size)} of ${plural(layers.size, "layer")}`;
  };
  byId("choose").hidden = layers.size < 2;
  chosenLayers.listen(update);
  update();
};
