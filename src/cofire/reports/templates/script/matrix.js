// A map that zooms: `view` is the visible square, as shares of the whole.
const FEWEST_CELLS = 6;
const WHOLE = { x: 0, y: 0, size: 1 };

const bounded = ({ x, y, size }, cells) => {
  const extent = clamp(size, Math.min(1, FEWEST_CELLS / (cells || 1)), 1);
  return { size: extent, x: clamp(x, 0, 1 - extent), y: clamp(y, 0, 1 - extent) };
};
const zoomed = (view, factor, [x, y], cells) => {
  const { size } = bounded({ ...view, size: view.size / factor }, cells);
  const [left, top] = [view.x + x * view.size - x * size, view.y + y * view.size - y * size];
  return bounded({ x: left, y: top, size }, cells);
};

// One map of one run. `chosen` holds the pairs that all maps mark; `on` gets the pairs pointed at and chosen.
const makeMatrix = (figure, chosen, on) => {
  const matrix = {
    figure,
    canvas: figure.querySelector("canvas"),
    picture: document.createElement("canvas"),
    map: null,
    view: WHOLE,
  };
  matrix.draw = () => drawMatrix(matrix, chosen);
  matrix.look = (view) => {
    matrix.view = bounded(view, matrix.map?.units.length);
    matrix.canvas.style.touchAction = matrix.view.size < 1 ? "none" : ""; // drag a part of the map, but scroll the page over a whole one
    matrix.draw();
  };
  matrix.show = (map) => {
    const other = matrix.map?.units.join() !== map.units.join();
    matrix.map = map;
    paint(matrix.picture, map);
    matrix.look(other ? WHOLE : matrix.view);
  };
  wireButtons(matrix);
  wireKeys(matrix, chosen, on);
  wirePointer(matrix, on);
  new ResizeObserver(matrix.draw).observe(matrix.canvas);
  return matrix;
};

const drawMatrix = ({ canvas, picture, map, view }, chosen) => {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!map || width === 0) return;
  if (canvas.width !== width) canvas.width = canvas.height = width;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, width);
  context.imageSmoothingEnabled = false;
  const cells = map.units.length;
  const part = [view.x * cells, view.y * cells, view.size * cells, view.size * cells];
  if (map.bytes.length) {
    stripes(context, width);
    context.drawImage(picture, ...part, 0, 0, width, width);
  }
  const cell = width / part[2];
  const mark = (pair, thick) => markCell(context, placesIn(map, pair), part, cell, thick * devicePixelRatio);
  if (chosen.pair) mark(chosen.pair, 2), mark([...chosen.pair].reverse(), 2);
  if (chosen.pointed) mark(chosen.pointed, 1);
};

const placesIn = ({ units }, pair) => pair.map((unit) => units.indexOf(unit));

// A dark frame within a light one, visible on any color.
const markCell = (context, [row, column], [left, top], cell, thick) => {
  if (row < 0 || column < 0) return;
  const side = Math.max(cell, 7 * thick);
  const [x, y] = [(column - left + 0.5) * cell - side / 2, (row - top + 0.5) * cell - side / 2];
  for (const [color, wide] of [["#fff", 3 * thick], ["#111", thick]]) {
    context.strokeStyle = color;
    context.lineWidth = wide;
    context.strokeRect(x, y, side, side);
  }
};

const wireButtons = (matrix) => {
  const middle = [0.5, 0.5];
  const act = {
    in: () => zoomed(matrix.view, 2, middle, matrix.map?.units.length),
    out: () => zoomed(matrix.view, 0.5, middle, matrix.map?.units.length),
    all: () => WHOLE,
  };
  all("[data-zoom]", matrix.figure).forEach((button) =>
    button.addEventListener("click", () => matrix.look(act[button.dataset.zoom]())),
  );
};

