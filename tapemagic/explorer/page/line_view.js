/** The target along one source: its graph, the point, the tangent, and what is asked for besides. */

import { fittingRange, trace } from "./curve.js";
import { h, s, set, setText } from "./dom.js";
import { groundMarks } from "./marks.js";
import { gestures } from "./gestures.js";
import { brief } from "./numbers.js";
import { Panel } from "./panel.js";
import { isWide } from "./scale.js";
import { derivativeName, heightsOf, inView } from "./words.js";

const SAMPLES = 480;

export class LineView {
  /**
   * @param {import("./model.js").Model} model
   * @param {number} axis  which source
   * @param {{move: function(number): void, secant?: function(number): void, view?: function(): void}} does
   * @param {{height?: number}} options
   */
  constructor(model, axis, does, { height = 0 } = {}) {
    Object.assign(this, { model, axis, does, height });
    this.source = model.sources[axis];
    this.on = { derivatives: new Set(), taylor: 0, secant: null };
    this.path = [];
    const names = { xKind: this.source.scale, xName: this.source.text };
    this.main = new Panel({
      ...names,
      yName: model.target.text,
      title: `${model.target.text} against ${this.source.text}`,
    });
    this.panels = [];
    this.draws = {};
    for (const name of ["curve", "taylor", "secant", "tangent"]) this._line(this.main, name);
    this.descent = this._mark("path", { class: "descent" });
    this.steps = this._mark("path", { class: "descent-steps" });
    this.drop = this._mark("path", { class: "drop" });
    this.hovered = this._mark("circle", { class: "hovered", r: 5 });
    this.aimed = this._mark("circle", { class: "aimed", r: 9 });
    this.second = this._mark("circle", { class: "second", r: 8 });
    this.dot = this._mark("circle", { class: "dot", r: 9 });
    this.tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.below = h("div", { class: "below" });
    const parts = [this.main.svg, this.main.keys, this.tip, this.below];
    this.element = h("div", { class: "line-view" }, ...parts);
    this.main.focusable();
    this._listen(this.main);
    this.fit();
  }

  _line(panel, name) {
    this.draws[name] = s("path", { class: `curve ${name}`, d: "M-9 -9" });
    panel.layer.curves.append(this.draws[name]);
  }

  _mark(tag, attributes) {
    const mark = s(tag, attributes);
    this.main.layer.marks.append(mark);
    return mark;
  }

  _listen(panel) {
    const handle = (mark, move) => ({
      x: Number(mark.getAttribute("cx")),
      y: Number(mark.getAttribute("cy")),
      move,
    });
    const there = (px) => this.snapped(this.main.xScale.value(px));
    gestures(panel.svg, {
      handles: () => {
        const found = [handle(this.dot, (px) => this.does.move(there(px)))];
        if (this.on.secant !== null)
          found.unshift(handle(this.second, (px) => this.does.secant(there(px))));
        return found;
      },
      pan: (dx, dy) => this.pan(dx, dy),
      tap: (px, py) => panel.contains(px, py) && this.does.move(there(px)),
      hover: (px, py) => this._hover(panel.contains(px, py) ? px : NaN),
      zoom: (factor, px, py) => this.zoom(factor, px, py),
      fit: () => {
        this.fit();
        this.does.view?.();
      },
    });
  }

  /** Near a pixel, the number that takes the fewest digits. */
  snapped(x) {
    const { step, scale } = this.source;
    if (scale === "log") return Number(x.toPrecision(3));
    const pixel = (this.range[1] - this.range[0]) / this.main.box.width;
    const fine = Math.min(step, 10 ** Math.floor(Math.log10(pixel * 2)));
    const grain = pixel * 2 >= step || !(fine > 0) ? step : fine;
    return Number((Math.round(x / grain) * grain).toPrecision(12));
  }

  // ---- what is in view --------------------------------------------------------------------------

  fit() {
    const { min, max } = this.source;
    const room = this.source.scale === "log" ? 0 : 0.03 * (max - min);
    this.range = [min - room, max + room];
    this.heights = null;
    this.stale = true;
  }

  zoom(factor, px = null, py = null) {
    const { box, xScale, yScale } = this.main;
    const next = [
      xScale.changed(factor, px ?? box.left + box.width / 2),
      yScale.changed(factor, py ?? box.top + box.height / 2),
    ];
    if (!next.every(isWide)) return;
    [this.range, this.heights] = next;
    this._seen();
  }

