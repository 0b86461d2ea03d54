/**
 * Pointers and keys on a panel: dragging a handle or the ground, tapping, hovering, the wheel, two
 * fingers; arrows, + and −, 0.
 */

const NEAR = 26; // pixels
const STRIDE = 40;
const ARROWS = {
  ArrowLeft: [STRIDE, 0],
  ArrowRight: [-STRIDE, 0],
  ArrowUp: [0, STRIDE],
  ArrowDown: [0, -STRIDE],
};
export const CLOSER = 0.7; // of what is seen, after a step of the zoom

/**
 * @param {SVGElement} svg
 * @param {object} does  handles(): [{x, y, move(px, py)}] in pixels; pan(dx, dy); tap(px, py);
 *   hover(px, py) with NaN when the pointer leaves; zoom(factor, px, py); fit()
 */
export function gestures(svg, does) {
  const down = new Map();
  let grabbed = null;
  let moved = false;
  const at = (place) => {
    const box = svg.getBoundingClientRect();
    return [place.clientX - box.left, place.clientY - box.top];
  };
  const touch = (event) => {
    const one = event.touches.length === 1 && event.cancelable;
    if (one && nearestHandle(does.handles(), ...at(event.touches[0]))) event.preventDefault();
  };
  const press = (event) => {
    if (event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    const [px, py] = at(event);
    down.set(event.pointerId, [px, py]);
    grabbed = down.size === 1 ? nearestHandle(does.handles(), px, py) : null;
    moved = false;
    if (grabbed) event.preventDefault();
  };
  const move = (event) => {
    const [px, py] = at(event);
    const before = down.get(event.pointerId);
    if (before === undefined) {
      svg.classList.toggle("over-handle", nearestHandle(does.handles(), px, py) !== null);
      does.hover(px, py);
      return;
    }
    if (!moved && Math.hypot(px - before[0], py - before[1]) < 3) return;
    moved = true;
    if (grabbed) grabbed.move(px, py);
    else if (down.size === 2) pinch(down, event.pointerId, [px, py], does);
    else does.pan(px - before[0], py - before[1]);
    down.set(event.pointerId, [px, py]);
  };
  const release = (event) => {
    const known = down.delete(event.pointerId);
    if (known && !moved && !grabbed && event.type === "pointerup") does.tap(...at(event));
    grabbed = null;
  };
  const wheel = (event) => {
    if (!event.ctrlKey && !event.metaKey && !svg.matches(":focus")) return; // the page scrolls
    event.preventDefault();
    does.zoom(Math.exp(Math.max(-50, Math.min(50, event.deltaY)) * 0.006), ...at(event));
  };
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) does.pan(...ARROWS[event.key]);
    else if (event.key === "+" || event.key === "=") does.zoom(CLOSER);
    else if (event.key === "-") does.zoom(1 / CLOSER);
    else if (event.key === "0") does.fit();
    else return;
    event.preventDefault();
  };
  svg.addEventListener("keydown", key);
  svg.addEventListener("touchstart", touch, { passive: false }); // what holds a handle scrolls nothing
  svg.addEventListener("pointerdown", press);
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("pointerleave", () => does.hover(NaN, NaN));
  svg.addEventListener("wheel", wheel, { passive: false });
}

function nearestHandle(handles, px, py) {
  let best = null;
  let least = NEAR;
  for (const handle of handles) {
    const distance = Math.hypot(handle.x - px, handle.y - py);
    if (distance < least) [best, least] = [handle, distance];
  }
  return best;
}

function pinch(down, id, now, does) {
  const [other] = [...down].filter(([key]) => key !== id).map(([, place]) => place);
  const before = down.get(id);
  const apart = (a) => Math.max(10, Math.hypot(a[0] - other[0], a[1] - other[1]));
  does.zoom(apart(before) / apart(now), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
}
