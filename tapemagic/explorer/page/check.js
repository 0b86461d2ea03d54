/** Is what the page computes what TensorFlow said, and what a difference quotient says? */

import { numberOf } from "./program.js";
import { nearest } from "./table.js";

const NO_QUOTIENT = "no finite difference: a kink, a jump or an end is too near";
const BESIDE = "agrees with a finite difference here and with TensorFlow's values beside it";
/** The longest words of a check. */
export const LONG_WORDS = [NO_QUOTIENT, BESIDE];

const LOOSE = { float16: 2e-2, bfloat16: 6e-2, float32: 2e-4, float64: 1e-8 };

function close(a, b, size, tolerance) {
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Object.is(a, b);
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b), size);
}

/** Checks at a point: {agrees: true|false|null, text}. */
export class Checker {
  constructor(model) {
    this.model = model;
    this.tolerance = Math.max(...model.sources.map(({ dtype }) => LOOSE[dtype] ?? LOOSE.float32));
    const { table } = model.payload;
    this.grid = table && model.exact ? this._onGrid(table) : null;
  }

  /** For each x of TensorFlow's table: whether value and slopes agree with ours. */
  _onGrid(table) {
    const xs = Float64Array.from(table.x, numberOf);
    const theirs = [table.y, ...(table.d ?? [])].map((column) =>
      Float64Array.from(column, numberOf),
    );
    const { columns, pieces } = this.model.over([xs], xs.length, 0, theirs.length - 1);
    const sizes = theirs.map((column) =>
      column.reduce((most, y) => (Number.isFinite(y) ? Math.max(most, Math.abs(y)) : most), 0),
    );
    const agrees = Array.from(
      xs,
      (_, i) =>
        pieces[i] < 0 ||
        theirs.every(
          (column, k) =>
            !columns[k] || close(column[i], columns[k][i], 1e-3 * sizes[k], this.tolerance),
        ),
    );
    return { xs, agrees };
  }

  at(state) {
    const { model } = this;
    const { check } = model.payload;
    if (check && state.point.every((value, k) => value === model.sources[k].value)) return check;
    if (state.piece < 0 || !Number.isFinite(state.value))
      return { agrees: null, text: "nothing to check here" };
    if (model.remote) return { agrees: true, text: "TensorFlow's own value, from the kernel" };
    if (!model.exact) return { agrees: true, text: "TensorFlow's own values, computed beforehand" };
    const node = this._node(state.point[0]);
    if (node === false) return { agrees: false, text: "differs from TensorFlow near here" };
    const quotient = this._quotients(state);
    if (quotient === null) return { agrees: null, text: NO_QUOTIENT };
    if (!quotient) return { agrees: false, text: "differs from a finite difference here" };
    return { agrees: true, text: node ? BESIDE : "agrees with a finite difference here" };
  }

  /** Whether TensorFlow's values beside x agree with ours; null where there are none. */
  _node(x) {
    if (!this.grid || !(x >= this.grid.xs[0] && x <= this.grid.xs.at(-1))) return null;
    return this.grid.agrees[nearest(this.grid.xs, x)];
  }

  /** Whether each slope is the quotient of a small step; null where there is none to compare. */
  _quotients(state) {
    const { model } = this;
    let verdict = true;
    for (let axis = 0; axis < model.count; axis++) {
      const x = state.point[axis];
      const step =
        1e-5 *
        Math.max(
          1e-3,
          Math.abs(x),
          0.01 * Math.abs(model.sources[axis].max - model.sources[axis].min),
        );
      const slope = state.gradient[axis] ?? state.derivatives[0];
      const size = (1e-8 * Math.abs(state.value)) / step + 1e-6;
      const [wide, narrow] = [step, step / 2].map((by) => this._sides(state, axis, by));
      if (![slope, ...wide, ...narrow].every(Number.isFinite)) return null;
      const bend = ([right, left]) => Math.abs(right - left);
      const mean = ([right, left]) => (right + left) / 2;
      const away = (sides) => Math.abs(mean(sides) - slope);
      const shrinks = (by) => by(narrow) < 0.75 * by(wide); // to 0, with the step
      if (!shrinks(bend) && bend(wide) > 1e-3 * size) return null;
      if (!shrinks(away) && !close(mean(wide), slope, size + bend(wide), 1e-3)) verdict = false;
    }
    return verdict;
  }

  /** The quotients of a step to the right and to the left; nan on another piece. */
  _sides(state, axis, step) {
    return [step, -step].map((by) => {
      const point = state.point.map((value, k) => (k === axis ? value + by : value));
      const [value, piece] = this.model.valueAt(point);
      return piece === state.piece ? (value - state.value) / by : NaN;
    });
  }
}
