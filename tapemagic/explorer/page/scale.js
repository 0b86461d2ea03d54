/** Numbers to pixels and back, and ticks at numbers that people count by. */

import { tickText } from "./numbers.js";

/** The nearest of 1, 2, 5 · 10ᵏ. */
export function niceStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  const lead = size / power;
  const factor = lead < 1.25 ? 1 : lead < 2.8 ? 2 : lead < 6.3 ? 5 : 10;
  return factor * power;
}

/** Whether a range is wide enough beside its numbers for ticks that differ. */
export function isWide([low, high]) {
  return high - low > 1e-6 * Math.max(Math.abs(low), Math.abs(high));
}

/** The multiples of `step` from `low` to `high`. Counted: a step may be too small to add. */
export function multiples(step, low, high) {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, k) => Number(((first + k) * step).toPrecision(12)) || 0);
}

/** A linear or logarithmic axis from `low` to `high` over `length` pixels, from `start` on. */
export class Scale {
  constructor(kind = "linear") {
    this.kind = kind;
    this.set(0, 1, 0, 1);
  }

  set(low, high, start, length) {
    Object.assign(this, { low, high, start, length });
    this._from = this._inner(low);
    this._rate = length / (this._inner(high) - this._from);
  }

  _inner(value) {
    return this.kind === "log" ? Math.log(Math.max(value, 1e-300)) : value;
  }

  pixel(value) {
    return this.start + (this._inner(value) - this._from) * this._rate;
  }

  value(pixel) {
    const inner = this._from + (pixel - this.start) / this._rate;
    return this.kind === "log" ? Math.exp(inner) : inner;
  }

  /** n values, evenly spaced in pixels. */
  samples(n) {
    const values = new Float64Array(n);
    for (let i = 0; i < n; i++) values[i] = this.value(this.start + (this.length * i) / (n - 1));
    values[0] = this.low;
    values[n - 1] = this.high;
    return values;
  }

  /** The range after a zoom by `factor` about the pixel `at`, moved by `shift` pixels. */
  changed(factor, at, shift = 0) {
    const ends = [this.start, this.start + this.length];
    return ends.map((end) => this.value(at + (end - at) * factor - shift));
  }

  /** [value, text] of each tick; about one in `every` pixels. */
  ticks(every) {
    const wanted = Math.max(2, Math.floor(Math.abs(this.length) / every));
    const decades = Math.log10(this.high / this.low);
    if (this.kind === "log" && decades >= 2) return this._powers(Math.ceil(decades / wanted));
    const step = niceStep((this.high - this.low) / wanted);
    return multiples(step, this.low, this.high).map((value) => [value, tickText(value, step)]);
  }

  _powers(stride) {
    const found = [];
    for (
      let k = Math.ceil(Math.log10(this.low) - 1e-9);
      10 ** k <= this.high * 1.000001;
      k += stride
    ) {
      found.push([10 ** k, tickText(10 ** k)]);
    }
    return found;
  }
}
