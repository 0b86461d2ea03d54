/**
 * The explorer's ways in: `mount` for a page of its own, `initialize` and `render` for anywidget.
 */

import { Explorer } from "./explorer.js";
import { sentence } from "./words.js";

const POINT = 100; // ms between two points that the kernel is told

/**
 * @param {HTMLElement} element  its children are replaced
 * @param {object} payload  see `explorer/payload.py`
 * @param {{theme?: "light"|"dark", ask?: function(object): void}} options
 */
export function mount(element, payload, options = {}) {
  const explorer = started(element, payload, options);
  const handle = {
    destroy() {
      explorer.destroy();
      forget(payload.id, handle);
    },
    setPoint: (values) => explorer.move(values),
    onPoint: (callback) => {
      explorer.listeners.add(callback);
      return () => explorer.listeners.delete(callback);
    },
    onAsk: (callback) => explorer.link(callback),
    addPiece: (piece) => explorer.addPiece(piece),
    addAnswer: (answer) => explorer.addAnswer(answer),
    setMessage: (text) => explorer.tell(sentence(text)),
  };
  explorer.handle = handle; // lives as long
  if (payload.id && !options.own) announce(payload.id, handle);
  return handle;
}

/** An explorer; where it cannot be, the static picture stays, with a word why. */
function started(element, payload, options) {
  try {
    return new Explorer(element, payload, options);
  } catch (error) {
    const word = document.createElement("p");
    word.textContent = `The live picture cannot start here: ${error.message}.`;
    element.append(word);
    throw error;
  }
}

// ---- where a page's explorer and its cell's widget meet, whichever comes first -------------------

function meeting() {
  const key = Symbol.for("tapemagic");
  return (globalThis[key] ??= { pages: new Map(), models: new Map() });
}

function announce(id, handle) {
  const { pages, models } = meeting();
  for (const [other, page] of pages) if (!page.deref()) pages.delete(other);
  pages.set(id, new WeakRef(handle)); // a page that is gone is not held
  models.get(id)?.(handle);
}

function forget(id, handle) {
  const { pages } = meeting();
  if (pages.get(id)?.deref() === handle) pages.delete(id);
}

/** The widget's point and the explorer's follow each other. Returns how to stop. */
function wire(model, handle) {
  let timer = 0;
  let latest = null;
  let sending = false;
  const send = () => {
    timer = 0;
    sending = true;
    model.set("point", latest); // which the model tells us too
    sending = false;
    model.save_changes();
  };
  const stopListening = handle.onPoint((point) => {
    latest = point;
    timer ||= setTimeout(send, POINT);
  });
  const moved = () => {
    if (!timer && !sending) handle.setPoint([model.get("point")].flat());
  };
  const told = (content) => {
    if (content.piece) handle.addPiece(content.piece);
    if (content.answer) handle.addAnswer(content.answer);
    if (typeof content.message === "string") handle.setMessage(content.message);
  };
  handle.onAsk((question) => model.send(question));
  model.on("change:point", moved);
  model.on("msg:custom", told);
  return () => {
    clearTimeout(timer);
    stopListening();
    handle.onAsk(undefined);
    model.off("change:point", moved);
    model.off("msg:custom", told);
  };
}

/** anywidget: the model of a cell whose page is shown elsewhere. */
function initialize({ model }) {
  const { id } = model.get("payload");
  const { pages, models } = meeting();
  let stop = () => {};
  const meet = (handle) => {
    stop();
    stop = wire(model, handle);
  };
  models.set(id, meet);
  const page = pages.get(id)?.deref();
  if (page) meet(page);
  return () => {
    stop();
    if (models.get(id) === meet) models.delete(id);
  };
}

/** anywidget: the widget displayed by itself. */
function render({ model, el }) {
  let stop = () => {};
  const show = () => {
    stop();
    const handle = mount(el, model.get("payload"), { own: true });
    handle.setPoint([model.get("point")].flat());
    const unwire = wire(model, handle);
    stop = () => {
      unwire();
      handle.destroy();
    };
  };
  model.on("change:payload", show);
  show();
  return () => {
    model.off("change:payload", show);
    stop();
  };
}

export default { initialize, render };
