import assert from "node:assert/strict";
import { test } from "node:test";

import { Descent } from "../../tapemagic/explorer/page/descent.js";
import { Model } from "../../tapemagic/explorer/page/model.js";

const source = (text, value) => ({
  text,
  value,
  min: -1,
  max: 3,
  step: 0.5,
  scale: "linear",
  dtype: "float32",
});
const f = (a, b) => a + 2 * b + a * b;
const columns = (points) => [
  points.map(([a, b]) => f(a, b)),
  points.map(([, b]) => 1 + b),
  points.map(([a]) => 2 + a),
];

/** The kernel's answer at a point: curves along both entries through `xs`, a plane of `side`. */
function answer(point, { along = [0, 1], xs = [-1, 1, 3], side = 0, low = -1, high = 3 } = {}) {
  const lines = along.map((k) => ({ k, points: xs.map((x) => point.map((v, i) => (i === k ? x : v))) }));
  const places = Array.from({ length: side }, (_, i) => low + ((high - low) * i) / (side - 1));
  const grid = places.flatMap((b) => places.map((a) => [a, b]));
  const [[value], ...slopes] = columns([point]);
  return {
    wish: { point, lines: [], plane: null },
    value,
    slopes: slopes.map(([slope]) => slope),
    word: "",
    curves: lines.map(({ k, points }) => ({ along: k, x: xs, columns: columns(points) })),
    plane: side ? { ranges: [[low, high], [low, high]], side, columns: columns(grid) } : null,
    finished: false,
  };
}

function model(options) {
  return new Model({
    target: { text: "z" },
    sources: [source("a", 0.5), source("b", 1)],
    program: null,
    table: null,
    pieces: [],
    derivation: "told",
    kernel: answer([0.5, 1], options),
  });
}

test("the kernel's last answer stands for a program", () => {
  const found = model();
  assert.equal(found.exact, false);
  assert.equal(found.pieces.length, 1);
  assert.equal(found.pieces[0].derivation, "told");
  assert.ok(found.remote.knows(found.held(found.start)));
  const { value, gradient, piece } = found.at([0.5, 1]);
  assert.deepEqual([value, gradient, piece], [3, [2, 2.5], 0]);
});

test("of a single entry there are derivatives of all orders", () => {
  const kernel = {
    ...answer([0.5, 1]),
    wish: { point: [2] },
    value: 8,
    slopes: [12, 12, 6],
    curves: [{ along: 0, x: [1, 3], columns: [[1, 27], [3, 27], [6, 18], [6, 6]] }],
  };
  const found = new Model({ target: {}, sources: [source("a", 2)], kernel, order: 3 });
  assert.deepEqual(found.at([2]).derivatives, [12, 12, 6]);
  assert.deepEqual([...found.over([Float64Array.of(1, 2)], 2, 0).columns[2]], [6, 12]);
});

test("curves are read between the kernel's points; beyond them nothing is known", () => {
  const found = model();
  const xs = Float64Array.of(-2, -1, 0, 3);
  const { columns: along, pieces } = found.over([0.5, xs], 4, 1);
  assert.deepEqual([...along[0]], [NaN, f(0.5, -1), f(0.5, 0), f(0.5, 3)]);
  assert.deepEqual([...pieces], [-1, 0, 0, 0]);
  assert.deepEqual([...found.over([xs, 1], 4, 0).columns[1]], [NaN, 2, 2, 2]);
  assert.deepEqual(found.valueAt([0.5, 2]), [f(0.5, 2), 0]);
  assert.deepEqual(found.valueAt([0.25, 2]), [NaN, -1]);
});

test("a curve gets finer while only its entry moves, and is another when others do", () => {
  const found = model();
  found.learn(answer([2, 1], { along: [0], xs: [0, 2] }));
  assert.deepEqual([...found.remote.line([2, 1], 0).x], [-1, 0, 1, 2, 3]);
  assert.equal(found.remote.line([2, 1], 1), undefined);
  for (let k = 0; k < 100; k++) found.learn(answer([k / 64, 2]));
  assert.ok(found.remote.lines.size < 50);
  assert.ok(found.remote.line([0.5, 9], 1)); // the page's own stay
});

test("a plane is read between its points, the finest first", () => {
  const found = model({ side: 5 });
  const at = (a, b) => found.over([Float64Array.of(a), Float64Array.of(b)], 1);
  assert.ok(Math.abs(at(0.3, 2.7).columns[0][0] - f(0.3, 2.7)) < 1e-6);
  assert.deepEqual([...at(3.01, 0).pieces], [-1]);
  assert.deepEqual([found.remote.side([[-1, 3], [-1, 3]]), found.remote.side([[0, 3], [-1, 3]])], [5, 0]);
  found.learn(answer([0.5, 1], { side: 9 }));
  assert.equal(found.remote.side([[-1, 3], [-1, 3]]), 9);
  const inside = answer([0.5, 1], { side: 5, low: 0, high: 1 });
  inside.plane.columns[0].fill(7);
  found.learn(inside);
  assert.equal(at(0.5, 0.5).columns[0][0], 7);
  assert.ok(Math.abs(at(2, 0.5).columns[0][0] - f(2, 0.5)) < 1e-6);
  for (let k = 1; k < 20; k++) found.learn(answer([0.5, 1], { side: 5, low: 5, high: 5 + k }));
  assert.ok(found.remote.planes.length <= 4);
  assert.equal(found.remote.side([[-1, 3], [-1, 3]]), 5); // the page's own stays
});

test("with no kernel the nearest stored point is shown", () => {
  const found = model({ side: 5 });
  const nearest = (wanted, before) => found.remote.nearest(wanted, before);
  const moved = nearest([0.5, 2.9], [0.5, 1]); // b alone: on the curve along it
  assert.deepEqual([moved.wish.point, moved.value, moved.slopes], [[0.5, 3], f(0.5, 3), [4, 2.5]]);
  found.learn(moved);
  assert.deepEqual(nearest([1.1, 1.8], [0.5, 3]).wish.point, [1, 2]); // of the plane
  assert.equal(nearest([1.1, 1.8], [0.5, 3]).value, f(1, 2));
  assert.deepEqual(nearest([0.5, 1.1], [0.5, 3]).wish.point, [0.5, 1]); // and back
});

test("a descent goes on from answers, and is not moved by a step that has none", () => {
  const found = model();
  const descent = new Descent(found);
  descent.momentum = 0.5;
  const start = found.at([0.5, 1]);
  const step = descent.next(start);
  assert.deepEqual(step.point, found.held([0.5 - 0.1 * 2, 1 - 0.1 * 2.5]));
  assert.deepEqual(descent.next(start), step); // nothing was reached
  descent.reach(step, { ...start, point: step.point, value: 2, word: "" });
  assert.match(descent.words(), /Step 1: the target fell from 3 to 2/);
  const second = descent.next({ ...start, point: step.point, value: 2 });
  assert.ok(second.point[0] < step.point[0] - 0.25); // momentum
  descent.reach(second, { ...start, value: NaN, word: "the cell raises there" });
  assert.equal(descent.words(), "Step 2: the cell raises there.");
});
