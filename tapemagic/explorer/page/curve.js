/**
 * A graph drawn truthfully: pieces between which there is no line, each followed to its very end;
 * where the function jumps, turns nan, or has no known branch is found by bisection.
 */

import { isWide } from "./scale.js";

const HALVINGS = 60;
const CLOSE_LOOKS = 300; // places looked at more closely

/** @typedef {(x: number) => [number, number]} Probe  value and piece (−1: none) at x */

const drawable = (y) => Number.isFinite(y);

/** Places between samples where the change is out of line with that of the neighbours. */
function suspicious(ys, pieces) {
  const n = ys.length;
  const change = (i) => (i < 0 || i >= n - 1 ? NaN : Math.abs(ys[i + 1] - ys[i]));
  let low = Infinity;
  let high = -Infinity;
  for (const y of ys) {
    if (drawable(y)) [low, high] = [Math.min(low, y), Math.max(high, y)];
  }
  const span = high - low;
  const found = [];
  for (let i = 0; i < n - 1; i++) {
    const [a, b] = [drawable(ys[i]), drawable(ys[i + 1])];
    if (!a && !b && pieces[i] === pieces[i + 1]) continue;
    const near = Math.max(change(i - 1) || 0, change(i + 1) || 0);
    const rounding = 1e-9 * (Math.abs(ys[i]) + Math.abs(ys[i + 1]));
    const steep = change(i) > 8 * near + 1e-9 * span || change(i) > 0.1 * span;
    if (a !== b || pieces[i] !== pieces[i + 1] || (steep && change(i) > rounding)) found.push(i);
  }
  return found.slice(0, CLOSE_LOOKS);
}

/** Whether the function breaks or is only steep, the neighbours of the place, and what was seen. */
function bisect(probe, a, b) {
  const gap = Math.abs(b.y - a.y);
  const seen = [];
  for (let k = 0; k < HALVINGS; k++) {
    const x = (a.x + b.x) / 2;
    if (x === a.x || x === b.x) break;
    const [y, piece] = probe(x);
    const middle = { x, y, piece };
    seen.push(middle);
    const left = differs(a, middle);
    const right = differs(middle, b);
    if (left || (!right && Math.abs(middle.y - a.y) > Math.abs(b.y - middle.y))) b = middle;
    else a = middle;
  }
  const kinds = differs(a, b);
  const broken = kinds || Math.abs(b.y - a.y) > 0.4 * gap;
  return { broken, a, b, seen: seen.sort((p, q) => p.x - q.x) };
}

const differs = (a, b) => drawable(a.y) !== drawable(b.y) || a.piece < 0 !== b.piece < 0;

/**
 * @param {Float64Array} xs ascending  @param {Float64Array} ys  @param {Int8Array} pieces
 * @param {Probe} probe
 * @returns {{segments: number[][][], jumps: object[], gaps: number[][]}} points of each connected
 *   part; jumps {x, left, right} with two values; gaps [from, to] without a known branch
 */
export function trace(xs, ys, pieces, probe) {
  const segments = [[]];
  const jumps = [];
  const gaps = [];
  const breaks = new Set(suspicious(ys, pieces));
  const add = (x, y) => drawable(y) && segments.at(-1).push([x, y]);
  const split = () => segments.at(-1).length && segments.push([]);
  for (let i = 0; i < xs.length; i++) {
    if (pieces[i] < 0 && (i === 0 || pieces[i - 1] >= 0)) gaps.push([xs[i], xs[i]]);
    if (pieces[i] < 0) gaps.at(-1)[1] = xs[i];
    add(xs[i], ys[i]);
    if (!drawable(ys[i])) split();
    if (!breaks.has(i)) continue;
    const sample = (k) => ({ x: xs[k], y: ys[k], piece: pieces[k] });
    const { broken, a, b, seen } = bisect(probe, sample(i), sample(i + 1));
    for (const { x, y } of seen) if (x < a.x) add(x, y);
    add(a.x, a.y);
    if (broken) split();
    add(b.x, b.y);
    for (const { x, y } of seen) if (x > b.x) add(x, y);
    if (!broken) continue;
    if (drawable(a.y) && drawable(b.y)) jumps.push({ x: b.x, left: a, right: b });
    if (a.piece < 0 && b.piece >= 0 && gaps.length) gaps.at(-1)[1] = b.x;
    if (a.piece >= 0 && b.piece < 0) gaps.push([b.x, xs[i + 1]]);
  }
  return { segments: segments.filter((part) => part.length), jumps, gaps: merged(gaps) };
}

function merged(gaps) {
  const kept = [];
  for (const gap of gaps) {
    if (kept.length && gap[0] <= kept.at(-1)[1]) kept.at(-1)[1] = Math.max(gap[1], kept.at(-1)[1]);
    else kept.push([...gap]);
  }
  return kept;
}

/**
 * A line with no place beyond ±far: such a one is moved to where the line comes near, for a steep
 * line must stay steep.
 */
export function cut(places, far) {
  return places.flatMap((place, k) => {
    if (Math.abs(place[1]) <= far) return [place];
    const beside = [places[k - 1], places[k + 1]].filter(Boolean);
    return (beside.length ? beside : [place]).map((other) => nearer(place, other, far));
  });
}

function nearer([x, y], [otherX, otherY], far) {
  const limit = Math.sign(y) * far;
  const share = (y - limit) / (y - otherY);
  return share < 1 ? [x + share * (otherX - x), limit] : [x, limit];
}

/** A range of values that shows the graph and is not ruled by a pole. */
export function fittingRange(ys, also = []) {
  const sorted = Float64Array.from(ys).filter(drawable).sort();
  let [low, high] = [0, 1];
  if (sorted.length) {
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    [low, high] = [at(0), at(1)];
    const [q, p] = [at(0.1), at(0.9)];
    if (high - low > 12 * (p - q) && p > q) [low, high] = [q - (p - q), p + (p - q)];
    for (const y of also) if (drawable(y)) [low, high] = [Math.min(low, y), Math.max(high, y)];
  }
  if (!isWide([low, high])) {
    const room = Math.abs(low) || 1;
    [low, high] = [low - room, high + room];
  }
  const room = 0.08 * (high - low);
  return [low - room, high + room];
}
