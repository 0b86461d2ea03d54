/** An SVG panel: two axes with ticks, layers to draw into, data to pixels. */

import { cut } from "./curve.js";
import { s, set } from "./dom.js";
import { Scale } from "./scale.js";

const FAR = 5000; // pixels outside the panel at which a line may as well end

export class Panel {
  /** @param {{xKind?: string, yKind?: string, xName?: string, yName?: string, title: string}} options */
  constructor({ xKind = "linear", yKind = "linear", xName = "", yName = "", title }) {
    this.xScale = new Scale(xKind);
    this.yScale = new Scale(yKind);
    this.names = [xName, yName];
    const clip = `clip-${Math.random().toString(36).slice(2)}`;
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
  }

  resize(width, height, labelled = true) {
    const small = width < 480;
    const box = { left: small ? 54 : 62, right: 12, top: 12, bottom: labelled ? 28 : 10 };
    this.box = {
      ...box,
      width: width - box.left - box.right,
      height: height - box.top - box.bottom,
    };
    this.labelled = labelled;
    set(this.svg, { width, height, viewBox: `0 0 ${width} ${height}` });
    const inner = { x: box.left, y: box.top, width: this.box.width, height: this.box.height };
    set(this.frame, inner);
    set(this.window, inner);
  }

  /** The ranges shown. */
  show([x0, x1], [y0, y1]) {
    const { left, top, width, height } = this.box;
    this.xScale.set(x0, x1, left, width);
    this.yScale.set(y0, y1, top + height, -height);
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
    for (const [value, label] of this.xScale.ticks(84)) {
      const x = this.x(value).toFixed(1);
      grid.push(s("path", { d: `M${x} ${top}v${height}`, class: value === 0 ? "axis" : "line" }));
      const inside = Math.min(x, left + width + this.box.right - 4.3 * label.length); // not cut off
      if (this.labelled)
        text.push(s("text", { x: inside, y: bottom + 20, "text-anchor": "middle" }, label));
    }
    for (const [value, label] of this.yScale.ticks(height > 150 ? 44 : 30)) {
      const y = this.y(value).toFixed(1);
      grid.push(s("path", { d: `M${left} ${y}h${width}`, class: value === 0 ? "axis" : "line" }));
      text.push(s("text", { x: left - 8, y: Number(y) + 5, "text-anchor": "end" }, label));
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
    if (yName) text.push(s("text", { x: left + 8, y: top + 18, class: "name" }, yName));
    this.layer.grid.replaceChildren(...grid);
    this.layer.text.replaceChildren(...text);
  }
}
