/** Keys pressed in an explorer are its own, but for the page's commands: Ctrl+S saves the notebook. */

const NOT_YOURS = "data-lm-suppress-shortcuts"; // which Jupyter's own listener looks for

/** Ctrl or ⌘ with a key that is not of editing: in a number box these are the box's own. */
function isCommand({ ctrlKey, metaKey, key }) {
  return (ctrlKey || metaKey) && !"acvxyz".includes(key.toLowerCase());
}

/** The page hears nothing of `host`'s keys when they bubble up. */
export function keepKeys(host) {
  for (const kind of ["keydown", "keyup", "keypress"]) {
    host.addEventListener(kind, (event) => {
      if (!isCommand(event)) event.stopPropagation();
    });
  }
}

/**
 * Notebook 7 hears keys before they come here: it is told which are not for it.
 * Returns how to stop.
 */
export function markKeys(host) {
  const mark = (event) => {
    if (host.contains(event.target)) host.toggleAttribute(NOT_YOURS, !isCommand(event));
  };
  addEventListener("keydown", mark, true); // at the window: before the document's listeners
  return () => removeEventListener("keydown", mark, true);
}
