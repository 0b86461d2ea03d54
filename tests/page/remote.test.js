import assert from "node:assert/strict";
import { test } from "node:test";

import { Model } from "../../tapemagic/explorer/page/model.js";

const source = (text, value) => ({ text, value, min: -1, max: 3, step: 0.5, dtype: "float32" });
const curve = (slope) => ({ x: [-1, 1, 3], y: [-slope, slope, 3 * slope], d: [[slope, slope, slope]] });
const answer = (point, along) => ({
  point,
  value: point[0] + 2 * point[1],
  gradient: [1, 2],
  along,
  curve: curve(along + 1),
  finished: along === 0,
});

function model() {
  return new Model({
    target: { text: "z" },
    sources: [source("a", 0.1), source("b", 1)],
    program: null,
    table: null,
    pieces: [],
    derivation: "told",
    kernel: [answer([0.1, 1], 0), answer([0.1, 1], 1)],
  });
}

test("the kernel's last answer stands for a program", () => {
  const found = model();
  assert.equal(found.exact, false);
  assert.equal(found.pieces.length, 1);
  assert.equal(found.pieces[0].derivation, "told");
  const start = found.held(found.start); // as float32 has it
  assert.ok(found.remote.answers(start, 0) && found.remote.answers(start, 1));
  assert.deepEqual([found.remote.finished(0), found.remote.finished(1)], [true, false]);
  const { value, gradient, piece } = found.at(start);
  assert.deepEqual([value, gradient, piece], [2.1, [1, 2], 0]);
});

test("curves are read between the kernel's points, and not beyond", () => {
  const found = model();
  const [a, b] = found.held(found.start);
  const xs = Float64Array.of(-2, -1, 0, 3);
  assert.deepEqual([...found.over([a, xs], 4, 1).columns[0]], [NaN, -2, 0, 6]);
  assert.deepEqual([...found.over([xs, b], 4, 0).columns[1]], [NaN, 1, 1, 1]);
  assert.deepEqual(found.valueAt([a, 2]), [4, 0]);
});

test("when the point moves, the other curves are unknown", () => {
  const found = model();
  found.learn(answer([0.5, 2], 1));
  assert.ok(!found.remote.knows(found.held([0.1, 1])));
  assert.ok(found.remote.answers([0.5, 2], 1) && !found.remote.answers([0.5, 2], 0));
  const xs = Float64Array.of(0, 1);
  assert.deepEqual([...found.over([xs, 2], 2, 0).columns[0]], [NaN, NaN]);
  assert.equal(found.at([0.5, 2]).value, 4.5);
});
