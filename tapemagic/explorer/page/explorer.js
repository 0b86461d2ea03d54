/** One explorer: the point, what shows it, and what moves it. */

import { Checker, LONG_WORDS } from "./check.js";
import { Control } from "./controls.js";
import { afterPainting, h, oncePerFrame, setText } from "./dom.js";
import { Formulas } from "./formulas.js";
import { keepKeys, markKeys } from "./keys.js";
import { LineView } from "./line_view.js";
import { ManyView } from "./many_view.js";
import { Model } from "./model.js";
import { PlaneView } from "./plane_view.js";
import { Readout } from "./readout.js";
import { STYLE } from "./style.js";
import { Switches } from "./switches.js";
import { followTheme } from "./theme.js";
import { sentence, shown, spoken } from "./words.js";

const LIGHT = 60; // numbers of a derivation that is brought to life at once
const SPEAK = 700; // ms of rest before the point is told
const WIDE = [860, 1100, 860]; // px of the picture at most: one source, two, more
const TEXT = 16; // px of the font that goes with these
const LONG = 4; // letters; a longer name of a source stands above its slider on a phone
const ASK = 2000; // ms until an unanswered question may be asked again
const BUSY = "The kernel is busy: the point moves when it answers.";
const GONE = "The kernel computes each point here: run the cell to move it";
const MARKS = { true: "✓", false: "✗", null: "–" };

export class Explorer {
  /** @param {HTMLElement} element  @param {object} payload  @param {object} options */
  constructor(element, payload, options = {}) {
    Object.assign(this, { element, options, listeners: new Set(), following: [] });
    this.model = new Model(payload);
    this.point = [...this.model.start];
    this.checker = new Checker(this.model);
    this.formulas = new Formulas(this.model);
    this.request = oncePerFrame(() => this.render());
    this._build();
    this.sizes = new ResizeObserver(() => this._sized());
    this.sizes.observe(this.root);
    this._sized();
  }

  destroy() {
    this.sleep();
    this.sizes.disconnect();
    this.formulas.stop();
    clearTimeout(this.speaking);
    clearTimeout(this.waiting);
    this.listeners.clear();
    this.host.remove();
  }

  /**
   * Out of the document (a cell run anew, or scrolled away in JupyterLab): hold on to nothing
   * that outlives the elements. Back in it, go on.
   */
  sleep() {
    this.request.cancel();
    this.painted?.cancel();
    this.painted = null;
    for (const stop of this.following.splice(0)) stop();
    for (const control of [...this.controls, this.switches]) control.stop();
  }

  _sized() {
    if (!this.host.isConnected) {
      this.sleep();
      return;
    }
    if (!this.following.length)
      this.following = [followTheme(this.root, this.options.theme), markKeys(this.host)];
    if (this._room() !== this.width) this.resize();
  }

  _room() {
    return Math.floor(this.root.clientWidth) - 2;
  }

  /** Fit the room that there is, and draw. */
  resize() {
    const width = this._room();
    if (width < 50) return; // not shown
    this.width = width;
    const unit = parseFloat(getComputedStyle(this.root).fontSize) / TEXT;
    const picture = Math.min(width, unit * WIDE[Math.min(this.model.count, 3) - 1]);
    this.root.style.setProperty("--picture", `${picture}px`);
    this.view.resize(picture, unit);
    this.formulas.resize(width, unit);
    this.render();
  }

  // ---- the page ---------------------------------------------------------------------------------

  _build() {
    const { model } = this;
    const move = (axis) => (value) =>
      this.move((this.wanted ?? this.point).map((old, k) => (k === axis ? value : old)));
    const problem = (text) => this.say(text);
    this.controls = model.sources.map(
      (_, axis) => new Control(model, axis, { move: move(axis), problem }),
    );
    this.readout = new Readout(model);
    this.view = this._view(move(0));
    this.check = { mark: h("span", { class: "mark", "aria-hidden": "true" }), text: h("span") };
    this.told = h("p", { class: "message", role: "status" });
    this.live = h("div", { class: "unseen", "aria-live": "polite", "aria-atomic": "true" });
    // Of the point it tells who comes to it, for it must not change while nothing moves.
    const told = (...words) => this.width && this.view.describe(...words);
    this.stage = h(
      "div",
      {
        class: "stage",
        onfocusin: () => told(this.live.textContent),
        onfocusout: () => told(),
      },
      this.view.element,
    );
    this.switches = new Switches(this);
    this.root = h(
      "div",
      { class: "explorer", role: "group", "aria-label": `explore ${model.target.text}` },
      this.readout.element,
      this.stage,
      this._sliders(),
      this.told,
      this.switches.element,
      this.switches.extra,
      this._checkLine(),
      this.formulas.element,
      this._notes(),
      this.live,
    );
    this._enter();
  }

