import assert from "node:assert/strict";
import { test } from "node:test";

import { contour, levelsOf } from "../../tapemagic/explorer/page/contours.js";
import { cut, fittingRange, trace } from "../../tapemagic/explorer/page/curve.js";
import { oncePerFrame } from "../../tapemagic/explorer/page/dom.js";
import { kinks } from "../../tapemagic/explorer/page/marks.js";
import { Scale } from "../../tapemagic/explorer/page/scale.js";

/** The graph of f from a to b; `known(x)` says where a branch is known. */
function drawn(f, a, b, known = () => true, n = 401) {
  const probe = (x) => (known(x) ? [f(x), 0] : [NaN, -1]);
  const xs = Float64Array.from({ length: n }, (_, i) => a + ((b - a) * i) / (n - 1));
  const ys = xs.map((x) => probe(x)[0]);
  const pieces = Int8Array.from(xs, (x) => probe(x)[1]);
  return trace(xs, ys, pieces, probe);
}

test("no line across a jump, and both ends are there", () => {
  const { segments, jumps } = drawn(Math.floor, -2.5, 2.5);
  assert.equal(segments.length, 6);
  assert.deepEqual(
    jumps.map(({ x }) => Math.round(x)),
    [-2, -1, 0, 1, 2],
  );
  for (const { x, left, right } of jumps) {
    assert.ok(Math.abs(x - Math.round(x)) < 1e-12);
    assert.equal(right.y - left.y, 1);
  }
});

test("no line across a pole; steep is no jump", () => {
  assert.equal(drawn((x) => 1 / (x - 0.1), -1, 1).segments.length, 2);
  const steep = drawn((x) => Math.tanh(1000 * (x - 0.003)), -1, 1);
  assert.deepEqual([steep.segments.length, steep.jumps.length], [1, 0]);
  assert.equal(drawn((x) => Math.abs(x - 0.3), -1, 1).segments.length, 1);
});

test("a graph ends where its domain ends", () => {
  const { segments, jumps } = drawn(Math.sqrt, -1, 1, undefined, 400);
  assert.deepEqual([segments.length, jumps.length], [1, 0]);
  assert.ok(Math.abs(segments[0][0][0]) < 1e-12);
});

test("rounding is no jump", () => {
  const one = (x) => Math.sin(x) ** 2 + Math.cos(x) ** 2;
  assert.deepEqual(drawn(one, -3, 3).jumps, []);
  assert.equal(drawn((x) => 1 + 1e-6 * Math.floor(x), -2.5, 2.5).jumps.length, 5);
});

test("a kink is where the slope jumps and the graph is on both sides", () => {
  const marked = (f, slope, a, b) =>
    kinks(drawn(f, a, b), drawn(slope, a, b), f, { xScale: new Scale() }).map((x) => Math.round(x));
  assert.deepEqual(marked(Math.abs, Math.sign, -1.2, 1), [0]);
  const inverse = (x) => 1 / x;
  assert.deepEqual(marked(Math.log, inverse, -1.2, 1), []); // 1/x, where there is no logarithm
});

test("a steep line stays steep where it is cut", () => {
  const line = (x) => 3 + 1e6 * (x - 5);
  const places = cut(
    [0, 10].map((x) => [x, line(x)]),
    100,
  );
  assert.deepEqual(
    places.map(([, y]) => y),
    [-100, 100],
  );
  for (const [x, y] of places) assert.ok(Math.abs(line(x) - y) < 1e-3);
  assert.deepEqual(cut([[1, 900]], 100), [[1, 100]]);
  const peak = [
    [0, 0],
    [1, 400],
    [2, 0],
  ];
  assert.deepEqual(cut(peak, 100), [
    [0, 0],
    [0.25, 100],
    [1.75, 100],
    [2, 0],
  ]);
});

