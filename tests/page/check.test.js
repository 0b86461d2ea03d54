import assert from "node:assert/strict";
import { test } from "node:test";

import { Checker } from "../../tapemagic/explorer/page/check.js";

/** The verdict on a slope of f at x; `table` has TensorFlow's own values. */
function verdict(f, slope, x, table = null) {
  const over = ([xs]) => ({
    columns: [xs.map(f), xs.map((at) => slope)],
    pieces: xs.map(() => 0),
  });
  const model = {
    sources: [{ dtype: "float32", value: NaN, min: -3, max: 3 }],
    count: 1,
    payload: { table },
    exact: true,
    valueAt: ([at]) => [f(at), 0],
    over,
  };
  const state = { point: [x], piece: 0, value: f(x), derivatives: [slope], gradient: [slope] };
  return new Checker(model).at(state).agrees;
}

test("a finite difference agrees, also where the slope is 0", () => {
  assert.equal(verdict(Math.sin, Math.cos(1), 1), true);
  assert.equal(verdict((x) => (1 - x) ** 2 * 401, 0, 1), true); // the floor of a steep valley
  assert.equal(verdict((x) => x ** 4, 0, 0), true);
  assert.equal(verdict((x) => x * Math.abs(x), 0, 0), true);
  assert.equal(verdict(Math.tan, 1 / Math.cos(1.5) ** 2, 1.5), true);
});

test("a wrong slope is told", () => {
  assert.equal(verdict(Math.sin, 0.5, 1), false);
  assert.equal(verdict((x) => x * x, 0.1, 0), false);
});

test("at kinks and jumps there is nothing to compare, nor with a slope that is no number", () => {
  assert.equal(verdict(Math.abs, 0, 0), null);
  assert.equal(verdict((x) => Math.max(x, 0), 0, 0), null);
  assert.equal(verdict(Math.floor, 0, 1), null);
  assert.equal(verdict((x) => x ** x, NaN, 0), null);
  assert.equal(verdict(Math.cbrt, Infinity, 0), null);
});

test("infinity is not near any number", () => {
  const beside = { x: [0, 1, 2], y: [0, "inf", 2] };
  assert.equal(verdict((x) => x, 1, 1, beside), false);
  assert.equal(verdict((x) => x, 1, 2, beside), true);
});
