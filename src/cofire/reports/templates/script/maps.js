// Maps of pairs, one byte a pair: 128 + 127 arcsin(v) / (pi / 2), 0 if undefined; the upper triangle row by row.
const LEVELS = Float64Array.from({ length: 256 }, (_, byte) =>
  byte === 0 ? NaN : Math.sin(((byte - 128) / 127) * (Math.PI / 2)),
);
const DETERMINED = 255;
const EMPTY = new Uint8Array();

const opened = new Map();
const open = (packed) => {
  if (!opened.has(packed)) opened.set(packed, inflate(packed));
  return opened.get(packed);
};
const inflate = async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

const pairsOf = (run, layer) => runs[run].pairs.find((one) => one.layer === layer);
const placeOf = (size, row, column) => {
  const [first, second] = row < column ? [row, column] : [column, row];
  return first * size - (first * (first + 1)) / 2 + second - first - 1;
};

// A map as of a step; it has no bytes if it was first recorded later.
const mapAt = async (pairs, kind, step) => {
  const { units, steps, packed } = pairs.maps[kind];
  const place = lastAtMost(steps, step);
  return { kind, units, steps, bytes: place < 0 ? EMPTY : await open(packed[place]) };
};
const byteOf = ({ units, bytes }, row, column) => bytes[placeOf(units.length, row, column)] ?? 0;

// Colors are read from the page's scale, so that they follow the theme.
const SCALES = { correlation: "heat", information: "heat", difference: "difference" };
const SHADES = {
  correlation: (value) => Math.abs(value),
  information: (value) => Math.max(value, 0),
  difference: (value) => (value + 1) / 2,
};
let tables = {};
const rampOf = (scale) =>
  all(`[data-scale="${scale}"] i`).map((swatch) =>
    getComputedStyle(swatch).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number),
  );
const mixed = (ramp, share) => {
  const place = share * (ramp.length - 1);
  const under = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[under].map((value, channel) => value + (ramp[under + 1][channel] - value) * (place - under));
};
const colorsOf = (kind) => {
  tables[kind] ??= Uint32Array.from(LEVELS, (value) => {
    if (Number.isNaN(value)) return 0;
    const [red, green, blue] = mixed(rampOf(SCALES[kind]), SHADES[kind](value)).map(Math.round);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
  return tables[kind];
};
themed.listen(() => (tables = {}));

// Which units have a value with any other unit.
const definedIn = ({ units, bytes }) => {
  const found = units.map(() => false);
  for (let row = 0, next = 0; row < units.length; row++)
    for (let column = row + 1; column < units.length; column++) if (bytes[next++]) found[row] = found[column] = true;
  return found;
};

// Paint a map, one pixel a unit.
const paint = (canvas, map) => {
  const size = map.units.length;
  canvas.width = canvas.height = size || 1;
  if (map.bytes.length === 0) return;
  const colors = colorsOf(map.kind);
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  const itself = colors[map.kind === "difference" ? 128 : 255];
  for (let row = 0, next = 0; row < size; row++) {
    for (let column = row + 1; column < size; column++) {
      const color = colors[map.bytes[next++]];
      pixels[row * size + column] = pixels[column * size + row] = color;
      if (color) pixels[row * size + row] = pixels[column * size + column] = itself;
    }
  }
  context.putImageData(image, 0, 0);
};

// Stripes behind a map show where it has no value, as for constant units.
const stripes = (context, width) => {
  const tile = document.createElement("canvas");
  const side = Math.round(8 * devicePixelRatio);
  tile.width = tile.height = side;
  const brush = tile.getContext("2d");
  brush.strokeStyle = getComputedStyle(byId("stripes-key")).color;
  brush.lineWidth = 1.4 * devicePixelRatio;
  for (const shift of [-side, 0, side]) {
    brush.moveTo(shift, side);
    brush.lineTo(shift + side, 0);
  }
  brush.stroke();
  context.fillStyle = context.createPattern(tile, "repeat");
  context.fillRect(0, 0, width, width);
};

// Small maps of the correlation; those out of sight are drawn when they scroll into view.
const wireThumbs = () => {
  const seen = new Set();
  const stale = new Set(all("canvas.thumb"));
  const draw = async (canvas) => {
    stale.delete(canvas);
    const run = Number(canvas.dataset.run);
    const pairs = pairsOf(run, Number(canvas.dataset.layer));
    const kind = Object.keys(pairs.maps)[0];
    const map = await mapAt(pairs, kind, stepOf(run));
    if (!stale.has(canvas)) paint(canvas, map);
  };
  const drawStale = () => Promise.all([...stale].filter((canvas) => seen.has(canvas)).map(draw));
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target) : seen.delete(target);
    drawStale();
  }, { rootMargin: "200px" });
  const outdated = () => {
    all("canvas.thumb").forEach((canvas) => stale.add(canvas));
    drawStale();
  };
  all("canvas.thumb").forEach((canvas) => watch.observe(canvas));
  moved.listen(outdated);
  themed.listen(outdated);
  return () => Promise.all([...stale].map(draw));
};
