/** Elements. Texts of a model are always text, never markup. */

/** An element with a class and contents: elements, or a text. */
export function element(name, className = "", ...contents) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...contents);
  return made;
}

/** Replace the contents of an element where they have changed, so that a selection and the focus stay. */
export function fill(target, ...contents) {
  const fresh = element("div", "", ...contents);
  const same = fresh.childNodes.length === target.childNodes.length &&
    [...fresh.childNodes].every((node, at) => node.isEqualNode(target.childNodes[at]));
  if (!same) target.replaceChildren(...fresh.childNodes);
}

/** A button that copies a text, and says so. */
export function copyButton(text, name = "Copy") {
  const button = element("button", "copy quiet", name);
  button.type = "button";
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text, button)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = name), 1500);
  });
  return button;
}

/** Code with its line breaks, and a button that copies it. */
export function codeBlock(code) {
  const pre = element("pre", "", element("code", "", code));
  pre.tabIndex = 0; // it scrolls sideways, also by keys
  return element("div", "code", pre, copyButton(code));
}

/** A browser has no clipboard for a page that came over plain HTTP from another machine: there it is selected. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", "unseen", text);
    button.after(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    button.focus();
    return done;
  }
}