  _sliders() {
    const worded = this.model.sources.some(({ text }) => text.length > LONG);
    const rows = this.controls.map((control) => control.element);
    const kind = worded ? "controls worded" : "controls";
    return h("div", { class: kind }, ...rows, this.switches.seconds);
  }

  /** The check of the point, in the room that the longest words need. */
  _checkLine() {
    const keep = [this.model.payload.check?.text ?? "", ...LONG_WORDS].map((text) =>
      h("span", { class: "keep", "aria-hidden": "true" }, text),
    );
    const words = h("span", { class: "stack" }, ...keep, this.check.text);
    return h("p", { class: "check" }, this.check.mark, words);
  }

  /** Into a shadow root: the page's styles stay out, ours stay in, and so do the keys. */
  _enter() {
    this.host = h("div");
    const shadow = this.host.attachShadow({ mode: "open" });
    shadow.append(h("style", {}, STYLE), this.root);
    keepKeys(this.host);
    // Last, below notes that the page has elsewhere.
    const printed = [...this.element.querySelectorAll(":scope > .tapemagic")].at(-1);
    if (printed) this.formulas.adopt(printed);
    this.element.replaceChildren(this.host);
  }

  _view(move) {
    const view = () => this.request();
    if (this.model.count === 1)
      return new LineView(this.model, 0, {
        move,
        view,
        secant: (x) => this.switches.moveSecant(x),
      });
    const all = (point) => this.move(point);
    return this.model.count === 2
      ? new PlaneView(this.model, { move: all, view })
      : new ManyView(this.model, { move: all, view });
  }

  _notes() {
    const { limits } = this.model.payload;
    const words = [limits, ...this.model.sources.map(({ word }) => word)].filter(Boolean);
    return words.length ? h("p", { class: "limits" }, words.join(" ")) : null;
  }

  // ---- the point --------------------------------------------------------------------------------

  /** Move there; it is shown with the next frame. */
  move(point) {
    if (point.some(Number.isNaN)) return;
    const held = this.model.held(point);
    const beyond = held.findIndex((value) => !Number.isFinite(value));
    if (beyond >= 0) {
      this.say(`That is more than ${this.model.sources[beyond].dtype} holds.`);
      this.request();
      return;
    }
    if (this.model.payload.table && !this.model.exact) this._table(point[0], held[0]);
    const { remote } = this.model;
    if (remote) {
      this._want(held);
      return;
    }
    if (held.every((value, k) => Object.is(value, this.point[k]))) {
      this.request();
      return;
    }
    this.point = held;
    this.request();
    for (const listener of this.listeners) listener([...held]);
  }

  /** There is a table and no program: between its points the nearest is shown. */
  _table(wanted, held) {
    const [source] = this.model.sources;
    const between = Math.abs(wanted - held) > 1e-6 * Math.max(1, Math.abs(held));
    const point = `${source.text} = ${shown(this.model, 0, held)}`;
    this.say(between ? `Shown is the nearest point that TensorFlow computed, ${point}.` : "");
  }

  render() {
    const state = this.model.at(this.point);
    if (this.formulas.printed && this._atStart(state) && this._heavy(state)) {
      this.painted ??= afterPainting(() => this._derive());
    } else this._derive(state);
    this.readout.show(state);
    const aimed = this.wanted ? { ...state, point: this.wanted } : state;
    for (const control of this.controls) control.show(aimed);
    if (this.width) this.view.show(state);
    if (this.width && this.model.remote) this.view.aim(this.wanted);
    if (this.model.count === 1) {
      const on = this.view.on.secant !== null;
      this.readout.showSecant(on ? this.view.secantSlope : null);
    }
    this._check(state);
    if (state.piece < 0) this._need();
    else if (this.needing) this._met();
    if (this.model.remote) this._inquire();
    this._speak(state);
  }

  _atStart({ point }) {
    return point.every((value, k) => Object.is(value, this.model.start[k]));
  }

  /** A long derivation waits until the picture has been painted. */
  _heavy({ piece }) {
    return this.model.pieces[piece]?.slots.length > LIGHT;
  }

  /** Bring the derivation to life. */
  _derive(state = this.model.at(this.point)) {
    this.painted?.cancel();
    this.formulas.show(state);
  }

  _check(state) {
    const { agrees, text } = this.checker.at(state);
    setText(this.check.mark, MARKS[agrees] ?? "–");
    setText(this.check.text, text);
    this.check.mark.dataset.agrees = String(agrees);
  }

