/**
 * Formulas without gaps, in room that never changes. Each moving number keeps the room of its
 * longest text; what follows it on its line is drawn nearer by a transform, which moves nothing
 * in the layout.
 */

const ROWS_OF_MATH = new Set(["math", "mrow", "mstyle", "mpadded", "span"]);
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

/** Gives each slot the room that `texts` need. */
export function keepRoom(slot, texts) {
  slot.room = Math.ceil(Math.max(...texts.map((text) => widthOf(text, slot))) + 0.5);
  slot.element.style.width = `${slot.room}px`;
}

/** What stands behind a slot on its line, within `box`: [elements, whether it reaches the box]. */
function followers(slot, box) {
  const found = [];
  for (let child = slot.element; child !== box; child = child.parentElement) {
    const parent = child.parentElement;
    const kind = parent.localName;
    if (!ROWS_OF_MATH.has(kind) && !SCRIPTED.has(kind)) {
      slot.element.classList.add("centred"); // in a fraction, under a root: its room is seen
      return found;
    }
    const scripts = SCRIPTED.has(kind) && parent.firstElementChild !== child;
    for (let next = child.nextElementSibling; next && !scripts; next = next.nextElementSibling) {
      if (next.matches(".tapemagic-step"))
        found.push(...next.querySelectorAll(".tapemagic-math")); // boxes in it
      else found.push(next);
    }
  }
  return found;
}

function sameLine(a, b) {
  const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
  return p.top < q.bottom && q.top < p.bottom;
}

/** @returns {{element: Element, slots: object[]}[]} what moves, and the slots whose slack it takes up */
export function moversOf(slots, box) {
  const movers = new Map();
  for (const slot of slots) {
    const own = slot.element.closest(".tapemagic-math") ?? slot.element;
    for (const element of followers(slot, box)) {
      if (element.localName === "wbr" || (element.localName === "span" && !sameLine(element, own)))
        continue;
      if (!movers.has(element)) movers.set(element, { element, slots: [], shift: 0 });
      movers.get(element).slots.push(slot);
    }
  }
  return [...movers.values()];
}

/** Draw what follows the slots where their texts end. */
export function drawNear(movers) {
  for (const mover of movers) {
    let shift = 0;
    for (const slot of mover.slots) shift += slot.room - slot.used;
    if (Math.abs(shift - mover.shift) < 0.05) continue;
    mover.shift = shift;
    mover.element.style.transform = `translateX(${-shift.toFixed(2)}px)`;
  }
}
