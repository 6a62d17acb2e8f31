"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const MINUS = "\u2212";
  const shown = (value, digits) => (value === null ? "\u2013" : value.toFixed(digits).replace("-", MINUS));
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const nearest = (items, distance) =>
    items.reduce((best, item, index) => (distance(item) < distance(items[best]) ? index : best), 0);
  const dataOf = (figure) => JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const say = (output, name, rest) => {
    const bold = document.createElement("b");
    bold.textContent = name;
    output.replaceChildren(bold, " " + rest);
  };

  // Theme: the reader's system decides until the button is pressed; ?theme=dark asks for one.
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const repaint = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
    maps.forEach((paint) => paint());
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", () => repaint());

  // Curves: the nearest line and step, by pointer or arrow keys.
  const svgNode = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const scalesOf = (svg, data) => {
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
  const wireChart = (figure, svg, data) => {
    const scales = scalesOf(svg, data);
    const output = figure.querySelector(".readout");
    const cursor = svgNode("path", { class: "cursor" });
    const marker = svgNode("circle", { class: "dot hot", r: "4" });
    const drawn = [...svg.querySelectorAll("[data-line]")];
    let at = { line: 0, point: 0 };
    const clear = () => {
      svg.classList.remove("pointed");
      cursor.remove();
      marker.remove();
      output.replaceChildren();
    };
    const show = () => {
      const line = data.lines[at.line];
      const step = line.steps[at.point];
      const value = line.values[at.point];
      const x = scales.x(step);
      svg.classList.toggle("pointed", data.lines.length > 1);
      drawn.forEach((node) => node.classList.toggle("hot", Number(node.dataset.line) === at.line));
      cursor.setAttribute("d", `M${x} ${scales.top}V${scales.base}`);
      marker.setAttribute("class", `dot hot ${line.shade}`);
      marker.setAttribute("cx", x);
      marker.setAttribute("cy", value === null ? scales.base : scales.y(value));
      svg.append(cursor, marker);
      say(output, line.name, `${shown(value, 3)} at step ${step.toLocaleString("en")}`);
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      const points = data.lines.map((line) => nearest(line.steps, (step) => Math.abs(scales.x(step) - x)));
      const line = nearest([...points.keys()], (index) => {
        const value = data.lines[index].values[points[index]];
        return value === null ? Infinity : Math.abs(scales.y(value) - y);
      });
      at = { line, point: points[line] };
      show();
    });
    svg.addEventListener("pointerleave", clear);
    figure.addEventListener("blur", clear);
    figure.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!move || svg.getClientRects().length === 0) return;
      event.preventDefault();
      const line = clamp(at.line + move[0], 0, data.lines.length - 1);
      at = { line, point: clamp(at.point + move[1], 0, data.lines[line].steps.length - 1) };
      show();
    });
  };
  document.querySelectorAll("figure.curves").forEach((figure) => {
    const data = dataOf(figure);
    figure.querySelectorAll("svg.chart").forEach((svg) => wireChart(figure, svg, data));
  });

  // Maps: the upper triangle as int16 of the value * 10000, row by row; -32768 is undefined. The values are rho, the
  // information as the |rho| a normal pair would have, or their difference, 0 where chance explains it.
  const UNDEFINED = -32768;
  const FULL = 10000;
  const unpack = (packed) => {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Int16Array.from({ length: bytes.length / 2 }, (_, index) => view.getInt16(2 * index, true));
  };
  const ramp = (name) =>
    [...document.querySelector(`[data-scale="${name}"]`).querySelectorAll("i")].map((swatch) =>
      getComputedStyle(swatch).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number),
    );
  const colorTable = (stops, size) =>
    Array.from({ length: size }, (_, index) => {
      const place = (index / (size - 1)) * (stops.length - 1);
      const under = Math.min(Math.floor(place), stops.length - 2);
      return stops[under].map((value, channel) => value + (stops[under + 1][channel] - value) * (place - under));
    });
  const nats = (coefficient) => -0.5 * Math.log(1 - coefficient * coefficient) * Math.sign(coefficient);
  const KINDS = {
    correlation: {
      scale: "heat",
      self: FULL,
      shade: (value) => Math.abs(value) / FULL,
      tell: (value) => `\u03c1 ${shown(value / FULL, 3)}`,
      none: "no correlation",
    },
    dependence: {
      scale: "heat",
      self: FULL,
      shade: (value) => Math.max(value, 0) / FULL,
      tell: (value) =>
        value === FULL ? "one determines the other" : `${shown(value / FULL, 3)}, ${shown(nats(value / FULL), 3)} nats`,
      none: "no information",
    },
    difference: {
      scale: "difference",
      self: 0,
      shade: (value) => (value + FULL) / (2 * FULL),
      tell: (value) =>
        value === 0
          ? "no difference beyond chance"
          : `${value > 0 ? "information" : "correlation"} says ${shown(Math.abs(value) / FULL, 2)} more`,
      none: "not judged",
    },
  };
  const wireMap = (figure) => {
    const { kind, units, packed } = dataOf(figure);
    const { scale, self, shade, tell, none } = KINDS[kind];
    const values = unpack(packed);
    const size = units.length;
    const canvas = figure.querySelector("canvas");
    const output = figure.querySelector(".readout");
    const rest = output.textContent;
    const cross = figure.querySelector(".cross");
    const pair = (row, column) => {
      const [first, second] = row < column ? [row, column] : [column, row];
      return values[first * size - (first * (first + 1)) / 2 + second - first - 1];
    };
    const defined = units.map((_, row) =>
      units.some((_, column) => row !== column && pair(row, column) !== UNDEFINED),
    );
    const paint = () => {
      const colors = colorTable(ramp(scale), 256);
      const context = canvas.getContext("2d");
      const image = context.createImageData(size, size);
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++) {
          const value = row !== column ? pair(row, column) : defined[row] ? self : UNDEFINED;
          const cell = 4 * (row * size + column);
          if (value === UNDEFINED) continue;
          image.data.set(colors[Math.round(shade(value) * 255)], cell);
          image.data[cell + 3] = 255;
        }
      }
      context.putImageData(image, 0, 0);
      document.querySelectorAll(`[data-copy="${figure.id}"]`).forEach((copy) => {
        copy.width = copy.height = size;
        copy.getContext("2d").putImageData(image, 0, 0);
      });
    };
    const show = ([row, column]) => {
      const value = row === column ? null : pair(row, column);
      const words =
        row === column ? "with itself" : `and ${units[column]}: ${value === UNDEFINED ? none : tell(value)}`;
      say(output, `unit ${units[row]}`, words);
      cross.hidden = false;
      cross.style.left = `${((column + 0.5) / size) * 100}%`;
      cross.style.top = `${((row + 0.5) / size) * 100}%`;
    };
    const clear = () => {
      cross.hidden = true;
      output.textContent = rest;
    };
    return { figure, canvas, size, paint, show, clear };
  };
  // Maps of one set have the same units in the same order: what one points at, all show.
  const wireSet = (set) => {
    let at = [0, Math.min(1, set[0].size - 1)];
    const show = () => set.forEach((map) => map.show(at));
    const clear = () => set.forEach((map) => map.clear());
    set.forEach(({ figure, canvas, size }) => {
      canvas.addEventListener("pointermove", (event) => {
        const box = canvas.getBoundingClientRect();
        const cell = (position, extent) => clamp(Math.floor((position / extent) * size), 0, size - 1);
        at = [cell(event.clientY - box.top, box.height), cell(event.clientX - box.left, box.width)];
        show();
      });
      canvas.addEventListener("pointerleave", clear);
      figure.addEventListener("blur", clear);
      figure.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!move) return;
        event.preventDefault();
        at = at.map((place, axis) => clamp(place + move[axis], 0, size - 1));
        show();
      });
    });
    return set.map((map) => map.paint);
  };
  const figures = (selector, within) => [...within.querySelectorAll(selector)].map(wireMap);
  const sets = [...document.querySelectorAll(".maps.set")].map((within) => figures("figure.heat", within));
  const alone = figures(".maps:not(.set) figure.heat", document).map((map) => [map]);
  const maps = [...sets, ...alone].flatMap(wireSet);
  repaint();
  root.dataset.drawn = String(maps.length);

  // Paper shows everything, in the light theme.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    root.dataset.theme = "light";
    repaint();
  });
})();
