/** What is explored: sources, pieces and their programs; values at a point and over many. */

import { inDtype } from "./numbers.js";
import { numberOf, Program } from "./program.js";
import { Remote } from "./remote.js";
import { nearest, Table } from "./table.js";

function runnable(piece, table, remote) {
  if (piece.program) {
    try {
      return new Program(piece.program);
    } catch (error) {
      if (!table) throw error; // names the function
    }
  }
  return table ? new Table(table) : remote;
}

/**
 * `at`: {point, piece (−1: none holds), value, gradient, hessian, derivatives, registers}.
 */
export class Model {
  /** @param {object} payload */
  constructor(payload) {
    this.payload = payload;
    this.target = payload.target;
    this.sources = payload.sources.map((source) => {
      const [value, min, max, step] = ["value", "min", "max", "step"].map((k) =>
        numberOf(source[k]),
      );
      return { ...source, value, min, max, step };
    });
    this.order = payload.order ?? 1;
    this.remote = payload.kernel ? new Remote(this.sources) : null;
    if (this.remote) this.learn(payload.kernel);
    this.pieces = [];
    const pieces = payload.pieces?.length ? payload.pieces : [payload];
    for (const piece of pieces) this.add(piece);
    this.exact = this.pieces.some(({ program }) => program instanceof Program);
    this.start = this.held(this.sources.map(({ value }) => value));
    this.sources.forEach((source, k) => (source.value = this.start[k]));
  }

  get count() {
    return this.sources.length;
  }

  /** A branch that the kernel ran. */
  add(piece) {
    const program = runnable(piece, this.payload.table, this.remote);
    if (program) this.pieces.push({ ...piece, slots: piece.slots ?? [], program });
  }

  /** An answer of the kernel's. */
  learn(answer) {
    const { wish } = answer;
    this.remote.learn({ ...answer, wish: { ...wish, point: this.held(wish.point) } });
  }

  /** The point as the sources' dtypes hold it. */
  held(point) {
    const exact = point.map((value, k) => inDtype(value, this.sources[k].dtype));
    if (this.exact || !this.payload.table) return exact;
    const { x } = this.pieces[0].program;
    return [x[nearest(x, exact[0])]];
  }

  at(point) {
    for (let piece = 0; piece < this.pieces.length; piece++) {
      const { program } = this.pieces[piece];
      const registers = program.at(point);
      if (!program.holds(registers)) continue;
      const read = (k) => registers[k];
      return {
        point,
        piece,
        registers: registers.slice(),
        value: registers[program.value],
        derivatives: program.derivatives.map(read),
        gradient: program.gradient.map(read),
        hessian: program.hessian?.map((row) => row.map(read)) ?? null,
      };
    }
    const nothing = this.sources.map(() => NaN);
    return {
      point,
      piece: -1,
      registers: null,
      value: NaN,
      derivatives: [],
      gradient: nothing,
      hessian: null,
    };
  }

  /** [value, piece] at a point, in the least time; piece −1 where none holds. */
  valueAt(point) {
    for (let piece = 0; piece < this.pieces.length; piece++) {
      const [value, holds] = this.pieces[piece].program.valueAt(point);
      if (holds) return [value, piece];
    }
    return [NaN, -1];
  }

  /** Slopes along one source, order 1 first. */
  slopes(state, axis) {
    if (this.count === 1) return state.derivatives;
    const second = state.hessian?.[axis]?.[axis];
    return second === undefined ? [state.gradient[axis]] : [state.gradient[axis], second];
  }

  _registers({ program }, axis, orders) {
    if (axis === null) return [program.value];
    if (this.count === 1) return [program.value, ...program.derivatives.slice(0, orders)];
    const second = program.hessian?.[axis]?.[axis];
    const slopes = [program.gradient[axis], second].filter((k) => k !== undefined);
    return [program.value, ...slopes.slice(0, orders)];
  }

  /**
   * Value and slopes along `axis` (null: the value alone) up to that order, over n points: one
   * column each, nan where no piece holds; and the piece of each point, or −1.
   */
  over(inputs, n, axis = null, orders = Infinity) {
    const pieces = new Int8Array(n).fill(-1);
    let columns = null;
    this.pieces.forEach((piece, number) => {
      const found = piece.program.sweep(inputs, n, this._registers(piece, axis, orders));
      const held = piece.program.heldOver(inputs, n);
      columns ??= found.map(() => new Float64Array(n).fill(NaN));
      for (let i = 0; i < n; i++) {
        if (!held[i] || pieces[i] >= 0) continue;
        pieces[i] = number;
        for (let c = 0; c < columns.length; c++) columns[c][i] = found[c]?.[i] ?? NaN;
      }
    });
    return { columns: columns ?? [new Float64Array(n).fill(NaN)], pieces };
  }
}
