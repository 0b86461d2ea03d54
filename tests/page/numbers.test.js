import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  brief,
  fenced,
  inDtype,
  parseNumber,
  spelled,
  tickText,
  written,
} from "../../tapemagic/explorer/page/numbers.js";
import { numberOf } from "../../tapemagic/explorer/page/program.js";

test("numbers are written as Python writes them", () => {
  const cases = JSON.parse(readFileSync(process.env.TAPEMAGIC_WRITTEN, "utf8"));
  assert.ok(cases.length > 1000);
  for (const [value, dtype, text, exact] of cases) {
    const found = spelled(numberOf(value), dtype);
    assert.deepEqual([found.text, found.exact], [text, exact], `${value} in ${dtype}`);
  }
});

test("a tick alone needs no step, a level between near ones shows it", () => {
  const texts = [0, -0, 250000000, -1e-5].map((value) => tickText(value));
  assert.deepEqual(texts, ["0", "0", "2.5·10⁸", "−10⁻⁵"]);
  assert.equal(tickText(12345.67, 0.01), "12345.67");
});

test("dtypes round as they should", () => {
  assert.equal(inDtype(0.1, "float32"), Math.fround(0.1));
  assert.equal(inDtype(1 + 2 ** -11, "float16"), 1);
  assert.equal(inDtype(1 + 3 * 2 ** -11, "float16"), 1 + 2 ** -9);
  assert.equal(inDtype(65520, "float16"), Infinity);
  assert.equal(inDtype(1.00390625, "bfloat16"), 1);
});

test("what people type is read as a number or not at all", () => {
  const near = (text, value) => assert.ok(Math.abs(parseNumber(text) - value) < 1e-15, text);
  for (const [text, value] of [
    ["2", 2],
    [" -1/3 ", -1 / 3],
    ["pi/2", Math.PI / 2],
    ["1e-3", 1e-3],
    ["−2^2", -4],
    ["2*(1+.5)", 3],
    ["√2", Math.SQRT2],
    ["sqrt(4)", 2],
    ["2**3", 8],
    ["e", Math.E],
    ["2π", 2 * Math.PI],
    ["-3pi/4", (-3 * Math.PI) / 4],
    ["2(1+1)√4", 8],
  ]) {
    near(text, value);
  }
  for (const text of [
    "",
    "x",
    "2 3",
    "1e",
    "pie",
    "1/0",
    "(1",
    "1)",
    "alert(1)",
    "2;3",
    "__import__('os')",
    "constructor",
    "1,5",
    "0x10",
    "1".repeat(99),
  ]) {
    assert.equal(parseNumber(text), null, text);
  }
});

test("brackets where the place asks for them", () => {
  assert.equal(fenced("−2", "negative"), "(−2)");
  assert.equal(fenced("−2", null), "−2");
  assert.equal(fenced("1.2·10⁻⁷", "negative"), "1.2·10⁻⁷");
  assert.equal(fenced("1.2·10⁻⁷", "product"), "(1.2·10⁻⁷)");
  assert.equal(fenced("10", "product"), "10");
});

test("short forms", () => {
  assert.deepEqual(
    [brief(0.1 + 0.2), brief(1234567), brief(NaN), written(-0)],
    ["0.3", "1235000", "nan", "−0"],
  );
  assert.equal(tickText(0), "0"); // a contour's
});
