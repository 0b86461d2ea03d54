import assert from "node:assert/strict";
import { test } from "node:test";

import { contour, levelsOf } from "../../tapemagic/explorer/page/contours.js";
import { fittingRange, trace } from "../../tapemagic/explorer/page/curve.js";
import { oncePerFrame } from "../../tapemagic/explorer/page/dom.js";
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
