/** A function of two variables over a square grid: its tint, its contour lines, its steepness. */

import { contour, levelsOf } from "./contours.js";
import { h, s } from "./dom.js";
import { tickText } from "./numbers.js";

const BLUE = [0, 114, 178];
const UNKNOWN = [128, 128, 128, 90];

/**
 * An image, as a data URL: the higher, the deeper the tint; grey where no known branch holds.
 * `values` row by row from below, n to a row.
 */
export function tint(values, pieces, n) {
  const levels = levelsOf(values);
  const [low, high] = [levels[0] ?? 0, levels.at(-1) ?? 1];
  const canvas = h("canvas", { width: n, height: n });
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(n, n);
  values.forEach((value, k) => {
    const share = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
    const colour = [...BLUE, Number.isFinite(value) ? 12 + 88 * share : 0];
    const row = n - 1 - Math.floor(k / n);
    image.data.set(pieces[k] < 0 ? UNKNOWN : colour, 4 * (row * n + (k % n)));
  });
  brush.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** SVG paths of the contours in `panel`, with their levels written on them. */
export function contourLines(values, n, panel) {
  const { left, top, width, height } = panel.box;
  const x = (i) => left + (i * width) / (n - 1);
  const y = (j) => top + height - (j * height) / (n - 1);
  const marks = [];
  const labels = [];
  const levels = levelsOf(values);
  const step = levels.length > 1 ? levels[1] - levels[0] : undefined;
  for (const level of levels) {
    const parts = contour(values, n, n, level);
    if (!parts.length) continue;
    const places = [];
    for (let k = 0; k < parts.length; k += 2) places.push([x(parts[k]), y(parts[k + 1])]);
    const data = places.map(
      ([px, py], k) => `${k % 2 ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`,
    );
    marks.push(s("path", { d: data.join(""), class: level === 0 ? "contour zero" : "contour" }));
    const place = labelPlace(places, panel.box, labels);
    if (place === null) continue;
    labels.push(place);
    const at = { x: place[0], y: place[1] + 5, "text-anchor": "middle" };
    marks.push(s("text", at, tickText(level, step)));
  }
  return marks;
}

/** A place on a contour away from the edges and from other labels, or null. */
function labelPlace(places, { left, top, width, height }, taken) {
  const half = Math.floor(places.length / 2);
  const free = ([x, y]) =>
    x > left + 34 &&
    x < left + width - 34 &&
    y > top + 30 &&
    y < top + height - 44 &&
    !taken.some(([a, b]) => Math.abs(a - x) < 64 && Math.abs(b - y) < 30);
  return [...places.slice(half), ...places.slice(0, half)].find(free) ?? null;
}

/** The ninth decile of the steepness on the grid: arrows are measured by it. */
export function steepness(values, xs, ys) {
  const n = xs.length;
  const sizes = [];
  for (let j = 0; j < n - 1; j += 3) {
    for (let i = 0; i < n - 1; i += 3) {
      const k = j * n + i;
      const alongX = (values[k + 1] - values[k]) / (xs[i + 1] - xs[i]);
      const alongY = (values[k + n] - values[k]) / (ys[j + 1] - ys[j]);
      sizes.push(Math.hypot(alongX, alongY));
    }
  }
  const sorted = Float64Array.from(sizes).filter(Number.isFinite).sort();
  return sorted[Math.floor(sorted.length * 0.9)] || 1;
}
