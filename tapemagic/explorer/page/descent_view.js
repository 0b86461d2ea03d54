/** The box for gradient descent: learning rate, momentum, steps, and their values in a table. */

import { Descent } from "./descent.js";
import { h, setText } from "./dom.js";
import { brief } from "./numbers.js";
import { aloud } from "./words.js";

const ROWS = 6;
const RATES = [-4, 1]; // decades

export class DescentBox {
  /** @param {{reach: function(number[]): Promise<object|null>, state: function(): object, path: function(object[]): void}} does */
  constructor(model, does) {
    Object.assign(this, { model, does });
    this.descent = new Descent(model);
    const rate = this._slider("learning rate η", RATES[0], RATES[1], 0.05, -1, (place) => {
      this.descent.rate = Number((10 ** place).toPrecision(2));
      return brief(this.descent.rate, 2);
    });
    const momentum = this._slider("momentum", 0, 0.95, 0.05, 0, (place) => {
      this.descent.momentum = place;
      return place ? brief(place, 2) : "none";
    });
    const button = (text, onclick) =>
      h("button", { type: "button", class: "button", onclick }, text);
    this.buttons = h(
      "div",
      { class: "row" },
      button("step", () => this.step(1)),
      button("10 steps", () => this.step(10)),
      button("clear path", () => this.clear()),
    );
    this.words = h("p", { class: "words", "aria-live": "polite" }, this.descent.words());
    this.body = h("tbody");
    this.element = h(
      "div",
      { class: "descent-box", role: "group", "aria-label": "gradient descent" },
      h("div", { class: "row" }, rate, momentum),
      this.buttons,
      this.words,
      this._table(),
    );
    this._show();
  }

  _slider(name, min, max, step, start, put) {
    const output = h("span", { class: "digits", "aria-hidden": "true" });
    const change = () => {
      setText(output, put(Number(input.value)));
      input.setAttribute("aria-valuetext", aloud(output.textContent));
    };
    const input = h("input", {
      type: "range",
      min,
      max,
      step,
      value: start,
      oninput: change,
      "aria-label": name,
    });
    change();
    return h("label", { class: "small-control" }, h("span", {}, name), input, output);
  }

  _table() {
    const { model } = this;
    const slopes = model.count === 1 ? ["slope"] : ["|gradient|"];
    const names = ["step", ...model.sources.map(({ text }) => text), model.target.text, ...slopes];
    const head = h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)));
    return h(
      "div",
      { class: "table", tabindex: "0", role: "group", "aria-label": "steps of the descent" },
      h("table", {}, h("thead", {}, head), this.body),
    );
  }

  /** Each step waits until its point is known; whatever is wanted meanwhile ends them. */
  async step(times) {
    const run = (this.run = Symbol("steps"));
    let state = this.does.state();
    for (let k = 0; k < times; k++) {
      const next = this.descent.next(state);
      if (next === null) break;
      const beyond = !next.point.every(Number.isFinite);
      state = beyond ? this._nowhere(next.point) : await this.does.reach(next.point);
      if (state === null || run !== this.run) break;
      this.descent.reach(next, state);
      this.does.path(this.descent.path);
      this._show();
      if (!Number.isFinite(state.value)) break;
    }
  }

  /** Where no point can be. */
  _nowhere(point) {
    return { point, piece: 0, value: NaN, gradient: point.map(() => NaN) };
  }

  clear() {
    this.run = null;
    this.descent.begin(null);
    this.does.path([]);
    this._show();
  }

  _show() {
    setText(this.words, this.descent.words());
    const { path } = this.descent;
    const rows = path.slice(-ROWS).map((state, k) => {
      const number = Math.max(0, path.length - ROWS) + k;
      const slope = this.model.count === 1 ? state.gradient[0] : Math.hypot(...state.gradient);
      const values = state.point.map((x) => brief(x, 5));
      return h(
        "tr",
        {},
        ...[number, ...values, brief(state.value, 5), brief(slope, 5)].map((text) =>
          h("td", {}, String(text)),
        ),
      );
    });
    while (rows.length < ROWS) rows.push(h("tr", { "aria-hidden": "true" }, h("td", {}, " ")));
    this.body.replaceChildren(...rows);
  }
}