const wireKeys = (matrix, chosen, on) => {
  const place = () => {
    const [row, column] = placesIn(matrix.map, chosen.pointed ?? chosen.pair ?? []);
    return row >= 0 && column >= 0 ? [row, column] : [0, Math.min(1, matrix.map.units.length - 1)];
  };
  // Zooming with keys keeps the marked cell in the middle.
  const around = (size) => {
    const [row, column] = place().map((index) => (index + 0.5) / matrix.map.units.length);
    matrix.look({ x: column - size / 2, y: row - size / 2, size });
  };
  const move = ([down, right], times) => {
    const last = matrix.map.units.length - 1;
    const [row, column] = place();
    const to = [clamp(row + down * times, 0, last), clamp(column + right * times, 0, last)];
    on.point(to.map((index) => matrix.map.units[index]));
    if (!within(matrix.view, to, last + 1)) around(matrix.view.size);
  };
  const keys = {
    "+": () => around(matrix.view.size / 1.5),
    "=": () => around(matrix.view.size / 1.5),
    "-": () => around(matrix.view.size * 1.5),
    0: () => matrix.look(WHOLE),
    Enter: () => on.choose(place().map((index) => matrix.map.units[index])),
    " ": () => on.choose(place().map((index) => matrix.map.units[index])),
  };
  matrix.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !matrix.map?.units.length) return;
    const act = ARROWS[event.key] ? () => move(ARROWS[event.key], event.shiftKey ? 10 : 1) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  matrix.canvas.addEventListener("blur", () => on.point(null));
};
const within = (view, [row, column], cells) =>
  [[row, view.y], [column, view.x]].every(([at, from]) => at >= from * cells && at + 1 <= (from + view.size) * cells);

// The pointer points and chooses, and drags if only a part is visible; two pointers zoom, as does the wheel.
const shareOf = (canvas, { clientX, clientY }) => {
  const box = canvas.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
};
const pairUnder = ({ canvas, map, view }, event) => {
  const [x, y] = shareOf(canvas, event);
  const last = map.units.length - 1;
  const place = (at, from) => clamp(Math.floor((from + at * view.size) * map.units.length), 0, last);
  return [map.units[place(y, view.y)], map.units[place(x, view.x)]];
};

const wirePointer = (matrix, on) => {
  const { canvas } = matrix;
  const held = new Map();
  let dragged = false;
  const moveHeld = (event) => {
    const before = new Map(held);
    held.set(event.pointerId, shareOf(canvas, event));
    if (held.size > 1) matrix.look(pinched(matrix, [...before.values()], [...held.values()]));
    else dragged = drag(matrix, before.get(event.pointerId), held.get(event.pointerId), dragged) || dragged;
  };
  const release = (event) => {
    const clicked = held.delete(event.pointerId) && event.type === "pointerup" && !dragged;
    if (clicked && matrix.map?.units.length) on.choose(pairUnder(matrix, event));
  };
  canvas.addEventListener("pointerdown", (event) => {
    dragged = held.size > 0;
    held.set(event.pointerId, shareOf(canvas, event));
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!matrix.map?.units.length) return;
    held.has(event.pointerId) ? moveHeld(event) : on.point(pairUnder(matrix, event));
  });
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => on.point(null));
  wireWheel(matrix);
};

const wireWheel = (matrix) => {
  const turn = (event) => {
    if (!event.ctrlKey && document.activeElement !== matrix.canvas) return; // otherwise the page scrolls
    event.preventDefault();
    const factor = Math.exp(-event.deltaY / 400);
    matrix.look(zoomed(matrix.view, factor, shareOf(matrix.canvas, event), matrix.map?.units.length));
  };
  matrix.canvas.addEventListener("wheel", turn, { passive: false });
};

const drag = (matrix, from, to, already) => {
  const [across, down] = [to[0] - from[0], to[1] - from[1]];
  if (!already && Math.hypot(across, down) * matrix.canvas.clientWidth < 2) return false;
  const { x, y, size } = matrix.view;
  matrix.look({ x: x - across * size, y: y - down * size, size });
  return true;
};
const pinched = ({ view, map }, before, after) => {
  const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1e-6;
  const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  return zoomed(view, apart(after) / apart(before), middle(after), map.units.length);
};