  _speak(state) {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      const text = spoken(this.model, state);
      setText(this.live, text);
      for (const control of this.controls) control.say(text);
    }, SPEAK);
  }

  /** A sentence under the picture; "" takes it away. */
  say(text) {
    setText(this.told, text);
  }

  // ---- branches ---------------------------------------------------------------------------------

  _need() {
    if (!this.model.pieces.length) return; // the limits say why
    const conditions = this.model.pieces.map(({ condition }) => condition).filter(Boolean);
    const known = conditions.length ? ` Known: ${conditions.join("; ")}.` : "";
    const now = performance.now();
    if (!this.needing) this.say(`Here the cell takes a branch that was not run.${known}`);
    this.needing = true;
    if (!this.options.ask || now - (this.asked ?? -ASK) < ASK) return;
    this.asked = now;
    this.options.ask({ need: [...this.point] });
  }

  _met() {
    this.needing = false;
    this.say("");
  }

  addPiece(piece) {
    this.model.add(piece);
    this.asked = -ASK;
    this._redraw();
  }

  /** The curves are others, and so is the plane, if not told otherwise. */
  _redraw(plane = true) {
    if (plane) this.view.stale = true;
    for (const curve of this.view.slices ?? [this.view.line ?? this.view]) curve.stale = true;
    this.request();
  }

  // ---- what the kernel computes -----------------------------------------------------------------

  /** The kernel can be asked, or no longer. */
  link(ask) {
    this.options.ask = ask;
    if (this.model.remote) {
      this.model.remote.linked = Boolean(ask);
      this._redraw();
    } else if (this.needing) this.request();
  }

  /** The point moves when the kernel has answered; with no kernel, to a point that is stored. */
  _want(held) {
    const { remote } = this.model;
    this.reached?.(null); // who waits for another point waits no more
    this.reached = null;
    this.wanted = remote.knows(held) ? null : held;
    if (this.wanted && !this.options.ask) this._recall();
    this.request();
  }

  /** The nearest point that the page has. */
  _recall() {
    const { remote } = this.model;
    this.addAnswer(remote.nearest(this.wanted, this.point));
    if (!this.wanted) return;
    const where = this.model.sources.map(
      ({ text }, k) => `${text} = ${shown(this.model, k, this.point[k])}`,
    );
    this.say(`${GONE}. Shown is the nearest point that it left, ${where.join(", ")}.`);
  }

  /**
   * Move there and give the state, once it is known; null where something else is wanted before,
   * or where nobody can tell.
   */
  async reach(point) {
    const { remote } = this.model;
    if (remote && !remote.knows(point) && !this.options.ask) {
      this.say(`${GONE}.`);
      return null;
    }
    this.move(point);
    if (!this.wanted) return this.model.at(this.point);
    return new Promise((resolve) => (this.reached = resolve));
  }

  /** Ask for what is wanted by now: one question at a time, so that a drag never queues. */
  _inquire() {
    if (!this.options.ask || !this.width) return;
    const wish = this._wish();
    if (JSON.stringify(wish) === this.granted) return;
    const now = performance.now();
    if (now - (this.asked ?? -ASK) < ASK) return;
    this.asked = now;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this._late(), ASK);
    this.options.ask({ wish, side: wish.plane ? this.model.remote.side(wish.plane) : 0 });
  }

  /** Of a point on its way nothing else, if what is known can be drawn meanwhile. */
  _wish() {
    const seen = this.view.wish();
    if (this.wanted && this.model.remote.draws(this.wanted, seen.lines))
      return { point: this.wanted, lines: [], plane: null };
    return { point: this.wanted ?? this.point, ...seen };
  }

  /** A question may have been lost. */
  _late() {
    if (this.wanted) this.say(BUSY);
    this.request();
  }

  /** What the kernel knows by now; there may be something newer to ask. */
  addAnswer(answer) {
    const before = this.point;
    this.model.learn(answer);
    const { remote } = this.model;
    this.asked = -ASK;
    const word = remote.knows(before) ? this.told.textContent : sentence(remote.word);
    this.tell(word === BUSY ? "" : word);
    if (answer.finished) this.granted = JSON.stringify(answer.wish);
    if (this.wanted && remote.knows(this.wanted)) this.wanted = null;
    this.point = remote.point;
    if (!remote.knows(before)) for (const listener of this.listeners) listener([...this.point]);
    if (!this.wanted) this.reached?.({ ...this.model.at(this.point), word: remote.word });
    this._redraw(Boolean(answer.plane));
  }

  /** What the kernel has to say. */
  tell(word) {
    clearTimeout(this.waiting);
    this.say(word);
  }
}
