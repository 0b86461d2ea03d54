/** What a graph does at single places: where it is unknown, jumps, or has a kink. */

import { s } from "./dom.js";

const POLE = 1e12;

/**
 * Regions without a known branch are shaded; the ends of a jump are rings, filled where the value
 * is attained; kinks are diamonds.
 *
 * @param {import("./panel.js").Panel} panel
 * @param {{jumps: object[], gaps: number[][]}} graph  @param {{jumps: object[]}} slope
 * @param {function(number): number} value
 */
export function groundMarks(panel, graph, slope, value) {
  return [
    ...graph.gaps.map((gap) => shade(panel, gap)),
    ...graph.jumps.flatMap((jump) => ends(panel, jump)),
    ...kinks(graph, slope, value, panel).map((x) => kink(panel, x, value(x))),
  ];
}

function shade({ box, xScale }, [from, to]) {
  const left = from <= xScale.low ? box.left : xScale.pixel(from);
  const right = to >= xScale.high ? box.left + box.width : xScale.pixel(to);
  const width = Math.max(right - left, 1);
  return s("rect", { class: "unknown", x: left, y: box.top, width, height: box.height });
}

/** Bisection ends at neighbours: the boundary is the one of fewer digits. */
function ends(panel, { left, right }) {
  if (Math.max(Math.abs(left.y), Math.abs(right.y)) > POLE) return [];
  const attained = String(left.x).length < String(right.x).length ? left : right;
  return [left, right].map((end) => {
    const kind = end === attained ? "end closed" : "end";
    return s("circle", { class: kind, r: 4.5, cx: panel.x(end.x), cy: panel.y(end.y) });
  });
}

/** Where the slope jumps and the graph, which is there on both sides, does not. */
export function kinks(graph, slope, value, { xScale }) {
  const near = 1e-6 * (xScale.high - xScale.low);
  const broken = (x) => graph.jumps.some((jump) => Math.abs(jump.x - x) < near);
  const there = ({ x }) => Number.isFinite(value(x));
  return slope.jumps
    .filter(({ left, right }) => there(left) && there(right) && !broken(right.x))
    .map(({ x }) => x);
}

function kink(panel, x, y) {
  return s("path", { class: "kink", d: `M${panel.x(x)} ${panel.y(y)}m0 -7l7 7l-7 7l-7 -7z` });
}
