import assert from "node:assert/strict";
import { test } from "node:test";

import { Program } from "../../tapemagic/explorer/page/program.js";

const EXP = {
  inputs: 1,
  constants: [],
  ops: [
    ["exp", 0],
    ["neg", 1],
  ],
  value: 1,
  derivatives: [1, 2],
};
const SINGLE = (2 - 2 ** -23) * 2 ** 127;

test("numbers end where the dtype does, at a point and over many", () => {
  const single = new Program({ ...EXP, most: SINGLE });
  assert.deepEqual([...single.at([100])], [100, Infinity, -Infinity]);
  assert.deepEqual(single.valueAt([100]), [Infinity, true]);
  const [up, down] = single.sweep([Float64Array.of(0, 88, 89)], 3, [1, 2]);
  assert.deepEqual([...up], [1, Math.exp(88), Infinity]);
  assert.deepEqual([...down], [-1, -Math.exp(88), -Infinity]);
  assert.ok(Number.isFinite(new Program(EXP).at([100])[1])); // float64 holds it
});
