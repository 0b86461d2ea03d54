/** The target over two sources: contours on a tinted field, the gradient, the point to drag. */

import { h, s, set, setText } from "./dom.js";
import { contourLines, steepness, tint } from "./field.js";
import { gestures } from "./gestures.js";
import { LineView } from "./line_view.js";
import { brief } from "./numbers.js";
import { Panel } from "./panel.js";
import { isWide } from "./scale.js";
import { heightsOf, inView } from "./words.js";

const GRID = 80;

export class PlaneView {
  /** @param {{move: function(number[]): void, view?: function(): void}} does  */
  constructor(model, does) {
    Object.assign(this, { model, does, path: [] });
    const [a, b] = model.sources;
    const title = `contours of ${model.target.text} over ${a.text} and ${b.text}`;
    this.main = new Panel({ xKind: a.scale, yKind: b.scale, xName: a.text, yName: b.text, title });
    this.main.focusable();
    const head = s(
      "marker",
      {
        id: `head-${Math.random().toString(36).slice(2)}`,
        class: "head",
        viewBox: "0 0 10 10",
        refX: 8,
        refY: 5,
        markerWidth: 4.5,
        markerHeight: 4.5,
        orient: "auto-start-reverse",
      },
      s("path", { d: "M0 0L10 5L0 10z" }),
    );
    this.field = s("image", { preserveAspectRatio: "none" });
    this.lines = s("g", { class: "contours" });
    this.main.layer.ground.append(this.field);
    this.main.layer.curves.append(this.lines, head);
    this.descent = this._mark("path", { class: "descent" });
    this.steps = this._mark("path", { class: "descent-steps" });
    this.cross = this._mark("path", { class: "drop" });
    this.halo = this._mark("path", { class: "halo" });
    this.arrow = this._mark("path", { class: "arrow", "marker-end": `url(#${head.id})` });
    this.aimed = this._mark("circle", { class: "aimed", r: 9 });
    this.dot = this._mark("circle", { class: "dot", r: 9 });
    this.tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.fineness = model.remote ? h("p", { class: "hint" }) : null;
    this.slices = model.sources.map((_, axis) => this._slice(axis));
    const slices = this.slices.map(({ element }) => h("div", { class: "slice" }, element));
    this.element = h(
      "div",
      { class: "plane-view" },
      h("div", { class: "map" }, this.main.svg, this.main.keys, this.tip, this.fineness),
      h("div", { class: "slices" }, ...slices),
    );
    this._listen();
    this.fit();
  }

  _mark(tag, attributes) {
    const mark = s(tag, attributes);
    this.main.layer.marks.append(mark);
    return mark;
  }

  _slice(axis) {
    const move = (value) => this.does.move(this.point.map((old, k) => (k === axis ? value : old)));
    return new LineView(this.model, axis, { move, view: this.does.view }, { height: 190 });
  }

  _listen() {
    const { main } = this;
    const there = (px, py) =>
      [main.xScale.value(px), main.yScale.value(py)].map((value, axis) =>
        this.slices[axis].snapped(value),
      );
    gestures(main.svg, {
      handles: () => [
        {
          x: Number(this.dot.getAttribute("cx")),
          y: Number(this.dot.getAttribute("cy")),
          move: (px, py) => this.does.move(there(px, py)),
        },
      ],
      pan: (dx, dy) => this._change(main.xScale.changed(1, 0, dx), main.yScale.changed(1, 0, dy)),
      tap: (px, py) => main.contains(px, py) && this.does.move(there(px, py)),
      hover: (px, py) => this._hover(px, py),
      zoom: (factor, px, py) => this.zoom(factor, px, py),
      fit: () => {
        this.fit();
        this.does.view?.();
      },
    });
  }

  // ---- what is in view --------------------------------------------------------------------------

  fit() {
    const [a, b] = this.model.sources;
    this.ranges = [
      [a.min, a.max],
      [b.min, b.max],
    ];
    this.fitted = true;
    for (const slice of this.slices) slice.fit();
    this.stale = true;
  }

  zoom(factor, px = null, py = null) {
    const { box, xScale, yScale } = this.main;
    const next = [
      xScale.changed(factor, px ?? box.left + box.width / 2),
      yScale.changed(factor, py ?? box.top + box.height / 2),
    ];
    if (next.every(isWide)) this._change(...next);
  }

  _change(x, y) {
    this.ranges = [x, y];
    this.fitted = false;
    this.stale = true;
    this.does.view?.();
  }

  resize(width, unit) {
    const wide = width >= 720;
    this.element.classList.toggle("wide", wide);
    const own = wide ? Math.round(width * 0.6) : width;
    const high = Math.round(Math.max(260, Math.min(430 * unit, own * 0.8)));
    this.main.resize(own, high, unit);
    const rest = wide ? width - own - 12 : width;
    for (const slice of this.slices) {
      slice.height = wide ? Math.round(high / 2 - 4) : 190;
      slice.resize(rest, unit);
    }
    this.stale = true;
  }

  /** One unit is as long on both axes, where that shows enough of both. */
  _squared() {
    const [x, y] = this.ranges;
    const { width, height } = this.main.box;
    if (!this.fitted || this.model.sources.some(({ scale }) => scale === "log")) return this.ranges;
    if (this.model.remote && !this.model.remote.linked) return this.ranges; // of what is stored
    const [perX, perY] = [width / (x[1] - x[0]), height / (y[1] - y[0])];
    if (Math.max(perX / perY, perY / perX) > 2.6) return this.ranges;
    const unit = Math.min(perX, perY);
    const about = ([low, high], length) => {
      const half = length / unit / 2;
      return [(low + high) / 2 - half, (low + high) / 2 + half];
    };
    return [about(x, width), about(y, height)];
  }

