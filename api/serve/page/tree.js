/**
 * The tree of a search: one fold for each trajectory, in it one item for each step, and a fold for each fork.
 *
 * It is a tree view as https://www.w3.org/WAI/ARIA/apg/patterns/treeview/ has it. Elements are kept from one
 * drawing to the next, so that a tree that grows takes neither the focus nor the folds away.
 */

import { estimateText, plural, ROOT } from "./record.js";

const MARKS = { best: "★", finished: "✓", failed: "✗", pruned: "✗", running: "◐", open: "○" };
const WORDS = { best: "chosen", finished: "finished", failed: "failed", pruned: "cut", running: "being written", open: "goes on" };

export class TreeView {
  #root;
  #record = null;
  #elements = new Map();
  /** Folds that the reader has opened or closed, by key. */
  #choices = new Map();
  #best = new Set();

  /** @param {HTMLElement} root An empty list with the role `tree`. */
  constructor(root) {
    this.#root = root;
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Begin with another search. */
  clear() {
    this.#elements.clear();
    this.#choices.clear();
    this.#root.replaceChildren();
  }

  /** @param {import("./record.js").SearchRecord} record */
  draw(record) {
    this.#record = record;
    this.#best = record.bestPath;
    const focused = document.activeElement;
    this.#place(this.#root, foldsBelow(record, ROOT, ""));
    if (this.#root.contains(focused)) focused.focus({ preventScroll: true });
    const items = this.#items();
    if (!items.some((item) => item.tabIndex === 0) && items.length) items[0].tabIndex = 0;
  }

  #place(list, items) {
    const wanted = items.map((item) => (item.steps ? this.#fold(item) : this.#step(item)));
    const same = wanted.length === list.children.length && wanted.every((each, at) => each === list.children[at]);
    if (!same) list.replaceChildren(...wanted);
  }

  #fold(fold) {
    const item = this.#item(fold.key, () => {
      const summary = element("div", "summary");
      summary.id = `summary-${fold.key}`;
      const group = element("ul");
      group.setAttribute("role", "group");
      return [summary, group];
    });
    const end = fold.steps.at(-1);
    const isBest = fold.steps.some(({ node }) => node && this.#best.has(node.id));
    const isOpen = this.#choices.get(fold.key) ?? (isBest && this.#record.ended);
    item.setAttribute("aria-expanded", isOpen);
    item.setAttribute("aria-labelledby", `summary-${fold.key}`);
    const done = fold.steps.filter(({ node }) => node).length;
    const facts = [plural(done, "step"), ...(end.running ? ["being written"] : [])];
    this.#fill(item.firstChild, [
      element("span", "fold", isOpen ? "▾" : "▸"),
      element("span", isBest ? "best" : "", MARKS[this.#state(end)]),
      element("span", "label", fold.steps[0].label),
      ...estimateOf(end.node ?? fold.steps.at(-2)?.node),
      element("span", "text", plain(end.running?.text || end.node?.text || "")),
      element("strong", "", fold.answers.join(", ")),
      element("span", "words facts", facts.join(", ")),
    ]);
    // What is closed is not drawn: of 64 solutions that would be most of the work.
    this.#place(item.lastChild, isOpen ? [...fold.steps, ...fold.folds] : []);
    return item;
  }

  #step({ key, label, node, running }) {
    const item = this.#item(key, () => []);
    const state = this.#state({ node, running });
    item.className = `step ${state} ${node && this.#best.has(node.id) ? "best" : ""}`.trim();
    const what = node?.isThought ? "thought" : WORDS[state];
    const facts = [node?.reason ?? what, ...(node ? [plural(node.tokens, "token")] : [])];
    this.#fill(item, [
      element("span", "label", label),
      ...estimateOf(node),
      ...(node?.answer ? [element("strong", "", `=${node.answer}`)] : []),
      element("span", "words", facts.join(", ")),
      ...(node?.isThought ? [] : texts(node ?? running)),
    ]);
    return item;
  }

  #state({ node, running }) {
    if (running) return "running";
    if (node.status !== "finished") return node.status;
    if (this.#best.has(node.id)) return "best";
    return node.mode === "program" && node.execution?.error ? "failed" : "finished";
  }

  #item(key, contents) {
    if (!this.#elements.has(key)) {
      const item = element("li");
      item.setAttribute("role", "treeitem");
      item.dataset.key = key;
      item.tabIndex = -1;
      item.append(...contents());
      this.#elements.set(key, item);
    }
    return this.#elements.get(key);
  }

  /** Replace the contents of an element where they have changed. */
  #fill(target, parts) {
    const fresh = element("div");
    fresh.append(...parts);
    if (target.innerHTML !== fresh.innerHTML) target.replaceChildren(...parts);
  }

  // Keys and clicks

  #items() {
    return [...this.#root.querySelectorAll('[role="treeitem"]')];
  }

  #toggle(item, isOpen) {
    if (!item.hasAttribute("aria-expanded")) return;
    this.#choices.set(item.dataset.key, isOpen);
    this.draw(this.#record);
  }

  #focus(item) {
    if (!item) return;
    for (const other of this.#root.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  }

  #click(event) {
    const item = event.target.closest('[role="treeitem"]');
    if (!item || getSelection().toString()) return;
    this.#focus(item);
    if (event.target.closest(".summary")) this.#toggle(item, item.getAttribute("aria-expanded") !== "true");
  }

  #press(event) {
    const item = event.target.closest('[role="treeitem"]');
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    const items = this.#items();
    const at = items.indexOf(item);
    const isOpen = item.getAttribute("aria-expanded");
    const above = item.parentElement.closest('[role="treeitem"]');
    const actions = {
      ArrowDown: () => this.#focus(items[at + 1]),
      ArrowUp: () => this.#focus(items[at - 1]),
      Home: () => this.#focus(items[0]),
      End: () => this.#focus(items.at(-1)),
      ArrowRight: () => (isOpen === "true" ? this.#focus(items[at + 1]) : this.#toggle(item, true)),
      ArrowLeft: () => (isOpen === "true" ? this.#toggle(item, false) : this.#focus(above)),
      Enter: () => this.#toggle(item, isOpen !== "true"),
      " ": () => this.#toggle(item, isOpen !== "true"),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }
}

/** The folds below a node: one for each child and for each branch that is being written there. */
function foldsBelow(record, parent, prefix) {
  const { children } = record.nodes[parent];
  const running = runningBelow(record, parent);
  return [
    ...children.map((id, at) => foldFrom(record, id, `${prefix}${at + 1}`)),
    ...running.map((branch, at) => {
      const step = { key: `b${branch.branch}`, label: `${prefix}${children.length + at + 1}`, running: branch };
      return { key: `fold-${step.key}`, steps: [step], folds: [], answers: [] };
    }),
  ];
}

/** A fold that begins with a node: its steps up to the next fork, and the folds below that. */
function foldFrom(record, first, firstLabel) {
  const steps = [];
  let label = firstLabel;
  let id = first;
  for (;;) {
    const node = record.nodes[id];
    steps.push({ key: `n${id}`, label, node });
    if (node.children.length !== 1 || runningBelow(record, id).length) break;
    [id] = node.children;
    label += ".1";
  }
  let folds = foldsBelow(record, id, `${label}.`);
  if (folds.length === 1 && folds[0].steps[0].running) {
    steps.push(folds[0].steps[0]);
    folds = [];
  }
  const own = record.nodes[id].answer;
  const answers = own ? [`=${own}`] : [...new Set(folds.flatMap((fold) => fold.answers))];
  return { key: `fold-n${first}`, steps, folds, answers };
}

function runningBelow(record, id) {
  return [...record.running.values()].filter(({ parent }) => parent === id);
}

/** The text of a step as a reader wants it; a program as code, with what it printed. */
function texts({ text, mode, execution }) {
  if (!mode || mode === "prose") return [element("pre", "", plain(text))];
  const shown = [element("pre", "code", withoutFences(text))];
  if (execution) {
    const failed = execution.error !== "";
    const printed = failed ? execution.error.trim().split("\n").at(-1) : execution.output.trim();
    shown.push(element("pre", failed ? "ran failed" : "ran", `→ ${printed}`));
  }
  return shown;
}

function plain(text) {
  return withoutFences(text).replace(/\*\*(?=\S)(.+?)\*\*/g, "$1").replace(/^#+ +/gm, "");
}

function withoutFences(text) {
  return text.replace(/^ {0,3}```.*(\n|$)/gm, "").trim();
}

function estimateOf(node) {
  if (!node?.estimate) return [];
  const { median, calibrated } = node.estimate;
  const level = median >= 0.8 ? "high" : median >= 0.5 ? "middle" : "low";
  const span = element("span", calibrated ? `p ${level}` : "p");
  const bar = element("span", "bar");
  bar.setAttribute("aria-hidden", "true");
  const filled = element("i");
  filled.style.width = `${Math.round(100 * median)}%`;
  bar.append(filled);
  span.append(bar, ` ${estimateText(node.estimate)}`);
  return [span];
}

/** An element with a class and a text. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
