/**
 * Straight-line programs over registers (see `explorer/program.py`), interpreted: no text is ever
 * evaluated. Each op runs over a block of points at once, so that its dispatch costs nothing.
 */

import { BINARY, NARY, UNARY } from "./elementary.js";
import { BESSEL } from "./bessel.js";
import { SPECIAL_BINARY, SPECIAL_UNARY } from "./special.js";

const BLOCK = 64; // points at once: a thousand registers of them still fit the cache

/** A number that went through JSON, which lacks some. */
export function numberOf(stored) {
  if (typeof stored === "number") return stored;
  const known = { inf: Infinity, "-inf": -Infinity };
  return known[stored] ?? NaN;
}

/** An op over a block: `r` the registers, `out` and `at` offsets into it, `n` points. */
const LOOPS = {
  add(r, out, at, n) {
    const [a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = r[a + i] + r[b + i];
  },
  sub(r, out, at, n) {
    const [a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = r[a + i] - r[b + i];
  },
  mul(r, out, at, n) {
    const [a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = r[a + i] * r[b + i];
  },
  div(r, out, at, n) {
    const [a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = r[a + i] / r[b + i];
  },
  neg(r, out, at, n) {
    const a = at[0];
    for (let i = 0; i < n; i++) r[out + i] = -r[a + i];
  },
  pow(r, out, at, n) {
    const [a, b] = at;
    for (let i = 0; i < n; i++) {
      const base = r[a + i];
      const exponent = r[b + i];
      r[out + i] = exponent === 2 ? base * base : BINARY.pow(base, exponent);
    }
  },
  where(r, out, at, n) {
    const [c, a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = r[c + i] !== 0 ? r[a + i] : r[b + i];
  },
};

function unaryLoop(f) {
  return (r, out, at, n) => {
    const a = at[0];
    for (let i = 0; i < n; i++) r[out + i] = f(r[a + i]);
  };
}

function binaryLoop(f) {
  return (r, out, at, n) => {
    const [a, b] = at;
    for (let i = 0; i < n; i++) r[out + i] = f(r[a + i], r[b + i]);
  };
}

function naryLoop(f) {
  return (r, out, at, n) => {
    const values = new Array(at.length);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < at.length; k++) values[k] = r[at[k] + i];
      r[out + i] = f(...values);
    }
  };
}

function allLoops() {
  const loops = new Map();
  const add = (table, make) => {
    for (const [name, f] of Object.entries(table)) loops.set(name, make(f));
  };
  add({ ...UNARY, ...SPECIAL_UNARY, ...BESSEL }, unaryLoop);
  add({ ...BINARY, ...SPECIAL_BINARY }, binaryLoop);
  add(NARY, naryLoop);
  for (const [name, loop] of Object.entries(LOOPS)) loops.set(name, loop);
  return loops;
}

const OPERATIONS = allLoops();

/** Names of all ops that a program may hold. */
export const OPERATION_NAMES = [...OPERATIONS.keys()].sort();

/** A program made ready to run. Throws an Error that names an op it does not know. */
export class Program {
  constructor(data) {
    this.inputs = data.inputs;
    this.value = data.value;
    this.derivatives = data.derivatives ?? [];
    this.gradient = data.gradient?.length ? data.gradient : this.derivatives.slice(0, 1);
    this.hessian = data.hessian ?? null;
    this.guards = data.guards ?? [];
    this.most = data.most ?? Infinity; // beyond is infinity, as the target's dtype has it
    this.constants = data.constants.map(numberOf);
    const first = data.inputs + data.constants.length;
    this.size = first + data.ops.length;
    this.steps = data.ops.map(([name, ...at], k) => {
      const loop = OPERATIONS.get(name);
      if (loop === undefined) throw new Error(`no function ${name} in the page`);
      return { loop, register: first + k, at };
    });
    this.lastForValue = Math.max(this.value, ...this.guards.map(([k]) => k));
    this._wide = this._memory(BLOCK);
    this._narrow = this._memory(1);
  }

  /** All registers at one point, or those up to `last`. The next call overwrites the array. */
  at(point, last = this.size - 1) {
    this._narrow.r.set(point.slice(0, this.inputs));
    this._run(this._narrow, 1, last);
    return this._held(this._narrow.r, last + 1);
  }

  /** The value at a point, and whether the recorded path holds there: no slopes are computed. */
  valueAt(point) {
    const registers = this.at(point, this.lastForValue);
    return [registers[this.value], this.holds(registers)];
  }

  /** Whether the path that was recorded holds, by the registers `at` a point. */
  holds(registers) {
    return this.guards.every(([k, wanted]) => (registers[k] !== 0) === (wanted !== 0));
  }

  /**
   * The `wanted` registers over n points. Each input is an array of n numbers, or one number for
   * all of them. Gives the arrays in the order of `wanted`.
   */
  sweep(inputs, n, wanted) {
    const results = wanted.map(() => new Float64Array(n));
    const { r, width } = this._wide;
    const last = Math.max(...wanted, -1);
    for (let start = 0; start < n; start += BLOCK) {
      const count = Math.min(BLOCK, n - start);
      inputs.forEach((input, k) => {
        const from = k * width;
        if (typeof input === "number") r.fill(input, from, from + count);
        else r.set(input.subarray(start, start + count), from);
      });
      this._run(this._wide, count, last);
      wanted.forEach((k, place) => {
        results[place].set(r.subarray(k * width, k * width + count), start);
      });
    }
    return results.map((column) => this._held(column, n));
  }

  /** Over n points: 1 where the recorded path holds. */
  heldOver(inputs, n) {
    const held = new Uint8Array(n).fill(1);
    const found = this.sweep(
      inputs,
      n,
      this.guards.map(([k]) => k),
    );
    this.guards.forEach(([, wanted], g) => {
      const column = found[g];
      for (let i = 0; i < n; i++) if ((column[i] !== 0) !== (wanted !== 0)) held[i] = 0;
    });
    return held;
  }

  _memory(width) {
    const r = new Float64Array(this.size * width);
    this.constants.forEach((value, k) => {
      const from = (this.inputs + k) * width;
      r.fill(value, from, from + width);
    });
    const steps = this.steps.map(({ loop, register, at }) => {
      return { loop, out: register * width, at: at.map((k) => k * width) };
    });
    return { r, width, steps };
  }

  _run({ r, steps }, n, last) {
    const count = last - (this.size - steps.length) + 1;
    for (let k = 0; k < count; k++) {
      const { loop, out, at } = steps[k];
      loop(r, out, at, n);
    }
  }

  /** The first n of some numbers as the target's dtype holds them, in place. */
  _held(numbers, n) {
    const { most } = this;
    for (let k = 0; k < n; k++) {
      if (numbers[k] > most) numbers[k] = Infinity;
      else if (numbers[k] < -most) numbers[k] = -Infinity;
    }
    return numbers;
  }
}