  pan(dx, dy) {
    this.range = this.main.xScale.changed(1, 0, dx);
    this.heights = this.main.yScale.changed(1, 0, dy);
    this._seen();
  }

  /** The view grows until it holds `x` and `y`, within reason. */
  include(x, y) {
    const near = ([low, high], value) => Math.abs(value - (low + high) / 2) < 1e4 * (high - low);
    if (!near(this.range, x) || !near(this.heights ?? this.shownHeights, y)) return;
    const grown = ([low, high], value) => {
      const room = 0.1 * (high - low);
      return [value < low ? value - room : low, value > high ? value + room : high];
    };
    const range = grown(this.range, x);
    const heights = grown(this.heights ?? this.shownHeights, y);
    if (
      range.some((end, k) => end !== this.range[k]) ||
      heights.some((end, k) => end !== this.shownHeights[k])
    ) {
      this.range = range;
      this.heights = heights;
      this.stale = true;
    }
  }

  _seen() {
    this.stale = true;
    this.does.view?.();
  }

  resize(width, unit) {
    Object.assign(this, { width, unit });
    const last = this.panels.length;
    const high = this.height || Math.round(Math.max(230, Math.min(350 * unit, 0.46 * width)));
    this.main.resize(width, high, unit, last === 0);
    this.panels.forEach(({ panel }, k) => panel.resize(width, 132 * unit, unit, k === last - 1));
    this.stale = true;
  }

  // ---- derivatives, Taylor, secant --------------------------------------------------------------

  /** Panels below for the derivatives of these orders. */
  showDerivatives(orders) {
    this.on.derivatives = new Set(orders);
    this.panels = [...orders].sort().map((order) => this._panelOf(order));
    this.below.replaceChildren(...this.panels.map(({ panel }) => panel.svg));
    if (this.width) this.resize(this.width, this.unit);
  }

  _panelOf(order) {
    const name = derivativeName(this.model, this.axis, order);
    const panel = new Panel({
      xKind: this.source.scale,
      xName: this.source.text,
      yName: name,
      title: `${name} against ${this.source.text}`,
    });
    const line = s("path", { class: `curve order-${order}` });
    const drop = s("path", { class: "drop" });
    const dot = s("circle", { class: `dot order-${order}`, r: 7 });
    panel.layer.curves.append(line);
    panel.layer.marks.append(drop, dot);
    this._listen(panel);
    return { order, panel, line, drop, dot };
  }

  // ---- drawing ----------------------------------------------------------------------------------

  _probe(point, column) {
    const at = [...point];
    if (column === 0) {
      return (x) => {
        at[this.axis] = x;
        return this.model.valueAt(at);
      };
    }
    const probe = Float64Array.of(0);
    return (x) => {
      probe[0] = x;
      const inputs = point.map((value, k) => (k === this.axis ? probe : value));
      const { columns, pieces } = this.model.over(inputs, 1, this.axis, column);
      return [columns[column]?.[0] ?? NaN, pieces[0]];
    };
  }

  _retrace(state) {
    this.main.xScale.set(...this.range, this.main.box.left, this.main.box.width);
    const xs = this.main.xScale.samples(SAMPLES);
    const inputs = state.point.map((value, k) => (k === this.axis ? xs : value));
    const orders = Math.max(1, ...this.panels.map(({ order }) => order));
    const { columns, pieces } = this.model.over(inputs, SAMPLES, this.axis, orders);
    const graph = trace(xs, columns[0], pieces, this._probe(state.point, 0));
    const also =
      state.point[this.axis] >= this.range[0] && state.point[this.axis] <= this.range[1]
        ? [state.value]
        : [];
    this.shownHeights = this.heights ?? fittingRange(columns[0], also);
    const heights = this.panels.map(({ order }) => fittingRange(columns[order]));
    const begin = Math.max(
      this.main.begins(this.shownHeights),
      ...this.panels.map(({ panel }, k) => panel.begins(heights[k])),
    );
    this.main.show(this.range, this.shownHeights, begin);
    this.values = columns[0];
    this.draws.curve.setAttribute("d", this.main.path(graph.segments));
    const slope = columns[1]
      ? trace(xs, columns[1], pieces, this._probe(state.point, 1))
      : { jumps: [] };
    const value = (x) => this._probe(state.point, 0)(x)[0];
    this.main.layer.ground.replaceChildren(...groundMarks(this.main, graph, slope, value));
    this.panels.forEach(({ order, panel, line }, k) => {
      const found =
        order === 1 ? slope : trace(xs, columns[order], pieces, this._probe(state.point, order));
      panel.show(this.range, heights[k], begin);
      line.setAttribute("d", panel.path(found.segments));
    });
    this.describe();
  }

