/** A target that only the kernel can compute: what it has told by now. */

import { Line, Plane } from "./known.js";
import { numberOf } from "./program.js";

const LINES = 32; // curves that are kept
const PLANES = 3;
const OTHER = 1e-3; // what an entry counts that nobody moved

const same = (a, b) => a.length === b.length && a.every((value, k) => value === b[k]);

/** Like a program with the registers value, then the slopes. */
export class Remote {
  /** @param {object[]} sources */
  constructor(sources) {
    Object.assign(this, { sources, point: [], value: 0, hessian: null, guards: [] });
    Object.assign(this, { lines: new Map(), planes: [], stored: null });
    this.linked = false; // whether the kernel can be asked
  }

  get inputs() {
    return this.sources.length;
  }

  get gradient() {
    return this.sources.map((_, k) => k + 1);
  }

  /** Of a single entry. */
  get derivatives() {
    return this.inputs === 1 ? Array.from(this.registers.slice(1), (_, k) => k + 1) : [];
  }

  /**
   * What was known stays: a curve gets finer, a plane has finer ones within it. What the page
   * has from the beginning is `stored`, and stays for good.
   * @param {object} answer  see `explorer/answers.py`
   */
  learn({ wish, value, slopes, word, curves, plane }) {
    this.point = wish.point;
    this.registers = [value, ...slopes].map(numberOf);
    this.word = word;
    for (const curve of curves) {
      const key = this._key(this.point, curve.along);
      const line = new Line(this.point, curve).joined(this.line(this.point, curve.along));
      this.lines.delete(key); // the newest is the last
      this.lines.set(key, line);
    }
    while (this.lines.size > LINES) this.lines.delete(this.lines.keys().next().value);
    const first = this.stored?.planes ?? [];
    if (plane) {
      const made = new Plane(plane, this.sources);
      const others = this.planes.filter(
        (one) => !first.includes(one) && !same(one.ranges.flat(), made.ranges.flat()),
      );
      this.planes = [made, ...others.slice(0, PLANES - 1), ...first];
      this.planes.sort((a, b) => a.cell - b.cell);
    }
    this.stored ??= { lines: new Map(this.lines), planes: [...this.planes] };
  }

  /** Whether the last answer was about this point. */
  knows(point) {
    return same(this.point, point);
  }

  /** How many points the plane of these ranges has on each side by now. */
  side(ranges) {
    const flat = ranges.flat();
    return this.planes.find((plane) => same(plane.ranges.flat(), flat))?.side ?? 0;
  }

  line(point, along) {
    const key = this._key(point, along);
    return this.lines.get(key) ?? this.stored?.lines.get(key);
  }

  /** Whether these lines through a point can be drawn by what is known. */
  draws(point, lines) {
    return this.planes.length > 0 || lines.every(({ along }) => this.line(point, along));
  }

  _key(point, along) {
    return point.map((value, k) => (k === along ? "" : value)).join();
  }

  /**
   * The stored point nearest to a wanted one, as an answer: above all near in what was moved from
   * `before`.
   */
  nearest(wanted, before) {
    const weights = this.sources.map(({ min, max }, k) => {
      return (wanted[k] === before[k] ? OTHER : 1) / (max - min) ** 2;
    });
    let best = { away: Infinity };
    const look = (point, registers) => {
      const away = point.reduce((sum, x, k) => sum + weights[k] * (x - wanted[k]) ** 2, 0);
      if (away < best.away) best = { away, point, registers };
    };
    for (const known of [...this.stored.lines.values(), ...this.stored.planes]) known.each(look);
    const [value, ...slopes] = best.registers();
    return { wish: { point: best.point }, value, slopes, word: "", curves: [], plane: null };
  }

  at() {
    return this.registers;
  }

  holds() {
    return true;
  }

  /** On a curve through the point, or in a plane; where neither is known, nothing holds. */
  valueAt(point) {
    if (this.knows(point)) return [this.registers[0], true];
    const moved = point.findIndex((value, k) => value !== this.point[k]);
    const inputs = point.map((value, k) => (k === moved ? [value] : value));
    const found = this._reader(inputs)(0, 0);
    return [found ?? NaN, found !== undefined];
  }

  sweep(inputs, n, wanted) {
    const read = this._reader(inputs);
    return wanted.map((register) =>
      Float64Array.from({ length: n }, (_, i) => read(i, register) ?? NaN),
    );
  }

  heldOver(inputs, n) {
    const read = this._reader(inputs);
    return Uint8Array.from({ length: n }, (_, i) => Number(read(i, 0) !== undefined));
  }

  /** What gives a register at the i-th of many points, undefined where it is not known. */
  _reader(inputs) {
    const at = inputs.map((input) => (typeof input === "number" ? () => input : (i) => input[i]));
    const moving = inputs.flatMap((input, k) => (typeof input === "number" ? [] : [k]));
    const line = moving.length === 1 ? this.line(inputs, moving[0]) : undefined;
    if (line) return (i, register) => line.at(at[moving[0]](i), register);
    return (i, register) => {
      for (const plane of this.planes) {
        const found = plane.at(at[0](i), at[1](i), register);
        if (found !== undefined) return found;
      }
      return undefined;
    };
  }
}