test("where no branch is known there is a gap, to its very ends", () => {
  const { segments, gaps } = drawn(
    (x) => x * x,
    -2,
    2,
    (x) => x < -0.5 || x > 1,
  );
  assert.equal(segments.length, 2);
  assert.equal(gaps.length, 1);
  assert.ok(Math.abs(gaps[0][0] + 0.5) < 1e-9 && Math.abs(gaps[0][1] - 1) < 1e-9);
  assert.deepEqual(
    drawn(
      (x) => x,
      0,
      1,
      (x) => x > 0.5,
    ).gaps.map(([from]) => from),
    [0],
  );
});

test("the range of values is not ruled by a pole, nor empty", () => {
  const ys = Float64Array.from({ length: 400 }, (_, i) => 1 / (i - 199.5 || 1));
  ys[200] = 1e9;
  const [low, high] = fittingRange(ys);
  assert.ok(low > -10 && high < 10);
  const flat = fittingRange(Float64Array.of(2, 2, 2));
  assert.ok(flat[0] < 2 && flat[1] > 2);
  assert.ok(fittingRange(Float64Array.of(NaN, Infinity)).every(Number.isFinite));
  const rounding = fittingRange(Float64Array.of(Math.LN2, Math.LN2 + 1e-16));
  assert.ok(rounding[0] < 0.6 && rounding[1] > 0.8);
});

test("ticks are round numbers within the range", () => {
  const scale = new Scale();
  for (const [low, high] of [
    [-1, 5],
    [0.001, 0.0011],
    [-1e9, 3e8],
    [99.5, 100.5],
  ]) {
    scale.set(low, high, 0, 600);
    const ticks = scale.ticks(84);
    assert.ok(ticks.length >= 3 && ticks.length <= 9, `${ticks}`);
    for (const [value] of ticks)
      assert.ok(value >= low - 1e-9 && value <= high + 1e-9 * Math.abs(high));
  }
  const log = new Scale("log");
  log.set(1e-3, 1e3, 0, 600);
  assert.ok(
    log
      .ticks(84)
      .every(([value]) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9),
  );
  assert.ok(Math.abs(log.value(log.pixel(0.37)) - 0.37) < 1e-12);
});

test("ticks of any range are few, and differ", () => {
  const scale = new Scale();
  for (const [low, high] of [
    [Math.LN2, Math.LN2 + 2e-16], // steps too small to count by
    [2, 2.00002],
    [1e7, 1e7 + 20],
    [-1e-3, -1e-3 + 1e-8],
  ]) {
    scale.set(low, high, 0, 600);
    const texts = scale.ticks(84).map(([, text]) => text);
    assert.ok(texts.length < 12);
    if (high - low > 1e-9) assert.equal(new Set(texts).size, texts.length, `${texts}`);
  }
  const constant = Float64Array.from({ length: 400 }, (_, k) => Math.LN2 + (k % 3) * 1e-16);
  assert.deepEqual(levelsOf(constant), []);
});

test("contours of a cone are circles", () => {
  const n = 81;
  const values = Float64Array.from({ length: n * n }, (_, k) =>
    Math.hypot((k % n) - 40, Math.floor(k / n) - 40),
  );
  for (const level of [10, 25.5]) {
    const parts = contour(values, n, n, level);
    assert.ok(parts.length > 100);
    for (let k = 0; k < parts.length; k += 2) {
      assert.ok(Math.abs(Math.hypot(parts[k] - 40, parts[k + 1] - 40) - level) < 0.05);
    }
  }
  assert.ok(levelsOf(values).length >= 5);
  assert.deepEqual(contour(values.fill(NaN), n, n, 10), []);
});

test("the first request is met at once, the rest together in the next frame", () => {
  const frames = [];
  globalThis.requestAnimationFrame = (work) => frames.push(work);
  globalThis.cancelAnimationFrame = (number) => delete frames[number - 1];
  let done = 0;
  const request = oncePerFrame(() => (done += 1));
  const frame = () => frames.splice(0).forEach((work) => work());
  request();
  assert.equal(done, 1);
  request();
  request();
  assert.equal(done, 1);
  frame();
  assert.equal(done, 2);
  frame();
  request();
  assert.equal(done, 3);
  request();
  request.cancel();
  frame();
  assert.equal(done, 3);
  request();
  assert.equal(done, 4);
});
