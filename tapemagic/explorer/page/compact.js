/**
 * Formulas without gaps, in room that never changes. Each moving number keeps the room of its
 * longest text; what follows it on its line is drawn nearer by a transform, which moves nothing
 * in the layout.
 */

import { m } from "./dom.js";

const ROWS_OF_MATH = new Set(["math", "mrow", "mstyle", "mpadded", "span"]);
const CENTRING = new Set(["mfrac", "mtd"]);
const SCRIPTED = new Set(["msup", "msub", "msubsup"]);

/** Widths of texts, letter by letter: digits are all as wide as each other. */
class Ruler {
  constructor() {
    this.brush = document.createElement("canvas").getContext("2d");
    this.fonts = new Map();
  }

  width(text, font) {
    let widths = this.fonts.get(font);
    if (widths === undefined) this.fonts.set(font, (widths = new Map()));
    let sum = 0;
    for (const letter of text) {
      if (!widths.has(letter)) {
        this.brush.font = font;
        widths.set(letter, this.brush.measureText(letter).width);
      }
      sum += widths.get(letter);
    }
    return sum;
  }
}

let ruler = null;

/** How wide `text` is in a slot. */
export function widthOf(text, slot) {
  ruler ??= new Ruler();
  return ruler.width(text, slot.font);
}

/** Reads the slots' fonts; all at once, before anything is written. */
export function readFonts(slots) {
  for (const slot of slots) {
    const { fontStyle, fontWeight, fontSize, fontFamily } = getComputedStyle(slot.element);
    slot.font = `${fontStyle} ${fontWeight} ${fontSize} ${fontFamily}`;
  }
}

/**
 * Gives each slot the room that `texts` need. Firefox and WebKit make a number as tall as its
 * letters are: where a parenthesis comes and goes, a hidden one stays.
 */
export function keepRoom(slot, texts) {
  slot.room = Math.ceil(Math.max(...texts.map((text) => widthOf(text, slot))) + 0.5);
  slot.element.style.width = `${slot.room}px`;
  if (!slot.fence || slot.strut) return;
  slot.strut = true;
  const row = m("mrow", {});
  slot.element.replaceWith(row);
  row.append(m("mtext", { class: "strut", "aria-hidden": "true" }, "("), slot.element);
}

/**
 * What stands behind a slot on its line, within `box`; and `centred`, the part of a fraction or
 * of a matrix that keeps its middle although it is drawn shorter.
 */
function around(slot, box) {
  const behind = [];
  for (let child = slot.element; child !== box; child = child.parentElement) {
    const parent = child.parentElement;
    const kind = parent.localName;
    if (CENTRING.has(kind)) return { behind, centred: child };
    if (!ROWS_OF_MATH.has(kind) && !SCRIPTED.has(kind)) return { behind, centred: null };
    const scripts = SCRIPTED.has(kind) && parent.firstElementChild !== child;
    for (let next = child.nextElementSibling; next && !scripts; next = next.nextElementSibling) {
      const boxes = next.matches(".tapemagic-step")
        ? next.querySelectorAll(".tapemagic-math")
        : [next];
      behind.push(...boxes);
    }
  }
  return { behind, centred: null };
}

function sameLine(a, b) {
  const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
  return p.top < q.bottom && q.top < p.bottom;
}

/**
 * What moves when texts are shorter than their room.
 *
 * @returns {{element: Element, parts: {slot: object, share: number}[], shift: number}[]} each moves
 *   to the left by that share of each slot's slack
 */
export function moversOf(slots, box) {
  const movers = new Map();
  const add = (element, slot, share) => {
    if (!movers.has(element)) movers.set(element, { element, parts: [], shift: 0 });
    movers.get(element).parts.push({ slot, share });
  };
  for (const slot of slots) {
    const own = slot.element.closest(".tapemagic-math") ?? slot.element;
    const { behind, centred } = around(slot, box);
    for (const element of behind) {
      const apart = element.localName === "span" && !sameLine(element, own);
      if (element.localName !== "wbr" && !apart) add(element, slot, 1);
    }
    if (centred) add(centred, slot, -0.5);
  }
  return [...movers.values()];
}

/** Draw what follows the slots where their texts end. */
export function drawNear(movers) {
  for (const mover of movers) {
    let shift = 0;
    for (const { slot, share } of mover.parts) shift += share * (slot.room - slot.used);
    if (Math.abs(shift - mover.shift) < 0.05) continue;
    mover.shift = shift;
    mover.element.style.transform = `translateX(${(-shift).toFixed(2)}px)`;
  }
}
