/** Elements made from data; text is always set as text. */

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** An HTML element: `h("button", {type: "button", onclick: f}, "text")`. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A MathML element. */
export function m(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(MATHML, tag), attributes, children);
}

/** A short piece of the line of this name, for a legend. */
export function swatch(name) {
  const line = s("line", { class: `curve ${name}`, x1: 2, x2: 28, y1: 4, y2: 4 });
  return s("svg", { class: "swatch", viewBox: "0 0 30 8", "aria-hidden": "true" }, line);
}

/** Attributes set anew. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Text replaced in place, and only if it is another. */
export function setText(element, text) {
  const node = element.firstChild;
  if (node !== null && node === element.lastChild && node.nodeType === Node.TEXT_NODE) {
    if (node.data !== text) node.data = text;
  } else element.textContent = text;
}

/** MathML out of the payload (our own printer made it): trusted markup, no script runs in it. */
export function math(markup) {
  const holder = h("span", { class: "math" });
  holder.innerHTML = `<math>${markup}</math>`;
  return holder;
}

/** `work` right away, which leaves the next frame nothing but to be drawn; what else is asked
 * for until then is done once, in that frame. */
export function oncePerFrame(work) {
  let frame = 0;
  let asked = false;
  const begin = () => {
    frame = requestAnimationFrame(() => {
      frame = 0;
      if (!asked) return;
      asked = false;
      work();
    });
  };
  const request = () => {
    if (frame) {
      asked = true;
      return;
    }
    begin();
    work();
  };
  request.cancel = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    asked = false;
  };
  return request;
}

/** `work` when the next frame has been painted. */
export function afterPainting(work) {
  let timer = 0;
  const frame = requestAnimationFrame(() => {
    timer = setTimeout(work);
  });
  return {
    cancel() {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    },
  };
}