  /** Draw the point, and the curves too if they may be others. */
  show(state) {
    const key = state.point.filter((_, k) => k !== this.axis).join();
    this.point = state.point;
    this.state = state;
    if (this.stale || key !== this.others) this._retrace(state);
    this.others = key;
    this.stale = false;
    this._point(state);
    this._overlays(state);
    if (this.path.length) this._descent();
  }

  /** The main picture in words; `told` of the point. */
  describe(...told) {
    this.main.describe(`${inView(this.source, this.range)}, ${heightsOf(this.values)}`, ...told);
  }

  /** What of the kernel's is shown. */
  wish() {
    const also = this.on.secant === null ? [] : [this.on.secant];
    return { lines: [{ along: this.axis, span: this.range, also }], plane: null };
  }

  /** Where the point is to be, once the kernel has answered. */
  aim(point) {
    const y = point ? this.model.valueAt(point)[0] : NaN;
    const known = Number.isFinite(y);
    set(this.aimed, {
      cx: known ? this.main.x(point[this.axis]) : -99,
      cy: known ? this.main.y(y) : -99,
    });
  }

  _point(state) {
    const x = this.main.x(state.point[this.axis]);
    const { top, height } = this.main.box;
    const known = Number.isFinite(state.value);
    set(this.dot, { cx: x, cy: known ? this.main.y(state.value) : -99 });
    set(this.drop, { d: `M${x} ${top}v${height}` });
    const slopes = this.model.slopes(state, this.axis);
    for (const { order, panel, drop, dot } of this.panels) {
      const y = slopes[order - 1];
      set(dot, { cx: x, cy: Number.isFinite(y) ? panel.y(y) : -99 });
      set(drop, { d: `M${x} ${panel.box.top}v${panel.box.height}` });
    }
  }

  _overlays(state) {
    const x0 = state.point[this.axis];
    const slopes = this.model.slopes(state, this.axis);
    const taylor = (n) => (x) => {
      let sum = 0;
      for (let k = n; k > 0; k--) sum = ((sum + slopes[k - 1]) * (x - x0)) / k;
      return state.value + sum;
    };
    this.draws.tangent.setAttribute("d", this.main.graph(taylor(1), true));
    const n = Math.min(this.on.taylor, slopes.length);
    this.draws.taylor.setAttribute("d", n > 1 ? this.main.graph(taylor(n)) : "M-9 -9");
    this._secant(state);
  }

  _secant(state) {
    const x = this.on.secant;
    const other = x === null ? NaN : this._probe(state.point, 0)(x)[0];
    const x0 = state.point[this.axis];
    this.secantSlope = (other - state.value) / (x - x0);
    const line = (at) => state.value + this.secantSlope * (at - x0);
    this.draws.secant.setAttribute(
      "d",
      Number.isFinite(this.secantSlope) ? this.main.graph(line, true) : "M-9 -9",
    );
    set(this.second, {
      cx: x === null ? -99 : this.main.x(x),
      cy: Number.isFinite(other) ? this.main.y(other) : -99,
    });
  }

  /** The steps of a descent: [[x, y], …]. */
  showPath(path) {
    this.path = path;
    if (path.length) this.include(...path.at(-1));
    else for (const mark of [this.descent, this.steps]) mark.setAttribute("d", "M-9 -9");
  }

  _descent() {
    const line = this.main.path([this.path.filter(([, y]) => Number.isFinite(y))]);
    this.descent.setAttribute("d", line);
    this.steps.setAttribute("d", line.replaceAll("L", "M").replace(/(M[^M]+)/g, "$1h.1"));
  }

  _hover(px) {
    const show = Number.isFinite(px);
    this.tip.hidden = !show;
    if (!show) return this.hovered.setAttribute("cx", -99);
    const x = this.main.xScale.value(px);
    const y = this._probe(this.point, 0)(x)[0];
    set(this.hovered, { cx: px, cy: Number.isFinite(y) ? this.main.y(y) : -99 });
    setText(
      this.tip,
      `${this.source.text} = ${brief(x)}   ${this.model.target.text} = ${brief(y, 5)}`,
    );
    return undefined;
  }
}
