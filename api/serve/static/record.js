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
    /** What is asked, which decides how it is answered; a text gets one reply, and nothing is searched. */
    this.kind = started.problem.kind ?? "value";
    /** Why it was taken for that kind; empty if there is nothing to tell. */
    this.why = started.problem.why ?? "";
    /** What its kind needs besides the question, such as the texts of options. */
    this.details = started.problem.details ?? {};
    this.params = started.params;
    /** Level of the calibration, as `ModelDescription.level` has it. */
    this.level = started.models.calibration ? started.models.calibration.level ?? "fitted" : "none";
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

  /** Probability of each option of a question whose options were read, by name; empty for others. */
  get options() {
    return (this.result ?? this.standing)?.options ?? {};
  }

  /** Last nodes of the solutions with the leading answer; none for an option that was only read. */
  get leading() {
    const isRead = Object.keys(this.options).length > 0;
    const group = isRead ? this.groups.find(({ answer }) => answer === this.answer) : this.groups[0];
    return group?.nodes ?? [];
  }

  /** Generated tokens, those of unfinished steps included. */
  get written() {
    return [...this.running.values()].reduce((sum, { tokens }) => sum + tokens, this.tokens);
  }

  /**
   * The solution to read now: of those with the leading answer one in prose, else the one that is written first.
   *
   * @returns {{text: string, mode: string, execution?: object, thinks: boolean} | null}
   */
  get solution() {
    const ends = [this.result?.best ?? this.leading[0], ...this.leading].filter((id) => id !== undefined);
    const end = ends.find((id) => this.nodes[id].mode === "prose") ?? ends[0] ?? (this.ended ? this.#firstEnd() : null);
    if (end !== null) return { ...this.nodes[end], text: this.#text(end), thinks: false };
    const first = [...this.running.values()].sort((a, b) => a.branch - b.branch)[0];
    return first ? { ...first, text: this.#text(first.parent) + (first.thinks ? "" : first.text) } : null;
  }

  /** Where the first solution has come to, finished or not; null where none has a step. */
  #firstEnd() {
    let end = null;
    for (let id = ROOT; id !== undefined; [id] = this.nodes[id].children) end = id;
    return end === ROOT ? null : end;
  }

  /** All that is written up to a node, without thoughts. */
  #text(id) {
    let text = "";
    for (; id !== ROOT; id = this.nodes[id].parent) if (!this.nodes[id].isThought) text = this.nodes[id].text + text;
    return text;
  }

  /** Take the next event; kinds that change nothing on the page are passed over. */
  add(event) {
    this.#checkNodes(event);
    this.seconds = event.t;
    switch (event.kind) {
      case "branch_started":
        this.modes.set(event.branch, event.mode ?? "prose");
        this.#run(event.branch, event.parent);
        break;
      case "branch_grew":
        this.#run(event.branch, event.parent, event);
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

  /** An event speaks of nodes that are known, and proposes one that is not. */
  #checkNodes({ kind, parent, node, nodes = [], groups = [], result }) {
    const isNew = kind === "step_proposed";
    const known = [parent, isNew ? undefined : node, ...nodes, result?.best];
    known.push(...[...groups, ...(result?.groups ?? [])].flatMap((group) => group.nodes));
    const unknown = known.some((id) => (id ?? null) !== null && !Object.hasOwn(this.nodes, id));
    if (unknown || (isNew && Object.hasOwn(this.nodes, node))) throw new Error("The server sent events that do not fit.");
  }

  #run(branch, parent, { text = "", tokens = 0, thinks = false } = {}) {
    this.running.set(branch, { branch, parent, text, tokens, thinks, mode: this.modes.get(branch) ?? "prose" });
  }

  #addStep({ node, parent, branch, step, usage, ended }) {
    this.tokens += usage.generated_tokens;
    this.nodes[node] = {
      id: node,
      parent,
      children: [],
      text: step.text,
      tokens: step.tokens ?? step.token_ids?.length ?? 0,
      mode: this.modes.get(branch) ?? "prose",
      isThought: step.thought !== undefined,
      status: step.finish === "step" ? "open" : "finished",
    };
    this.nodes[parent].children.push(node);
    if (ended) this.running.delete(branch);
    else this.#run(branch, node);
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

/** `96 %`; nothing is shown as certain, nor as impossible. */
export function percent(probability) {
  const whole = Math.round(100 * probability);
  return whole <= 0 ? "<1\u00a0%" : whole >= 100 ? ">99\u00a0%" : `${whole}\u00a0%`;
}

/** Class of a probability: by it things have their colour. */
export function level(probability) {
  return probability >= 0.8 ? "high" : probability >= 0.5 ? "middle" : "low";
}

/** `1 step`, `2 steps`. */
export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
