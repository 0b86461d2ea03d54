/** A target that only the kernel can compute: what it answered last. */

import { numberOf } from "./program.js";
import { Table } from "./table.js";

const SAME = (a, b) => a.length === b.length && a.every((value, k) => Object.is(value, b[k]));

/** Like a program with the registers value, ∂/∂ first entry, ∂/∂ second entry …. */
export class Remote {
  constructor() {
    Object.assign(this, { point: [], value: 0, hessian: null, guards: [] });
  }

  get inputs() {
    return this.point.length;
  }

  get gradient() {
    return this.point.map((_, k) => k + 1);
  }

  get derivatives() {
    return this.inputs === 1 ? [1] : [];
  }

  /**
   * Once the point moves, the curve along another entry is another one.
   * @param {object} answer  see `explorer/answers.py`
   */
  learn({ point, value, gradient, along, curve, finished }) {
    if (!SAME(this.point, point)) this.curves = point.map(() => null);
    this.point = point;
    this.registers = [value, ...gradient].map(numberOf);
    this.curves[along] = Object.assign(new Table(curve), { finished });
  }

  /** Whether the last answer was about this point. */
  knows(point) {
    return SAME(this.point, point);
  }

  /** Whether it was also about the curve along this entry. */
  answers(point, along) {
    return this.knows(point) && this.curves[along] !== null;
  }

  /** Whether the kernel has no more points of that curve to tell. */
  finished(along) {
    return this.curves[along].finished;
  }

  at() {
    return this.registers;
  }

  holds() {
    return true;
  }

  /** At points of a known curve alone. */
  valueAt(point) {
    const moved = point.findIndex((value, k) => value !== this.point[k]);
    if (moved < 0) return [this.registers[0], true];
    const curve = this.curves[moved];
    return [curve ? curve.valueAt([point[moved]])[0] : NaN, true];
  }

  sweep(inputs, n, wanted) {
    const along = inputs.findIndex((input) => typeof input !== "number");
    const curve = this.curves[along];
    if (!curve) return wanted.map(() => new Float64Array(n).fill(NaN));
    const place = (register) => (register === 0 ? curve.value : curve.derivatives[0]);
    return curve.sweep([inputs[along]], n, wanted.map(place));
  }

  heldOver(_, n) {
    return new Uint8Array(n).fill(1);
  }
}
