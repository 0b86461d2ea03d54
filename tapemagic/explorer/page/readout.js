/** The numbers above the picture: value and slopes, large, each in the colour of its line. */

import { h, math, setText, swatch } from "./dom.js";
import { spelled } from "./numbers.js";
import { derivativeMarkup } from "./words.js";

const relation = (exact) => (exact ? "=" : "≈");

export class Readout {
  constructor(model) {
    this.model = model;
    this.dtype = model.sources[0].dtype;
    this.items = [this._item("curve", model.target.mathml, (state) => state.value)];
    if (model.count === 1) {
      for (let order = 1; order <= model.order; order++) {
        this._add(
          order === 1 ? "tangent" : `order-${order}`,
          0,
          order,
          (state) => state.derivatives[order - 1],
        );
      }
    } else if (model.count === 2) {
      for (const axis of [0, 1]) this._add("tangent", axis, 1, (state) => state.gradient[axis]);
    }
    this.plane = model.count === 2 ? h("div", { class: "plane digits" }) : null;
    const list = this.items.map(({ element }) => element);
    const style = `--letters: ${this._letters()}`;
    this.element = h("div", { class: "readout", style }, ...list, this._secant(), this.plane);
  }

  /** Of the longest name; those of slopes are small. */
  _letters() {
    const { target, sources } = this.model;
    const slopes = sources.map(({ text }) => 0.75 * Math.max(text.length, target.text.length));
    return Math.max(target.text.length, ...(this.items.length > 1 ? slopes : []));
  }

  _add(name, axis, order, read) {
    this.items.push(this._item(name, derivativeMarkup(this.model, axis, order), read));
  }

  _item(name, markup, read) {
    const sign = h("span", { class: "relation" }, "=");
    const value = h("span", { class: "digits" }); // no `output`: it would be told at each frame
    const element = h(
      "div",
      { class: `item ${name}` },
      swatch(name),
      math(markup),
      sign,
      value,
    );
    return { element, sign, value, read };
  }

  _secant() {
    const { target, sources } = this.model;
    const delta = "<mi mathvariant='normal'>Δ</mi>";
    const markup = `<mfrac><mrow>${delta}${target.mathml}</mrow><mrow>${delta}${sources[0].mathml}</mrow></mfrac>`;
    this.secant = this._item("secant", markup, () => NaN);
    this.secant.element.hidden = true;
    return this.secant.element;
  }

  show(state) {
    for (const item of this.items) this._put(item, state.piece < 0 ? undefined : item.read(state));
    if (this.plane) this._plane(state);
  }

  /** The slope of the secant; null hides it. */
  showSecant(slope) {
    this.secant.element.hidden = slope === null;
    if (slope !== null) this._put(this.secant, slope);
  }

  _put({ sign, value }, number) {
    const { text, exact } = spelled(number ?? NaN, this.dtype);
    setText(sign, relation(exact));
    setText(value, number === undefined ? "–" : text); // "–": no known branch
  }

  /** The tangent plane as a formula. */
  _plane(state) {
    const { target, sources } = this.model;
    if (![state.value, ...state.gradient].every(Number.isFinite)) {
      setText(this.plane, "tangent plane: –");
      return;
    }
    const number = (value) => spelled(value, this.dtype).text;
    const parts = sources.map(({ text }, k) => {
      const [slope, at] = [state.gradient[k], state.point[k]];
      const shift = at === 0 ? text : `(${text} ${at < 0 ? "+" : "−"} ${number(Math.abs(at))})`;
      return `${slope < 0 ? "−" : "+"} ${number(Math.abs(slope))}·${shift}`;
    });
    setText(
      this.plane,
      `tangent plane: ${target.text} ≈ ${number(state.value)} ${parts.join(" ")}`,
    );
  }
}
