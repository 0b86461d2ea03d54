/**
 * The derivation under the picture: its numbers change in place. A derivation may have thousands:
 * rows in sight follow each move, the others when it rests; room is made for rows that are near.
 */

import { drawNear, keepRoom, moversOf, readFonts, widthOf } from "./compact.js";
import { h, setText } from "./dom.js";
import { fenced, spelled } from "./numbers.js";
import { shown } from "./words.js";

const STOPS = 40;
const AHEAD = "400px";
const SIGHT = "80px";
const REST = 250; // ms
const FIRST = 24; // rows that are ready at once
const NAMED = 4; // entries of the recorded point

export class Formulas {
  constructor(model) {
    this.model = model;
    this.element = h("div", { class: "formulas" });
    this.piece = null;
    this.printed = null;
    this.near = watching(AHEAD, (entries) => this._near(entries));
    this.seen = watching(SIGHT, (entries) => this._met(entries));
  }

  /** The derivation that stands on the page already is that of the first piece. */
  adopt(printed) {
    for (const plain of printed.querySelectorAll(".tapemagic-plain")) plain.remove();
    this.printed = printed;
    this.element.append(printed);
  }

  stop() {
    this.near.disconnect();
    this.seen.disconnect();
    clearTimeout(this.resting);
  }

  /** The piece's derivation with the numbers of `state`. */
  show(state) {
    this.element.classList.toggle("elsewhere", state.piece < 0); // the numbers stay behind
    if (state.piece < 0) return;
    if (state.piece !== this.piece) this._build(state.piece);
    this.registers = state.registers;
    this.version = state.point.join();
    this.element.classList.toggle("moved", this.version !== this.model.start.join());
    for (const row of this.visible) this._fill(row);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this._rest(), REST);
  }

  /** The point rests: all rows follow, and a text longer than any at the sliders' stops gets its
   * room. */
  _rest() {
    for (const row of this.rows.values()) {
      this._fill(row);
      const outgrown = row.movers ? row.slots.filter(({ used, room }) => used > room) : [];
      if (!outgrown.length) continue;
      for (const slot of outgrown) keepRoom(slot, [slot.element.textContent]);
      for (const { element } of row.movers) element.style.transform = "";
      this._align(row);
    }
  }

  /** The lines may break elsewhere, and letters be larger. */
  resize(width, unit) {
    if (width === this.width) return;
    const larger = unit !== this.unit;
    Object.assign(this, { width, unit });
    if (this.piece === null) return;
    const reserved = [...this.rows.values()].filter((row) => row.movers);
    for (const row of reserved) for (const { element } of row.movers) element.style.transform = "";
    if (larger) this._reserve(reserved);
    else for (const row of reserved) this._align(row);
  }

  _build(number) {
    const piece = this.model.pieces[number];
    this.piece = number;
    this.near.disconnect();
    this.seen.disconnect();
    if (this.printed) {
      piece.derivation = this.printed.outerHTML; // where another piece takes its place meanwhile
      this.printed = null;
    } else this.element.innerHTML = piece.derivation ?? "";
    this.element.classList.toggle("still", !piece.slots.length);
    if (piece.derivation && !piece.slots.length) this.element.prepend(this._caption());
    this.rows = new Map();
    this.visible = new Set();
    for (const element of this.element.querySelectorAll("[data-slot]")) {
      const slot = piece.slots[Number(element.getAttribute("data-slot"))];
      if (slot) this._enter(element, slot);
    }
    if (this.rows.size) this._roughness(piece.program);
    for (const { box } of this.rows.values()) {
      this.near.observe(box);
      this.seen.observe(box);
    }
    const first = [...this.rows.values()]
      .slice(0, FIRST)
      .filter(({ box }) => !box.closest("details"));
    this._reserve(first);
    for (const row of first) this.visible.add(row);
  }

  /** A step that is ≈ at the recorded point though all its own numbers are exact stays so. */
  _roughness(program) {
    const start = program.at(this.model.held(this.model.start));
    for (const { slots, steps } of this.rows.values()) {
      for (const state of steps.values()) state.rough = state.relation?.textContent === "≈";
      for (const slot of slots) {
        const state = steps.get(slot.step);
        if (state && !this._text(slot, start).exact) state.rough = false;
      }
    }
  }

  /** Where no number follows: what point they are of. */
  _caption() {
    const { sources } = this.model;
    const said = sources.slice(0, NAMED).map(({ text }, k) => {
      return `${text} = ${shown(this.model, k, this.model.start[k])}`;
    });
    const more = sources.length > NAMED ? ", …" : "";
    return h("p", { class: "caption" }, `At the recorded point, ${said.join(", ")}${more}:`);
  }

  /** Slots of one line; the relation that begins a step tells whether its numbers are rounded. */
  _enter(element, { register, dtype }) {
    const step = element.closest(".tapemagic-step");
    const box =
      step?.parentElement ?? element.closest("math")?.parentElement ?? element.parentElement;
    if (!this.rows.has(box)) {
      this.rows.set(box, { box, slots: [], steps: new Map(), movers: null });
      box.classList.add("live"); // painted on its own: the rows that stand are not painted again
    }
    const row = this.rows.get(box);
    const slot = {
      element,
      register,
      dtype,
      step,
      fence: element.getAttribute("data-fence"),
      room: 0,
      used: 0,
    };
    element.classList.add("slot");
    row.slots.push(slot);
    if (step && !row.steps.has(step))
      row.steps.set(step, { relation: step.querySelector("mo"), rough: false, rounded: false });
  }

  /** Room before they come into sight. */
  _near(entries) {
    const near = entries.filter(({ isIntersecting }) => isIntersecting);
    const rows = near.map(({ target }) => this.rows.get(target));
    this._reserve(rows.filter((row) => row && !row.movers));
  }

  _met(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.rows.get(target);
      if (isIntersecting && row) this.visible.add(row);
      else this.visible.delete(row);
    }
    for (const row of this.visible) this._fill(row);
  }

  _fill(row) {
    if (row.version === this.version || !this.registers) return;
    row.version = this.version;
    for (const step of row.steps.values()) step.rounded = step.rough;
    for (const slot of row.slots) {
      const { text, exact } = this._text(slot, this.registers);
      const step = row.steps.get(slot.step);
      if (step && !exact) step.rounded = true;
      setText(slot.element, text);
      if (row.movers) slot.used = widthOf(text, slot); // may be more, off the sliders' stops
    }
    for (const { relation, rounded } of row.steps.values())
      if (relation) setText(relation, rounded ? "≈" : "=");
    if (row.movers) drawNear(row.movers);
  }

  _text({ register, dtype, fence }, registers) {
    const { text, exact } = spelled(registers[register], dtype);
    return { text: fenced(text, fence), exact };
  }

  // ---- room -------------------------------------------------------------------------------------

  /** Room in these rows for the longest texts while the sliders move. */
  _reserve(rows) {
    const slots = rows.flatMap((row) => row.slots);
    if (!slots.length) return;
    const longest = this._longest(slots);
    readFonts(slots);
    slots.forEach((slot, k) => keepRoom(slot, longest[k]));
    for (const row of rows) this._align(row);
  }

  _align(row) {
    row.movers = moversOf(row.slots, row.box);
    row.version = null;
    this._fill(row);
  }

  /** The longest texts of each slot over points along each source. */
  _longest(slots) {
    const longest = slots.map(() => [""]);
    for (const registers of this._registers()) {
      slots.forEach((slot, k) => {
        const { text } = this._text(slot, registers);
        const most = longest[k][0].length;
        if (text.length > most) longest[k] = [text];
        else if (text.length === most && longest[k].length < 3) longest[k].push(text);
      });
    }
    return longest;
  }

  /** The registers at the start, and at stops along each slider. */
  _registers() {
    const { model } = this;
    const { program } = model.pieces[this.piece];
    this.sampled ??= new Map();
    if (!this.sampled.has(program)) {
      const points = model.sources.flatMap((source, axis) => {
        return stopsOf(source).map((x) => model.start.map((value, k) => (k === axis ? x : value)));
      });
      const all = [model.start, ...points].map((point) => program.at(model.held(point)).slice());
      this.sampled.set(program, all);
    }
    return this.sampled.get(program);
  }
}

/** An observer of what is in sight or as near to it as this, also in a pane that scrolls. */
function watching(margin, met) {
  return new IntersectionObserver(met, { rootMargin: margin, scrollMargin: margin });
}

/** Stops of a slider, some of them. */
function stopsOf({ min, max, step, scale }) {
  return Array.from({ length: STOPS + 1 }, (_, i) => {
    const share = i / STOPS;
    if (scale === "log") return Number((min * (max / min) ** share).toPrecision(3));
    return Number((min + Math.round(((max - min) * share) / step) * step).toPrecision(12));
  });
}
