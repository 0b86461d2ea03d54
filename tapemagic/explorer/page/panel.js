/** An SVG panel: two axes with ticks, layers to draw into, data to pixels. */

import { widthOf } from "./compact.js";
import { cut } from "./curve.js";
import { h, s, set } from "./dom.js";
import { Scale } from "./scale.js";

const KEYS = "Arrows move the view, + and − zoom, 0 shows all of it.";
const FAR = 5000; // pixels outside the panel at which a line may as well end

export class Panel {
  /**
   * @param {{xKind?: string, yKind?: string, xName?: string, yName?: string, title: string}} options
   *   the title is what there is to see, in words
   */
  constructor({ xKind = "linear", yKind = "linear", xName = "", yName = "", title }) {
    this.xScale = new Scale(xKind);
    this.yScale = new Scale(yKind);
    this.names = [xName, yName];
    this.title = title;
    const own = Math.random().toString(36).slice(2);
    const clip = `clip-${own}`;
    this.frame = s("rect", { class: "frame" });
    this.window = s("rect", {});
    this.layer = {};
    for (const name of ["ground", "grid", "curves", "marks"]) {
      this.layer[name] = s("g", {
        class: name,
        "clip-path": name === "grid" ? null : `url(#${clip})`,
      });
    }
    this.layer.text = s("g", { class: "ticks", "aria-hidden": "true" });
    this.svg = s(
      "svg",
      { class: "panel", role: "img", "aria-label": title },
      s("clipPath", { id: clip }, this.window),
      this.frame,
      ...Object.values(this.layer),
    );
    this.keys = h("div", { class: "tip keys", id: `keys-${own}` }, KEYS); // seen while in focus
  }

  /** The keys reach it. */
  focusable() {
    set(this.svg, { tabindex: 0, "aria-describedby": this.keys.id });
  }

  /** What there is to see by now, for those who do not. */
  describe(...words) {
    this.svg.setAttribute("aria-label", [this.title, ...words].filter(Boolean).join(". "));
  }

  /** With texts `unit` times as large as is usual. */
  resize(width, height, unit, labelled = true) {
    Object.assign(this, { size: { width, height }, unit, labelled });
    this.font = `${15 * unit}px ${getComputedStyle(this.svg).fontFamily}`;
    set(this.svg, { width, height, viewBox: `0 0 ${width} ${height}` });
    this.begin((width < 480 ? 46 : 62) * this.unit);
  }

  /** The window begins at `left`. */
  begin(left) {
    const { width, height } = this.size;
    const [right, top, bottom] = [12, 12, this.labelled ? 28 * this.unit : 10];
    this.box = { left, right, top, width: width - left - right, height: height - top - bottom };
    const inner = { x: left, y: top, width: this.box.width, height: this.box.height };
    set(this.frame, inner);
    set(this.window, inner);
  }

  /** Where the window must begin for the labels of these heights; never back to the left again,
   * which would be a picture that trembles. */
  begins([y0, y1]) {
    const { left, top, height } = this.box;
    this.yScale.set(y0, y1, top + height, -height);
    this.yTicks = this.yScale.ticks((height > 150 ? 44 : 30) * this.unit);
    const widths = this.yTicks.map(([, label]) => widthOf(label, this));
    return Math.ceil(Math.max(left, ...widths.map((width) => width + 10 * this.unit)));
  }

  /** The ranges shown. */
  show([x0, x1], heights, begin = this.begins(heights)) {
    if (begin > this.box.left) this.begin(begin);
    const { left, width } = this.box;
    this.xScale.set(x0, x1, left, width);
    this._axes();
  }

  x(value) {
    return this.xScale.pixel(value);
  }

  y(value) {
    const pixel = this.yScale.pixel(value);
    return Math.max(-FAR, Math.min(FAR, pixel));
  }

  /** Whether a pixel lies in the window. */
  contains(px, py) {
    const { left, top, width, height } = this.box;
    return px >= left && px <= left + width && py >= top && py <= top + height;
  }

  /** A path's data for connected parts, each a list of [x, y]. */
  path(segments) {
    const parts = [];
    for (const segment of segments) {
      const places = segment.map(([x, y]) => [this.x(x), this.yScale.pixel(y)]);
      let sign = "M";
      for (const [px, py] of cut(places, FAR)) {
        parts.push(`${sign}${px.toFixed(1)} ${py.toFixed(1)}`);
        sign = "L";
      }
      if (segment.length === 1) parts.push("h0.1");
    }
    return parts.join("") || "M-9 -9";
  }

  /** A path's data for a smooth function; a straight line needs two points on a linear axis. */
  graph(f, straight = false) {
    const { xScale } = this;
    const xs = xScale.samples(straight && xScale.kind === "linear" ? 2 : 96);
    const segments = [[]];
    for (const x of xs) {
      const y = f(x);
      if (Number.isFinite(y)) segments.at(-1).push([x, y]);
      else if (segments.at(-1).length) segments.push([]);
    }
    return this.path(segments);
  }

  _axes() {
    const { left, top, width, height } = this.box;
    const grid = [];
    const text = [];
    const bottom = top + height;
    const { unit } = this;
    for (const [value, label] of this.xScale.ticks(84 * unit)) {
      const x = this.x(value).toFixed(1);
      grid.push(s("path", { d: `M${x} ${top}v${height}`, class: value === 0 ? "axis" : "line" }));
      const half = widthOf(label, this) / 2;
      const inside = Math.min(x, left + width + this.box.right - half); // not cut off
      if (this.labelled)
        text.push(s("text", { x: inside, y: bottom + 20 * unit, "text-anchor": "middle" }, label));
    }
    for (const [value, label] of this.yTicks) {
      const y = this.y(value).toFixed(1);
      grid.push(s("path", { d: `M${left} ${y}h${width}`, class: value === 0 ? "axis" : "line" }));
      text.push(s("text", { x: left - 8 * unit, y: Number(y) + 5 * unit, "text-anchor": "end" }, label));
    }
    const [xName, yName] = this.names;
    if (xName && this.labelled) {
      text.push(
        s(
          "text",
          { x: left + width - 6, y: bottom - 8, "text-anchor": "end", class: "name" },
          xName,
        ),
      );
    }
    if (yName) text.push(s("text", { x: left + 8, y: top + 18 * unit, class: "name" }, yName));
    this.layer.grid.replaceChildren(...grid);
    this.layer.text.replaceChildren(...text);
  }
}
