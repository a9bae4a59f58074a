/** How a search got to its answer: one fold for each solution, in it its steps, and a fold for each fork. */

import { codeBlock, element, fill } from "./dom.js";
import { markdown } from "./markdown.js";
import { level, percent, plural, ROOT } from "./record.js";

export class Solutions {
  #root;
  #record = null;
  /** Elements by key, kept from one drawing to the next, so that folds stay as the reader left them. */
  #kept = new Map();

  /** @param {HTMLElement} root An empty list. */
  constructor(root) {
    this.#root = root;
  }

  /** @param {import("./record.js").SearchRecord} record */
  draw(record) {
    this.#record = record;
    place(this.#root, foldsBelow(record, ROOT).map((fold, at) => this.#fold(fold, `Solution ${at + 1}`)));
  }

  #fold(fold, name) {
    const item = this.#keep(fold.key, () => {
      const details = element("details", "", element("summary"), element("ol", "steps"));
      // What is closed is not drawn: of 64 solutions that would be most of the work.
      details.addEventListener("toggle", () => this.draw(this.#record));
      return element("li", "", details);
    });
    const [summary, steps] = item.firstChild.children;
    fill(summary, ...this.#summary(fold, name));
    const below = () => fold.folds.map((each, at) => this.#fold(each, `Continuation ${at + 1}`));
    if (item.firstChild.open) place(steps, [...fold.steps.map((step) => this.#step(step)), ...below()]);
    return item;
  }

  #summary({ steps, answers }, name) {
    const { node, running } = steps.at(-1);
    const { confidence, leading, solution, ended } = this.#record;
    const leads = confidence?.calibrated && leading.includes(node?.id);
    const facts = [
      ...(node && node.id === solution?.id ? ["shown"] : []),
      ...((node ?? running).mode === "prose" ? [] : ["program"]),
      ...(running ? [ended ? "unfinished" : "being written"] : [node.reason ?? plural(tokens(steps), "token")]),
      ...(node?.execution?.error ? ["failed"] : []),
    ];
    return [
      element("span", "name", name),
      ...(answers.length ? [element("strong", leads ? level(confidence.median) : "", answers.join(", "))] : []),
      element("span", "words", facts.join(" · ")),
      ...estimate(node ?? steps.at(-2)?.node),
    ];
  }

  #step({ key, number, node, running }) {
    const item = this.#keep(key, () => element("li"));
    const { mode, text, execution, reason, isThought, thinks } = node ?? running;
    item.className = `step ${node?.status ?? "running"}`;
    const name = isThought || thinks ? "Thought" : mode === "prose" ? `Step ${number}` : "Program";
    const facts = element("p", "label", name, ...(reason ? [` · ${reason}`] : []), ...estimate(node));
    fill(item, facts, ...(isThought || thinks ? [] : solutionText({ mode, text, execution })));
    return item;
  }

  #keep(key, make) {
    if (!this.#kept.has(key)) this.#kept.set(key, make());
    return this.#kept.get(key);
  }
}

/** The text of a solution, or of a part, as elements: prose, or a program and what it printed. */
export function solutionText({ mode, text, execution }) {
  if (mode === "prose") return [markdown(text)];
  const shown = [codeBlock(text.replace(/^ {0,3}```.*(\n|$)/gm, "").trim())];
  if (!execution) return shown;
  const { error, output } = execution;
  return [...shown, element("pre", error ? "ran failed" : "ran", `→ ${(error || output).trim().split("\n").at(-1)}`)];
}

/** A bar for a probability. */
export function bar(probability) {
  const filled = element("i");
  filled.style.width = `${Math.round(100 * probability)}%`;
  const made = element("span", "bar", filled);
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** The estimate that a solution with this node is correct; a score is no probability, and is not shown. */
function estimate(node) {
  if (!node?.estimate?.calibrated) return [];
  return [element("span", "p", bar(node.estimate.median), ` ${percent(node.estimate.median)}`)];
}

function tokens(steps) {
  return steps.reduce((sum, { node }) => sum + (node?.tokens ?? 0), 0);
}

function place(list, wanted) {
  const isSame = wanted.length === list.children.length && wanted.every((each, at) => each === list.children[at]);
  if (!isSame) list.replaceChildren(...wanted);
}

/** The folds below a node: one for each child and for each branch that is being written there. */
function foldsBelow(record, parent, number = 1) {
  const running = runningBelow(record, parent).map((branch) => {
    const step = { key: `b${branch.branch}`, number, running: branch };
    return { key: `fold-${step.key}`, steps: [step], folds: [], answers: [] };
  });
  return [...record.nodes[parent].children.map((id) => foldFrom(record, id, number)), ...running];
}

/** A fold that begins with a node: its steps up to the next fork, and the folds below that. */
function foldFrom(record, first, number) {
  const steps = [];
  let id = first;
  for (;;) {
    const node = record.nodes[id];
    steps.push({ key: `n${id}`, number, node });
    number += node.isThought ? 0 : 1;
    if (node.children.length !== 1 || runningBelow(record, id).length) break;
    [id] = node.children;
  }
  let folds = foldsBelow(record, id, number);
  if (folds.length === 1 && folds[0].steps[0].running) {
    steps.push(folds[0].steps[0]);
    folds = [];
  }
  const own = record.nodes[id].answer;
  const answers = own ? [own] : [...new Set(folds.flatMap((fold) => fold.answers))];
  return { key: `fold-n${first}`, steps, folds, answers };
}

function runningBelow(record, id) {
  return [...record.running.values()].filter(({ parent }) => parent === id);
}
