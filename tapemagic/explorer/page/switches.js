/** The row of switches under the sliders: what is drawn besides, gradient descent, zoom. */

import { Control, iconButton } from "./controls.js";
import { DescentBox } from "./descent_view.js";
import { h, swatch } from "./dom.js";
import { CLOSER } from "./gestures.js";
import { derivativeName } from "./words.js";

export class Switches {
  /** @param {import("./explorer.js").Explorer} explorer */
  constructor(explorer) {
    const { model, view } = explorer;
    Object.assign(this, { explorer, model, view, second: null });
    this.extra = h("div", { class: "extra" });
    this.seconds = h("div", { class: "seconds" });
    this.element = h(
      "div",
      { class: "switches row" },
      ...(model.count === 1 ? this._curves() : []),
      this._switch("gradient descent", "descent", (on) => this._descend(on)),
      this._zooms(),
    );
  }

  /** No motion goes on. */
  stop() {
    this.second?.stop();
  }

  moveSecant(x) {
    this.view.on.secant = this.model.held([x])[0];
    this.second.show({ point: [this.view.on.secant] });
    this.explorer.request();
  }

  _switch(text, name, change) {
    const attributes = { type: "button", class: `button toggle ${name}`, "aria-pressed": "false" };
    const button = h("button", attributes, swatch(name), text);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      change(on);
      this.explorer.resize();
    });
    return button;
  }

  /** Derivative curves, Taylor polynomials (one at a time) and the secant. */
  _curves() {
    const { model, view } = this;
    const known = Math.min(model.order, model.pieces[0]?.program.derivatives.length ?? 0);
    const orders = Array.from({ length: known }, (_, k) => k + 1);
    const shown = new Set();
    const derivatives = orders.map((order) =>
      this._switch(derivativeName(model, 0, order), `order-${order}`, (on) => {
        shown[on ? "add" : "delete"](order);
        view.showDerivatives(shown);
      }),
    );
    const taylors = orders.slice(1).map((order) =>
      this._switch(`Taylor ${order}`, "taylor", (on) => {
        view.on.taylor = on ? order : 0;
        taylors.forEach((button, k) => {
          if (on && k + 2 !== order) button.setAttribute("aria-pressed", "false");
        });
      }),
    );
    return [...derivatives, ...taylors, this._switch("secant", "secant", (on) => this._secant(on))];
  }

  /** The secant's second point has its own slider: from secant to tangent. */
  _secant(on) {
    this.stop();
    if (!on) {
      this.seconds.replaceChildren();
      this.view.on.secant = null;
      return;
    }
    const { model } = this;
    const [source] = model.sources;
    const value = this.view.snapped(secondPoint(source, this.explorer.point[0]));
    const second = { ...source, text: `${source.text}₂`, value };
    const own = { sources: [second], exact: model.exact, pieces: model.pieces };
    this.second = new Control(own, 0, {
      move: (x) => this.moveSecant(x),
      problem: (text) => this.explorer.say(text),
    });
    this.second.element.classList.add("secant");
    this.seconds.replaceChildren(this.second.element);
    this.moveSecant(value);
  }

  _descend(on) {
    const { model, explorer, view } = this;
    view.showPath([]);
    this.extra.replaceChildren();
    if (!on) return;
    const along = (path) => path.map(({ point, value }) => [point[0], value]);
    const box = new DescentBox(model, {
      reach: (point) => explorer.reach(point),
      state: () => model.at(explorer.point),
      path: (path) => {
        view.showPath(model.count === 1 ? along(path) : path);
        explorer.request();
      },
    });
    this.extra.append(box.element);
  }

  _zooms() {
    const after = (act) => () => {
      act();
      this.explorer.request();
    };
    const button = (name, path, act) => iconButton(name, path, after(act), { class: "icon line" });
    const corners = "M3 7v-4h4M13 3h4v4M17 13v4h-4M7 17h-4v-4";
    return h(
      "div",
      { class: "zooms" },
      button("zoom in", "M10 4v12M4 10h12", () => this.view.zoom(CLOSER)),
      button("zoom out", "M4 10h12", () => this.view.zoom(1 / CLOSER)),
      button("show the whole range", corners, () => this.view.fit()),
    );
  }
}

/** A quarter of the range away, on the side where there is room. */
function secondPoint({ min, max, scale }, x) {
  if (scale === "log") return x * 1.5 <= max ? x * 1.5 : x / 1.5;
  const away = (max - min) / 4;
  return x + away <= max ? x + away : x - away;
}
