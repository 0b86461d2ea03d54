/** More than two sources: the target along the chosen one, and the gradient as bars. */

import { h, setText } from "./dom.js";
import { LineView } from "./line_view.js";
import { brief } from "./numbers.js";

export class ManyView {
  /** @param {{move: function(number[]): void, view?: function(): void}} does */
  constructor(model, does) {
    Object.assign(this, { model, does, path: [] });
    this.stage = h("div", {});
    this.bars = model.sources.map((_, axis) => this._bar(axis));
    const bars = h(
      "div",
      { class: "bars", role: "radiogroup", "aria-label": "curve along" },
      ...this.bars.map(({ row }) => row),
    );
    this.element = h(
      "div",
      { class: "many-view" },
      this.stage,
      h("p", { class: "hint" }, "The gradient, entry by entry; the curve follows the chosen one."),
      bars,
    );
    this.choose(0);
  }

  _bar(axis) {
    const fill = h("span", { class: "fill" });
    const value = h("span", { class: "digits" });
    const name = h("span", { class: "name" }, `∂/∂${this.model.sources[axis].text}`);
    const input = h("input", {
      type: "radio",
      name: `along-${this.model.payload.id}`,
      onchange: () => this.choose(axis),
    });
    const row = h(
      "label",
      { class: "bar" },
      input,
      name,
      h("span", { class: "track", "aria-hidden": "true" }, fill),
      value,
    );
    return { row, fill, value, input };
  }

  choose(axis) {
    this.axis = axis;
    this.bars[axis].input.checked = true;
    const move = (value) =>
      this.does.move(this.state.point.map((old, k) => (k === axis ? value : old)));
    this.line = new LineView(this.model, axis, { move, view: this.does.view });
    this.stage.replaceChildren(this.line.element);
    if (this.width) this.resize(this.width, this.unit);
    this.showPath(this.path);
    if (this.state) this.does.view?.();
  }

  fit() {
    this.line.fit();
  }

  zoom(factor) {
    this.line.zoom(factor);
  }

  resize(width, unit) {
    Object.assign(this, { width, unit });
    this.line.resize(width, unit);
  }

  /** The picture in words; `told` of the point. */
  describe(...told) {
    this.line.describe(...told);
  }

  /** What of the kernel's is shown. */
  wish() {
    return this.line.wish();
  }

  /** Where the point is to be, once the kernel has answered. */
  aim(point) {
    this.line.aim(point);
  }

  show(state) {
    this.state = state;
    this.line.show(state);
    const most = Math.max(...state.gradient.map((slope) => Math.abs(slope) || 0), 1e-300);
    this.bars.forEach(({ fill, value }, axis) => {
      const slope = state.gradient[axis];
      const share = Number.isFinite(slope) ? slope / most / 2 : 0;
      fill.style.transform = `translateX(${share < 0 ? 50 + 100 * share : 50}%) scaleX(${Math.abs(share)})`;
      setText(value, brief(slope, 5));
    });
  }

  /** A descent's points, seen along the chosen source. */
  showPath(path) {
    this.path = path;
    this.line.showPath(path.map(({ point, value }) => [point[this.axis], value]));
  }
}
