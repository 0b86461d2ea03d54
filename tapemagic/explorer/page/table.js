/** TensorFlow's own values at single points. */

import { numberOf } from "./program.js";

/** On a grid, where there is no program: like one with registers x, y, d…. */
export class Table {
  constructor(table) {
    this.x = Float64Array.from(table.x, numberOf);
    this.columns = [table.y, ...(table.d ?? [])].map((column) => column.map(numberOf));
    this.inputs = 1;
    this.value = 1;
    this.derivatives = (table.d ?? []).map((_, k) => k + 2);
    this.gradient = this.derivatives.slice(0, 1);
    this.hessian = null;
    this.guards = [];
  }

  at([x]) {
    const k = nearest(this.x, x);
    return [this.x[k], ...this.columns.map((column) => column[k])];
  }

  holds() {
    return true;
  }

  valueAt([x]) {
    return [this._between(x, this.value), true];
  }

  /** On the line through the points. */
  sweep([xs], n, wanted) {
    return wanted.map((k) => {
      return Float64Array.from({ length: n }, (_, i) =>
        this._between(typeof xs === "number" ? xs : xs[i], k),
      );
    });
  }

  _between(x, register) {
    return between(this.x, register ? this.columns[register - 1] : this.x, x);
  }

  heldOver(_, n) {
    return new Uint8Array(n).fill(1);
  }
}

/** On the line through the points (xs, ys), the xs ascending; nan outside of them. */
export function between(xs, ys, x) {
  if (!(x >= xs[0] && x <= xs[xs.length - 1])) return NaN;
  const k = nearest(xs, x);
  if (x === xs[k]) return ys[k];
  const low = x < xs[k] ? k - 1 : k;
  const share = (x - xs[low]) / (xs[low + 1] - xs[low]);
  return ys[low] + share * (ys[low + 1] - ys[low]);
}

/** The place of the entry of an ascending array that is nearest to `x`. */
export function nearest(xs, x) {
  let low = 0;
  let high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return x - xs[low] <= xs[high] - x ? low : high;
}