  // ---- drawing ----------------------------------------------------------------------------------

  _retrace() {
    const { main } = this;
    main.begin(main.begins(this.ranges[1]));
    const [x, y] = this._squared();
    main.show(x, y);
    const xs = main.xScale.samples(GRID);
    const ys = main.yScale.samples(GRID);
    const n = GRID * GRID;
    const inputs = [new Float64Array(n), new Float64Array(n)];
    for (let k = 0; k < n; k++)
      [inputs[0][k], inputs[1][k]] = [xs[k % GRID], ys[Math.floor(k / GRID)]];
    const { columns, pieces } = this.model.over(inputs, n);
    this.field.setAttribute("href", tint(columns[0], pieces, GRID));
    const { left, top, width, height } = main.box;
    set(this.field, { x: left, y: top, width, height });
    this.lines.replaceChildren(...contourLines(columns[0], GRID, main));
    this.values = columns[0];
    this.steepest = steepness(columns[0], xs, ys);
    if (this.fineness) setText(this.fineness, this._fineness());
    this.describe();
  }

  /** The pictures in words; `told` of the point. */
  describe(...told) {
    const { xScale, yScale } = this.main;
    const ends = [xScale, yScale].map(({ low, high }, k) =>
      inView(this.model.sources[k], [low, high]),
    );
    this.main.describe(`${ends.join(", ")}, ${heightsOf(this.values)}`, ...told);
  }

  /** What of the kernel's is shown. */
  wish() {
    return { lines: this.slices.flatMap((slice) => slice.wish().lines), plane: this._squared() };
  }

  /** The contours follow from so many points. */
  _fineness() {
    const { planes } = this.model.remote;
    const [x, y] = this._squared().map(([low, high]) => (low + high) / 2);
    const side = planes.find((plane) => plane.at(x, y, 0) !== undefined)?.side;
    if (!side) return "The kernel has computed no contours yet.";
    return `Contours through ${side} × ${side} points that the kernel computed.`;
  }

  /** Where the point is to be, once the kernel has answered. */
  aim(point) {
    const [x, y] = point ? [this.main.x(point[0]), this.main.y(point[1])] : [-99, -99];
    set(this.aimed, { cx: x, cy: y });
  }

  show(state) {
    this.point = state.point;
    if (this.stale) this._retrace();
    this.stale = false;
    const [x, y] = [this.main.x(state.point[0]), this.main.y(state.point[1])];
    const { left, top, width, height } = this.main.box;
    set(this.dot, { cx: x, cy: y });
    set(this.cross, { d: `M${x} ${top}v${height}M${left} ${y}h${width}` });
    this._arrow(state, x, y);
    for (const slice of this.slices) slice.show(state);
    if (this.path.length) this._descent();
  }

  /** Uphill, as long as it is steep. */
  _arrow(state, x, y) {
    const [gx, gy] = state.gradient;
    const size = Math.hypot(gx, gy);
    const { xScale, yScale } = this.main;
    const unit = (scale, value) =>
      scale.kind === "log"
        ? (scale.pixel(value * 1.001) - scale.pixel(value)) / (value * 0.001)
        : scale.length / (scale.high - scale.low);
    let [dx, dy] = [gx * unit(xScale, state.point[0]), gy * unit(yScale, state.point[1])];
    const now = Math.hypot(dx, dy);
    const length = 22 + 100 * Math.min(1, size / this.steepest);
    const drawn = Number.isFinite(now) && now > 0;
    if (drawn) [dx, dy] = [(dx / now) * length, (dy / now) * length];
    for (const mark of [this.halo, this.arrow])
      set(mark, { d: drawn ? `M${x} ${y}l${dx} ${dy}` : "M-9 -9" });
  }

  /** The steps of a descent, states with points and values. */
  showPath(path) {
    this.path = path;
    const last = path.at(-1);
    if (last && last.point.every(Number.isFinite)) this._include(last.point);
    if (!path.length)
      for (const mark of [this.descent, this.steps]) mark.setAttribute("d", "M-9 -9");
  }

  _include(point) {
    const shown = [this.main.xScale, this.main.yScale].map(({ low, high }) => [low, high]);
    const grown = shown.map(([low, high], k) => {
      const most = 1e3 * (high - low);
      if (point[k] < low - most || point[k] > high + most) return [low, high];
      const room = 0.1 * (high - low);
      return [point[k] < low ? point[k] - room : low, point[k] > high ? point[k] + room : high];
    });
    if (grown.some((range, k) => range.some((end, i) => end !== shown[k][i])))
      this._change(...grown);
  }

  _descent() {
    const line = this.main.path([
      this.path.map(({ point }) => point).filter((point) => point.every(Number.isFinite)),
    ]);
    this.descent.setAttribute("d", line);
    this.steps.setAttribute("d", line.replaceAll("L", "M").replace(/(M[^M]+)/g, "$1h.1"));
  }

  _hover(px, py) {
    const show = this.main.contains(px, py);
    this.tip.hidden = !show;
    if (!show) return;
    const point = [this.main.xScale.value(px), this.main.yScale.value(py)];
    const { columns } = this.model.over(point, 1);
    const [a, b] = this.model.sources;
    setText(
      this.tip,
      `${a.text} = ${brief(point[0], 3)}   ${b.text} = ${brief(point[1], 3)}   ${this.model.target.text} = ${brief(columns[0][0])}`,
    );
  }
}
