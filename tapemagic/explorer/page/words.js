/** What is seen, in words: names of derivatives, and sentences for those who listen. */

import { brief, inDtype, written } from "./numbers.js";

const RAISED = ["", "", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];

/** dy/dx, d²y/dx²; ∂ where there are more sources than one. */
export function derivativeName(model, axis, order) {
  const d = model.count > 1 ? "∂" : "d";
  const bracketed = (text) => (/^[\p{L}\p{N}_.[\]]+$/u.test(text) ? text : `(${text})`);
  const target = bracketed(model.target.text);
  return `${d}${RAISED[order]}${target}/${d}${model.sources[axis].text}${RAISED[order]}`;
}

/** The same in MathML. */
export function derivativeMarkup(model, axis, order) {
  const d = `<mpadded><mi mathvariant="normal">${model.count > 1 ? "∂" : "d"}</mi></mpadded>`;
  const raised = (base) => (order > 1 ? `<msup>${base}<mn>${order}</mn></msup>` : base);
  const above = `<mrow>${raised(d)}${model.target.mathml}</mrow>`;
  const source = `<mrow>${model.sources[axis].mathml}</mrow>`;
  return `<mfrac>${above}<mrow>${d}${raised(source)}</mrow></mfrac>`;
}

/** A value as its source's dtype shows it. */
export function shown(model, axis, value) {
  return written(value, model.sources[axis].dtype);
}

/** A reason as a sentence. */
export function sentence(reason) {
  return reason && `${reason[0].toUpperCase()}${reason.slice(1).replace(/[.!?]$/, "")}.`;
}

const trend = (slope) => (slope > 0 ? "rising" : slope < 0 ? "falling" : "level");

function bend(second) {
  if (!Number.isFinite(second) || second === 0) return "";
  return second > 0 ? ", curving upwards" : ", curving downwards";
}

const POWER = /·?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/g;
const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Numbers as a voice says them: what is raised would be read as digits of their own, or not. */
export function aloud(text) {
  return text
    .replace(POWER, (whole, raised) => {
      const power = [...raised].map((sign) => (sign === "⁻" ? "−" : DIGITS.indexOf(sign))).join("");
      return `${whole.startsWith("·") ? " times " : ""}10 to the ${power}`;
    })
    .replaceAll("∞", "infinity")
    .replace(/\bnan\b/g, "not a number")
    .replaceAll("−", "minus ");
}

/** From where to where an axis goes. */
export function inView({ text }, range) {
  return aloud(`${text} from ${range.map((end) => brief(end, 3)).join(" to ")}`);
}

/** Between what a picture's heights lie. */
export function heightsOf(values) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return "nothing known";
  const ends = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  return aloud(`heights from ${ends.map((end) => brief(end, 3)).join(" to ")}`);
}

/** A sentence or two for a screen reader. */
export function spoken(model, state) {
  return aloud(told(model, state));
}

function told(model, state) {
  const where = model.sources.map(({ text }, k) => `${text} = ${shown(model, k, state.point[k])}`);
  const target = model.target.text;
  const number = (value, figures) => brief(inDtype(value, model.sources[0].dtype), figures);
  if (state.piece < 0)
    return `At ${where.join(", ")} the cell would take a branch that was not run.`;
  if (!Number.isFinite(state.value))
    return `At ${where.join(", ")}, ${target} is ${written(state.value)}.`;
  const value = `At ${where.join(", ")}, ${target} is ${number(state.value, 5)}`;
  if (model.count > 1) {
    const parts = state.gradient.map(
      (slope, k) => `${number(slope, 4)} along ${model.sources[k].text}`,
    );
    return `${value}; the slopes are ${parts.join(", ")}.`;
  }
  const [slope, second] = state.derivatives;
  if (!Number.isFinite(slope)) return `${value}; there is no slope here.`;
  return `${value}; the slope is ${number(slope, 5)}, ${trend(slope)}${bend(second)}.`;
}
