/** A row for one source: name, slider, number box, play, reset. */

import { h, s, set } from "./dom.js";
import { parseNumber } from "./numbers.js";
import { aloud, shown } from "./words.js";

const SWEEP = 8000; // ms from one end to the other
const FEW = 100; // steps where the given one makes no sense

/** An icon button. */
export function iconButton(label, path, onclick, attributes = {}) {
  const icon = s("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, s("path", { d: path }));
  return h(
    "button",
    { type: "button", class: "icon", "aria-label": label, title: label, onclick, ...attributes },
    icon,
  );
}

const PLAY = "M5 3l12 7l-12 7z";
const PAUSE = "M4 3h4v14h-4zM12 3h4v14h-4z";
const RESET = "M4 10a6 6 0 1 0 2-4.5M6 1v5h5";

/** Whole steps of a slider to values of its source, and back. */
class Steps {
  constructor(source, grid) {
    Object.assign(this, { source, grid });
    const { min, max, step, scale } = source;
    const length = scale === "log" ? Math.log10(max / min) : max - min; // a log step is in decades
    this.last = grid ? grid.length - 1 : Math.max(1, Math.round(length / step) || FEW);
  }

  value(place) {
    const { min, max, step, scale } = this.source;
    if (this.grid) return this.grid[place];
    if (place >= this.last) return max;
    if (scale === "log") return Number((min * (max / min) ** (place / this.last)).toPrecision(3));
    return Number((min + place * step).toPrecision(12));
  }

  place(value) {
    const { min, max, scale } = this.source;
    const share =
      scale === "log" ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
    return Math.max(0, Math.min(this.last, Math.round(share * this.last)));
  }
}

export class Control {
  /** @param {{move: function(number): void, problem: function(string): void}} does */
  constructor(model, axis, does) {
    Object.assign(this, { model, axis, does });
    const source = model.sources[axis];
    const grid = model.exact ? null : model.pieces[0]?.program.x;
    this.steps = new Steps(source, grid);
    const label = `tm-${Math.random().toString(36).slice(2)}`;
    this.name = h("label", { class: "name", for: label }, source.text);
    this.slider = h("input", {
      type: "range",
      id: label,
      min: 0,
      max: this.steps.last,
      step: 1,
      oninput: () => this._slid(),
      onblur: () => this.say(this.told),
    });
    this.box = h("input", {
      type: "text",
      class: "number",
      inputmode: "decimal",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": `${source.text}, exact value`,
      title: "a number: 2, 0.5, 1e-3, pi/2, 1/3",
      onchange: () => this._typed(),
      onkeydown: (event) => event.key === "Escape" && this._restore(),
    });
    this.form = h("form", { onsubmit: (event) => event.preventDefault() }, this.box);
    this.play = iconButton(`play ${source.text}`, PLAY, () => this.toggle());
    const reset = iconButton(
      `reset ${source.text} to ${shown(model, axis, source.value)}`,
      RESET,
      () => this._reset(),
      { class: "icon line" },
    );
    this.element = h(
      "div",
      { class: "control" },
      this.name,
      this.slider,
      this.form,
      this.play,
      reset,
    );
  }

  show(state) {
    const value = state.point[this.axis];
    if (value === this.value) return;
    this.value = value;
    const place = String(this.steps.place(value));
    if (this.slider.value !== place) this.slider.value = place;
    this._restore();
  }

  /** What the slider says to a screen reader that comes to it; while it moves, its value. */
  say(text) {
    this.told = text;
    if (text && !this.slider.matches(":focus")) this.slider.setAttribute("aria-valuetext", text);
  }

  /** By its attribute: to set the value moves a selection, which every editor of a page hears. */
  _restore() {
    const text = shown(this.model, this.axis, this.value);
    this.slider.setAttribute("aria-valuetext", aloud(text));
    this.box.setAttribute("value", text);
    if (this.box.value !== text) this.form.reset(); // something was typed
    this.box.removeAttribute("aria-invalid");
  }

  _slid() {
    this.does.move(this.steps.value(Number(this.slider.value)));
  }

  _typed() {
    const value = parseNumber(this.box.value);
    if (value === null) {
      this.box.setAttribute("aria-invalid", "true");
      this.does.problem(
        `“${this.box.value.slice(0, 40)}” is no number: write 2, 0.5, 1e-3, pi/2 or 1/3`,
      );
      return;
    }
    this.box.removeAttribute("aria-invalid");
    this.does.problem("");
    this.value = NaN; // what was typed is written anew, even if the point stays
    this.does.move(value);
  }

  _reset() {
    this.stop();
    this.does.problem("");
    this.value = NaN;
    this.does.move(this.model.sources[this.axis].value);
  }

  // ---- playing ----------------------------------------------------------------------------------

  toggle() {
    if (this.playing) this.stop();
    else this._start();
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    clearTimeout(this.playing);
    this.playing = 0;
    this._shows(PLAY, "play");
  }

  _shows(path, word) {
    this.play.querySelector("path").setAttribute("d", path);
    const label = `${word} ${this.model.sources[this.axis].text}`;
    set(this.play, { "aria-label": label, title: label });
  }

  /** To and fro; in coarse steps, twice a second, for those who want no motion. */
  _start() {
    this._shows(PAUSE, "pause");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let way = 1;
    let share = this.steps.place(this.value) / this.steps.last;
    let before = performance.now();
    const advance = () => {
      const now = performance.now();
      share += calm ? way / 16 : (way * Math.min(100, now - before)) / SWEEP;
      before = now;
      if (share >= 1 || share <= 0) way = share >= 1 ? -1 : 1;
      share = Math.max(0, Math.min(1, share));
      this.does.move(this.steps.value(Math.round(share * this.steps.last)));
      if (this.playing) next();
    };
    const next = () =>
      (this.playing = calm ? setTimeout(advance, 500) : requestAnimationFrame(advance));
    next();
  }
}
