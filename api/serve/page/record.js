/**
 * A search as far as its events say, for what the page shows; `adascale.engine.search.record` is the whole of it.
 *
 * Events are those of `POST /v1/searches`, which are the lines of a trace.
 */

export const ROOT = 0;

export class SearchRecord {
  /** @param {object} started The event `search_started`. */
  constructor(started) {
    this.id = started.problem.id;
    this.question = started.problem.question;
    /** One reply that nobody can check is written, and nothing is searched. */
    this.isChat = started.problem.kind === "text";
    this.params = started.params;
    this.seconds = 0;
    this.tokens = 0;
    /** Nodes by id, each with the ids of its children; the root is the question. */
    this.nodes = [{ id: ROOT, parent: null, children: [], status: "open" }];
    /** Branches that are being written, by id: below which node, and their unfinished step. */
    this.running = new Map();
    this.modes = new Map();
    this.finished = 0;
    this.groups = [];
    this.standing = null;
    this.notices = [];
    /** The result, or the error; both null while the search runs. */
    this.result = null;
    this.error = null;
  }

  get ended() {
    return this.result !== null || this.error !== null;
  }

  /** The leading answer; null where there is none. */
  get answer() {
    return (this.result ?? this.standing)?.answer ?? null;
  }

  /** The estimate that goes with the answer. */
  get confidence() {
    return (this.result ?? this.standing)?.confidence ?? null;
  }

  /** Ids of the nodes on the path that would be shown now, without the root. */
  get bestPath() {
    const path = new Set();
    let id = this.result ? this.result.best : this.groups[0]?.nodes[0] ?? null;
    for (; id !== null && id !== ROOT; id = this.nodes[id].parent) path.add(id);
    return path;
  }

  /** Take the next event; kinds that change nothing on the page are passed over. */
  add(event) {
    this.seconds = event.t;
    switch (event.kind) {
      case "branch_started":
        this.modes.set(event.branch, event.mode ?? "prose");
        this.#run(event.branch, event.parent, "");
        break;
      case "branch_grew":
        this.#run(event.branch, event.parent, event.text);
        break;
      case "step_proposed":
        this.#addStep(event);
        break;
      case "program_ran":
        this.nodes[event.node].execution = event.execution;
        break;
      case "step_scored":
        this.nodes[event.node].estimate = event.estimate;
        break;
      case "nodes_pruned":
        this.#prune(event);
        break;
      case "answer_found":
        this.nodes[event.node].answer = event.answer;
        this.finished += 1;
        break;
      case "answers_judged":
        this.standing = event.standing;
        this.groups = event.groups;
        break;
      case "budget_spent":
        this.tokens = event.usage.generated_tokens;
        break;
      case "warned":
        this.notices.push(event.message);
        break;
      case "search_finished":
        this.running.clear();
        this.result = event.result;
        this.groups = event.result.groups;
        this.tokens = event.usage.generated_tokens;
        break;
      case "search_failed":
        this.running.clear();
        this.error = [event.message, ...event.facts].join("\n");
        break;
    }
  }

  #run(branch, parent, text) {
    this.running.set(branch, { branch, parent, text, mode: this.modes.get(branch) ?? "prose" });
  }

  #addStep({ node, parent, branch, step, ended }) {
    this.nodes[node] = {
      id: node,
      parent,
      children: [],
      text: step.text,
      tokens: step.tokens ?? step.token_ids.length,
      mode: this.modes.get(branch) ?? "prose",
      isThought: step.thought !== undefined,
      status: step.finish === "step" ? "open" : "finished",
    };
    this.nodes[parent].children.push(node);
    if (ended) this.running.delete(branch);
    else this.#run(branch, node, "");
  }

  #prune({ nodes, reason }) {
    for (const id of nodes) Object.assign(this.nodes[id], { status: "pruned", reason });
    for (const [branch, { parent }] of this.running) if (this.#isBelow(parent, nodes)) this.running.delete(branch);
  }

  #isBelow(id, nodes) {
    for (; id !== null; id = this.nodes[id].parent) if (nodes.includes(id)) return true;
    return false;
  }
}

/** `.93`: a number in [0, 1] with two digits. */
export function chance(value) {
  return value.toFixed(2).replace(/^0/, "");
}

/** `p .81 (.66-.91)` with the 10 and 90 % quantiles; an uncalibrated number is a score, and no probability. */
export function estimateText({ calibrated, lower, median, upper }) {
  return calibrated ? `p ${chance(median)} (${chance(lower)}-${chance(upper)})` : `score ${chance(median)}`;
}

/** `1 step`, `2 steps`. */
export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
