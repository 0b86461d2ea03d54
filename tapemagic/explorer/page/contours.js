/** Contour lines of values on a grid by marching squares, and levels worth drawing. */

import { isWide, multiples, niceStep } from "./scale.js";

/** Levels at round numbers between the values' robust extremes. */
export function levelsOf(values, wanted = 11) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (!sorted.length) return [];
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  let [low, high] = [at(0), at(1)];
  const [q, p] = [at(0.05), at(0.95)];
  if (high - low > 4 * (p - q) && p > q) [low, high] = [q, p];
  if (!isWide([low, high])) return [];
  return multiples(niceStep((high - low) / wanted), low, high).filter((level) => level < high);
}

/**
 * Line pieces [x0, y0, x1, y1, …] in grid units of one level, through cells whose four corners
 * are finite. `values` row by row, nx to a row.
 */
export function contour(values, nx, ny, level) {
  const pieces = [];
  for (let j = 0; j < ny - 1; j++) {
    for (let i = 0; i < nx - 1; i++) {
      const k = j * nx + i;
      cell(values[k], values[k + 1], values[k + nx + 1], values[k + nx], i, j, level, pieces);
    }
  }
  return pieces;
}

/** Corners a b c d, round the cell. */
function cell(a, b, c, d, i, j, level, pieces) {
  if (!Number.isFinite(a + b + c + d)) return;
  const kind = (a > level) | ((b > level) << 1) | ((c > level) << 2) | ((d > level) << 3);
  if (kind === 0 || kind === 15) return;
  const part = (from, to) => (level - from) / (to - from);
  const side = {
    bottom: () => [i + part(a, b), j],
    right: () => [i + 1, j + part(b, c)],
    top: () => [i + part(d, c), j + 1],
    left: () => [i, j + part(a, d)],
  };
  for (const [from, to] of sides(kind, (a + b + c + d) / 4 > level))
    pieces.push(...side[from](), ...side[to]());
}

const CASES = {
  1: ["left bottom"],
  2: ["bottom right"],
  3: ["left right"],
  4: ["right top"],
  6: ["bottom top"],
  7: ["left top"],
  8: ["left top"],
  9: ["bottom top"],
  11: ["right top"],
  12: ["left right"],
  13: ["bottom right"],
  14: ["left bottom"],
};
const SADDLES = {
  true: { 5: ["left top", "bottom right"], 10: ["left bottom", "right top"] },
  false: { 5: ["left bottom", "right top"], 10: ["left top", "bottom right"] },
};

function sides(kind, high) {
  return (CASES[kind] ?? SADDLES[high][kind]).map((pair) => pair.split(" "));
}
