/**
 * The derivation under the picture: its numbers change in place, in room kept for the longest.
 * Rows out of sight wait until they come into view: a derivation may have
 * thousands of numbers.
 */

import { h, setText } from "./dom.js";
import { fenced, spelled } from "./numbers.js";

const STOPS = 40;
const AHEAD = "400px";

export class Formulas {
  constructor(model) {
    this.model = model;
    this.element = h("div", { class: "formulas" });
    this.piece = null;
    this.seen = new IntersectionObserver((entries) => this._met(entries), { rootMargin: AHEAD });
  }

  stop() {
    this.seen.disconnect();
  }

  /** The piece's derivation with the numbers of `state`. */
  show(state) {
    if (state.piece < 0) return;
    if (state.piece !== this.piece) this._build(state.piece);
    this.registers = state.registers;
    this.version = state.point.join();
    const start = this.model.start.join() === this.version;
    this.element.classList.toggle("moved", !start);
    for (const row of this.visible) this._fill(row);
  }

  _build(number) {
    const piece = this.model.pieces[number];
    this.piece = number;
    this.seen.disconnect();
    this.element.innerHTML = piece.derivation ?? "";
    this.rows = new Map();
    this.visible = new Set();
    for (const element of this.element.querySelectorAll("[data-slot]")) {
      const slot = piece.slots[Number(element.getAttribute("data-slot"))];
      if (slot) this._enter(element, slot);
    }
    for (const row of this.rows.values()) this.seen.observe(row.step);
    const first = [...this.rows.values()].slice(0, 24);
    this._reserve(first);
    for (const row of first) this.visible.add(row);
  }

  /** A slot belongs to its step: the relation that begins the step tells whether it is rounded. */
  _enter(element, { register, dtype }) {
    const step = element.closest(".tapemagic-step") ?? element.closest("math") ?? element;
    let row = this.rows.get(step);
    if (row === undefined) {
      const relation = step.matches(".tapemagic-step") ? step.querySelector("mo") : null;
      row = { step, slots: [], relation, rough: false, reserved: false };
      this.rows.set(step, row);
    }
    element.classList.add("slot");
    row.slots.push({ element, register, dtype, fence: element.getAttribute("data-fence") });
  }

  _met(entries) {
    const fresh = [];
    for (const { target, isIntersecting } of entries) {
      const row = this.rows.get(target);
      if (!row) continue;
      if (isIntersecting) {
        this.visible.add(row);
        if (!row.reserved) fresh.push(row);
      } else this.visible.delete(row);
    }
    this._reserve(fresh);
    for (const row of this.visible) this._fill(row);
  }

  _fill(row) {
    if (row.version === this.version || !this.registers) return;
    row.version = this.version;
    let rounded = false;
    for (const { element, register, dtype, fence } of row.slots) {
      const { text, exact } = spelled(this.registers[register], dtype);
      rounded ||= !exact;
      setText(element, fenced(text, fence));
    }
    if (row.relation) setText(row.relation, rounded || row.rough ? "≈" : "=");
  }

  // ---- room -------------------------------------------------------------------------------------

  /** Room for the longest text that a slot will hold while the sliders move. */
  _reserve(rows) {
    const slots = rows.flatMap((row) => row.slots);
    if (!slots.length) return;
    const longest = this._longest(slots, rows);
    const fonts = slots.map(({ element }) => {
      const { fontStyle, fontWeight, fontSize, fontFamily } = getComputedStyle(element);
      return { font: `${fontStyle} ${fontWeight} ${fontSize} ${fontFamily}`, em: parseFloat(fontSize) || 16 };
    });
    const brush = document.createElement("canvas").getContext("2d");
    slots.forEach(({ element }, k) => {
      brush.font = fonts[k].font;
      const widest = Math.max(...longest[k].map((text) => brush.measureText(text).width));
      element.style.width = `${((widest + 0.5) / fonts[k].em).toFixed(3)}em`;
    });
  }

  /** The longest texts of each slot over points along each source. */
  _longest(slots, rows) {
    const { program } = this.model.pieces[this.piece];
    const longest = slots.map(() => [""]);
    const start = program.at(this.model.start).slice();
    for (const row of rows) {
      row.reserved = true;
      const exact = row.slots.every(({ register, dtype }) => spelled(start[register], dtype).exact);
      row.rough = exact && row.relation?.textContent === "≈";
    }
    for (const registers of this._registers(program)) {
      slots.forEach(({ register, dtype, fence }, k) => {
        const text = fenced(spelled(registers[register], dtype).text, fence);
        const most = longest[k][0].length;
        if (text.length > most) longest[k] = [text];
        else if (text.length === most && longest[k].length < 3) longest[k].push(text);
      });
    }
    return longest;
  }

  _registers(program) {
    const { model } = this;
    this.sampled ??= new Map();
    if (!this.sampled.has(program)) {
      const points = model.sources.flatMap((source, axis) => {
        return sampledValues(source).map((x) => model.start.map((value, k) => (k === axis ? x : value)));
      });
      const all = [model.start, ...points].map((point) => program.at(model.held(point)).slice());
      this.sampled.set(program, all);
    }
    return this.sampled.get(program);
  }
}

/** Stops of a slider, some of them. */
function sampledValues({ min, max, step, scale }) {
  return Array.from({ length: STOPS + 1 }, (_, i) => {
    const share = i / STOPS;
    if (scale === "log") return Number((min * (max / min) ** share).toPrecision(3));
    return Number((min + Math.round(((max - min) * share) / step) * step).toPrecision(12));
  });
}
