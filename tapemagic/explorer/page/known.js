/** Points that the kernel told: on a curve, over a plane. Undefined is what it did not tell. */

import { numberOf } from "./program.js";
import { Scale } from "./scale.js";
import { between } from "./table.js";

/** Along one entry, the others as in `point`; columns are the value, then the slopes. */
export class Line {
  constructor(point, { along, x, columns }) {
    Object.assign(this, { point, along, x: Float64Array.from(x) });
    this.columns = columns.map((column) => Float64Array.from(column, numberOf));
  }

  /** With the points of another on the same line. */
  joined(other) {
    if (!other) return this;
    const places = new Map();
    for (const line of [other, this]) line.x.forEach((x, i) => places.set(x, [line, i]));
    const x = [...places.keys()].sort((a, b) => a - b);
    const columns = this.columns.map((_, c) =>
      x.map((value) => {
        const [line, i] = places.get(value);
        return line.columns[c][i];
      }),
    );
    return new Line(this.point, { along: this.along, x, columns });
  }

  at(x, column) {
    const inside = x >= this.x[0] && x <= this.x.at(-1);
    return inside ? between(this.x, this.columns[column], x) : undefined;
  }

  each(look) {
    this.x.forEach((x, i) => {
      look(
        this.point.map((value, k) => (k === this.along ? x : value)),
        () => this.columns.map((column) => column[i]),
      );
    });
  }
}

/** A grid over two entries, row by row from below. */
export class Plane {
  constructor({ ranges, side, columns }, sources) {
    Object.assign(this, { ranges, side });
    this.columns = columns.map((column) => Float64Array.from(column, numberOf));
    this.scales = ranges.map(([low, high], k) => {
      const scale = new Scale(sources[k].scale);
      scale.set(low, high, 0, side - 1);
      return scale;
    });
    this.cell = ranges.reduce((area, [low, high]) => (area * (high - low)) / (side - 1), 1);
  }

  /** Between the four points around. */
  at(a, b, column) {
    const last = this.side - 1;
    const [u, v] = [this.scales[0].pixel(a), this.scales[1].pixel(b)];
    const inside = (place) => place > -1e-9 && place < last + 1e-9;
    if (!inside(u) || !inside(v)) return undefined;
    const [i, j] = [u, v].map((place) => Math.max(0, Math.min(last - 1, Math.floor(place))));
    const z = (di, dj) => this.columns[column][(j + dj) * this.side + i + di];
    const row = (dj) => z(0, dj) + (u - i) * (z(1, dj) - z(0, dj));
    return row(0) + (v - j) * (row(1) - row(0));
  }

  each(look) {
    const [xs, ys] = this.scales.map((scale) => scale.samples(this.side));
    ys.forEach((y, j) =>
      xs.forEach((x, i) => {
        look([x, y], () => this.columns.map((column) => column[j * this.side + i]));
      }),
    );
  }
}
